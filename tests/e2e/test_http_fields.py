# SPDX-License-Identifier: MIT
"""What happens to header fields on their way: hop-by-hop fields, who the client is, rules of the
configuration, request ids."""
import re
import select

import pytest

from harness import http
from harness.wire import ONE, chunked, post, request, seen


@pytest.fixture
def origin(sim):
    return sim("a")["a"]


@pytest.fixture
def lb(evlb, origin):
    return evlb(ONE, a=origin)


@pytest.fixture
def trusting(evlb, origin):
    return evlb(ONE + "trusted-proxies: [127.0.0.0/8]\n", a=origin)


def fields(lb, *lines):
    """The fields that the server saw of a request with these lines."""
    c = lb.client()
    c.send(request("GET /echo HTTP/1.1", "Host: test.local", *lines))
    return seen(c.response()).headers


# ---- hop-by-hop (trap 17)

def test_connection_and_what_it_names_stay_here(lb):
    h = fields(lb, "Connection: X-Hop, close , X-Other", "X-Hop: 1", "x-other: 2", "X-Kept: 3",
               "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive")
    for name in ("Connection", "X-Hop", "X-Other", "Keep-Alive", "Proxy-Connection"):
        assert name not in h, name
    assert h["X-Kept"] == "3"


@pytest.mark.parametrize("name", ["Host", "Content-Length", "X-Forwarded-For", "X-Forwarded-Proto",
                                  "Authorization", "Cookie", "X-Forwarded-Host"])
def test_connection_cannot_name_fields_away_that_matter(lb, name):
    c = lb.client()
    c.send(post("/echo", f"Connection: close, {name}", "Content-Length: 2", "Authorization: me",
                "Cookie: a=b", body=b"ab"))
    head = seen(c.response())
    assert name in head.headers
    assert head.body == b"ab"


def test_connection_cannot_name_transfer_encoding_away(lb):
    c = lb.client()
    c.send(post("/echo-raw", "Connection: Transfer-Encoding", "Transfer-Encoding: chunked",
                body=chunked(b"hello")))
    head = seen(c.response())
    assert head.headers["Transfer-Encoding"] == "chunked"
    assert head.body == chunked(b"hello")


def test_te_is_reduced_to_trailers(lb):
    assert fields(lb, "TE: gzip, trailers, deflate").all("TE") == ["trailers"]
    assert "TE" not in fields(lb, "TE: gzip")


def test_hop_by_hop_fields_of_a_response_stay_here(lb):
    r = lb.get("/?header=Connection:X-Hop&header=X-Hop:1&header=Keep-Alive:timeout%3D9"
               "&header=X-K:2")
    assert "X-Hop" not in r.headers and "Keep-Alive" not in r.headers
    assert r.headers["X-K"] == "2"


def test_fields_pass_unchanged_and_in_order(lb):
    lines = ["X-A: 1", "x-b:2", "X-A:  3\t", "X-Empty:", "X-Utf: \xe9", "x_y: under", "Accept: */*"]
    h = fields(lb, *lines)
    assert [v for n, v in h.pairs if n.lower() in ("x-a", "x-b")] == ["1", "2", "3"]
    assert h["X-Empty"] == "" and h["x_y"] == "under" and h["X-Utf"] == "\xe9"


def test_repeated_cookies_and_set_cookies_stay_apart(lb):
    assert fields(lb, "Cookie: a=1", "Cookie: b=2").all("Cookie") == ["a=1", "b=2"]
    r = lb.get("/?header=Set-Cookie:a%3D1&header=Set-Cookie:b%3D2")
    assert r.headers.all("Set-Cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("n", [255, 256, 270, 4095, 8192])
def test_long_names_do_not_hide_what_follows(lb, origin, n):
    """CVE-2021-40346: the length of a name in 8 bits."""
    name = "Content-Length" + "a" * (n - 14)
    c = lb.client()
    c.send(post("/echo", f"{name}: ", "Content-Length: 2", body=b"ab"))
    head = seen(c.response())
    assert head.body == b"ab" and head.headers[name] == ""
    assert origin.count()["bad_requests"] == 0


# ---- limits

def test_a_head_at_the_limit_passes_and_one_above_is_refused(lb, origin):
    frame = request("GET / HTTP/1.1", "Host: x", "X-Fill: ")
    for size, status in ((32 * 1024, 200), (32 * 1024 + 1, 431)):
        c = lb.client()
        fill = "f" * (size - len(frame))
        c.send(request("GET / HTTP/1.1", "Host: x", "X-Fill: " + fill))
        assert c.response().status == status
    assert origin.count()["requests"] == 1


def test_a_target_at_the_limit_passes_and_one_above_is_refused(lb, origin):
    for size, status in ((8192, 200), (8193, 414)):
        c = lb.client()
        c.send(request("GET /" + "a" * (size - 1) + " HTTP/1.1", "Host: x"))
        assert c.response().status == status
    assert origin.count()["requests"] == 1


def test_too_many_fields_are_refused(lb, origin):
    for n, status in ((99, 200), (100, 431)):
        c = lb.client()
        c.send(request("GET / HTTP/1.1", "Host: x", *("X-%d: 1" % i for i in range(n))))
        assert c.response().status == status
    assert origin.count()["requests"] == 1


def test_an_endless_head_is_refused_while_it_arrives(lb):
    c = lb.client()
    c.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Endless: ")
    for _ in range(40):
        c.send(b"e" * 4096)
        if select.select([c.sock], [], [], 0)[0]:
            break
    assert c.response().status == 431


# ---- who the client is (trap 23)

def test_forwarded_fields_are_written(lb):
    h = fields(lb)
    assert h.all("X-Forwarded-For") == ["127.0.0.1"]
    assert h.all("X-Forwarded-Proto") == ["http"]
    assert h.all("X-Forwarded-Host") == ["test.local"]


def test_what_a_stranger_says_of_himself_is_dropped(lb):
    h = fields(lb, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Real-IP: 1.2.3.4",
               "X-Forwarded-Host: evil", "Forwarded: for=1.2.3.4", "X-Request-ID: mine",
               "x-forwarded-for: 5.6.7.8")
    assert h.all("X-Forwarded-For") == ["127.0.0.1"]
    assert h.all("X-Forwarded-Proto") == ["http"]
    assert h.all("X-Forwarded-Host") == ["test.local"]
    assert "X-Real-IP" not in h and "Forwarded" not in h
    assert h["X-Request-ID"] != "mine"


def test_what_a_trusted_proxy_says_is_kept_and_added_to(trusting):
    h = fields(trusting, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https",
               "X-Forwarded-Host: www.test", "X-Real-IP: 1.2.3.4", "X-Request-ID: theirs",
               "Forwarded: for=1.2.3.4", "X-Forwarded-For: 5.6.7.8")
    assert h.all("X-Forwarded-For") == ["1.2.3.4, 5.6.7.8, 127.0.0.1"]
    assert h.all("X-Forwarded-Proto") == ["https"]
    assert h.all("X-Forwarded-Host") == ["www.test"]
    assert (h["X-Real-IP"], h["X-Request-ID"]) == ("1.2.3.4", "theirs")


def test_a_peer_outside_the_trusted_networks_is_a_stranger(evlb, origin):
    lb = evlb(ONE + "trusted-proxies: [10.0.0.0/8, 127.0.0.2, \"::1\"]\n", a=origin)
    assert fields(lb, "X-Forwarded-For: 1.2.3.4").all("X-Forwarded-For") == ["127.0.0.1"]


# ---- ids

def test_every_request_gets_an_id_and_a_trace(lb):
    first, second = fields(lb), fields(lb)
    for h in (first, second):
        assert re.fullmatch(r"[0-9a-f]{32}", h["X-Request-ID"])
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", h["traceparent"])
    assert first["X-Request-ID"] != second["X-Request-ID"]
    assert first["traceparent"] != second["traceparent"]


def test_a_trace_passes_untouched(lb):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    h = fields(lb, f"traceparent: {trace}", "tracestate: a=1")
    assert (h.all("traceparent"), h["tracestate"]) == ([trace], "a=1")


# ---- rules

RULES = """
workers: 1
frontends:
  web:
    listen: $port
    backend: app
    headers:
      request: {set: {X-Edge: front, X-Both: front}, remove: [X-Secret]}
      response: {set: {Server: evlb}, remove: [X-Server]}
backends:
  app:
    headers:
      request: {add: {X-List: [one, two], X-Edge-2: "2"}, remove: [X-Gone]}
      response: {add: {X-More: "1"}}
    servers: {a: $a}
"""


@pytest.fixture
def ruled(evlb, origin):
    return evlb(RULES, a=origin)


def test_request_rules_set_add_and_remove(ruled):
    h = fields(ruled, "X-Edge: client", "x-secret: s", "X-Gone: g", "X-List: zero")
    assert h.all("X-Edge") == ["front"]
    assert h.all("X-List") == ["zero", "one", "two"]
    assert "X-Secret" not in h and "X-Gone" not in h


def test_rules_have_the_last_word_on_what_evlb_writes(evlb, origin):
    lb = evlb("""
        workers: 1
        frontends:
          web:
            listen: $port
            backend: app
            headers: {request: {set: {X-Forwarded-Proto: https, Host: inner.test},
                                remove: [X-Forwarded-For, traceparent]}}
        backends: {app: {servers: {a: $a}}}
    """, a=origin)
    h = fields(lb)
    assert (h.all("X-Forwarded-Proto"), h.all("Host")) == (["https"], ["inner.test"])
    assert "X-Forwarded-For" not in h and "traceparent" not in h


def test_response_rules_set_add_and_remove(ruled):
    r = ruled.get("/?header=X-More:0&header=Server:origin")
    assert r.headers.all("Server") == ["evlb"]
    assert r.headers.all("X-More") == ["0", "1"]
    assert "X-Server" not in r.headers


def test_response_rules_leave_interim_responses_alone(ruled):
    c = ruled.client()
    c.request("GET", "/?early=103")
    interim = []
    c.response(interim=interim)
    assert "Server" not in interim[0].headers


# ---- answers of our own

def test_own_answers_are_html_or_json_by_accept(evlb):
    lb = evlb(ONE, a="127.0.0.1:1")
    assert lb.get("/").headers["Content-Type"].startswith("text/html")
    r = lb.get("/", {"Accept": "text/plain, application/json"})
    assert (r.status, r.headers["Content-Type"]) == (503, "application/json")
    c = lb.client()
    c.request("HEAD", "/")
    assert c.response("HEAD").status == 503


def test_nothing_of_the_request_is_repeated_in_an_answer(evlb):
    lb = evlb(ONE, a="127.0.0.1:1")
    r = lb.get("/<script>alert(1)</script>", {"Accept": "<script>"})
    assert b"script" not in r.body


# ---- other addresses

def test_an_ipv6_client_is_named_without_brackets(evlb, origin):
    lb = evlb("""
        workers: 1
        frontends: {web: {listen: ["$port", "[::1]:$port_6"], backend: app}}
        backends: {app: {servers: {a: $a}}}
    """, a=origin)
    with http.Client(("::1", lb.ports["port_6"])) as c:
        assert seen(c.get("/echo")).headers.all("X-Forwarded-For") == ["::1"]


def test_over_unix_sockets_there_is_no_client_address(evlb, sim, tmp_path):
    lb = evlb("""
        workers: 1
        frontends: {web: {listen: ["$port", "unix:$path"], backend: app}}
        backends: {app: {servers: {a: $a}}}
        log: {access: true}
    """, sim("a"), path=tmp_path / "web.sock")
    with http.Client(str(tmp_path / "web.sock")) as c:
        assert "X-Forwarded-For" not in seen(c.get("/echo", {"X-Forwarded-For": "1.2.3.4"})).headers
        assert c.get("/").status == 200
    assert lb.wait_access(2)[0]["client"] in (None, "unix")


def test_http10_without_host_is_forwarded_with_the_servers_address(lb, origin):
    c = lb.client()
    c.send(b"GET /echo HTTP/1.0\r\n\r\n")
    assert seen(c.response()).headers.all("Host") == [origin.address]


def test_http10_with_an_empty_host_is_forwarded_with_the_servers_address(lb, origin):
    c = lb.client()
    c.send(b"GET /echo HTTP/1.0\r\nHost:\r\n\r\n")
    assert seen(c.response()).headers.all("Host") == [origin.address]
