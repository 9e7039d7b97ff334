# SPDX-License-Identifier: MIT
"""Checks of a real MariaDB: a primary and a replica, each an instance of its own. What they say of
role and replication decides where sessions go; no write reaches a node that is read-only."""
import contextlib
import subprocess
import threading

import pytest

from harness import health, tools
from harness.databases import MariaDb

CONFIG = """\
workers: 2
frontends: {db: {listen: $port, mode: tcp, backend: db}}
backends:
  db:
    mode: tcp
    failover: active-passive
    failback: manual
    on-server-down: close
    health: {type: mysql, user: evlbcheck, EXPECT, every: 100ms, fall: 2, rise: 1}
    servers: {first: $first, second: $second}
"""
USERS = """
CREATE USER replica@'%' IDENTIFIED BY 'replica'; GRANT REPLICATION SLAVE ON *.* TO replica@'%';
CREATE USER evlbcheck@'%' WITH MAX_USER_CONNECTIONS 10;
GRANT SLAVE MONITOR ON *.* TO evlbcheck@'%';
CREATE USER secret@'%' IDENTIFIED BY 'geheim'; CREATE USER locked@'%' IDENTIFIED VIA ed25519 USING
  'ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY';
CREATE USER app@'%' IDENTIFIED BY 'app'; CREATE DATABASE app; GRANT ALL ON app.* TO app@'%';
CREATE TABLE app.writes (n INT PRIMARY KEY, server INT);
"""


@pytest.fixture(scope="module")
def installed():
    missing = MariaDb.missing()
    if missing:  # scripts/test installs it: a run without it proves nothing
        pytest.fail(f"mariadb-server is not installed: no {', '.join(missing)}")
    fresh = MariaDb(0)
    try:
        fresh.install()
        yield fresh
    finally:
        fresh.remove()


@contextlib.contextmanager
def primary_and_replica(installed):
    pair = [MariaDb(1), MariaDb(2)]
    try:
        for node, options in zip(pair, ([], ["--read-only=1"])):
            node.install(like=installed)
            node.start(*options)
        pair[0].sql(USERS)
        pair[1].follow(pair[0])
        tools.wait_for("the replica has what the primary has", lambda: "writes" in pair[1].sql(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'app'"))
        yield pair
    finally:
        for node in pair:
            node.remove()


@pytest.fixture(scope="module")
def calm_nodes(installed):
    """For tests that change nothing there."""
    with primary_and_replica(installed) as pair:
        yield pair


@pytest.fixture
def nodes(installed):
    with primary_and_replica(installed) as pair:
        yield pair


def start(evlb, nodes, expect="expect: writable", config=CONFIG):
    return evlb(config.replace("EXPECT", expect), first=nodes[0], second=nodes[1])


def wait_states(lb, first, second, reason=""):
    """Until the servers have these states, and the reason stands in the last check of one."""
    def reached():
        found = [health.server(lb, name) for name in ("first", "second")]
        return ([s["state"] for s in found] == [first, second]
                and all(s["check"] for s in found)
                and any(reason in (s["check"]["reason"] or "") for s in found))
    tools.wait_for(f"{first}, {second} {reason}", reached, timeout=10)


class Session:
    """A client that stays connected through evlb."""

    def __init__(self, port):
        self.process = subprocess.Popen(
            [MariaDb.program("mariadb"), "--no-defaults", "--host=127.0.0.1", f"--port={port}",
             "--user=app", "--password=app", "--batch", "--skip-column-names", "--unbuffered",
             "--skip-reconnect", "app"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def ask(self, statement):
        """The first line of the answer; None when there is no session any more."""
        try:
            self.process.stdin.write(statement + ";\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self.process.stdout.readline().strip()
        return line if line and not line.startswith("ERROR 20") else None

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def session():
    open_ones = []

    def start(lb):
        open_ones.append(Session(lb.port))
        return open_ones[-1]
    yield start
    for s in open_ones:
        s.close()


def test_writable_follows_read_only(evlb, nodes):
    lb = start(evlb, nodes)
    wait_states(lb, "up", "down", "read_only is ON, expected writable")
    nodes[0].sql("SET GLOBAL read_only = 1")
    wait_states(lb, "down", "down")
    nodes[1].sql("SET GLOBAL read_only = 0")
    wait_states(lb, "down", "up")
    nodes[0].sql("SET GLOBAL read_only = 0")
    wait_states(lb, "up", "up")


def test_replica_follows_replication(evlb, nodes):
    lb = start(evlb, nodes, "expect: replica, max-lag: 1s")
    wait_states(lb, "down", "up", "not a replica: replication is not set up")
    nodes[1].sql("STOP SLAVE SQL_THREAD")
    wait_states(lb, "down", "down", "replication SQL thread has stopped")
    nodes[1].sql("START SLAVE")
    wait_states(lb, "down", "up")
    nodes[1].sql("STOP SLAVE IO_THREAD")
    wait_states(lb, "down", "down", "replication IO thread has stopped")
    nodes[1].sql("START SLAVE")
    wait_states(lb, "down", "up")


def test_a_replica_that_lags_is_left_out(evlb, nodes):
    lb = start(evlb, nodes, "expect: replica, max-lag: 1s")
    wait_states(lb, "down", "up")
    nodes[1].sql("STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 3600; START SLAVE")
    nodes[0].sql("INSERT INTO app.writes VALUES (1, 1)")
    wait_states(lb, "down", "down", " s, at most 1 s")
    nodes[1].sql("STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 0; START SLAVE")
    wait_states(lb, "down", "up")


@pytest.mark.parametrize("login, reason", [
    ("user: secret, password: geheim", None),
    ("user: secret, password: falsch",
     "Access denied for user 'secret'@'127.0.0.1' (using password: YES)"),
    ("user: secret", "Access denied for user 'secret'@'127.0.0.1' (using password: NO)"),
    ("user: locked, password: x", "login wants plugin 'client_ed25519', which evlb does not know"),
], ids=["right", "wrong", "without", "unknown plugin"])
def test_logins(evlb, calm_nodes, login, reason):
    config = CONFIG.replace("user: evlbcheck", login)
    lb = start(evlb, calm_nodes, "expect: any", config)
    state = "up" if reason is None else "down"
    wait_states(lb, state, state, reason or "")
    for name in ("first", "second"):
        assert health.server(lb, name)["check"]["reason"] == reason


CHECKS_RUNNING = """SELECT id FROM information_schema.processlist
                    WHERE user IN ('evlbcheck', 'unauthenticated user')"""


@pytest.mark.parametrize("expect", ["any", "writable", "replica"])
def test_the_server_counts_no_aborted_connection(evlb, calm_nodes, expect):
    """It would block us in the end (max_connect_errors), or fill its log."""
    def counters(name):
        return [n.status(name) for n in calm_nodes]
    tools.wait_for("the checks of an earlier test are gone",
                   lambda: not any(n.sql(CHECKS_RUNNING).split() for n in calm_nodes))
    aborted = counters("Aborted_connects"), counters("Aborted_clients")
    logged = [len(n.log()) for n in calm_nodes]
    start(evlb, calm_nodes, f"expect: {expect}")
    begin = counters("Connections")
    tools.wait_for("checks of each", lambda: all(
        now > then + 40 for now, then in zip(counters("Connections"), begin)), 20, pause=0.5)
    assert (counters("Aborted_connects"), counters("Aborted_clients")) == aborted
    for node, begin in zip(calm_nodes, logged):
        assert "reading communication packets" not in node.log()[begin:]


def test_a_planned_switch_cuts_the_sessions_of_the_old_primary(evlb, nodes, session):
    lb = start(evlb, nodes)
    wait_states(lb, "up", "down")
    old = session(lb)
    assert old.ask("SELECT @@server_id") == "1"
    nodes[0].sql("SET GLOBAL read_only = 1")
    tools.wait_for("the old session is cut", lambda: old.ask("SELECT @@server_id") is None)
    nodes[1].sql("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0")
    wait_states(lb, "down", "up")
    new = session(lb)
    assert new.ask("SELECT @@server_id") == "2"
    nodes[0].sql("SET GLOBAL read_only = 0")  # a mistake: two primaries
    wait_states(lb, "up", "up")
    assert session(lb).ask("SELECT @@server_id") == "2"  # failback: manual
    assert new.ask("SELECT @@server_id") == "2"


class Writer(threading.Thread):
    """Writes through evlb, each time in a session of its own, until it is told to stop."""

    def __init__(self, port):
        super().__init__()
        self.command = [MariaDb.program("mariadb"), "--no-defaults", "--host=127.0.0.1",
                        f"--port={port}", "--user=app", "--password=app", "--batch", "app", "-e"]
        self.done, self.errors, self.stopped = [], [], threading.Event()

    def run(self):
        n = 0
        while not self.stopped.wait(0.01):
            n += 1
            r = subprocess.run([*self.command, f"INSERT INTO writes VALUES ({n}, @@server_id)"],
                               capture_output=True, text=True, timeout=30)
            if r.returncode == 0:
                self.done.append(n)
            else:
                self.errors.append(r.stderr.strip())

    def end(self):
        self.stopped.set()
        self.join()


def test_no_write_reaches_a_read_only_node_when_the_primary_dies(evlb, nodes):
    lb = start(evlb, nodes)
    wait_states(lb, "up", "down")
    writer = Writer(lb.port)
    writer.start()
    try:
        tools.wait_for("writes", lambda: len(writer.done) >= 5)
        nodes[0].kill()
        wait_states(lb, "down", "down")
        before = len(writer.done)
        tools.wait_for("refused writes", lambda: len(writer.errors) >= 5)
        nodes[1].sql("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0")  # the promotion
        wait_states(lb, "down", "up")
        tools.wait_for("writes to the new primary", lambda: len(writer.done) >= before + 5)
        nodes[0].start("--read-only=1")
        wait_states(lb, "down", "up", "read_only is ON, expected writable")
        before = len(writer.done)
        tools.wait_for("more writes", lambda: len(writer.done) >= before + 5)
    finally:
        writer.end()
    assert not [e for e in writer.errors if "read-only" in e]  # nobody was sent to one
    rows = dict(map(int, r.split()) for r in
                nodes[1].sql("SELECT n, server FROM app.writes").splitlines())
    new_ones = [n for n in writer.done if rows.get(n) == 2]
    assert len(new_ones) >= 10 and new_ones == writer.done[-len(new_ones):]
