# SPDX-License-Identifier: MIT
"""Processes, their environment, and the outside programs that tests use."""
import collections
import os
import pathlib
import re
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
START_SECONDS = 20
STOP_SECONDS = 20

Result = collections.namedtuple("Result", "status out err")


def bin_dir():
    path = pathlib.Path(os.environ.get("EVLB_BIN_DIR", "build/asan/bin"))
    return path if path.is_absolute() else ROOT / path


def environment(tmp_path, extra=None):
    """The environment of everything we start: sanitizers write their reports below tmp_path."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("EVLB_")}
    env.pop("http_proxy", None)
    # freed memory is kept back for a while, but so little that growth shows as a leak
    env["ASAN_OPTIONS"] = (f"halt_on_error=1:detect_leaks=1:exitcode=99:quarantine_size_mb=2:"
                           f"thread_local_quarantine_size_kb=64:"
                           f"log_path={tmp_path}/sanitizer")
    env["UBSAN_OPTIONS"] = f"halt_on_error=1:print_stacktrace=1:log_path={tmp_path}/sanitizer"
    env["LSAN_OPTIONS"] = "exitcode=99"
    env.update({k: str(v) for k, v in (extra or {}).items()})
    return env


def unique_file(directory, stem, suffix):
    n = 0
    while (directory / f"{stem}{n}{suffix}").exists():
        n += 1
    path = directory / f"{stem}{n}{suffix}"
    path.touch()
    return path


def run(command, stdin=None, env=None, cwd=None, timeout=20):
    data = stdin.encode() if isinstance(stdin, str) else stdin
    p = subprocess.run([str(c) for c in command], input=data if data is not None else b"",
                       capture_output=True, env=env, cwd=cwd, timeout=timeout)
    return Result(p.returncode, p.stdout.decode("utf-8", "replace"),
                  p.stderr.decode("utf-8", "replace"))


def wait_for(what, condition, timeout=5.0, pause=0.02):
    """Until condition() is true; returns its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {timeout} s in vain until {what}"
        time.sleep(pause)


def _wrk_command(url, duration, connections, threads, headers, script):
    command = ["wrk", "-t", threads, "-c", connections, "-d", f"{duration}s", "--timeout", "5s"]
    for h in headers:
        command += ["-H", h]
    if script:
        command += ["-s", script]
    return [str(c) for c in (*command, url)]


def _wrk_result(out):
    number = lambda pattern: sum(int(n) for m in re.findall(pattern, out)
                                 for n in (m if isinstance(m, tuple) else (m,)))
    socket_errors = number(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
    non_2xx = number(r"Non-2xx or 3xx responses: (\d+)")
    return {"requests": number(r"(\d+) requests in"), "non_2xx": non_2xx,
            "socket_errors": socket_errors, "errors": non_2xx + socket_errors, "out": out}


def wrk(url, duration=2, connections=16, threads=1, headers=(), script=None):
    r = run(_wrk_command(url, duration, connections, threads, headers, script),
            timeout=duration + 30)
    assert r.status == 0, r.err
    return _wrk_result(r.out)


class Load:
    """wrk in the background until .stop(), which returns what wrk() does. A context manager: no
    more answers (`non_2xx`) and connections (`cut`) may have been bad when it is left."""

    LONGEST = 300

    def __init__(self, url, connections=16, threads=1, headers=(), script=None,
                 non_2xx=0, cut=0):
        self.non_2xx, self.cut = non_2xx, cut
        command = _wrk_command(url, self.LONGEST, connections, threads, headers, script)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, start_new_session=True)
        self.result = None

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=30)
        self.result = _wrk_result(out)
        return self.result

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        result = self.stop()
        if kind is None:
            assert result["requests"] > 0 and result["non_2xx"] <= self.non_2xx, result
            assert result["socket_errors"] <= self.cut, result


class Stack:
    """Everything a test started. Order of the end: clients, origins, the checks, the balancers."""

    def __init__(self, tmp_path):
        self.tmp_path = tmp_path
        self.sims, self.balancers = [], []

    def add_sim(self, sim):
        self.sims.append(sim)
        return sim

    def add_balancer(self, lb):
        self.balancers.append(lb)
        lb.start()
        return lb

    def tear_down(self):
        faults = []
        for lb in self.balancers:
            lb.close_clients()
            faults += lb.faults_in_log()
        for sim in self.sims:
            sim.kill()
        for lb in self.balancers:
            faults += lb.finish()
        reports = sorted(self.tmp_path.glob("sanitizer*"))
        faults += [f"{p.name}:\n{p.read_text(errors='replace')[:6000]}" for p in reports]
        assert not faults, "\n".join(faults)
