# SPDX-License-Identifier: MIT
"""Under a service manager: its states, its sockets, its watchdog, the unit; and `ctl upgrade`."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import health, tools

ONE = "listen: $port\nservers: [$a]\n"
UNIT = pathlib.Path(__file__).resolve().parents[2] / "packaging/systemd/evlb.service"


class Manager:
    """The receiving end of $NOTIFY_SOCKET."""

    def __init__(self, directory):
        self.path = f"{directory}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(10)
        self.seen = []

    def wait(self, *words):
        """The next message that holds all of these."""
        while True:
            message = self.socket.recv(4096).decode()
            self.seen.append(message)
            if all(word in message for word in words):
                return message


@pytest.fixture
def manager(evlb_directory):
    m = Manager(evlb_directory)
    yield m
    m.socket.close()


@pytest.fixture
def evlb_directory():
    import tempfile
    path = tempfile.mkdtemp(prefix="evlb-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_states_are_told(evlb, sim, manager):
    lb = evlb(ONE, sim("a"), env={"NOTIFY_SOCKET": manager.path})
    manager.wait("READY=1")
    assert manager.wait("STATUS=").startswith("STATUS=1 servers up, 0 down; ")
    lb.signal(signal.SIGHUP)
    manager.wait("RELOADING=1", "MONOTONIC_USEC=")
    manager.wait("READY=1")
    lb.write_config("listen: $port\nservers: nothing at all\n")
    lb.allow_log("error supervisor")
    lb.signal(signal.SIGHUP)
    manager.wait("RELOADING=1")
    manager.wait("READY=1")
    lb.stop()
    manager.wait("STOPPING=1")


def test_the_watchdog_is_fed(evlb, sim, manager):
    evlb(ONE, sim("a"),
         env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"})
    for _ in range(3):
        manager.wait("WATCHDOG=1")


def test_activated_sockets_are_taken(evlb, sim, port, stack):
    """systemd's way: descriptors from 3 on, LISTEN_PID of the process itself (a shell becomes it)."""
    number = port()
    handed = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    handed.bind(("::", number))
    handed.listen(64)
    waiting = socket.create_connection(("127.0.0.1", number))  # before evlb has begun
    waiting.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    config = stack.tmp_path / "activated.yaml"
    config.write_text(f"listen: {number}\nworkers: 2\nservers: ['{sim('a')['a'].address}']\n"
                      f"admin: {{socket: {stack.tmp_path}/s}}\n")
    script = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" run -c {config} 3<&{handed.fileno()}'
    process = subprocess.Popen(["/bin/bash", "-c", script, tools.bin_dir() / "evlb"],
                               pass_fds=[handed.fileno()], stderr=subprocess.PIPE)
    handed.close()
    try:
        waiting.settimeout(10)
        assert waiting.recv(4096).startswith(b"HTTP/1.1 200")
        for _ in range(8):
            with socket.create_connection(("127.0.0.1", number), timeout=5) as c:
                c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert c.recv(4096).startswith(b"HTTP/1.1 200")
    finally:
        waiting.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, process.stderr.read()
        process.stderr.close()


def test_the_unit_is_tight():
    assert shutil.which("systemd-analyze"), "systemd is not installed (scripts/test installs it)"
    r = tools.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT])
    assert r.status == 0, r.out


def wait_for_end(pid):
    """It is a child of ours that nobody has waited for: a zombie has ended, too."""
    def ended():
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
        except FileNotFoundError:
            return True
    tools.wait_for(f"process {pid} ends", ended, 20)


def test_upgrade_goes_over_to_a_new_process(evlb, sim, run_evlb, load):
    lb = evlb("listen: $port\nworkers: 2\nservers: [$a, $b]\n", sim("a", "b"))
    old = lb.pid
    lb.skip_check("descriptors")  # of the old process, which is gone
    under = load(lb.url("/"), connections=20)
    time.sleep(0.5)
    r = run_evlb("ctl", "upgrade", "--socket", lb.socket)
    assert r.status == 0, r.err
    assert "the new process serves" in r.out
    wait_for_end(old)
    new = lb.status()["pid"]
    try:
        assert new != old
        result = under.stop()
        assert result["requests"] > 100
        assert result["errors"] == 0, result
        assert lb.get("/").status == 200
    finally:
        os.kill(new, signal.SIGTERM)
        tools.wait_for("the new process ends", lambda: not pathlib.Path(f"/proc/{new}").exists(), 20)


def test_an_upgrade_to_fewer_workers_loses_no_connection(evlb, sim, run_evlb, load):
    """What waits in a socket that nobody serves any more would be lost: they stay as many."""
    text = "listen: $port\nworkers: %u\nlog: {access: false}\nservers: [$a, $b]\n"
    lb = evlb(text % 4, sim("a", "b"))
    old = lb.pid
    lb.skip_check("descriptors")  # of the old process, which is gone
    lb.write_config(text % 1)
    under = load(lb.url("/"), connections=40, headers=["Connection: close"])
    time.sleep(0.3)
    assert run_evlb("ctl", "upgrade", "--socket", lb.socket).status == 0
    wait_for_end(old)
    new = lb.status()["pid"]
    try:
        result = under.stop()
        assert result["requests"] > 100
        assert result["errors"] == 0, result
        lb.wait_log("4 workers, as before the upgrade, whose sockets they serve; 1 will serve after a restart")
        assert len(lb.status()["workers"]) == 4
    finally:
        os.kill(new, signal.SIGTERM)
        tools.wait_for("the new process ends", lambda: not pathlib.Path(f"/proc/{new}").exists(), 20)


def test_an_upgrade_that_fails_changes_nothing(evlb, sim, run_evlb):
    lb = evlb(ONE, sim("a"))
    lb.write_config("listen: nonsense\n")
    lb.allow_log("upgrade: process .* ended before it served")
    r = run_evlb("ctl", "upgrade", "--socket", lb.socket)
    assert r.status == 1
    assert "Nothing has changed" in r.out + r.err
    assert lb.status()["pid"] == lb.pid
    assert lb.get("/").status == 200


def test_an_upgrade_hands_over_what_was_said_at_run_time(evlb, sim, run_evlb):
    s = sim("a", "b", "added", "gone")
    lb = evlb("listen: $port\nhealth: {type: tcp, every: 200ms}\nservers:\n"
              "  a: $a\n  b: {address: $b, weight: 2}\n  gone: $gone\n", s)
    old = lb.pid
    lb.skip_check("descriptors")  # of the old process, which is gone
    s["gone"].control("listen?state=off")
    health.wait_state(lb, "gone", "down")
    for words in ("server maint default/a --reason=disks", "server weight default/b 7",
                  f"server add default/c {s['added']}", "upgrade"):
        r = run_evlb("ctl", *words.split(), "--socket", lb.socket)
        assert r.status == 0, (words, r.out, r.err)
    wait_for_end(old)
    new = lb.status()["pid"]
    try:
        a, b, c, gone = (health.server(lb, name) for name in ("a", "b", "c", "gone"))
        assert new != old
        assert (a["state"], a["admin"]["reason"]) == ("maint", "disks")
        assert (b["weight"], b["weight_configured"]) == (7, 2)
        assert c["added"]
        assert gone["state"] == "down"
        assert gone["counters"]["connect_failures"] == 0  # never taken for up
        r = run_evlb("ctl", "reload", "--socket", lb.socket)
        assert r.status == 0, r.err
        assert health.server(lb, "c")["state"] == "up"  # it stands over the files still
    finally:
        os.kill(new, signal.SIGTERM)
        tools.wait_for("the new process ends", lambda: not pathlib.Path(f"/proc/{new}").exists(), 20)
