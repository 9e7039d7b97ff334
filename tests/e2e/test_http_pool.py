# SPDX-License-Identifier: MIT
"""Server connections and second tries: reuse across clients, connections that die while idle,
what is sent again and what never is."""
import socket
import threading
import time

import pytest

from harness import http
from harness.wire import ONE, eventually, full_backlog, post, request, server_counters

TWO = """\
workers: 1
frontends: {web: {listen: $port, backend: app}}
backends: {app: {balance: first, servers: {a: $a, b: $b}}}
log: {access: true}
"""


@pytest.fixture
def origin(sim):
    return sim("a")["a"]


@pytest.fixture
def lb(evlb, origin):
    return evlb(ONE, a=origin)


# ---- reuse (trap 26)

def test_idle_connections_serve_other_clients(lb, origin):
    for n in range(1, 6):
        r = lb.get("/")
        assert (r.headers["X-Conn"], r.headers["X-Conn-Request"]) == ("1", str(n))
    assert server_counters(lb, "a")["reuses"] == 4


def test_concurrent_requests_have_connections_of_their_own(lb, origin):
    clients = [lb.client() for _ in range(8)]
    for c in clients:
        c.request("GET", "/?delay=200ms")
    assert len({c.response().headers["X-Conn"] for c in clients}) == 8
    assert origin.count()["connections"] == 8


def test_safe_reuse_keeps_a_first_post_off_idle_connections(lb):
    """It could not be sent again, should the connection turn out dead."""
    assert lb.get("/").headers["X-Conn"] == "1"
    assert lb.request("POST", "/", body=b"x").headers["X-Conn"] == "2"


def test_reuse_always_and_never(evlb, origin):
    always = evlb(ONE.replace("{servers", "{reuse: always, servers"), a=origin)
    always.get("/")
    assert always.request("POST", "/", body=b"x").headers["X-Conn-Request"] == "2"
    never = evlb(ONE.replace("{servers", "{reuse: never, servers"), a=origin)
    c = never.client()
    assert len({c.get("/").headers["X-Conn"] for _ in range(4)}) == 4


def test_reuse_never_tells_the_server(evlb, origin):
    lb = evlb(ONE.replace("{servers", "{reuse: never, servers"), a=origin)
    assert b"Connection: close" in lb.get("/echo").body


def test_a_server_that_announces_its_close_is_not_asked_again(lb):
    r = lb.get("/?close=1")
    assert "close" not in r.headers.get("Connection", "")
    assert lb.get("/").headers["X-Conn"] == "2"


def test_an_http10_server_is_asked_again_only_when_it_keeps_the_connection(evlb):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        lb = evlb(ONE, a="127.0.0.1:%d" % listener.getsockname()[1])
        for keep in (b"", b"Connection: keep-alive\r\n", None):
            c = lb.client()
            c.request("GET", "/")
            if keep is not None:
                server, _ = listener.accept()
            assert server.recv(4096).startswith(b"GET / HTTP/1.1")
            server.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n" + (keep or b"") + b"\r\nok")
            assert c.response().body == b"ok"
        server.close()


def test_the_clients_close_is_not_the_servers(lb):
    c = lb.client()
    assert c.get("/", {"Connection": "close"}).status == 200
    c.expect_close()
    assert lb.get("/").headers["X-Conn-Request"] == "2"


def test_idle_connections_end_after_their_time(evlb, origin):
    lb = evlb(ONE + "timeout: {idle: 300ms}\n", a=origin)
    lb.get("/")
    assert origin.count()["open"] == 1
    assert eventually(lambda: origin.count()["open"] == 0, timeout=3)


def test_what_the_server_says_of_its_keep_alive_is_believed(evlb, origin):
    """A second earlier than it said."""
    lb = evlb(ONE, a=origin)
    lb.get("/?header=Keep-Alive:timeout%3D2,max%3D9")
    assert origin.count()["open"] == 1
    assert eventually(lambda: origin.count()["open"] == 0, timeout=2.5)


def test_a_keep_alive_of_one_second_is_not_pooled(lb):
    lb.get("/?header=Keep-Alive:timeout%3D1")
    assert lb.get("/").headers["X-Conn"] == "2"


def test_an_idle_connection_that_the_server_closes_is_forgotten(evlb, sim):
    origin = sim("a", options=["--keep-alive-timeout", "100ms"])["a"]
    lb = evlb(ONE, a=origin)
    for n in range(1, 5):
        assert lb.get("/").headers["X-Conn"] == str(n)
        time.sleep(0.25)
    assert server_counters(lb, "a")["reuse_races"] == 0


def test_bytes_from_an_idle_connection_answer_nobody(lb, origin):
    """A server that speaks unasked loses the connection."""
    assert lb.get("/?bad=long-body").status == 200
    time.sleep(0.05)
    r = lb.get("/?header=N:2")
    assert (r.headers["N"], r.headers["X-Conn"]) == ("2", "2")


@pytest.mark.parametrize("target, headers", [
    ("/?status=401&header=WWW-Authenticate:NTLM", {}),
    ("/?status=401&header=WWW-Authenticate:Basic&header=www-authenticate:Negotiate", {}),
    ("/?status=407&header=Proxy-Authenticate:NTLM%20TlRMTVNTUAAC", {}),
    ("/", {"Authorization": "Negotiate YIIJvwYGKwYBBQUC"}),
    ("/", {"Authorization": "NTLM TlRMTVNTUAABAAAA"}),
], ids=["challenge", "second-challenge", "proxy-challenge", "negotiate", "ntlm"])
def test_a_connection_that_is_authenticated_as_such_serves_nobody_else(lb, target, headers):
    """Trap 26: the next client would be taken for the first."""
    lb.get(target, headers)
    assert lb.get("/").headers["X-Conn"] == "2"


def test_the_client_that_authenticated_a_connection_keeps_it(lb):
    c = lb.client()
    c.get("/?status=401&header=WWW-Authenticate:NTLM")
    lb.get("/")  # another client's
    for n in (2, 3):
        r = c.get("/", {"Authorization": "NTLM TlRMTVNTUAADAAAA"})
        assert (r.headers["X-Conn"], r.headers["X-Conn-Request"]) == ("1", str(n))


def test_basic_authentication_is_of_a_request_and_shares_connections(lb):
    lb.get("/?status=401&header=WWW-Authenticate:Basic%20realm%3DNTLM",
           {"Authorization": "Basic dTpw"})
    assert lb.get("/").headers["X-Conn"] == "1"


# ---- the reuse race (trap 16)

def racing(evlb, sim):
    """Each connection is closed behind its answer, unannounced."""
    origin = sim("a", options=["--close-after-response"])["a"]
    return evlb(ONE, a=origin), origin


def test_a_get_on_a_dead_connection_is_tried_again_unseen(evlb, sim):
    lb, origin = racing(evlb, sim)
    c = lb.client()
    for _ in range(30):
        assert c.get("/").status == 200
    lines = lb.wait_access(30)
    assert {line["term"] for line in lines} == {"--"}
    assert origin.count()["bad_requests"] == 0


def test_a_put_with_its_body_is_tried_again_unseen(evlb, sim):
    lb, origin = racing(evlb, sim)
    c = lb.client()
    for _ in range(20):
        c.request("PUT", "/echo-body", body=b"payload")
        assert c.response("PUT").body == b"payload"


def test_many_clients_race_with_closing_servers(evlb, sim, wrk):
    lb, _ = racing(evlb, sim)
    assert wrk(lb.url("/"), duration=1, connections=16)["errors"] == 0


def test_no_post_is_delivered_twice(evlb, sim):
    """Through closing connections, cut answers and resets: each id at most once."""
    origin = sim("a", options=["--close-after-response"])["a"]
    lb = evlb(ONE, a=origin)
    behaviours = ["", "?drop=1", "?rst=1", "?cut=10", "?cut-body=1&size=9", "?delay=5ms&drop=1"]
    answered = {}

    def run(worker):
        for n in range(40):
            name = f"{worker}-{n}"
            with http.Client(("127.0.0.1", lb.port)) as c:
                for step in ("GET", "POST"):
                    headers = {"X-Id": name} if step == "POST" else {}
                    target = "/" + (behaviours[n % len(behaviours)] if step == "POST" else "")
                    c.request(step, target, headers, b"x" * 100 if step == "POST" else None)
                    try:
                        answered[name] = c.response(step).status
                    except http.Closed:
                        break
    threads = [threading.Thread(target=run, args=(w,)) for w in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    ids = origin.count()["ids"]
    assert len(ids) > 100 and set(ids.values()) == {1}


def test_a_post_that_lost_its_connection_is_a_502(lb, origin):
    r = lb.request("POST", "/?drop=1", headers={"X-Id": "once"}, body=b"x")
    assert r.status == 502
    assert origin.count()["ids"] == {"once": 1}


# ---- second tries (traps 16, 28)

@pytest.mark.parametrize("method, tries", [("GET", 4), ("HEAD", 4), ("OPTIONS", 4), ("PUT", 4),
                                           ("DELETE", 4), ("TRACE", 4), ("POST", 1), ("PATCH", 1),
                                           ("UNHEARD", 1)])
def test_only_idempotent_requests_are_sent_again(lb, origin, method, tries):
    r = lb.request(method, "/?drop=1")
    assert r.status == 502
    assert origin.count()["requests"] == tries


def test_an_unanswered_get_goes_to_another_server(evlb, sim):
    sims = sim("a", "b")
    lb = evlb(TWO, sims)
    sims["a"].control("default?drop=1")
    r = lb.get("/")
    assert (r.status, r.headers["X-Server"]) == (200, "b")
    assert lb.wait_access()[0]["retries"] == 1


def test_a_get_whose_answer_has_begun_is_not_sent_again(evlb, sim):
    sims = sim("a", "b")
    lb = evlb(TWO, sims)
    sims["a"].control("default?cut=20")
    assert lb.get("/").status == 502
    assert sims["b"].count()["requests"] == 0


def test_a_get_with_an_interim_answer_may_be_sent_again(evlb, sim):
    """1xx are no answer; the client may see them twice."""
    sims = sim("a", "b")
    lb = evlb(TWO, sims)
    sims["a"].control("default?early=103&cut=60")
    c = lb.client()
    c.request("GET", "/")
    assert c.response().status in (200, 502)


def test_an_error_status_is_an_answer(evlb, sim):
    sims = sim("a", "b")
    lb = evlb(TWO, sims)
    sims["a"].control("default?status=503")
    assert lb.get("/").status == 503
    assert sims["b"].count()["requests"] == 0


def test_a_large_put_cannot_be_sent_again(evlb, sim):
    """Its begin has left the buffer."""
    sims = sim("a", "b")
    lb = evlb(TWO, sims)
    sims["a"].control("default?drop=1")
    assert lb.request("PUT", "/", body=b"x" * 500_000).status == 502
    assert sims["b"].count()["requests"] == 0


def test_a_server_that_does_not_accept_in_time_is_left(evlb, sim):
    slow = sim("slow", options=["--no-accept", "--backlog", "1"])["slow"]
    lb = evlb(TWO + "timeout: {connect: 300ms}\n", a=slow, b=sim("b")["b"])
    with full_backlog(slow):
        r = lb.request("POST", "/", body=b"hello")
    assert (r.status, r.headers["X-Server"]) == (200, "b")


def test_a_slow_answer_is_not_tried_again(evlb, sim):
    sims = sim("a", "b")
    lb = evlb(TWO + "timeout: {server: 300ms}\n", sims)
    sims["a"].control("default?never=1")
    assert lb.get("/").status == 504
    assert sims["b"].count()["requests"] == 0


def test_retries_have_a_budget(evlb, sim):
    """Of 40 requests that all fail, each is sent again once (their server may have died), few a third
    time; the rest get their error."""
    sims = sim("a")
    lb = evlb(ONE, sims)
    sims["a"].control("default?delay=200ms&drop=1")
    clients = [lb.client() for _ in range(40)]
    for c in clients:
        c.request("GET", "/")
    assert {c.response().status for c in clients} == {502}
    assert sims["a"].count()["requests"] < 40 + 40 + 40
    assert lb.status()["backends"][0]["counters"]["retries_over_budget"] > 0


def test_requests_keep_their_order_through_a_retry(evlb, sim):
    sims = sim("a", "b")
    lb = evlb(TWO, sims)
    sims["a"].control("default?drop=1")
    c = lb.client()
    c.send(b"".join(request(f"GET /?header=N:{n} HTTP/1.1", "Host: x") for n in range(5)))
    assert [c.response().headers["N"] for _ in range(5)] == list("01234")


def test_a_slow_upload_does_not_hold_the_pool(lb, origin):
    slow = lb.client()
    slow.send(post("/", "Content-Length: 10", body=b"12345"))
    for _ in range(3):
        assert lb.get("/").status == 200
    slow.send(b"67890")
    assert slow.response().headers["X-Body-Bytes"] == "10"
