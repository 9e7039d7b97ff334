# SPDX-License-Identifier: MIT
"""Reload in place: what stays is not touched, what goes drains, a bad file changes nothing, and
nobody notices, whatever dies meanwhile."""
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from harness import http, procfs, tools

ONE = """
    workers: 1
    listen: $port
    servers: [$a]
"""
TWO = """
    workers: 2
    listen: $port
    servers: [$a, $b]
"""
NAMED = """
    workers: 2
    frontends:
      web: {listen: $port, backend: app}
    backends:
      app:
        servers: {%s}
"""
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket"}


# ---- helpers ----

def named(**servers):
    return NAMED % ", ".join(f"{name}: {address}" for name, address in servers.items())


def names_seen(lb, n=20):
    """Which servers answer, over connections of their own."""
    return {lb.get("/").body.decode().strip() for _ in range(n)}


def rss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s*(\d+)", text, re.M).group(1))


def titles(lb):
    return {procfs.title(pid).removeprefix("evlb: "): pid for pid in lb.children()}


def open_tunnel(lb):
    c = lb.client(timeout=20)
    c.request("GET", "/tunnel", UPGRADE)
    assert c.response().status == 101
    return c


def echoes(tunnel, text):
    tunnel.send(text)
    return tunnel.read_exact(len(text)) == text


class Background:
    """Calls work() in a thread; join() gives its result."""

    def __init__(self, work):
        self.result = self.error = None
        self.thread = threading.Thread(target=self._run, args=(work,))
        self.thread.start()

    def _run(self, work):
        try:
            self.result = work()
        except Exception as e:  # pylint: disable=broad-except
            self.error = e

    def join(self):
        self.thread.join(20)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.result


# ---- what stays ----

@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_nothing_changed(evlb, sim, number):
    lb = evlb(TWO, sim("a", "b"))
    children = lb.children()
    kept = lb.client()
    assert kept.get("/").status == 200
    lb.signal(number)  # the same bytes: nobody is bothered
    lb.wait_log(r"info supervisor: configuration 1 is in force: no changes")
    lb.write_config(TWO + "\n    # a comment\n")
    lb.signal(number)
    lb.wait_log(r"info supervisor: configuration 2 is in force: no changes")
    assert kept.get("/").status == 200  # the same connection
    assert lb.children() == children
    assert names_seen(lb) == {"a", "b"}


def test_pooled_connections_live_on(evlb, sim):
    origin = sim("a", "b")
    lb = evlb(named(a="$a"), origin)
    c = lb.client()
    before = c.get("/").headers["X-Conn"]
    assert "+ server app/b" in lb.reload(named(a="$a", b="$b"))
    seen = {r.headers["X-Conn"] for r in (c.get("/") for _ in range(8))
            if r.headers["X-Server"] == "a"}
    assert seen == {before}


def counters(lb):
    """Everything that only grows, by its path."""
    found = {}

    def walk(node, path):
        if isinstance(node, dict):
            for key, value in node.items():
                walk(value, f"{path}.{node.get('name', '')}.{key}")
        elif isinstance(node, list):
            for item in node:
                walk(item, path)
        elif isinstance(node, int) and ".counters." in path:
            found[path] = node
    walk(lb.ask("/v1/status"), "")
    return found


def test_counters_never_go_back(evlb, sim):
    lb = evlb(named(a="$a", b="$b"), sim("a", "b", "c"))
    last = {}
    for text in (named(a="$a", b="$b"), named(b="$b", a="$a", c="$c"), named(a="$a", c="$c"),
                 named(a="$a", b="$b")):
        names_seen(lb)
        now = counters(lb)
        assert any("requests" in path for path in now)
        assert not {p: (n, now[p]) for p, n in last.items() if now.get(p, n) < n}
        last = now
        lb.reload(text)
    assert sum(n for p, n in counters(lb).items() if p.endswith("web..counters.requests")) >= 0


# ---- servers ----

def test_server_added_and_removed(evlb, sim):
    lb = evlb(named(a="$a"), sim("a", "b"))
    assert names_seen(lb) == {"a"}
    assert "+ server app/b" in lb.reload(named(a="$a", b="$b"))
    assert names_seen(lb) == {"a", "b"}
    assert "- server app/a" in lb.reload(named(b="$b"))
    assert names_seen(lb) == {"b"}


def test_a_removed_server_drains(evlb, sim):
    origin = sim("a", "b")
    lb = evlb(named(a="$a"), origin)
    slow = Background(lambda: lb.get("/?delay=1500ms"))
    tools.wait_for("the request is at the server", lambda: origin["a"].count()["requests"] > 0)
    lb.reload(named(b="$b"))
    assert names_seen(lb) == {"b"}
    r = slow.join()
    assert (r.status, r.headers["X-Server"]) == (200, "a")


def test_a_removed_server_keeps_its_tunnels(evlb, sim):
    lb = evlb(named(a="$a"), sim("a", "b"))
    tunnel = open_tunnel(lb)
    lb.reload(named(b="$b"))
    assert names_seen(lb) == {"b"}
    assert echoes(tunnel, b"still there")


def test_another_address_under_the_same_name(evlb, sim):
    lb = evlb(named(a="$a"), sim("a", "b"))
    assert names_seen(lb) == {"a"}
    assert re.search(r"~ server app/a.*address", lb.reload(named(a="$b")))
    assert names_seen(lb) == {"b"}


def test_weight_changes(evlb, sim):
    lb = evlb(named(a="$a", b="$b"), sim("a", "b"))
    said = lb.reload(named(a="{address: $a, weight: 0}", b="$b"))
    assert re.search(r"~ server app/a.*weight", said)
    assert names_seen(lb) == {"b"}


def test_slots_are_given_out_again(evlb, sim):
    """Many servers come and go: what is left over is used again, and nothing is mixed up."""
    lb = evlb(named(a="$a"), sim("a", "b", "c"))
    for n in range(12):
        lb.reload(named(**{f"x{n}": "$b", f"y{n}": "$c"}))
        assert names_seen(lb, 6) == {"b", "c"}


# ---- listeners ----

TWO_PORTS = """
    workers: 2
    frontends:
      web: {listen: $port, backend: app}
      other: {listen: $port_other, backend: app}
    backends:
      app: [$a]
"""
ONE_PORT = """
    workers: 2
    frontends:
      web: {listen: $port, backend: app}
    backends:
      app: [$a]
"""


def refused(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


def test_listener_added_and_removed(evlb, sim):
    lb = evlb(ONE_PORT, sim("a"))
    said = lb.reload(TWO_PORTS)
    other = lb.ports["port_other"]
    assert re.search(rf"\+ frontend other|\+ listener \S*:{other}", said)
    for _ in range(10):
        assert lb.get("/", port=other).status == 200
    lb.reload(ONE_PORT)
    tools.wait_for("the port is free", lambda: refused(other))
    assert lb.get("/").status == 200
    lb.reload(TWO_PORTS)  # and back again
    assert lb.get("/", port=other).status == 200


def test_a_removed_listener_finishes_what_it_has(evlb, sim):
    origin = sim("a")
    lb = evlb(TWO_PORTS, origin)
    other = lb.ports["port_other"]
    slow = Background(lambda: lb.get("/?delay=1s", port=other))
    tools.wait_for("the request is at the server", lambda: origin["a"].count()["requests"] > 0)
    lb.reload(ONE_PORT)
    assert refused(other)
    assert slow.join().status == 200


def test_listener_changes_its_port(evlb, sim, load):
    text = "frontends:\n  web: {listen: [$port, %s], backend: app}\nbackends:\n  app: [$a]\n"
    lb = evlb(text % "$port2", sim("a"))
    with load(lb.url()):
        lb.reload(text % "$port3")
        assert lb.get("/", port=lb.ports["port3"]).status == 200
        tools.wait_for("the old port is free", lambda: refused(lb.ports["port2"]))


def test_unix_listener_comes_and_goes(evlb, sim, tmp_path):
    path = f"/tmp/evlb-reload-{os.getpid()}.sock"
    lb = evlb(ONE, sim("a"))
    lb.reload(ONE.replace("$port", f"[$port, 'unix:{path}']"))
    with http.Client(path) as c:
        assert c.get("/").status == 200
        inode = os.stat(path).st_ino
        lb.reload(ONE.replace("$port", f"[$port, 'unix:{path}']"))
        assert os.stat(path).st_ino == inode  # kept, not bound again
        assert c.get("/").status == 200
    lb.reload(ONE)
    tools.wait_for("its file is removed", lambda: not os.path.exists(path))


def test_mode_switches(evlb, sim):
    http_text = ONE_PORT
    tcp_text = ONE_PORT.replace("web: {", "web: {mode: tcp, ")
    lb = evlb(http_text, sim("a"))
    assert lb.get("/").headers.get("Via") == lb.get("/").headers.get("Via")
    for text, mode in ((tcp_text, "tcp"), (http_text, "http"), (tcp_text, "tcp")):
        assert "mode" in lb.reload(text)
        seen = lb.get("/echo").body.decode()
        assert ("X-Forwarded-For" in seen) == (mode == "http"), (mode, seen)


def test_a_new_listener_that_cannot_be_bound_changes_nothing(evlb, sim, port):
    taken, free = port(), port()
    lb = evlb(ONE, sim("a"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", taken))
        other.listen()
        said = lb.reload(ONE.replace("$port", f"[$port, '127.0.0.1:{free}', '127.0.0.1:{taken}']"),
                         fails=True)
    assert re.search(rf"cannot listen on 127\.0\.0\.1:{taken} \(frontend 'default', "
                     r"\S+\.yaml:\d+:\d+\): address already in use", said), said
    assert refused(free)
    assert lb.get("/").status == 200
    lb.reload(ONE)  # it still can
    assert lb.get("/").status == 200


# ---- bad files ----

def test_a_bad_file_changes_nothing_and_says_why(evlb, sim):
    lb = evlb(ONE, sim("a"))
    children = lb.children()
    kept = lb.client()
    assert kept.get("/").status == 200
    said = lb.reload(ONE.replace("servers", "serverz"), fails=True)
    assert re.search(r"\.yaml:4:\d+: error: unknown key 'serverz'", said), said
    assert "did you mean 'servers'?" in said
    assert kept.get("/").status == 200
    assert lb.children() == children
    os.unlink(lb.config_file)
    assert "No such file" in lb.reload(fails=True)
    assert kept.get("/").status == 200
    assert "no changes" in lb.reload(ONE)


def test_what_came_from_standard_input_cannot_be_read_again(sim, port, tmp_path):
    text = f"listen: {port()}\nservers: ['{sim('a')['a'].address}']\nadmin: {{socket: {tmp_path}/s}}\n"
    log = tmp_path / "log"
    with open(log, "w") as err:
        process = subprocess.Popen([tools.bin_dir() / "evlb", "run", "-c", "-"],
                                   stdin=subprocess.PIPE, stderr=err, text=True)
    process.stdin.write(text)
    process.stdin.close()
    try:
        tools.wait_for("it is ready", lambda: "is ready" in log.read_text(), 20)
        process.send_signal(signal.SIGHUP)
        tools.wait_for("it says why", lambda: "came from standard input" in log.read_text(), 5)
        assert "nothing was changed" in log.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_what_takes_a_restart_is_said(evlb, sim):
    lb = evlb(ONE, sim("a"))
    said = lb.reload(ONE.replace("workers: 1", "workers: 3"))
    assert re.search(r"! .*workers 1 -> 3.*restart", said), said
    assert "1 that takes a restart" in said
    assert len(lb.workers()) == 1
    assert lb.get("/").status == 200


# ---- files, variables, logs ----

def test_included_files_and_variables(evlb, sim, tmp_path):
    part, secret = tmp_path / "part.yaml", tmp_path / "weight"
    part.write_text("backends:\n  app:\n    servers:\n"
                    "      a: $A\n".replace("$A", "${ADDRESS_A}"))
    origin = sim("a", "b")
    text = f"include: [{part}]\nfrontends:\n  web: {{listen: $port, backend: app}}\n"
    lb = evlb(text, origin, env={"ADDRESS_A": origin["a"].address,
                                 "ADDRESS_B": origin["b"].address})
    assert names_seen(lb) == {"a"}
    part.write_text("backends:\n  app:\n    servers:\n"
                    f"      b: {{address: '${{ADDRESS_B}}', weight: '${{file:{secret}}}'}}\n")
    secret.write_text("3\n")
    lb.reload()
    assert names_seen(lb) == {"b"}
    secret.write_text("5\n")
    assert re.search(r"~ server app/b.*weight 3 -> 5", lb.reload())
    secret.unlink()
    assert "cannot" in lb.reload(fails=True)
    assert names_seen(lb) == {"b"}


def test_directory_of_files(evlb, sim, tmp_path, port):
    origin = sim("a", "b")
    lb = evlb(ONE_PORT, origin)
    lb.stop()
    directory = tmp_path / "conf.d"
    directory.mkdir()
    (directory / "10-main.yaml").write_text(lb.config_file.read_text())
    lb.config_file = directory
    lb.start()
    more, number = directory / "20-more.yaml", port()
    more.write_text(f"frontends:\n  more: {{listen: {number}, backend: more}}\n"
                    f"backends:\n  more: [{origin['b']}]\n")
    assert "+ frontend more" in lb.reload()
    assert lb.get("/", port=number).headers["X-Server"] == "b"
    more.unlink()
    assert "- frontend more" in lb.reload()
    assert lb.get("/").headers["X-Server"] == "a"


def test_access_log_moves(evlb, sim, tmp_path):
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    text = ONE + "\n    log: {access: %s}\n"
    lb = evlb(text % first, sim("a"))
    lb.get("/1")
    tools.wait_for("a line in the first", lambda: '"/1"' in first.read_text())
    lb.reload(text % second)
    lb.get("/2")
    tools.wait_for("a line in the second", lambda: '"/2"' in second.read_text())
    assert '"/2"' not in first.read_text()
    lb.reload(text % "true")
    lb.get("/3")
    assert lb.wait_access(1)[-1]["path"] == "/3"
    said = lb.reload(text % f"{tmp_path}/no/such/place", fails=True)
    assert f"cannot open the access log {tmp_path}/no/such/place: No such file" in said
    lb.get("/4")
    assert lb.wait_access(2)[-1]["path"] == "/4"


def test_access_log_is_switched_on_and_off(evlb, sim):
    lb = evlb(ONE + "\n    log: {access: false}\n", sim("a"))
    lb.get("/1")
    lb.reload(ONE + "\n    log: {access: true}\n")
    lb.get("/2")
    assert [line["path"] for line in lb.wait_access(1)] == ["/2"]
    lb.reload(ONE + "\n    log: {access: false}\n")
    lb.get("/3")
    lb.reload(ONE + "\n    log: {access: true}\n")
    lb.get("/4")
    assert [line["path"] for line in lb.wait_access(2)] == ["/2", "/4"]


def test_log_level(evlb, sim):
    lb = evlb(ONE + "\n    log: {level: warning}\n", sim("a"))
    lb.write_config(ONE + "\n    log: {level: debug}\n")
    lb.signal(signal.SIGHUP)
    lb.wait_log("configuration 2 is in force")
    lb.write_config(ONE + "\n    log: {level: warning}\n")
    lb.signal(signal.SIGHUP)
    time.sleep(0.5)
    assert "configuration 3" not in lb.log()
    assert lb.get("/").status == 200


# ---- many at once, and deaths meanwhile ----

def test_two_at_once(evlb, sim, load):
    lb = evlb(TWO, sim("a", "b"))
    children = lb.children()
    with load(lb.url()):
        for n in range(20):
            lb.write_config(TWO + f"\n    # {n}\n")
            lb.signal(signal.SIGHUP)
            lb.signal(signal.SIGUSR2)
        lb.wait_log("configuration 2 is in force")
        lb.reload(ONE.replace("workers: 1", "workers: 2"))
    assert lb.children() == children
    assert names_seen(lb) == {"a"}


def test_a_reload_storm_does_what_the_last_file_says(evlb, sim):
    lb = evlb(TWO, sim("a", "b"))
    for n in range(30):
        lb.write_config(TWO if n % 2 else ONE.replace("workers: 1", "workers: 2"))
        lb.signal(signal.SIGHUP)
    lb.reload(ONE.replace("workers: 1", "workers: 2"))
    tools.wait_for("the last file is in force", lambda: names_seen(lb, 6) == {"a"})


@pytest.mark.parametrize("victim", ["worker 0", "control", "logger"])
def test_a_process_dies_during_a_reload(evlb, sim, victim):
    lb = evlb(TWO, sim("a", "b", "c"))
    lb.allow_log("was killed by signal 9")
    for n in range(5):
        text = TWO.replace("$b", "$c") if n % 2 == 0 else TWO
        lb.write_config(text)
        old = titles(lb)[victim]
        os.kill(old, signal.SIGSTOP)
        before = len(lb.log()) if victim != "logger" else 0
        lb.signal(signal.SIGHUP)
        time.sleep(0.05)
        os.kill(old, signal.SIGKILL)
        tools.wait_for(f"{victim} is replaced", lambda: titles(lb).get(victim, old) != old, 10)
        tools.wait_for("the configuration is in force",
                       lambda: f"configuration {n + 2} is in force" in lb.log()[before:], 10)
        tools.wait_for("it is what the file says", lambda: names_seen(lb, 8) == (
            {"a", "c"} if n % 2 == 0 else {"a", "b"}), 10)


def test_a_worker_that_does_not_answer_is_replaced(evlb, sim):
    """It hangs: after 5 s another one takes its place, and connections wait for it."""
    lb = evlb(ONE + "\n    timeout: {shutdown: 500ms}\n", sim("a", "b"))
    lb.allow_exit(0)
    hung = titles(lb)["worker 0"]
    os.kill(hung, signal.SIGSTOP)
    said = lb.reload(ONE.replace("$a", "$b") + "\n    timeout: {shutdown: 500ms}\n")
    assert "worker 0 has said nothing of configuration 2; it is replaced" in said
    assert names_seen(lb, 4) == {"b"}
    lb.wait_log("worker 0 does not end; it is killed", 10)
    tools.wait_for("it is gone", lambda: not procfs.exists(hung))
    lb.skip_check("descriptors")  # of the one that was replaced


def test_a_hundred_reloads(evlb, sim, load):
    """Under keep-alive load and with 200 tunnels: no request fails, no tunnel is cut, nothing
    grows."""
    config = """
        workers: 2
        log: {access: false}  # at full speed it is hundreds of megabytes
        frontends:
          web: {listen: $port, backend: app}
          %s
        backends:
          app:
            balance: %s
            servers: {a: {address: $a, weight: %d}, b: $b%s}
    """
    lb = evlb(config % ("", "round-robin", 1, ""), sim("a", "b", "c"))
    tunnels = [open_tunnel(lb) for _ in range(200)]

    def reload(n):
        extra = "other: {listen: $port_other, backend: app}" if n % 4 == 0 else ""
        lb.reload(config % (extra, "least-conn" if n % 5 == 0 else "round-robin", 1 + n % 3,
                            ", c: $c" if n % 2 else ""))

    def sizes():
        return {title: (rss_kib(pid), procfs.descriptors(pid))
                for title, pid in [("supervisor", lb.pid), *titles(lb).items()]}

    children = lb.children()
    with load(lb.url(), connections=32) as under:
        for n in range(50):
            reload(n)
        before = sizes()
        for n in range(50, 100):
            reload(n)
        after = sizes()
    assert under.result["requests"] > 1000
    assert lb.children() == children
    assert all(echoes(t, b"tunnel %d" % i) for i, t in enumerate(tunnels))
    for title, (rss, fds) in after.items():
        # wrk's connections come and go meanwhile; 100 reloads that each leak one page or one
        # descriptor would show
        assert rss <= before[title][0] + growth_allowed(), (title, before[title], rss)
        assert fds <= before[title][1] + 40, (title, before[title], fds)


def growth_allowed():
    """KiB. Sanitizers keep 2 MiB of freed memory for a while."""
    return 3072 if sanitized() else 400


def sanitized():
    return b"__asan_init" in (tools.bin_dir() / "evlb").read_bytes()


# ---- size ----

def test_a_large_file(evlb, sim, run_evlb, tmp_path):
    """1,000 servers in 200 frontends and backends."""
    origin = sim("a", "b")

    def text(weight):
        lines = ["workers: 2", "frontends:"]
        for n in range(200):
            address = "$port" if n == 0 else f"'unix:{directory}/{n}'"
            lines.append(f"  f{n}: {{listen: {address}, backend: b{n}}}")
        lines.append("backends:")
        for n in range(200):
            servers = ", ".join(f"s{k}: {{address: $a, weight: {weight}}}" for k in range(5))
            lines.append(f"  b{n}: {{health: off, servers: {{{servers}}}}}")
        return "\n".join(lines) + "\n"

    directory = pathlib.Path(f"/tmp/evlb-large-{os.getpid()}")
    directory.mkdir()
    try:
        lb = evlb(text(1), origin)
        begin = time.monotonic()
        assert run_evlb("check", "-c", lb.config_file).status == 0
        checked = time.monotonic()
        said = lb.reload(text(2))
        print(f"check {checked - begin:.2f} s, reload {time.monotonic() - checked:.2f} s")
        assert "1000 changes" in said
        assert re.search(r"and \d+ more", said)
        assert lb.get("/").status == 200
        with http.Client(f"{directory}/199") as c:
            assert c.get("/").status == 200
        assert stat.S_ISSOCK(os.stat(directory / "7").st_mode)
        assert lb.stop() == 0
        assert not list(directory.iterdir())
    finally:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()


# ---- asked for over the control socket ----

def post(lb, target):
    with http.Client(lb.socket, timeout=20) as c:
        c.request("POST", target, {"Connection": "close"}, b"")
        return c.response("POST")


def test_asked_for(evlb, sim):
    lb = evlb(named(a="$a"), sim("a", "b"))
    lb.write_config(named(a="$a", b="$b"))
    r = post(lb, "/v1/reload")
    assert r.status == 200 and "+ server app/b" in r.text, r.text
    assert names_seen(lb) == {"a", "b"}
    lb.allow_log(" error supervisor: ")
    lb.write_config(named(a="$a").replace("servers", "serverz"))
    r = post(lb, "/v1/reload")
    assert r.status == 409 and "did you mean 'servers'?" in r.text, r.text
    assert names_seen(lb) == {"a", "b"}


def test_many_ask_at_once(evlb, sim):
    lb = evlb(named(a="$a"), sim("a", "b"))
    lb.write_config(named(a="$a", b="$b"))
    asked = [Background(lambda: post(lb, "/v1/reload")) for _ in range(8)]
    assert [a.join().status for a in asked] == [200] * 8
    assert names_seen(lb) == {"a", "b"}


def test_a_worker_is_replaced_under_load(evlb, sim, load):
    """The new one takes over before the old one drains: twice round, every seat was used."""
    lb = evlb(TWO, sim("a", "b"))
    lb.skip_check("descriptors")  # of workers that are gone
    with load(lb.url()):
        for _ in range(4):
            worker = titles(lb)
            name = sorted(t for t in worker if t.startswith("worker"))[0]
            assert post(lb, f"/v1/workers/{name.split()[1]}/restart").status in (200, 202)
            tools.wait_for(f"{name} has left", lambda: not procfs.exists(worker[name]), 20)
            tools.wait_for("there are two again", lambda: sum(
                t.startswith("worker") for t in titles(lb)) == 2, 10)
    r = post(lb, "/v1/workers/77/restart")
    assert r.status == 404, r


def test_access_log_is_reopened(evlb, sim, tmp_path):
    path = tmp_path / "access.log"
    lb = evlb(ONE + f"\n    log: {{access: {path}}}\n", sim("a"))
    lb.get("/1")
    tools.wait_for("the first line", lambda: '"/1"' in path.read_text())
    path.rename(tmp_path / "access.log.1")
    assert post(lb, "/v1/log/reopen").status == 200
    lb.get("/2")
    tools.wait_for("the second line", lambda: path.exists() and '"/2"' in path.read_text())
    assert '"/2"' not in (tmp_path / "access.log.1").read_text()
