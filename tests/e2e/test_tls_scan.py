# SPDX-License-Identifier: MIT
"""What scanners and openssl s_client find on a TLS listener with the default profile."""
import json
import re
import shutil
import socket
import ssl

import pytest

from harness import tls, tools

WEB = """
    workers: 1
    frontends:
      web: {listen: "127.0.0.1:$port", tls: $tls, backend: app}
    backends:
      app: {servers: [$a], health: off}
"""
PATIENCE_S = 280
HARMLESS = {"OK", "INFO", "LOW"}
# What testssl.sh says of the certificate because a test authority has signed it, and of itself.
NOT_THE_SERVER = {
    ("cert_revocation", "Neither CRL nor OCSP URI provided"),
    ("engine_problem", "No engine or GOST support via engine with your /usr/bin/openssl"),
    # Its client has nothing to say and may be gone before the ticket of TLS 1.3 is there; test_tickets
    # waits for one.
    ("sessionresumption_ticket", "check failed because of connect problem"),
}
INTERMEDIATE = {f"{key}-{cipher}" for key in ("ECDHE-ECDSA", "ECDHE-RSA")
                for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")}
TLS13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
OLD_VERSIONS = {"SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"}


@pytest.fixture
def certs(ca, tmp_path):
    """An ECDSA and an RSA certificate of the same name."""
    for key in ("ecdsa", "rsa"):
        ca.make(tmp_path / f"certs/{key}.pem", "a.test", key=key)
    return tmp_path / "certs"


@pytest.fixture
def web(evlb, sim, certs):
    def start(settings=""):
        return evlb(WEB, sim("a"), tls=f"{{certs: {certs}{settings}}}")
    return start


def patient(test):
    """testssl.sh is a shell script: half a minute, more on a busy machine."""
    return pytest.mark.once(pytest.mark.timeout(PATIENCE_S + 20)(test))


def need(program):
    if shutil.which(program) is None:
        pytest.fail(f"{program} is not installed (scripts/test installs it)")


# ---- testssl.sh ----

def scan(lb, ca, directory, *sections):
    """Its findings: [(severity, id, text)]. It asks nobody but the server."""
    need("testssl")
    out = directory / "testssl.json"
    tools.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none",
               "--ip", "127.0.0.1", "--add-ca", str(ca.cert), "--jsonfile", str(out), *sections,
               f"https://a.test:{lb.port}/"], cwd=directory, timeout=PATIENCE_S)
    return [(f["severity"], re.sub(r" <cert#\d>", "", f["id"]), f["finding"])
            for f in json.loads(out.read_text())]


def worse_than_low(findings):
    return [(severity, name, text) for severity, name, text in findings
            if severity not in HARMLESS and (name, text) not in NOT_THE_SERVER]


def severity_of(findings, wanted):
    return {severity for severity, name, _ in findings if name == wanted}


@patient
def test_testssl_protocols_and_ciphers(web, ca, tmp_path):
    found = scan(web(), ca, tmp_path, "-p", "-s", "-f", "-P")
    assert worse_than_low(found) == []
    offered = {name: text for _, name, text in found}
    assert offered["TLS1_2"] == "offered" and offered["TLS1_3"].startswith("offered")
    assert offered["TLS1"] == offered["TLS1_1"] == "not offered"
    assert (offered["cipher_order"], offered["ALPN"]) == ("server", "http/1.1")
    assert severity_of(found, "PFS") == {"OK"}


@patient
def test_testssl_certificates_and_tickets(web, ca, tmp_path):
    found = scan(web(), ca, tmp_path, "-S")
    assert worse_than_low(found) == []
    for name in ("cert_trust", "cert_chain_of_trust"):  # of both certificates
        assert [severity for severity, n, _ in found if n == name] == ["OK", "OK"]


@patient
def test_testssl_vulnerabilities(web, ca, tmp_path):
    found = scan(web(), ca, tmp_path, "-U")
    assert worse_than_low(found) == []
    for name in ("heartbleed", "CCS", "ticketbleed", "ROBOT", "secure_renego",
                 "secure_client_renego", "CRIME_TLS", "fallback_SCSV", "LUCKY13"):
        assert severity_of(found, name) == {"OK"}, name


@patient
def test_testssl_modern(web, ca, tmp_path):
    found = scan(web(", profile: modern"), ca, tmp_path, "-p", "-f")
    assert worse_than_low(found) == []
    offered = {name: text for _, name, text in found}
    assert offered["TLS1_2"].startswith("not offered") and offered["TLS1_3"].startswith("offered")


# ---- sslscan ----

def sslscan(lb):
    need("sslscan")
    return tools.run(["sslscan", "--no-colour", "--sni-name=a.test", lb.address], timeout=100).out


def versions(out, word):
    return set(re.findall(rf"(?m)^((?:SSL|TLS)v[\d.]+)\s+{word}$", out))


def ciphers(out):
    return set(re.findall(r"(?m)^(?:Preferred|Accepted)\s+TLSv[\d.]+\s+\d+ bits\s+(\S+)", out))


def test_sslscan_default(web):
    out = sslscan(web())
    assert versions(out, "enabled") == {"TLSv1.2", "TLSv1.3"}
    assert versions(out, "disabled") == OLD_VERSIONS
    assert ciphers(out) == INTERMEDIATE | TLS13
    assert "Server supports TLS Fallback SCSV" in out
    assert "Session renegotiation not supported" in out
    assert "vulnerable" not in re.sub("not vulnerable", "", out)


@pytest.mark.parametrize("settings", [", profile: modern", ", min: 1.3"])
def test_sslscan_tls_1_3_alone(web, settings):
    out = sslscan(web(settings))
    assert versions(out, "enabled") == {"TLSv1.3"}
    assert versions(out, "disabled") == OLD_VERSIONS | {"TLSv1.2"}
    assert ciphers(out) == TLS13


# ---- openssl s_client ----

REQUEST = b"GET /?size=3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def s_client(lb, *args, stdin=REQUEST):
    return tls.openssl("s_client", "-ign_eof", "-connect", lb.address, "-servername", "a.test",
                       *args, stdin=stdin, check=False)


def test_no_compression_and_secure_renegotiation(web):
    lb = web()
    out = s_client(lb, "-tls1_2", "-comp")
    assert "Compression: NONE" in out and "Secure Renegotiation IS supported" in out
    assert "Compression: NONE" in s_client(lb, "-tls1_3", "-comp")


def test_a_fallback_is_refused(web):
    """A client that says it tried 1.3 before (RFC 7507) meets a server that has it."""
    lb = web()
    assert "inappropriate fallback" in s_client(lb, "-tls1_2", "-fallback_scsv")
    assert "HTTP/1.1 200" in s_client(lb, "-tls1_3", "-fallback_scsv")


def server_random(out):
    """The 32 bytes in the ServerHello of an s_client -msg."""
    hello = out[out.index(", ServerHello"):]
    lines = re.match(r".*\n((?:    [0-9a-f ]+\n)+)", hello).group(1)
    return bytes.fromhex("".join(lines.split()))[6:38]


def test_the_downgrade_sentinel(web):
    """RFC 8446 section 4.1.3: a client that knows 1.3 sees that it was talked down to 1.2."""
    lb = web()
    assert server_random(s_client(lb, "-tls1_2", "-msg"))[-8:] == b"DOWNGRD\x01"
    assert not server_random(s_client(lb, "-tls1_3", "-msg"))[-8:].startswith(b"DOWNGRD")


def test_alpn(web):
    lb = web()
    assert "ALPN protocol: http/1.1" in s_client(lb, "-alpn", "h3,http/1.1")
    assert "No ALPN negotiated" in s_client(lb)


def test_tickets(web):
    """One of TLS 1.3, none that lives longer than the two previous keys, no early data."""
    lb = web()
    new = s_client(lb, "-tls1_3")
    assert new.count("Post-Handshake New Session Ticket arrived") == 1
    old = s_client(lb, "-tls1_2")
    for out in (new, old):
        lifetime = int(re.search(r"session ticket lifetime hint: (\d+)", out).group(1))
        assert 600 <= lifetime <= 86400
    assert "Max Early Data: 0" in new


def test_early_data_is_not_taken(web, tmp_path):
    lb = web()
    (tmp_path / "early").write_bytes(REQUEST)
    s_client(lb, "-tls1_3", "-sess_out", tmp_path / "session")
    out = s_client(lb, "-tls1_3", "-sess_in", tmp_path / "session", "-early_data",
                   tmp_path / "early")
    assert "Reused, TLSv1.3" in out and "Early data was not sent" in out
    assert "HTTP/1.1 200" in out  # the request that came after the handshake


# ---- records ----

def records_of(lb, version, size):
    """The lengths of the records of one answer, as they were on the wire."""
    ctx = tls.context(minimum_version=version, maximum_version=version)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    inner = ctx.wrap_bio(incoming, outgoing, server_hostname="a.test")
    wire, body = bytearray(), bytearray()
    with socket.create_connection(("127.0.0.1", lb.port), timeout=10) as raw:
        def turn(action):
            while True:
                try:
                    result = action()
                    raw.sendall(outgoing.read())
                    return result
                except ssl.SSLWantReadError:
                    raw.sendall(outgoing.read())
                    data = raw.recv(65536)
                    assert data, "the connection has ended"
                    wire.extend(data)
                    incoming.write(data)
        turn(inner.do_handshake)
        before = len(wire)
        inner.write(b"GET /?size=%d HTTP/1.1\r\nHost: x\r\n\r\n" % size)
        while len(body) < size:
            body += turn(lambda: inner.read(1 << 20))
    lengths, at = [], 0
    while at + 5 <= len(wire):
        length = int.from_bytes(wire[at + 3:at + 5], "big")
        if at >= before and wire[at] == 23:
            lengths.append(length)
        at += 5 + length
    return lengths


@pytest.mark.parametrize("version, overhead", [(ssl.TLSVersion.TLSv1_2, 24),
                                               (ssl.TLSVersion.TLSv1_3, 17)])
def test_records_are_small_at_first_and_large_in_bulk(web, version, overhead):
    lengths = records_of(web(), version, 4 << 20)
    early = 0
    while lengths and early < 60000:
        assert lengths[0] <= 4096 + overhead
        early += lengths.pop(0)
    assert max(lengths) == 16384 + overhead
