# SPDX-License-Identifier: MIT
"""Servers given by name: resolved while evlb runs, by TTL, without a wait of anything else."""
import pytest

from harness import tools
from harness.nameserver import NameServer


@pytest.fixture
def ns():
    server = NameServer()
    yield server
    server.close()


def start(evlb, ns, servers, more="", **named):
    return evlb(f"""
        listen: $port
        dns: {{servers: {ns.address}, min-ttl: 100ms, max-ttl: 1s, timeout: 200ms}}
        health: off
        {more}
        servers: {servers}
    """, **named)


def names_seen(lb, n=12):
    return {lb.get("/").headers.get("X-Server") for _ in range(n)}


def port_of(listener):
    return listener.port


def server_states(lb):
    return {s["name"]: s for s in lb.status()["backends"][0]["servers"]}


def wait_status(lb, status, n=1):
    """Until `n` answers in a row have this status."""
    tools.wait_for(f"answers {status}", lambda: all(lb.get("/").status == status for _ in range(n)), 5)


def test_a_name_is_resolved_before_the_first_request(evlb, sim, ns):
    a = sim("a")["a"]
    ns.set("app.test", "127.0.0.1")
    lb = start(evlb, ns, f'["app.test:{a.port}"]')
    assert lb.get("/").status == 200


def test_a_name_that_does_not_resolve_stops_no_start(evlb, sim, ns):
    a = sim("a")["a"]
    lb = start(evlb, ns, f'["app.test:{a.port}"]')
    assert lb.get("/").status == 503
    assert server_states(lb)["s1"]["state"] == "unresolved"
    ns.set("app.test", "127.0.0.1")
    wait_status(lb, 200)
    assert server_states(lb)["s1"]["state"] == "up"


def test_an_address_that_changes_is_followed(evlb, sim, ns):
    a = sim("a")["a"]
    ns.set("app.test", "127.0.0.2")  # backend-sim listens on 127.0.0.1 alone
    lb = start(evlb, ns, f'["app.test:{a.port}"]', more="retries: 0")
    assert lb.get("/").status in (502, 503)
    ns.set("app.test", "127.0.0.1")
    wait_status(lb, 200, n=5)


def test_a_name_that_disappears_is_believed_after_a_while(evlb, sim, ns):
    a = sim("a")["a"]
    ns.set("app.test", "127.0.0.1")
    lb = start(evlb, ns, f'["app.test:{a.port}"]')
    assert lb.get("/").status == 200
    ns.break_("app.test", "nxdomain")
    wait_status(lb, 503)
    assert server_states(lb)["s1"]["state"] == "unresolved"
    ns.set("app.test", "127.0.0.1")
    wait_status(lb, 200)


@pytest.mark.parametrize("how", ["servfail", "silent"])
def test_name_servers_that_fail_take_nothing_away(evlb, sim, ns, how):
    a = sim("a")["a"]
    ns.set("app.test", "127.0.0.1")
    lb = start(evlb, ns, f'["app.test:{a.port}"]')
    assert lb.get("/").status == 200
    ns.break_("app.test", how)
    lb.wait_log("app.test does not resolve: .*its last address stays")
    asked = ns.queries
    tools.wait_for("more questions", lambda: ns.queries > asked + 6, 10)
    assert all(lb.get("/").status == 200 for _ in range(5))


def test_a_reload_asks_other_name_servers(evlb, sim, ns):
    a = sim("a")["a"]
    other = NameServer()
    text = f"""
        listen: $port
        dns: {{servers: %s, min-ttl: 1m, max-ttl: 5m, timeout: 200ms}}
        health: off
        retries: 0
        servers: ["app.test:{a.port}"]
    """
    ns.set("app.test", "127.0.0.2")  # backend-sim listens on 127.0.0.1 alone
    other.set("app.test", "127.0.0.1")
    lb = evlb(text % ns.address)
    assert lb.get("/").status in (502, 503)
    lb.reload(text % other.address)
    wait_status(lb, 200)  # long before the old answer's time is over
    other.close()


def test_all_addresses_are_servers(evlb, sim, ns):
    a = sim("a")["a"]
    ns.set("app.test", "127.0.0.1", "127.0.0.2")
    lb = start(evlb, ns, f'{{web: "app.test:{a.port}"}}', more="resolve: all")
    states = server_states(lb)
    assert {n for n, s in states.items() if s["state"] == "up"} == {"web.1", "web.2"}
    ns.set("app.test", "127.0.0.1")
    tools.wait_for("one server up", lambda: sum(s["state"] == "up" for s in server_states(lb).values()) == 1, 5)
    assert all(lb.get("/").status == 200 for _ in range(4))


def test_srv_records_give_ports_and_weights(evlb, sim, ns):
    s = sim("a", "b")
    ns.set("one.test", "127.0.0.1")
    ns.set("two.test", "127.0.0.1")
    ns.srv("_http._tcp.app.test", [(10, 3, s["a"].port, "one.test"), (10, 1, s["b"].port, "two.test"),
                                   (20, 100, 1, "one.test")])
    lb = start(evlb, ns, '{web: "srv:_http._tcp.app.test"}')
    for _ in range(8):
        assert lb.get("/").status == 200
    assert (s["a"].count()["requests"], s["b"].count()["requests"]) == (6, 2)
