# SPDX-License-Identifier: MIT
"""Live control: `evlb ctl`, `diff` and `healthcheck` against a running evlb, and the API below."""
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from harness import http, tools

TWO = """
    workers: 2
    frontends: {web: {listen: $port, backend: app}}
    backends:
      app:
        health: off
        servers: {a: $a, b: $b}
"""


@pytest.fixture
def ctl(run_evlb):
    """ctl(lb, "server drain app/a") runs `evlb ctl ...` on that evlb's socket."""
    def run(lb, *words, **options):
        return run_evlb("ctl", *words[0].split(), *words[1:], "--socket", lb.socket, **options)
    return run


def server(lb, name):
    return lb.ask(f"/v1/servers/{name}")


def narrow(text):
    assert max(len(line) for line in text.splitlines()) <= 80, text


def api(lb, method, target, body=None):
    with http.Client(lb.socket, timeout=10) as c:
        data = None if body is None else json.dumps(body).encode()
        c.request(method, target, {"Connection": "close"}, data)
        return c.response(method)


# ---- reading -------------------------------------------------------------------------------------

def test_show(evlb, sim, ctl):
    lb = evlb(TWO, sim("a", "b"))
    for _ in range(4):
        assert lb.get().status == 200
    everything, one, single = ctl(lb, "show"), ctl(lb, "show app"), ctl(lb, "show app/a")
    assert re.search(r"^app +http +active-active +2 of 2 +0 +0 +4 +0$", everything.out, re.M)
    assert one.out.startswith("backend app: http, round-robin, active-active\n")
    assert len(re.findall(r"^[ab] +127.0.0.1:\d+ +up +1 +0 +2 +0 +-$", one.out, re.M)) == 2
    assert single.out.startswith("server app/a: up\n") and "2 requests" in single.out
    for r in (everything, one, single):
        assert r.status == 0 and r.err == ""
        narrow(r.out)
    assert ctl(lb, "show --format=names").out == "app\napp/a\napp/b\n"
    assert json.loads(ctl(lb, "show app/b --format=json").out)["name"] == "b"


def test_checks_show_with_their_reasons(evlb, sim, ctl):
    lb = evlb(TWO.replace("health: off", "health: {type: http, path: /healthz, every: 200ms}"),
              s := sim("a", "b"))
    s["b"].control("listen?state=off")
    tools.wait_for("b is down", lambda: server(lb, "app/b")["state"] == "down")
    r = ctl(lb, "show app/b")
    assert "why            down for " in r.out and re.search(r"s ago +failed +\d+ ms +\S", r.out)
    status = ctl(lb, "status")
    assert re.search(r"^app/b +down for \d+s: \S", status.out, re.M)
    narrow(r.out)
    narrow(status.out)
    s["a"].control("listen?state=on&name=b")
    tools.wait_for("b is up", lambda: server(lb, "app/b")["state"] == "up")
    events = ctl(lb, "events").out
    assert re.search(r"^\S+Z server: .*app/b.*DOWN", events, re.M)
    assert len(server(lb, "app/b")["checks"]) >= 3


@pytest.mark.parametrize("words, status, said", [
    ("show ap", 4, "there is no backend 'ap'; did you mean 'app'?"),
    ("show app/c", 4, "backend 'app' has no server 'c'"),
    ("server drain app/c", 4, "has no server 'c'"),
    ("server weight app/a 500", 1, "'weight' is 0 to 256"),
    ("server weight app/a", 2, "a number from 0 to 256"),
    ("server drain app", 2, "BACKEND/SERVER"),
    ("server grain app/a", 2, "the verb is one of"),
    ("server drain app/a --for 10", 1, "duration"),
    ("server drain app/a --wait=x", 2, "duration"),
    ("backend switch app", 2, "switch BACKEND SERVER"),
    ("worker restart 99", 4, "there is no worker '99'"),
    ("log level loud", 1, "one of: error, warning, info, debug"),
    ("show app/../x", 2, "BACKEND"),
])
def test_what_is_refused(evlb, sim, ctl, words, status, said):
    lb = evlb(TWO, sim("a", "b"))
    r = ctl(lb, words)
    assert r.status == status and said in r.err and r.out == ""


def test_nobody_answers(run_evlb, tmp_path):
    for words in ("ctl show", "ctl events -f", "ctl reload", "ctl server drain a/b"):
        assert run_evlb(*words.split(), "--socket", tmp_path / "nowhere").status == 5


def test_sessions(evlb, sim, ctl):
    lb = evlb(TWO, sim("a", "b"))
    idle, busy = lb.client(), lb.client()
    idle.get("/")
    busy.send(b"GET /?delay=3s HTTP/1.1\r\nHost: x\r\n\r\n")
    tools.wait_for("it waits", lambda: "waiting for the answer" in ctl(lb, "sessions").out)
    r = ctl(lb, "sessions")
    assert re.search(r"^127\.0\.0\.1:\d+ +web +app/[ab] +waiting for the answer ", r.out, re.M)
    assert re.search(r"^127\.0\.0\.1:\d+ +web +- +idle ", r.out, re.M)
    narrow(r.out)
    answer = json.loads(ctl(lb, "sessions --format=json").out)
    assert answer["complete"] and answer["total"] == len(answer["sessions"]) == 2
    assert busy.response().status == 200


# ---- servers -------------------------------------------------------------------------------------

def test_drain_waits_for_the_last_request(evlb, sim, ctl):
    lb = evlb(TWO, s := sim("a", "b"))
    assert ctl(lb, "server drain app/b").status == 0
    slow = lb.client()
    slow.send(b"GET /?delay=1500ms HTTP/1.1\r\nHost: x\r\n\r\n")
    tools.wait_for("a has it", lambda: server(lb, "app/a")["in_flight"] == 1)
    assert ctl(lb, "server ready app/b").status == 0
    r = ctl(lb, "server drain app/a --wait=200ms")
    assert r.status == 124 and "still has 1 in flight" in r.err
    r = ctl(lb, "server drain app/a --wait 10s", "--reason", "deploy 4.2")
    assert r.status == 0 and r.out == "app/a: drain, weight 1, 0 in flight\n"
    assert slow.response().status == 200
    assert {lb.get().body for _ in range(6)} == {b"b\n"}
    assert "deploy 4.2" in ctl(lb, "show app/a").out
    lb.wait_log(r"admin: app/a: drain: done \(uid \d+, pid \d+; deploy 4\.2\)")
    assert ctl(lb, "server ready app/a --wait").status == 0
    assert {lb.get().body for _ in range(6)} == {b"a\n", b"b\n"}
    assert s["a"].count()


def test_maintenance_ends_by_itself(evlb, sim, ctl):
    lb = evlb(TWO, sim("a", "b"))
    assert ctl(lb, "server maint app/a --for 1s").status == 0
    assert server(lb, "app/a")["state"] == "maint"
    assert {lb.get().body for _ in range(4)} == {b"b\n"}
    tools.wait_for("a is back", lambda: server(lb, "app/a")["state"] == "up")
    assert {lb.get().body for _ in range(4)} == {b"a\n", b"b\n"}


def test_weight(evlb, sim, ctl):
    lb = evlb(TWO, sim("a", "b"))
    assert ctl(lb, "server weight app/a 3").out == "app/a: up, weight 3, 0 in flight\n"
    tools.wait_for("3 to 1", lambda: sorted(lb.get().body for _ in range(4)) == [b"a\n"] * 3 + [b"b\n"])
    assert ctl(lb, "server weight app/a 0").status == 0
    assert {lb.get().body for _ in range(4)} == {b"b\n"}
    assert ctl(lb, "server weight app/a default").out == "app/a: up, weight 1, 0 in flight\n"
    assert {lb.get().body for _ in range(4)} == {b"a\n", b"b\n"}


def test_words_of_an_administrator_outlive_reload_and_control(evlb, sim, ctl):
    lb = evlb(TWO, sim("a", "b"))
    lb.allow_log("control .* was killed")
    assert ctl(lb, "server drain app/a", "--reason", "why").status == 0
    assert ctl(lb, "reload").status == 0
    os.kill(lb.ask("/v1/status")["control"]["pid"], 9)
    tools.wait_for("control is back", lambda: ctl(lb, "status").status == 0)
    a = server(lb, "app/a")
    assert a["state"] == "drain" and a["admin"]["reason"] == "why"
    lb.skip_check("descriptors")  # the new control process has others


def test_switch_where_all_work_at_once(evlb, sim, ctl):
    lb = evlb(TWO, sim("a", "b"))
    r = ctl(lb, "backend switch app b")
    assert r.status == 1 and r.out == ""
    assert "failover: active-active" in r.err and "set failover: active-passive" in r.err
    assert sorted(lb.get().body for _ in range(4)) == [b"a\n", b"a\n", b"b\n", b"b\n"]


def test_switch(evlb, sim, ctl):
    lb = evlb(TWO.replace("health: off", "health: off\n        failover: active-passive"),
              sim("a", "b"))
    assert {lb.get().body for _ in range(4)} == {b"a\n"}
    assert ctl(lb, "backend switch app b").out == "app: b works\n"
    assert {lb.get().body for _ in range(4)} == {b"b\n"}
    assert lb.ask("/v1/backends/app")["working"] == ["b"]
    status = ctl(lb, "status").out
    assert re.search(r"^app/a .* standby ", status, re.M)
    assert re.search(r"^app +working: b for \d+s: switched by an administrator$", status, re.M)
    assert ctl(lb, "backend switch app a").status == 0
    assert "working:" not in ctl(lb, "status").out  # all is as it should be again
    assert {lb.get().body for _ in range(4)} == {b"a\n"}


def test_who_works_of_two_tiers(evlb, sim, ctl):
    lb = evlb(TWO.replace("b: $b", "b: $b, c: {address: $c, tier: 2}"), sim("a", "b", "c"))
    for name in "ab":
        assert ctl(lb, f"server maint app/{name}").status == 0
    status, show = ctl(lb, "status").out, ctl(lb, "show app").out
    assert re.search(r"^app +working: c \(tier 2 for \d+s\): the best that is usable$", status, re.M)
    assert re.search(r"^  working +c \(tier 2 for \d+s\): the best that is usable$", show, re.M)
    assert ctl(lb, "server maint app/c").status == 0
    assert re.search(r"^app +working: none for \d+s: no server", ctl(lb, "status").out, re.M)
    assert ctl(lb, "server ready app/a").status == 0
    assert "working:" not in ctl(lb, "status").out  # of the first tier, if not all of it
    narrow(status)
    narrow(show)


def test_a_name_that_does_not_resolve(evlb, sim, ctl):
    lb = evlb(TWO.replace("b: $b", 'b: "nowhere.invalid:80"'), sim("a"))
    tools.wait_for("b is unresolved", lambda: server(lb, "app/b")["state"] == "unresolved")
    status = ctl(lb, "status").out
    assert re.search(r"^app/b +nowhere.invalid:80 +unresolved ", status, re.M)
    assert re.search(r"^app/b +unresolved .*the name does not resolve$", status, re.M)
    assert "none: nowhere.invalid does not resolve" in ctl(lb, "show app/b").out


def test_add_and_remove(evlb, sim, ctl):
    lb = evlb(TWO, s := sim("a", "b", "c"))
    assert ctl(lb, f"server add app/c {s['c']} --weight 2").out == f"app/c: added, {s['c']}\n"
    assert sorted(lb.get().body for _ in range(4)) == [b"a\n", b"b\n", b"c\n", b"c\n"]
    assert ctl(lb, f"server add app/c {s['c']}").status == 1
    assert ctl(lb, "reload").status == 0  # it stays
    assert server(lb, "app/c")["added"]
    assert ctl(lb, "server remove app/a --wait").out == "app/a: removed\n"
    assert {lb.get().body for _ in range(6)} == {b"b\n", b"c\n"}
    assert ctl(lb, "show app/a").status == 4
    lb.write_config(TWO.replace("b: $b", "b: {address: $b, weight: 3}"))
    r = ctl(lb, "server remove app/c")  # what the file has changed comes into force, too
    assert r.out.startswith("app/c: removed\n") and "~ server app/b: weight 1 -> 3" in r.out


# ---- evlb as a whole -----------------------------------------------------------------------------

def test_reload_says_what_it_did(evlb, sim, ctl):
    lb = evlb(TWO, sim("a", "b"))
    assert ctl(lb, "reload").out.strip() == "no changes"
    assert lb.ask("/v1/status")["generation"] == 1  # and nobody was bothered
    assert "new configuration" not in ctl(lb, "events").out
    lb.write_config(TWO.replace("b: $b", "b: {address: $b, weight: 3}"))
    r = ctl(lb, "reload --wait 20s")
    assert r.status == 0 and re.search(r"~ server app/b: weight 1 -> 3", r.out)
    assert server(lb, "app/b")["weight"] == 3
    generation = lb.ask("/v1/status")["generation"]
    lb.write_config(TWO.replace("health: off", "balance: least-con"))
    r = ctl(lb, "reload")
    assert r.status == 1 and "did you mean 'least-conn'?" in r.err and r.out == ""
    lb.allow_log(r"reload failed|least-con|\[config.enum\]|nothing was changed")
    assert lb.ask("/v1/status")["generation"] == generation
    assert lb.get().status == 200


def test_diff(evlb, sim, ctl, run_evlb, tmp_path):
    lb = evlb(TWO, sim("a", "b"))
    diff = lambda path: run_evlb("diff", path, "--socket", lb.socket)
    assert diff(lb.config_file).status == 0
    other = tmp_path / "other.yaml"
    other.write_text(lb.config_file.read_text().replace("b: 127", "c: 127"))
    r = diff(other)
    assert r.status == 1 and "- server app/b" in r.out and "+ server app/c" in r.out
    assert server(lb, "app/b")["state"] == "up"  # nothing was changed
    assert ctl(lb, "server add app/z 127.0.0.1:9").status == 0
    assert ctl(lb, "server remove app/a").status == 0
    r = diff(lb.config_file)  # a reload would leave them as they are
    assert (r.status, r.out.strip()) == (0, "no changes")
    other.write_text("listen: x\n")
    r = diff(other)
    assert r.status == 2 and "other.yaml:1:9: error" in r.err
    assert run_evlb("diff", lb.config_file, "--socket", tmp_path / "nowhere").status == 5


def test_healthcheck(evlb, sim, run_evlb, tmp_path):
    lb = evlb(TWO, sim("a", "b"))
    r = run_evlb("healthcheck", "--socket", lb.socket)
    assert (r.status, r.out, r.err) == (0, "", "")
    r = run_evlb("healthcheck", "--socket", tmp_path / "nowhere")
    assert (r.status, r.out, r.err) == (1, "", "")
    assert "evlb does not run there" in run_evlb("healthcheck", "-v", "--socket",
                                                 tmp_path / "nowhere").err


def test_log_level_and_worker_restart(evlb, sim, ctl):
    lb = evlb(TWO, sim("a", "b"))
    lb.skip_check("descriptors")  # another worker stands in the place of the first one
    assert ctl(lb, "log level debug").status == 0
    ctl(lb, "status")
    lb.wait_log(r"debug control: admin: GET /v1/status")
    first = lb.ask("/v1/status")["workers"][0]["pid"]
    r = ctl(lb, "worker restart 0")
    assert r.out == "worker 2 has taken over; worker 0 finishes its connections\n"
    new = [w for w in lb.ask("/v1/status")["workers"] if w["id"] == 2]
    assert [w["state"] for w in new] == ["ready"]  # it is done, not only begun
    tools.wait_for("the first one is gone", lambda: first not in
                   [w["pid"] for w in lb.ask("/v1/status")["workers"]])
    assert lb.get().status == 200


def test_events_say_why_something_was_refused(evlb, sim, ctl):
    lb = evlb(TWO, sim("a", "b"))
    assert ctl(lb, "backend switch app c").status == 4
    assert "refused: backend 'app' has no server 'c'" in ctl(lb, "events").out


def test_events_follow(evlb, sim, ctl, tmp_path):
    lb = evlb(TWO, sim("a", "b"))
    assert ctl(lb, "server drain app/a").status == 0
    command = [tools.bin_dir() / "evlb", "ctl", "events", "-f", "--format=json", "--socket", lb.socket]
    p = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                         env=tools.environment(tmp_path))
    try:
        seen = [json.loads(p.stdout.readline())]
        while seen[-1]["kind"] != "admin":
            seen.append(json.loads(p.stdout.readline()))
        assert ctl(lb, "server ready app/a").status == 0
        seen.append(json.loads(p.stdout.readline()))
        while seen[-1]["kind"] != "admin":
            seen.append(json.loads(p.stdout.readline()))
        assert seen[-1]["object"] == "app/a" and seen[-1]["text"].startswith("ready: done")
        assert [e["id"] for e in seen] == sorted({e["id"] for e in seen})
    finally:
        p.kill()
        p.wait()


# ---- the API -------------------------------------------------------------------------------------

def test_api_refuses_what_it_does_not_understand(evlb, sim):
    lb = evlb(TWO, sim("a", "b"))
    assert api(lb, "PATCH", "/v1/servers/app/a", {"admin": "drain", "force": True}).status == 400
    assert server(lb, "app/a")["state"] == "up"
    with http.Client(lb.socket, timeout=10) as c:
        c.send(b"PATCH /v1/servers/app/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert c.response().status == 411
    with http.Client(lb.socket, timeout=10) as c:
        c.send(b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n")
        assert c.response().status == 413
    with http.Client(lb.socket, timeout=10) as c:  # byte by byte, with 100-continue
        body = b'{"weight":4}'
        c.send(b"PATCH /v1/servers/app/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
               b"Content-Length: %d\r\n\r\n" % len(body))
        assert c.read_exact(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        c.send_split(body, step=1)
        assert c.response().status == 200
    assert server(lb, "app/a")["weight"] == 4


def test_followers_do_not_keep_others_out(evlb, sim):
    lb = evlb(TWO, sim("a", "b"))
    followers = []
    for _ in range(20):
        s = socket.socket(socket.AF_UNIX)
        s.connect(lb.socket)
        s.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        followers.append(s)
    heads = [s.recv(64).split(b" ")[1] for s in followers]
    assert heads.count(b"200") == 16 and heads.count(b"503") == 4
    for i in range(1500):  # more than is kept; nobody reads
        assert api(lb, "PATCH", "/v1/servers/app/a", {"weight": i % 7 + 1}).status == 200
    assert lb.ask("/v1/ready")["ready"]
    for s in followers:
        s.close()


# ---- under load ----------------------------------------------------------------------------------

def changes(s):
    """A round of changes that leaves at least one server at work all the time."""
    yield "POST", "/v1/servers/app", {"name": "c", "address": str(s["c"])}
    yield "PATCH", "/v1/servers/app/a", {"admin": "drain"}
    yield "PATCH", "/v1/servers/app/b", {"weight": 7}
    yield "PATCH", "/v1/servers/app/a", {"admin": "ready"}
    yield "PATCH", "/v1/servers/app/b", {"admin": "maint", "for": "1s"}
    yield "DELETE", "/v1/servers/app/c", None
    yield "PATCH", "/v1/servers/app/b", {"admin": "ready", "weight": None}
    yield "POST", "/v1/reload", None


def test_storm_of_changes_fails_no_request(evlb, sim, wrk):
    lb = evlb(TWO, s := sim("a", "b", "c"))
    lb.skip_check("descriptors")  # pooled connections to a server that comes and goes
    result = {}
    load = threading.Thread(
        target=lambda: result.update(wrk(lb.url("/"), duration=8, connections=16)))
    load.start()
    done, end = 0, time.monotonic() + 7
    while time.monotonic() < end and done < 400:
        for method, target, body in changes(s):
            r = api(lb, method, target, body)
            assert r.status == 200, (method, target, r)
            done += 1
    load.join()
    assert result["requests"] > 100 and result["errors"] == 0, result["out"]
    assert done >= 40
    tools.wait_for("one configuration is left in use", lambda: all(
        w["oldest_generation"] == lb.ask("/v1/status")["generation"]
        for w in lb.ask("/v1/status")["workers"] if w["pid"]))
