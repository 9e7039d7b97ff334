# SPDX-License-Identifier: MIT
"""What the data path tests share: configurations, the origin's body pattern, and readings of what
came back. No fixture lives here; each test file says what it starts."""
import contextlib
import pathlib
import socket
import time

from . import http

PATTERN = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy"

# One server, one worker: what a test about bytes on the wire needs.
ONE = """\
workers: 1
frontends: {web: {listen: $port, backend: app}}
backends: {app: {servers: {a: $a}}}
log: {access: true}
"""

# The same in mode tcp.
TCP = """\
workers: 1
frontends: {web: {listen: $port, mode: tcp, backend: app}}
backends: {app: {mode: tcp, servers: {a: $a}}}
log: {access: true}
"""

THREE = """\
workers: 1
frontends: {web: {listen: $port, backend: app}}
backends: {app: {servers: {a: $a, b: $b, c: $c}}}
log: {access: true}
"""


def pattern(size):
    """The body that backend-sim sends for ?size=N."""
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def is_pattern(data, offset=0):
    """True when `data` is the pattern from byte `offset` on; for pieces of large bodies."""
    start = offset % len(PATTERN)
    return pattern(start + len(data))[start:] == data


class Head:
    """The request head that an origin saw, from the body of /echo."""

    def __init__(self, raw):
        self.raw = raw
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.headers = http.Headers(tuple(map(str.strip, line.split(":", 1))) for line in lines[1:])

    @property
    def target(self):
        return self.line.split(" ")[1]


def seen(response):
    """What the origin saw of the request that /echo answered."""
    assert response.status == 200, response
    return Head(response.body)


def request(*lines, body=b""):
    """Raw request bytes of these lines."""
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def post(target, *lines, body=b""):
    return request(f"POST {target} HTTP/1.1", "Host: test.local", *lines, body=body)


def chunked(*pieces, trailers=b""):
    out = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces if p)
    return out + b"0\r\n" + trailers + b"\r\n"


def rss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def sanitized(pid):
    """True when AddressSanitizer keeps freed memory for a while, so that sizes say nothing."""
    return "libasan" in pathlib.Path(f"/proc/{pid}/maps").read_text()


class Growth:
    """The most that a process has grown since this was made."""

    def __init__(self, pid):
        self.pid, self.before = pid, rss_kib(pid)
        self.most = self.before

    def look(self):
        self.most = max(self.most, rss_kib(self.pid))

    def stayed_under(self, kib):
        return sanitized(self.pid) or self.most - self.before < kib


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def server_counters(lb, name, backend=0):
    servers = lb.status()["backends"][backend]["servers"]
    return next(s for s in servers if s["name"] == name)["counters"]


def eventually(condition, timeout=5.0):
    """Waits until condition() holds; True when it came to hold."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def full_backlog(listener):
    """A backend-sim with --no-accept --backlog 1 whose queue is full: connects are not answered."""
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            s = stack.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex((listener.host, listener.port))
        time.sleep(0.1)
        yield
