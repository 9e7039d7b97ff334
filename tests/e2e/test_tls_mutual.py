# SPDX-License-Identifier: MIT
"""Certificates of clients: who gets in, what is said of who does not, what is resumed, what servers
are told."""
import re
import shutil
import socket
import ssl
import threading
import time

import pytest

from harness import tls, tools
from harness.pki import Signer, serial

WEB = """
    workers: 2
    frontends:
      web: {listen: "127.0.0.1:$port", tls: {certs: $cert, client-ca: $ca$more}, backend: app}
    backends:
      app: {servers: [$a], health: off}
"""
TCP = """
    workers: 1
    frontends:
      raw:
        listen: "127.0.0.1:$port"
        mode: tcp
        tls: {certs: $cert, client-ca: $ca$more}
        backend: app
    backends:
      app: {servers: [$a], health: off}
"""
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])


class World:
    """What all tests share: authorities and certificates of every kind."""

    def __init__(self, directory):
        self.server = tls.Authority(directory / "server")
        self.site = self.server.make(directory / "site.pem", "a.test")
        self.root = root = Signer(directory / "root", "clients")
        self.inter = Signer(directory / "inter", "below", by=root)
        self.other = Signer(directory / "other", "others")
        self.good = root.client("good")
        self.expired = root.client("expired", days=(-20, -1))
        self.future = root.client("future", days=(10, 90))
        self.wrong = self.other.client("wrong")
        self.revoked = root.client("revoked")
        self.for_servers = root.client("for-servers", ext="extendedKeyUsage=serverAuth\n")
        self.chained = self.inter.client("chained", chain=[self.inter])
        self.unchained = self.inter.client("unchained")
        self.alone = directory / "alone.pem"
        tls.openssl("req", "-x509", *tls.KEYS["ecdsa"], "-nodes", "-subj", "/CN=alone", "-keyout",
                    directory / "alone.key", "-out", self.alone)
        self.alone.write_text(self.alone.read_text() + (directory / "alone.key").read_text())
        self.no_crl = root.crl(directory / "none.crl")
        root.revoke(self.revoked)
        self.crl = root.crl(directory / "root.crl")
        self.old_crl = root.crl(directory / "old.crl", ended=True)
        self.inter_crl = self.inter.crl(directory / "inter.crl")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("pki"))


def start(evlb, origin, world, text=WEB, more="", **values):
    return evlb(text, origin, cert=world.site, ca=values.pop("ca", world.root.cert), more=more,
                **values)


def client(world, cert=None, version=V13, **options):
    c = tls.context(world.server, maximum_version=version, minimum_version=version, **options)
    if cert:
        c.load_cert_chain(cert)
    return c


def ask(lb, world, cert=None, version=V13, port=None, session=None, name="a.test", headers="",
        path="/echo"):
    """One request -> (status, body in lower case)."""
    with tls.connect(port or lb.port, name, client(world, cert, version), session) as s:
        head, body = tls.get(s, path, headers=headers)
    return int(head.split()[1]), body.decode().lower()


def refused(lb, world, cert=None, version=V13):
    """The alert that the client has seen."""
    with pytest.raises(ssl.SSLError) as e:
        with tls.connect(lb.port, "a.test", client(world, cert, version)) as s:
            s.sendall(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
            s.recv(1000)
    return e.value.reason


# ---- who gets in ----

BAD = [  # what is shown, the alerts of TLS 1.2 and 1.3, what the log says
    (None, "HANDSHAKE_FAILURE", "CERTIFICATE_REQUIRED", "peer did not return a certificate"),
    ("wrong", "UNKNOWN_CA", None, "unable to get local issuer certificate: CN=wrong,O=Example"),
    ("alone", "UNKNOWN_CA", None, "self-signed certificate: CN=alone"),
    ("expired", "CERTIFICATE_EXPIRED", None, "certificate has expired: CN=expired"),
    ("future", "BAD_CERTIFICATE", None, "certificate is not yet valid: CN=future"),
    ("revoked", "CERTIFICATE_REVOKED", None, "certificate revoked: CN=revoked,O=Example, serial "),
    ("for_servers", "UNSUPPORTED_CERTIFICATE", None, "unsuitable certificate purpose: CN=for-"),
    ("unchained", "UNKNOWN_CA", None, "unable to get local issuer certificate: CN=unchained"),
]


@VERSIONS
@pytest.mark.parametrize("shown, old, new, why", BAD, ids=[str(b[0]) for b in BAD])
@pytest.mark.parametrize("text, mode", [(WEB, "http"), (TCP, "tcp-echo")], ids=["http", "tcp"])
def test_refused(evlb, sim, world, version, shown, old, new, why, text, mode):
    origin = sim("a", mode=mode)
    lb = start(evlb, origin, world, text, f", client-crl: {world.crl}")
    alert = refused(lb, world, getattr(world, shown) if shown else None, version)
    assert (old if version == V12 else new or old) in alert
    lines = lb.wait_access()
    assert [(line["end"], line["term"], line["proto"]) for line in lines] == \
        [("client-certificate", "PR", "tls")]
    assert lines[0]["detail"].startswith(why) and lines[0]["client_cert"] is None
    if shown == "revoked":
        assert lines[0]["detail"].endswith(serial(world.revoked))
    if mode == "http":
        assert origin["a"].count()["connections"] == 0
    else:
        assert next(b for b in lb.status()["backends"])["servers"][0]["counters"]["requests"] == 0
    found = lb.counters()
    assert (found["tls_failures"], found["tls_handshakes"], found["requests"]) == (1, 0, 0)


@VERSIONS
def test_accepted(evlb, sim, world, version):
    lb = start(evlb, sim("a"), world, more=f", client-crl: {world.crl}")
    assert ask(lb, world, world.good, version)[0] == 200
    line = lb.wait_access()[0]
    assert (line["end"], line["client_cert"]) == ("ok", "CN=good,O=Example")


def test_accepted_in_mode_tcp(evlb, sim, world):
    lb = start(evlb, sim("a", mode="tcp-echo"), world, TCP, f", client-crl: {world.crl}")
    with tls.connect(lb.port, "a.test", client(world, world.good)) as s:
        s.sendall(b"hello")
        assert s.recv(100) == b"hello"
    assert lb.wait_access()[0]["client_cert"] == "CN=good,O=Example"


def test_a_chain_that_the_client_sends(evlb, sim, world):
    lb = start(evlb, sim("a"), world)
    assert ask(lb, world, world.chained)[0] == 200
    assert "UNKNOWN_CA" in refused(lb, world, world.unchained)


def test_an_authority_between_in_the_file(evlb, sim, world, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(world.inter.cert.read_text() + world.root.cert.read_text())
    lb = start(evlb, sim("a"), world, ca=both)
    assert ask(lb, world, world.unchained)[0] == 200
    assert ask(lb, world, world.good)[0] == 200


def test_several_authorities(evlb, sim, world, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(world.root.cert.read_text() + world.other.cert.read_text())
    lb = start(evlb, sim("a"), world, ca=both)
    assert ask(lb, world, world.good)[0] == 200 and ask(lb, world, world.wrong)[0] == 200
    out = tls.openssl("s_client", "-connect", lb.address, stdin=b"", check=False)
    assert "CN = clients" in out and "CN = others" in out  # what clients choose by


def test_the_list_of_the_signer_has_to_be_there(evlb, sim, world, tmp_path):
    """The list of the authority between: without it nobody below gets in."""
    lb = start(evlb, sim("a"), world, more=f", client-crl: {world.crl}")
    assert "UNKNOWN_CA" in refused(lb, world, world.chained)
    assert lb.wait_access()[0]["detail"].startswith("unable to get certificate CRL: CN=chained")
    both = tmp_path / "both.crl"
    both.write_text(world.crl.read_text() + world.inter_crl.read_text())
    lb.reload(WEB, cert=world.site, ca=world.root.cert, more=f", client-crl: {both}")
    assert ask(lb, world, world.chained)[0] == 200
    lb.reload(WEB, cert=world.site, ca=world.root.cert, more=f", client-crl: {world.inter_crl}")
    assert ask(lb, world, world.chained)[0] == 200  # of the root there is none


def test_an_authority_that_was_taken_back(evlb, sim, world, tmp_path):
    root = Signer(tmp_path / "root", "root")
    inter = Signer(tmp_path / "inter", "taken back", by=root)
    cert = inter.client("below", chain=[inter])
    root.revoke(inter.cert)
    lists = tmp_path / "lists.crl"
    lists.write_text(root.crl().read_text() + inter.crl().read_text())
    lb = start(evlb, sim("a"), world, ca=root.cert, more=f", client-crl: {lists}")
    assert "CERTIFICATE_REVOKED" in refused(lb, world, cert)
    assert "revoked (of an authority): CN=below" in lb.wait_access()[0]["detail"]


def test_a_list_that_has_ended_lets_nobody_in(evlb, sim, world):
    lb = start(evlb, sim("a"), world, more=f", client-crl: {world.old_crl}")
    assert "CERTIFICATE_EXPIRED" in refused(lb, world, world.good)
    assert lb.wait_access()[0]["detail"].startswith("CRL has expired")


@VERSIONS
def test_optional(evlb, sim, world, version):
    origin = sim("a")
    lb = start(evlb, origin, world, more=f", client-verify: optional, client-crl: {world.crl}")
    status, body = ask(lb, world, None, version)
    assert status == 200 and "x-client-cert-verified: none" in body
    assert "x-client-cert-subject" not in body
    assert "x-client-cert-verified: success" in ask(lb, world, world.good, version)[1]
    seen = origin["a"].count()["requests"]
    assert "UNKNOWN_CA" in refused(lb, world, world.wrong, version)
    assert "CERTIFICATE_REVOKED" in refused(lb, world, world.revoked, version)
    assert origin["a"].count()["requests"] == seen


def test_curl(evlb, sim, world, curl):
    lb = start(evlb, sim("a"), world)
    site = ["--cacert", world.server.cert, "--resolve", f"a.test:{lb.port}:127.0.0.1"]
    r = curl(*site, "--cert", world.good, f"https://a.test:{lb.port}/echo")
    assert r.status == 0 and "CN=good,O=Example" in r.out
    r = curl(*site, f"https://a.test:{lb.port}/echo")
    assert r.status != 0 and "certificate required" in r.err
    r = curl(*site, "--cert", world.wrong, "-d", "x" * 100000, f"https://a.test:{lb.port}/echo")
    assert r.status != 0 and "unknown ca" in r.err


def test_no_certificate_later_on(evlb, sim, world):
    """A client that offers to show one after the handshake is not asked for it."""
    lb = start(evlb, sim("a"), world, more=", client-verify: optional")
    c = client(world)
    c.post_handshake_auth = True
    with tls.connect(lb.port, "a.test", c) as s:
        assert "x-client-cert-verified: none" in tls.get(s, "/echo")[1].decode().lower()


# ---- what servers are told ----

FIELDS = ("subject", "issuer", "serial", "fingerprint", "not-after")
FORGED = "".join(f"{name}: forged-{i}\r\n" for i, name in enumerate((
    "X-Client-Cert-Subject", "x-client-cert-verified", "X_Client_Cert_Subject", "X-Client-Cert",
    "X-CLIENT_CERT-ISSUER", "X.Client.Cert.Serial", "X-Client-Cert-Whatever")))


def told(body):
    lines = [line.split(": ", 1) for line in body.splitlines() if line.startswith("x-client-cert-")]
    assert len(lines) == len(dict(lines)), body
    return {name[len("x-client-cert-"):]: value for name, value in lines}


def test_servers_are_told(evlb, sim, world):
    lb = start(evlb, sim("a"), world)
    found = told(ask(lb, world, world.good, headers="Connection: x-client-cert-subject\r\n")[1])
    digest = tls.openssl("x509", "-in", world.good, "-noout", "-sha256", "-fingerprint")
    end = tls.openssl("x509", "-in", world.good, "-noout", "-enddate", "-dateopt", "iso_8601")
    assert found == {
        "verified": "success", "subject": "cn=good,o=example", "issuer": "cn=clients",
        "serial": serial(world.good).lower(),
        "fingerprint": digest.split("=")[1].strip().replace(":", "").lower(),
        "not-after": end.split("=")[1].strip().replace(" ", "t").lower()}


@pytest.mark.parametrize("shown", [None, "good"])
def test_forged_headers_do_not_pass(evlb, sim, world, shown):
    lb = start(evlb, sim("a"), world, more=", client-verify: optional")
    for headers in (FORGED, FORGED + "Connection: x-client-cert-verified\r\n"):
        _, body = ask(lb, world, shown and getattr(world, shown), headers=headers)
        assert "forged" not in body
        assert told(body)["verified"] == ("success" if shown else "none")


@pytest.mark.parametrize("listen", ["{address: \"127.0.0.1:$port\"}",
                                    "{address: \"127.0.0.1:$port\", tls: $cert}"])
def test_forged_headers_do_not_pass_where_nobody_is_asked(evlb, sim, world, listen):
    text = "frontends: {web: {listen: %s, backend: app}}\nbackends: {app: [$a]}\n" % listen
    lb = evlb(text, sim("a"), cert=world.site)
    if "tls" in listen:
        body = ask(lb, world, headers=FORGED)[1]
    else:
        c = lb.client()
        c.send(f"GET /echo HTTP/1.1\r\nHost: x\r\n{FORGED}\r\n".encode())
        body = c.response().body.decode().lower()
    assert "forged" not in body and "cert" not in body


def test_a_trusted_proxy_may_tell(evlb, sim, world):
    trusted = WEB.replace("backend: app}", "backend: app, trusted-proxies: [127.0.0.1]}", 1)
    lb = start(evlb, sim("a"), world, trusted)
    headers = "X-Client-Cert-Subject: CN=elsewhere\r\nConnection: x-client-cert-subject\r\n"
    body = ask(lb, world, world.good, headers=headers)[1]
    assert "x-client-cert-subject: cn=elsewhere" in body and "cn=good" not in body
    assert "x-client-cert-verified" not in body
    assert told(ask(lb, world, world.good)[1])["subject"] == "cn=good,o=example"


def test_rules_have_the_last_word(evlb, sim, world):
    text = WEB.replace("backend: app}",
                       "backend: app, headers: {set: {X-Client-Cert-Issuer: ours}, "
                       "remove: [X-Client-Cert-Serial]}}", 1)
    lb = start(evlb, sim("a"), world, text)
    found = told(ask(lb, world, world.good, headers=FORGED)[1])
    assert found["issuer"] == "ours" and "serial" not in found and found["verified"] == "success"


def test_names_that_want_to_be_more(evlb, sim, world, tmp_path):
    evil = world.root.client("evil", "/O=Ex\u00e4mple \"q\"\\\\, x/CN=a\r\nX-Evil: 1\tb\x1b[2J")
    lb = start(evlb, sim("a"), world)
    body = ask(lb, world, evil)[1]
    assert "x-evil: 1\n" not in body and "\nx-evil" not in body
    want = "CN=a\\0D\\0AX-Evil: 1\\09b\\1B[2J,O=Ex\\C3\\A4mple \\\"q\\\"\\\\\\, x"
    assert told(body)["subject"] == want.lower()
    assert lb.wait_access()[0]["client_cert"] == want
    long = world.root.client("long", "/O=" + "o" * 60 + "".join(
        "/OU=" + f"{i:02}" + "u" * 60 for i in range(20)) + "/CN=long")
    subject = told(ask(lb, world, long)[1])["subject"]
    assert len(subject) == 1024 and subject.startswith("cn=long,") and subject.endswith("...")
    bad = world.other.client("bad", "/CN=b\r\n{\"end\":\"ok\"}")
    refused(lb, world, bad)
    line = lb.wait_access(3)[2]
    assert line["end"] == "client-certificate" and "CN=b\\0D\\0A{" in line["detail"]


# ---- resumption ----

def begin(lb, world, cert, version, name="a.test", port=None):
    ctx = client(world, cert, version, check_hostname=False)
    with tls.connect(port or lb.port, name, ctx) as s:
        tls.get(s)
        assert not s.session_reused
        return ctx, s.session


def resumed(lb, session, name="a.test", port=None):
    with tls.connect(port or lb.port, name, *session) as s:
        head, body = tls.get(s, "/echo")
        assert head.startswith("HTTP/1.1 200")
        return s.session_reused, body.decode().lower()


@VERSIONS
def test_a_resumed_session_knows_its_client(evlb, sim, world, version):
    lb = start(evlb, sim("a"), world)
    session = begin(lb, world, world.good, version)
    for _ in range(4):
        reused, body = resumed(lb, session)
        assert reused and "x-client-cert-subject: cn=good,o=example" in body
    assert lb.wait_access(5)[-1]["client_cert"] == "CN=good,O=Example"


@VERSIONS
def test_a_session_of_another_name_is_not_resumed(evlb, sim, world, version, tmp_path):
    """nginx CVE-2025-23419."""
    world.server.make(tmp_path / "certs/1.pem", "a.test")
    world.server.make(tmp_path / "certs/2.pem", "b.test")
    lb = evlb(WEB, sim("a"), cert=tmp_path / "certs", ca=world.root.cert, more="")
    session = begin(lb, world, world.good, version)
    assert resumed(lb, session)[0]
    assert not resumed(lb, session, name="b.test")[0]
    assert resumed(lb, session)[0]


@VERSIONS
def test_a_session_of_another_listener_is_not_resumed(evlb, sim, world, version):
    """Of one frontend: one that asks nobody, one that asks, one that asks others."""
    lb = evlb("""
        frontends:
          web:
            listen:
              - {address: "127.0.0.1:$port", tls: $cert}
              - {address: "127.0.0.1:$port2", tls: {certs: $cert, client-ca: $ca}}
              - {address: "127.0.0.1:$port3", tls: {certs: $cert, client-ca: $other}}
              - {address: "127.0.0.1:$port4",
                 tls: {certs: $cert, client-ca: $ca, client-verify: optional}}
            backend: app
        backends: {app: [$a]}
    """, sim("a"), cert=world.site, ca=world.root.cert, other=world.other.cert)
    ports = lb.ports
    for first, cert in (("port", None), ("port4", None)):
        ctx, session = begin(lb, world, cert, version, port=ports[first])
        with pytest.raises(ssl.SSLError):
            with tls.connect(ports["port2"], "a.test", ctx, session) as s:
                tls.get(s)
    ctx, session = begin(lb, world, world.good, version, port=ports["port2"])
    with pytest.raises(ssl.SSLError):
        with tls.connect(ports["port3"], "a.test", ctx, session) as s:
            tls.get(s)
    assert not resumed(lb, (ctx, session), port=ports["port4"])[0]
    assert resumed(lb, (ctx, session), port=ports["port2"])[0]


@VERSIONS
def test_a_session_does_not_outlive_a_revocation(evlb, sim, world, version):
    lb = start(evlb, sim("a"), world, more=f", client-crl: {world.no_crl}")
    ctx, session = begin(lb, world, world.revoked, version)
    assert resumed(lb, (ctx, session))[0]
    lb.reload(WEB, cert=world.site, ca=world.root.cert, more=f", client-crl: {world.crl}")
    with pytest.raises(ssl.SSLError) as e:
        with tls.connect(lb.port, "a.test", ctx, session) as s:
            tls.get(s)
    assert "CERTIFICATE_REVOKED" in e.value.reason


@VERSIONS
def test_a_session_from_before_client_ca_is_not_resumed(evlb, sim, world, version):
    lb = start(evlb, sim("a"), world)
    plain = WEB.replace(", client-ca: $ca$more", "")
    lb.reload(plain, cert=world.site)
    ctx, session = begin(lb, world, None, version)
    assert resumed(lb, (ctx, session))[0]
    lb.reload(WEB, cert=world.site, ca=world.root.cert, more="")
    with pytest.raises(ssl.SSLError):
        with tls.connect(lb.port, "a.test", ctx, session) as s:
            tls.get(s)


@VERSIONS
def test_a_session_does_not_outlive_its_certificate(evlb, sim, world, version, tmp_path):
    root = Signer(tmp_path / "root", "root")
    cert = root.client("short", days=(-1, 4 / 86400))
    end = time.time() + 4
    lb = start(evlb, sim("a"), world, ca=root.cert)
    ctx, session = begin(lb, world, cert, version)
    assert resumed(lb, (ctx, session))[0]
    time.sleep(max(0, end - time.time()) + 1.1)
    with pytest.raises(ssl.SSLError) as e:
        with tls.connect(lb.port, "a.test", ctx, session) as s:
            tls.get(s)
    assert "CERTIFICATE_EXPIRED" in e.value.reason


# ---- reload ----

def test_client_ca_comes_and_goes_under_load(evlb, sim, world):
    """Clients with a good certificate are served all the time."""
    lb = start(evlb, sim("a"), world)
    plain = WEB.replace(", client-ca: $ca$more", "")
    stop, failures, served = threading.Event(), [], []
    def work():
        while not stop.is_set():
            try:
                served.append(ask(lb, world, world.good)[0])
            except (OSError, AssertionError) as e:
                failures.append(repr(e))
    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for i in range(6):
        lb.reload(plain if i % 2 == 0 else WEB, cert=world.site, ca=world.root.cert, more="")
    time.sleep(0.2)
    stop.set()
    for t in threads:
        t.join()
    assert failures == [] and set(served) == {200}
    assert "CERTIFICATE_REQUIRED" in refused(lb, world)


# ---- configuration ----

def check(run_evlb, tmp_path, world, setting):
    config = tmp_path / "evlb.yaml"
    config.write_text("frontends:\n  web: {listen: 443, backend: app, tls: {certs: %s, %s}}\n"
                      "backends:\n  app: [10.0.0.1:80]\n" % (world.site, setting))
    r = run_evlb("check", "-c", config)
    return r.status, " ".join((r.out + r.err).split())


@pytest.mark.parametrize("setting, message", [
    ("client-verify: optional", "'client-verify' without 'client-ca'"),
    ("client-crl: {crl}", "'client-crl' without 'client-ca'"),
    ("client-ca: /nowhere.pem", "No such file"),
    ("client-ca: {key}", "holds a key"),
    ("client-ca: {cut}", "cannot be read"),
    ("client-ca: {root}, client-crl: {root}", "begins with -----BEGIN X509 CRL-----"),
    ("client-ca: {root}, client-crl: {der}", "convert it: openssl crl -inform der -in"),
    ("client-ca: {root}, client-crl: {der}", "Try: evlb explain frontends.*.tls.client-crl"),
    ("client-ca: {root}, client-crl: {cut_crl}", "cannot be read"),
    ("client-ca: {root}, client-crl: {forged}", "that it has not signed")])
def test_check_names_the_fault(run_evlb, tmp_path, world, setting, message):
    cut, cut_crl = tmp_path / "cut.pem", tmp_path / "cut.crl"
    for whole, part in ((world.root.cert, cut), (world.crl, cut_crl)):
        lines = whole.read_text().splitlines()
        part.write_text("\n".join(lines[:2] + lines[3:]) + "\n")
    forged = Signer(tmp_path / "forger", "clients").crl()
    der = tmp_path / "der.crl"
    tls.openssl("crl", "-in", world.crl, "-outform", "der", "-out", der)
    setting = setting.format(crl=world.crl, der=der, key=world.root.key, root=world.root.cert, cut=cut,
                             cut_crl=cut_crl, forged=forged)
    status, out = check(run_evlb, tmp_path, world, setting)
    assert status == 1 and message in out, out


def test_check_warns(run_evlb, tmp_path, world):
    old = Signer(tmp_path / "old", "old authority", days=(-20, -1))
    for setting, message in [
            (f"client-ca: {old.cert}", "'CN=old authority' in '"),
            (f"client-ca: {world.inter.cert}", "gets in [lint"),
            (f"client-ca: {world.inter.cert}", "add the certificate of 'CN="),
            (f"client-ca: {world.root.cert}, client-crl: {world.old_crl}", "has expired"),
            (f"client-ca: {world.root.cert}, client-crl: {world.inter_crl}",
             "is of nobody in 'client-ca'"),
            (f"client-ca: {world.root.cert}, client-crl: {world.inter_crl}",
             "clients of one without a list are refused")]:
        status, out = check(run_evlb, tmp_path, world, setting)
        assert status == 0 and "warning" in out and message in out, out
    status, out = check(run_evlb, tmp_path, world,
                        f"client-ca: {world.root.cert}, client-crl: {world.crl}")
    assert status == 0 and "warning" not in out, out


# ---- routes ----

ROUTES = """
    workers: 1
    frontends:
      web:
        listen:
          - {address: "127.0.0.1:$port",
             tls: {certs: $cert, client-ca: $ca, client-verify: optional}}
          - "127.0.0.1:$port2"
        routes:
          - {path: /admin, client-cert: none, deny: 403}
          - {path: /ops, client-subject: "CN=good,*", backend: app}
          - {path: /example, client-subject: "*,O=Example", backend: app}
          - {path: /exact, client-subject: "CN=good,O=Example", backend: app}
          - {path: /verified, client-cert: verified, backend: app}
          - {path: /sni, sni: "*.test", backend: app}
          - {path: /new, tls-version: 1.3, backend: app}
          - {path: /old, tls-version: 1.2, backend: app}
          - {path: /resumed, tls-resumed: true, backend: app}
          - {path: /fresh, tls-resumed: false, backend: app}
          - {path: /cipher, tls-cipher: TLS_AES_256_GCM_SHA384, backend: app}
          - {path: /alpn, alpn: http/1.1, backend: app}
          - {path: /1.0, alpn: http/1.0, backend: app}
          - {path: /admin, backend: app}
    backends: {app: [$a]}
"""


def test_routes_by_what_tls_agreed_on(evlb, sim, world):
    lb = evlb(ROUTES, sim("a"), cert=world.site, ca=world.root.cert)
    def status(path, cert=None, version=V13, **options):
        return ask(lb, world, cert, version, path=path, **options)[0]
    inter = world.chained  # CN=chained,O=Example
    assert [status("/admin", c) for c in (None, world.good)] == [403, 200]
    assert [status("/ops", c) for c in (None, inter, world.good)] == [404, 404, 200]
    assert [status("/example", c) for c in (None, inter, world.good)] == [404, 200, 200]
    assert [status("/exact", c) for c in (None, inter, world.good)] == [404, 404, 200]
    assert [status("/verified", c) for c in (None, inter)] == [404, 200]
    assert [status("/new", version=v) for v in (V12, V13)] == [404, 200]
    assert [status("/old", version=v) for v in (V12, V13)] == [200, 404]
    assert status("/sni") == 200 and status("/fresh") == 200 and status("/resumed") == 404
    ctx, session = begin(lb, world, None, V13)
    for path, want in (("/resumed", "200"), ("/fresh", "404")):
        with tls.connect(lb.port, "a.test", ctx, session) as s:
            assert tls.get(s, path)[0].split()[1] == want
    ctx = client(world, check_hostname=False)
    with tls.connect(lb.port, "b.other", ctx) as s:
        assert tls.get(s, "/sni")[0].split()[1] == "404"
        cipher = s.cipher()[0]
        want = "200" if cipher == "TLS_AES_256_GCM_SHA384" else "404"
        assert tls.get(s, "/cipher")[0].split()[1] == want
        assert tls.get(s, "/alpn")[0].split()[1] == "404"
    ctx.set_alpn_protocols(["http/1.1"])
    with tls.connect(lb.port, "a.test", ctx) as s:
        assert tls.get(s, "/alpn")[0].split()[1] == "200"
    # without TLS none of them holds, but that there is no certificate
    port = lb.ports["port2"]
    for path in ("/ops", "/verified", "/sni", "/new", "/old", "/resumed", "/fresh", "/cipher"):
        assert lb.client(port).get(path).status == 404, path
    assert lb.client(port).get("/admin").status == 403


@pytest.fixture
def explain(run_evlb, world):
    def route(text, *args, status=0):
        text = text.replace("$cert", str(world.site)).replace("$ca", str(world.root.cert))
        text = text.replace("$port2", "80").replace("$port", "443").replace("$a", "10.0.0.1:80")
        r = run_evlb("explain", "-c", "-", "route", *args, stdin=text)
        assert r.status == status, r.err
        return r.out + r.err
    return route


@pytest.mark.parametrize("args, says", [
    (("/admin",), "answer    403"),
    (("/admin", "--client-subject", "CN=x"), "backend   app"),
    (("/ops", "--client-subject", "CN=good,O=Example"), "backend   app"),
    (("/ops", "--client-subject", "CN=other"), "none of"),
    (("/example", "--client-subject", "CN=x,O=Example"), "backend   app"),
    (("/verified",), "none of"),
    (("/new",), "backend   app"),
    (("/new", "--tls-version=1.2"), "none of"),
    (("/old", "--tls-version", "1.2"), "backend   app"),
    (("/fresh",), "backend   app"),
    (("/resumed", "--tls-resumed"), "backend   app"),
    (("/cipher",), "none of"),
    (("/cipher", "--tls-cipher", "TLS_AES_256_GCM_SHA384"), "backend   app"),
    (("/sni",), "backend   app"),
    (("/sni", "-H", "Host: other"), "backend   app"),
    (("/alpn", "--alpn", "h2,http/1.1"), "backend   app"),
    (("/alpn", "--alpn", "h2"), "alert no_application_protocol"),
    (("/1.0", "--alpn", "h2,http/1.0"), "backend   app"),
    (("/1.0", "--alpn", "http/1.0,http/1.1"), "none of"),
])
def test_explain_is_told_what_tls_agreed_on(explain, args, says):
    assert says in explain(ROUTES, "https://a.test" + args[0], *args[1:])


def test_explain_says_what_it_assumes(explain):
    url = "https://a.test/"
    assert "\nassumed   TLS 1.3, another cipher, a new session, no client certificate\n" in \
        explain(ROUTES, url)
    told = ("--tls-version", "1.2", "--client-subject", "CN=x")
    assert "\nassumed   another cipher, a new session\n" in explain(ROUTES, url, *told)
    assert "assumed" not in explain(ROUTES, "http://a.test/")
    for flag in (["--tls-resumed"], ["--client-subject", "CN=x"]):
        assert f"{flag[0]}: no TLS ends here" in \
            explain(ROUTES, "http://a.test/", *flag, status=1)
    assert "'1.4'" in explain(ROUTES, url, "--tls-version", "1.4", status=2)


def test_explain_of_tls_in_mode_tcp(explain):
    text = """
        frontends:
          f:
            listen: [{address: 443, tls: {certs: $cert, client-ca: $ca, client-verify: optional}}, 80]
            mode: tcp
            routes:
              - {host: raw.test, tls: passthrough, backend: raw}
              - {alpn: [proto/2, proto/1], client-cert: none, deny: 403}
              - {alpn: proto/1, backend: one}
              - {client-subject: "CN=ops*", backend: ops}
        backends: {raw: [10.0.0.1:1], one: [10.0.0.1:2], ops: [10.0.0.1:3]}
    """
    tls_url, who = "tls://a.test", ("--client-subject", "CN=ops,O=x")
    assert "denied" in explain(text, tls_url, "--alpn", "proto/1")
    assert "backend   one" in explain(text, tls_url, "--alpn", "x,proto/1", *who)
    assert "backend   ops" in explain(text, tls_url, "--alpn", "proto/1,proto/2", *who)
    assert "backend   ops" in explain(text, tls_url, *who)
    assert "none of 4" in explain(text, tls_url)
    assert "backend   raw" in explain(text, "tls://raw.test")
    assert "speaks TLS only" in explain(text, "http://a.test:443")
    assert "no TLS ends here" in explain(text, "tls://a.test:80", *who, status=1)


def test_no_certificate_in_mode_tcp_is_none_in_plain_text_too(evlb, sim, world):
    lb = evlb("""
        frontends:
          f:
            listen:
              - {address: "127.0.0.1:$port",
                 tls: {certs: $cert, client-ca: $ca, client-verify: optional}}
              - "127.0.0.1:$port2"
            mode: tcp
            routes: [{client-cert: none, deny: 403}, {backend: app}]
        backends: {app: [$a]}
    """, sim("a", mode="tcp-greet"), cert=world.site, ca=world.root.cert)
    with tls.connect(lb.port, "a.test", client(world, world.good)) as s:
        assert s.recv(100) == b"a ready\n"
    with tls.connect(lb.port, "a.test", client(world)) as s:
        assert s.recv(100) == b""
    with socket.create_connection(("127.0.0.1", lb.ports["port2"]), timeout=10) as s:
        assert s.recv(100) == b""
    assert [line["end"] for line in lb.wait_access(3)].count("denied") == 2



def test_routes_of_mode_tcp(evlb, sim, world):
    lb = evlb("""
        workers: 1
        frontends:
          raw:
            listen: "127.0.0.1:$port"
            mode: tcp
            tls: {certs: $cert, client-ca: $ca, client-verify: optional}
            routes: [{client-subject: "CN=good,*", backend: app}]
        backends: {app: {servers: [$a], health: off}}
    """, sim("a", mode="tcp-echo"), cert=world.site, ca=world.root.cert)
    with tls.connect(lb.port, "a.test", client(world, world.good)) as s:
        s.sendall(b"x")
        assert s.recv(10) == b"x"
    with tls.connect(lb.port, "a.test", client(world)) as s:
        assert s.recv(10) == b""
    taken, refused_one = lb.wait_access(2)
    assert (taken["backend"], taken["client_cert"]) == ("app", "CN=good,O=Example")
    assert (refused_one["end"], refused_one["client_cert"]) == ("no-route", None)


def test_the_example(evlb, sim, world, tmp_path):
    text = (tools.ROOT / "configs/https/mutual.yaml").read_text()
    root = Signer(tmp_path / "authority", "partners")
    ops, other = root.client("ops"), root.client("other")
    (tmp_path / "clients-ca.pem").write_text(root.cert.read_text())
    root.crl(tmp_path / "clients.crl")
    world.server.make(tmp_path / "certs/site.pem", "a.test")
    sims = sim("a", "b", "c")
    for old, new in (("listen: 443", "listen: 127.0.0.1:$port"), ("10.0.0.11:8080", "$a"),
                     ("10.0.0.12:8080", "$b"), ("10.0.0.21:8080", "$c")):
        assert old in text
        text = text.replace(old, new)
    lb = evlb(text, sims)
    assert ask(lb, world, other, path="/")[0] == 200
    for path in ("/admin", "/admin/", "/admin/x", "/admin;x", "//admin"):
        assert [ask(lb, world, c, path=path)[0] for c in (ops, other)] == [200, 403], path
    assert "CERTIFICATE_REQUIRED" in refused(lb, world)


def test_the_command_of_the_documentation_agrees_with_the_example(run_evlb, world, tmp_path):
    line = re.search(r"^    evlb (explain route \S+ --client-subject \S+)$",
                     (tools.ROOT / "docs/tls.md").read_text(), re.M)[1].split()
    shutil.copy(tools.ROOT / "configs/https/mutual.yaml", tmp_path / "mutual.yaml")
    world.server.make(tmp_path / "certs/site.pem", "www.example.com")
    shutil.copy(world.root.cert, tmp_path / "clients-ca.pem")
    shutil.copy(world.no_crl, tmp_path / "clients.crl")
    ops = run_evlb(*line, "-c", tmp_path / "mutual.yaml")
    assert (ops.status, "backend   admin" in ops.out) == (0, True), ops.out + ops.err
    others = run_evlb(*line[:-1], "CN=x,O=Example", "-c", tmp_path / "mutual.yaml")
    assert "answer    403: denied" in others.out


def test_check_knows_conditions_that_never_hold(run_evlb, tmp_path, world):
    def say(frontend, routes):
        config = tmp_path / "evlb.yaml"
        config.write_text("frontends:\n  web: {listen: 80, %s, routes: [%s]}\n"
                          "backends:\n  app: [10.0.0.1:80]\n" % (frontend, routes))
        r = run_evlb("check", "-c", config)
        return r.status, " ".join((r.out + r.err).split())
    site = f"tls: {{certs: {world.site}}}"
    assert "no TLS ends" in say("mode: http", "{tls-version: 1.3, backend: app}")[1]
    assert "not asked for certificates" in say(site, "{client-cert: verified, backend: app}")[1]
    both = "{client-cert: none, deny: 403}, {backend: app}"
    assert "warning" not in say(site, both)[1]
    assert "takes all of it" in say(
        site, "{path: /, tls-version: 1.3, deny: 403}, {path: /x, tls-version: 1.3, backend: app}")[1]
    status, out = say("mode: tcp", "{tls-version: 1.3, backend: app}")
    assert status == 1 and "needs TLS that ends here" in out
