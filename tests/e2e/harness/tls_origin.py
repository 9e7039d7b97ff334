# SPDX-License-Identifier: MIT
"""A server that speaks TLS (Python's ssl on OpenSSL) and counts what it sees. One thread each
connection; HTTP/1.1 with keep-alive, or an echo of bytes.

/            200, the body names the server, says whether the session was resumed, and by whom asked
/?size=N     a body of N bytes
/until-close a body that ends with the connection: with close_notify, or (?cut) without
/switch      101, then an echo of bytes
"""
import re
import socket
import ssl
import threading


def context(cert, **options):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(cert)
    for name, value in options.items():
        setattr(c, name, value)
    return c


class TlsOrigin:
    """`echo`: bytes instead of HTTP. `client_ca`: demands a certificate of that authority.
    `before(conn)`: is called with the accepted socket; true: it has done all there is to do.
    `at`: host and port to listen on, or the path of a unix socket."""

    def __init__(self, cert, name="a", echo=False, client_ca=None, before=None, header=None,
                 at=("127.0.0.1", 0), **options):
        self.name, self.echo, self.before, self.header = name, echo, before, header
        self.handshakes = self.resumed = self.requests = self.failures = 0
        self.sni, self.headers, self.subjects = [], [], []
        self.context(cert, client_ca, **options)
        self._listen(at)
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _listen(self, at):
        if isinstance(at, tuple):
            self.listener = socket.create_server(at)
            self.port = self.listener.getsockname()[1]
            self.address = f"{at[0]}:{self.port}"
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(at))
            self.listener.listen()
            at.chmod(0o777)
            self.address = f"unix:{at}"

    def context(self, cert, client_ca=None, **options):
        self.ctx = context(cert, **options)
        if client_ca:
            self.ctx.load_verify_locations(client_ca)
            self.ctx.verify_mode = ssl.CERT_REQUIRED
        self.ctx.sni_callback = lambda s, name, c: self.sni.append(name)

    def __str__(self):
        return self.address

    def close(self):
        self.listener.close()
        for c in list(self.open):
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            c.close()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        self.open.add(conn)
        try:
            if self.before and self.before(conn):
                return
            if self.header:
                self.headers.append(conn.recv(self.header))
            s = self.ctx.wrap_socket(conn, server_side=True)
        except (OSError, ValueError):
            self.failures += 1
            conn.close()
            return
        self.open.add(s)
        self.handshakes += 1
        self.resumed += bool(s.session_reused)
        subject = s.getpeercert()
        self.subjects.append(subject and dict(x[0] for x in subject["subject"])["commonName"])
        try:
            with s:
                self._echo(s) if self.echo else self._http(s)
        except (OSError, ValueError):
            pass

    @staticmethod
    def _echo(s):
        while data := s.recv(65536):
            s.sendall(data)
        s.unwrap()

    def _http(self, s):
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = s.recv(65536)
                if not more:
                    s.unwrap()
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            length = int((re.search(rb"(?i)content-length: (\d+)", head) or [0, 0])[1])
            got = len(data)
            data, rest = data[:length], data[length:]
            while got < length:
                more = s.recv(65536)
                if not more:
                    return
                got += len(more)
            self.requests += 1
            target = head.split()[1].decode()
            if not self._answer(s, target, length):
                return
            data = rest

    def _answer(self, s, target, length):
        if target.startswith("/until-close"):
            s.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"u" * 1000)
            if "cut" in target:
                s.shutdown(socket.SHUT_RDWR)
            else:
                s.unwrap()
            return False
        if target == "/switch":
            s.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
            self._echo(s)
            return False
        size = re.search(r"size=(\d+)", target)
        body = b"b" * int(size[1]) if size else (
            f"{self.name} resumed={s.session_reused} body={length}\n".encode())
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True
