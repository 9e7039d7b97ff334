# SPDX-License-Identifier: MIT
"""A quick test of the origin simulator itself: raw sockets against the real binary."""
import json
import os
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import time
import zlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("EVLB_BIN_DIR", ROOT / "build/asan/bin")) / "backend-sim"
PATTERN = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy"


def pattern(size):
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


class Sim:
    """One backend-sim process; ports[NAME] is where it listens."""

    def __init__(self, *args, listen="0", names="a", preexec=None):
        self.process = subprocess.Popen(
            [str(BIN), "--listen", listen, "--name", names, *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=preexec)
        self.addresses = {}
        for _ in listen.split(","):
            word, name, address = self.process.stdout.readline().split()
            assert word == "listening"
            self.addresses[name] = address

    def port(self, name="a"):
        return int(self.addresses[name].rsplit(":", 1)[1])

    def connect(self, name="a", timeout=10):
        s = socket.create_connection(("127.0.0.1", self.port(name)), timeout=timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def raw(self, data, name="a", fin=False):
        """Sends the bytes and returns all that comes until the end."""
        with self.connect(name) as s:
            s.sendall(data)
            if fin:
                s.shutdown(socket.SHUT_WR)
            return read_all(s)

    def get(self, target, name="a", method="GET", headers="", body=b""):
        """One request on its own connection."""
        head = f"{method} {target} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n{headers}\r\n"
        return Reply(self.raw(head.encode() + body, name), method)

    def count(self, name="a"):
        return json.loads(self.get("/control/count", name).body)

    def all_closed(self):
        """The last FIN of a client may still be on its way when a count is asked for."""
        end = time.monotonic() + 3
        while self.count()["open"] and time.monotonic() < end:
            time.sleep(0.02)
        return self.count()["open"] == 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=10)
        assert err == "", err
        assert self.process.returncode == 0


class Reply:
    """A response taken apart; body is de-chunked, `rest` what stands behind it."""

    def __init__(self, data, method="GET"):
        self.early = []
        while True:
            head, _, data = data.partition(b"\r\n\r\n")
            self.lines = head.decode("latin-1").split("\r\n")
            self.version, self.status = self.lines[0][:8], int(self.lines[0][9:12])
            if not 100 <= self.status < 200 or self.status == 101:
                break
            self.early.append(self.status)
        self.headers = {}
        for line in self.lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.trailers, self.rest = b"", b""
        if method == "HEAD" or self.status in (204, 304):
            self.body, self.rest = b"", data
        elif self.headers.get("transfer-encoding") == "chunked":
            self.body = b""
            while True:
                size, _, data = data.partition(b"\r\n")
                size = int(size, 16)
                if size == 0:
                    break
                self.body += data[:size]
                assert data[size:size + 2] == b"\r\n"
                data = data[size + 2:]
            while not data.startswith(b"\r\n"):
                line, _, data = data.partition(b"\r\n")
                self.trailers += line + b"\n"
            self.rest = data[2:]
        elif "content-length" in self.headers:
            length = int(self.headers["content-length"])
            self.body, self.rest = data[:length], data[length:]
        else:
            self.body = data


def read_all(s):
    data = b""
    while True:
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            return data + b"<RST>"
        if not part:
            return data
        data += part


def read_response(s):
    """One response with Content-Length from a kept connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = s.recv(1)
        assert part, data
        data += part
    length = int(re.search(rb"Content-Length: (\d+)", data).group(1))
    while length:
        part = s.recv(length)
        assert part
        data, length = data + part, length - len(part)
    return Reply(data)


def request(target="/", headers="", method="GET"):
    return f"{method} {target} HTTP/1.1\r\nHost: sim\r\n{headers}\r\n".encode()


@pytest.fixture
def start():
    running = []

    def make(*args, **more):
        running.append(Sim(*args, **more))
        return running[-1]

    yield make
    for sim in running:
        sim.stop()


@pytest.fixture
def sim(start):
    return start()


# --- answers ---

def test_default_answer(sim):
    reply = sim.get("/any/path")
    assert (reply.version, reply.status, reply.body) == ("HTTP/1.1", 200, b"a\n")
    assert reply.headers["content-type"] == "text/plain"
    assert reply.headers["x-server"] == "a"
    assert reply.headers["connection"] == "close"


def test_each_listener_has_its_name(start):
    sim = start(listen="0,0,0", names="x,y,z")
    assert [sim.get("/", name).body for name in "xyz"] == [b"x\n", b"y\n", b"z\n"]


def test_keep_alive_and_pipelining(sim):
    with sim.connect() as s:
        s.sendall(request("/?status=201") + request("/?size=3") + request("/?status=404"))
        replies = [read_response(s) for _ in range(3)]
        assert [r.status for r in replies] == [201, 200, 404]
        assert replies[1].body == b"012"
        assert [r.headers["x-conn-request"] for r in replies] == ["1", "2", "3"]


def test_http10_closes_unless_asked(sim):
    assert sim.raw(b"GET / HTTP/1.0\r\n\r\n").endswith(b"a\n")
    with sim.connect() as s:
        for _ in range(2):
            s.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert read_response(s).headers["connection"] == "keep-alive"


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("size", [0, 1, 61, 70000, 3000001])
def test_size_and_framing(sim, framing, size):
    reply = sim.get(f"/?size={size}&framing={framing}&chunk=5000")
    assert reply.body == pattern(size)
    assert reply.rest == b""
    assert ("content-length" in reply.headers) == (framing == "length")


def test_trailers(sim):
    reply = sim.get("/?size=10&trailers=1")
    assert reply.trailers == b"X-Trailer: yes\nX-Body-Size: 10\n"


def test_head_and_204_and_304_have_no_body(sim):
    assert sim.get("/?size=10", method="HEAD").headers["content-length"] == "10"
    assert sim.get("/?size=10", method="HEAD").rest == b""
    for status in (204, 304):
        reply = sim.get(f"/?status={status}")
        assert (reply.status, reply.rest) == (status, b"")
    assert "content-length" not in sim.get("/?status=204").headers


def test_added_headers_and_reason(sim):
    reply = sim.get("/?header=X-One:a%20b&header=Content-Type:text/html&reason=Fine&version=1.0")
    assert reply.lines[0] == "HTTP/1.0 200 Fine"
    assert reply.headers["x-one"] == "a b"
    assert sum(line.startswith("Content-Type") for line in reply.lines) == 1


def test_delay_and_early(sim):
    begin = time.monotonic()
    with sim.connect() as s:
        s.sendall(request("/?early=103,100,103&delay=200ms", "Connection: close\r\n"))
        first = s.recv(4096)
        assert first.startswith(b"HTTP/1.1 103 ") and time.monotonic() - begin < 0.15
        reply = Reply(first + read_all(s))
    assert reply.early == [103, 100, 103] and reply.status == 200
    assert time.monotonic() - begin >= 0.2


def test_chunk_delay_and_drip(sim):
    begin = time.monotonic()
    assert sim.get("/?size=50&chunk=10&chunk-delay=30ms&framing=chunked").body == pattern(50)
    assert time.monotonic() - begin >= 0.12
    begin = time.monotonic()
    assert sim.get("/?drip=10&drip-delay=5ms").body == b"a\n"
    assert time.monotonic() - begin >= 0.05


def test_unknown_parameter_is_told_and_bad_value_refused(sim):
    assert sim.get("/?id=7&status=201").headers["x-sim-ignored"] == "id"
    reply = sim.get("/?size=x")
    assert (reply.status, reply.body) == (400, b"bad value for the parameter 'size'\n")


# --- ends ---

def test_cut_at_every_byte_of_the_head(sim):
    whole = sim.raw(request("/?cut=100000&early=103", "Connection: close\r\n"))
    for n in range(0, 120, 7):
        got = sim.raw(request(f"/?cut={n}&early=103"))
        assert len(got) == n and got[:40] == whole[:n][:40]


def test_cut_body(sim):
    for framing, size in (("length", 100), ("chunked", 100), ("close", 100)):
        got = sim.raw(request(f"/?size={size}&framing={framing}&cut-body=30"))
        assert got.endswith(pattern(30))


def test_rst_at_the_cut_and_at_once(sim):
    assert sim.raw(request("/?size=1000&cut-body=10&rst=1")).endswith(b"0123456789<RST>")
    assert sim.raw(request("/?rst=1")) == b"<RST>"
    assert sim.raw(request("/?drop=1")) == b""


def test_never(sim):
    with sim.connect(timeout=0.3) as s:
        s.sendall(request("/?never=1"))
        with pytest.raises(socket.timeout):
            s.recv(1)
        assert sim.count()["active"] == 1
    assert sim.all_closed()
    assert sim.count()["active"] == 0


def test_close_announced_and_quiet(sim):
    assert b"Connection: close" in sim.raw(request("/?close=1"))
    assert b"Connection" not in sim.raw(request("/?close=quiet"))


def test_connection_options(start):
    assert b"Connection" not in start("--close-after-response").raw(request())
    sim = start("--max-requests", "2")
    got = sim.raw(request() + request() + request())
    assert got.count(b"HTTP/1.1 200") == 2 and got.count(b"Connection: close") == 1
    begin = time.monotonic()
    start("--keep-alive-timeout", "200ms").raw(request())
    assert 0.15 < time.monotonic() - begin < 2


def test_accept_options(start):
    begin = time.monotonic()
    assert start("--accept-delay", "200ms").get("/").status == 200
    assert time.monotonic() - begin >= 0.2
    full = start("--no-accept", "--backlog", "1")
    socks = []
    with pytest.raises(socket.timeout):
        for _ in range(10):
            socks.append(full.connect(timeout=0.3))
    assert socks
    for s in socks:
        s.close()


def bad_names():
    if not BIN.exists():
        return []
    listed = subprocess.run([str(BIN), "--list-bad"], stdout=subprocess.PIPE, text=True, check=True)
    return [line.split("\t")[0] for line in listed.stdout.splitlines()]


def test_bad_responses(sim):
    names = bad_names()
    assert len(names) > 60 and len(set(names)) == len(names)
    seen = {}
    for name in names:
        with sim.connect() as s:
            s.sendall(request(f"/?bad={name}&close=1"))
            seen[name] = read_all(s)
    assert seen["nul-value"].split(b"\r\n")[1] == b"X-Bad: a\0b"
    assert b"\r\n100000005\r\n" in seen["chunk-overflow"]
    assert len(seen["huge-header"]) > 65536
    assert seen["many-headers"].count(b"\r\nX-Many-") == 1000
    assert seen["empty"] == b""
    assert sim.get("/?bad=nothing").status == 400


def test_bad_response_keeps_the_connection(sim):
    with sim.connect() as s:
        s.sendall(request("/?bad=204-body"))
        time.sleep(0.05)
        assert s.recv(65536).endswith(b"poison")
        s.sendall(request())
        assert read_response(s).body == b"a\n"


# --- request bodies ---

def chunked(*parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


def test_echo(sim):
    head = b"POST /echo?q HTTP/1.1\r\nhOsT:  sim\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
    assert Reply(sim.raw(head + b"he\0lo")).body == head + b"he\0lo"
    head = b"POST /%s HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    body = chunked(b"abc", b"defg")
    assert Reply(sim.raw(head % b"echo-body" + body)).body == b"abcdefg"
    assert Reply(sim.raw(head % b"echo-raw" + body)).body == head % b"echo-raw" + body


def test_body_facts(sim):
    body = os.urandom(2000000)
    reply = sim.get("/", method="PUT", headers=f"Content-Length: {len(body)}\r\n", body=body)
    assert reply.headers["x-body-bytes"] == "2000000"
    assert int(reply.headers["x-body-crc32"], 16) == zlib.crc32(body)


def test_request_split_at_every_byte(sim):
    data = request("/echo-body", "Transfer-Encoding: chunked\r\n", "POST") + chunked(b"abc", b"de")
    with sim.connect() as s:
        for at in range(1, len(data)):
            s.sendall(data[:at])
            time.sleep(0.0005)
            s.sendall(data[at:])
            assert read_response(s).body == b"abcde"


def test_expect_100(sim):
    head = "Expect: 100-continue\r\nContent-Length: 3\r\n"
    with sim.connect() as s:
        s.sendall(request("/echo-body", head, "POST"))
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"abc")
        assert read_response(s).body == b"abc"
    assert b"HTTP/1.1 417 " in sim.raw(request("/?expect=417", head, "POST"))
    with sim.connect(timeout=0.2) as s:
        s.sendall(request("/?expect=ignore", head, "POST"))
        with pytest.raises(socket.timeout):
            s.recv(1)
        s.sendall(b"abc")
        assert read_response(s).status == 200


def test_early_response(sim):
    with sim.connect() as s:
        s.sendall(request("/?status=413&no-read=1", "Content-Length: 100000\r\n", "POST"))
        reply = read_response(s)
        assert (reply.status, reply.headers["connection"]) == (413, "close")
        assert s.recv(1) == b""
    with sim.connect() as s:
        s.sendall(request("/?no-read=drain", "Content-Length: 5\r\n", "POST"))
        assert read_response(s).status == 200
        s.sendall(b"12345" + request("/?status=201"))
        assert read_response(s).status == 201


def test_slow_read(sim):
    begin = time.monotonic()
    body = bytes(60000)
    reply = sim.get("/?read-rate=40k", method="POST", headers="Content-Length: 60000\r\n", body=body)
    assert reply.headers["x-body-bytes"] == "60000"
    assert 0.8 < time.monotonic() - begin < 5


def test_slow_read_holds_the_sender_back(sim):
    with sim.connect() as s:
        s.sendall(request("/?read=slow", "Content-Length: 100000000\r\n", "POST"))
        time.sleep(0.1)
        s.setblocking(False)
        sent = 0
        with pytest.raises(BlockingIOError):
            while sent < 50000000:
                sent += s.send(bytes(65536))


def test_connect_is_refused(sim):
    assert Reply(sim.raw(b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n")).status == 405


def test_bad_behind_an_unread_body_closes(sim):
    head = request("/?bad=two-lengths&no-read=1", "Content-Length: 5000000\r\n", "POST")
    assert sim.raw(head).count(b"Content-Length") == 2


# --- what it refuses ---

REFUSED = {
    "bare LF": b"GET / HTTP/1.1\nHost: s\n\n",
    "bare CR": b"GET / HTTP/1.1\r\nHost: s\r\nX: a\rb\r\n\r\n",
    "folded line": b"GET / HTTP/1.1\r\nHost: s\r\nX: a\r\n b\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nHost: s\r\nX : a\r\n\r\n",
    "empty header name": b"GET / HTTP/1.1\r\nHost: s\r\n: a\r\n\r\n",
    "header without colon": b"GET / HTTP/1.1\r\nHost: s\r\nX\r\n\r\n",
    "control byte in a header value": b"GET / HTTP/1.1\r\nHost: s\r\nX: \0\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "repeated Host": b"GET / HTTP/1.1\r\nHost: s\r\nHost: s\r\n\r\n",
    "repeated Content-Length":
        b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "Content-Length is no number": b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: +1\r\n\r\nx",
    "Content-Length beside Transfer-Encoding":
        b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "Transfer-Encoding is not chunked":
        b"POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "bad chunk size":
        b"POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "chunk size overflow":
        b"POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
    "no CRLF after the chunk":
        b"POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXX",
    "bare LF in the chunk framing":
        b"POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
    "bad request line": b"GET / HTTP/1.1 \r\nHost: s\r\n\r\n",
    "target is no path": b"GET x HTTP/1.1\r\nHost: s\r\n\r\n",
    "forbidden byte in the target": b"GET /#x HTTP/1.1\r\nHost: s\r\n\r\n",
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refuses(sim, reason):
    reply = Reply(sim.raw(REFUSED[reason]))
    assert (reply.status, reply.body.decode()) == (400, reason + "\n")
    count = sim.count()
    assert (count["bad_requests"], count["last_bad"]) == (1, reason)


def test_survives_garbage(sim):
    for seed in range(150):
        junk = os.urandom(seed * 7 % 400 + 1)
        base = request("/echo?size=9", "Transfer-Encoding: chunked\r\n", "POST") + chunked(b"abc")
        at = seed % len(base)
        for data in (junk, base[:at] + junk[:3] + base[at:], base[:at]):
            sim.raw(data, fin=True)
    assert sim.get("/").status == 200
    assert sim.all_closed()


# --- control ---

def test_health(start):
    sim = start(listen="0,0", names="a,b")
    assert sim.get("/healthz").status == 200
    assert sim.get("/control/health?state=down&name=b", method="POST").body == b"b down\n"
    assert (sim.get("/healthz").status, sim.get("/healthz", "b").status) == (200, 503)
    sim.process.send_signal(signal.SIGUSR1)
    time.sleep(0.1)
    assert (sim.get("/healthz").status, sim.get("/healthz", "b").status) == (503, 200)


def test_counters(start):
    sim = start(listen="0,0", names="a,b")
    for x_id in ("one", "two", "two", 'q"\\'):
        sim.get("/", method="POST", headers=f"Content-Length: 0\r\nX-Id: {x_id}\r\n")
    sim.get("/")
    sim.get("/healthz")
    count = sim.count()
    assert count["methods"] == {"POST": 4, "GET": 1}
    assert count["ids"] == {"one": 1, "two": 2, 'q"\\': 1}
    assert (count["requests"], count["connections"], count["responses"]) == (5, 5, 5)
    assert (count["checks"], count["check_connections"], count["controls"]) == (1, 1, 1)
    assert (count["active"], count["max_active"]) == (0, 1)
    assert sim.all_closed()
    sim.get("/control/reset")
    assert sim.count()["requests"] == 0
    both = json.loads(sim.get("/control/count?all=1").body)
    assert [one["name"] for one in both] == ["a", "b"]


def test_max_active(sim):
    socks = [sim.connect() for _ in range(5)]
    for s in socks:
        s.sendall(request("/?delay=100ms"))
    for s in socks:
        assert read_response(s).status == 200
        s.close()
    assert sim.count()["max_active"] == 5


def test_control_default_and_listen(start):
    sim = start("--default", "status=202", listen="0,0", names="a,b")
    assert sim.get("/").status == 202
    assert sim.get("/?status=200").status == 200
    assert sim.get("/control/default?status=503&name=b").status == 200
    assert (sim.get("/").status, sim.get("/", "b").status) == (202, 503)
    assert sim.get("/control/default?stauts=503").status == 400
    assert sim.get("/control/listen?state=off&name=b").body == b"b off\n"
    with pytest.raises(ConnectionRefusedError):
        sim.connect("b")
    sim.get("/control/listen?state=on&name=b")
    assert sim.get("/", "b").status == 503


# --- upgrade, PROXY header, plain TCP ---

UPGRADE = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"


def test_upgrade(sim):
    with sim.connect() as s:
        s.sendall(request("/ws?greet=1", UPGRADE) + b"first")
        s.shutdown(socket.SHUT_WR)
        reply = Reply(read_all(s).replace(b"\r\n\r\n", b"\r\nContent-Length: 13\r\n\r\n", 1))
        assert (reply.status, reply.body) == (101, b"a ready\nfirst")
    assert sim.get("/?upgrade-status=200", headers=UPGRADE).status == 200


def v2(command, family, payload):
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20 | command, family]) + struct.pack(
        ">H", len(payload)) + payload


def test_proxy_header(start):
    sim = start("--accept-proxy")
    get = request("/proxy", "Connection: close\r\n")
    v4 = socket.inet_aton("1.2.3.4") + socket.inet_aton("5.6.7.8") + struct.pack(">HH", 11, 22)
    for header, lines in (
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 11 22\r\n", "version=1 src=1.2.3.4 dst_port=22"),
            (b"PROXY TCP6 ::1 fe80::1 1 65535\r\n", "family=TCP6 dst=fe80::1 dst_port=65535"),
            (b"PROXY UNKNOWN\r\n", "version=1 family=UNKNOWN src=-"),
            (v2(1, 0x11, v4), "version=2 command=PROXY family=TCP4 src=1.2.3.4 src_port=11"),
            (v2(1, 0x11, v4 + b"\x04\0\x01x"), "dst=5.6.7.8 tlv_bytes=4"),
            (v2(0, 0, b""), "version=2 command=LOCAL src=-")):
        body = Reply(sim.raw(header + get)).body.decode().split("\n")
        assert set(lines.split()) <= set(body), header
    for header in (b"", b"PROXY TCP4 1.2.3.4 5.6.7.8 011 22\r\n", b"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
                   b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", v2(1, 0x11, v4 + b"\x04\0\x05x"),
                   v2(1, 0x11, v4[:8]), v2(2, 0x11, v4), b"PROXY " + b"x" * 200):
        assert sim.raw(header + get) == b"<RST>", header
    reply = Reply(sim.raw(b"PROXY TCP4 1.2.3.4 5.6.7.8 11 22\r\n" + get))
    assert reply.headers["x-proxy"] == "v1 PROXY TCP4 1.2.3.4 11 5.6.7.8 22"


def test_proxy_header_byte_by_byte(start):
    sim = start("--accept-proxy", "--mode", "tcp-echo")
    with sim.connect() as s:
        for byte in v2(1, 0x11, bytes(12)) + b"hi":
            s.sendall(bytes([byte]))
            time.sleep(0.001)
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b"hi"


def test_tcp_modes(start):
    data = os.urandom(300000)
    echo = start("--mode", "tcp-echo")
    with echo.connect() as s:
        for at in range(0, len(data), 30000):
            s.sendall(data[at:at + 30000])
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == data
    assert start("--mode", "tcp-greet").raw(b"hi", fin=True) == b"a ready\nhi"
    told = b"bytes=300000 crc32=%08x\n" % zlib.crc32(data)
    assert start("--mode", "tcp-sink").raw(data, fin=True) == told
    assert start("--mode", "tcp-source", "--size", "3m").raw(b"") == pattern(3 << 20)
    assert start("--mode", "tcp-name").raw(b"") == b"a\n"


def test_tcp_read_rate(start):
    sim = start("--mode", "tcp-sink", "--read-rate", "100k")
    begin = time.monotonic()
    assert sim.raw(bytes(50000), fin=True).startswith(b"bytes=50000 ")
    assert time.monotonic() - begin > 0.3


def test_unix_listener(start, tmp_path):
    path = tmp_path / "s"
    sim = start(listen=f"unix:{path}")
    assert sim.addresses["a"] == f"unix:{path}"
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(request())
        assert read_response(s).body == b"a\n"


# --- many, few descriptors, speed ---

def test_thousand_listeners(start):
    sim = start(listen=",".join(["0"] * 1000), names="m")
    assert sim.get("/", "m1000").body == b"m1000\n"


def test_out_of_descriptors(start):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))

    sim = start(preexec=limit)
    socks = [sim.connect() for _ in range(60)]
    time.sleep(0.5)
    before = cpu_seconds(sim.process.pid)
    time.sleep(0.5)
    assert cpu_seconds(sim.process.pid) - before < 0.15
    for s in socks:
        s.close()
    time.sleep(0.2)
    assert sim.get("/").status == 200


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_bench(start):
    sim = start("--bench", "--size", "100")
    get = b"GET %s HTTP/1.1\r\nHost: s\r\n%s\r\n"
    last = get % (b"/size/70000", b"Connection: close\r\n")
    got = sim.raw(get % (b"/", b"") * 200 + last)
    assert got.count(b"HTTP/1.1 200 OK") == 201 and got.endswith(pattern(70000))
    with sim.connect() as s:
        for byte in get % (b"/", b""):
            s.sendall(bytes([byte]))
        assert read_response(s).body == pattern(100)
        s.sendall(get % (b"/size/10485760", b"") * 2)
        assert read_response(s).body == pattern(10485760)
        assert read_response(s).body == pattern(10485760)


def test_bench_workers(start):
    sim = start("--bench", "--workers", "2")
    for _ in range(20):
        assert sim.get("/").body == pattern(128)


def test_help_and_wrong_options():
    def run(*args):
        return subprocess.run([str(BIN), *args], capture_output=True, text=True, check=False)

    assert "cut-body" in run("--help").stdout
    for args in ([], ["--listen", "x"], ["--listen", "0", "--mode", "x"], ["--nothing"],
                 ["--listen", "0", "--default", "stauts=1"], ["--listen", "0,0", "--name", "a,b,c"]):
        done = run(*args)
        assert done.returncode != 0 and done.stderr.startswith("backend-sim: ")
