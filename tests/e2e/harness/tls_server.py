# SPDX-License-Identifier: MIT
"""A TLS server in this process: says which one it is and what was agreed on, then echoes."""
import socket
import ssl
import threading


class Server:
    """`Server(pem, "a")`: a thread per connection; what it saw is in .seen, one dict each. `proxy`:
    reads a PROXY line first."""

    def __init__(self, pem, name, alpn=(), proxy=False, port=0):
        self.name, self.proxy, self.seen = name, proxy, []
        self.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ctx.load_cert_chain(pem)
        if alpn:
            self.ctx.set_alpn_protocols(list(alpn))
        self.ctx.sni_callback = lambda s, name, ctx: setattr(s, "asked_for", name)
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __str__(self):
        return f"127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        fact = {}
        self.seen.append(fact)
        self.open.add(raw)
        try:
            if self.proxy:
                fact["proxy"] = read_line(raw)
            s = self.ctx.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False)
            self.open.add(s)
            fact.update(sni=getattr(s, "asked_for", None), alpn=s.selected_alpn_protocol(),
                        resumed=s.session_reused)
            s.sendall(f"{self.name}\n".encode())
            while data := s.recv(65536):
                s.sendall(data)
            fact["end"] = "close_notify"
            s.sendall(b"bye\n")  # our direction is still open
            s.unwrap()
        except (OSError, ValueError) as e:
            fact["end"] = type(e).__name__
        finally:
            for c in (raw, locals().get("s")):
                if c is not None:
                    c.close()
                    self.open.discard(c)

    def cut(self):
        """Resets what is open."""
        for s in list(self.open):
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.listener.close()
        self.cut()


def read_line(raw):
    line = b""
    while not line.endswith(b"\r\n"):
        byte = raw.recv(1)
        if not byte:
            break
        line += byte
    return line.decode().strip()
