# SPDX-License-Identifier: MIT
"""backend-sim as a test sees it: listeners with names on ports that the kernel chose."""
import json
import subprocess
import threading
import time

from . import http, tools


class Listener:
    def __init__(self, name, address):
        self.name, self.address = name, address
        self.host, _, port = address.rpartition(":")
        self.port = int(port)

    def client(self):
        return http.Client((self.host, self.port))

    def get(self, target="/", headers=None):
        with self.client() as c:
            return c.get(target, headers)

    def control(self, command):
        """"count", "health?state=down", "listen?state=off", "default?status=503", "reset"."""
        r = self.get(f"/control/{command}")
        assert r.status == 200, r
        return r

    def count(self):
        return json.loads(self.control("count").body)

    def __str__(self):
        return self.address


class Sim:
    def __init__(self, tmp_path, names, mode=None, options=(), host="127.0.0.1", ports=None):
        self.names = list(names)
        self.arguments = ([f"--mode={mode}"] if mode else []) + list(options)
        self.host = host
        self.tmp_path = tmp_path
        self.listeners = {}
        self.process = None
        self._start([f"{host}:{p}" for p in ports] if ports else [f"{host}:0"] * len(self.names))

    def _start(self, addresses):
        command = [tools.bin_dir() / "backend-sim", "--listen", ",".join(addresses),
                   "--name", ",".join(self.names), *self.arguments]
        self.errors = tools.unique_file(self.tmp_path, "backend-sim", ".log")
        with open(self.errors, "wb") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE,
                                            stderr=log, env=tools.environment(self.tmp_path),
                                            text=True, start_new_session=True)
        self._read_addresses()

    def _read_addresses(self):
        """One line 'listening NAME ADDRESS' for each, when ready."""
        watchdog = threading.Timer(tools.START_SECONDS, self.process.kill)
        watchdog.start()
        try:
            for _ in self.names:
                words = self.process.stdout.readline().split()
                assert len(words) == 3 and words[0] == "listening", \
                    f"backend-sim did not start: {self.errors.read_text()}"
                self.listeners[words[1]] = Listener(words[1], words[2])
        finally:
            watchdog.cancel()

    def __getitem__(self, name):
        return self.listeners[name]

    def __iter__(self):
        return iter(self.listeners.values())

    def running(self):
        return self.process.poll() is None

    def stop(self):
        """TERM: connections are closed."""
        if self.running():
            self.process.terminate()
        self.process.wait(tools.STOP_SECONDS)
        self.process.stdout.close()

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait(tools.STOP_SECONDS)
        self.process.stdout.close()

    def restart(self):
        """Comes back on the same ports."""
        if self.running():
            self.stop()
        addresses = [self.listeners[n].address for n in self.names]
        for attempt in range(50):  # the port may need a moment
            try:
                self._start(addresses)
                return
            except AssertionError:
                self.process.stdout.close()
                if attempt == 49:
                    raise
                time.sleep(0.1)
