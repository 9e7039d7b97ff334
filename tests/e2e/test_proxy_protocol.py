# SPDX-License-Identifier: MIT
"""PROXY protocol, as it comes in (mandatory, from trusted peers only) and as it goes out (read by
the origin's own parser)."""
import socket
import struct
import time

import pytest

from harness import balancer, http, pki as clients, tls as pki, tools, origin as sims
from harness.proxy_header import SIGNATURE, V1, V1_6, read_v2, tlv, tlvs, v2
from harness.wire import request, seen

ACCEPT = """
workers: 1
trusted-proxies: [127.0.0.0/8]
frontends:
  web: {listen: $port, backend: app, accept-proxy: true}
  raw: {listen: $port_tcp, mode: tcp, backend: echo, accept-proxy: true}
backends:
  app: {servers: {a: $a}}
  echo: {mode: tcp, servers: {e: $e}}
timeout: {request: 700ms}
log: {access: true}
"""
ASK = request("GET /echo HTTP/1.1", "Host: x")


@pytest.fixture(scope="module")
def stack_of_module(tmp_path_factory):
    stack = tools.Stack(tmp_path_factory.mktemp("proxy"))
    yield stack
    stack.tear_down()


@pytest.fixture(scope="module")
def lb(stack_of_module):
    web = stack_of_module.add_sim(sims.Sim(stack_of_module.tmp_path, ("a",)))
    echo = stack_of_module.add_sim(sims.Sim(stack_of_module.tmp_path, ("e",), mode="tcp-echo"))
    return stack_of_module.add_balancer(
        balancer.Evlb(stack_of_module.tmp_path, ACCEPT, (web, echo)))


def client_seen(c):
    return seen(c.response()).headers["X-Forwarded-For"].split(", ")[-1]


# ---- in (trap 24)

@pytest.mark.parametrize("header, client", [
    (V1, "192.0.2.7"), (V1_6, "2001:db8::7"), (v2(), "192.0.2.7"), (v2(family=0x21), "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"), (b"PROXY UNKNOWN ffff::1 x 1 2\r\n", "127.0.0.1"),
    (v2(command=0, family=0), "127.0.0.1"), (v2(command=0), "127.0.0.1"),
    (v2(command=0, family=0, block=b"junk" * 50), "127.0.0.1"), (v2(family=0), "127.0.0.1"),
    (v2(family=0x31), "127.0.0.1"), (v2(family=0x12, block=b"\1" * 12), "127.0.0.1"),
    (v2(tlvs=tlv(1, b"h2") + tlv(0xE0, b"x" * 300) + tlv(4, b"")), "192.0.2.7"),
    (v2(tlvs=tlv(0xEA, bytes(range(256)) * 200)), "192.0.2.7"),
    (v2(command=0, family=0, block=b"\0" * 65535), "127.0.0.1"),
], ids=["v1", "v1-tcp6", "v2", "v2-tcp6", "v1-unknown", "v1-unknown-junk", "v2-local",
        "v2-local-with-addresses", "v2-local-junk", "v2-unspec", "v2-unix", "v2-udp", "v2-tlvs",
        "v2-large-tlv", "v2-local-65535"])
def test_the_client_is_who_the_header_says(lb, header, client):
    c = lb.client()
    c.send(header + ASK)
    assert client_seen(c) == client


@pytest.mark.parametrize("header", [V1, V1_6, v2(), v2(family=0x21), v2(tlvs=tlv(1, b"h2"))],
                         ids=["v1", "v1-tcp6", "v2", "v2-tcp6", "v2-tlv"])
def test_a_header_split_at_every_byte(lb, header):
    data = header + ASK
    for at in range(1, len(header) + 2):
        c = lb.client()
        c.send(data[:at])
        time.sleep(0.002)
        c.send(data[at:])
        assert client_seen(c) in ("192.0.2.7", "2001:db8::7")
        c.close()


@pytest.mark.parametrize("header", [V1, v2()], ids=["v1", "v2"])
def test_a_header_in_single_bytes(lb, header):
    c = lb.client()
    c.send_split(header + ASK)
    assert client_seen(c) == "192.0.2.7"


@pytest.mark.parametrize("header", [V1, v2()], ids=["v1", "v2"])
def test_the_header_stands_once_per_connection(lb, header):
    c = lb.client()
    c.send(header + ASK)
    assert client_seen(c) == "192.0.2.7"
    c.send(ASK)
    assert client_seen(c) == "192.0.2.7"
    c.send(header + ASK)
    assert c.response().status == 400


@pytest.mark.parametrize("header", [V1, v2(), v2(tlvs=tlv(3, b"abcd"))], ids=["v1", "v2", "v2-tlv"])
def test_bytes_behind_the_header_belong_to_the_stream(lb, header):
    """HAProxy 2020: payload in the same segment read as TLV."""
    c = lb.client(lb.ports["port_tcp"])
    c.send(header + b"\x03\0\x04abcd payload")
    assert c.read_exact(15) == b"\x03\0\x04abcd payload"


def test_the_header_alone_reaches_a_server_that_waits(lb):
    c = lb.client(lb.ports["port_tcp"])
    c.send(V1)
    time.sleep(0.1)
    c.send(b"later")
    assert c.read_exact(5) == b"later"


BAD = {
    "none": ASK, "lower-case": V1.lower(), "tls": b"\x16\x03\x01\x02\0\x01\0",
    "v1-no-crlf": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "v1-spaces": V1.replace(b" 4711", b"  4711"),
    "v1-port": V1.replace(b"4711", b"65536"), "v1-port-zero": V1.replace(b"4711", b"04711"),
    "v1-port-sign": V1.replace(b"4711", b"+4711"),
    "v1-ip": V1.replace(b"192.0.2.7", b"192.0.2.256"),
    "v1-ip-short": V1.replace(b"192.0.2.7", b"192.0.2"),
    "v1-family": V1.replace(b"TCP4", b"TCP6"), "v1-udp": V1.replace(b"TCP4", b"UDP4"),
    "v1-missing": b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "v1-more": V1.replace(b" 80", b" 80 90"),
    "v1-long": b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n", "v1-tab": V1.replace(b" 80", b"\t80"),
    "v1-nul": V1.replace(b"192.0.2.7", b"192.0.2.7\0"),
    "v2-signature": b"\r\n\r\n\0\r\nQUIT\r" + v2()[12:],
    "v2-version-1": SIGNATURE + b"\x11" + v2()[13:],
    "v2-version-3": SIGNATURE + b"\x31" + v2()[13:], "v2-command-2": v2(command=2),
    "v2-family-4": v2(family=0x41), "v2-protocol-3": v2(family=0x13), "v2-short": v2(length=11),
    "v2-short-6": v2(family=0x21, block=b"\0" * 35), "v2-length-0": v2(length=0, block=b""),
    "v2-short-unix": v2(family=0x31, block=b"\0" * 215),
    "v2-tlv-beyond": v2(tlvs=b"\x01\0\x09abc"), "v2-tlv-cut": v2(tlvs=b"\x01\0"),
    "v2-tlv-65535": v2(tlvs=b"\xee\xff\xff"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_header_ends_the_connection(lb, name):
    """No answer, no guess, and nothing reaches a server."""
    for port in (lb.port, lb.ports["port_tcp"]):
        c = lb.client(port)
        c.send(BAD[name])
        with pytest.raises((http.Closed, ConnectionError)):
            c.read_exact(1)
        assert c.pending == b""


@pytest.mark.parametrize("begin", [V1[:20], v2()[:14], b"P", b"\r"])
def test_a_header_has_a_deadline_of_its_own(lb, begin):
    c = lb.client(lb.ports["port_tcp"])
    c.send(begin)
    start = time.monotonic()
    with pytest.raises((http.Closed, ConnectionError)):
        c.read_exact(1)
    assert 0.4 < time.monotonic() - start < 3


def test_a_silent_client_does_not_pass_its_deadline(lb):
    c = lb.client(lb.ports["port_tcp"])
    with pytest.raises((http.Closed, ConnectionError)):
        c.read_exact(1)


def test_random_tlvs_never_crash(lb):
    import random
    rng = random.Random(5)
    before = lb.workers()
    for _ in range(300):
        c = lb.client()
        c.send(v2(command=rng.choice((0, 1)), family=rng.choice((0, 0x11, 0x21, 0x31, 0x22, 0x77)),
                  block=rng.randbytes(rng.randrange(80)),
                  length=rng.choice((None, None, rng.randrange(100)))) + ASK)
        c.half_close()
        try:
            c.read_until_close()
        except (http.Closed, ConnectionError):
            pass
        c.close()
    assert lb.workers() == before


def test_an_untrusted_peer_is_dropped(evlb, sim):
    origin = sim("a")["a"]
    lb = evlb("""
        workers: 1
        trusted-proxies: [10.0.0.0/8]
        frontends: {web: {listen: $port, backend: app, accept-proxy: true}}
        backends: {app: {servers: {a: $a}}}
        log: {access: true}
    """, a=origin)
    c = lb.client()
    with pytest.raises((http.Closed, ConnectionError)):
        c.send(V1 + ASK)
        c.read_exact(1)
    assert origin.count()["requests"] == 0
    line = lb.wait_access()[0]
    assert (line["end"], line["term"]) == ("bad-proxy-header", "PR")


def test_the_log_names_the_client_of_the_header(evlb, sim):
    lb = evlb(ACCEPT, sim("a"), sim("e", mode="tcp-echo"))
    c = lb.client()
    c.send(V1 + ASK)
    c.response()
    assert lb.wait_access()[0]["client"] == "192.0.2.7"


# ---- out (traps 24, 26)

SEND = """
workers: 1
frontends:
  web: {listen: $port, backend: app}
  web6: {listen: "[::1]:$port_6", backend: app}
  raw: {listen: $port_tcp, mode: tcp, backend: raw}
backends:
  app: {send-proxy: VERSION, servers: {a: $a}}
  raw: {mode: tcp, send-proxy: VERSION, servers: {b: $a}}
"""


@pytest.fixture(params=["v1", "v2"])
def sending(request, evlb, sim):
    origin = sim("a", options=["--accept-proxy"])["a"]
    lb = evlb(SEND.replace("VERSION", request.param), a=origin)
    lb.version = request.param
    return lb


def lines(response):
    return dict(line.split("=", 1) for line in response.text.split())


def test_the_server_is_told_the_client(sending):
    with http.Client(("127.0.0.1", sending.port)) as c:
        me = c.sock.getsockname()
        said = lines(c.get("/proxy"))
    assert said["version"].endswith(sending.version[-1])
    assert (said["src"], said["src_port"]) == (me[0], str(me[1]))
    assert (said["dst"], said["dst_port"]) == ("127.0.0.1", str(sending.port))
    assert said.get("tlv_bytes", "0") == "0"


def test_the_server_is_told_an_ipv6_client(sending):
    with http.Client(("::1", sending.ports["port_6"])) as c:
        said = lines(c.get("/proxy"))
    assert (said["src"], said["dst"]) == ("::1", "::1")


def test_the_header_goes_out_in_mode_tcp(sending):
    with http.Client(("127.0.0.1", sending.ports["port_tcp"])) as c:
        said = lines(c.get("/proxy"))
        assert said["src_port"] == str(c.sock.getsockname()[1])


def test_connections_with_a_header_are_never_shared(sending):
    """The next client would be taken for the one that the header names."""
    for _ in range(4):
        with http.Client(("127.0.0.1", sending.port)) as c:
            for _ in range(2):
                assert lines(c.get("/proxy"))["src_port"] == str(c.sock.getsockname()[1])


def test_a_posted_body_comes_behind_the_header(sending):
    r = sending.request("POST", "/echo-body", body=b"b" * 50000)
    assert r.body == b"b" * 50000


def test_the_header_of_a_proxy_is_passed_on(evlb, sim):
    """In from one balancer, out to the next: the first client stays the client."""
    origin = sim("a", options=["--accept-proxy"])["a"]
    lb = evlb("""
        workers: 1
        trusted-proxies: [127.0.0.0/8]
        frontends: {web: {listen: $port, mode: tcp, backend: app, accept-proxy: true}}
        backends: {app: {mode: tcp, send-proxy: v2, servers: {a: $a}}}
    """, a=origin)
    c = lb.client()
    c.send(V1_6 + request("GET /proxy HTTP/1.1", "Host: x"))
    said = lines(c.response())
    assert (said["src"], said["dst"], said["src_port"]) == ("2001:db8::7", "2001:db8::1", "4711")


def test_the_header_goes_to_the_server_of_the_retry(evlb, sim):
    origin = sim("a", options=["--accept-proxy"])["a"]
    lb = evlb("""
        workers: 1
        frontends:
          web: {listen: $port, backend: app}
          raw: {listen: $port_tcp, mode: tcp, backend: raw}
        backends:
          app: {balance: first, send-proxy: v2, servers: {dead: "127.0.0.1:1", a: $a}}
          raw: {mode: tcp, balance: first, send-proxy: v1, servers: {dead: "127.0.0.1:1", b: $a}}
    """, a=origin)
    for port in (lb.port, lb.ports["port_tcp"]):
        with http.Client(("127.0.0.1", port)) as c:
            assert lines(c.get("/proxy"))["src_port"] == str(c.sock.getsockname()[1])


# ---- the client's TLS (v2-ssl)

SSL = """
workers: 1
frontends:
  web:
    listen: ["127.0.0.1:$port", {address: "127.0.0.1:$port_tls", tls: {certs: $tls MORE}}]
    backend: app
  raw: {listen: "127.0.0.1:$port_tcp", tls: $tls, mode: tcp, backend: raw}
backends:
  app: {send-proxy: VERSION, servers: {a: $server}}
  raw: {mode: tcp, send-proxy: VERSION, servers: {b: $server}}
"""
ALPN, AUTHORITY, TLS, TLS_VERSION, TLS_NAME, TLS_CIPHER = 1, 2, 0x20, 0x21, 0x22, 0x23


def read_header(conn):
    with conn.makefile("rb") as stream:
        found = read_v2(stream)
        assert stream.peek(4)[:4] == b"GET ", "the request begins where the header ends"
    return found


@pytest.fixture
def told(evlb, tmp_path):
    """told(version) starts evlb and returns it and a function: the header of the next connection."""
    site = pki.Authority(tmp_path / "ca").make(tmp_path / "site.pem", "a.test")
    server = socket.create_server(("127.0.0.1", 0))

    def start(version, more=""):
        lb = evlb(SSL.replace("VERSION", version).replace(" MORE", more), tls=site,
                  server=f"127.0.0.1:{server.getsockname()[1]}")

        def accept():
            server.settimeout(10)
            conn, _ = server.accept()
            with conn:
                conn.settimeout(10)
                header = read_header(conn)
                conn.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                return header
        return lb, accept
    yield start
    server.close()


def ask_over_tls(port, alpn):
    ctx = pki.context()
    ctx.set_alpn_protocols(alpn)
    c = pki.connect(port, "a.test", ctx)
    c.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    return c


@pytest.mark.parametrize("place", ["port_tls", "port_tcp"])
def test_the_server_is_told_of_the_clients_tls(told, place):
    lb, accept = told("v2-ssl")
    with ask_over_tls(lb.ports[place], ["http/1.1"]) as c:
        port, found = accept()
        assert port == c.getsockname()[1]
        if place == "port_tls":
            assert found.pop(ALPN) == b"http/1.1"
        assert found.pop(AUTHORITY) == b"a.test"
        tls = found.pop(TLS)
        assert tls[:5] == b"\x01\0\0\0\x01"  # over TLS, without a certificate
        assert tlvs(tls[5:]) == {TLS_VERSION: b"TLSv1.3", TLS_CIPHER: c.cipher()[0].encode()}
        assert not found


def test_nothing_is_said_of_tls_that_is_not_there_or_not_asked_for(told):
    lb, accept = told("v2-ssl")
    with http.Client(("127.0.0.1", lb.port)) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert accept()[1] == {}


def test_version_2_alone_has_no_entries(told):
    lb, accept = told("v2")
    with ask_over_tls(lb.ports["port_tls"], ["http/1.1"]):
        assert accept()[1] == {}


@pytest.mark.parametrize("subject, name", [
    ("/CN=ops/O=Example", b"ops"), ("/CN=sm\u00f8r", "sm\u00f8r".encode()), ("/O=Example", None),
    ("/CN=one/CN=two", None)])
def test_the_server_is_told_the_clients_certificate(told, tmp_path, subject, name):
    signer = clients.Signer(tmp_path / "clients", "clients")
    lb, accept = told("v2-ssl", f", client-ca: {signer.cert}, client-verify: required")
    certificate = signer.client("client", subject)
    ctx = pki.context()
    ctx.load_cert_chain(certificate)
    with pki.connect(lb.ports["port_tls"], "a.test", ctx) as c:
        c.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        tls = accept()[1][TLS]
    assert tls[:5] == b"\x07\0\0\0\0"  # shown on this connection, and valid
    assert tlvs(tls[5:]).get(TLS_NAME) == name
