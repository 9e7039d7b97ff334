# SPDX-License-Identifier: MIT
"""What becomes of connections when checks find their server down, and of those that are opened
ahead of need."""
import pytest

from harness.wire import eventually, request

CHECKED = """\
workers: 2
frontends: {web: {listen: $port, backend: app}}
backends:
  app:
    servers: {a: $a, b: $b}
    health: {type: http, path: /healthz, every: 100ms, fall: 1, rise: 1}
    on-server-down: WORD
log: {access: true}
"""

UPGRADE = request("GET / HTTP/1.1", "Host: x", "Connection: upgrade", "Upgrade: websocket")


@pytest.mark.parametrize("word, cut", [("keep", False), ("close", True)])
def test_tunnels_of_a_server_that_goes_down(evlb, sim, word, cut):
    sims = sim("a", "b")
    lb = evlb(CHECKED.replace("WORD", word), sims)
    lb.allow_log("down|health")
    clients = [lb.client() for _ in range(8)]
    servers = []
    for c in clients:
        c.send(UPGRADE)
        servers.append(c.response().headers["X-Server"])
    assert set(servers) == {"a", "b"}
    sims["a"].control("health?state=down")
    assert eventually(lambda: lb.get("/").headers["X-Server"] == "b" and
                      lb.get("/").headers["X-Server"] == "b", 5)
    hit = [c for c, name in zip(clients, servers) if name == "a"]
    if cut:
        ends = lb.wait_access(len(hit))
        assert eventually(lambda: sum(line["end"] == "server-down"
                                      for line in lb.access_log()) == len(hit), 5), ends
    for c, name in zip(clients, servers):
        if name == "b" or not cut:
            c.send(b"still here")
            assert c.read_exact(10) == b"still here"


def test_an_unanswered_request_goes_elsewhere_at_once(evlb, sim):
    sims = sim("a", "b")
    lb = evlb(CHECKED.replace("WORD", "close"), sims)
    lb.allow_log("down|health")
    sims["a"].control("default?never=1")
    clients = [lb.client() for _ in range(6)]
    for c in clients:
        c.request("GET", "/")
    assert eventually(lambda: sims["a"].count()["active"] >= 1, 5)
    sims["a"].control("health?state=down")
    assert {c.response().headers["X-Server"] for c in clients} == {"b"}


def test_idle_connections_are_there_before_the_first_request(evlb, sim):
    origin = sim("a")["a"]
    lb = evlb("""\
workers: 2
frontends: {web: {listen: $port, backend: app}}
backends: {app: {servers: {a: $a}, min-idle: 3}}
""", a=origin)
    lb.skip_check("descriptors")  # the idle ones came after the count at the start

    def connections():
        return lb.status()["backends"][0]["servers"][0]["counters"]["connections"]

    assert eventually(lambda: connections() == 6, 5)
    for _ in range(20):
        assert lb.get("/").status == 200
    assert connections() == 6
