# SPDX-License-Identifier: MIT
"""Between accept and the end of the TLS handshake: clients that split, stall, lie or leave."""
import resource
import select
import signal
import socket
import ssl
import struct
import time

import pytest

from harness import tls
from harness.proxy_header import V1, v2
from harness.wire import Growth, eventually, sanitized

WEB = """
    workers: 1
    timeout: {tls-handshake: $patience, request: 3s}
    frontends:
      web: {listen: "127.0.0.1:$port", tls: $tls, backend: app$more}
    backends:
      app: {servers: [$a], health: off}
"""
PROXY = ", accept-proxy: true, trusted-proxies: $trusted"


@pytest.fixture
def web(evlb, sim, site):
    def start(more="", patience="5s", text=WEB, trusted="127.0.0.1", mode="http"):
        text = text.replace("$more", more).replace("$trusted", trusted)
        return evlb(text, sim("a", mode=mode), tls=site, patience=patience)
    return start


class Hand:
    """A TLS client whose bytes go over the wire when the test says so."""

    def __init__(self, lb, ca, **options):
        self.raw = socket.create_connection(("127.0.0.1", lb.port), timeout=10)
        self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls.context(ca, **options).wrap_bio(self.inward, self.outward,
                                                       server_hostname="a.test")
        self.step(self.tls.do_handshake)
        self.hello = self.outward.read()

    def step(self, call, *args):
        """One call of OpenSSL; None: it wants more from the wire."""
        try:
            return call(*args) or True
        except ssl.SSLWantReadError:
            return None

    def until(self, call, *args):
        while (r := self.step(call, *args)) is None:
            self.raw.sendall(self.outward.read())
            data = self.raw.recv(65536)
            if data:
                self.inward.write(data)
            else:
                self.inward.write_eof()
        self.raw.sendall(self.outward.read())
        return r

    def send(self, *pieces, pause=0.002):
        for i, piece in enumerate(pieces):
            if i > 0:
                time.sleep(pause)
            self.raw.sendall(piece)

    def finish(self):
        """The rest of the handshake, and a request."""
        self.until(self.tls.do_handshake)
        self.tls.write(b"GET /echo HTTP/1.1\r\nHost: a.test\r\n\r\n")
        answer = self.until(self.tls.read, 65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return answer

    def stall(self):
        """Has the server's answer to its hello, and says no more."""
        self.send(self.hello)
        data = self.raw.recv(65536)
        assert data[:1] == b"\x16"
        self.inward.write(data)
        return self

    def expect_silence(self, seconds=0.3):
        assert select.select([self.raw], [], [], seconds)[0] == []

    def rest(self):
        """All that comes until the end."""
        data = b""
        try:
            while more := self.raw.recv(65536):
                data += more
        except ConnectionResetError:
            pass
        return data

    def reset(self):
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.raw.close()

    def close(self):
        self.raw.close()


def ends(lines):
    return [(line["end"], line["detail"]) for line in lines]


def served(lb, ca):
    with tls.connect(lb.port, "a.test", tls.context(ca)) as s:
        return tls.get(s)[0].startswith("HTTP/1.1 200")


# ---- the hello in pieces ----

def test_a_hello_split_at_every_byte(web, ca):
    lb = web()
    n = len(Hand(lb, ca).hello)
    for at in range(1, n):
        h = Hand(lb, ca)
        h.send(h.hello[:at], h.hello[at:])
        h.finish()
        h.close()
    assert lb.counters()["tls_handshakes"] == n - 1 and lb.counters()["tls_failures"] == 0


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_hello_in_several_records(web, ca, size):
    lb, h = web(), None
    for pause in (None, 0.0005):
        h = Hand(lb, ca)
        message = h.hello[5:]
        records = [b"\x16\x03\x01" + struct.pack("!H", len(part)) + part
                   for part in (message[i:i + size] for i in range(0, len(message), size))]
        if pause is None:
            h.send(b"".join(records))
        else:
            h.send(*records, pause=pause)
        h.finish()
        h.close()
    assert lb.counters()["tls_failures"] == 0


@pytest.mark.parametrize("mode", ["http", "tcp"])
def test_bytes_behind_the_hello_are_not_lost(web, ca, mode):
    """TLS 1.2 and 1.3, all that the client says in one segment or a byte each."""
    lb = web(f", mode: {mode}", mode=mode.replace("tcp", "tcp-echo"))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        h = Hand(lb, ca, maximum_version=version)
        h.send(h.hello)
        h.until(h.tls.do_handshake)
        h.tls.write(b"GET /echo HTTP/1.1\r\nHost: a.test\r\n\r\n")
        data = h.outward.read()
        h.send(*[data[i:i + 1] for i in range(len(data))], pause=0)
        assert len(h.until(h.tls.read, 65536)) > 20
        h.close()
        eventually(lambda: lb.counters()["requests"] > 0)


# ---- PROXY headers ----

@pytest.mark.parametrize("header", [V1, v2()], ids=["v1", "v2"])
def test_a_proxy_header_before_tls(web, ca, header):
    lb = web(PROXY)
    cuts = [None, 1, len(header) - 1, len(header), len(header) + 1, len(header) + 100]
    for at in cuts:
        h = Hand(lb, ca)
        data = header + h.hello
        h.send(*([data] if at is None else [data[:at], data[at:]]))
        assert b"192.0.2.7" in h.finish()  # X-Forwarded-For
        h.close()
    assert {line["client"].rsplit(":", 1)[0] for line in lb.wait_access(len(cuts))} == {"192.0.2.7"}


def test_a_long_proxy_header_in_pieces(web, ca):
    lb = web(PROXY)
    h = Hand(lb, ca)
    header = v2(tlvs=struct.pack("!BH", 4, 60000) + b"x" * 60000)
    data = header + h.hello
    h.send(*[data[i:i + 9000] for i in range(0, len(data), 9000)])
    assert b"192.0.2.7" in h.finish()


def test_a_proxy_header_is_mandatory(web, ca):
    lb = web(PROXY)
    h = Hand(lb, ca)
    h.send(h.hello)
    assert h.rest() == b""
    assert lb.wait_access()[0]["end"] == "bad-proxy-header"
    assert lb.counters()["tls_failures"] == 0


def test_a_proxy_header_of_a_stranger(web, ca):
    lb = web(PROXY, trusted="10.0.0.0/8")
    h = Hand(lb, ca)
    h.send(V1 + h.hello)
    assert h.rest() == b""
    line = lb.wait_access()[0]
    assert (line["end"], line["detail"]) == ("bad-proxy-header",
                                             "the peer is not one of trusted-proxies")


def test_a_check_of_the_balancer_in_front_leaves_no_line(web, ca):
    lb = web(PROXY)
    for header in (v2(command=0, family=0), V1):
        with socket.create_connection(("127.0.0.1", lb.port)) as s:
            s.sendall(header)
    assert eventually(lambda: lb.counters()["connections"] == 2)
    h = Hand(lb, ca)
    h.send(V1 + h.hello)
    h.finish()
    assert ends(lb.wait_access()) == [("ok", None)]


# ---- what is not TLS ----

@pytest.mark.parametrize("step", [1, 4096])
def test_plain_http_is_told_so(web, step):
    lb = web()
    c = lb.client()
    c.send_split(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", step=step)
    r = c.response()
    assert r.status == 400 and b"HTTPS" in r.body and r.headers["Connection"] == "close"
    c.expect_close()
    line = lb.wait_access()[0]
    assert (line["end"], line["detail"], line["status"]) == \
        ("tls-failed", "plain HTTP, not TLS", 400)
    assert line["bytes_out"] > len(r.body) > 0


@pytest.mark.parametrize("mode, data, answer, detail", [
    ("http", b"\x00\x01\x02garbage", b"", "not TLS"),
    ("http", b"\x15\x03\x01\x00\x02\x02\x28", b"", "not TLS"),
    ("tcp", b"GET / HTTP/1.1\r\n\r\n", b"", "not TLS"),
    ("http", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x15\x03\x03\x00\x02\x02\x32",
     "the ClientHello is broken or too long"),
    ("http", b"\x16\x03\x01\x40\x00\x01\x00\xff\xff" + b"x" * 20000,
     b"\x15\x03\x03\x00\x02\x02\x32", "the ClientHello is broken or too long")])
def test_other_than_tls_is_closed(web, ca, mode, data, answer, detail):
    lb = web(f", mode: {mode}")
    h = Hand(lb, ca)
    h.send(data)
    assert h.rest() == answer
    assert ends(lb.wait_access()) == [("tls-failed", detail)]
    assert lb.counters()["tls_failures"] == 1


# ---- limit.handshakes ----

LIMIT = ", limit: {handshakes: 2}"


def test_more_handshakes_wait_for_their_turn(web, ca):
    lb = web(LIMIT)
    stalled = [Hand(lb, ca).stall() for _ in range(2)]
    waiting = [Hand(lb, ca) for _ in range(3)]
    for h in waiting:
        h.send(h.hello)
        h.expect_silence(0.1)
    assert lb.counters()["tls_waited"] == 3
    stalled[0].finish()
    waiting[1].expect_silence()  # first in, first out
    waiting[0].finish()
    stalled[1].reset()
    for h in waiting[1:]:
        h.finish()
    assert lb.counters()["tls_waited"] == 3


def test_who_waits_too_long_or_leaves_is_told_apart(web, ca):
    lb = web(LIMIT, patience="1s")
    stalled = [Hand(lb, ca).stall() for _ in range(2)]
    time.sleep(0.5)
    leaving, late = Hand(lb, ca), Hand(lb, ca)
    leaving.send(leaving.hello)
    late.send(late.hello)
    leaving.close()
    assert late.raw.recv(1)  # when the stalled ones are over
    assert sorted(ends(lb.wait_access(3))) == [
        ("tls-failed", "the client left while other handshakes came first"),
        ("tls-timeout", "the client did not go on"), ("tls-timeout", "the client did not go on")]
    late.close()
    for h in stalled:
        assert h.rest() == b""


def test_a_reload_lifts_the_limit(web, ca, site):
    lb = web(LIMIT)
    stalled = [Hand(lb, ca).stall() for _ in range(2)]
    h = Hand(lb, ca)
    h.send(h.hello)
    h.expect_silence(0.1)
    lb.reload(WEB.replace("$more", ""))
    h.finish()
    for other in stalled:
        other.finish()


def test_a_flood_of_handshakes_passes_whole(web, ca):
    """More at once than begin in a turn of the loop."""
    lb = web()
    hands = [Hand(lb, ca) for _ in range(60)]
    for h in hands:
        h.send(h.hello)
    for h in hands:
        h.finish()
    assert lb.counters()["tls_handshakes"] == 60 and lb.counters()["tls_waited"] == 0


# ---- leaving, reloads and stops at each stage ----

def at_every_stage(lb, ca):
    """Clients that wait for nothing, in the header, in the hello, in the handshake."""
    stages = {name: Hand(lb, ca) for name in ("silent", "header", "hello", "shake", "waiting")}
    stages["header"].send(V1[:9])
    stages["hello"].send(V1 + stages["hello"].hello[:50])
    stages["shake"].send(V1)
    stages["shake"].stall()
    stages["waiting"].send(V1 + stages["waiting"].hello)
    stages["waiting"].expect_silence(0.1)
    return stages


def test_a_reset_at_each_stage(web, ca):
    lb = web(PROXY + ", limit: {handshakes: 1}")
    for h in reversed(at_every_stage(lb, ca).values()):
        h.reset()
    assert sorted(ends(lb.wait_access(4))) == [
        ("tls-failed", "the client left in its ClientHello"),
        ("tls-failed", "the client left in its PROXY header"),
        ("tls-failed", "the client left while other handshakes came first"),
        ("tls-failed", "the connection broke")]
    h = Hand(lb, ca)
    h.send(V1 + h.hello)
    h.finish()


def test_a_reload_at_each_stage(web, ca, site):
    lb = web(PROXY + ", limit: {handshakes: 1}")
    stages = at_every_stage(lb, ca)
    ca.make(site, "a.test", "new.test")
    lb.reload()
    for name in ("shake", "waiting"):
        stages[name].finish()
    stages["silent"].send(V1 + stages["silent"].hello)
    stages["silent"].finish()
    stages["header"].send(V1[9:] + stages["header"].hello)
    stages["header"].finish()
    stages["hello"].send(stages["hello"].hello[50:])
    stages["hello"].finish()
    assert lb.counters()["tls_handshakes"] == 5 and lb.counters()["tls_failures"] == 0


def test_a_stop_at_each_stage(web, ca):
    lb = web(PROXY + ", limit: {handshakes: 1}", patience="10s")
    stages = at_every_stage(lb, ca)
    time.sleep(2.2)  # until the kernel has handed over the silent one, and it has been silent
    lb.signal(signal.SIGTERM)
    assert stages["silent"].rest() == b""
    for name in ("shake", "waiting"):
        assert b"connection: close" in stages[name].finish().lower()
    stages["header"].send(V1[9:] + stages["header"].hello)
    assert b"connection: close" in stages["header"].finish().lower()
    stages["hello"].send(stages["hello"].hello[50:])
    assert b"connection: close" in stages["hello"].finish().lower()
    assert lb.stop() == 0


def test_tls_is_taken_off_in_the_middle_of_a_hello(web, ca):
    lb = web()
    h = Hand(lb, ca)
    h.send(h.hello[:50])
    time.sleep(0.2)
    lb.reload(WEB.replace("$more", "").replace("tls: $tls, ", ""))
    h.send(h.hello[50:])
    assert h.rest() == b""
    assert ends(lb.wait_access()) == [("tls-failed", "a reload has taken TLS off this address")]
    assert lb.get().status == 200


# ---- many that do not finish ----

def test_thousands_that_stop_half_way(web, ca):
    """Nothing, one byte, or half a hello: little memory, the others are served, all are gone after
    the timeout."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    lb = web(patience="8s")
    assert served(lb, ca)
    worker = lb.workers()[0]
    n = 1000 if sanitized(worker) else 5000
    growth, clients = Growth(worker), []
    hello = Hand(lb, ca).hello
    for i in range(n):
        c = socket.create_connection(("127.0.0.1", lb.port))
        c.sendall((b"", hello[:1], hello[:len(hello) // 2])[i % 3])
        clients.append(c)
        if i % 1000 == 0:
            assert served(lb, ca)
    assert eventually(lambda: lb.status()["frontends"][0]["connections_current"] >= n)
    growth.look()
    assert served(lb, ca)
    assert growth.stayed_under(n)  # KiB: one each
    assert eventually(lambda: lb.status()["frontends"][0]["connections_current"] < 5, 15)
    for c in clients:
        assert c.recv(1) == b""
        c.close()
    assert lb.counters()["tls_failures"] >= n
    late = [line for line in lb.wait_access(n) if line["end"] == "tls-timeout"]
    assert {line["detail"] for line in late} == {"the client has sent nothing",
                                                 "the ClientHello did not end"}


def test_idle_clients_are_small_and_wake_up(web, ca):
    """At most 12,000 bytes each (here with some room), and after their rest they go on as before."""
    lb = web()
    worker = lb.workers()[0]
    ctx, clients = tls.context(ca), []
    def more(n):
        for _ in range(n):
            s = tls.connect(lb.port, "a.test", ctx)
            tls.get(s)
            clients.append(s)
        time.sleep(1.2)
    more(200)
    growth = Growth(worker)
    more(300)
    growth.look()
    assert growth.stayed_under(300 * 13)
    for s in clients:
        assert tls.get(s, "/?size=3000")[1]
    time.sleep(1.2)
    lb.reload()
    for s in clients[:250]:
        s.suppress_ragged_eofs = False
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while s.recv(65536):  # an end without close_notify would raise
            pass
    for s in clients[250:]:
        s.close()
