# SPDX-License-Identifier: MIT
"""The process tree: who dies and who takes over, signals, privileges, what each process holds, and
a log that nobody reads."""
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from harness import balancer, http, procfs, tools

ONE = """
    workers: 1
    listen: $port
    servers: [$a]
"""
TWO = """
    workers: 2
    listen: $port
    servers: [$a]
"""

SHUTDOWN = """
    workers: 1
    timeout: {shutdown: $shutdown}
    log: {access: true}
    frontends:
      web: {listen: $port, backend: app}
    backends:
      app: [$a]
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")


# ---- helpers ----

def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)


def child(lb, title):
    """The process id of the child with that title."""
    found = [p for p in lb.children() if procfs.title(p) == f"evlb: {title}"]
    assert len(found) == 1, {p: procfs.title(p) for p in lb.children()}
    return found[0]


def status_field(pid, name):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return re.search(rf"^{name}:[ \t]*(.*)$", text, re.M).group(1).split()


def zombies(pid):
    return [p for p in procfs.children(pid) if not procfs.exists(p)]


def try_status(lb):
    """The status, or None while control is being replaced."""
    try:
        with http.Client(lb.socket, timeout=2) as c:
            c.request("GET", "/v1/status", {"Connection": "close"})
            return json.loads(c.response().body)
    except (OSError, http.Closed):
        return None


def wait_status(lb, what, condition, timeout=5.0):
    def met():
        status = try_status(lb)
        return status if status is not None and condition(status) else None
    return tools.wait_for(what, met, timeout)


def wait_replaced(lb, old, timeout=1.0):
    """Until worker 0 runs under another pid and is ready."""
    return wait_status(lb, "worker 0 is replaced",
                       lambda s: s["workers"][0]["state"] == "ready"
                       and s["workers"][0]["pid"] not in (old, None), timeout)["workers"][0]


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return False
    except ConnectionRefusedError:
        return True


class Background:
    """One request in a thread: .result is the Response or the exception."""

    def __init__(self, lb, target):
        self.result = None
        self.thread = threading.Thread(target=self._run, args=(lb, target))
        self.thread.start()

    def _run(self, lb, target):
        try:
            self.result = lb.get(target)
        except (OSError, http.Closed) as e:
            self.result = e

    def join(self, timeout=15):
        self.thread.join(timeout)
        assert not self.thread.is_alive(), "the request has no end"
        return self.result


def start_slow(lb, origin, target):
    """A request that is at the server when this returns."""
    before = origin.count()["requests"]
    request = Background(lb, target)
    tools.wait_for("the request is at the server", lambda: origin.count()["requests"] > before)
    return request


def sanitized():
    return b"__asan_init" in (tools.bin_dir() / "evlb").read_bytes()


# ---- who dies and who takes over ----

def test_titles(evlb, sim):
    lb = evlb(TWO, sim("a"))
    assert sorted(procfs.title(p) for p in lb.children()) == [
        "evlb: control", "evlb: logger", "evlb: worker 0", "evlb: worker 1"]
    comm = pathlib.Path(f"/proc/{child(lb, 'worker 1')}/comm").read_text().strip()
    assert comm == "evlb: worker 1"


def test_killed_worker_is_replaced(evlb, sim):
    lb = evlb(ONE, sim("a"))
    assert lb.get("/").status == 200
    before = lb.status()
    old = before["workers"][0]["pid"]
    lb.allow_log(r"worker 0 \(pid \d+\) was killed by signal 9")
    kill(old)
    worker = wait_replaced(lb, old)
    assert worker["restarts"] == 1
    assert lb.get("/").status == 200
    # counters never go back
    requests = [s["frontends"][0]["counters"]["requests"] for s in (before, lb.status())]
    assert requests == [1, 2]
    assert zombies(lb.pid) == []


def test_dead_workers_share_is_taken_back(evlb, sim):
    origin = sim("a")
    lb = evlb(ONE, origin)
    lb.allow_log("was killed by signal 9")
    slow = start_slow(lb, origin["a"], "/?delay=20s")
    assert lb.busy()
    old = lb.workers()[0]
    kill(old)
    assert isinstance(slow.join(), (OSError, http.Closed))
    wait_replaced(lb, old)
    assert not lb.busy()
    lb.wait_log(r"worker 0 held 1 connections, which are cut")


def test_waiting_connection_is_served_by_the_replacement(evlb, sim):
    """Connections in the accept queue of a dying worker are not lost."""
    lb = evlb(ONE, sim("a"))
    lb.allow_log("was killed by signal 9")
    old = lb.workers()[0]
    kill(old, signal.SIGSTOP)
    c = lb.client()
    c.request("GET", "/")
    c.expect_silence()
    kill(old)
    assert c.response().status == 200


def test_worker_that_keeps_dying_comes_back(evlb, sim):
    lb = evlb(ONE, sim("a"))
    lb.allow_log("was killed by signal 9")
    for deaths in range(1, 6):
        old = lb.workers()[0]
        kill(old)
        worker = wait_replaced(lb, old, timeout=5)
        assert worker["restarts"] == deaths
    pauses = [int(ms) for ms in re.findall(r"replacement starts in (\d+) ms", lb.log())]
    assert pauses == [0, 0, 100, 200, 400]
    assert lb.get("/").status == 200


def test_crashed_worker_leaves_its_last_events(evlb, sim):
    if sanitized():
        pytest.skip("the sanitizer reports crashes itself")
    lb = evlb(ONE, sim("a"))
    lb.allow_log(r"worker 0 \(pid \d+\) was killed by signal 11|PANIC in worker 0")
    old = lb.workers()[0]
    kill(old, signal.SIGSEGV)
    wait_replaced(lb, old)
    lb.wait_log(rf"PANIC in worker 0 \(pid {old}\): signal 11; the last events:")
    assert lb.get("/").status == 200


def test_killed_control_is_replaced(evlb, sim):
    lb = evlb(ONE, sim("a"))
    lb.allow_log(r"control \(pid \d+\) was killed by signal 9")
    old = child(lb, "control")
    kill(old)
    assert lb.get("/").status == 200
    status = wait_status(lb, "control is replaced", lambda s: s["control"]["pid"] != old)
    assert status["control"]["restarts"] == 1
    assert status["frontends"][0]["counters"]["requests"] == 1


def test_killed_logger_is_replaced(evlb, sim):
    lb = evlb(ONE + "\n    log: {access: true}\n", sim("a"))
    lb.allow_log(r"logger \(pid \d+\) was killed by signal 9")
    lb.get("/before")
    lb.wait_access(1)
    kill(child(lb, "logger"))
    lb.get("/after")
    lb.wait_log(r'"path":"/after"')
    assert [line["path"] for line in lb.access_log()] == ["/before", "/after"]


def test_killed_supervisor_leaves_nothing(evlb, sim):
    """Nobody outlives it, and the next start can bind the same port."""
    lb = evlb(TWO, sim("a"))
    children = lb.children()
    assert len(children) == 4
    lb.process.kill()
    lb.process.wait()
    tools.wait_for("all children are gone", lambda: not any(map(procfs.exists, children)), 2)
    lb.start()
    assert lb.get("/").status == 200


# ---- signals ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_graceful_stop(evlb, sim, number):
    origin = sim("a")
    lb = evlb(TWO, origin)
    idle = lb.client()
    assert idle.get("/").status == 200
    slow = start_slow(lb, origin["a"], "/?delay=1500ms&size=100000")
    lb.signal(number)
    idle.expect_close()
    assert lb.running()
    response = slow.join()
    assert response.status == 200
    assert len(response.body) == 100000
    assert lb.wait_exit() == 0


def test_no_new_connections_while_draining(evlb, sim):
    """They are refused at once, so that clients go elsewhere; they do not hang in the backlog."""
    origin = sim("a")
    lb = evlb(TWO, origin)
    slow = start_slow(lb, origin["a"], "/?delay=2s")
    lb.signal(signal.SIGTERM)
    tools.wait_for("new connections are refused", lambda: refused(lb.port), 1)
    assert slow.join().status == 200
    assert lb.wait_exit() == 0


def test_second_term_stops_now(evlb, sim):
    origin = sim("a")
    lb = evlb(TWO, origin)
    slow = start_slow(lb, origin["a"], "/?delay=30s")
    lb.signal(signal.SIGTERM)
    lb.wait_log("stopping: open connections have 30.000 s")
    assert lb.running()
    lb.signal(signal.SIGTERM)
    assert lb.wait_exit(timeout=10) == 0
    assert slow.join() is not None
    assert "stopping now" in lb.log()


def test_quit_stops_now(evlb, sim):
    origin = sim("a")
    lb = evlb(TWO, origin)
    slow = start_slow(lb, origin["a"], "/?delay=30s")
    lb.signal(signal.SIGQUIT)
    assert lb.wait_exit(timeout=10) == 0
    slow.join()


def test_graceful_stop_ends_at_its_deadline(evlb, sim):
    origin = sim("a")
    lb = evlb(SHUTDOWN, origin, shutdown="500ms")
    slow = start_slow(lb, origin["a"], "/?delay=30s")
    lb.signal(signal.SIGTERM)
    assert lb.wait_exit(timeout=10) == 0
    slow.join()
    assert lb.access_log()[-1]["end"] == "shutdown"


def test_usr1_has_no_deadline(evlb, sim):
    origin = sim("a")
    lb = evlb(SHUTDOWN, origin, shutdown="200ms")
    slow = start_slow(lb, origin["a"], "/?delay=3s")
    lb.signal(signal.SIGUSR1)
    assert slow.join().status == 200  # 200 ms and the grace after it are over by then
    assert lb.wait_exit() == 0


def test_term_after_usr1_gives_a_deadline(evlb, sim):
    origin = sim("a")
    lb = evlb(SHUTDOWN, origin, shutdown="300ms")
    slow = start_slow(lb, origin["a"], "/?delay=30s")
    lb.signal(signal.SIGUSR1)
    lb.wait_log("stopping when all open connections have ended")
    lb.signal(signal.SIGTERM)
    assert lb.wait_exit(timeout=10) == 0
    slow.join()


def test_hanging_worker_does_not_hold_up_the_stop(evlb, sim):
    lb = evlb(SHUTDOWN, sim("a"), shutdown="200ms")
    kill(lb.workers()[0], signal.SIGSTOP)
    lb.signal(signal.SIGTERM)
    assert lb.wait_exit(timeout=10) == 0


def test_children_ignore_the_supervisors_signals(evlb, sim):
    """A Ctrl-C in a terminal reaches the whole process group."""
    lb = evlb(ONE, sim("a"))
    children = lb.children()
    for pid in children:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1,
                       signal.SIGUSR2, signal.SIGQUIT, signal.SIGPIPE):
            kill(pid, number)
    assert lb.get("/").status == 200
    assert lb.children() == children


def test_ctrl_c_is_graceful(evlb, sim):
    origin = sim("a")
    lb = evlb(ONE, origin)
    slow = start_slow(lb, origin["a"], "/?delay=700ms")
    os.killpg(lb.pid, signal.SIGINT)
    assert slow.join().status == 200
    assert lb.wait_exit() == 0


def test_signal_storm(evlb, sim):
    lb = evlb(TWO, sim("a"))
    workers = lb.workers()
    for _ in range(300):
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD, signal.SIGPIPE):
            lb.signal(number)
    assert lb.get("/").status == 200
    assert lb.workers() == workers
    assert zombies(lb.pid) == []
    children = lb.children()
    for _ in range(300):
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP,
                       signal.SIGQUIT):
            try:
                lb.signal(number)
            except ProcessLookupError:
                pass
    assert lb.wait_exit(timeout=10) == 0
    assert not any(map(procfs.exists, children))


def test_stop_during_the_start(evlb, sim):
    lb = evlb(TWO, sim("a"), wait=False)
    tools.wait_for("the first child", lambda: lb.children())
    lb.signal(signal.SIGTERM)
    assert lb.wait_exit(timeout=10) == 0


# ---- exit statuses ----

def config_file(tmp_path, text):
    path = tools.unique_file(tmp_path, "own", ".yaml")
    path.write_text(text)
    return path


def test_address_in_use(run_evlb, port, tmp_path):
    number = port()
    path = config_file(tmp_path, f"listen: {number}\nservers: [127.0.0.1:1]\n")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", number))
        other.listen()
        r = run_evlb("run", "-c", path, "--socket", tmp_path / "x.sock")
    assert r.status == 71
    assert re.search(rf"error supervisor: cannot listen on \S*:{number} \(frontend 'default', "
                     r"\S*:1:\d+\): address already in use", r.err), r.err


def test_second_start_is_refused(evlb, sim, run_evlb, tmp_path):
    """SO_REUSEPORT would let it in and give it half of the connections."""
    lb = evlb(ONE, sim("a"))
    r = run_evlb("run", "-c", lb.config_file, "--socket", tmp_path / "x.sock")
    assert r.status == 71
    assert "address already in use" in r.err
    assert lb.get("/").status == 200


def test_port_without_permission(run_evlb, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may bind any port")
    path = config_file(tmp_path, "listen: 127.0.0.1:80\nservers: [127.0.0.1:1]\n")
    r = run_evlb("run", "-c", path, "--socket", tmp_path / "x.sock")
    assert r.status == 71
    assert "permission denied; run as root or give CAP_NET_BIND_SERVICE" in r.err


def test_unknown_user(run_evlb, port, tmp_path):
    path = config_file(tmp_path, f"listen: {port()}\nservers: [127.0.0.1:1]\n"
                                 "user: no-such-user\n")
    r = run_evlb("run", "-c", path, "--socket", tmp_path / "x.sock")
    assert r.status == 78
    assert "there is no user 'no-such-user'" in r.err


def test_unusable_access_log(run_evlb, port, tmp_path):
    path = config_file(tmp_path, f"listen: {port()}\nservers: [127.0.0.1:1]\n"
                                 f"log: {{access: {tmp_path}/nowhere/access.log}}\n")
    r = run_evlb("run", "-c", path, "--socket", tmp_path / "x.sock")
    assert r.status == 71
    assert f"cannot open the access log {tmp_path}/nowhere/access.log: No such file" in r.err


# ---- privileges ----

@as_root
def test_children_give_up_root(evlb, sim):
    lb = evlb(ONE + "\n    user: nobody\n", sim("a"))
    nobody = pwd.getpwnam("nobody")
    assert lb.get("/").status == 200
    assert status_field(lb.pid, "Uid") == ["0"] * 4
    for pid in lb.children():
        assert status_field(pid, "Uid") == [str(nobody.pw_uid)] * 4, procfs.title(pid)
        assert status_field(pid, "Gid") == [str(nobody.pw_gid)] * 4
        assert status_field(pid, "Groups") == []
        assert status_field(pid, "NoNewPrivs") == ["1"]
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(status_field(pid, kind)[0], 16) == 0, kind
    owner = os.stat(lb.socket)
    assert (owner.st_uid, owner.st_gid) == (nobody.pw_uid, nobody.pw_gid)
    assert stat.S_IMODE(owner.st_mode) == 0o660


@as_root
def test_replacement_gives_up_root_too(evlb, sim):
    lb = evlb(ONE + "\n    user: nobody\n", sim("a"))
    lb.allow_log("was killed by signal 9")
    old = lb.workers()[0]
    kill(old)
    new = wait_replaced(lb, old)["pid"]
    assert status_field(new, "Uid") == [str(pwd.getpwnam("nobody").pw_uid)] * 4


def test_worker_is_sandboxed(evlb, sim):
    if sanitized():
        pytest.skip("sanitizer builds have no sandbox")
    lb = evlb(ONE, sim("a"))
    assert status_field(child(lb, "worker 0"), "Seccomp") == ["2"]
    assert status_field(child(lb, "worker 0"), "NoNewPrivs") == ["1"]
    assert lb.get("/").status == 200


# ---- what each process holds ----

def listening_inodes(port):
    """The inodes of the sockets that listen on that port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[1].endswith(f":{port:04X}"):
                found.add(fields[9])
    return found


def held_inodes(pid):
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        match = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{name}"))
        if match:
            found.add(match.group(1))
    return found


def test_each_worker_holds_its_own_listener(evlb, sim):
    lb = evlb(TWO, sim("a"))
    listeners = listening_inodes(lb.port)
    assert len(listeners) == 2
    held = [held_inodes(child(lb, f"worker {i}")) & listeners for i in (0, 1)]
    assert [len(h) for h in held] == [1, 1]
    assert held[0] != held[1]
    assert held_inodes(lb.pid) & listeners == listeners
    for name in ("control", "logger"):
        assert held_inodes(child(lb, name)) & listeners == set()


def test_replacements_leak_no_descriptor(evlb, sim):
    lb = evlb(ONE, sim("a"))
    lb.allow_log("was killed by signal 9")

    def counts():
        return {name: procfs.descriptors(lb.pid if name == "supervisor" else child(lb, name))
                for name in ("supervisor", "logger", "control", "worker 0")}
    time.sleep(0.3)  # control may still be closing the connection of the harness' last status
    before = counts()
    for name in ("worker 0", "control", "logger", "worker 0"):
        old = child(lb, name)
        kill(old)
        tools.wait_for(f"{name} is replaced", lambda: any(
            procfs.title(p) == f"evlb: {name}" for p in lb.children() if p != old))
        wait_status(lb, "all are ready", lambda s: all(
            p["state"] == "ready" for p in (*s["workers"], s["control"], s["logger"])))
    # control may still be closing the connection of the last status
    tools.wait_for(f"descriptors are as before: {before}", lambda: counts() == before)


def test_children_inherit_no_stray_descriptor(port, tmp_path):
    """A descriptor that the caller left open stays with the supervisor."""
    stray = os.open(tmp_path / "stray", os.O_CREAT | os.O_RDONLY)
    os.set_inheritable(stray, True)
    command = [str(tools.bin_dir() / "evlb"), "run", "--listen", f"127.0.0.1:{port()}", "--to",
               "127.0.0.1:1", "--socket", str(tmp_path / "s.sock")]
    other = subprocess.Popen(command, stderr=subprocess.DEVNULL, close_fds=False,
                             env=tools.environment(tmp_path))
    os.close(stray)
    try:
        tools.wait_for("four children or more", lambda: len(procfs.children(other.pid)) > 2)
        tools.wait_for("titles", lambda: all(
            procfs.title(p).startswith("evlb: ") for p in procfs.children(other.pid)))
        time.sleep(0.2)  # the title comes before the descriptors
        for pid in procfs.children(other.pid):
            targets = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
            assert not any("stray" in t for t in targets), procfs.title(pid)
    finally:
        other.terminate()
        assert other.wait(10) == 0


# ---- a log that nobody reads ----

class StuckLog:
    """Standard error of an evlb is a pipe; nothing reads it until .release()."""

    def __init__(self, stack, tmp_path, config, origin):
        fifo = tmp_path / "stderr.fifo"
        os.mkfifo(fifo)
        self.reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.lb = balancer.Evlb(tmp_path, config, [origin])
        real, self.lb.log_file = self.lb.log_file, fifo
        self.lb.log = real.read_text
        self.file = real
        real.touch()
        stack.add_balancer(self.lb)
        self.lb.log_file = real
        self.thread = None

    def release(self):
        os.set_blocking(self.reader, True)
        self.thread = threading.Thread(target=self._copy)
        self.thread.start()

    def _copy(self):
        with open(self.file, "ab") as out:
            while data := os.read(self.reader, 65536):
                out.write(data)
                out.flush()
        os.close(self.reader)


def fill_log(lb, most=8000):
    """Requests until lines are dropped; all of them must be answered."""
    c = lb.client()
    for n in range(most):
        assert c.get("/" + "x" * 2000).status == 200
        if n % 200 == 0 and dropped(lb):
            return n
    raise AssertionError(f"{most} requests and nothing was dropped")


def dropped(lb):
    return sum(w["counters"]["log_dropped"] for w in lb.status()["workers"])


def test_stuck_log_reader_holds_up_nothing(stack, sim, tmp_path):
    stuck = StuckLog(stack, tmp_path, ONE + "\n    log: {access: true}\n", sim("a"))
    lb = stuck.lb
    lb.allow_log("was killed by signal 9")
    fill_log(lb)
    # nothing else is held up either: the supervisor replaces, control answers
    old = lb.workers()[0]
    kill(old)
    wait_replaced(lb, old)
    assert lb.get("/while-stuck").status == 200
    stuck.release()
    tools.wait_for("a line says how many were dropped", lambda: re.search(
        r"warning \S+: [1-9]\d* access log lines of worker 0 were dropped", lb.log()), 10)
    assert lb.get("/after").status == 200
    tools.wait_for("lines come again", lambda: '"path":"/after"' in lb.log(), 5)
    assert lb.stop() == 0
    stuck.thread.join(5)


def test_stuck_log_reader_does_not_hold_up_the_stop(stack, sim, tmp_path):
    stuck = StuckLog(stack, tmp_path, ONE + "\n    log: {access: true}\n", sim("a"))
    fill_log(stuck.lb)
    stuck.lb.close_clients()
    assert stuck.lb.stop(timeout=10) == 0
    os.close(stuck.reader)


def test_log_reader_that_went_away(stack, sim, tmp_path):
    stuck = StuckLog(stack, tmp_path, ONE + "\n    log: {access: true}\n", sim("a"))
    os.close(stuck.reader)
    for _ in range(50):
        assert stuck.lb.get("/").status == 200
    assert dropped(stuck.lb) == 0
    assert stuck.lb.stop() == 0


def test_full_disk(evlb, sim):
    """Every write fails with ENOSPC: requests go on, lines are dropped and counted."""
    lb = evlb(ONE + "\n    log: {access: /dev/full}\n", sim("a"))
    fill_log(lb)
    assert lb.get("/").status == 200
    lb.close_clients()
    assert lb.stop(timeout=10) == 0


def test_access_log_file(evlb, sim, tmp_path):
    path = tmp_path / "access.log"
    path.write_text("an earlier line\n")
    lb = evlb(ONE + f"\n    log: {{access: {path}}}\n", sim("a"))
    lb.get("/one")
    lb.get("/two")
    lines = tools.wait_for("two lines are in the file",
                           lambda: (t := path.read_text()).count("\n") == 3 and t.split("\n"))
    assert lines[0] == "an earlier line"
    assert [json.loads(line)["path"] for line in lines[1:3]] == ["/one", "/two"]
    assert lb.access_log() == []  # nothing of it on standard error


# ---- the admin socket ----

def ask(lb, method, target):
    with http.Client(lb.socket) as c:
        c.request(method, target, {})
        return c.response(method)


def test_admin_socket_file(evlb, sim):
    lb = evlb(ONE, sim("a"))
    mode = os.stat(lb.socket).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    assert lb.stop() == 0
    assert not os.path.exists(lb.socket)


def test_admin_socket_left_behind(evlb, sim):
    lb = evlb(ONE, sim("a"))
    lb.process.kill()
    lb.process.wait()
    assert os.path.exists(lb.socket)
    lb.start()
    assert lb.status()["state"] == "running"


def test_no_admin_socket_is_no_failure(evlb, sim, tmp_path):
    lb = evlb(ONE + f"\n    admin: {{socket: {tmp_path}/no/such/place/ctl.sock}}\n", sim("a"),
              wait=False)
    lb.skip_check("idle")
    lb.wait_log(r"warning supervisor: no admin socket at \S+: No such file or directory")
    lb.wait_log("is ready")
    assert lb.get("/").status == 200


def test_admin_refusals(evlb, sim):
    lb = evlb(ONE, sim("a"))
    r = ask(lb, "GET", "/v1/nothing")
    assert r.status == 404 and json.loads(r.body)["error"]["id"] == "not-found"
    r = ask(lb, "DELETE", "/v1/status")
    assert r.status == 405 and r.headers["Allow"] == "GET, HEAD"
    assert json.loads(r.body)["error"]["id"] == "method-not-allowed"
    with http.Client(lb.socket) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert c.response().status == 400


def test_admin_clients_are_bounded(evlb, sim):
    """More clients than places, all silent: others are served when their time is over."""
    lb = evlb(ONE, sim("a"))
    silent = []
    for _ in range(100):
        s = socket.socket(socket.AF_UNIX)
        s.connect(lb.socket)
        silent.append(s)
    assert procfs.descriptors(child(lb, "control")) < 60
    for s in silent:
        s.close()
    wait_status(lb, "the status is answered again", lambda s: s["state"] == "running", 10)


def test_status_knows_that_it_drains(evlb, sim):
    origin = sim("a")
    lb = evlb(ONE, origin)
    slow = start_slow(lb, origin["a"], "/?delay=2s")
    lb.signal(signal.SIGTERM)
    wait_status(lb, "the state is draining", lambda s: s["state"] == "draining", 1.5)
    assert slow.join().status == 200
    assert lb.wait_exit() == 0
