# SPDX-License-Identifier: MIT
"""Everything at once: clients and servers that abort, stall, cut and lie at random moments, with a
seed. Most severe bugs of balancers are state bugs, so the sanitizers and the accounting watch:
afterwards no worker has died, nothing is in flight, and the next request is answered."""
import random
import threading
import time

import pytest

from harness import http
from harness.wire import chunked, post, request

HTTP = """
workers: 1
frontends:
  web: {listen: $port, backend: app}
  raw: {listen: $port_tcp, mode: tcp, backend: raw}
backends:
  app: {balance: BALANCE, servers: {a: $a, b: $b, dead: "127.0.0.1:1"}}
  raw: {mode: tcp, balance: BALANCE, servers: {c: $c, d: $d, dead: "127.0.0.1:1"}}
timeout: {connect: 500ms, server: 300ms, client: 300ms, request: 300ms, keep-alive: 300ms,
          client-fin: 200ms, server-fin: 200ms, idle: 200ms, tunnel: 400ms}
log: {access: true, level: debug}
"""
BEHAVIOURS = [
    "", "", "", "size=100", "size=200k", "size=3m", "size=300k&framing=chunked",
    "size=100k&framing=close", "size=50k&framing=chunked&chunk=13", "early=103", "early=103,100",
    "trailers=1&size=10k", "delay=50ms", "delay=400ms", "never=1", "drop=1", "rst=1", "cut=5",
    "cut=40&rst=1", "size=200k&cut-body=90k", "size=200k&cut-body=150k&rst=1",
    "size=200k&framing=chunked&cut-body=99k", "close=1", "close=quiet&size=5k", "no-read=1",
    "no-read=drain&size=100k", "no-read=1&close=quiet", "status=204", "status=304&size=10",
    "drip=3&size=30", "bad=long-body", "bad=garbage", "bad=chunk-size", "bad=chunk-cut",
    "bad=1xx-flood", "bad=half-head", "bad=204-body", "expect=417", "expect=ignore", "greet=1",
    "size=2k&chunk=100&chunk-delay=20ms", "version=1.0&size=10", "read-rate=20k",
]


def message(rng):
    """A request, perhaps broken, and how many answers it may get."""
    target = f"/?{rng.choice(BEHAVIOURS)}"
    kind = rng.randrange(10)
    if kind < 3:
        return request(f"GET {target} HTTP/1.1", "Host: x")
    if kind == 3:
        return request(f"HEAD {target} HTTP/1.1", "Host: x") + request("GET / HTTP/1.1", "Host: x")
    if kind == 4:
        size = rng.choice((0, 1, 1000, 16384, 300_000))
        extra = ["Expect: 100-continue"] if rng.random() < 0.3 else []
        return post(target, f"Content-Length: {size}", *extra, body=b"b" * size)
    if kind == 5:
        pieces = [b"c" * rng.choice((1, 10, 5000, 70_000)) for _ in range(rng.randrange(1, 6))]
        return post(target, "Transfer-Encoding: chunked", body=chunked(*pieces))
    if kind == 6:
        return request(f"GET {target} HTTP/1.1", "Host: x", "Connection: upgrade",
                       "Upgrade: websocket", body=b"tunnel bytes")
    if kind == 7:
        return f"GET {target} HTTP/1.0\r\n\r\n".encode()
    if kind == 8:
        return post(target, "Transfer-Encoding: chunked", body=b"5\r\nhelloXX")
    return request(f"GET {target} HTTP/1.1", "Host: x") * rng.randrange(2, 20)


def behave(c, data, rng):
    """Sends it in some way, reads some of what comes, and leaves in some way."""
    if rng.random() < 0.2:
        data = data[:rng.randrange(1, len(data))]
    if rng.random() < 0.2:
        c.send_split(data[:200], step=rng.randrange(1, 40))
        data = data[200:]
    c.send(data)
    if rng.random() < 0.2:
        c.half_close()
    if rng.random() < 0.3:
        c.sock.settimeout(0.01)
    reading = rng.randrange(4)
    while reading > 0 and c.sock.recv(rng.choice((1, 1000, 1 << 20))):
        reading -= rng.random() < 0.1
    if rng.random() < 0.3:
        c.send(request("GET / HTTP/1.1", "Host: x"))
        c.sock.recv(1000)


def client(lb, seed, until):
    rng = random.Random(seed)
    while time.monotonic() < until:
        port = lb.port if rng.random() < 0.75 else lb.ports["port_tcp"]
        try:
            c = http.Client(("127.0.0.1", port), timeout=0.3)
        except OSError:
            continue
        try:
            behave(c, message(rng), rng)
        except OSError:
            pass
        finally:
            c.reset() if rng.random() < 0.4 else c.close()


@pytest.mark.parametrize("balance, seed", [("round-robin", 1), ("least-conn", 2), ("hash", 3)])
def test_chaos_leaves_nothing_behind(evlb, sim, balance, seed):
    sims = sim("a", "b")
    lb = evlb(HTTP.replace("BALANCE", balance), sims, sim("c", "d"))
    workers = lb.workers()
    until = time.monotonic() + 2.0
    threads = [threading.Thread(target=client, args=(lb, seed * 100 + n, until)) for n in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    lb.wait_idle()
    assert lb.workers() == workers
    assert lb.get("/").status == 200
    for line in lb.access_log():
        assert line["end"] != "internal", line
    for origin in sims:
        count = origin.count()
        assert count["bad_requests"] == 0, count["last_bad"]
