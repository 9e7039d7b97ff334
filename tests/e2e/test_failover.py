# SPDX-License-Identifier: MIT
"""Who works and who stands by: active-passive, tiers, failback, an administrator's word, and servers
that die or hang under load."""
import os
import signal
import time

import pytest

from harness import tools
from harness.health import Load, change, server, wait_state, who

APP = """\
workers: 2
frontends: {web: {listen: $port, backend: app}}
backends:
  app:
    health: {type: http, path: /healthz, every: 100ms, fall: 2, rise: 1, timeout: 300ms}
    servers: SERVERS
"""
ABC = "{a: $a, b: $b, c: $c}"


def config(more="", servers=ABC):
    return APP.replace("SERVERS", servers) + "".join(f"    {line}\n" for line in more.split("; "))


def passive(more="failback: auto"):
    return config(f"failover: active-passive; {more}")


def take_down(lb, listener):
    listener.control("health?state=down")
    wait_state(lb, f"app/{listener.name}", "down")


def bring_up(lb, listener):
    listener.control("health?state=up")
    wait_state(lb, f"app/{listener.name}", "up")


# ---- active-passive

def test_exactly_one_server_sees_traffic_and_all_are_checked(evlb, sim):
    s = sim("a", "b", "c")
    lb = evlb(passive(), s)
    assert who(lb, 12) == ["a"] * 12
    tools.wait_for("checks of all", lambda: all(x.count()["checks"] >= 2 for x in s))
    assert [x.count()["requests"] for x in s] == [12, 0, 0]


def test_the_next_in_order_takes_over_and_gives_it_back(evlb, sim):
    s = sim("a", "b", "c")
    lb = evlb(passive(), s)
    take_down(lb, s["a"])
    assert who(lb, 4) == ["b"] * 4
    lb.wait_log(r"server app/a is DOWN: status 503, .*; app/b works now")
    take_down(lb, s["b"])
    assert who(lb, 4) == ["c"] * 4
    bring_up(lb, s["b"])
    assert who(lb, 4) == ["b"] * 4
    bring_up(lb, s["a"])
    assert who(lb, 4) == ["a"] * 4


def test_the_next_request_after_a_kill_is_answered(evlb, sim):
    a, rest = sim("a"), sim("b", "c")
    lb = evlb(passive().replace("every: 100ms", "every: 2s"), a, rest)
    c = lb.client()
    assert c.get("/").text.strip() == "a"
    a.kill()
    assert c.get("/").text.strip() == "b"
    assert who(lb, 4) == ["b"] * 4
    wait_state(lb, "app/a", "down", timeout=10)
    a.restart()
    wait_state(lb, "app/a", "up", timeout=10)
    assert who(lb, 4) == ["a"] * 4


def test_failback_waits_for_failback_after(evlb, sim):
    s = sim("a", "b", "c")
    lb = evlb(passive("failback-after: 700ms"), s)
    take_down(lb, s["a"])
    assert who(lb) == ["b"]
    begin = time.monotonic()
    bring_up(lb, s["a"])
    assert who(lb) == ["b"]
    tools.wait_for("a works", lambda: who(lb) == ["a"])
    assert time.monotonic() - begin > 0.6
    lb.wait_log(r"backend app: app/a works now")


def test_manual_failback_waits_for_an_administrator(evlb, sim):
    s = sim("a", "b", "c")
    lb = evlb(passive("failback: manual"), s)
    take_down(lb, s["a"])
    assert who(lb) == ["b"]
    bring_up(lb, s["a"])
    before = s["a"].count()["checks"]
    tools.wait_for("more checks", lambda: s["a"].count()["checks"] >= before + 5)
    assert who(lb, 4) == ["b"] * 4
    change(lb, "POST", "/v1/backends/app/switch", server="a")
    assert who(lb, 4) == ["a"] * 4


def test_an_administrator_chooses_and_that_outlives_control(evlb, sim):
    lb = evlb(passive(), sim("a", "b", "c"))
    change(lb, "POST", "/v1/backends/app/switch", server="c")
    assert who(lb, 4) == ["c"] * 4
    lb.allow_log("control .* was killed by signal 9")
    kill_control(lb)
    assert who(lb, 4) == ["c"] * 4


def kill_control(lb):
    old = lb.ask("/v1/status")["control"]["pid"]
    os.kill(old, signal.SIGKILL)
    tools.wait_for("another control process", lambda: control_of(lb) not in (None, old))


def control_of(lb):
    try:
        return lb.ask("/v1/status")["control"]["pid"]
    except (OSError, AssertionError):
        return None


# ---- tiers

def test_a_tier_works_until_its_last_server_is_down(evlb, sim):
    s = sim("a", "b", "c")
    lb = evlb(config(servers="{a: $a, b: $b, c: {address: $c, tier: 2}}"), s)
    assert set(who(lb, 6)) == {"a", "b"}
    take_down(lb, s["a"])
    assert set(who(lb, 4)) == {"b"}
    take_down(lb, s["b"])
    assert set(who(lb, 4)) == {"c"}
    lb.wait_log(r"; tier 2 of app works now")
    bring_up(lb, s["a"])
    assert set(who(lb, 4)) == {"a"}


# ---- what administrators say

def test_drain_and_maintenance(evlb, sim):
    s = sim("a", "b", "c")
    lb = evlb(config(), s)
    change(lb, "PATCH", "/v1/servers/app/a", admin="drain")
    assert server(lb, "app/a")["state"] == "drain"
    assert set(who(lb, 6)) == {"b", "c"}
    before = s["a"].count()["checks"]
    tools.wait_for("checks go on", lambda: s["a"].count()["checks"] >= before + 2)
    change(lb, "PATCH", "/v1/servers/app/a", admin="maint", reason="new disks")
    lb.wait_log("server app/a is in maintenance: new disks")
    before = s["a"].count()["checks"]
    began = s["b"].count()["checks"]
    tools.wait_for("checks of others", lambda: s["b"].count()["checks"] >= began + 4)
    assert s["a"].count()["checks"] <= before + 1  # one was under way
    change(lb, "PATCH", "/v1/servers/app/a", admin="ready")
    assert set(who(lb, 6)) == {"a", "b", "c"}
    tools.wait_for("checks again", lambda: s["a"].count()["checks"] >= before + 3)


def test_weight_0_is_drain(evlb, sim):
    lb = evlb(config(), sim("a", "b", "c"))
    change(lb, "PATCH", "/v1/servers/app/a", weight=0)
    assert server(lb, "app/a")["state"] == "drain"
    assert set(who(lb, 6)) == {"b", "c"}
    change(lb, "PATCH", "/v1/servers/app/a", weight=10)
    assert who(lb, 12).count("a") == 10


def test_a_recovered_server_gets_its_share_little_by_little(evlb, sim):
    s = sim("a", "b", "c")
    lb = evlb(config(servers="{a: {address: $a, slow-start: 1s}, b: $b, c: $c}"), s)
    take_down(lb, s["a"])
    s["a"].control("health?state=up")
    wait_state(lb, "app/a", "starting")
    assert server(lb, "app/a")["withheld_percent"] > 0
    wait_state(lb, "app/a", "up")
    assert server(lb, "app/a")["withheld_percent"] == 0
    lb.wait_log("server app/a is UP, its share grows")


# ---- a reload

def reload(lb, text, generation, **named):
    lb.write_config(text, **named)
    lb.signal(signal.SIGHUP)
    lb.wait_log(f"configuration {generation} is in force")


def test_the_word_is_switched_under_load(evlb, sim):
    s = sim("a", "b", "c")
    lb = evlb(config(), s)
    with Load(lb) as load:
        load.answered(100)
        reload(lb, passive(), 2)
        tools.wait_for("a alone works", lambda: set(who(lb, 6)) == {"a"})
        load.answered(100)
        reload(lb, config(), 3)
        tools.wait_for("all work", lambda: set(who(lb, 6)) == {"a", "b", "c"})
        load.answered(100)
    assert load.faults() == {}


def test_states_outlive_a_reload(evlb, sim):
    s = sim("a", "b", "c")
    lb = evlb(config(), s)
    take_down(lb, s["a"])
    change(lb, "PATCH", "/v1/servers/app/b", admin="drain", reason="deploy")
    reload(lb, config("retries: 2"), 2)
    assert server(lb, "app/a")["state"] == "down"
    assert server(lb, "app/b")["state"] == "drain"
    assert set(who(lb, 3)) == {"c"}
    bring_up(lb, s["a"])
    assert len(lb.log().split("app/a is DOWN")) == 2


def test_checks_follow_the_file(evlb, sim):
    s = sim("a", "b", "c")
    lb = evlb(config(), s)
    take_down(lb, s["a"])
    reload(lb, config().replace("path: /healthz", "path: /"), 2)
    wait_state(lb, "app/a", "up")
    reload(lb, config().replace("type: http, path: /healthz", "type: tcp"), 3)
    before = [x.count()["checks"] for x in s]
    tools.wait_for("checks", lambda: len(lb.ask("/v1/servers/app/a")["checks"]) >= 3)
    assert [x.count()["checks"] for x in s] == before


# ---- under load

@pytest.mark.parametrize("failover", ["active-active", "active-passive"])
def test_a_killed_server_costs_no_get(evlb, sim, failover):
    a, rest = sim("a"), sim("b", "c")
    lb = evlb(config(f"failover: {failover}").replace("every: 100ms", "every: 1s"), a, rest)
    with Load(lb) as load:
        load.answered(200)
        a.kill()
        load.answered(400)
        wait_state(lb, "app/a", "down", timeout=10)
        load.answered(200)
        a.restart()
        wait_state(lb, "app/a", "up", timeout=10)
        tools.wait_for("a works again", lambda: works_again(load, "a"))
    assert load.faults() == {}


def works_again(load, name):
    before = load.servers[name]
    load.answered(20)
    return load.servers[name] > before


def test_a_hanging_server_costs_only_what_it_had(evlb, sim):
    a, rest = sim("a"), sim("b", "c")
    lb = evlb(config("timeout: {server: 1s}"), a, rest)
    with Load(lb, clients=6) as load:
        load.answered(100)
        os.kill(a.process.pid, signal.SIGSTOP)
        try:
            wait_state(lb, "app/a", "down")
            before = load.servers["a"]
            load.answered(300)
            assert load.servers["a"] == before
        finally:
            os.kill(a.process.pid, signal.SIGCONT)
        wait_state(lb, "app/a", "up")
    # each client can have had one request there
    assert set(load.faults()) <= {504} and sum(load.faults().values()) <= 6, load.results
