# SPDX-License-Identifier: MIT
"""evlb as a test sees it: a configuration with free ports filled in, a process, its logs, its
status, and the checks that hold after every test."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import textwrap
import time
from signal import SIGHUP, SIGKILL, SIGTERM

from . import http, ports, procfs, tools

ERROR_LINE = re.compile(r"^\S+Z error |PANIC|runtime error:|AddressSanitizer|LeakSanitizer", re.M)
SETTLE_SECONDS = 5.0


class Evlb:
    def __init__(self, tmp_path, config, values=(), args=(), env=None, wait=True, **named):
        self.tmp_path = tmp_path
        self.args, self.env, self.wait = list(args), env, wait
        self.named = {}
        for source in values:  # sims
            self.named.update({listener.name: listener.address for listener in source})
        self.named.update({k: str(v) for k, v in named.items()})
        self.ports = {}
        self.config_file = tools.unique_file(tmp_path, "evlb", ".yaml")
        self.log_file = self.config_file.with_suffix(".log")
        self.socket_dir = tempfile.mkdtemp(prefix="evlb-")  # a socket's path is short
        self.socket = f"{self.socket_dir}/ctl"
        self.process = None
        self.exit_status = None
        self.clients, self.allowed, self.skipped = [], [], set()
        self.allowed_exit = 0
        self.fds_at_start = {}
        self.write_config(config)

    # ---- configuration ----

    def write_config(self, config, **named):
        """Writes the file that evlb was or will be started with; $ports keep their values."""
        self.named.update({k: str(v) for k, v in named.items()})
        text = re.sub(r"\$([a-z_][a-z0-9_]*)", self._value, textwrap.dedent(config))
        if not re.search(r"^admin:", text, re.M):
            text += f"\nadmin: {{socket: {self.socket}}}\n"
        if not re.search(r"^log:", text, re.M):
            text += "log: {access: true}\n"
        new = self.config_file.with_suffix(".new")  # at once: a reload must not see half of it
        new.write_text(text)
        os.replace(new, self.config_file)

    def _value(self, match):
        name = match.group(1)
        if name in self.named:
            return self.named[name]
        assert name.startswith("port"), f"${name} stands for nothing in this configuration"
        if name not in self.ports:
            self.ports[name] = ports.take()
        return str(self.ports[name])

    @property
    def port(self):
        return next(iter(self.ports.values()))

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def url(self, path="/", port=None):
        return f"http://127.0.0.1:{port or self.port}{path}"

    # ---- life ----

    def start(self):
        command = [tools.bin_dir() / "evlb", "run", "-c", self.config_file, *self.args]
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=self.tmp_path,
                                            env=tools.environment(self.tmp_path, self.env),
                                            start_new_session=True)
        self.exit_status = None
        if self.wait:
            self.wait_ready()

    def wait_ready(self):
        """Until every $port listens and the status says that all workers serve."""
        def ready():
            assert self.process.poll() is None, \
                f"evlb ended with status {self.process.returncode}:\n{self.log()}"
            return all(procfs.listening(p) for p in self.ports.values()) and self._running()
        tools.wait_for("evlb is ready", ready, tools.START_SECONDS)
        self.fds_at_start = {pid: procfs.descriptors(pid) for pid in self.processes()}

    def _running(self):
        try:
            return self.ask("/v1/status")["state"] == "running"
        except (OSError, http.Closed):
            return False

    def ask(self, target):
        """GET on the control socket; the answer as a dict."""
        with http.Client(self.socket, timeout=5) as c:
            c.request("GET", target, {"Connection": "close"})
            r = c.response()
        assert r.status == 200, r
        return json.loads(r.body)

    @property
    def pid(self):
        return self.process.pid

    def children(self):
        return procfs.children(self.pid)

    def workers(self):
        """Process ids of the workers, from the status."""
        return [w["pid"] for w in self.ask("/v1/status")["workers"]]

    def processes(self):
        return [self.pid, *self.children()]

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self, config=None, fails=False, timeout=20.0, **named):
        """HUP, after a new text when there is one, else after another comment: a file that is as
        before is passed over. Waits for its end, returns what the supervisor logged meanwhile."""
        if config is not None:
            self.write_config(config, **named)
        elif self.config_file.is_file():
            with open(self.config_file, "a") as file:
                file.write("# once more\n")
        if fails:
            self.allow_log(r" error supervisor: ")
        before = len(self.log())
        self.signal(SIGHUP)
        end = "the reload failed" if fails else r"configuration \d+ is in force"
        tools.wait_for(f"the reload ends: {end!r}",
                       lambda: re.search(end, self.log()[before:]), timeout)
        return "\n".join(line.split(" supervisor: ", 1)[1]
                         for line in self.log()[before:].splitlines() if " supervisor: " in line)

    def wait_exit(self, timeout=tools.STOP_SECONDS):
        self.exit_status = self.process.wait(timeout)
        return self.exit_status

    def stop(self, number=SIGTERM, timeout=tools.STOP_SECONDS):
        """Stops gracefully and returns the exit status."""
        if self.running():
            self.signal(number)
        try:
            return self.wait_exit(timeout)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise AssertionError(f"evlb did not stop in {timeout} s:\n{self.log()}") from None

    def kill_all(self):
        """The way out when it hangs: the supervisor and its children, by their ids."""
        for pid in reversed(self.processes()):
            try:
                os.kill(pid, SIGKILL)
            except OSError:
                pass
        self.wait_exit()

    # ---- traffic ----

    def client(self, port=None, **options):
        c = http.Client(("127.0.0.1", port or self.port), **options)
        self.clients.append(c)
        return c

    def request(self, method, target="/", headers=None, body=None, port=None):
        """One request on a connection of its own."""
        with http.Client(("127.0.0.1", port or self.port)) as c:
            c.request(method, target, headers, body)
            return c.response(method)

    def get(self, target="/", headers=None, port=None):
        return self.request("GET", target, headers, port=port)

    def close_clients(self):
        for c in self.clients:
            c.close()
        self.clients = []

    # ---- status and logs ----

    def status(self):
        r = tools.run([tools.bin_dir() / "evlb", "ctl", "status", "--format=json",
                       "--socket", self.socket], env=tools.environment(self.tmp_path))
        assert r.status == 0, r
        return json.loads(r.out)

    def counters(self, frontend=None):
        """Of a frontend; None: the first one."""
        return next(f for f in self.status()["frontends"] if frontend in (None, f["name"]))["counters"]

    def busy(self):
        """The in-flight gauges that are not 0, as a dict of path -> value."""
        return dict(_gauges(self.ask("/v1/status")))

    def wait_idle(self, timeout=SETTLE_SECONDS):
        tools.wait_for("nothing is in flight", lambda: not self.busy(), timeout)

    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_log(self, pattern, timeout=5.0):
        return tools.wait_for(f"the log has {pattern!r}", lambda: re.search(pattern, self.log()),
                              timeout)

    def access_log(self):
        """The access log lines on standard error: the complete lines that are JSON objects."""
        lines = self.log().split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def wait_access(self, n=1, timeout=5.0):
        tools.wait_for(f"{n} access log lines", lambda: len(self.access_log()) >= n, timeout)
        return self.access_log()

    # ---- what must hold after every test ----

    def allow_log(self, pattern):
        self.allowed.append(re.compile(pattern))

    def allow_exit(self, status):
        self.allowed_exit = status

    def skip_check(self, name):
        assert name in ("idle", "descriptors"), name
        self.skipped.add(name)

    def faults_in_log(self):
        lines = [line for line in self.log().splitlines() if ERROR_LINE.search(line)]
        bad = [line for line in lines if not any(a.search(line) for a in self.allowed)]
        return [f"unexpected in the log: {line}" for line in bad[:10]]

    def finish(self):
        """Checks, stops, and returns the list of what was wrong."""
        try:
            return self._finish() if self.process is not None else []
        finally:
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def _finish(self):
        faults = []
        if self.running() and self.wait:
            faults += self._leaks()
        if self.running():
            try:
                self.stop()
            except AssertionError as e:
                faults.append(str(e))
        if self.exit_status is None:
            self.wait_exit()
        if self.exit_status != self.allowed_exit:
            faults.append(f"evlb ended with status {self.exit_status}, not {self.allowed_exit}:\n"
                          f"{self.log()[-4000:]}")
        return faults

    def _leaks(self):
        faults = []
        if "idle" not in self.skipped:
            try:
                busy = _settled(self.busy)
            except (OSError, http.Closed) as e:
                if self._ends_by_itself():
                    return []
                return [f"the control socket does not answer: {e}"]
            if busy:
                faults.append(f"still in flight when all was over: {busy}")
        if "descriptors" not in self.skipped:
            extra = _settled(self.extra_descriptors)
            if extra:
                faults.append(f"descriptors left behind (pid: at the start, now): {extra}")
        return faults

    def _ends_by_itself(self):
        """True when the test had told it to stop and it was about to end."""
        try:
            self.wait_exit(SETTLE_SECONDS)
            return True
        except subprocess.TimeoutExpired:
            return False

    def extra_descriptors(self):
        """Processes that hold more than two descriptors more than at the start."""
        extra = {}
        for pid, before in self.fds_at_start.items():
            now = procfs.descriptors(pid)
            if now is not None and before is not None and now > before + 2:
                extra[pid] = (before, now, procfs.descriptor_targets(pid))
        return extra


def _settled(measure):
    """Repeats the measurement until it is empty or the time to settle is over."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        value = measure()
        if not value or time.monotonic() > end:
            return value
        time.sleep(0.05)


GAUGES = ("in_flight", "connections_current", "queue_length")


def _gauges(node, path=""):
    """Every gauge of the status that is above 0, by its path."""
    if isinstance(node, dict):
        for key, value in node.items():
            here = f"{path}.{key}"
            if key in GAUGES and isinstance(value, (int, float)):
                if value:
                    yield here, value
            else:
                yield from _gauges(value, here)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _gauges(value, f"{path}[{i}]")
