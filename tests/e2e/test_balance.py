# SPDX-License-Identifier: MIT
"""Which server gets which request: the order, over all workers; weights; every algorithm; servers
that cannot be reached."""
import collections
import random
import threading
import time

import pytest

from harness import http
from harness.wire import eventually, server_counters

APP = """\
workers: WORKERS
frontends: {web: {listen: $port, backend: app}}
backends:
  app:
    balance: BALANCE
    servers: SERVERS
log: {access: true}
"""
ABC = "{a: $a, b: $b, c: $c}"


def config(balance="round-robin", servers=ABC, workers=1):
    return (APP.replace("WORKERS", str(workers)).replace("BALANCE", balance)
            .replace("SERVERS", servers))


def ask(lb, n, **headers):
    """The names of the servers that answered n requests, each on a connection of its own."""
    return [lb.get("/", headers or None).text.strip() for _ in range(n)]


# ---- round robin

@pytest.mark.parametrize("workers", [1, 2, 4])
def test_four_requests_go_a_b_c_a(evlb, sim, workers):
    lb = evlb(config(workers=workers), sim("a", "b", "c"))
    assert ask(lb, 4) == ["a", "b", "c", "a"]
    assert ask(lb, 5) == ["b", "c", "a", "b", "c"]


def test_requests_of_one_connection_go_round_too(evlb, sim):
    lb = evlb(config(), sim("a", "b", "c"))
    c = lb.client()
    assert [c.get("/").text.strip() for _ in range(6)] == ["a", "b", "c"] * 2


@pytest.mark.parametrize("workers", [1, 2])
def test_weights_5_1_1_give_the_smooth_order(evlb, sim, workers):
    servers = "{a: {address: $a, weight: 5}, b: {address: $b, weight: 1}, c: {address: $c}}"
    lb = evlb(config(servers=servers, workers=workers), sim("a", "b", "c"))
    assert "".join(ask(lb, 14)) == "aabacaa" * 2


def test_weight_0_gets_no_work(evlb, sim):
    lb = evlb(config(servers="{a: {address: $a, weight: 0}, b: $b}"), sim("a", "b"))
    assert ask(lb, 5) == ["b"] * 5


def test_four_connections_go_a_b_c_a_in_mode_tcp(evlb, sim):
    lb = evlb("""
        workers: 2
        frontends: {web: {listen: $port, mode: tcp, backend: app}}
        backends: {app: {mode: tcp, servers: {a: $a, b: $b, c: $c}}}
    """, sim("a", "b", "c", mode="tcp-name"))
    names = []
    for _ in range(7):
        c = lb.client()
        names.append(c.read_until_close().decode().strip())
        c.close()
    assert names == ["a", "b", "c"] * 2 + ["a"]


def test_many_clients_at_once_share_evenly(evlb, sim):
    lb = evlb(config(workers=2), sim("a", "b", "c"))
    seen = collections.Counter()

    def run():
        with http.Client(("127.0.0.1", lb.port)) as c:
            for _ in range(30):
                seen[c.get("/").text.strip()] += 1
    threads = [threading.Thread(target=run) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == {"a": 100, "b": 100, "c": 100}


# ---- the others

def test_least_conn_avoids_the_busy_server(evlb, sim):
    sims = sim("a", "b", "c")
    lb = evlb(config("least-conn", workers=2), sims)
    sims["a"].control("default?delay=1500ms")
    while sims["a"].count()["active"] == 0:
        c = lb.client()
        c.request("GET", "/")
        time.sleep(0.05)
    names = ask(lb, 8)
    assert sorted(set(names)) == ["b", "c"] and 3 <= names.count("b") <= 5


def test_least_conn_counts_weights(evlb, sim):
    servers = "{a: {address: $a, weight: 3}, b: $b}"
    lb = evlb(config("least-conn", servers=servers), sim("a", "b"))
    clients = [lb.client() for _ in range(8)]
    for c in clients:
        c.request("GET", "/?delay=700ms")
        time.sleep(0.02)
    names = collections.Counter(c.response().text.strip() for c in clients)
    assert names == {"a": 6, "b": 2}


def test_least_conn_takes_ties_in_turn(evlb, sim):
    lb = evlb(config("least-conn"), sim("a", "b", "c"))
    assert collections.Counter(ask(lb, 9)) == {"a": 3, "b": 3, "c": 3}


def test_random_uses_all_servers(evlb, sim):
    lb = evlb(config("random"), sim("a", "b", "c"))
    assert set(ask(lb, 60)) == {"a", "b", "c"}


def test_first_uses_the_first(evlb, sim):
    sims = sim("a", "b", "c")
    lb = evlb(config("first"), sims)
    assert ask(lb, 5) == ["a"] * 5
    sims["a"].control("listen?state=off&name=a")
    names = [lb.get("/", {"Connection": "close"}).text.strip() for _ in range(3)]
    assert set(names) <= {"a", "b"}  # pooled connections to a are still good


@pytest.mark.parametrize("on, vary", [
    ("path", lambda k: (f"/p{k}?x={random.random()}", {})),
    ("uri", lambda k: (f"/p?x={k}", {})),
    ("header X-User", lambda k: ("/", {"X-User": f"user{k}"})),
    ("cookie sid", lambda k: ("/", {"Cookie": f"a=1; sid=s{k}; b=2"})),
])
def test_hash_keeps_each_key_on_its_server(evlb, sim, on, vary):
    lb = evlb(config("hash").replace("servers:", f"hash: {{on: {on}}}\n    servers:"),
              sim("a", "b", "c"))

    def server_of(k):
        target, headers = vary(k)
        return lb.get(target, headers).text.strip()
    first = {k: server_of(k) for k in range(30)}
    assert set(first.values()) == {"a", "b", "c"}
    assert {k: server_of(k) for k in range(30)} == first


def test_hash_of_the_client_keeps_it(evlb, sim):
    lb = evlb(config("hash", workers=2), sim("a", "b", "c"))
    assert len(set(ask(lb, 6))) == 1
    by_client = set()
    for i in range(1, 30):
        with http.Client(("127.0.0.1", lb.port), source=(f"127.0.0.{i}", 0)) as c:
            by_client.add(c.get("/").text.strip())
    assert by_client == {"a", "b", "c"}


def test_hash_is_the_same_in_mode_tcp(evlb, sim):
    lb = evlb("""
        workers: 2
        frontends: {web: {listen: $port, mode: tcp, backend: app}}
        backends: {app: {mode: tcp, balance: hash, servers: {a: $a, b: $b, c: $c}}}
    """, sim("a", "b", "c", mode="tcp-name"))
    for i in range(1, 8):
        names = set()
        for _ in range(3):
            with http.Client(("127.0.0.1", lb.port), source=(f"127.0.0.{i}", 0)) as c:
                names.add(c.read_until_close())
        assert len(names) == 1


def test_hash_without_its_key_goes_round(evlb, sim):
    lb = evlb(config("hash").replace("servers:", "hash: {on: header X-User}\n    servers:"),
              sim("a", "b", "c"))
    assert ask(lb, 4) == ["a", "b", "c", "a"]


def test_removing_a_server_moves_only_its_share(evlb, sim):
    sims = sim("a", "b", "c")
    text = config("hash").replace("servers:", "hash: {on: path}\n    servers:")
    before, after = evlb(text, sims), evlb(text.replace(", c: $c", ""), sims)
    moved = 0
    for k in range(90):
        old, new = before.get(f"/k{k}").text, after.get(f"/k{k}").text
        moved += old != new
        assert old == new or old == "c\n"
    assert 10 < moved < 60


# ---- servers that fail (traps 28, 29)

def test_a_refused_connect_goes_to_another_server(evlb, sim):
    sims = sim("a", "b", "c")
    lb = evlb(config(), sims)
    sims["b"].control("listen?state=off")
    names = ask(lb, 12)
    assert set(names) == {"a", "c"} and names.count("a") == 6
    assert server_counters(lb, "b")["connect_failures"] == 1  # then it is left out for a while


def test_a_post_whose_connect_was_refused_goes_to_another_server(evlb, sim):
    sims = sim("a", "b")
    lb = evlb(config("first", servers="{a: $a, b: $b}"), sims)
    sims["a"].control("listen?state=off")
    r = lb.request("POST", "/", body=b"x" * 100_000)
    assert (r.status, r.headers["X-Server"], r.headers["X-Body-Bytes"]) == (200, "b", "100000")


def test_a_server_that_comes_back_is_used_again(evlb, sim):
    sims = sim("a", "b")
    lb = evlb(config(servers="{a: $a, b: $b}"), sims)
    sims["b"].control("listen?state=off")
    assert set(ask(lb, 6)) == {"a"}
    sims["a"].control("listen?state=on&name=b")
    assert eventually(lambda: "b" in ask(lb, 2), timeout=6)
    assert set(ask(lb, 4)) == {"a", "b"}


def test_a_failing_server_does_not_attract_the_work(evlb, sim):
    """It looks idle: least-conn would send everything there."""
    lb = evlb(config("least-conn", servers='{dead: "127.0.0.1:1", a: $a, b: $b}')
              .replace("    servers", "    health: off\n    servers"), sim("a", "b"))
    names = ask(lb, 20)
    assert set(names) == {"a", "b"} and 5 <= names.count("a") <= 15
    assert server_counters(lb, "dead")["connect_failures"] == 1


@pytest.mark.parametrize("balance", ["round-robin", "least-conn", "random", "first", "hash"])
def test_no_client_sees_the_one_dead_server(evlb, sim, balance):
    lb = evlb(config(balance, servers='{dead: "127.0.0.1:1", a: $a, b: $b}', workers=2),
              sim("a", "b"))
    assert set(ask(lb, 20)) <= {"a", "b"}


def test_all_servers_down_is_503_at_once_and_passes(evlb, sim):
    sims = sim("a", "b")
    lb = evlb(config(servers="{a: $a, b: $b}"), sims)
    sims.kill()
    begin = time.monotonic()
    assert lb.get("/").status == 503
    assert time.monotonic() - begin < 1
    sims.restart()
    assert eventually(lambda: lb.get("/").status == 200, timeout=8)


def test_no_retry_means_none(evlb, sim):
    lb = evlb(config("first", servers='{dead: "127.0.0.1:1", a: $a}')
              .replace("    servers", "    retries: 0\n    health: off\n    servers"), sim("a"))
    assert lb.get("/").status == 503
    assert lb.wait_access()[0]["retries"] == 0


# ---- load

@pytest.mark.parametrize("headers", [(), ("Connection: close",)], ids=["keep-alive", "close"])
@pytest.mark.parametrize("workers", [1, 2])
def test_no_error_under_load(evlb, sim, wrk, headers, workers):
    lb = evlb(config(workers=workers).replace("log: {access: true}", ""), sim("a", "b", "c"))
    result = wrk(lb.url("/"), duration=2, connections=64, headers=headers)
    assert result["errors"] == 0, result["out"]
    assert result["requests"] > 100


def test_requests_are_shared_evenly_under_load(evlb, sim, wrk):
    sims = sim("a", "b", "c")
    lb = evlb(config(workers=2).replace("log: {access: true}", ""), sims)
    wrk(lb.url("/"), duration=1, connections=32)
    counts = [server_counters(lb, name)["requests"] for name in "abc"]
    assert max(counts) - min(counts) <= 32


def test_no_error_under_load_in_mode_tcp(evlb, sim, wrk):
    lb = evlb("""
        workers: 2
        frontends: {web: {listen: $port, mode: tcp, backend: app}}
        backends: {app: {mode: tcp, servers: {a: $a, b: $b}}}
    """, sim("a", "b"))
    result = wrk(lb.url("/"), duration=1, connections=64, headers=("Connection: close",))
    assert result["errors"] == 0, result["out"]
