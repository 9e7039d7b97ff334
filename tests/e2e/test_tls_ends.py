# SPDX-License-Identifier: MIT
"""Trap 25: how TLS connections end, and what waits inside TLS where no event of the socket tells."""
import contextlib
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from harness import tls
from harness.wire import chunked, eventually, is_pattern, pattern, post, request

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
WEB = """
    workers: 1
    timeout: {keep-alive: $keepalive, request: $request, shutdown: 2s}
    frontends:
      web: {listen: "127.0.0.1:$port", tls: $tls, backend: app}
    backends:
      app: {servers: [$a], health: off, retries: 0}
"""
TCP = """
    workers: 1
    timeout: {tunnel: $tunnel}
    frontends:
      raw: {listen: "127.0.0.1:$port", mode: tcp, tls: $tls, backend: app}
    backends:
      app: {servers: [$a], health: off}
"""
UPGRADE = ("Host: x", "Connection: Upgrade", "Upgrade: websocket")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ca")
    return tls.Authority(directory).make(directory / "site.pem", "a.test")


@pytest.fixture
def origin(sim):
    return sim("a")["a"]


@pytest.fixture
def web(evlb, origin, site):
    def start(keepalive="60s", request="10s", a=origin):
        return evlb(WEB, a=a, tls=site, keepalive=keepalive, request=request)
    return start


@pytest.fixture
def tcp(evlb, sim, site):
    def start(mode=None, tunnel="60s", a=None, options=()):
        return evlb(TCP, a=a or sim("a", mode=mode, options=options)["a"], tls=site, tunnel=tunnel)
    return start


@pytest.fixture
def wire():
    """A client of that balancer, closed at the end."""
    with contextlib.ExitStack() as stack:
        def connect(lb, version=None):
            options = {"minimum_version": version, "maximum_version": version} if version else {}
            return stack.enter_context(tls.Wire(lb.port, tls.context(**options)))
        yield connect


def head_of(c):
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += c.read_exactly(1)
    return data.decode()


def tunnel(c):
    c.send(request("GET / HTTP/1.1", *UPGRADE))
    assert head_of(c).startswith("HTTP/1.1 101")


def causes(lb, n=1):
    return [line["end"] for line in lb.wait_access(n)]


@contextlib.contextmanager
def server(talk):
    """An origin of the test's own: talk(connection) for each; -> its address."""
    def serve():
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    talk(connection)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield "127.0.0.1:%d" % listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# ---- clients that end without close_notify ----

UPLOADS = {"length": post("/", "Content-Length: 1000", body=b"u" * 500),
           "chunked": post("/", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n"),
           "at-the-last-chunk": post("/", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n")}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", UPLOADS)
@pytest.mark.parametrize("notify", [False, True])
def test_a_cut_upload_is_not_passed_on_as_whole(web, wire, origin, version, kind, notify):
    lb = web()
    c = wire(lb, version)
    c.send(UPLOADS[kind])
    assert eventually(lambda: origin.count()["active"] == 1)
    if notify:
        c.send_raw(c.goodbye())
    c.fin()
    assert causes(lb) == ["client-closed-data"]
    assert eventually(lambda: origin.count()["active"] == 0)
    assert origin.count()["responses"] == 0


def test_a_cut_head_goes_nowhere(web, wire, origin):
    lb = web()
    c = wire(lb)
    c.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
    time.sleep(0.1)
    c.fin()
    assert causes(lb) == ["client-closed-request"]
    assert origin.count()["requests"] == 0


def test_a_cut_tunnel_is_an_error(web, wire, origin):
    lb = web()
    c = wire(lb)
    tunnel(c)
    c.send(b"half")
    assert c.read_exactly(4) == b"half"
    c.fin()
    assert causes(lb) == ["client-closed-data"]
    assert c.read_to_end() == (b"", "cut")
    assert eventually(lambda: origin.count()["open"] == 0)


def test_a_cut_stream_is_no_end_to_the_server(tcp, wire):
    """A server that acts on the end of what it is sent must not see one that nobody has said."""
    ends = []
    def talk(connection):
        try:
            while connection.recv(1000):
                pass
            ends.append("FIN")
        except ConnectionResetError:
            ends.append("RST")
    with server(talk) as address:
        lb = tcp(a=address)
        c = wire(lb)
        c.send(b"half of it")
        time.sleep(0.1)
        c.fin()
        assert causes(lb) == ["client-closed-data"]
        assert eventually(lambda: ends == ["RST"]), ends


# ---- half-closed: close_notify and more to come ----

def test_tcp_close_notify_is_the_end_of_one_direction(tcp, wire):
    lb = tcp("tcp-sink")  # answers when it has seen the end
    c = wire(lb)
    c.send(b"x" * 50000)
    c.send_raw(c.goodbye())
    data, end = c.read_to_end()
    assert data.startswith(b"bytes=50000 ") and end == "close_notify"
    assert causes(lb) == ["ok"]


def test_tcp_data_end_and_fin_in_one_segment(tcp, wire):
    lb = tcp("tcp-echo")
    c = wire(lb)
    c.send_raw(c.seal(b"last words") + c.goodbye())
    c.fin()
    assert c.read_to_end() == (b"last words", "close_notify")
    assert causes(lb) == ["ok"]


def test_a_tunnel_passes_close_notify_on(web, wire):
    lb = web()
    c = wire(lb)
    tunnel(c)
    c.send_raw(c.seal(b"last words") + c.goodbye())
    assert c.read_to_end() == (b"last words", "close_notify")


def test_a_request_end_and_fin_in_one_segment(web, wire):
    lb = web()
    c = wire(lb)
    c.send_raw(c.seal(request("GET /?size=100000 HTTP/1.1", "Host: x")) + c.goodbye())
    c.fin()
    data, end = c.read_to_end()
    assert len(data) > 100000 and end == "close_notify"
    assert causes(lb) == ["ok"]


# ---- we say close_notify before FIN ----

ASKS = {
    "close": request("GET /?size=70000 HTTP/1.1", "Host: x", "Connection: close"),
    "http-1.0": request("GET /?size=70000 HTTP/1.0", "Host: x"),
    "http-1.0-without-length": request("GET /?size=70000&framing=close HTTP/1.0", "Host: x"),
    "bad-request": request("GET  / HTTP/1.1", "Host: x"),
    "bad-gateway": request("GET /?drop=1 HTTP/1.1", "Host: x", "Connection: close"),
    "refused-upload": post("/?no-read=1", "Content-Length: 500000", body=b"u" * 100000),
    "idle": request("GET / HTTP/1.1", "Host: x"),
    "slow-head": b"GET / HTTP/1.1\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ask", ASKS)
def test_our_end_begins_with_close_notify(web, wire, version, ask):
    c = wire(web(keepalive="300ms", request="500ms"), version)
    if ASKS[ask]:
        c.send(ASKS[ask])
    data, end = c.read_to_end()
    assert end == "close_notify", data[:200]
    assert data.startswith(b"HTTP/1.1 ") or ask == "nothing"


def test_a_graceful_stop_says_close_notify(web, wire):
    lb = web()
    c = wire(lb)
    c.send(request("GET / HTTP/1.1", "Host: x"))
    head_of(c)
    seen = []
    reader = threading.Thread(target=lambda: seen.append(c.read_to_end()[1]))
    reader.start()
    assert lb.stop() == 0
    reader.join(5)
    assert seen == ["close_notify"]


def test_a_servers_end_is_passed_on_as_close_notify(tcp, wire):
    lb = tcp("tcp-source", options=["--size", "300k"])
    data, end = wire(lb).read_to_end()
    assert is_pattern(data) and len(data) == 300 << 10 and end == "close_notify"


# ---- and not where something is missing ----

def test_a_cut_answer_without_length_is_no_end(web, wire):
    """close_notify would make the client believe that it has everything."""
    def talk(connection):
        connection.recv(10000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
        time.sleep(0.2)
        reset(connection)
    with server(talk) as address:
        lb = web(a=address)
        for version in ("1.1", "1.0"):
            c = wire(lb)
            c.send(request(f"GET / HTTP/{version}", "Host: x"))
            data, end = c.read_to_end()
            assert b"half" in data and (end == "cut" or version == "1.1"), end
            assert not data.endswith(b"0\r\n\r\n")
        assert causes(lb, 2) == ["server-closed-data"] * 2


def test_a_reset_of_the_server_is_no_end(tcp, wire):
    def talk(connection):
        connection.sendall(b"half")
        time.sleep(0.2)
        reset(connection)
    with server(talk) as address:
        lb = tcp(a=address)
        assert wire(lb).read_to_end() == (b"half", "cut")
        assert causes(lb) == ["server-closed-data"]


def test_a_timeout_is_no_end(tcp, wire):
    lb = tcp("tcp-echo", tunnel="300ms")
    c = wire(lb)
    c.send(b"half")
    assert c.read_to_end() == (b"half", "cut")
    assert causes(lb) == ["tunnel-idle"]


# ---- what waits inside TLS ----

@pytest.mark.parametrize("version", VERSIONS)
def test_many_requests_in_one_record(web, wire, version):
    """All but the first wait where no event tells of them."""
    c = wire(web(), version)
    ask = request("GET /?size=1 HTTP/1.1", "Host: x", "X-Fill: " + "f" * 200)
    n = 16000 // len(ask)
    records = c.seal(ask * n)
    assert int.from_bytes(records[3:5], "big") + 5 == len(records)  # it is one
    c.send_raw(records)
    data = b""
    while data.count(b"HTTP/1.1 200") < n:
        data += c.read()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_large_record_meets_a_server_that_reads_slowly(web, wire, version):
    """The buffer is full again and again; what is left over comes when there is room, unasked."""
    c = wire(web(), version)
    body = pattern(300000)
    c.send(post("/?read-rate=300k", "Content-Length: 300000", body=body))
    head = head_of(c)
    assert "X-Body-Bytes: 300000" in head, head


def test_records_in_single_bytes(web, wire):
    c = wire(web())
    body = b"b" * 900
    for byte in c.seal(post("/echo-body", "Content-Length: 900", body=body)):
        c.send_raw(bytes([byte]))
    head_of(c)
    assert c.read_exactly(900) == body


def test_a_request_of_many_small_records(web, wire):
    c = wire(web())
    text = post("/echo-body", "Transfer-Encoding: chunked", body=chunked(b"a" * 100, b"b" * 57))
    c.send_raw(b"".join(c.seal(bytes([byte])) for byte in text))
    head = head_of(c)
    assert head.startswith("HTTP/1.1 200")
    c.read_exactly(157)


def test_records_without_content(web, wire):
    """Lawful, and no end (RFC 8446 section 5.1): neither spins nor stops."""
    lb = web()
    c = wire(lb, ssl.TLSVersion.TLSv1_2)
    for part in (b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n"):
        c.send(part)
        time.sleep(0.05)
    assert head_of(c).startswith("HTTP/1.1 200")


# ---- TLS 1.3 key updates, renegotiation, rubbish ----

@contextlib.contextmanager
def s_client(lb, *args):
    """openssl s_client whose stdin understands K (both update their keys), k (it alone) and R."""
    command = ["openssl", "s_client", "-connect", lb.address, *args]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        try:
            seen = b""
            while not re.search(rb"Verify return code.*\n---\n", seen, re.S):
                seen += process.stdout.read1(1)
            yield process
        finally:
            process.kill()


def type_in(process, text, pause=0.1):
    process.stdin.write(text)
    process.stdin.flush()
    time.sleep(pause)  # a letter is a command only when it comes by itself


@pytest.mark.parametrize("letters", [b"K", b"k", b"KkKKkK"])
def test_keys_are_updated_during_a_download(web, letters):
    lb = web()
    size = 20 << 20
    with s_client(lb, "-tls1_3") as client:
        type_in(client, b"GET /?size=%d&chunk=256k&chunk-delay=10ms HTTP/1.1\r\n" % size)
        type_in(client, b"Host: x\r\nConnection: close\r\n\r\n")
        def press():
            for letter in letters:
                type_in(client, bytes([letter]) + b"\n", 0.05)
        keys = threading.Thread(target=press)
        keys.start()
        out = client.stdout.read()
        keys.join()
    assert out.count(b"KEYUPDATE") == len(letters)
    at = out.index(b"HTTP/1.1 200")
    body = re.sub(rb"KEYUPDATE\r?\n", b"", out[out.index(b"\r\n\r\n", at) + 4:])
    assert is_pattern(body[:size])
    assert causes(lb) == ["ok"]


def test_a_key_update_while_nothing_can_be_sent(web):
    """The answer to it has to wait behind the record that was begun."""
    lb = web()
    size = 30 << 20
    with s_client(lb, "-tls1_3") as client:
        type_in(client, b"GET /?size=%d HTTP/1.1\r\n" % size)
        type_in(client, b"Host: x\r\nConnection: close\r\n\r\n", 0.5)  # nobody reads: all is full
        for _ in range(3):
            type_in(client, b"K\n")
        out = client.stdout.read()
    assert len(out) > size and causes(lb) == ["ok"]


@pytest.mark.parametrize("version", VERSIONS)
def test_garbage_behind_the_handshake(web, version):
    lb = web()
    with tls.connect(lb.port, "a.test", tls.context(maximum_version=version)) as s:
        s.sendall(b"GET / HTTP/1.1\r\n")
        with socket.socket(fileno=os.dup(s.fileno())) as raw:
            raw.settimeout(10)
            raw.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
            while raw.recv(1000):  # a ticket, an alert
                pass
    line, = lb.wait_access(1)
    assert (line["end"], line["status"]) == ("client-closed-request", None), line
    assert "bad record mac" in line["detail"], line


def test_renegotiation_during_an_upload(web, curl, origin):
    lb = web()
    with s_client(lb, "-tls1_2") as client:
        type_in(client, post("/", "Content-Length: 100000", body=b"u" * 1000), 0.3)
        type_in(client, b"R\n", 0)
        out = client.stdout.read()
    assert b"RENEGOTIATING" in out and b"no renegotiation" in out
    assert causes(lb) == ["client-closed-data"]
    assert origin.count()["responses"] == 0
    assert curl("-k", f"https://127.0.0.1:{lb.port}/").status == 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("rubbish", [b"\x17\x03\x03\x00\x20" + b"r" * 32, b"GET / HTTP/1.1\r\n\r\n",
                                     b"\x17\x03\x03\xff\xff" + b"r" * 100,
                                     b"\x16\x03\x03\x00\x04\x00\x00\x00\x00"])
def test_rubbish_in_a_stream_is_an_error(tcp, wire, version, rubbish):
    """Nothing of it reaches the server, and it is no end."""
    lb = tcp("tcp-echo")
    c = wire(lb, version)
    c.send(b"before")
    assert c.read_exactly(6) == b"before"
    c.send_raw(rubbish)
    assert c.read_to_end() == (b"", "cut")
    assert causes(lb) == ["client-closed-data"]


def test_rubbish_in_an_upload(web, wire, origin):
    lb = web()
    c = wire(lb)
    c.send(post("/", "Content-Length: 1000", body=b"u" * 500))
    assert eventually(lambda: origin.count()["active"] == 1)
    c.send_raw(b"\x17\x03\x03\x00\x20" + b"r" * 32)
    assert c.read_to_end()[1] == "cut"
    assert causes(lb) == ["client-closed-data"]
    assert eventually(lambda: origin.count()["active"] == 0)
    assert origin.count()["responses"] == 0


# ---- what goes in one packet ----

def record_types(data):
    types = []
    while data:
        types.append(data[0])
        data = data[5 + int.from_bytes(data[3:5], "big"):]
    return types


def test_the_ticket_the_answer_and_the_end_go_together(web):
    lb = web()
    first = request("GET /?size=10&delay=50ms HTTP/1.1", "Host: x", "Connection: close")
    with tls.Wire(lb.port, first=first) as c:
        assert record_types(c.socket.recv(65536)) == [23, 23, 23]  # ticket, answer, close_notify
        assert c.socket.recv(1) == b""


def test_the_ticket_of_a_client_that_asks_nothing(web):
    with tls.Wire(web().port) as c:
        assert record_types(c.socket.recv(65536)) == [23]


def test_the_ticket_of_a_client_that_listens(tcp):
    """The server speaks first, behind the ticket."""
    with tls.Wire(tcp(mode="tcp-greet").port) as c:
        assert c.read()
