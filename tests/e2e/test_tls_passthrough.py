# SPDX-License-Identifier: MIT
"""TLS that does not end here: connections go by what their ClientHello asks for."""
import resource
import socket
import ssl
import subprocess
import threading
import time

import pytest

from harness import proxy_header, tls, tls_server, tools
from harness.wire import Growth, eventually, sanitized

BY_NAME = """
    workers: 2
    frontends:
      names:
        listen: "127.0.0.1:$port"
        mode: tcp
        timeout: {tls-handshake: 1500ms}
        routes:
          - {alpn: acme-tls/1, backend: acme}
          - {host: a.test, backend: a}
          - {host: "*.w.test", backend: w}
          - {host: bad.test, deny: 403}
    backends:
      a: [$a]
      w: [$w]
      acme: [$acme]
"""
REST = BY_NAME.replace("    backends:", "        backend: a\n    backends:")
ALERT_UNRECOGNIZED_NAME, ALERT_ACCESS_DENIED = b"\x15\x03\x03\0\2\2\x70", b"\x15\x03\x03\0\2\2\x31"


@pytest.fixture(scope="module")
def pems(ca, tmp_path_factory):
    """A certificate per server: what a client is shown tells which one it has reached."""
    directory = tmp_path_factory.mktemp("pem")
    return {name: ca.make(directory / f"{name}.pem", *names)
            for name, names in {"a": ["a.test"], "w": ["*.w.test"], "acme": ["a.test", "x.w.test"],
                                "front": ["front.test", "*.front.test"]}.items()}


@pytest.fixture
def server(pems):
    running = []
    def start(name, pem=None, **options):
        running.append(tls_server.Server(pems[pem or name], name, **options))
        return running[-1]
    yield start
    for s in running:
        s.stop()


@pytest.fixture
def servers(server):
    return {"a": server("a", alpn=["h2", "http/1.1"]), "w": server("w"),
            "acme": server("acme", alpn=["acme-tls/1"])}


@pytest.fixture
def lb(evlb, servers):
    return evlb(BY_NAME, **servers)


def talk(s, name, text=b"hello"):
    """The server behind is this one, and bytes pass both ways."""
    s.settimeout(10)
    data = b""
    while not data.endswith(b"\n"):
        more = s.recv(100)
        assert more, data
        data += more
    assert data == name.encode() + b"\n"
    s.sendall(text)
    data = b""
    while len(data) < len(text):
        data += s.recv(65536)
    assert data == text


def hello_of(name, alpn=()):
    """The ClientHello of Python's client."""
    ctx = tls.context()
    if alpn:
        ctx.set_alpn_protocols(list(alpn))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ctx.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def raw(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def counted(lb, name):
    return lb.counters()[name]


def read_all(s):
    data = b""
    while more := s.recv(65536):
        data += more
    return data


# ---- by name ----

@pytest.mark.parametrize("name, expected", [("a.test", "a"), ("x.w.test", "w"), ("A.Test", "a"),
                                          ("deep.x.w.test", "w")])
def test_the_name_decides_and_the_server_shows_its_certificate(lb, ca, servers, name, expected):
    ctx = tls.context(ca)
    ctx.check_hostname = name != "deep.x.w.test"  # no certificate of ours is for that one
    with tls.connect(lb.port, name, ctx) as s:
        assert tls.names(s) == ({"a.test"} if expected == "a" else {"*.w.test"})
        talk(s, expected)
    assert servers[expected].seen[0]["sni"].lower() == name.lower()
    line = lb.wait_access()[0]
    assert (line["sni"], line["backend"], line["tls"]) == (name.lower(), expected, None)
    assert line["proto"] == "tcp"
    assert line["end"] in ("ok", "client-closed-data")  # it does not wait for the server's "bye"


def test_what_is_offered_decides_before_the_name(lb, ca, servers):
    ctx = tls.context(ca)
    ctx.set_alpn_protocols(["h2", "acme-tls/1"])
    with tls.connect(lb.port, "a.test", ctx) as s:
        assert s.selected_alpn_protocol() == "acme-tls/1"
        talk(s, "acme")
    ctx.set_alpn_protocols(["h2", "http/1.1"])
    with tls.connect(lb.port, "a.test", ctx) as s:
        assert s.selected_alpn_protocol() == "h2"
        talk(s, "a")
    lines = lb.wait_access(2)
    assert {line["alpn"] for line in lines} == {"h2,acme-tls/1", "h2,http/1.1"}


@pytest.mark.parametrize("name", ["other.test", None])
def test_without_a_route_the_client_is_told(lb, name):
    with raw(lb.port) as s:
        s.sendall(hello_of(name))
        assert read_all(s) == ALERT_UNRECOGNIZED_NAME
    line = lb.wait_access()[0]
    assert (line["end"], line["backend"], line["sni"]) == ("no-route", None, name)
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        tls.connect(lb.port, name)


def test_a_denied_name_is_told(lb, servers):
    with raw(lb.port) as s:
        s.sendall(hello_of("bad.test"))
        assert read_all(s) == ALERT_ACCESS_DENIED
    assert lb.wait_access()[0]["end"] == "denied"
    assert not any(s.seen for s in servers.values())


def test_the_rest_goes_to_the_backend_of_the_frontend(evlb, servers):
    lb = evlb(REST, **servers)
    for name in ("other.test", None):
        with tls.connect(lb.port, name) as s:
            talk(s, "a")


# ---- how the hello comes ----

def test_the_hello_cut_at_every_byte(evlb, sim):
    """The server behind echoes: what it got is what was sent."""
    lb = evlb(BY_NAME.replace("1500ms", "30s"), a=sim("a", mode="tcp-echo")["a"],
              w="127.0.0.1:1", acme="127.0.0.1:1")
    hello = hello_of("a.test")
    with raw(lb.port) as s:
        for i in range(len(hello)):
            s.sendall(hello[i:i + 1])
            if i % 7 == 0:
                time.sleep(0.001)
        assert s.recv(65536) == hello
    connections = []
    for cut in range(1, len(hello), 5):
        s = raw(lb.port)
        s.sendall(hello[:cut])
        connections.append((s, hello[cut:]))
    time.sleep(0.1)
    for s, rest in connections:
        s.sendall(rest)
    for s, _ in connections:
        data = b""
        while len(data) < len(hello):
            data += s.recv(65536)
        assert data == hello
        s.close()


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_hello_in_several_records(lb, ca, size):
    """As clients behind some middleboxes send it, and those that hide the name from others."""
    outer = socket.create_server(("127.0.0.1", 0))
    def recut():
        client, _ = outer.accept()
        with client, raw(lb.port) as s:
            first = client.recv(65536)
            message = first[5:]
            s.sendall(b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece
                               for piece in (message[i:i + size]
                                             for i in range(0, len(message), size))))
            threading.Thread(target=forward, args=(s, client), daemon=True).start()
            forward(client, s)
    threading.Thread(target=recut, daemon=True).start()
    with outer, tls.connect(outer.getsockname()[1], "a.test", tls.context(ca)) as s:
        talk(s, "a")


def forward(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize("bytes_sent", [0, 1, 100])
def test_a_client_that_stalls_is_closed_in_time(lb, servers, bytes_sent):
    begin = time.monotonic()
    with raw(lb.port) as s:
        s.sendall(hello_of("a.test")[:bytes_sent])
        assert s.recv(1) == b""
    assert 1.3 < time.monotonic() - begin < 8
    line = lb.wait_access()[0]
    assert (line["end"], line["term"], line["proto"]) == ("tls-timeout", "cR", "tcp")
    assert line["detail"] == ("the ClientHello did not end" if bytes_sent
                              else "the client has sent nothing")
    assert not servers["a"].seen


def test_a_client_that_leaves_within_its_hello(lb):
    with raw(lb.port) as s:
        s.sendall(hello_of("a.test")[:100])
    with raw(lb.port):  # without a word: as if it had never been there
        pass
    assert eventually(lambda: counted(lb, "connections") == 2)
    assert eventually(lambda: lb.status()["frontends"][0]["connections_current"] == 0)
    assert [(line["end"], line["detail"], line["proto"]) for line in lb.wait_access()] == \
        [("client-closed-request", "the client left in its ClientHello", "tcp")]
    assert counted(lb, "tls_failures") == 0


def test_thousands_that_stop_half_way(evlb, servers):
    """Half a hello costs about as much as it is long, in reach of others; all are gone in time."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    lb = evlb(BY_NAME.replace("1500ms", "8s").replace("workers: 2", "workers: 1"), **servers)
    with tls.connect(lb.port, "a.test") as s:
        talk(s, "a")
    worker = lb.workers()[0]
    hello, n = hello_of("a.test"), 1000 if sanitized(worker) else 2000
    growth, clients = Growth(worker), []
    for _ in range(n):
        clients.append(raw(lb.port))
        clients[-1].sendall(hello[:len(hello) // 2])
    assert eventually(lambda: lb.status()["frontends"][0]["connections_current"] >= n)
    growth.look()
    with tls.connect(lb.port, "a.test") as s:
        talk(s, "a")
    assert growth.stayed_under(n * 1.2)  # KiB each
    assert eventually(lambda: lb.status()["frontends"][0]["connections_current"] == 0, 15)
    for c in clients:
        assert c.recv(1) == b""
        c.close()
    assert counted(lb, "tls_failures") == 0  # no TLS of ours
    assert sum(line["end"] == "tls-timeout" for line in lb.wait_access(n + 2)) == n


def test_a_broken_hello_is_refused(lb):
    hello = bytearray(hello_of("a.test"))
    hello[43] = 255  # the session id is longer than all of it
    with raw(lb.port) as s:
        s.sendall(hello)
        assert read_all(s) == b"\x15\x03\x03\0\2\2\x32"
    line = lb.wait_access()[0]
    assert (line["end"], line["proto"]) == ("tls-failed", "tcp") and "ClientHello" in line["detail"]
    assert counted(lb, "tls_failures") == 0


def test_a_broken_hello_on_a_mixed_port_is_a_failure_of_ours(mixed):
    hello = bytearray(hello_of("a.test"))
    hello[43] = 255
    with raw(mixed.port) as s:
        s.sendall(hello)
        assert read_all(s) == b"\x15\x03\x03\0\2\2\x32"
    line = mixed.wait_access()[0]
    assert (line["end"], line["proto"]) == ("tls-failed", "tls")
    assert counted(mixed, "tls_failures") == 1


def test_a_hello_beyond_the_limit(lb):
    with raw(lb.port) as s:
        s.sendall(b"\x16\x03\x01\x40\x00\x01\x00\x7f\xff" + bytes(17000))
        assert read_all(s) == b"\x15\x03\x03\0\2\2\x32"
    assert lb.wait_access()[0]["end"] == "tls-failed"


@pytest.mark.parametrize("text", [b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", b"\x80\x2e\x01\x03\x01"])
def test_what_is_no_tls(evlb, lb, sim, text):
    with raw(lb.port) as s:
        s.sendall(text)
        assert read_all(s) == b""
    line = lb.wait_access()[0]
    assert (line["end"], line["detail"]) == ("no-route", "the client speaks no TLS")
    other = evlb(REST, a=sim("a", mode="tcp-echo")["a"], w="127.0.0.1:1", acme="127.0.0.1:1")
    with raw(other.port) as s:
        s.sendall(text)
        assert s.recv(1000) == text


# ---- ends, failures ----

def test_close_notify_passes_in_both_directions(lb, ca, servers):
    s = tls.connect(lb.port, "a.test", tls.context(ca))
    s.suppress_ragged_eofs = False
    talk(s, "a")
    try:
        s.unwrap()  # sends our close_notify, then waits for the other's
    except ssl.SSLError as e:  # what was sent before it: "bye"
        assert "APPLICATION_DATA_AFTER_CLOSE_NOTIFY" in str(e)
    s.close()
    assert eventually(lambda: servers["a"].seen[0].get("end") == "close_notify")


def test_a_half_close_passes(evlb, sim):
    lb = evlb(BY_NAME, a=sim("a", mode="tcp-echo")["a"], w="127.0.0.1:1", acme="127.0.0.1:1")
    hello = hello_of("a.test")
    with raw(lb.port) as s:
        s.sendall(hello)
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == hello


def test_a_reset_passes(lb, ca, servers):
    s = tls.connect(lb.port, "a.test", tls.context(ca))
    talk(s, "a")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    s.close()
    assert eventually(lambda: servers["a"].seen[0].get("end") in ("ConnectionResetError", "SSLEOFError"))


def test_a_dead_server_is_passed_over_with_the_hello_kept(evlb, servers, port):
    text = BY_NAME.replace("a: [$a]", "a: {balance: first, servers: [$dead, $a]}")
    lb = evlb(text, dead=f"127.0.0.1:{port()}", **servers)
    for _ in range(3):
        with tls.connect(lb.port, "a.test") as s:
            talk(s, "a")
    assert lb.wait_access(3)[0]["retries"] == 1


def test_no_server(evlb, servers, port):
    lb = evlb(BY_NAME, **{**servers, "a": f"127.0.0.1:{port()}"})
    with raw(lb.port) as s:
        s.sendall(hello_of("a.test"))
        with pytest.raises(ConnectionResetError):
            s.recv(1)
    assert lb.wait_access()[0]["end"] in ("server-refused", "no-server")


def test_sessions_of_a_server_that_goes_down_are_cut(evlb, servers):
    text = BY_NAME.replace("a: [$a]", "a: {on-server-down: close, health: {type: tcp, every: 100ms, "
                           "fall: 1}, servers: [$a]}")
    lb = evlb(text, **servers)
    s = tls.connect(lb.port, "a.test")
    talk(s, "a")
    servers["a"].listener.close()
    s.settimeout(10)
    with pytest.raises(OSError):
        s.sendall(b"x")
        while s.recv(100):
            pass
        raise ConnectionResetError  # an end in order would do as well
    assert eventually(lambda: [x for x in lb.access_log() if x["end"] == "server-down"])


def test_resumption_is_between_client_and_server(lb, ca, servers):
    ctx = tls.context(ca, maximum_version=ssl.TLSVersion.TLSv1_2)
    with tls.connect(lb.port, "a.test", ctx) as s:
        talk(s, "a")
        session = s.session
    with tls.connect(lb.port, "a.test", ctx, session=session) as s:
        talk(s, "a")
        assert s.session_reused
    assert [x["resumed"] for x in servers["a"].seen] == [False, True]


# ---- PROXY headers ----

def test_proxy_headers_in_and_out(evlb, server):
    behind = server("a", proxy=True)
    text = BY_NAME.replace('listen: "127.0.0.1:$port"',
                           'listen: {address: "127.0.0.1:$port", accept-proxy: true}\n'
                           "        trusted-proxies: 127.0.0.1")
    text = text.replace("a: [$a]", "a: {send-proxy: v1, servers: [$a]}")
    lb = evlb(text, a=behind, w="127.0.0.1:1", acme="127.0.0.1:1")
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n"
    ctx = tls.context()
    for cut in (0, 10, len(header), len(header) + 50):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        obj = ctx.wrap_bio(incoming, outgoing, server_hostname="a.test")
        with raw(lb.port) as s:
            first = True
            while True:
                try:
                    data = obj.read(100)
                    break
                except ssl.SSLWantReadError:
                    out = (header if first else b"") + outgoing.read()
                    if first:
                        s.sendall(out[:cut])
                        time.sleep(0.02)
                        out, first = out[cut:], False
                    if out:
                        s.sendall(out)
                    incoming.write(s.recv(65536))
            assert data == b"a\n"
    assert {x["proxy"] for x in behind.seen} == {header.decode().strip()}
    assert lb.wait_access()[0]["client"] == "192.0.2.7"


@pytest.mark.parametrize("name, entries", [("A.test", {2: b"a.test"}), (None, {})])
def test_a_version_2_header_has_the_name_asked_for(evlb, name, entries):
    server = socket.create_server(("127.0.0.1", 0))
    text = REST.replace("a: [$a]", "a: {send-proxy: v2-ssl, servers: [$a]}")
    lb = evlb(text, a=f"127.0.0.1:{server.getsockname()[1]}", w="127.0.0.1:1", acme="127.0.0.1:1")
    hello = hello_of(name, ["h2"])
    server.settimeout(10)
    with server, raw(lb.port) as s:
        s.sendall(hello)
        conn, _ = server.accept()
        conn.settimeout(10)
        with conn, conn.makefile("rb") as stream:
            assert proxy_header.read_v2(stream) == (s.getsockname()[1], entries)
            assert stream.read(len(hello)) == hello


# ---- reload ----

def test_a_reload_changes_routes_under_load(evlb, servers):
    lb = evlb(BY_NAME, **servers)
    stop, bad, seen = threading.Event(), [], set()
    def client():
        while not stop.is_set():
            try:
                with tls.connect(lb.port, "a.test") as s:
                    seen.add(s.recv(100))
            except (OSError, ssl.SSLError) as e:
                bad.append(e)
    with tls.connect(lb.port, "a.test") as held:
        threads = [threading.Thread(target=client) for _ in range(3)]
        for t in threads:
            t.start()
        for backend in ("w", "a", "w"):
            lb.reload(BY_NAME.replace("host: a.test, backend: a", f"host: a.test, backend: {backend}"
                                      ).replace('host: "*.w.test", backend: w',
                                                'host: "*.w.test", backend: '
                                                + ("a" if backend == "w" else "w")))
            seen.clear()
            assert eventually(lambda: f"{backend}\n".encode() in seen, timeout=15), bad
        stop.set()
        for t in threads:
            t.join(10)
        talk(held, "a")  # what is in progress stays where it is
    assert not bad
    with tls.connect(lb.port, "a.test") as s:
        talk(s, "w")


# ---- one port, TLS that ends here and TLS that does not ----

MIXED = """
    workers: 2
    frontends:
      web:
        listen: [{address: "127.0.0.1:$port", tls: $pem}, "127.0.0.1:$port2"]
        timeout: {tls-handshake: 1500ms}
        routes:
          - {path: /first/, backend: app}
          - {host: a.test, tls: passthrough, backend: raw}
          - {host: x.front.test, alpn: [h3, h2], tls: passthrough, backend: raw}
          - {host: "*.front.test", backend: app}
          - {host: "*.w.test", tls: passthrough, backend: raw}
          - {backend: app}
    backends:
      app: {servers: [$app], health: off}
      raw: [$a]
"""


@pytest.fixture
def mixed(evlb, sim, servers, pems):
    return evlb(MIXED, sim("app"), a=servers["a"], pem=pems["front"])


def offering(*names, ca=None):
    ctx = tls.context(ca)
    ctx.set_alpn_protocols(list(names))
    return ctx


def test_each_name_has_its_way(mixed, ca, servers):
    with tls.connect(mixed.port, "front.test", tls.context(ca)) as s:
        assert tls.names(s) == {"front.test", "*.front.test"}
        assert tls.get(s, host="front.test")[0].startswith("HTTP/1.1 200")
    with tls.connect(mixed.port, "a.test", tls.context(ca)) as s:
        assert tls.names(s) == {"a.test"}
        talk(s, "a")
    lines = {line["sni"]: line for line in mixed.wait_access(2)}
    assert (lines["front.test"]["backend"], lines["front.test"]["tls"]) == ("app", "TLSv1.3")
    assert (lines["a.test"]["backend"], lines["a.test"]["tls"]) == ("raw", None)
    assert (lines["a.test"]["proto"], lines["a.test"]["frontend"]) == ("tcp", "web")


def test_what_is_offered_decides_on_a_mixed_port(mixed, servers):
    with tls.connect(mixed.port, "x.front.test", offering("h2", "http/1.1")) as s:
        assert s.selected_alpn_protocol() == "h2"
        talk(s, "a")
    with tls.connect(mixed.port, "x.front.test", offering("http/1.1")) as s:
        assert tls.get(s, host="x.front.test")[0].startswith("HTTP/1.1 200")
    assert len(servers["a"].seen) == 1


@pytest.mark.parametrize("sni", ["front.test", "y.front.test", None])
def test_a_request_for_a_host_that_is_passed_through_is_misdirected(mixed, servers, sni):
    with tls.connect(mixed.port, sni) as s:
        for path in ("/", "/first/x"):  # whatever a route by path would say
            assert tls.get(s, path, host="a.test")[0].startswith("HTTP/1.1 421")
        assert tls.get(s, host="A.test:443")[0].startswith("HTTP/1.1 421")
        assert tls.get(s, host="any.w.test")[0].startswith("HTTP/1.1 421")
        assert tls.get(s, host="front.test")[0].startswith("HTTP/1.1 200")
        assert tls.get(s, "/first/x", host="b.test")[0].startswith("HTTP/1.1 200")
    lines = mixed.wait_access(6)
    assert [line["end"] for line in lines].count("misdirected") == 4
    assert not servers["a"].seen


def test_plain_requests_know_no_passthrough(mixed):
    r = mixed.request("GET", "/", headers={"Host": "a.test"}, port=mixed.ports["port2"])
    assert r.status == 200


def test_a_hello_cut_at_every_byte_on_a_mixed_port(evlb, sim, pems):
    lb = evlb(MIXED.replace("1500ms", "30s"), sim("app"), a=sim("echo", mode="tcp-echo")["echo"],
              pem=pems["front"])
    hello = hello_of("a.test", ["h2"])
    for step in (1, 13):
        with raw(lb.port) as s:
            for i in range(0, len(hello), step):
                s.sendall(hello[i:i + step])
                time.sleep(0.0005)
            s.sendall(b"what comes behind it")
            data = b""
            while len(data) < len(hello) + 20:
                data += s.recv(65536)
            assert data == hello + b"what comes behind it"


def test_bulk_passes_through(mixed, ca, servers):
    data = bytes(range(256)) * 40000
    with tls.connect(mixed.port, "a.test", tls.context(ca)) as s:
        assert s.recv(100) == b"a\n"
        sender = threading.Thread(target=s.sendall, args=(data,))
        sender.start()
        got = bytearray()
        while len(got) < len(data):
            got += s.recv(65536)
        sender.join(10)
    assert got == data


def test_resumption_is_of_who_ends_tls(mixed, ca, servers):
    ctx = tls.context(ca, maximum_version=ssl.TLSVersion.TLSv1_2)
    for name in ("a.test", "front.test"):
        with tls.connect(mixed.port, name, ctx) as s:
            session = s.session
        with tls.connect(mixed.port, name, ctx, session=session) as s:
            assert s.session_reused
    assert eventually(lambda: [x.get("resumed") for x in servers["a"].seen] == [False, True])


def test_a_session_that_is_passed_through_is_one_of_layer_4(mixed, run_evlb, ca):
    with tls.connect(mixed.port, "a.test", tls.context(ca)) as s:
        talk(s, "a")
        r = run_evlb("ctl", "sessions", "--format=json", env={"EVLB_SOCKET": mixed.socket})
        assert r.status == 0 and '"relaying"' in r.out and '"raw"' in r.out


def test_the_next_server_gets_the_hello_of_a_mixed_port(evlb, sim, servers, pems, port):
    text = MIXED.replace("raw: [$a]", "raw: {balance: first, servers: [$dead, $a]}")
    lb = evlb(text, sim("app"), a=servers["a"], dead=f"127.0.0.1:{port()}", pem=pems["front"])
    with tls.connect(lb.port, "a.test") as s:
        talk(s, "a")
    assert lb.wait_access()[0]["retries"] == 1


def test_proxy_headers_on_a_mixed_port(evlb, sim, server, pems):
    behind = server("a", proxy=True)
    text = MIXED.replace('{address: "127.0.0.1:$port", tls: $pem}',
                         '{address: "127.0.0.1:$port", tls: $pem, accept-proxy: true}')
    text = text.replace("        routes:", "        trusted-proxies: 127.0.0.1\n        routes:")
    text = text.replace("raw: [$a]", "raw: {send-proxy: v1, servers: [$a]}")
    lb = evlb(text, sim("app"), a=behind, pem=pems["front"])
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n"
    s = raw(lb.port)
    s.sendall(header)
    with tls.context().wrap_socket(s, server_hostname="a.test") as s:
        talk(s, "a")
    assert behind.seen[0]["proxy"] == header.decode().strip()
    s = raw(lb.port)
    s.sendall(header)
    with tls.context().wrap_socket(s, server_hostname="front.test") as s:
        assert tls.get(s, host="front.test")[0].startswith("HTTP/1.1 200")
    assert {line["client"] for line in lb.wait_access(2)} == {"192.0.2.7"}


def test_a_reload_makes_a_name_pass_through_and_back(evlb, sim, servers, pems):
    ended = MIXED.replace("          - {host: a.test, tls: passthrough, backend: raw}\n", "")
    lb = evlb(ended, sim("app"), a=servers["a"], pem=pems["front"])
    stop, bad = threading.Event(), []
    def client():
        while not stop.is_set():
            try:
                with tls.connect(lb.port, "front.test") as s:
                    assert tls.get(s, host="front.test")[0].startswith("HTTP/1.1 200")
            except (OSError, ssl.SSLError, AssertionError) as e:
                bad.append(e)
    threads = [threading.Thread(target=client) for _ in range(2)]
    for t in threads:
        t.start()
    with tls.connect(lb.port, "a.test") as kept:
        assert tls.get(kept, host="a.test")[0].startswith("HTTP/1.1 200")
        lb.reload(MIXED)
        with tls.connect(lb.port, "a.test") as passed:
            talk(passed, "a")
            assert tls.get(kept, host="a.test")[0].startswith("HTTP/1.1 421")
            lb.reload(ended)
            passed.sendall(b"still here")
            assert passed.recv(100) == b"still here"
            assert tls.get(kept, host="a.test")[0].startswith("HTTP/1.1 200")
    stop.set()
    for t in threads:
        t.join(10)
    assert not bad


def test_a_mixed_port_in_mode_tcp(evlb, sim, servers, pems):
    lb = evlb("""
        workers: 1
        frontends:
          f:
            listen: "127.0.0.1:$port"
            mode: tcp
            tls: $pem
            routes:
              - {host: a.test, tls: passthrough, backend: raw}
              - {host: front.test, backend: greet}
        backends: {raw: [$a], greet: [$g]}
    """, sim("g", mode="tcp-greet"), a=servers["a"], pem=pems["front"])
    with tls.connect(lb.port, "a.test") as s:
        talk(s, "a")
    with tls.connect(lb.port, "front.test") as s:
        assert s.recv(100) == b"g ready\n"


def test_explain_says_who_ends_tls(run_evlb, pems):
    text = MIXED.replace("$port2", "8080").replace("$port", "8443").replace("$pem", str(pems["front"]))
    text = text.replace("$app", "10.0.0.1:80").replace("$a", "10.0.0.2:443")
    def route(url, *args):
        r = run_evlb("explain", "-c", "-", "route", url, *args, stdin=text)
        assert r.status == 0, r.err
        return r.out
    assert "passed through" in route("https://a.test:8443/x") and "raw" in route("tls://a.test:8443")
    assert "backend   app" in route("https://front.test:8443/")
    assert "backend   raw" in route("https://x.front.test:8443/", "--alpn", "h2,http/1.1")
    assert "backend   app" in route("https://x.front.test:8443/")
    assert "421" in route("https://front.test:8443/first/", "-H", "Host: a.test")
    assert "backend   app" in route("http://a.test:8080/")


# ---- beside what is there already ----

def accepts(port):
    try:
        return raw(port).close() is None
    except OSError:
        return False


def test_real_clients_and_a_real_server(evlb, curl, ca, pems, port, tmp_path):
    behind = port()
    origin = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{behind}", "-cert", str(pems["a"]), "-key",
         str(pems["a"]), "-www", "-quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        lb = evlb(BY_NAME, a=f"127.0.0.1:{behind}", w="127.0.0.1:1", acme="127.0.0.1:1")
        assert eventually(lambda: accepts(behind))
        r = curl("--cacert", ca.cert, "--resolve", f"a.test:{lb.port}:127.0.0.1",
                 f"https://a.test:{lb.port}/")
        assert r.status == 0, r.err
        out = tls.openssl("s_client", "-connect", f"127.0.0.1:{lb.port}", "-servername", "a.test",
                          "-CAfile", ca.cert, "-verify_return_error", stdin=b"Q\n")
        assert "Verify return code: 0 (ok)" in out
    finally:
        origin.terminate()
        origin.wait(5)


def test_tls_that_ends_here_is_routed_by_name_too(evlb, sim, pems, ca):
    lb = evlb("""
        workers: 1
        frontends:
          f:
            listen: "127.0.0.1:$port"
            mode: tcp
            tls: $pem
            routes:
              - {alpn: [proto/2, proto/1], backend: c}
              - {host: x.front.test, backend: a}
              - {host: front.test, backend: b}
        backends: {a: [$a], b: [$b], c: [$c]}
    """, sim("a", "b", "c", mode="tcp-greet"), pem=pems["front"])
    for offer, agreed, expected in ((("x", "proto/1", "proto/2"), "proto/2", b"c ready\n"),
                                    (("h2",), None, b"b ready\n")):
        with tls.connect(lb.port, "front.test", offering(*offer)) as s:
            assert s.selected_alpn_protocol() == agreed
            assert s.recv(100) == expected
    for name, expected in (("X.front.test", b"a ready\n"), ("front.test", b"b ready\n")):
        with tls.connect(lb.port, name) as s:
            assert s.recv(100) == expected
    with tls.connect(lb.port, "y.front.test") as s:
        assert s.recv(100) == b""
    refused = {line["sni"]: line for line in lb.wait_access(5)}["y.front.test"]
    assert (refused["end"], refused["tls"], refused["detail"]) == ("no-route", "TLSv1.3", None)


def test_the_example(evlb, servers, ca, run_evlb):
    text = (tools.ROOT / "configs/tls-by-name.yaml").read_text()
    r = run_evlb("explain", "-c", "-", "route", "tls://shop.example.com", stdin=text)
    assert r.status == 0 and "least-conn" in r.out
    text = text.replace("listen: 443", 'listen: "127.0.0.1:$port"')
    text = text.replace("10.0.0.11:443, 10.0.0.12:443", "$a").replace("10.0.0.9:443", "$acme")
    text = text.replace("10.0.0.21:443, 10.0.0.22:443", "$w")
    lb = evlb(text, **servers)
    for name, alpn, expected in (("shop.example.com", "http/1.1", "a"), ("www.test", "x", "w"),
                                 ("shop.example.com", "acme-tls/1", "acme")):
        ctx = tls.context()
        ctx.set_alpn_protocols([alpn])
        with tls.connect(lb.port, name, ctx) as s:
            talk(s, expected)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        tls.connect(lb.port, "old.example.com")


def test_the_example_of_a_mixed_port(evlb, sim, server, ca, tmp_path):
    for name in ("www.example.com", "api.example.com"):
        ca.make(tmp_path / f"certs/{name}.pem", name)
    text = (tools.ROOT / "configs/https/passthrough.yaml").read_text()
    for old, new in [("listen: [80, {address: 443,",
                      'listen: ["127.0.0.1:$port", {address: "127.0.0.1:$port2",'),
                     ("[10.0.0.11:8080, 10.0.0.12:8080]", "[$web]"),
                     ("[10.0.0.21:8080]", "[$api]"), ("[10.0.0.31:443]", "[$a]"),
                     ("send-proxy: v2", "send-proxy: v1")]:
        assert old in text
        text = text.replace(old, new)
    lb = evlb(text, sim("web", "api"), a=server("a", proxy=True))
    with tls.connect(lb.ports["port2"], "legacy.example.com") as s:
        talk(s, "a")
    with tls.connect(lb.ports["port2"], "api.example.com", tls.context(ca)) as s:
        assert "X-Server: api" in tls.get(s, host="api.example.com")[0]
        assert "HTTP/1.1 421" in tls.get(s, host="legacy.example.com")[0]
    r = lb.request("GET", "/", headers={"Host": "legacy.example.com"})
    assert (r.status, r.headers["Location"]) == (308, "https://legacy.example.com/")
