# SPDX-License-Identifier: MIT
"""Retries between real processes: a server that dies with work in progress costs nothing that could
be sent twice; `retry-on`; a POST never comes twice."""
import threading
import time

import pytest

from harness.wire import THREE, eventually

TWO = """\
workers: 2
frontends: {web: {listen: $port, backend: app}}
backends: {app: {servers: {a: $a, b: $b}, SETTINGS}}
log: {access: true}
"""


def backend(lb, key):
    return lb.status()["backends"][0]["counters"][key]


@pytest.mark.parametrize("behaviour", ["delay=10ms", "delay=0ms", "size=20k&delay=5ms"])
def test_a_server_killed_under_load_costs_nothing(evlb, sim, wrk, behaviour):
    """Of three servers one is killed by SIGKILL while most requests are at a server: no GET fails,
    but those whose answer had begun."""
    a, b, c = sim("a"), sim("b"), sim("c")
    for s, name in ((a, "a"), (b, "b"), (c, "c")):
        s[name].control(f"default?{behaviour}")
    lb = evlb(THREE.replace("workers: 1", "workers: 2"), a=a["a"], b=b["b"], c=c["c"])
    killer = threading.Timer(0.7, a.kill)
    killer.start()
    result = wrk(lb.url("/"), duration=2, connections=100)
    killer.join()
    def begun():
        return sum(line["end"] == "server-closed-data" for line in lb.access_log())
    assert result["requests"] > 100 and result["non_2xx"] == 0, result
    assert eventually(lambda: begun() >= result["errors"]), (begun(), result)
    assert begun() == 0 or behaviour.startswith("size")
    assert {line["end"] for line in lb.access_log()} <= {
        "ok", "server-closed-data", "client-closed-wait", "client-closed-idle",
        "client-closed-data", "client-closed-connect"}


@pytest.mark.parametrize("behaviour, words", [
    ("status=503", "503"), ("status=502", "[502]"), ("status=504", "[503, 504]"),
    ("never=1", "timeout"), ("cut=20", "empty-response"),
])
def test_what_retry_on_names_is_tried_elsewhere(evlb, sim, behaviour, words):
    sims = sim("a", "b")
    lb = evlb(TWO.replace("SETTINGS", f"retry-on: {words}, timeout: {{server: 300ms}}"), sims)
    sims["a"].control(f"default?{behaviour}")
    for _ in range(4):
        r = lb.get("/")
        assert (r.status, r.headers["X-Server"]) == (200, "b")
    assert sims["a"].count()["requests"] >= 1
    assert backend(lb, "retries") == sims["a"].count()["requests"]


def test_without_a_word_the_answer_of_the_server_passes(evlb, sim):
    sims = sim("a", "b")
    lb = evlb(TWO.replace("SETTINGS", "retries: 3"), sims)
    sims["a"].control("default?status=503")
    assert sorted(lb.get("/").status for _ in range(4)) == [200, 200, 503, 503]


def test_a_post_is_never_sent_twice(evlb, sim):
    sims = sim("a", "b")
    lb = evlb(TWO.replace("SETTINGS", "retry-on: [empty-response, 503, timeout], "
                                      "timeout: {server: 300ms}"), sims)
    for n, behaviour in enumerate(["status=503", "drop=1", "rst=1", "never=1", "cut=20"]):
        for name in ("a", "b"):
            sims[name].control(f"default?{behaviour}")
        r = lb.request("POST", "/", headers={"X-Id": f"id-{n}"}, body=b"hello")
        assert r.status in (502, 503, 504)
    ids = {}
    for name in ("a", "b"):
        for key, times in sims[name].count()["ids"].items():
            ids[key] = ids.get(key, 0) + times
    assert ids == {f"id-{n}": 1 for n in range(5)}


def test_the_budget_holds_slow_servers_from_being_asked_again_and_again(evlb, sim):
    origin = sim("a")["a"]
    lb = evlb("""\
workers: 1
frontends: {web: {listen: $port, backend: app}}
backends: {app: {servers: {a: $a}, retry-on: [timeout], timeout: {server: 400ms}}}
""", a=origin)
    origin.control("default?never=1")
    clients = [lb.client() for _ in range(40)]
    for c in clients:
        c.request("GET", "/")
    assert {c.response().status for c in clients} == {504}
    asked = origin.count()["requests"]
    assert 40 + 3 <= asked <= 40 + 3 * 8
    assert backend(lb, "retries") == asked - 40
    assert backend(lb, "retries_over_budget") >= 40 - 8
    time.sleep(0.1)
    assert backend(lb, "retries") == asked - 40
