# SPDX-License-Identifier: MIT
"""Certificates made on the spot, and clients that look at what a TLS server does."""
import datetime
import re
import socket
import ssl
import subprocess

KEYS = {"ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "rsa": ["-newkey", "rsa:2048"],
        "weak": ["-newkey", "rsa:1024"]}  # OpenSSL refuses it


# For a file or a list of them as $tls.
WEB = """
    workers: 2
    frontends:
      web: {listen: "127.0.0.1:$port", tls: $tls, backend: app}
    backends:
      app: {servers: [$a], health: off}
"""


def openssl(*args, stdin=None, timeout=20, check=True):
    r = subprocess.run(["openssl", *map(str, args)], input=stdin, capture_output=True,
                       timeout=timeout, check=False)
    out = (r.stdout + r.stderr).decode(errors="replace")
    assert not check or r.returncode == 0, out
    return out


class Authority:
    """A directory with a certificate authority and what it has signed."""

    def __init__(self, directory):
        self.dir = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.key, self.cert = directory / "ca.key", directory / "ca.crt"
        openssl("req", "-x509", *KEYS["ecdsa"], "-nodes", "-days", 3650, "-subj", "/CN=test ca",
                "-addext", "basicConstraints=critical,CA:true", "-keyout", self.key,
                "-out", self.cert)

    def make(self, file, *names, key="ecdsa", days=90, age=100, apart=None, ca=True):
        """`file`: certificate and key together; `apart`: the key in that file instead. `days` may be
        negative: it has ended so long ago; `age`: for how many days it has been valid now, or was then."""
        stem = self.dir / "new"
        openssl("req", "-new", *KEYS[key], "-nodes", "-subj", f"/CN={names[0]}",
                "-keyout", f"{stem}.key", "-out", f"{stem}.csr")
        (self.dir / "new.ext").write_text(
            "subjectAltName=" + ",".join(n if n.startswith("IP:") else f"DNS:{n}" for n in names) + "\n")
        now = datetime.datetime.now(datetime.timezone.utc)
        end = now + datetime.timedelta(days=days, minutes=5 if days > 0 else -5)
        begin = min(now, end) - datetime.timedelta(days=age)
        self._sign(stem, begin, end)
        pem = (self.dir / "new.pem").read_text()
        pem = pem[pem.index("-----BEGIN"):]
        secret = (self.dir / "new.key").read_text()
        file.parent.mkdir(parents=True, exist_ok=True)
        (apart or file).write_text(secret)
        new = file.with_suffix(".tmp")
        new.write_text(pem if apart else pem + (self.cert.read_text() if ca else "") + secret)
        new.replace(file)
        return file

    def ocsp(self, cert, out, status="good", signer=None):
        """The authority's answer about a certificate, in DER, for seven days. `status`: good,
        revoked or unknown; `signer`: another Authority signs it."""
        by = signer or self
        serial = openssl("x509", "-in", cert, "-noout", "-serial").split("=")[1].strip()
        index = self.dir / "ocsp.txt"
        index.write_text({"good": f"V\t300101000000Z\t\t{serial}\tunknown\t/CN=x\n",
                          "revoked": f"R\t300101000000Z\t200101000000Z\t{serial}\tunknown\t/CN=x\n",
                          "unknown": ""}[status])
        request = self.dir / "ocsp.req"
        openssl("ocsp", "-issuer", self.cert, "-cert", cert, "-no_nonce", "-reqout", request)
        openssl("ocsp", "-index", index, "-CA", self.cert, "-rsigner", by.cert, "-rkey", by.key,
                "-reqin", request, "-respout", out, "-ndays", 7)
        return out

    def _sign(self, stem, begin, end):
        stamp = "%y%m%d%H%M%SZ"
        index = self.dir / "index.txt"
        index.write_text("")
        conf = self.dir / "ca.conf"
        conf.write_text(f"""[ca]
default_ca = x
[x]
database = {index}
new_certs_dir = {self.dir}
rand_serial = yes
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
""")
        openssl("ca", "-batch", "-notext", "-config", conf, "-cert", self.cert, "-keyfile",
                self.key, "-in", f"{stem}.csr", "-out", f"{stem}.pem", "-extfile",
                self.dir / "new.ext", "-startdate", begin.strftime(stamp), "-enddate",
                end.strftime(stamp))


def context(authority=None, **options):
    c = ssl.create_default_context(cafile=authority.cert if authority else None)
    if authority is None:
        c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    for name, value in options.items():
        setattr(c, name, value)
    c.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # an end without close_notify is an error
    return c


def connect(port, name=None, ctx=None, session=None, timeout=10):
    """A TLS connection to that local port, the handshake done."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    return (ctx or context()).wrap_socket(raw, server_hostname=name, session=session)


def get(s, path="/", host="x", headers=""):
    """One request on an open connection -> (head, body)."""
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(65536)
        assert more, data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    while len(body) < length:
        more = s.recv(65536)
        assert more, "the answer ended early"
        body += more
    return head.decode(), body


def secret_of(file):
    """A piece of the key in a file, as it is written there. The first line begins with its kind."""
    return re.search(r"PRIVATE KEY-----\n.*\n(.{40})", file.read_text()).group(1).encode()


def names(s):
    """The DNS names of the certificate that the server has shown (a verifying context)."""
    return {value for kind, value in s.getpeercert()["subjectAltName"] if kind == "DNS"}


class Wire:
    """A TLS connection whose bytes on the wire are in the test's hands; the handshake is done.
    `first` is sent in one piece with the end of it."""

    def __init__(self, port, ctx=None, name="a.test", timeout=10, first=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.received = bytearray()  # all records that came
        self.tls = (ctx or context()).wrap_bio(self._in, self._out, server_hostname=name)
        self._turn(lambda: self.tls.do_handshake() or (first and self.tls.write(first)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _turn(self, action):
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                self.send_raw(self._out.read())
                data = self.socket.recv(65536)
                self.received += data
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()
            finally:
                self.send_raw(self._out.read())

    def seal(self, data):
        """The records that carry `data`; they must be sent before any others."""
        self.tls.write(data)
        return self._out.read()

    def goodbye(self):
        """close_notify, as a record."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self._out.read()

    def send_raw(self, data):
        if data:
            self.socket.sendall(data)

    def send(self, data):
        self.send_raw(self.seal(data))

    def read(self, size=65536):
        """b"" at close_notify; ssl.SSLEOFError at an end without it."""
        try:
            return self._turn(lambda: self.tls.read(size))
        except ssl.SSLZeroReturnError:
            return b""

    def read_exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.read(size - len(data))
            assert more, f"the end came after {data[:200]!r}"
            data += more
        return data

    def read_to_end(self):
        """-> (all data, how it ended: "close_notify" and then FIN, or "cut")"""
        data = b""
        try:
            while more := self.read():
                data += more
            return data, "close_notify" if self.socket.recv(1) == b"" else "more"
        except (ssl.SSLError, ConnectionError):
            return data, "cut"

    def fin(self):
        self.socket.shutdown(socket.SHUT_WR)
