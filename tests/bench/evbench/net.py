# SPDX-License-Identifier: MIT
"""Free ports, and a small HTTP client: is it up, and a fixed number of requests."""

from __future__ import annotations

import random
import socket
import ssl
from pathlib import Path

HOST = "127.0.0.1"
FIRST_PORT = 10240


def _ephemeral_start() -> int:
    """Above it the kernel picks client ports, so a listener's port could be taken any time."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 32768


def _is_free(port: int) -> bool:
    with socket.socket() as s:
        try:
            s.bind((HOST, port))
        except OSError:
            return False
    return True


class Ports:
    """Hands out every port once, so that no run meets connections left in TIME_WAIT."""

    def __init__(self) -> None:
        self.end = _ephemeral_start()
        self.next = random.randrange(FIRST_PORT, max(FIRST_PORT + 1, self.end - 4000))

    def block(self, count: int) -> list[int]:
        """`count` free ports in a row."""
        block: list[int] = []
        for _ in range(2 * (self.end - FIRST_PORT)):
            if self.next >= self.end:
                self.next, block = FIRST_PORT, []
            block = block + [self.next] if _is_free(self.next) else []
            self.next += 1
            if len(block) == count:
                return block
        raise OSError(f"no {count} free ports in a row below {self.end}")


def any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Client:
    """One keep-alive connection, or with `close` a new one for each request."""

    def __init__(self, port: int, close: bool = False, timeout_s: float = 10.0,
                 tls: bool = False) -> None:
        self.port, self.close, self.timeout_s, self.tls = port, close, timeout_s, tls
        self.sock: socket.socket | None = None

    def send(self) -> None:
        if self.sock is None:
            self.sock = socket.create_connection((HOST, self.port), self.timeout_s)
            if self.tls:
                self.sock = any_certificate().wrap_socket(self.sock)
        extra = "Connection: close\r\n" if self.close else ""
        self.sock.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}:{self.port}\r\n{extra}\r\n".encode())

    def receive(self) -> int:
        """Reads the whole answer and returns its status."""
        data = b""
        while not _is_whole(data):
            part = self.sock.recv(65536)
            if not part:
                raise OSError(f"connection ended after {len(data)} bytes of an answer")
            data += part
        if self.close:
            self.end()
        return int(data.split(b" ", 2)[1])

    def end(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None


def _is_whole(data: bytes) -> bool:
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return len(body) >= int(value)
    return True


def answers(port: int, tls: bool = False) -> bool:
    """Whether GET / is answered with 200 now."""
    client = Client(port, close=True, timeout_s=3.0, tls=tls)
    try:
        client.send()
        return client.receive() == 200
    except (OSError, ValueError, IndexError):
        return False
    finally:
        client.end()


def do_requests(port: int, count: int, connections: int, close: bool) -> None:
    """Exactly `count` requests, `connections` of them at a time; anything but 200 is an error."""
    clients = [Client(port, close, timeout_s=60.0) for _ in range(connections)]
    try:
        for first in range(0, count, connections):
            wave = clients[: min(connections, count - first)]
            for client in wave:
                client.send()
            for client in wave:
                if (status := client.receive()) != 200:
                    raise OSError(f"answer with status {status}")
    finally:
        for client in clients:
            client.end()
