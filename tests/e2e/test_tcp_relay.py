# SPDX-License-Identifier: MIT
"""Layer 4: bytes both ways, ends of each direction, resets, slow readers, servers that speak
first, servers that refuse."""
import socket
import threading
import time
import zlib

import pytest

from harness import http
from harness.wire import TCP, eventually, full_backlog, is_pattern, pattern, server_counters


@pytest.fixture
def echo(sim):
    return sim("a", mode="tcp-echo")["a"]


@pytest.fixture
def lb(evlb, echo):
    return evlb(TCP, a=echo)


def test_bytes_pass_unchanged(lb):
    c = lb.client()
    data = bytes(range(256)) * 40
    c.send(data)
    assert c.read_exact(len(data)) == data


def test_single_bytes_pass_at_once(lb):
    c = lb.client()
    for byte in (b"a", b"\0", b"\r", b"\n"):
        c.send(byte)
        assert c.read_exact(1) == byte


def test_http_is_not_read_in_mode_tcp(lb):
    c = lb.client()
    c.send(b"GET / HTTP/9.9\r\nBad Header\r\n\r\n")
    assert c.read_exact(30) == b"GET / HTTP/9.9\r\nBad Header\r\n\r\n"


def test_a_server_that_speaks_first_is_heard(evlb, sim):
    lb = evlb(TCP, a=sim("a", mode="tcp-greet")["a"])
    c = lb.client()
    assert c.read_exact(8) == b"a ready\n"
    c.send(b"hi")
    assert c.read_exact(2) == b"hi"


def test_a_server_that_speaks_first_after_a_while(evlb, sim):
    sims = sim("a", mode="tcp-greet", options=["--accept-delay", "300ms"])
    lb = evlb(TCP, a=sims["a"])
    assert lb.client().read_exact(8) == b"a ready\n"


def test_both_sides_speak_at_once(evlb, sim):
    lb = evlb(TCP, a=sim("a", mode="tcp-greet")["a"])
    for _ in range(20):
        c = lb.client()
        c.send(b"me first")
        assert c.read_exact(16) == b"a ready\nme first"
        c.close()


# ---- ends (trap 15)

def test_the_clients_fin_is_passed_on_and_the_answer_still_comes(evlb, sim):
    """tcp-sink answers only after the FIN."""
    lb = evlb(TCP, a=sim("a", mode="tcp-sink")["a"])
    c = lb.client()
    data = pattern(100_000)
    c.send(data).half_close()
    assert c.read_until_close() == b"bytes=100000 crc32=%08x\n" % zlib.crc32(data)


def test_a_fin_right_behind_the_connect_is_passed_on(evlb, sim):
    lb = evlb(TCP, a=sim("a", mode="tcp-sink")["a"])
    c = lb.client()
    c.half_close()
    assert c.read_until_close() == b"bytes=0 crc32=00000000\n"


def test_the_servers_fin_is_passed_on_and_the_client_can_still_send(evlb):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lb = evlb(TCP, a="127.0.0.1:%d" % listener.getsockname()[1])
        c = lb.client()
        server, _ = listener.accept()
        server.settimeout(5)
        server.sendall(b"all I have to say")
        server.shutdown(socket.SHUT_WR)
        assert c.read_until_close() == b"all I have to say"
        c.send(b"but I have more")
        assert server.recv(100) == b"but I have more"
        c.close()
        assert server.recv(100) == b""
        server.close()


def test_a_server_that_sends_and_closes(evlb, sim):
    lb = evlb(TCP, a=sim("a", mode="tcp-name")["a"])
    for _ in range(10):
        c = lb.client()
        assert c.read_until_close() == b"a\n"
        c.close()


def test_a_half_closed_session_is_bounded(evlb):
    """Nobody answers the FIN: timeout.server-fin ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lb = evlb(TCP + "timeout: {server-fin: 300ms}\n",
                  a="127.0.0.1:%d" % listener.getsockname()[1])
        c = lb.client()
        c.send(b"x")
        server, _ = listener.accept()
        c.half_close()
        begin = time.monotonic()
        with pytest.raises((http.Closed, ConnectionError)):
            c.read_exact(1)
        assert 0.2 < time.monotonic() - begin < 3
        server.close()
    assert lb.wait_access()[0]["term"] == "sD"


def test_silence_is_bounded(evlb, echo):
    lb = evlb(TCP + "timeout: {tunnel: 300ms}\n", a=echo)
    c = lb.client()
    c.send(b"x")
    assert c.read_exact(1) == b"x"
    with pytest.raises((http.Closed, ConnectionError)):
        c.read_exact(1)
    assert lb.wait_access()[0]["end"] == "tunnel-idle"


def test_traffic_one_way_keeps_a_session(evlb, echo):
    lb = evlb(TCP + "timeout: {tunnel: 400ms}\n", a=echo)
    c = lb.client()
    for _ in range(8):
        c.send(b"x")
        assert c.read_exact(1) == b"x"
        time.sleep(0.1)


# ---- resets

def test_the_clients_reset_is_passed_on(evlb):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lb = evlb(TCP, a="127.0.0.1:%d" % listener.getsockname()[1])
        c = lb.client()
        c.send(b"x")
        server, _ = listener.accept()
        server.settimeout(5)
        assert server.recv(1) == b"x"
        c.reset()
        with pytest.raises(ConnectionResetError):
            server.recv(1)
        server.close()
    assert lb.wait_access()[0]["term"] == "CD"


def test_the_servers_reset_is_passed_on(evlb):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lb = evlb(TCP, a="127.0.0.1:%d" % listener.getsockname()[1])
        c = lb.client()
        c.send(b"x")
        server, _ = listener.accept()
        assert server.recv(1) == b"x"
        http.Client.reset(_Bare(server))
        with pytest.raises(http.Closed) as e:
            c.read_exact(1)
        assert e.value.reset
    assert lb.wait_access()[0]["term"] == "SD"


class _Bare:
    def __init__(self, sock):
        self.sock = sock


def test_no_server_is_a_reset(evlb):
    lb = evlb(TCP, a="127.0.0.1:1")
    with pytest.raises(ConnectionError):
        c = lb.client()  # the reset may be here before connect() has returned
        c.sock.sendall(b"x")
        time.sleep(0.2)
        if c.sock.recv(1) == b"":
            raise AssertionError("a FIN looks like a server that had nothing to say")
    assert lb.wait_access()[0]["term"] == "SC"


def test_a_refused_connect_goes_to_another_server(evlb, sim):
    sims = sim("a", "b", mode="tcp-name")
    lb = evlb("""
        workers: 1
        frontends: {web: {listen: $port, mode: tcp, backend: app}}
        backends: {app: {mode: tcp, servers: {dead: "127.0.0.1:1", a: $a, b: $b}}}
        log: {access: true}
    """, sims)
    names = set()
    for _ in range(12):
        c = lb.client()
        c.send(b"")
        names.add(c.read_until_close())
        c.close()
    assert names == {b"a\n", b"b\n"}


def test_bytes_sent_before_the_retry_are_not_lost(evlb, echo):
    lb = evlb("""
        workers: 1
        frontends: {web: {listen: $port, mode: tcp, backend: app}}
        backends: {app: {mode: tcp, balance: first, servers: {dead: "127.0.0.1:1", a: $a}}}
    """, a=echo)
    c = lb.client()
    c.send(b"do not lose me").half_close()
    assert c.read_until_close() == b"do not lose me"


def test_a_connect_that_is_not_answered_goes_to_another_server(evlb, sim):
    slow = sim("slow", mode="tcp-name", options=["--no-accept", "--backlog", "1"])["slow"]
    lb = evlb("""
        workers: 1
        frontends: {web: {listen: $port, mode: tcp, backend: app}}
        backends:
          app: {mode: tcp, balance: first, timeout: {connect: 300ms}, servers: {s: $s, a: $a}}
    """, s=slow, a=sim("a", mode="tcp-name")["a"])
    with full_backlog(slow):
        assert lb.client().read_until_close() == b"a\n"


# ---- flow control (trap 35)

def test_a_slow_reader_gets_every_byte(evlb, sim):
    size = 3_000_000
    lb = evlb(TCP, a=sim("a", mode="tcp-source", options=["--size", str(size)])["a"])
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    s.settimeout(10)
    s.connect(("127.0.0.1", lb.port))
    got = 0
    while piece := s.recv(60000):
        assert is_pattern(piece, got)
        got += len(piece)
        time.sleep(0.001)
    s.close()
    assert got == size


def test_a_stalled_reader_stalls_the_server(evlb, sim):
    """Bytes wait in the kernel, not in the balancer."""
    lb = evlb(TCP, a=sim("a", mode="tcp-source", options=["--size", "200m"])["a"])
    c = lb.client()
    c.read_exact(1000)
    time.sleep(0.5)
    first = server_counters(lb, "a")
    time.sleep(0.3)
    assert server_counters(lb, "a") == first
    c.reset()


def test_both_directions_at_full_speed(lb):
    """An echo of a stream: neither direction may wait for the other to end."""
    c = lb.client()
    size = 8_000_000
    sender = threading.Thread(target=lambda: c.send(pattern(size)).half_close())
    sender.start()
    got = 0
    while piece := c.sock.recv(1 << 20):
        assert is_pattern(piece, got)
        got += len(piece)
    sender.join()
    assert got == size


def test_a_slow_server_slows_the_client_down(evlb, sim):
    sink = sim("a", mode="tcp-sink", options=["--read-rate", "400k"])["a"]
    lb = evlb(TCP, a=sink)
    c = lb.client()
    data = pattern(200_000)
    c.send(data).half_close()
    assert c.read_until_close() == b"bytes=200000 crc32=%08x\n" % zlib.crc32(data)


# ---- accounting (trap 33)

def test_sessions_are_counted_while_they_last(lb):
    clients = [lb.client() for _ in range(5)]
    for c in clients:
        c.send(b"x")
        c.read_exact(1)
    assert lb.status()["backends"][0]["in_flight"] == 5
    for c in clients[:3]:
        c.close()
    assert eventually(lambda: lb.status()["backends"][0]["in_flight"] == 2)


def test_bytes_are_counted(lb):
    c = lb.client()
    c.send(b"x" * 1234)
    c.read_exact(1234)
    c.half_close()
    c.read_until_close()
    line = lb.wait_access()[0]
    assert (line["bytes_in"], line["bytes_out"], line["term"]) == (1234, 1234, "--")
    counters = server_counters(lb, "a")
    assert (counters["bytes_sent"], counters["bytes_received"]) == (1234, 1234)
