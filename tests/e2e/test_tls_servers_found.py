# SPDX-License-Identifier: MIT
"""TLS to servers that are more than an address: all addresses of a name, SRV records, unix sockets."""
import pathlib
import tempfile

import pytest

from harness import tls, tls_origin, tools
from harness.nameserver import NameServer

BY_NAME = """
    workers: 1
    dns: {servers: $ns, min-ttl: 100ms, max-ttl: 1s, timeout: 200ms}
    listen: 127.0.0.1:$port
    servers: {web: "$server"}
    server-defaults: {tls: {ca: $ca$more}}
    resolve: all
    reuse: never
    health: $health
    passive: false
    retries: 0
"""
CHECKS = "{type: tls, every: 50ms, rise: 1, fall: 1}"
AT_SOCKET = """
    workers: 1
    listen: 127.0.0.1:$port
    servers: ["$server"]
    server-defaults: {tls: {ca: $ca, server-name: $name}}
    health: $health
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return tls.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def site(ca, tmp_path):
    return ca.make(tmp_path / "site.pem", "app.test")


@pytest.fixture
def origin():
    running = []

    def start(*args, **options):
        running.append(tls_origin.TlsOrigin(*args, **options))
        return running[-1]
    yield start
    for o in running:
        o.close()


@pytest.fixture
def ns():
    server = NameServer()
    yield server
    server.close()


@pytest.fixture
def path():
    """Of a socket, where everybody may go."""
    with tempfile.TemporaryDirectory() as directory:
        pathlib.Path(directory).chmod(0o755)
        yield pathlib.Path(directory) / "s"


def servers(lb):
    return {s["name"]: s for s in lb.status()["backends"][0]["servers"]}


def up(lb):
    return {name for name, s in servers(lb).items() if s["state"] == "up"}


def wait_up(lb, *names):
    tools.wait_for(f"up: {names}", lambda: up(lb) == set(names), 8)


@pytest.fixture
def two(origin, ns, ca, site):
    """Two servers of one name at one port."""
    a = origin(site, "a")
    b = origin(site, "b", at=("127.0.0.2", a.port))
    ns.set("app.test", "127.0.0.1", "127.0.0.2")
    return a, b


def by_name(evlb, ns, two, ca, more="", health="off"):
    return evlb(BY_NAME, ns=ns.address, server=f"app.test:{two[0].port}", ca=ca.cert, more=more,
                health=health)


# ---- all addresses of a name ----

def test_each_address_is_asked_for_the_name(evlb, ns, two, ca):
    """And resumes its own sessions: a ticket goes to the server that has made it."""
    lb = by_name(evlb, ns, two, ca)
    wait_up(lb, "web.1", "web.2")
    bodies = [lb.get("/").body.split()[0] for _ in range(8)]
    assert bodies.count(b"a") == bodies.count(b"b") == 4
    for server in two:
        assert set(server.sni) == {"app.test"}
        assert (server.handshakes, server.resumed, server.failures) == (4, 3, 0)
    found = servers(lb)
    assert [found[n]["counters"]["tls_resumed"] for n in ("web.1", "web.2")] == [3, 3]


def test_an_address_with_the_wrong_certificate(evlb, ns, two, ca, site, tmp_path):
    """Checks find it, requests go to the other one; nothing but that address is down."""
    lb = by_name(evlb, ns, two, ca, health=CHECKS)
    lb.allow_log("its certificate is for")
    wait_up(lb, "web.1", "web.2")
    two[1].context(ca.make(tmp_path / "x.pem", "x.test"))
    tools.wait_for("one is down", lambda: len(up(lb)) == 1, 8)
    down = next(s for n, s in servers(lb).items() if n not in up(lb) and s["state"] == "down")
    assert down["address"].startswith("127.0.0.2:")
    assert "its certificate is for x.test, not for app.test" in str(down)
    assert {lb.get("/").body.split()[0] for _ in range(4)} == {b"a"}
    two[1].context(site)
    wait_up(lb, "web.1", "web.2")


def test_an_address_that_comes_later(evlb, ns, two, origin, ca, site):
    a, b = two
    lb = by_name(evlb, ns, two, ca, health=CHECKS)
    wait_up(lb, "web.1", "web.2")
    c = origin(site, "c", at=("127.0.0.3", a.port))
    ns.set("app.test", "127.0.0.1", "127.0.0.3")
    tools.wait_for("c is asked", lambda: lb.get("/").body.startswith(b"c"), 8)
    tools.wait_for("two are up", lambda: len(up(lb)) == 2, 8)
    before = b.requests
    assert {lb.get("/").body.split()[0] for _ in range(6)} == {b"a", b"c"}
    assert b.requests == before and set(c.sni) == {"app.test"}


def test_a_name_of_its_own_for_all_addresses(evlb, ns, two, ca, tmp_path):
    for server in two:
        server.context(ca.make(tmp_path / "inner.pem", "inner.test"))
    lb = by_name(evlb, ns, two, ca, more=", server-name: inner.test")
    wait_up(lb, "web.1", "web.2")
    assert {lb.get("/").body.split()[0] for _ in range(4)} == {b"a", b"b"}
    assert set(two[0].sni) == {"inner.test"}


def test_srv_records(evlb, ns, origin, ca, site):
    """The certificate is for the name that is configured, not for what DNS says it leads to."""
    a = origin(site)
    ns.set("host.test", "127.0.0.1")
    ns.srv("_app._tcp.test", [(10, 1, a.port, "host.test")])
    lb = evlb(BY_NAME, ns=ns.address, server="srv:_app._tcp.test", ca=ca.cert,
              more=", server-name: app.test", health=CHECKS)
    tools.wait_for("it is up", lambda: up(lb), 8)
    assert lb.get("/").status == 200 and set(a.sni) == {"app.test"}


# ---- unix sockets ----

def test_a_unix_socket(evlb, origin, ca, site, path):
    a = origin(site, at=path)
    lb = evlb(AT_SOCKET, server=a, ca=ca.cert, name="app.test", health=CHECKS)
    tools.wait_for("checks", lambda: a.handshakes > 2)
    assert lb.get("/?size=3000000").body == b"b" * 3000000
    assert set(a.sni) == {"app.test"} and servers(lb)["s1"]["state"] == "up"


def test_a_unix_socket_with_another_certificate(evlb, origin, ca, site, path):
    lb = evlb(AT_SOCKET, server=origin(site, at=path), ca=ca.cert, name="other.test", health="off")
    lb.allow_log("its certificate is for")
    assert lb.get("/").status == 503
    assert lb.wait_access()[0]["detail"] == "its certificate is for app.test, not for other.test"


def test_a_unix_socket_in_mode_tcp(evlb, origin, ca, site, path):
    a = origin(site, echo=True, at=path)
    lb = evlb("""
        workers: 1
        frontends: {f: {listen: "127.0.0.1:$port", mode: tcp, backend: app}}
        backends: {app: {servers: ["$server"], tls: {ca: $ca, server-name: app.test}}}
    """, server=a, ca=ca.cert)
    with lb.client() as c:
        c.send(b"hello")
        assert c.read_exact(5) == b"hello"


@pytest.mark.parametrize("server", ["unix:/run/app.sock", "srv:_app._tcp.test"])
def test_check_asks_for_a_name(run_evlb, tmp_path, ca, server):
    """There is no host that a certificate could be for."""
    for more, status in (("", 1), (", server-name: app.test", 0), (", verify: false", 0)):
        (tmp_path / "evlb.yaml").write_text(
            f"listen: 80\nservers: ['{server}']\n"
            f"server-defaults: {{tls: {{ca: {ca.cert}{more}}}}}\n")
        r = run_evlb("check", "-c", tmp_path / "evlb.yaml")
        assert r.status == status, r
        assert ("add tls: {server-name: app.example.com}, or verify: false" in r.out) == (status == 1)
