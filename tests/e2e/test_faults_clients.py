# SPDX-License-Identifier: MIT
"""Clients that are slow, endless, or gone: the others are served meanwhile, the server's side is
released, nothing is left behind."""
import contextlib
import socket
import threading
import time

import pytest

from harness import http
from harness.wire import ONE, TCP, cpu_seconds, eventually, post, request


@pytest.fixture
def origin(sim):
    return sim("a")["a"]


@pytest.fixture
def lb(evlb, origin):
    return evlb(ONE + "timeout: {request: 600ms, client: 600ms, keep-alive: 600ms}\n", a=origin)


def gone(c, seconds):
    """True when evlb has closed the connection within that time."""
    end = time.monotonic() + seconds
    c.sock.settimeout(seconds)
    try:
        while time.monotonic() < end:
            if c.sock.recv(65536) == b"":
                return True
    except socket.timeout:
        return False
    except ConnectionError:
        return True
    return False


# ---- slow

def test_slow_loris_is_gone_after_the_head_timeout_and_hurts_nobody(lb):
    """Fault 9; trap 32: the deadline is of the whole head, no byte prolongs it."""
    slow = [lb.client() for _ in range(100)]
    for c in slow:
        c.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
    begin = time.monotonic()
    while time.monotonic() - begin < 1.2:
        for c in slow:
            try:
                c.sock.send(b"X-a: b\r\n")
            except OSError:
                pass
        assert lb.get("/").status == 200
        time.sleep(0.05)
    assert all(gone(c, 1) for c in slow)


def test_a_connection_without_a_request_is_gone_after_the_request_timeout(lb):
    c = lb.client()
    begin = time.monotonic()
    assert gone(c, 4)
    assert time.monotonic() - begin > 0.4


def test_an_idle_connection_is_gone_after_the_keep_alive_timeout(lb):
    c = lb.client()
    c.get("/")
    begin = time.monotonic()
    assert gone(c, 4)
    assert 0.4 < time.monotonic() - begin < 3


def test_the_second_head_has_a_deadline_too(lb):
    c = lb.client()
    c.get("/")
    time.sleep(0.3)
    begin = time.monotonic()
    c.send(b"GET /")
    assert c.response().status == 408
    assert 0.4 < time.monotonic() - begin < 2


def test_a_body_that_stalls_is_ended_and_releases_the_server(lb, origin):
    """Fault 10."""
    c = lb.client()
    c.send(post("/", "Content-Length: 1000", body=b"x"))
    assert c.response().status == 408
    assert eventually(lambda: origin.count()["active"] == 0, 2)


def test_a_body_that_trickles_is_allowed(lb):
    c = lb.client()
    c.send(post("/", "Content-Length: 10"))
    c.send_split(b"0123456789", pause=0.12)
    assert c.response().headers["X-Body-Bytes"] == "10"


def test_a_reader_that_stalls_is_ended_and_releases_the_server(lb, origin):
    c = lb.client()
    c.request("GET", "/?size=200m")
    c.read_exact(100)
    assert eventually(lambda: origin.count()["active"] == 0, 4)
    assert lb.wait_access()[0]["term"] == "cD"


def test_a_slow_reader_is_served_to_the_end(lb):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    s.settimeout(5)
    s.connect(("127.0.0.1", lb.port))
    s.sendall(request("GET /?size=600k HTTP/1.1", "Host: x", "Connection: close"))
    got = 0
    while piece := s.recv(30000):
        got += len(piece)
        time.sleep(0.005)
    s.close()
    assert got > 600 << 10


def test_slow_readers_do_not_hold_others_up(lb):
    """Trap 35."""
    slow = [lb.client() for _ in range(30)]
    for c in slow:
        c.request("GET", "/?size=50m")
    begin = time.monotonic()
    for _ in range(10):
        assert lb.get("/?size=100k").status == 200
    assert time.monotonic() - begin < 2
    for c in slow:
        c.reset()


# ---- endless

BOMBS = {
    "name": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"N" * 100_000,
    "value": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"v" * 100_000,
    "fields": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: 1\r\n" * 20_000,
    "target": b"GET /" + b"t" * 100_000,
    "method": b"M" * 100_000,
    "spaces": b"GET /" + b" " * 100_000,
    "empty-lines": b"\r\n" * 50_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_and_nothing_is_forwarded(lb, origin, name):
    """Fault 14."""
    c = lb.client()
    try:
        c.send(BOMBS[name])
    except OSError:
        pass
    assert c.response().status in (400, 414, 431)
    assert origin.count()["requests"] == 0


def test_cookies_of_delimiters_do_not_loop(evlb, sim):
    """CVE-2019-14241."""
    lb = evlb(ONE.replace("{servers", "{balance: hash, hash: {on: cookie sid}, servers"), sim("a"))
    for cookie in (";", ";;;;", ",", "=", "= ;=", " ; ", ";,= ;,= ", "sid", "sid=", "=sid",
                   "; sid=;", "sid=\"", "a=\"b; sid=1", ";" * 5000, "=" * 5000,
                   "sid=" + "x" * 5000):
        assert lb.get("/", {"Cookie": cookie}).status == 200


def test_set_cookie2_does_not_loop(lb):
    """CVE-2022-0711."""
    assert lb.get("/?bad=set-cookie2").status == 200


def test_one_byte_chunks_cost_no_memory(lb, origin):
    """CVE-2020-8659: in both directions, 50,000 of them."""
    c = lb.client()
    c.send(post("/", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"))
    assert c.response().headers["X-Body-Bytes"] == "50000"


def test_pipelining_without_end_leaves_others_their_turn(lb):
    stop = threading.Event()
    c = lb.client()

    def flood():
        burst = request("GET / HTTP/1.1", "Host: x") * 200
        while not stop.is_set():
            try:
                c.send(burst)
                c.sock.recv(1 << 20)
            except OSError:
                return
    thread = threading.Thread(target=flood)
    thread.start()
    begin = time.monotonic()
    for _ in range(5):
        assert lb.get("/").status == 200
    assert time.monotonic() - begin < 2
    stop.set()
    c.close()
    thread.join()


# ---- gone

STAGES = {
    "connected": (b"", 0.02),
    "in-the-head": (b"GET / HTTP/1.1\r\nHo", 0.02),
    "in-the-body": (post("/", "Content-Length: 100", body=b"x"), 0.05),
    "in-a-chunk": (post("/", "Transfer-Encoding: chunked", body=b"5\r\nhe"), 0.05),
    "waiting": (request("GET /?delay=10s HTTP/1.1", "Host: x"), 0.3),
    "waiting-shortly": (request("GET /?delay=10s HTTP/1.1", "Host: x"), 0.02),
    "after-an-interim-answer": (request("GET /?early=103&delay=10s HTTP/1.1", "Host: x"), 0.1),
    "in-the-answer": (request("GET /?size=100m HTTP/1.1", "Host: x"), 0.05),
    "in-a-chunked-answer": (request("GET /?size=100m&framing=chunked HTTP/1.1", "Host: x"), 0.05),
    "in-a-slow-answer": (request("GET /?size=10k&chunk=1&chunk-delay=50ms HTTP/1.1", "Host: x"),
                         0.2),
    "in-both": (post("/?no-read=drain&size=100m", "Content-Length: 9999999", body=b"x" * 9999),
                0.05),
    "in-a-tunnel": (request("GET / HTTP/1.1", "Host: x", "Connection: upgrade",
                            "Upgrade: websocket"), 0.05),
    "with-the-next-behind": (request("GET /?delay=10s HTTP/1.1", "Host: x") +
                             request("GET / HTTP/1.1", "Host: x"), 0.2),
}


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_client_that_leaves_releases_the_server_within_a_second(evlb, origin, stage, how):
    """Fault 23, traps 15 and 33."""
    lb = evlb(ONE, a=origin)
    data, pause = STAGES[stage]
    clients = [lb.client() for _ in range(5)]
    for c in clients:
        c.send(data)
    time.sleep(pause)
    for c in clients:
        c.reset() if how == "reset" else c.close()
    assert eventually(lambda: origin.count()["active"] == 0, 1.5)
    assert lb.get("/").status == 200
    lb.wait_idle()


def stall(c, head):
    """Sends until nothing more is taken."""
    c.send(head)
    c.sock.settimeout(0.3)
    with contextlib.suppress(socket.timeout):
        while True:
            c.sock.send(b"x" * 65536)


@pytest.mark.parametrize("query", ["read=slow", "no-read=1&never=1"])
def test_a_reset_in_an_upload_that_nobody_reads_releases_the_server(evlb, origin, query):
    """Fault 23: what the client has sent waits unread, so only a look finds the reset behind it."""
    lb = evlb(ONE, a=origin)
    c = lb.client()
    stall(c, post(f"/?{query}", "Content-Length: 500000000"))
    assert origin.count()["active"] == 1
    c.reset()
    assert eventually(lambda: lb.access_log(), 1.5)
    assert lb.access_log()[0]["end"] == "client-closed-data"
    lb.wait_idle()


def test_a_reset_of_a_tcp_client_that_nobody_reads_releases_the_server(evlb, sim):
    lb = evlb(TCP, a=sim("a", mode="tcp-sink", options=["--read-rate", "1k"])["a"])
    c = lb.client()
    stall(c, b"x")
    c.reset()
    assert eventually(lambda: lb.access_log(), 1.5)
    assert lb.access_log()[0]["end"] == "client-closed-data"
    lb.wait_idle()


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_tcp_client_that_leaves_releases_the_server(evlb, sim, how):
    lb = evlb(TCP + "timeout: {server-fin: 300ms}\n", a=sim("a", mode="tcp-echo")["a"])
    clients = [lb.client() for _ in range(5)]
    for c in clients:
        c.send(b"x")
    for c in clients:
        c.reset() if how == "reset" else c.close()
    lb.wait_idle(3)


def test_a_storm_of_resets_leaves_nothing(lb, origin):
    """Fault 22."""
    worker = lb.workers()[0]
    for n in range(400):
        c = http.Client(("127.0.0.1", lb.port))
        if n % 3:
            c.request("GET", "/?size=1000")
        c.reset()
    assert lb.get("/").status == 200
    lb.wait_idle()
    assert lb.workers() == [worker]
    assert not lb.extra_descriptors()


def test_nothing_spins_when_all_is_over(lb):
    """Fault 28: half-closed, reset, stalled and refused clients, then silence."""
    c = lb.client()
    c.send(request("GET / HTTP/1.1", "Host: x")).half_close()
    c.read_until_close()
    lb.client().reset()
    c = lb.client()
    c.send(b"BAD\r\n\r\n")
    c.response()
    keep = lb.client()
    keep.get("/")
    time.sleep(1.0)  # timeouts and lingering are over, but for the last
    pids = lb.processes()
    before = {pid: cpu_seconds(pid) for pid in pids}
    time.sleep(1.0)
    assert all(cpu_seconds(pid) - before[pid] <= 0.02 for pid in pids)
