# SPDX-License-Identifier: MIT
"""TLS to servers: verification, resumption, what fails and is tried elsewhere, pools, reloads, checks."""
import os
import socket
import ssl
import threading
import time

import pytest

from harness import http, procfs, tls, tls_origin, tools

WEB = """
    workers: 1
    listen: 127.0.0.1:$port
    servers: [$servers]
    server-defaults: {tls: {ca: $ca, server-name: a.test}}
    health: off
    timeout: {connect: 1s}
"""


@pytest.fixture(scope="module")
def site(ca, tmp_path_factory):
    return ca.make(tmp_path_factory.mktemp("site") / "site.pem", "a.test", "*.w.test", "IP:127.0.0.1")


@pytest.fixture
def origin(site):
    running = []

    def start(cert=site, *args, **options):
        running.append(tls_origin.TlsOrigin(cert, *args, **options))
        return running[-1]
    yield start
    for o in running:
        o.close()


@pytest.fixture
def web(evlb, ca):
    def start(*origins, config=WEB, **values):
        return evlb(config, servers=", ".join(map(str, origins)), ca=ca.cert, **values)
    return start


def counters(lb, server=0):
    return lb.status()["backends"][0]["servers"][server]["counters"]


def state(lb, server=0):
    return lb.status()["backends"][0]["servers"][server]


# ---- the connection ----

def test_a_request(web, origin):
    a = origin()
    lb = web(a)
    assert lb.get("/").body == b"a resumed=False body=0\n"
    assert a.sni == ["a.test"]
    c = counters(lb)
    assert (c["tls_handshakes"], c["tls_resumed"], c["tls_failures"]) == (1, 0, 0)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_large_bodies_both_ways(web, origin, version):
    lb = web(origin(maximum_version=version))
    assert lb.get("/?size=10485760").body == b"b" * 10485760
    assert lb.request("POST", "/", body=b"u" * 10485760).body.endswith(b"body=10485760\n")


def test_tls_on_both_sides(web, origin, ca, site):
    lb = web(origin(), config="""
        workers: 1
        listen: 127.0.0.1:$port
        tls: $site
        servers: [$servers]
        server-defaults: {tls: {ca: $ca, server-name: a.test}}
        health: off
    """, site=site)
    with tls.connect(lb.port, "a.test", tls.context(ca)) as s:
        assert tls.get(s, "/?size=3000000")[1] == b"b" * 3000000


def test_connections_are_pooled(web, origin):
    a = origin()
    lb = web(a)
    with lb.client() as c:
        for _ in range(5):
            assert c.get("/").status == 200
    assert (a.handshakes, a.requests) == (1, 5)


def test_sessions_are_resumed(web, origin):
    a = origin()
    lb = web(a, config=WEB + "    reuse: never\n")
    for _ in range(5):
        assert lb.get("/").status == 200
    assert (a.handshakes, a.resumed) == (5, 4)
    assert counters(lb)["tls_resumed"] == 4


def test_sessions_are_resumed_with_tls_1_2(web, origin):
    a = origin(maximum_version=ssl.TLSVersion.TLSv1_2)
    lb = web(a, config=WEB + "    reuse: never\n")
    for _ in range(3):
        assert lb.get("/").status == 200
    assert (a.handshakes, a.resumed) == (3, 2)


def test_connections_ahead_of_need_stay(web, origin):
    """The tickets that come behind the handshake are no reason to close an idle connection."""
    a = origin()
    lb = web(a, config=WEB + "    min-idle: 2\n")
    tools.wait_for("two connections", lambda: a.handshakes == 2)
    time.sleep(0.3)
    assert lb.get("/").status == 200
    assert a.handshakes == 2


def test_a_tunnel(web, origin):
    lb = web(origin())
    with lb.client() as c:
        c.send(b"GET /switch HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        assert b"101" in c.read_exact(12)
        c.sock.settimeout(5)
        data = b""
        c.send(b"hello tunnel")
        while not data.endswith(b"hello tunnel"):
            data += c.sock.recv(100)


def test_nginx_as_server(web, ca, site, tmp_path, port):
    p = port()
    (tmp_path / "nginx.conf").write_text(f"""
daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/nginx.err;
events {{}}
http {{ access_log off; client_body_temp_path {tmp_path}/n1; proxy_temp_path {tmp_path}/n2;
  fastcgi_temp_path {tmp_path}/n3; uwsgi_temp_path {tmp_path}/n4; scgi_temp_path {tmp_path}/n5;
  server {{ listen 127.0.0.1:{p} ssl; ssl_certificate {site}; ssl_certificate_key {site};
    location / {{ add_header X-Sni $ssl_server_name; return 200 "from nginx"; }} }} }}
""")
    nginx = tools.subprocess.Popen(["nginx", "-c", tmp_path / "nginx.conf", "-p", tmp_path])
    try:
        tools.wait_for("nginx listens", lambda: socket.socket().connect_ex(("127.0.0.1", p)) == 0)
        lb = web(f"127.0.0.1:{p}")
        r = lb.get("/")
        assert (r.body, r.headers["x-sni"]) == (b"from nginx", "a.test")
    finally:
        nginx.terminate()
        nginx.wait(10)


# ---- the end of a connection ----

def test_an_answer_until_close_needs_close_notify(web, origin):
    lb = web(origin())
    r = lb.get("/until-close")
    assert r.complete and len(r.body) == 1000
    with lb.client() as c:
        c.send(b"GET /until-close?cut HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(http.Closed, match="reset"):
            c.read_until_close()
    assert [line["end"] for line in lb.wait_access(2)] == ["ok", "server-closed-data"]


# ---- verification ----

def refused(lb, reason, requests=1):
    """requests: how many there were with this one."""
    assert lb.get("/").status == 503
    line = lb.wait_access(requests)[-1]
    assert line["end"] == "server-tls" and line["term"] == "SC"
    assert reason in line["detail"], line["detail"]


def test_another_name(web, origin, ca, tmp_path):
    cert = ca.make(tmp_path / "x.pem", "b.test", "c.test")
    a = origin(cert)
    lb = web(a)
    refused(lb, "its certificate is for b.test, c.test, not for a.test")
    assert a.requests == 0 and counters(lb)["tls_failures"] >= 1
    assert lb.wait_log("server default/s1: TLS: its certificate is for b.test")


@pytest.mark.parametrize("name,fits", [
    ("x.w.test", True), ("X.W.Test", True), ("x.y.w.test", False), ("w.test", False),
    ("127.0.0.1", True), ("127.0.0.2", False)])
def test_names_and_addresses(web, origin, name, fits):
    a = origin()
    lb = web(a, config=WEB.replace("a.test", name))
    if fits:
        assert lb.get("/").status == 200
    else:
        refused(lb, "not for " + name)
    assert a.sni[0] == (None if name.startswith("127") else name.lower())


def test_the_host_is_the_name_when_none_is_said(evlb, origin, ca):
    lb = evlb("""
        listen: 127.0.0.1:$port
        servers: [$a]
        server-defaults: {tls: {ca: $ca}}
        health: off
    """, a=origin(), ca=ca.cert)
    assert lb.get("/").status == 200  # by its address


def test_no_partial_wildcards(web, origin, ca, tmp_path):
    lb = web(origin(ca.make(tmp_path / "x.pem", "a*.test", "*a.test", "a.test.*")))
    refused(lb, "not for a.test")


def test_expired(web, origin, ca, tmp_path):
    lb = web(origin(ca.make(tmp_path / "x.pem", "a.test", days=-3)))
    refused(lb, "certificate has expired")


def test_unknown_authority(web, origin, tmp_path):
    other = tls.Authority(tmp_path / "other")
    lb = web(origin(other.make(tmp_path / "x.pem", "a.test")))
    refused(lb, "unknown authority: its certificate is signed by CN=test ca")


def test_the_systems_authorities(evlb, origin, ca):
    config = """
        listen: 127.0.0.1:$port
        servers: [$a]
        server-defaults: {tls: {server-name: a.test}}
        health: off
    """
    refused(evlb(config, a=origin()), "unknown authority")
    assert evlb(config, a=origin(), env={"SSL_CERT_FILE": ca.cert}).get("/").status == 200


def test_without_verification(web, origin, tmp_path):
    other = tls.Authority(tmp_path / "other")
    lb = web(origin(other.make(tmp_path / "x.pem", "z.test", days=-3)),
             config=WEB.replace("ca: $ca", "verify: false"))
    assert lb.get("/").status == 200


def test_the_certificate_itself_may_be_named(web, origin, tmp_path):
    other = tls.Authority(tmp_path / "other")
    cert = other.make(tmp_path / "x.pem", "a.test", ca=False)
    alone = tmp_path / "alone.pem"
    alone.write_text(cert.read_text().split("-----BEGIN PRIVATE")[0])
    lb = web(origin(cert), config=WEB.replace("$ca", str(alone)))
    assert lb.get("/").status == 200


def test_versions(web, origin):
    lb = web(origin(maximum_version=ssl.TLSVersion.TLSv1_2),
             config=WEB.replace("a.test", "a.test, min: 1.3"))
    refused(lb, "protocol version")


def test_alpn(web, origin):
    a = origin()
    a.ctx.set_alpn_protocols(["http/1.1"])
    lb = web(a, config=WEB.replace("a.test", "a.test, alpn: http/1.1"))
    assert lb.get("/").status == 200


# ---- a certificate of ours ----

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificate(web, origin, ca, tmp_path, version):
    mine = ca.make(tmp_path / "mine.pem", "balancer.test")
    a = origin(client_ca=ca.cert, maximum_version=version)
    lb = web(a, config=WEB.replace("a.test", "a.test, client-cert: $mine"), mine=mine)
    assert lb.get("/").status == 200
    assert a.subjects == ["balancer.test"]


def test_a_client_certificate_that_is_not_there(web, origin, ca):
    lb = web(origin(client_ca=ca.cert, maximum_version=ssl.TLSVersion.TLSv1_2))
    refused(lb, "handshake failure")
    lb = web(origin(client_ca=ca.cert))  # TLS 1.3 tells behind the handshake
    assert lb.get("/").status == 502
    assert "certificate required" in lb.wait_access()[-1]["detail"]


def test_control_has_no_keys(web, origin, ca, tmp_path):
    mine = ca.make(tmp_path / "mine.pem", "balancer.test")
    lb = web(origin(), config=WEB.replace("a.test", "a.test, client-cert: $mine"), mine=mine)
    for _ in range(2):
        pids = {procfs.title(pid).split()[1]: pid for pid in lb.children()}
        assert procfs.holds(pids["worker"], tls.secret_of(mine))
        assert not procfs.holds(pids["control"], tls.secret_of(mine))
        lb.reload()


def test_a_directory_with_keys_in_pem_files(web, origin, ca, tmp_path, run_evlb):
    """Control, which sees no content of them, counts the certificates as the others do."""
    mine = ca.make(tmp_path / "mine/own.crt", "balancer.test", apart=tmp_path / "mine/own.key")
    ca.make(tmp_path / "apart.crt", "apart.test", apart=mine.parent / "apart.pem")
    ca.make(tmp_path / "apart.crt", "apart.test", apart=mine.parent / "zz.pem")
    a = origin(client_ca=ca.cert, maximum_version=ssl.TLSVersion.TLSv1_2)
    lb = web(a, config=WEB.replace("a.test", "a.test, client-cert: $mine"), mine=mine.parent)
    control = [pid for pid in lb.children() if procfs.title(pid).split()[1] == "control"]
    lb.reload()
    lb.reload()
    assert lb.get("/").status == 200 and a.subjects == ["balancer.test"]
    assert control == [pid for pid in lb.children() if procfs.title(pid).split()[1] == "control"]
    assert run_evlb("diff", lb.config_file).status == 0
    for secret in (mine.parent / "apart.pem", mine.parent / "own.key"):
        assert not procfs.holds(control[0], tls.secret_of(secret))


# ---- servers that misbehave in the handshake ----

def stall(conn):
    threading.Event().wait(5)


def reset(conn):
    conn.recv(1)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    conn.close()
    return True


def close(conn):
    conn.close()
    return True


def half_a_hello(conn):
    conn.recv(4096)
    conn.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")
    conn.close()
    return True


def plain_text(conn):
    """CVE-2026-1642 of nginx: an answer in plain text before the handshake."""
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil!")
    time.sleep(0.2)
    conn.close()
    return True


@pytest.mark.parametrize("before,reason", [
    (reset, ("reset", "closed")), (close, ("reset", "closed")), (half_a_hello, ("closed", "reset")),
    (plain_text, ("does not speak TLS",))])
def test_a_broken_handshake(web, origin, before, reason):
    bad, good = origin(before=before), origin()
    lb = web(bad)
    assert lb.get("/").status == 503
    line = lb.wait_access()[-1]
    assert line["end"] == "server-tls" and any(r in line["detail"] for r in reason), line["detail"]
    lb.stop()
    lb = web(bad, good)  # and with another server nobody notices
    for _ in range(6):
        assert lb.request("POST", "/", body=b"12345").body.endswith(b"body=5\n")
    assert {line["end"] for line in lb.wait_access(6)} == {"ok"}


def test_a_stalled_handshake(web, origin):
    lb = web(origin(before=stall))
    began = time.monotonic()
    assert lb.get("/").status == 504
    assert time.monotonic() - began > 0.9
    line = lb.wait_access()[-1]
    assert (line["end"], line["term"]) == ("server-tls-timeout", "sC")


def test_a_stalled_handshake_is_tried_elsewhere(web, origin):
    lb = web(origin(before=stall), origin())
    assert lb.get("/").status == 200
    assert lb.get("/").status == 200


def test_a_client_that_leaves_in_the_handshake(web, origin):
    lb = web(origin(before=stall), config=WEB.replace("connect: 1s", "connect: 10s"))
    c = lb.client()
    c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(0.3)
    c.reset()
    assert lb.wait_access()[0]["end"] == "client-closed-connect"


# ---- PROXY header ----

def test_the_proxy_header_comes_before_tls(web, origin):
    a = origin(header=28)
    lb = web(a, config=WEB + "    send-proxy: v2\n")
    assert lb.get("/").status == 200
    assert a.headers[0].startswith(b"\r\n\r\n\0\r\nQUIT\n\x21\x11")


# ---- mode tcp ----

TCP = """
    workers: 1
    frontends: {f: {listen: "127.0.0.1:$port", mode: tcp, backend: app}}
    backends:
      app: {servers: [$servers], tls: {ca: $ca, server-name: a.test}, timeout: {connect: 1s}$more}
"""


def test_tcp_both_ways(web, origin):
    lb = web(origin(echo=True), config=TCP, more="")
    data = os.urandom(3 << 20)
    with socket.create_connection(("127.0.0.1", lb.port), timeout=10) as s:
        threading.Thread(target=s.sendall, args=(data,), daemon=True).start()
        back = b""
        while len(back) < len(data):
            back += s.recv(65536)
        assert back == data
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b""
    assert lb.wait_access()[0]["end"] == "ok"


def test_tcp_a_server_that_speaks_first(web, origin):
    a = origin()
    a._http = lambda s: (s.sendall(b"220 hello\r\n"), s.recv(10))
    lb = web(a, config=TCP, more="")
    with socket.create_connection(("127.0.0.1", lb.port), timeout=10) as s:
        assert s.recv(100) == b"220 hello\r\n"


def test_tcp_a_cut_is_an_error(web, origin):
    a = origin()
    a._http = lambda s: (s.recv(10), s.sendall(b"half"), s.shutdown(socket.SHUT_RDWR))
    lb = web(a, config=TCP, more="")
    with socket.create_connection(("127.0.0.1", lb.port), timeout=10) as s:
        s.sendall(b"x")
        assert s.recv(100) == b"half"
        with pytest.raises(ConnectionResetError):
            s.recv(100)
    assert lb.wait_access()[0]["end"] == "server-closed-data"


@pytest.mark.parametrize("before", [reset, plain_text, stall])
def test_tcp_a_broken_handshake_is_tried_elsewhere(web, origin, before):
    lb = web(origin(before=before), origin(echo=True), config=TCP, more="")
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", lb.port), timeout=10) as s:
            s.sendall(b"hello")
            assert s.recv(100) == b"hello"


def test_tcp_why_it_failed(web, origin, ca, tmp_path):
    lb = web(origin(ca.make(tmp_path / "x.pem", "b.test")), config=TCP, more="")
    with socket.create_connection(("127.0.0.1", lb.port), timeout=10) as s:
        with pytest.raises(ConnectionResetError):
            s.sendall(b"x")
            s.recv(1)
    line = lb.wait_access()[0]
    assert (line["end"], line["detail"]) == (
        "server-tls", "its certificate is for b.test, not for a.test")


def test_tcp_the_proxy_header_comes_before_tls(web, origin):
    a = origin(echo=True, header=28)
    lb = web(a, config=TCP, more=", send-proxy: v2")
    with socket.create_connection(("127.0.0.1", lb.port), timeout=10) as s:
        s.sendall(b"hello")
        assert s.recv(100) == b"hello"
    assert a.headers[0].startswith(b"\r\n\r\n\0\r\nQUIT\n\x21\x11")


# ---- which servers ----

def test_own_beats_defaults_beats_backend(evlb, origin, sim, ca):
    a, b, plain = origin(name="a"), origin(name="b"), sim("p")
    lb = evlb("""
        workers: 1
        frontends: {f: {listen: "127.0.0.1:$port", backend: app}}
        backends:
          app:
            health: off
            tls: {ca: $ca, server-name: wrong.test}
            server-defaults: {tls: {server-name: a.test}}
            servers:
              a: $a
              b: {address: $b, tls: {server-name: x.w.test}}
              p: {address: $p, tls: false}
    """, plain, a=a, b=b, ca=ca.cert)
    assert {lb.get("/").body.split()[0] for _ in range(3)} >= {b"a", b"b"}
    assert {lb.get("/").status for _ in range(3)} == {200}
    assert (set(a.sni), set(b.sni)) == ({"a.test"}, {"x.w.test"})
    assert plain["p"].count()["requests"] > 0


def test_a_server_that_is_added(web, origin, run_evlb):
    a, b = origin(name="a"), origin(name="b")
    lb = web(a)
    r = run_evlb("ctl", "--socket", lb.socket, "server", "add", "default/new", b.address)
    assert r.status == 0, r.err
    assert {lb.get("/").body.split()[0] for _ in range(4)} == {b"a", b"b"}


def test_one_name_for_two_servers_never_shares_a_session(web, origin):
    a, b = origin(name="a"), origin(name="b")
    lb = web(a, b, config=WEB + "    reuse: never\n")
    for _ in range(8):
        assert lb.get("/").status == 200
    assert (a.failures, b.failures) == (0, 0)
    assert (a.handshakes - a.resumed, b.handshakes - b.resumed) == (1, 1)


# ---- reloads ----

def test_a_reload_keeps_what_has_not_changed(web, origin):
    a = origin()
    lb = web(a)
    with lb.client() as c:
        assert c.get("/").status == 200
        lb.reload()
        assert c.get("/").status == 200
    assert a.handshakes == 1


@pytest.mark.parametrize("change", ["a.test, verify: false", "x.w.test", "a.test, min: 1.3"])
def test_a_reload_with_other_terms_uses_neither_connections_nor_sessions(web, origin, ca, change):
    a = origin()
    lb = web(a)
    assert lb.get("/").status == 200
    lb.reload(WEB.replace("a.test", change))
    assert lb.get("/").status == 200
    assert (a.handshakes, a.resumed) == (2, 0)


def test_a_reload_with_another_authority_in_the_same_file(web, origin, ca, tmp_path):
    file, other = tmp_path / "trust.pem", tls.Authority(tmp_path / "other")
    file.write_text(ca.cert.read_text())
    a = origin()
    lb = web(a, config=WEB.replace("$ca", str(file)))
    assert lb.get("/").status == 200
    file.write_text(other.cert.read_text())
    lb.reload()
    refused(lb, "unknown authority", requests=2)


def test_a_reload_to_plain_text(web, origin):
    a = origin()
    lb = web(a)
    assert lb.get("/").status == 200
    lb.reload(WEB.replace("    server-defaults: {tls: {ca: $ca, server-name: a.test}}\n", ""))
    assert lb.get("/").status == 502  # it speaks TLS still
    assert a.handshakes == 1


# ---- checks ----

CHECKED = """
    workers: 1
    listen: 127.0.0.1:$port
    servers: [$servers]
    server-defaults: {tls: {ca: $ca, server-name: a.test}}
    health: {type: $type, every: 50ms, fall: 1, rise: 1, timeout: 1s}
    passive: false
"""


def wait_state(lb, wanted):
    return tools.wait_for(wanted, lambda: state(lb)["state"] == wanted and state(lb), timeout=8)


@pytest.mark.parametrize("type", ["tls", "http"])
def test_checks_over_tls(web, origin, ca, site, tmp_path, type):
    a = origin()
    lb = web(a, config=CHECKED, type=type)
    tools.wait_for("a check", lambda: a.handshakes > 3)
    assert state(lb)["state"] == "up"
    assert a.resumed == 0 and (a.requests > 0) == (type == "http")
    a.context(ca.make(tmp_path / "x.pem", "b.test"))
    down = wait_state(lb, "down")
    assert "its certificate is for b.test, not for a.test" in str(down), down
    a.context(site)
    wait_state(lb, "up")


def test_a_check_of_a_server_that_stalls(web, origin):
    lb = web(origin(before=stall), config=CHECKED.replace("1s", "200ms"), type="tls")
    assert "no end of the TLS handshake within 200 ms" in str(wait_state(lb, "down"))


def test_a_check_of_a_server_that_speaks_plain_text(web, sim):
    lb = web(sim("p")["p"], config=CHECKED, type="tls")
    assert "does not speak TLS" in str(wait_state(lb, "down"))


def test_the_default_check_sees_a_bad_certificate(web, origin, ca, tmp_path):
    bad = origin(ca.make(tmp_path / "x.pem", "a.test", days=-3))
    lb = web(bad, origin(), config=CHECKED.replace("type: $type, ", ""))
    assert "certificate has expired" in str(wait_state(lb, "down"))
    assert {lb.get("/").status for _ in range(4)} == {200}


def test_checks_have_a_certificate_of_their_own(web, origin, ca, tmp_path):
    check = ca.make(tmp_path / "check.pem", "check.test")
    a = origin(client_ca=ca.cert, maximum_version=ssl.TLSVersion.TLSv1_2)
    lb = web(a, config=CHECKED.replace("$type", "tls, client-cert: $check"), check=check)
    tools.wait_for("a check", lambda: "check.test" in a.subjects)
    assert state(lb)["state"] == "up"


def test_checks_of_servers_behind_passthrough(web, origin):
    """The servers speak TLS with the clients: checks do not verify what is not said."""
    a = origin()
    lb = web(a, config="""
        workers: 1
        frontends: {f: {listen: "127.0.0.1:$port", mode: tcp, backend: app}}
        backends: {app: {servers: [$servers], health: {type: tls, every: 50ms}}}
    """)
    tools.wait_for("checks", lambda: a.handshakes > 2)
    assert state(lb)["state"] == "up"


# ---- what `check` says ----

@pytest.mark.parametrize("key,content,message", [
    ("ca", "nothing", "holds no certificate"),
    ("ca", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
    ("ca", None, "holds a key"),  # which control would get
    ("verify: false, ca", None, "holds a key"),
    ("client-cert", "nothing", "holds no certificate"),
])
def test_bad_files_are_named(run_evlb, tmp_path, ca, key, content, message):
    bad = tmp_path / "bad.pem"
    if content is None:
        ca.make(bad, "a.test")
    else:
        bad.write_text(content)
    more = "" if key.endswith("ca") else f", ca: {ca.cert}"
    (tmp_path / "evlb.yaml").write_text(
        f"listen: 80\nservers: [127.0.0.1:443]\nserver-defaults: {{tls: {{{key}: {bad}{more}}}}}\n")
    r = run_evlb("check", "-c", tmp_path / "evlb.yaml")
    assert r.status == 1
    assert "bad.pem" in r.err + r.out and message in " ".join((r.err + r.out).split())


@pytest.mark.parametrize("more,said", [
    ("", "all that is in '{bad}' has expired: no server is accepted"),
    ("good", "1 of the 2 certificates in '{bad}' has expired"),
])
def test_expired_authorities_are_warned_of(run_evlb, tmp_path, ca, more, said):
    bad = tmp_path / "bad.pem"
    leaf = ca.make(tmp_path / "old.pem", "o.test", days=-3, ca=False).read_text()
    bad.write_text(leaf[:leaf.index("-----BEGIN PRIVATE")] + (ca.cert.read_text() if more else ""))
    for verify, warned in ("true", True), ("false", False):
        (tmp_path / "evlb.yaml").write_text(
            "listen: 80\nservers: [127.0.0.1:443]\n"
            f"server-defaults: {{tls: {{ca: {bad}, verify: {verify}}}}}\n")
        r = run_evlb("check", "-c", tmp_path / "evlb.yaml")
        out = " ".join((r.err + r.out).split())
        assert r.status == 0 and (said.format(bad=bad) in out) == warned, out


def test_a_check_without_certificate_is_warned_of(run_evlb, tmp_path, ca):
    mine = ca.make(tmp_path / "mine.pem", "m.test")
    (tmp_path / "evlb.yaml").write_text(f"""
listen: 80
servers: [127.0.0.1:443]
health: GET /
server-defaults: {{tls: {{ca: {ca.cert}, client-cert: {mine}}}}}
""")
    r = run_evlb("check", "-c", tmp_path / "evlb.yaml")
    assert r.status == 0 and "have no certificate to show" in " ".join((r.err + r.out).split())


def test_explain_and_diff(run_evlb, tmp_path, ca):
    text = f"listen: 80\nservers: [127.0.0.1:443]\nserver-defaults: {{tls: {{ca: {ca.cert}, %s}}}}\n"
    file = tmp_path / "evlb.yaml"
    file.write_text(text % "min: 1.3")
    out = run_evlb("explain", "-c", file).out
    assert f"tls: {{enabled: true, ca: {ca.cert}, verify: true, server-name: 127.0.0.1, min: 1.3}}" \
        in " ".join(out.replace('"', "").split()), out


# ---- the example ----

def test_the_example(evlb, origin, ca, site, tmp_path):
    text = (tools.ROOT / "configs/tls-to-servers/evlb.yaml").read_text()
    a, b = origin(name="a"), origin(ca.make(tmp_path / "b.pem", "app-b.internal"), name="b")
    for old, new in {"listen: 443": 'listen: "127.0.0.1:$port"', "site.pem\n": f"{site}\n",
                     "internal-ca.pem}": f"{ca.cert}}}", "app-a.internal:443": a.address,
                     "10.0.0.12:443": b.address}.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    lb = evlb(text)
    with tls.connect(lb.port, "a.test", tls.context(ca)) as s:
        assert {tls.get(s)[1].split()[0] for _ in range(4)} == {b"a", b"b"}
    assert set(b.sni) == {"app-b.internal"}
