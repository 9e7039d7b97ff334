# SPDX-License-Identifier: MIT
"""The promise as a whole: servers are restarted one after the other, killed, stopped and switched,
processes die and names stop resolving, all under load, and no request fails that need not."""
import os
import re
import signal
import time

import pytest

from harness import procfs, tools
from harness.health import change, server, wait_state, who
from harness.nameserver import NameServer

CHECKED = """\
workers: 2
frontends: {web: {listen: $port, backend: app}}
backends:
  app:
    health: {type: http, path: /healthz, every: %s, fall: 2, rise: 1, timeout: 300ms}
    servers: {a: $a, b: $b, c: $c}
"""
CONNECTIONS = 32
COUNTING_POSTS = """\
local threads, thread, n = 0, 0, 0
function setup(t) threads = threads + 1; t:set("thread", threads) end
function request()
    n = n + 1
    return wrk.format("POST", "/", {["X-Id"] = thread .. "-" .. n}, "hello")
end
"""


def config(more="", every="100ms"):
    return CHECKED % every + "".join(f"    {line}\n" for line in more.split("; ") if line)


def three(sim):
    return [sim(name) for name in "abc"]


@pytest.fixture
def posts(tmp_path):
    """A script for wrk: POSTs that are numbered."""
    path = tmp_path / "posts.lua"
    path.write_text(COUNTING_POSTS)
    return path


@pytest.fixture
def ctl(run_evlb):
    def run(lb, words):
        r = run_evlb("ctl", *words.split(), "--socket", lb.socket)
        assert r.status == 0, (words, r)
    return run


def requests_of(sims):
    return [listener.count()["requests"] for s in sims for listener in s]


def wait_requests(lb, name, n=200):
    """Until this server has answered n more."""
    begin = server(lb, name)["counters"]["requests"]
    tools.wait_for(f"{name} works",
                   lambda: server(lb, name)["counters"]["requests"] >= begin + n, 20)


# ---- one server after the other

@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("checks", ["off", "on"])
def test_a_rolling_restart_costs_nothing(evlb, sim, load, ctl, posts, method, checks):
    sims = three(sim)
    text = config() if checks == "on" else re.sub(r"health: .*", "health: off", config())
    lb = evlb(text, *sims)
    with load(lb.url(), CONNECTIONS, script=posts if method == "POST" else None):
        for _ in range(2):
            for s in sims:
                name = f"app/{s.names[0]}"
                wait_requests(lb, name)
                ctl(lb, f"server drain {name} --wait 10s")
                assert server(lb, name)["in_flight"] == 0
                s.kill()
                time.sleep(0.3)
                s.restart()
                ctl(lb, f"server ready {name} --wait 10s")
        for s in sims:
            wait_requests(lb, f"app/{s.names[0]}")


# ---- a server that dies or hangs

def test_a_killed_server_costs_no_get(evlb, sim, load):
    sims = three(sim)
    lb = evlb(config(every="1s"), *sims)
    with load(lb.url(), CONNECTIONS):
        for _ in range(2):
            wait_requests(lb, "app/a")
            sims[0].kill()
            wait_state(lb, "app/a", "down", timeout=10)
            wait_requests(lb, "app/b")
            sims[0].restart()
            wait_state(lb, "app/a", "up", timeout=10)
        wait_requests(lb, "app/a")


def test_a_killed_server_costs_the_posts_that_it_had(evlb, sim, load, posts):
    sims = three(sim)
    lb = evlb(config(every="1s"), *sims)
    with load(lb.url(), CONNECTIONS, script=posts, non_2xx=CONNECTIONS):
        wait_requests(lb, "app/a")
        sims[0].kill()
        wait_state(lb, "app/a", "down", timeout=10)
        wait_requests(lb, "app/b")
    failed = [line for line in lb.access_log() if line["status"] != 200]
    assert {(line["status"], line["server"]) for line in failed if line["status"]} <= {(502, "a")}
    for s in sims[1:]:
        assert set(s[s.names[0]].count()["ids"].values()) == {1}


@pytest.mark.parametrize("word, lost", [("keep", CONNECTIONS), ("close", 0)])
def test_a_stopped_server_costs_what_it_had(evlb, sim, load, word, lost):
    """Each client has one request there at most; those are lost after timeout.server, or sent again
    elsewhere when the checks find out first and on-server-down says so."""
    sims = three(sim)
    lb = evlb(config(f"on-server-down: {word}; timeout: {{server: 2s}}"), *sims)
    with load(lb.url(), CONNECTIONS, non_2xx=lost):
        wait_requests(lb, "app/a")
        os.kill(sims[0].process.pid, signal.SIGSTOP)
        try:
            wait_state(lb, "app/a", "down", timeout=10)
            time.sleep(2.5)
            wait_requests(lb, "app/b")
        finally:
            os.kill(sims[0].process.pid, signal.SIGCONT)
        wait_state(lb, "app/a", "up", timeout=10)
        wait_requests(lb, "app/a")
    failed = {(line["status"], line["server"]) for line in lb.access_log()
              if line["status"] not in (0, 200)}
    assert failed <= {(504, "a")}, failed


def test_a_flapping_server_costs_nothing(evlb, sim, load):
    """Fault 20: fall and rise are kept, its connections are kept too, and nothing fails."""
    sims = three(sim)
    lb = evlb(config(every="50ms"), *sims)
    with load(lb.url(), CONNECTIONS):
        for _ in range(10):
            for word in ("down", "up"):
                sims[0]["a"].control(f"health?state={word}")
                wait_state(lb, "app/a", word)
        wait_requests(lb, "app/a")
    opened = server(lb, "app/a")["counters"]["connections"]
    assert opened <= 21 * CONNECTIONS, opened  # not one per request


# ---- active and passive

@pytest.mark.parametrize("failback", ["auto", "manual"])
def test_the_passive_one_takes_over(evlb, sim, load, failback):
    sims = three(sim)
    lb = evlb(config(f"failover: active-passive; failback: {failback}; failback-after: 300ms"),
              *sims)
    with load(lb.url(), CONNECTIONS):
        wait_requests(lb, "app/a")
        assert requests_of(sims[1:]) == [0, 0]
        sims[0].kill()
        wait_requests(lb, "app/b")
        wait_state(lb, "app/a", "down", timeout=10)
        sims[0].restart()
        wait_state(lb, "app/a", "up", timeout=10)
        if failback == "manual":
            wait_requests(lb, "app/b", 500)
            assert lb.ask("/v1/backends/app")["working"] == ["b"]
            assert requests_of(sims[:1]) == [0]
            change(lb, "POST", "/v1/backends/app/switch", server="a")
        wait_requests(lb, "app/a")
        before = requests_of(sims[1:])
        wait_requests(lb, "app/a")
        assert requests_of(sims[1:]) == before and before[1] == 0


def test_the_word_is_switched_by_reloads(evlb, sim, load):
    lb = evlb(config(), *three(sim))
    with load(lb.url(), CONNECTIONS):
        for _ in range(4):
            assert "failover" in lb.reload(config("failover: active-passive"))
            assert set(who(lb, 6)) == {"a"}
            wait_requests(lb, "app/a")
            assert "failover" in lb.reload(config())
            for name in ("app/b", "app/c"):
                wait_requests(lb, name)


# ---- processes that die during a reload

def titles(lb):
    return {procfs.title(pid).removeprefix("evlb: "): pid for pid in lb.children()}


@pytest.mark.parametrize("victim", ["worker 0", "control", "logger"])
def test_a_death_during_a_reload_costs_its_own_sessions(evlb, sim, load, victim):
    lb = evlb(config(), *three(sim))
    lb.allow_log("was killed by signal 9")
    deaths = 4
    own = CONNECTIONS * deaths if victim == "worker 0" else 0
    with load(lb.url(), CONNECTIONS, cut=own):
        for n in range(deaths):
            wait_requests(lb, "app/b")
            old = titles(lb)[victim]
            lb.write_config(config("retries: 2") if n % 2 == 0 else config())
            lb.signal(signal.SIGHUP)
            os.kill(old, signal.SIGKILL)
            tools.wait_for(f"{victim} is replaced", lambda: titles(lb).get(victim, old) != old, 10)
            tools.wait_for("the new configuration is used", lambda: is_settled(lb, n + 2), 10)
        wait_requests(lb, "app/b")


def is_settled(lb, generation):
    try:
        status = lb.ask("/v1/status")
    except (OSError, AssertionError):
        return False
    return status["generation"] == generation and all(
        w["oldest_generation"] == generation for w in status["workers"] if w["pid"])


# ---- names

def test_names_that_stop_resolving_cost_nothing(evlb, sim, load):
    """Fault 19: servers by name while name servers fail in every way; one is always there."""
    ns, s = NameServer(), sim("a", "b")
    ns.set("one.test", "127.0.0.1")
    lb = evlb(f"""
        workers: 2
        frontends: {{web: {{listen: $port, backend: app}}}}
        dns: {{servers: {ns.address}, min-ttl: 100ms, max-ttl: 300ms, timeout: 200ms}}
        backends:
          app:
            health: {{type: http, path: /healthz, every: 100ms}}
            servers: {{one: "one.test:{s['a'].port}", two: "two.test:{s['a'].port}", b: $b}}
    """, s)
    assert server(lb, "app/two")["state"] == "unresolved"
    with load(lb.url(), CONNECTIONS):
        for how in ("silent", "servfail", "nxdomain"):
            ns.set("two.test", "127.0.0.1")
            wait_state(lb, "app/two", "up", timeout=10)
            wait_requests(lb, "app/two")
            for name in ("one.test", "two.test"):
                ns.break_(name, how)
            asked = ns.queries
            tools.wait_for("they are asked", lambda: ns.queries > asked + 6, 10)
            if how == "nxdomain":
                wait_state(lb, "app/two", "unresolved", timeout=10)
            else:
                wait_requests(lb, "app/two")  # its last address stays
            wait_requests(lb, "app/b")
            ns.set("one.test", "127.0.0.1")
    ns.close()
