# SPDX-License-Identifier: MIT
"""The course of an exchange: interim responses, Expect, early answers, lingering close, upgrades,
CONNECT, forms of the target, versions, half-closed clients."""
import socket
import threading
import time

import pytest

from harness import http
from harness.wire import ONE, Head, chunked, eventually, pattern, post, request, seen


@pytest.fixture
def origin(sim):
    return sim("a")["a"]


@pytest.fixture
def lb(evlb, origin):
    return evlb(ONE, a=origin)


# ---- 1xx (trap 11)

def test_every_interim_response_is_passed_on(lb):
    c = lb.client()
    c.request("GET", "/?early=103,100,102,103&size=10")
    interim = []
    r = c.response(interim=interim)
    assert [i.status for i in interim] == [103, 100, 102, 103]
    assert r.body == pattern(10)
    assert c.get("/").status == 200


def test_interim_responses_come_before_the_final_one_is_there(lb):
    c = lb.client()
    c.request("GET", "/?early=103&delay=400ms")
    begin = time.monotonic()
    assert b" 103 " in c.read_until(b"\r\n\r\n")
    assert time.monotonic() - begin < 0.35
    assert c.response().status == 200


def test_no_interim_response_for_http10(lb):
    c = lb.client()
    c.send(b"GET /?early=103,100 HTTP/1.0\r\n\r\n")
    interim = []
    assert c.response(interim=interim).status == 200
    assert interim == []


def test_a_thousand_interim_responses(lb):
    c = lb.client()
    c.request("GET", "/?bad=1xx-flood")
    interim = []
    assert c.response(interim=interim).status == 200
    assert len(interim) == 1000


def test_only_an_interim_response_is_no_answer(lb):
    c = lb.client()
    c.request("GET", "/?bad=100-only")
    assert c.response().status == 502


# ---- Expect (trap 12)

def test_expect_waits_for_the_servers_100(lb, origin):
    c = lb.client()
    c.send(post("/", "Expect: 100-continue", "Content-Length: 5"))
    assert c.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
    c.send(b"hello")
    assert c.response().headers["X-Body-Bytes"] == "5"


def test_expect_refused_by_the_server(lb, origin):
    c = lb.client()
    c.send(post("/?expect=417", "Expect: 100-continue", "Content-Length: 5"))
    assert c.response().status == 417
    assert c.read_until_close() == b""
    assert lb.get("/").headers["X-Conn-Request"] == "1"


def test_expect_ignored_by_the_server_is_no_deadlock(lb):
    c = lb.client()
    c.send(post("/?expect=ignore", "Expect: 100-continue", "Content-Length: 5"))
    c.expect_silence(0.2)
    c.send(b"hello")
    assert c.response().headers["X-Body-Bytes"] == "5"


def test_expect_of_http10_is_not_passed_on(lb):
    c = lb.client()
    c.send(b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab")
    head = seen(c.response())
    assert "Expect" not in head.headers and head.body == b"ab"


# ---- early answers, lingering close (traps 13, 14)

def test_an_early_answer_reaches_a_client_that_is_still_sending(lb, origin):
    c = lb.client()
    c.send(post("/?status=413&no-read=1", "Content-Length: 4000000", body=b"x" * 200000))
    sender = threading.Thread(target=_send_quietly, args=(c, b"x" * 1_000_000))
    sender.start()
    assert c.response().status == 413
    sender.join()
    assert lb.get("/").headers["X-Conn-Request"] == "1"


def _send_quietly(c, data):
    try:
        c.sock.sendall(data)
    except OSError:
        pass


def test_an_early_answer_of_a_server_that_resets(lb):
    """The answer may be lost with the reset, but then it is a 502, never nothing."""
    c = lb.client()
    c.send(post("/?status=413&no-read=1&close=quiet", "Content-Length: 400000"))
    _send_quietly(c, b"x" * 100000)
    assert c.response().status in (413, 502)


def test_an_early_answer_of_a_server_that_reads_on(lb, origin):
    c = lb.client()
    c.send(post("/?status=401&no-read=drain", "Content-Length: 100000", body=b"x" * 50000))
    r = c.response()
    assert r.status == 401
    assert r.headers["Connection"] == "close"


def test_a_refused_request_is_answered_before_the_close(lb, origin):
    """Bytes that nobody reads would turn the close into a reset that destroys the 400."""
    c = lb.client()
    c.send(b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n" + b"x" * 200000)
    time.sleep(0.1)
    assert c.response().status == 400
    c.expect_close()


def test_lingering_ends(lb):
    """A client that never stops sending is cut after a while."""
    c = lb.client()
    c.send(b"BAD\r\n\r\n")
    assert c.response().status == 400
    begin = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() < begin + 8:
            c.sock.sendall(b"x" * 1000)
            time.sleep(0.01)


# ---- half-close (trap 15)

def test_a_request_followed_by_fin_is_answered(lb):
    """printf ... | nc"""
    c = lb.client()
    c.send(request("GET /?size=100000 HTTP/1.1", "Host: x")).half_close()
    r = c.response()
    assert r.body == pattern(100000)
    c.expect_close()


def test_pipelined_requests_followed_by_fin_are_answered(lb):
    c = lb.client()
    c.send(request("GET /?header=N:1&delay=50ms HTTP/1.1", "Host: x") +
           request("GET /?header=N:2 HTTP/1.1", "Host: x")).half_close()
    assert [c.response().headers["N"] for _ in range(2)] == ["1", "2"]
    c.expect_close()


def test_an_upload_followed_by_fin_is_answered(lb):
    c = lb.client()
    c.send(post("/", "Content-Length: 100000", body=pattern(100000))).half_close()
    assert c.response().headers["X-Body-Bytes"] == "100000"


# ---- upgrades (trap 18)

UPGRADE = ("Host: x", "Connection: Upgrade", "Upgrade: websocket")


def test_upgrade_becomes_a_tunnel(lb):
    c = lb.client()
    c.send(request("GET /chat HTTP/1.1", *UPGRADE))
    r = c.response()
    assert r.status == 101
    assert r.headers["Connection"].lower() == "upgrade"
    assert r.headers["Upgrade"] == "websocket"
    for data in (b"ping", b"\0\xff" * 5000, b"GET / HTTP/1.1\r\n\r\n"):
        c.send(data)
        assert c.read_exact(len(data)) == data


def test_bytes_right_behind_the_upgrade_pass_both_ways(lb):
    c = lb.client()
    c.send(request("GET /?greet=1 HTTP/1.1", *UPGRADE, body=b"early bird"))
    assert c.response().status == 101
    assert c.read_exact(len(b"a ready\nearly bird")) == b"a ready\nearly bird"


def test_upgrade_refused_stays_http(lb):
    c = lb.client()
    c.send(request("GET /?upgrade-status=200&size=3 HTTP/1.1", *UPGRADE))
    assert c.response().body == pattern(3)
    r = c.get("/echo")
    assert seen(r).line == "GET /echo HTTP/1.1"


@pytest.mark.parametrize("token", ["h2c", "HTTP/2.0", "TLS/1.0", "websocket, h2c"])
def test_upgrades_to_another_http_do_not_pass(lb, origin, token):
    c = lb.client()
    c.send(request("GET /echo HTTP/1.1", "Host: x", "Connection: Upgrade, HTTP2-Settings",
                   f"Upgrade: {token}", "HTTP2-Settings: AAMAAABkAAQAAP__"))
    head = seen(c.response())
    assert "Upgrade" not in head.headers
    assert "HTTP2-Settings" not in head.headers


@pytest.mark.parametrize("bad", ["101", "101-h2c"])
def test_a_101_without_being_asked_is_a_bad_gateway(lb, bad):
    c = lb.client()
    assert c.get(f"/?bad={bad}").status == 502


def test_an_upgrade_with_a_body_does_not_pass(lb):
    c = lb.client()
    c.send(request("POST /echo HTTP/1.1", *UPGRADE, "Content-Length: 3", body=b"abc"))
    head = seen(c.response())
    assert "Upgrade" not in head.headers and head.body == b"abc"


def test_a_tunnel_passes_half_closes_on(lb):
    c = lb.client()
    c.send(request("GET / HTTP/1.1", *UPGRADE))
    assert c.response().status == 101
    c.send(b"last words").half_close()
    assert c.read_until_close() == b"last words"


def test_a_tunnel_counts_as_in_flight_until_it_ends(lb):
    c = lb.client()
    c.send(request("GET / HTTP/1.1", *UPGRADE))
    assert c.response().status == 101
    time.sleep(0.1)
    assert lb.status()["backends"][0]["in_flight"] == 1
    c.close()
    lb.wait_idle()


def test_a_reset_in_a_tunnel_reaches_the_server(lb, origin):
    c = lb.client()
    c.send(request("GET / HTTP/1.1", *UPGRADE))
    assert c.response().status == 101
    c.reset()
    assert eventually(lambda: origin.count()["open"] == 0)


def test_a_tunnel_connection_is_never_pooled(lb, origin):
    c = lb.client()
    c.send(request("GET / HTTP/1.1", *UPGRADE))
    assert c.response().status == 101
    c.half_close()
    c.read_until_close()
    assert lb.get("/").headers["X-Conn-Request"] == "1"


# ---- CONNECT and targets (traps 19, 20)

def test_connect_is_refused_and_its_bytes_go_nowhere(lb, origin):
    c = lb.client()
    c.send(request("CONNECT example.com:443 HTTP/1.1", "Host: example.com:443") +
           request("GET /smuggled HTTP/1.1", "Host: x"))
    r = c.response()
    assert r.status == 405
    assert "Allow" in r.headers
    assert origin.count()["requests"] <= 1
    assert origin.count()["methods"].get("CONNECT", 0) == 0


@pytest.mark.parametrize("line, target, host", [
    ("GET http://other.test/p?q HTTP/1.1", "/p?q", "other.test"),
    ("GET http://other.test:81 HTTP/1.1", "/", "other.test:81"),
    ("GET HTTP://other.test/?q HTTP/1.1", "/?q", "other.test"),
    ("OPTIONS http://other.test HTTP/1.1", "*", "other.test"),
    ("OPTIONS * HTTP/1.1", "*", "test.local"),
    ("GET /a//b/../c%2Fd?x=%00 HTTP/1.1", "/a//b/../c%2Fd?x=%00", "test.local"),
])
def test_targets_are_forwarded_in_origin_form(evlb, line, target, host):
    """The authority of an absolute target replaces Host: RFC 9112 section 3.2.2."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        lb = evlb(ONE, a="127.0.0.1:%d" % listener.getsockname()[1])
        c = lb.client()
        c.send(request(line, "Host: test.local"))
        server, _ = listener.accept()
        with server:
            head = Head(server.recv(65536))
            server.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert c.response().status == 204
    assert head.line == f"{line.split()[0]} {target} HTTP/1.1"
    assert head.headers.all("Host") == [host]


@pytest.mark.parametrize("line", [
    "GET /a#b HTTP/1.1", "GET /a b HTTP/1.1", "GET a HTTP/1.1", "GET * HTTP/1.1",
    "GET http:///p HTTP/1.1", "GET ftp://x/ HTTP/1.1", "GET //user@x HTTP/1.1 ",
    "GET http://u:p@x/ HTTP/1.1", "GET /\x01 HTTP/1.1", "GET /\x7f HTTP/1.1", "GET  / HTTP/1.1",
    "GET /\tx HTTP/1.1", " GET / HTTP/1.1", "GET",
])
def test_bad_targets_are_refused(lb, origin, line):
    c = lb.client()
    c.send(request(line, "Host: x"))
    assert c.response().status == 400
    c.expect_close()
    assert origin.count()["requests"] == 0


@pytest.mark.parametrize("hosts", [[], ["Host: a", "Host: b"], ["Host: a", "Host: a"], ["Host:"],
                                   ["Host: a b"], ["Host: a,b"], ["Host: u@a"], ["Host: a:b"],
                                   ["Host: a/b"], ["Host: [::1"], ["Host: a\x01"],
                                   ["Host: a:99999"]])
def test_host_missing_doubled_or_invalid_is_refused(lb, origin, hosts):
    c = lb.client()
    c.send(request("GET / HTTP/1.1", *hosts))
    assert c.response().status == 400
    c.expect_close()
    assert origin.count()["requests"] == 0


# ---- versions (traps 21, 4)

def test_http10_closes_unless_asked_otherwise(lb):
    c = lb.client()
    c.send(b"GET / HTTP/1.0\r\n\r\n")
    r = c.response()
    assert r.version == "HTTP/1.1" and r.headers["Connection"] == "close"
    c.expect_close()


def test_http10_keep_alive(lb):
    c = lb.client()
    for _ in range(3):
        c.send(b"GET /?size=3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        r = c.response()
        assert r.headers["Connection"] == "keep-alive" and r.body == pattern(3)


def test_the_server_sees_our_version(lb):
    c = lb.client()
    c.send(b"GET /echo HTTP/1.0\r\nHost: x\r\n\r\n")
    assert seen(c.response()).line == "GET /echo HTTP/1.1"


def test_the_client_sees_our_version(lb):
    r = lb.get("/?version=1.0&size=10")
    assert r.version == "HTTP/1.1" and r.body == pattern(10)


@pytest.mark.parametrize("line, status", [
    ("GET /", 400), ("GET / HTTP/0.9", 400), ("GET / HTTP/1.10", 400), ("GET / HTTP/2.0", 505),
    ("GET / HTTP/3.0", 505), ("GET / http/1.1", 400), ("GET / HTTP/1", 400), ("GET / HTTP/11", 400),
    ("GET / HTTP/1.1.1", 400), ("PRI * HTTP/2.0", 505), ("GET / ICY/1.1", 400),
])
def test_other_versions_are_refused(lb, origin, line, status):
    c = lb.client()
    c.send(request(line, "Host: x"))
    assert c.response().status == status
    c.expect_close()
    assert origin.count()["requests"] == 0


def test_http10_with_transfer_encoding_is_refused(lb, origin):
    c = lb.client()
    c.send(b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"x"))
    assert c.response().status == 400
    c.expect_close()
    assert origin.count()["requests"] == 0


# ---- bad responses (traps 3 to 5, 7)

@pytest.mark.parametrize("bad", [
    "garbage", "no-status-line", "http09", "bad-version", "http2-version", "long-version",
    "lower-version", "other-protocol", "status-99", "status-099", "status-1000", "status-000",
    "status-text", "status-sign", "no-status", "nul-reason", "two-spaces", "leading-crlf",
    "leading-space", "no-colon", "empty-name", "bad-name", "nul-name", "nul-value",
    "bare-cr", "bare-lf", "bare-lf-line", "huge-header", "many-headers", "endless-head",
    "cut-head", "huge-reason", "two-lengths", "list-length", "sign-length", "minus-length",
    "hex-length", "empty-length", "overflow-length", "te-gzip-chunked", "fold-first", "empty",
    "obs-fold", "fold-length", "ctl-value"])
def test_a_bad_response_head_is_a_bad_gateway(shared, bad):
    lb, origin = shared
    c = lb.client()
    c.request("GET", f"/?bad={bad}")
    r = c.response()
    assert r.status == 502
    follow = c.get("/?header=N:2") if "Connection" not in r.headers else lb.get("/?header=N:2")
    assert follow.headers["N"] == "2" and follow.headers["X-Conn-Request"] == "1"


@pytest.mark.parametrize("bad", ["chunk-size", "chunk-empty-size", "chunk-0x", "chunk-sign",
                                 "chunk-space", "chunk-overflow", "chunk-overflow-64",
                                 "chunk-zeros", "chunk-no-crlf", "chunk-bad-crlf", "chunk-lf",
                                 "chunk-ext-lf", "chunk-huge-ext", "trailer-bad", "trailer-huge"])
def test_a_badly_chunked_response_is_never_completed(shared, bad):
    lb, origin = shared
    c = lb.client()
    c.request("GET", f"/?bad={bad}&close=1")
    try:
        r = c.response()
        assert r.status == 502
    except http.Closed as e:
        assert not e.partial.endswith(b"0\r\n\r\n")
    assert lb.get("/").headers["X-Conn-Request"] == "1"


@pytest.mark.parametrize("bad", ["no-reason", "high-value", "same-lengths", "space-colon",
                                 "set-cookie2", "1xx-length", "space-colon-length"])
def test_lawful_but_odd_responses_pass(shared, bad):
    lb, origin = shared
    c = lb.client()
    c.request("GET", f"/?bad={bad}")
    assert c.response().status == 200
    assert lb.get("/").status == 200


def test_a_half_head_times_out(evlb, origin):
    lb = evlb(ONE + "timeout: {server: 400ms}\n", a=origin)
    assert lb.get("/?bad=half-head").status == 504


@pytest.mark.parametrize("bad", ["cl-te", "te-chunked-gzip", "te-twice", "te-vt", "te-10"])
def test_a_doubtfully_framed_response_ends_its_connection(shared, bad):
    """It may pass in one unambiguous framing or be refused, but nothing follows on it."""
    lb, origin = shared
    c = lb.client()
    c.request("GET", f"/?bad={bad}&close=1")
    try:
        c.response()
    except http.Closed:
        pass
    assert lb.get("/").headers["X-Conn-Request"] == "1"


@pytest.fixture(scope="module")
def module_stack(tmp_path_factory):
    from harness import tools
    stack = tools.Stack(tmp_path_factory.mktemp("shared"))
    yield stack
    stack.tear_down()


@pytest.fixture(scope="module")
def shared(module_stack):
    """One balancer and one origin for all the bad responses."""
    from harness import balancer, origin as sims
    sim = module_stack.add_sim(sims.Sim(module_stack.tmp_path, ("a",)))
    lb = module_stack.add_balancer(balancer.Evlb(module_stack.tmp_path, ONE, (sim,)))
    return lb, sim["a"]
