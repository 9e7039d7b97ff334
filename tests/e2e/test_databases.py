# SPDX-License-Identifier: MIT
"""Checks of a real PostgreSQL and a real Redis: logins, and roles that change under way. They are
skipped where the packages are missing; tests/unit/test_dialogue_*.c has the rest."""
import pytest

from harness import health, tools
from harness.databases import Postgres, Redis

CONFIG = """\
workers: 1
frontends: {db: {listen: $port, mode: tcp, backend: db}}
backends:
  db:
    mode: tcp
    health: {CHECK, every: 100ms, fall: 2, rise: 1}
    servers: {first: $first, second: $second}
"""


@pytest.fixture
def start():
    """Makes a database of that class; all are removed at the end."""
    running = []

    def make(kind, name):
        if kind.missing():
            pytest.skip(f"not installed: {', '.join(kind.missing())}")
        running.append(kind(name))
        return running[-1]
    yield make
    for database in running:
        database.remove()


def wait_check(lb, name, state, reason):
    def reached():
        s = health.server(lb, name)
        return s["state"] == state and s["check"] and s["check"]["reason"] == reason
    tools.wait_for(f"{name} is {state}: {reason}", reached, timeout=15)


def test_redis_roles(evlb, start):
    """The account is the one of docs/health-checks.md."""
    first, second = start(Redis, "redis-first"), start(Redis, "redis-second")
    first.start()
    second.start("--replicaof", "127.0.0.1", first.port)
    for node in (first, second):
        node.command("ACL", "SETUSER", "evlbcheck", "on", ">geheim", "-@all", "+ping", "+role")
    check = "type: redis, user: evlbcheck, password: geheim, expect: writable"
    lb = evlb(CONFIG.replace("CHECK", check), first=first, second=second)
    wait_check(lb, "first", "up", None)
    wait_check(lb, "second", "down", "role is slave, expected master")
    second.command("REPLICAOF", "NO", "ONE")
    wait_check(lb, "second", "up", None)
    first.command("ACL", "SETUSER", "evlbcheck", "off")
    wait_check(lb, "first", "down", "WRONGPASS invalid username-password pair or user is disabled.")


def test_postgres_roles(evlb, start):
    first, second = start(Postgres, "postgres-first"), start(Postgres, "postgres-second")
    first.initialise()
    (first.data / "pg_hba.conf").write_text(
        "local all all trust\nhost all evlbcheck all scram-sha-256\nlocal replication all trust\n")
    first.start()
    first.sql("CREATE USER evlbcheck PASSWORD 'geheim'")
    second.run("pg_basebackup", "-h", first.directory, "-p", first.port, "-U", "postgres",
               "-D", second.data, "-R", "--checkpoint=fast", "--no-sync")
    second.start()
    check = "type: postgres, user: evlbcheck, password: geheim, database: postgres, " \
            "expect: writable"
    lb = evlb(CONFIG.replace("CHECK", check), first=first, second=second)
    wait_check(lb, "first", "up", None)
    wait_check(lb, "second", "down", "in recovery (a standby), expected writable")
    second.sql("SELECT pg_promote()")
    wait_check(lb, "second", "up", None)
    first.sql("ALTER USER evlbcheck PASSWORD 'other'")
    wait_check(lb, "first", "down", 'password authentication failed for user "evlbcheck"')
    first.kill()
    wait_check(lb, "first", "down", "connection refused")
