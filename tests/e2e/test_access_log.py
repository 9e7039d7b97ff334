# SPDX-License-Identifier: MIT
"""The access log: one JSON line per request or session, with the one cause of its end."""
import json
import time

import pytest

from harness import http
from harness.wire import ONE, TCP, full_backlog, pattern, post, request

KEYS = {"ts", "client", "frontend", "backend", "server", "method", "host", "path", "status",
        "bytes_in", "bytes_out", "proto", "retries", "request_id", "ua", "referer", "tls",
        "tls_cipher", "sni", "alpn", "tls_resumed", "client_cert", "t_idle", "t_request", "t_queue", "t_connect",
        "t_response", "t_data", "t_total", "term", "end", "detail"}
SHORT = "timeout: {connect: 300ms, server: 300ms, request: 300ms, client: 300ms}\n"


@pytest.fixture
def origin(sim):
    return sim("a")["a"]


@pytest.fixture
def lb(evlb, origin):
    return evlb(ONE + SHORT, a=origin)


def ends(lb, n=1):
    return [(line["term"], line["end"], line["status"]) for line in lb.wait_access(n)]


def test_a_line_says_what_happened(lb):
    c = lb.client()
    r = c.get("/some/path?q=1&size=100&delay=60ms",
              {"User-Agent": "test/1", "Referer": "http://r.test/"})
    line = lb.wait_access()[0]
    assert set(line) == KEYS
    assert (line["frontend"], line["backend"], line["server"]) == ("web", "app", "a")
    assert (line["method"], line["host"]) == ("GET", "test.local")
    assert line["path"] == "/some/path?q=1&size=100&delay=60ms"
    assert (line["ua"], line["referer"], line["proto"]) == ("test/1", "http://r.test/", "HTTP/1.1")
    assert (line["status"], line["term"], line["retries"]) == (200, "--", 0)
    assert line["client"] == "127.0.0.1" and len(line["request_id"]) == 32
    assert line["bytes_out"] == len(r.raw_head) + 100
    assert 50 <= line["t_response"] <= line["t_total"] < 1000


def test_one_line_per_request(lb):
    c = lb.client()
    for n in range(20):
        c.get(f"/{n}")
    lines = lb.wait_access(20)
    assert [line["path"] for line in lines] == [f"/{n}" for n in range(20)]


def test_bytes_of_a_body_are_counted(lb):
    lb.request("POST", "/?size=5000", body=pattern(30000))
    line = lb.wait_access()[0]
    assert 30000 < line["bytes_in"] < 30400 and 5000 < line["bytes_out"] < 5400


# ---- causes

def test_ok(lb):
    lb.get("/?status=404")
    assert ends(lb) == [("--", "ok", 404)]


def test_refused(evlb):
    lb = evlb(ONE, a="127.0.0.1:1")
    assert lb.get("/").status == 503
    assert ends(lb) == [("SC", "server-refused", 503)]


def test_no_server(evlb):
    lb = evlb(ONE.replace("a: $a", 'a: {address: "127.0.0.1:1", weight: 0}'))
    assert lb.get("/").status == 503
    assert ends(lb) == [("SC", "no-server", 503)]


def test_connect_timeout(evlb, sim):
    slow = sim("slow", options=["--no-accept", "--backlog", "1"])["slow"]
    lb = evlb((ONE + SHORT).replace("{servers", "{retries: 0, servers"), a=slow)
    with full_backlog(slow):
        assert lb.get("/").status == 504
    assert ends(lb) == [("sC", "server-connect-timeout", 504)]


def test_server_timeout(lb):
    assert lb.get("/?never=1").status == 504
    assert ends(lb) == [("sH", "server-timeout-wait", 504)]


def test_server_closed(lb):
    assert lb.request("POST", "/?drop=1", body=b"").status == 502
    assert ends(lb) == [("SH", "server-closed-wait", 502)]


def test_bad_response(lb):
    assert lb.get("/?bad=garbage").status == 502
    assert ends(lb) == [("PH", "bad-response", 502)]


def test_bad_request(lb):
    c = lb.client()
    c.send(b"GET /\r\n\r\n")
    r = c.response()
    assert r.status == 400
    line = lb.wait_access()[0]
    assert (line["term"], line["end"], line["status"]) == ("PR", "bad-request", 400)
    assert line["server"] is None and line["backend"] is None
    assert (line["method"], line["path"], line["bytes_in"] > 0) == ("GET", "/", True)
    assert line["detail"] in r.text


def test_bad_request_body(lb):
    c = lb.client()
    c.send(post("/", "Transfer-Encoding: chunked", body=b"5\r\nhelloXX"))
    assert c.response().status == 400
    assert ends(lb) == [("PD", "bad-request-body", 400)]


def test_slow_head(lb):
    c = lb.client()
    c.send(b"GET / HT")
    assert c.response().status == 408
    assert ends(lb) == [("cR", "client-timeout-request", 408)]


def test_slow_body(lb):
    c = lb.client()
    c.send(post("/", "Content-Length: 100", body=b"x"))
    assert c.response().status == 408
    assert ends(lb) == [("cD", "client-timeout-data", 408)]


def test_client_left_in_its_head(lb):
    c = lb.client()
    c.send(b"GET / HT")
    time.sleep(0.05)
    c.close()
    assert ends(lb) == [("CR", "client-closed-request", None)]


def test_client_left_while_waiting(lb):
    c = lb.client()
    c.request("GET", "/?delay=250ms")
    time.sleep(0.05)
    c.reset()
    assert ends(lb) == [("CH", "client-closed-wait", None)]


def test_client_left_in_the_answer(lb):
    c = lb.client()
    c.request("GET", "/?size=100m")
    c.read_exact(1000)
    c.reset()
    assert ends(lb) == [("CD", "client-closed-data", 200)]


def test_client_takes_nothing(lb):
    c = lb.client()
    c.request("GET", "/?size=100m")
    c.read_exact(1000)
    assert ends(lb) == [("cD", "client-timeout-data", 200)]


def test_server_closed_in_its_answer(lb):
    c = lb.client()
    c.request("GET", "/?size=1000&cut-body=500")
    with pytest.raises(http.Closed):
        c.response()
    assert ends(lb) == [("SD", "server-closed-data", 200)]


def test_server_stops_in_its_answer(lb):
    c = lb.client()
    c.request("GET", "/?size=1000&chunk=500&chunk-delay=900ms")
    with pytest.raises(http.Closed):
        c.response()
    assert ends(lb) == [("sD", "server-timeout-data", 200)]


def test_bad_answer_body(lb):
    c = lb.client()
    c.request("GET", "/?bad=chunk-size&delay=1ms")
    try:
        c.response()
    except http.Closed:
        pass
    assert ends(lb)[0][0] in ("PD", "PH")


def test_redirect_deny_and_no_route(evlb, origin):
    lb = evlb("""
        workers: 1
        frontends:
          web:
            listen: $port
            routes:
              - {path: /old/, redirect: "http://new.test/"}
              - {path: /secret, deny: 403}
              - {host: known.test, backend: app}
        backends: {app: {servers: {a: $a}}}
        log: {access: true}
    """, a=origin)
    assert lb.get("/old/x").status == 302
    assert lb.get("/secret").status == 403
    assert lb.get("/other").status == 404
    assert ends(lb, 3) == [("LR", "redirected", 302), ("PR", "denied", 403),
                           ("PR", "no-route", 404)]


def test_an_idle_client_that_leaves_writes_no_line(lb):
    lb.client().close()
    c = lb.client()
    c.get("/")
    c.close()
    lb.wait_access(1)
    time.sleep(0.2)
    assert len(lb.access_log()) == 1


def test_a_tcp_session_has_a_line(evlb, sim):
    lb = evlb(TCP, a=sim("a", mode="tcp-echo")["a"])
    c = lb.client()
    c.send(b"hello")
    c.read_exact(5)
    c.half_close()
    c.read_until_close()
    line = lb.wait_access()[0]
    assert set(line) == KEYS
    assert (line["proto"], line["server"], line["term"]) == ("tcp", "a", "--")
    assert line["method"] is None and line["status"] is None


# ---- what clients write

@pytest.mark.parametrize("value", ["\" , \"status\": 1", "back\\slash", "\x80\xff\xc3", "\u2028",
                                   "tab\there", "</script>", "%0d%0a", "x" * 5000],
                         ids=["quote", "backslash", "no-utf8", "separator", "tab", "markup",
                              "percent", "long"])
def test_whatever_a_client_writes_a_line_is_one_line(lb, value):
    """Threat: CVE-2024-45808, text of clients injected into logs."""
    raw = value.encode("utf-8" if "\u2028" in value else "latin-1")
    c = lb.client()
    c.send(b"GET /p?x HTTP/1.1\r\nHost: x\r\nUser-Agent: " + raw + b"\r\nReferer: " + raw +
           b"\r\n\r\n")
    assert c.response().status == 200
    lb.wait_access()
    text = [line for line in lb.log().split("\n") if '"frontend"' in line]
    assert len(text) == 1
    line = json.loads(text[0])
    assert line["status"] == 200 and line["path"] == "/p?x"
    assert not any(ord(ch) < 32 for ch in text[0])


def test_a_path_of_every_allowed_byte(lb):
    path = "/" + "".join(chr(b) for b in range(0x21, 0x7f) if chr(b) != "#")
    c = lb.client()
    c.send(request(f"GET {path} HTTP/1.1", "Host: x"))
    c.response()
    assert lb.wait_access()[0]["path"] == path


def test_the_log_can_go_to_a_file(evlb, origin, tmp_path):
    path = tmp_path / "access.log"
    lb = evlb(ONE.replace("{access: true}", f"{{access: {path}}}"), a=origin)
    lb.get("/to-a-file")
    end = time.monotonic() + 3
    while not path.read_text() and time.monotonic() < end:
        time.sleep(0.02)
    assert json.loads(path.read_text())["path"] == "/to-a-file"
    assert lb.access_log() == []
