# SPDX-License-Identifier: MIT
"""Queues: never more at a server than its max-connections, over all workers; first in, first out;
nobody is lost when a server, a client or a worker goes."""
import os
import selectors
import signal
import time

import pytest

from harness.wire import eventually, request

LIMITED = """\
workers: 4
frontends: {web: {listen: $port, backend: app}}
backends: {app: {servers: {a: {address: $a, max-connections: 10}}, SETTINGS}}
log: {access: true}
"""

TWO = """\
workers: 4
frontends: {web: {listen: $port, backend: app}}
backends:
  app:
    servers: {a: {address: $a, max-connections: 5}, b: {address: $b, max-connections: 5}}
    SETTINGS
log: {access: true}
"""


def config(text, settings=""):
    return text.replace("SETTINGS", settings)


def ask_all(lb, n, target, spread=0.0):
    """n clients, one request each, sent in this order; they are not waited for."""
    clients = [lb.client() for _ in range(n)]
    for c in clients:
        c.send(request(f"GET {target} HTTP/1.1", "Host: x"))
        time.sleep(spread)
    return clients


def answers(clients, seconds=20):
    """What each client got ("lost": the connection ended), in the order of their arrival."""
    came = {}
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for n, c in enumerate(clients):
            selector.register(c.sock, selectors.EVENT_READ, n)
        while len(came) < len(clients) and time.monotonic() < end:
            for key, _ in selector.select(0.2):
                try:
                    came[key.data] = clients[key.data].response().status
                except Exception:  # closed, reset
                    came[key.data] = "lost"
                selector.unregister(key.fileobj)
    return came


def test_never_more_than_the_limit_and_none_lost(evlb, sim):
    origin = sim("a")["a"]
    lb = evlb(config(LIMITED), a=origin)
    came = answers(ask_all(lb, 200, "/?delay=20ms"))
    assert list(came.values()) == [200] * 200
    assert origin.count()["max_active"] == 10
    assert len(lb.wait_access(200)) == 200
    assert sum(line["t_queue"] > 0 for line in lb.access_log()) > 150


def test_first_in_first_out(evlb, sim):
    """Those that are at the server together may end in any order, and so may those that were sent
    within one wake-up of a worker: beyond that nobody overtakes more than 5 % of the others."""
    lb = evlb(config(LIMITED), a=sim("a")["a"])
    came = answers(ask_all(lb, 200, "/?delay=30ms", spread=0.001))
    assert list(came.values()) == [200] * 200
    moved = [abs(n - place) for place, n in enumerate(came)]
    assert sum(m > 10 + 10 for m in moved) <= 10, list(came)


def test_keep_alive_clients_take_turns(evlb, sim):
    """A client that asks again as soon as it was answered does not starve the others."""
    origin = sim("a")["a"]
    lb = evlb(config(LIMITED.replace("max-connections: 10", "max-connections: 2")), a=origin)
    clients = [lb.client() for _ in range(20)]
    served = [0] * len(clients)
    ask = request("GET /?delay=2ms HTTP/1.1", "Host: x")
    end = time.monotonic() + 2
    with selectors.DefaultSelector() as selector:
        for n, c in enumerate(clients):
            selector.register(c.sock, selectors.EVENT_READ, n)
            c.send(ask)
        while time.monotonic() < end:
            for key, _ in selector.select(0.2):
                c = clients[key.data]
                assert c.response().status == 200
                served[key.data] += 1
                c.send(ask)
    assert origin.count()["max_active"] <= 2
    assert min(served) > max(served) / 2, served


def test_the_queue_moves_when_a_server_dies(evlb, sim):
    a, b = sim("a"), sim("b")
    lb = evlb(config(TWO), a=a["a"], b=b["b"])
    clients = ask_all(lb, 100, "/?delay=50ms")
    assert eventually(lambda: b["b"].count()["requests"] > 5, 5)
    a.kill()
    lb.allow_log("connection failed|health check|is down")
    came = answers(clients)
    assert list(came.values()) == [200] * 100
    assert b["b"].count()["max_active"] <= 5


def test_a_killed_worker_takes_no_place_with_it(evlb, sim):
    origin = sim("a")["a"]
    lb = evlb(config(LIMITED), a=origin)
    clients = ask_all(lb, 120, "/?delay=50ms")
    assert eventually(lambda: origin.count()["requests"] >= 10, 5)
    lb.allow_log("killed by signal 9")
    lb.skip_check("descriptors")  # a worker was replaced
    os.kill(lb.workers()[0], signal.SIGKILL)
    came = answers(clients)
    assert set(came.values()) <= {200, "lost"} and len(came) == 120
    # its own are lost, and they are about a quarter
    assert 30 < sum(status == 200 for status in came.values()) < 120
    assert origin.count()["max_active"] <= 20  # those of the dead worker may still be worked on
    for c in clients:
        c.close()
    lb.wait_idle()
    assert list(answers(ask_all(lb, 30, "/?delay=5ms")).values()) == [200] * 30


@pytest.mark.parametrize("settings, end, status", [
    ("timeout: {queue: 300ms}", "queue-timeout", 503),
    ("max-queue: 5", "queue-full", 503),
])
def test_who_does_not_get_a_turn_is_told(evlb, sim, settings, end, status):
    lb = evlb(config(LIMITED, settings), a=sim("a")["a"])
    came = answers(ask_all(lb, 30, "/?delay=1s"))
    assert sorted(set(came.values())) == [200, status]
    lines = [line for line in lb.wait_access(30) if line["status"] == status]
    assert {(line["end"], line["server"]) for line in lines} == {(end, None)}


def test_a_client_that_leaves_is_taken_out(evlb, sim):
    origin = sim("a")["a"]
    lb = evlb(config(LIMITED), a=origin)
    first = ask_all(lb, 10, "/?delay=2s")
    assert eventually(lambda: origin.count()["active"] == 10, 5)
    for c in ask_all(lb, 20, "/"):
        c.reset()
    last = ask_all(lb, 5, "/")
    assert [line["end"] for line in lb.wait_access(20)] == ["client-closed-queue"] * 20
    assert list(answers(first + last).values()) == [200] * 15
    assert origin.count()["requests"] == 15


def test_tcp_sessions_wait(evlb, sim):
    lb = evlb("""\
workers: 2
frontends: {t: {listen: $port, mode: tcp, backend: app}}
backends: {app: {mode: tcp, servers: {a: {address: $a, max-connections: 2}}}}
log: {access: true}
""", a=sim("a", mode="tcp-greet")["a"])
    clients = [lb.client() for _ in range(8)]
    for c in clients:
        c.send(b"x")
    for c in clients:
        c.sock.settimeout(5)
    waiting = list(clients)
    with selectors.DefaultSelector() as selector:
        for c in clients:
            selector.register(c.sock, selectors.EVENT_READ, c)
        while waiting:
            ready = [key.data for key, _ in selector.select(5)]
            assert 1 <= len(ready) <= 2
            for c in ready:
                assert c.sock.recv(100).startswith(b"a ready\n")
                selector.unregister(c.sock)
                c.close()
                waiting.remove(c)
    assert [line["end"] for line in lb.wait_access(8)].count("queue-timeout") == 0
