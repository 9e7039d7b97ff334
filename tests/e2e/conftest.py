# SPDX-License-Identifier: MIT
"""End-to-end tests: real binaries, real sockets on free ports, one behaviour per test.

Run them with `scripts/test --only e2e [-k NAME]`, or by hand from the root of the repository:

    EVLB_BIN_DIR=build/asan/bin /usr/bin/python3 -m pytest tests/e2e -k NAME

Fixtures
========
sim(*names, mode=..., options=[...])      starts one backend-sim, returns a Sim
    s = sim("a", "b")                     two listeners on free ports; backend-sim's answers name them
    s["a"]                                Listener: .port, .address ("127.0.0.1:40123"); str() too
    s["a"].get("/control/count")          asks that listener itself, past evlb (Response)
    s["a"].count()                        its counters (dict of /control/count)
    s["a"].control("listen?state=off")    any /control/ command
    s.stop() / s.kill() / s.restart()     the process; restart comes back on the same ports
    sim("a", mode="tcp-echo")             backend-sim --mode; further options: options=["--backlog", "1"]

evlb(config, *values, args=[], env={}, wait=True, **named)   starts `evlb run -c FILE`, returns an Evlb
    lb = evlb('''
        listen: $port
        servers: [$a, $b]
    ''', sim("a", "b"))
    $port, $port2, $port_admin ...        free ports, made on sight; lb.port, lb.ports["port2"]
    $a                                    address of the sim's listener "a" (or a keyword argument)
    ${VAR} and $$ stay as they are        (they belong to evlb)
    `admin: {socket: ...}` and `log: {access: true}` are added when the text has no such key.
    lb.port, lb.address, lb.url("/x")     of the first $port
    lb.get("/x"), lb.request("GET", "/x", headers={...}, body=b"...")     one request -> Response
    lb.client(port=None)                  Client: a raw connection, closed for you at the end
    lb.status()                           `evlb ctl status --format=json` as a dict
    lb.counters(frontend=None)            of that frontend, or of the first
    lb.ask("/v1/workers")                 any resource of the control socket, without the command
    lb.wait_idle()                        until every in-flight gauge is 0 (at most 5 s)
    lb.log()                              everything on its stderr so far
    lb.wait_log(regex, timeout=5)         until a line matches; returns the match
    lb.access_log()                       the access log lines, parsed (list of dict)
    lb.wait_access(n=1)                   until there are n lines; returns all of them
    lb.pid, lb.children(), lb.workers()   process ids
    lb.signal(signal.SIGHUP)              to the supervisor
    lb.write_config(text, ...)            new text in the same file (same $ports), e.g. before a HUP
    lb.reload(text=None, fails=False)     new text, HUP, waits for its end; returns the lines that the
                                          supervisor logged about it
    lb.stop() -> int                      TERM, waits, returns the exit status (checks run then)
    lb.allow_log("regex")                 an error line that this test provokes on purpose
    lb.allow_exit(status)                 an exit status other than 0 that this test provokes
    lb.skip_check("idle"|"descriptors")   when the test breaks it on purpose (say why)

ca                                        a certificate authority for the module (harness/tls.py)
site                                      a file of its with certificate and key: a.test, *.w.test
port()                                    another free port (also under pytest-xdist)
run_evlb(*args, stdin=None, env={})       one command to its end -> .status, .out, .err
curl(*args)                               runs curl -sS with a time limit -> .status, .out, .err
wrk(url, duration=2, connections=16, ...) runs wrk -> dict: requests, errors, non_2xx, socket_errors
load(url, connections=16, ...)            the same in the background: `with load(lb.url()) as l:` fails when
                                          there was an error; l.result has the dict afterwards
tmp_path                                  pytest's own; evlb's files and logs lie there

Client (harness/http.py)
========================
c = lb.client()
c.send(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")    all bytes at once
c.send_split(data, step=1, pause=0.0)     in pieces, each in a segment of its own
c.response(method="GET")                  reads exactly one response -> Response; what follows stays
c.get("/x", headers={})                   one request + one response on this connection
c.read_exact(n), c.read_until_close()     raw bytes
c.expect_close(timeout=5)                 the peer closes cleanly, nothing more arrives
c.expect_silence(seconds)                 nothing arrives and it stays open
c.half_close(), c.reset(), c.close()      FIN, RST, close
Response: .status, .reason, .version, .headers (Headers: first value by name, case-insensitive;
          .all(name)), .body, .raw_head, .trailers, .complete

After every test, for each Evlb that still runs: clients and sims are closed; then every in-flight
gauge must be 0 within 5 s, and every process must hold as many descriptors as at the start (+2);
then TERM, and the exit status must be 0 and no sanitizer have reported; no line of the log may be
an error or a PANIC unless allowed.
"""
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import balancer, origin, ports, tls, tools  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "once: long, and no other with another build of evlb")
    missing = [name for name in ("evlb", "backend-sim") if not (tools.bin_dir() / name).exists()]
    if missing and not config.option.collectonly:
        raise pytest.UsageError(
            f"{tools.bin_dir()} has no {' and no '.join(missing)}: build first, or set EVLB_BIN_DIR")


@pytest.fixture(scope="session")
def bin_dir():
    return tools.bin_dir()


@pytest.fixture
def port():
    return ports.take


@pytest.fixture
def stack(tmp_path):
    """What a test has started, torn down in the order that makes leaks visible."""
    running = tools.Stack(tmp_path)
    yield running
    running.tear_down()


@pytest.fixture
def sim(stack):
    def start(*names, **options):
        return stack.add_sim(origin.Sim(stack.tmp_path, names or ("a",), **options))
    return start


@pytest.fixture
def evlb(stack):
    def start(config, *values, **named):
        lb = balancer.Evlb(stack.tmp_path, config, values, **named)
        return stack.add_balancer(lb)
    return start


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return tls.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def site(ca, tmp_path):
    return ca.make(tmp_path / "site.pem", "a.test", "*.w.test")


@pytest.fixture
def run_evlb(tmp_path):
    def run(*args, stdin=None, env=None, cwd=None, timeout=20):
        return tools.run([tools.bin_dir() / "evlb", *args], stdin=stdin, cwd=cwd or tmp_path,
                         env=tools.environment(tmp_path, env), timeout=timeout)
    return run


@pytest.fixture
def curl():
    def run(*args, timeout=20):
        return tools.run(["curl", "-sS", "--max-time", str(timeout - 5), "--noproxy", "*", *args],
                         timeout=timeout)
    return run


def need_wrk():
    if shutil.which("wrk") is None:
        pytest.fail("wrk is not installed (scripts/test installs it)")


@pytest.fixture
def wrk():
    need_wrk()
    return tools.wrk


@pytest.fixture
def load():
    need_wrk()
    return tools.Load
