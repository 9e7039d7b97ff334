# SPDX-License-Identifier: MIT
"""Health checks by real processes: what takes a server out, what brings it back, what a check says,
and that no check is one too many."""
import os
import re
import resource
import signal
import socket
import threading
import time

import pytest

from harness import http, procfs, tools
from harness.health import Load, server, wait_state, who

APP = """\
workers: 2
frontends: {web: {listen: $port, backend: app}}
backends:
  app:
    health: HEALTH
    servers: {a: $a, b: $b}
"""
HTTP = "{type: http, path: /healthz, every: 100ms, fall: 2, rise: 2, timeout: 500ms}"


def config(health=HTTP, more=""):
    return APP.replace("HEALTH", health) + more


def checks(listener):
    return listener.count()["checks"]


def wait_checks(listener, n):
    """Until so many more checks have reached it."""
    goal = checks(listener) + n
    tools.wait_for(f"{n} checks", lambda: checks(listener) >= goal)


# ---- out and in again

def test_a_failing_server_gets_no_work_until_it_is_back(evlb, sim):
    s = sim("a", "b")
    lb = evlb(config(), s)
    assert set(who(lb, 4)) == {"a", "b"}
    wait_checks(s["b"], 2)
    s["a"].control("health?state=down")
    wait_state(lb, "app/a", "down")
    assert who(lb, 4) == ["b"] * 4
    line = lb.wait_log(r"server app/a is DOWN: (.*)")
    assert re.fullmatch(r"status 503, expected 200-399 \([12] failed checks?, last took \d+ ms\)",
                        line.group(1))
    s["a"].control("health?state=up")
    wait_state(lb, "app/a", "up")
    lb.wait_log(r"server app/a is UP: 2 passed checks, last took \d+ ms")
    assert set(who(lb, 4)) == {"a", "b"}


def test_a_server_that_is_down_at_the_start_fails_with_its_first_check(evlb, sim):
    s = sim("a", "b")
    s["a"].control("health?state=down")
    lb = evlb(config(HTTP.replace("fall: 2", "fall: 200")), s)
    wait_state(lb, "app/a", "down")
    lb.wait_log(r"app/a is DOWN: .* \(1 failed check,")


def test_one_failure_in_between_takes_nobody_out(evlb, sim):
    s = sim("a", "b")
    lb = evlb(config(HTTP.replace("fall: 2", "fall: 4").replace("100ms", "200ms")), s)
    wait_checks(s["a"], 1)
    s["a"].control("health?state=down")
    wait_checks(s["a"], 1)
    s["a"].control("health?state=up")
    wait_checks(s["a"], 4)
    assert server(lb, "app/a")["state"] == "up"
    assert "is DOWN" not in lb.log()


def test_rise_counts_checks_in_a_row(evlb, sim):
    s = sim("a", "b")
    s["a"].control("health?state=down")
    lb = evlb(config(HTTP.replace("rise: 2", "rise: 5")), s)
    wait_state(lb, "app/a", "down")
    before = checks(s["a"])
    s["a"].control("health?state=up")
    wait_state(lb, "app/a", "up")
    assert checks(s["a"]) - before >= 5
    lb.wait_log(r"app/a is UP: 5 passed checks")


def test_no_server_left_is_503(evlb, sim):
    s = sim("a", "b")
    lb = evlb(config(), s)
    for name in "ab":
        s[name].control("health?state=down")
    wait_state(lb, "app/a", "down")
    wait_state(lb, "app/b", "down")
    assert lb.get("/").status == 503
    lb.wait_log(r"no server of app is usable")
    s["b"].control("health?state=up")
    wait_state(lb, "app/b", "up")
    assert who(lb) == ["b"]


def test_retry_after_when_a_check_could_bring_one_back(evlb, sim, run_evlb):
    s = sim("a")
    lb = evlb("""
        listen: $port
        health: {type: http, path: /healthz, every: 100ms, every-down: 3500ms, fall: 1, rise: 2}
        servers: {a: $a}
    """, s)
    s["a"].control("health?state=down")
    wait_state(lb, "default/a", "down")
    r = lb.get("/")
    assert (r.status, r.headers["Retry-After"]) == (503, "7")
    assert run_evlb("ctl", "server", "maint", "default/a", "--socket", lb.socket).status == 0
    r = lb.get("/")  # nobody knows when that ends
    assert r.status == 503 and r.headers.get("Retry-After") is None


# ---- why

def reason_of(lb, name="app/a", timeout=5.0):
    return lb.wait_log(rf"server {name} is DOWN: (.*) \(1 failed check,", timeout).group(1)


def test_refused(evlb, sim):
    s = sim("a", "b")
    s["b"].control("listen?state=off&name=a")
    lb = evlb(config(), s)
    assert reason_of(lb) == "connection refused"


@pytest.mark.parametrize("answer, reason", [
    (b"SSH-2.0-OpenSSH_9.2\r\n",
     "answer is not HTTP: the version in the first line is not HTTP/1.x"),
    (b"HTTP/1.1 200 OK\r\nContent-", "closed in the middle of its head"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nup", "closed in the middle of its body"),
    (b"", "closed without an answer"),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
     "status 500, expected 200-399"),
])
def test_wrong_answers(evlb, sim, answer, reason):
    with Speaker(answer) as a:
        lb = evlb(config(), sim("b"), a=a.address)
        assert reason_of(lb) == reason


def test_silence(evlb, sim):
    with Speaker(None) as a:
        lb = evlb(config(HTTP.replace("500ms", "100ms")), sim("b"), a=a.address)
        assert reason_of(lb) == "no answer within 100 ms"


def test_half_an_answer_and_then_silence(evlb, sim):
    with Speaker(b"HTTP/1.1 200 OK\r\n", hold=True) as a:
        lb = evlb(config(HTTP.replace("500ms", "100ms")), sim("b"), a=a.address)
        assert reason_of(lb) == "no complete answer within 100 ms"


def test_expectations(evlb, sim):
    health = "{type: http, path: /healthz, every: 100ms, expect: 204}"
    lb = evlb(config(health), sim("a", "b"))
    assert reason_of(lb) == "status 200, expected 204"
    health = "{type: http, path: /healthz, every: 100ms, expect-body: fine}"
    lb = evlb(config(health), sim("a", "b"))
    assert reason_of(lb) == "body does not hold 'fine'"


class Speaker:
    """A server that says these bytes to whoever has asked something, then closes (or holds)."""

    def __init__(self, answer, hold=False):
        self.answer, self.hold = answer, hold
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.requests, self.held = [], []
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for c in self.held:
            c.close()

    def _serve(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            self.held.append(c)
            if self.answer is None:
                continue
            self.requests.append(c.recv(4096))
            c.sendall(self.answer)
            if not self.hold:
                c.close()


# ---- what a check does

def test_what_a_check_says(evlb, sim):
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with Speaker(ok) as a:
        evlb(config("{type: http, method: HEAD, path: /up, every: 100ms, headers: {X-Check: one}}"),
             sim("b"), a=a.address)
        tools.wait_for("a check", lambda: a.requests)
        head = a.requests[0].decode().split("\r\n")
    assert head[0] == "HEAD /up HTTP/1.1"
    assert head[1] == f"Host: {a.address}"
    assert re.fullmatch(r"User-Agent: evlb/\S+ check", head[2])
    assert head[3:] == ["Connection: close", "X-Check: one", "", ""]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_checks_begin_with_a_proxy_header_where_traffic_does(evlb, sim, version):
    s = sim("a", "b", options=["--accept-proxy"])
    lb = evlb(config(more=f"    send-proxy: {version}\n"), s)
    tools.wait_for("checks", lambda: len(lb.ask("/v1/servers/app/a")["checks"]) >= 3)
    assert all(c["result"] == "passed" for c in lb.ask("/v1/servers/app/a")["checks"])


def test_checks_may_go_to_another_port(evlb, sim):
    s, aside = sim("a", "b"), sim("h")
    health = HTTP.replace("{", f"{{port: {aside['h'].port}, ")
    lb = evlb(config(health, "    send-proxy: v1\n"), s)  # which is not for that port
    wait_checks(aside["h"], 2)
    assert server(lb, "app/a")["state"] == "up"
    assert checks(s["a"]) == 0
    aside["h"].control("health?state=down")
    wait_state(lb, "app/a", "down")
    wait_state(lb, "app/b", "down")


def test_tcp_checks_are_connections_alone(evlb, sim):
    s = sim("a", "b")
    lb = evlb(config("{type: tcp, every: 50ms, rise: 1}"), s)
    tools.wait_for("checks", lambda: len(lb.ask("/v1/servers/app/a")["checks"]) >= 3)
    count = s["a"].count()
    assert count["requests"] == 0 and count["broken"] == 0 and count["bad_requests"] == 0
    s["b"].control("listen?state=off&name=a")
    wait_state(lb, "app/a", "down")
    assert who(lb, 3) == ["b"] * 3
    s["b"].control("listen?state=on&name=a")
    wait_state(lb, "app/a", "up")


def test_send_expect(evlb, sim):
    lb = evlb("""
        workers: 1
        frontends: {web: {listen: $port, mode: tcp, backend: app}}
        backends:
          app:
            mode: tcp
            health: {type: send-expect, send: "hello", expect: "llo", every: 50ms}
            servers: {a: $a, b: $b}
    """, sim("a", mode="tcp-echo"), sim("b", mode="tcp-name"))
    wait_state(lb, "app/b", "down")
    assert reason_of(lb, "app/b") == "answer does not hold 'llo'"
    assert server(lb, "app/a")["state"] == "up"


def test_a_hanging_server_is_found_out(evlb, sim):
    a, b = sim("a"), sim("b")
    lb = evlb(config(HTTP.replace("500ms", "100ms")), a, b)
    wait_checks(a["a"], 1)
    os.kill(a.process.pid, signal.SIGSTOP)
    try:
        wait_state(lb, "app/a", "down")
        assert who(lb, 3) == ["b"] * 3
    finally:
        os.kill(a.process.pid, signal.SIGCONT)
    wait_state(lb, "app/a", "up")


def test_failing_traffic_has_a_server_checked_at_once(evlb, sim):
    a, b = sim("a"), sim("b")
    lb = evlb(config("{type: http, path: /healthz, every: 1m, fall: 5}"), a, b)
    tools.wait_for("its first check", lambda: checks(a["a"]) == 1)
    a.kill()
    tools.wait_for("a is down", lambda: set(who(lb, 2)) and server(lb, "app/a")["state"] == "down")
    lb.wait_log("app/a is DOWN: connection refused .failing traffic and 1 failed check")


# ---- our own trouble

def test_without_descriptors_nobody_is_judged(evlb, sim):
    s = sim("a", "b")
    lb = evlb(config(), s)
    wait_checks(s["a"], 1)
    control = control_pid(lb)
    limits = resource.prlimit(control, resource.RLIMIT_NOFILE)
    resource.prlimit(control, resource.RLIMIT_NOFILE, (3, limits[1]))
    lb.wait_log("server app/[ab] cannot be checked: too many open files; states stay as they are")
    s["a"].control("listen?state=off&name=b")
    before = s["a"].count()["checks"]
    assert set(who(lb, 8)) >= {"a"}
    time.sleep(0.1)
    assert s["a"].count()["checks"] == before and "is DOWN" not in lb.log()
    resource.prlimit(control, resource.RLIMIT_NOFILE, limits)
    lb.wait_log("all servers can be checked again")
    wait_state(lb, "app/b", "down")


# ---- the control process

def control_pid(lb):
    return lb.ask("/v1/status")["control"]["pid"]


def test_killed_control_goes_on_where_it_was(evlb, sim):
    s = sim("a", "b")
    lb = evlb(config(HTTP.replace("rise: 2", "rise: 3")), s)
    wait_checks(s["b"], 1)
    s["a"].control("health?state=down")
    wait_state(lb, "app/a", "down")
    lb.allow_log("control .* was killed by signal 9")
    with Load(lb, clients=4) as load:
        load.answered(50)
        old = control_pid(lb)
        os.kill(old, signal.SIGKILL)
        tools.wait_for("another control process", lambda: control_is_new(lb, old))
        load.answered(50)
        assert server(lb, "app/a")["state"] == "down"
    assert load.faults() == {}
    assert set(load.servers) == {"b"}
    assert len(re.findall("app/a is DOWN", lb.log())) == 1
    s["a"].control("health?state=up")
    wait_state(lb, "app/a", "up")
    s["b"].control("health?state=down")
    wait_state(lb, "app/b", "down")


def control_is_new(lb, old):
    try:
        pid = control_pid(lb)
    except (OSError, http.Closed):
        return False
    return pid is not None and pid != old


# ---- how many

def test_a_flapping_server_does_not_fill_the_log(evlb, sim):
    s = sim("a", "b")
    lb = evlb(config("{type: http, path: /healthz, every: 20ms, fall: 1, rise: 1}"), s)
    for i in range(16):
        s["a"].control("health?state=toggle")
        wait_state(lb, "app/a", "up" if i % 2 else "down")
    assert len(re.findall(r"server app/a is", lb.log())) == 10


def test_checks_leave_no_descriptors(evlb, sim):
    s = sim("a", "b")
    lb = evlb(config("{type: http, path: /healthz, every: 10ms, timeout: 10ms}"), s)
    s["a"].control("listen?state=off&name=b")
    wait_checks(s["a"], 100)
    control = control_pid(lb)
    before = procfs.descriptors(control)
    wait_checks(s["a"], 100)
    assert abs(procfs.descriptors(control) - before) <= 2


def test_many_servers_are_checked_once_per_interval(evlb, sim):
    """Checks are spread: 200 servers at every: 1s are 200 checks a second, whoever is asked."""
    s = sim("a")
    servers = ", ".join(f"s{i}: {s['a']}" for i in range(200))
    lb = evlb("""
        workers: 1
        frontends: {web: {listen: $port, backend: app}}
        backends:
          app: {health: {type: http, path: /healthz, every: 1s}, servers: {SERVERS}}
    """.replace("SERVERS", servers))
    wait_checks(s["a"], 200)
    begin, before = time.monotonic(), checks(s["a"])
    tools.wait_for("400 checks", lambda: checks(s["a"]) - before >= 400, 10)
    rate = (checks(s["a"]) - before) / (time.monotonic() - begin)
    assert rate < 260, rate
    assert "is DOWN" not in lb.log()
