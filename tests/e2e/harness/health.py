# SPDX-License-Identifier: MIT
"""What tests of health and failover ask evlb, and load that counts every answer."""
import collections
import json
import threading

from . import http, tools


def server(lb, name):
    """The server as /v1/status shows it: "app/a"."""
    backend, _, wanted = name.rpartition("/")
    for b in lb.ask("/v1/status")["backends"]:
        for s in b["servers"]:
            if s["name"] == wanted and backend in ("", b["name"]):
                return s
    raise AssertionError(f"there is no server {name}")


def wait_state(lb, name, *states, timeout=5.0):
    return tools.wait_for(f"{name} is {' or '.join(states)}",
                          lambda: server(lb, name)["state"] in states, timeout)


def change(lb, method, target, **fields):
    """A request to the control socket that changes something; it has to be done."""
    body = json.dumps(fields).encode()
    with http.Client(lb.socket, timeout=5) as c:
        c.request(method, target, {"Connection": "close", "Content-Type": "application/json"}, body)
        r = c.response()
    assert r.status == 200, (r, r.text)
    return json.loads(r.body)


def who(lb, n=1, **options):
    """The names of the servers that answered n requests, each on a connection of its own."""
    return [lb.get("/", **options).text.strip() for _ in range(n)]


class Load:
    """Clients that ask one GET after the other, each on a connection kept open, in the background.
    .results: how often each status or error came; .servers: how often each server answered."""

    def __init__(self, lb, clients=8, target="/", timeout=10):
        self.lb, self.target, self.timeout = lb, target, timeout
        self.results, self.servers = collections.Counter(), collections.Counter()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()

    def _client(self):
        while not self.over.is_set():
            try:
                with http.Client(("127.0.0.1", self.lb.port), timeout=self.timeout) as c:
                    while not self.over.is_set():
                        r = c.get(self.target)
                        self.results[r.status] += 1
                        self.servers[r.text.strip()] += 1
                        if r.headers.get("Connection") == "close":
                            break
            except (OSError, http.Closed, AssertionError) as e:
                self.results[repr(e)] += 1

    def answered(self, n):
        """Waits until n more answers have come."""
        goal = self.results[200] + n
        tools.wait_for(f"{n} more answers", lambda: self.results[200] >= goal, 20)

    def faults(self):
        return {k: n for k, n in self.results.items() if k != 200}
