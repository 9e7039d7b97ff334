# SPDX-License-Identifier: MIT
"""What HTTP has to say about TLS: the redirect to https, Strict-Transport-Security."""
import pytest

from harness import tls

BOTH = """
    workers: 1
    frontends:
      web:
        listen: ["127.0.0.1:$port", {address: "127.0.0.1:$port2", tls: $tls}]
        redirect: https
        $more
        backend: app
    backends:
      app: {servers: [$a], health: off}
"""


@pytest.fixture
def both(evlb, sim, site):
    """One frontend with a plain and a TLS address."""
    def start(more=""):
        return evlb(text(more), sim("a"), tls=site)
    return start


def text(more):
    return BOTH.replace("$more", more)


def secure_get(lb, path="/", headers=""):
    """One request over TLS -> (status line and fields, body)."""
    with tls.connect(lb.ports["port2"], "a.test") as s:
        return tls.get(s, path, "a.test", headers)


# ---- redirect: https ----

def test_one_frontend_redirects_what_is_plain_and_serves_what_is_not(both):
    lb = both()
    r = lb.request("GET", "/x?y=1", headers={"Host": "a.test:8080"})
    assert (r.status, r.headers["Location"]) == (308, "https://a.test/x?y=1")
    head, body = secure_get(lb, "/echo")
    assert head.startswith("HTTP/1.1 200 ") and b"X-Forwarded-Proto: https" in body


def test_the_port_is_said_where_it_is_another(evlb, sim, site, run_evlb):
    lb = evlb(text("").replace("redirect: https", "redirect: https:$port2"), sim("a"), tls=site)
    location = lb.request("GET", "/x", headers={"Host": "a.test:8080"}).headers["Location"]
    assert location == f"https://a.test:{lb.ports['port2']}/x"
    shown = run_evlb("explain", "-c", lb.config_file).out
    assert f"redirect: https:{lb.ports['port2']}" in shown
    assert "backend   app" in run_evlb("explain", "route", location, "-c", lb.config_file).out


def test_it_comes_before_all_routes(both):
    lb = both(more="routes: [{path: /echo, backend: app}]")
    assert lb.get("/echo").status == 308
    assert secure_get(lb, "/echo")[0].startswith("HTTP/1.1 200 ")


def test_a_stranger_cannot_say_that_it_spoke_tls(both):
    r = both().get("/", headers={"X-Forwarded-Proto": "https"})
    assert r.status == 308


@pytest.mark.parametrize("proto, status", [
    ("https", 200), ("HTTPS", 200), ("wss", 200), ("https, http", 200), ("http", 308),
    ("http, https", 308), ("", 308), ("httpsx", 308)])
def test_a_trusted_proxy_says_what_its_client_spoke(both, proto, status):
    lb = both(more="trusted-proxies: [127.0.0.1]")
    assert lb.get("/", headers={"X-Forwarded-Proto": proto}).status == status
    head, _ = secure_get(lb, "/", f"X-Forwarded-Proto: {proto}\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")


def test_explain_route_knows_the_difference(run_evlb, tmp_path, site):
    config = tmp_path / "explained.yaml"
    config.write_text("listen: [80, {address: 443, tls: %s}]\nredirect: https\n"
                      "servers: 10.0.0.1:80\n" % site)

    def explain(url, *args):
        r = run_evlb("explain", "route", url, *args, "-c", str(config))
        assert r.status == 0, r.err
        return r.out

    plain = explain("http://a.test/x")
    assert "308 to https://a.test/x" in plain and "everything that is not over TLS" in plain
    assert "10.0.0.1:80" in explain("https://a.test/x")
    assert "10.0.0.1:80" in explain("a.test:443/x")
    assert "308" in explain("a.test:80/x")
    assert "port 443 speaks TLS only" in explain("http://a.test:443/")
    assert "port 80 speaks no TLS" in explain("https://a.test:80/")
    assert "308" in explain("http://a.test/", "-H", "X-Forwarded-Proto: https")
    config.write_text(config.read_text() + "trusted-proxies: 10.0.0.9\n")
    assert "10.0.0.1:80" in explain("http://a.test/", "-H", "X-Forwarded-Proto: https")


# ---- hsts ----

HSTS = "strict-transport-security: "


def hsts_of(head):
    return [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith(HSTS)]


def test_hsts_goes_with_answers_over_tls_alone(both):
    lb = both(more="hsts: 1y\n        routes: [{path: /no, deny: 403}, {path: /echo, backend: app}]")
    assert hsts_of(secure_get(lb, "/echo")[0]) == ["max-age=31536000"]
    assert hsts_of(secure_get(lb, "/no")[0]) == ["max-age=31536000"]
    with tls.connect(lb.ports["port2"], "a.test") as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert hsts_of(s.recv(65536).decode()) == ["max-age=31536000"]
    r = lb.get("/echo")
    assert r.status == 308 and r.headers.get("Strict-Transport-Security") is None


def test_hsts_of_a_server_or_of_the_headers_is_left_alone(both):
    long = "hsts: {max-age: 1d, subdomains: true}"
    lb = both(more=long)
    path = "/?header=strict-transport-security:max-age=5"
    assert hsts_of(secure_get(lb, path)[0]) == ["max-age=5"]
    assert hsts_of(secure_get(lb)[0]) == ["max-age=86400; includeSubDomains"]
    lb.reload(text(long + "\n        headers: {response: {set: {Strict-Transport-Security: x}}}"))
    assert hsts_of(secure_get(lb, path)[0]) == ["x"]
    lb.reload(text(long + "\n        headers: {response: {remove: Strict-Transport-Security}}"))
    assert hsts_of(secure_get(lb, path)[0]) == []


def test_hsts_behind_a_proxy_that_ends_tls(both):
    lb = both(more="hsts: 1y\n        trusted-proxies: [127.0.0.1]")
    r = lb.get("/", headers={"X-Forwarded-Proto": "https"})
    assert (r.status, r.headers["Strict-Transport-Security"]) == (200, "max-age=31536000")
    r = lb.get("/", headers={"X-Forwarded-Proto": "http"})
    assert r.status == 308 and r.headers.get("Strict-Transport-Security") is None
    head, _ = secure_get(lb, "/", "X-Forwarded-Proto: http\r\n")
    assert head.startswith("HTTP/1.1 308 ") and hsts_of(head) == []
