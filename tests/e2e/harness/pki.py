# SPDX-License-Identifier: MIT
"""Authorities that sign certificates of clients, and take them back."""
import datetime

from harness.tls import KEYS, openssl

CONF = """[ca]
default_ca = x
[x]
database = {dir}/index.txt
new_certs_dir = {dir}
crlnumber = {dir}/crlnumber
rand_serial = yes
default_md = sha256
policy = p
unique_subject = no
default_crl_days = 30
string_mask = utf8only
[p]
commonName = optional
organizationName = optional
organizationalUnitName = optional
[req]
distinguished_name = dn
string_mask = utf8only
utf8 = yes
[dn]
"""


def stamp(days):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return when.strftime("%y%m%d%H%M%SZ")


class Signer:
    """An authority in a directory of its own; signed by `by`, or by itself."""

    def __init__(self, directory, name, by=None, days=(-10, 3650)):
        self.dir, self.name = directory, name
        directory.mkdir(parents=True)
        self.conf, self.cert, self.key = (directory / f for f in ("ca.conf", "ca.pem", "ca.key"))
        self.conf.write_text(CONF.format(dir=directory))
        (directory / "index.txt").write_text("")
        (directory / "crlnumber").write_text("01\n")
        self._request(self.dir / "ca", f"/CN={name}")
        ext = "basicConstraints=critical,CA:true\nkeyUsage=keyCertSign,cRLSign\n"
        (by or self)._sign(self.dir / "ca", ext, days, itself=by is None)

    def _request(self, stem, subject):
        openssl("req", "-new", "-config", self.conf, *KEYS["ecdsa"], "-nodes", "-utf8",
                "-multivalue-rdn", "-subj", subject, "-keyout", f"{stem}.key",
                "-out", f"{stem}.csr")

    def _sign(self, stem, ext, days, itself=False):
        (self.dir / "ext").write_text(ext)
        by = ["-selfsign"] if itself else ["-cert", self.cert]
        openssl("ca", "-batch", "-notext", "-utf8", "-preserveDN", "-config", self.conf, *by,
                "-keyfile", self.key, "-in", f"{stem}.csr", "-out", f"{stem}.pem", "-extfile",
                self.dir / "ext", "-startdate", stamp(days[0]), "-enddate", stamp(days[1]))

    def client(self, name, subject=None, days=(-1, 90), ext="extendedKeyUsage=clientAuth\n",
               chain=()):
        """A file with certificate, the certificates of `chain`, and key."""
        stem = self.dir / name
        self._request(stem, subject or f"/O=Example/CN={name}")
        self._sign(stem, ext, days)
        pem = stem.with_suffix(".pem")
        pem.write_text(pem.read_text() + "".join(c.cert.read_text() for c in chain) +
                       stem.with_suffix(".key").read_text())
        return pem

    def revoke(self, cert):
        openssl("ca", "-config", self.conf, "-cert", self.cert, "-keyfile", self.key, "-revoke",
                cert)

    def crl(self, file=None, ended=False):
        """The list of what was taken back, in `file`."""
        file = file or self.dir / "list.crl"
        times = ["-crl_lastupdate", stamp(-5), "-crl_nextupdate", stamp(-1)] if ended else []
        openssl("ca", "-config", self.conf, "-cert", self.cert, "-keyfile", self.key, "-gencrl",
                *times, "-out", file)
        return file


def serial(cert):
    """In hexadecimal, as OpenSSL writes it."""
    return openssl("x509", "-in", cert, "-noout", "-serial").split("=")[1].strip()
