# SPDX-License-Identifier: MIT
"""`evlb explain route` about TLS: what it says of a client is what a client finds."""
import json
import ssl

import pytest

from harness import tls

CONFIG = """
    workers: 1
    frontends:
      web:
        listen:
          - {address: "127.0.0.1:$port", tls: {certs: [$site, $other], strict-sni: true, min: 1.3}}
          - "127.0.0.1:$port2"
        backend: app
      loose:
        listen: "127.0.0.1:$port3"
        tls: {certs: [$site, $rsa, $other]}
        backend: app
      raw: {listen: "127.0.0.1:$port4", mode: tcp, tls: $site, backend: raw}
    backends:
      app: {servers: [$a], health: off}
      raw: {servers: [$a], health: off}
"""


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    directory = tmp_path_factory.mktemp("explained")
    ca = tls.Authority(directory / "ca")
    return {"site": ca.make(directory / "site.pem", "a.test", "*.w.test"),
            "rsa": ca.make(directory / "rsa.pem", "a.test", key="rsa"),
            "other": ca.make(directory / "other.pem", "b.test")}


@pytest.fixture
def lb(evlb, sim, pems):
    return evlb(CONFIG, sim("a"), **pems)


@pytest.fixture
def explain(run_evlb, lb):
    def route(url, *args):
        for name, port in lb.ports.items():
            url = url.replace(f"<{name}>", str(port))
        r = run_evlb("explain", "route", url, *args, "-c", lb.config_file)
        assert r.status == 0, r.err
        assert all(len(line) <= 80 for line in r.out.splitlines() if "/" not in line), r.out
        return r.out
    return route


def outcome(port, name, version=None):
    """The alert that a client gets, or the certificate that it is shown (DER)."""
    ctx = tls.context()
    if version:
        ctx.maximum_version = version
    try:
        with tls.connect(port, name, ctx) as s:
            return s.getpeercert(True)
    except ssl.SSLError as e:
        return e.reason


@pytest.mark.parametrize("name, args, options, alert", [
    ("nope.test", [], {}, "unrecognized_name"),
    (None, [], {}, "unrecognized_name"),
    ("x.y.w.test", [], {}, "unrecognized_name"),
    ("a.test", ["--tls-version", "1.2"], {"version": ssl.TLSVersion.TLSv1_2}, "protocol_version"),
    ("nope.test", ["--tls-version", "1.2"], {"version": ssl.TLSVersion.TLSv1_2}, "protocol_version"),
])
def test_clients_that_are_refused(lb, explain, name, args, options, alert):
    said = explain(f"https://{name or '127.0.0.1'}:<port>/", *args)
    assert f"alert {alert}\n" in said and "refused   " in said
    assert "backend" not in said and "cert  " not in said
    assert alert.upper() in outcome(lb.port, name, **options)
    line = lb.wait_access()[0]
    assert (line["end"], line["sni"]) == ("tls-failed", name)  # also of who is too old to be asked


def test_clients_that_speak_no_protocol_of_ours(lb, explain):
    assert "refused   it does not offer http/1.1: alert no_application_protocol\n" in \
        explain("https://a.test:<port>/", "--alpn", "h2")
    assert "alert no application protocol" in tls.openssl(
        "s_client", "-connect", f"127.0.0.1:{lb.port}", "-servername", "a.test", "-alpn", "h2",
        stdin=b"", check=False)
    assert "backend   app" in explain("https://a.test:<port>/", "--alpn", "h2,http/1.1")


def test_what_the_port_does_not_speak(lb, explain, curl):
    ports = lb.ports
    said = explain("http://a.test:<port>/")
    assert f"refused   port {lb.port} speaks TLS only: answered with 400\n" in said
    assert "this port speaks HTTPS" in curl(f"http://127.0.0.1:{lb.port}/").out
    said = explain("https://a.test:<port2>/")
    assert f"refused   port {ports['port2']} speaks no TLS: answered with 400\n" in said
    assert outcome(ports["port2"], "a.test") == "WRONG_VERSION_NUMBER"  # it is an HTTP answer
    said = explain("http://a.test:<port4>/")
    assert f"port {ports['port4']} speaks TLS only: the connection is closed\n" in said
    assert "refused" not in explain("http://a.test:<port2>/")


@pytest.mark.parametrize("name, files, default", [
    ("a.test", ["site", "rsa"], False), ("x.w.test", ["site"], False), ("b.test", ["other"], False),
    ("B.test.", ["other"], False), ("nope.test", ["site", "rsa"], True), (None, ["site", "rsa"], True)])
def test_the_certificate_that_is_shown(lb, explain, pems, name, files, default):
    url = f"https://{name or '127.0.0.1'}:<port3>/"
    found = json.loads(explain(url, "--format=json"))
    assert [c["file"] for c in found["certificates"]] == [str(pems[f]) for f in files]
    assert {c["default"] for c in found["certificates"]} == {default}
    assert found["backend"] == "app" and "refused" not in found
    said = explain(url)
    assert f"cert      {pems[files[0]]} (ECDSA P-256): " in said
    assert ("\n          the default: " in said) == default
    shown = ssl.DER_cert_to_PEM_cert(outcome(lb.ports["port3"], name)).strip()
    assert shown in pems[files[0]].read_text()  # this client can check both


def test_refusals_and_certificates_as_json(explain, pems):
    refused = json.loads(explain("https://nope.test:<port>/", "--format=json"))
    assert refused["route"] is None and "unrecognized_name" in refused["refused"]
    assert refused["certificates"] == []
    shown = json.loads(explain("https://b.test:<port>/", "--format=json"))["certificates"]
    assert shown == [{"file": str(pems["other"]), "key": "ECDSA P-256", "names": ["b.test"],
                      "default": False}]


def test_a_certificate_that_cannot_be_used_is_said(run_evlb, pems, tmp_path):
    bad = tmp_path / "bad.pem"
    bad.write_text(pems["site"].read_text().replace("MI", "MA", 1))
    r = run_evlb("explain", "route", "https://a.test/", "-c", "-",
                 stdin=f"listen: 443\ntls: {bad}\nservers: 10.0.0.1:80\n")
    assert r.status == 0 and "cert      cannot be used: " in r.out and "servers   s1" in r.out, r.err


MUTUAL = """
    frontends:
      web:
        listen: 443
        tls: {certs: $site, client-ca: $ca$more}
        routes: [$routes, {backend: app}]
    backends: {app: [10.0.0.1:80], ops: [10.0.0.2:80]}
"""


def test_a_client_certificate_that_has_to_be_shown_is_assumed(run_evlb, pems):
    def say(routes, *args, more="", status=0):
        text = MUTUAL.replace("$site", str(pems["site"])).replace("$more", more)
        text = text.replace("$ca", str(pems["site"].parent / "ca/ca.crt"))
        r = run_evlb("explain", "route", "https://a.test/", *args, "-c", "-",
                     stdin=text.replace("$routes", routes))
        assert r.status == status, r.err
        return r.out + r.err
    plain, ops = "{path: /x, deny: 403}", '{client-subject: "CN=ops", backend: ops}'
    none = "{client-cert: none, deny: 403}"
    assert "assumed   a client certificate\n" in say(plain)
    assert "assumed   another client certificate\n" in say(ops) and "backend   app" in say(ops)
    said = say(ops, "--client-subject", "CN=ops")
    assert "assumed" not in said and "backend   ops" in said
    assert "backend   app" in say(none)  # who shows none does not get as far
    optional = ", client-verify: optional"
    assert "assumed" not in say(plain, more=optional)
    assert "assumed   no client certificate\n" in say(none, more=optional)
    assert "answer    403" in say(none, more=optional)


def test_a_subject_where_nobody_asks_for_one(run_evlb, pems):
    r = run_evlb("explain", "route", "https://a.test/", "--client-subject", "CN=x", "-c", "-",
                 stdin=f"listen: 443\ntls: {pems['site']}\nservers: 10.0.0.1:80\n")
    assert r.status == 1 and "clients are not asked for certificates" in r.err
