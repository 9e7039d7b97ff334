# SPDX-License-Identifier: MIT
"""A raw HTTP/1 client for tests: it sends the bytes it is given and reads exactly one response.

It is a reading of RFC 9112 of its own, strict on purpose: what evlb sends to clients has to be
well-formed, so anything else fails the test that received it.
"""
import socket
import struct
import time

TIMEOUT = 10.0


class Headers:
    """The fields of a message in order."""

    def __init__(self, pairs=()):
        self.pairs = list(pairs)

    def all(self, name):
        return [v for k, v in self.pairs if k.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def names(self):
        return [k.lower() for k, _ in self.pairs]

    def __getitem__(self, name):
        values = self.all(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def __contains__(self, name):
        return bool(self.all(name))

    def __repr__(self):
        return repr(self.pairs)


class Response:
    def __init__(self, version, status, reason, headers, raw_head):
        self.version, self.status, self.reason = version, status, reason
        self.headers, self.raw_head = headers, raw_head
        self.body, self.trailers = b"", Headers()
        self.complete = False  # the body ended as its framing said

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def __repr__(self):
        return f"<{self.version} {self.status} {self.headers!r} {self.body[:200]!r}>"


class Closed(Exception):
    """The peer closed before the message was complete; .partial has what had arrived."""

    def __init__(self, partial, reset=False):
        super().__init__(f"{'reset' if reset else 'closed'} after {partial[:200]!r}")
        self.partial, self.reset = partial, reset


def request_bytes(method, target, headers=None, body=None, host="test.local"):
    """A request; Host and Content-Length are added unless given."""
    fields = dict(headers or {})
    names = {k.lower() for k in fields}
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {host}")
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{k}: {v}" for k, v in fields.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


class Client:
    """One connection. `address` is (host, port) or the path of a unix socket."""

    def __init__(self, address, timeout=TIMEOUT, source=None):
        unix = isinstance(address, str)
        if unix:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            self.sock.connect(address)
        else:
            self.sock = socket.create_connection(address, timeout, source)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.pending = b""  # received, not yet taken

    # ---- sending ----

    def send(self, data):
        self.sock.sendall(data)
        return self

    def send_split(self, data, step=1, pause=0.0):
        """Sends in pieces of `step` bytes; TCP_NODELAY puts each in a segment of its own."""
        for i in range(0, len(data), step):
            self.sock.sendall(data[i:i + step])
            if pause:
                time.sleep(pause)
        return self

    def request(self, method, target, headers=None, body=None):
        return self.send(request_bytes(method, target, headers, body))

    def get(self, target="/", headers=None):
        self.request("GET", target, headers)
        return self.response("GET")

    # ---- receiving ----

    def _more(self):
        """Waits for bytes; False at the end of the stream."""
        data = self.sock.recv(65536)
        self.pending += data
        return bool(data)

    def _need_more(self):
        try:
            if self._more():
                return
        except ConnectionResetError:
            raise Closed(self.pending, reset=True) from None
        raise Closed(self.pending)

    def read_exact(self, n):
        while len(self.pending) < n:
            self._need_more()
        out, self.pending = self.pending[:n], self.pending[n:]
        return out

    def read_until(self, mark):
        while mark not in self.pending:
            self._need_more()
        end = self.pending.index(mark) + len(mark)
        out, self.pending = self.pending[:end], self.pending[end:]
        return out

    def read_until_close(self):
        try:
            while self._more():
                pass
        except ConnectionResetError:
            raise Closed(self.pending, reset=True) from None
        out, self.pending = self.pending, b""
        return out

    def response(self, method="GET", interim=None):
        """The next final response. 1xx responses go to the list `interim` (or are dropped)."""
        while True:
            r = self._head()
            if r.status >= 200 or r.status == 101:
                self._body(r, method)
                return r
            if interim is not None:
                interim.append(r)

    def _head(self):
        raw = self.read_until(b"\r\n\r\n")
        lines = raw[:-4].split(b"\r\n")
        for line in lines:
            assert b"\n" not in line and b"\r" not in line and b"\0" not in line, raw
        parts = lines[0].decode("latin-1").split(" ", 2)
        assert parts[0] in ("HTTP/1.1", "HTTP/1.0") and len(parts) >= 2, raw
        assert len(parts[1]) == 3 and parts[1].isdigit(), raw
        return Response(parts[0], int(parts[1]), parts[2] if len(parts) > 2 else "",
                        Headers(self._field(line) for line in lines[1:]), raw)

    @staticmethod
    def _field(line):
        name, colon, value = line.decode("latin-1").partition(":")
        assert colon and name and name == name.strip(), line
        return name, value.strip(" \t")

    def _body(self, r, method):
        codings = r.headers.all("Transfer-Encoding")
        lengths = r.headers.all("Content-Length")
        if method == "HEAD" or r.status in (101, 204, 304) or r.status < 200:
            r.complete = True
        elif codings:
            assert not lengths, f"both framings: {r}"
            assert len(codings) == 1, r
            if codings[0].lower() == "chunked":
                self._chunks(r)
            else:  # RFC 9112 section 6.3: to the end of the connection
                r.body = self.read_until_close()
                r.complete = True
        elif lengths:
            assert len(lengths) == 1 and lengths[0].isdigit(), r
            r.body = self.read_exact(int(lengths[0]))
            r.complete = True
        else:
            r.body = self.read_until_close()
            r.complete = True

    def _chunks(self, r):
        try:
            while True:
                size = int(self.read_until(b"\r\n")[:-2].split(b";")[0], 16)
                if size == 0:
                    break
                r.body += self.read_exact(size)
                assert self.read_exact(2) == b"\r\n"
        except Closed as e:
            e.response = r
            raise
        pairs = []
        while True:
            line = self.read_until(b"\r\n")[:-2]
            if not line:
                break
            pairs.append(self._field(line))
        r.trailers = Headers(pairs)
        r.complete = True

    # ---- the end ----

    def expect_close(self, timeout=5.0):
        """Nothing more arrives, and the peer closes without a reset."""
        self.sock.settimeout(timeout)
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            raise AssertionError(f"still open after {timeout} s") from None
        finally:
            self.sock.settimeout(self.timeout)
        assert self.pending + data == b"", f"more bytes: {(self.pending + data)[:300]!r}"

    def expect_silence(self, seconds=0.3):
        """Nothing arrives for that long, and the connection stays open."""
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(65536)
            raise AssertionError(f"more bytes: {data[:300]!r}" if data else "closed")
        except socket.timeout:
            assert self.pending == b"", f"more bytes: {self.pending[:300]!r}"
        finally:
            self.sock.settimeout(self.timeout)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        """Closes with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
