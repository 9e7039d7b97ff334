# SPDX-License-Identifier: MIT
"""Certificates of a running evlb: listed, replaced, watched, with OCSP answers; ticket keys."""
import datetime
import ssl
import time

import pytest

from harness import tls

WEB = """
    workers: 2
    frontends:
      web: {listen: "127.0.0.1:$port", tls: $tls, backend: app}
    backends:
      app: {servers: [$a], health: off}
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return tls.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def site(ca, tmp_path):
    return ca.make(tmp_path / "site.pem", "a.test", "*.w.test")


def serial(file):
    """In hexadecimal, as OpenSSL writes it."""
    return tls.openssl("x509", "-in", file, "-noout", "-serial").split("=")[1].strip()


def shown(lb, ca, name="a.test"):
    """The serial number of the certificate that a new handshake gets."""
    with tls.connect(lb.port, name, tls.context(ca)) as s:
        return s.getpeercert()["serialNumber"]


# ---- OCSP ----

def stapled(lb, ca, name="a.test", version="-tls1_3"):
    return tls.openssl("s_client", "-connect", lb.address, "-servername", name, "-status", version,
                       "-CAfile", ca.cert, stdin=b"", check=False)


@pytest.mark.parametrize("name", ["site.pem.ocsp", "site.ocsp"])
def test_an_ocsp_answer_is_given_to_clients_that_ask(evlb, sim, ca, site, tmp_path, name):
    ca.ocsp(site, tmp_path / name)
    lb = evlb(WEB, sim("a"), tls=site)
    for version in ("-tls1_2", "-tls1_3"):
        out = stapled(lb, ca, version=version)
        assert "OCSP Response Status: successful" in out and "Cert Status: good" in out
    assert shown(lb, ca) == serial(site)  # one that does not ask


def test_each_certificate_has_its_own_ocsp_answer(evlb, sim, ca, tmp_path):
    for kind in ("ec", "rsa"):
        file = ca.make(tmp_path / f"certs/{kind}.pem", "a.test",
                       key="ecdsa" if kind == "ec" else "rsa")
        ca.ocsp(file, tmp_path / f"certs/{kind}.ocsp")
    ca.make(tmp_path / "certs/other.pem", "b.test")
    lb = evlb(WEB, sim("a"), tls=tmp_path / "certs")
    for kind, algorithm in (("ec", "ECDSA+SHA256"), ("rsa", "RSA-PSS+SHA256")):
        out = tls.openssl("s_client", "-connect", lb.address, "-servername", "a.test", "-status",
                          "-sigalgs", algorithm, stdin=b"", check=False)
        assert f"Serial Number: {serial(tmp_path / f'certs/{kind}.pem')}" in out
    assert "no response sent" in stapled(lb, ca, "b.test")


def test_ocsp_answers_that_are_not_given(evlb, sim, run_evlb, ca, tmp_path):
    stranger = tls.Authority(tmp_path / "stranger")
    other = ca.make(tmp_path / "other.pem", "b.test")
    faults = {}
    def make(name, why, **options):
        faults[name] = why
        file = ca.make(tmp_path / f"certs/{name}.pem", f"{name}.test", **options)
        return file, file.with_suffix(".ocsp")
    ca.ocsp(*make("revoked", "it says that the certificate is revoked"), status="revoked")
    ends_in(ca.ocsp(*make("expired", "it has expired", ca=False)), -60)
    ca.ocsp(*make("unknown", "does not know the certificate"), status="unknown")
    ca.ocsp(*make("forged", "not signed by the issuer"), signer=stranger)
    ca.ocsp(other, make("swapped", "it is about another certificate")[1])
    make("garbage", "it is no OCSP answer")[1].write_bytes(b"hello")
    make("empty", "it is no OCSP answer")[1].write_bytes(b"")
    make("refusal", "the responder has refused")[1].write_bytes(b"\x30\x03\x0a\x01\x06")
    for name, why in faults.items():
        (tmp_path / "check.yaml").write_text(
            f"listen: 1\ntls: {tmp_path}/certs/{name}.pem\nservers: [10.0.0.1:80]\n")
        r = run_evlb("check", "-c", tmp_path / "check.yaml")
        assert r.status == 0 and "warning" in r.out and why in r.out and f"{name}.ocsp" in r.out
    lb = evlb(WEB, sim("a"), tls=tmp_path / "certs")
    for name in faults:
        out = stapled(lb, ca, f"{name}.test")
        assert "no response sent" in out and f"CN = {name}.test" in out, out


def ends_in(file, seconds):
    """Gives an OCSP answer another end (nextUpdate), which breaks its signature: for certificates
    without their chain, where it is not looked at."""
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    answer = file.read_bytes()
    at = answer.index(b"\xa0\x11\x18\x0f") + 4  # [0] GeneralizedTime
    file.write_bytes(answer[:at] + end.strftime("%Y%m%d%H%M%SZ").encode() + answer[at + 15:])
    return end


def test_an_ocsp_answer_that_expires_is_not_given_any_more(evlb, sim, ca, tmp_path):
    site = ca.make(tmp_path / "site.pem", "a.test", ca=False)
    end = ends_in(ca.ocsp(site, tmp_path / "site.ocsp"), 4)
    lb = evlb(WEB, sim("a"), tls=site)
    assert "OCSP Response Status: successful" in stapled(lb, ca)
    time.sleep(max(0.0, end.timestamp() - time.time()) + 0.1)
    assert "no response sent" in stapled(lb, ca)
