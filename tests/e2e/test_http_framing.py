# SPDX-License-Identifier: MIT
"""Framing of requests and responses: pipelining, Content-Length, Transfer-Encoding, chunks,
trailers, messages without a body, bodies that end with the connection, messages that break off."""
import socket
import time
import zlib

import pytest

from harness import http
from harness.wire import ONE, chunked, eventually, is_pattern, pattern, post, request, seen


@pytest.fixture
def origin(sim):
    return sim("a")["a"]


@pytest.fixture
def lb(evlb, origin):
    return evlb(ONE, a=origin)


# ---- pipelining (trap 1)

def test_pipelined_requests_are_answered_in_order(lb, origin):
    targets = ["/?size=%d" % n for n in (0, 3, 70000, 1, 200, 12)]
    c = lb.client()
    c.send(b"".join(request(f"GET {t} HTTP/1.1", "Host: x") for t in targets))
    sizes = [len(c.response().body) for _ in targets]
    assert sizes == [0, 3, 70000, 1, 200, 12]


def test_a_slow_first_answer_holds_the_second_back(lb, origin):
    c = lb.client()
    c.send(request("GET /?delay=300ms&header=N:1 HTTP/1.1", "Host: x") +
           request("GET /?header=N:2 HTTP/1.1", "Host: x"))
    assert [c.response().headers["N"], c.response().headers["N"]] == ["1", "2"]
    assert origin.count()["max_active"] == 1


def test_bytes_behind_a_request_stay_with_the_balancer(lb, origin):
    """They may not reach the server connection that the first request uses."""
    c = lb.client()
    second = request("GET /echo?second HTTP/1.1", "Host: x", "X-Second: 1")
    c.send(post("/echo-raw", "Content-Length: 4", body=b"body") + second[:20])
    first = seen(c.response())
    assert first.body == b"body"
    c.send(second[20:])
    assert seen(c.response()).headers["X-Second"] == "1"
    assert origin.count()["bad_requests"] == 0


def test_pipelined_posts_keep_their_bodies_apart(lb, origin):
    c = lb.client()
    bodies = [b"one", b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"x" * 20000]
    c.send(b"".join(post("/echo-body", f"Content-Length: {len(b)}", body=b) for b in bodies))
    assert [c.response("POST").body for _ in bodies] == bodies


def test_empty_lines_between_requests_are_skipped(lb):
    c = lb.client()
    c.send(b"\r\n" + request("GET / HTTP/1.1", "Host: x"))
    assert c.response().status == 200
    c.send(b"\r\n\r\n" + request("GET / HTTP/1.1", "Host: x"))
    assert c.response().status == 200


# ---- lengths (traps 2, 3)

def test_transfer_encoding_wins_over_content_length_and_closes(lb, origin):
    c = lb.client()
    c.send(post("/echo-raw", "Content-Length: 3", "Transfer-Encoding: chunked",
                body=chunked(b"hello")) + request("GET /smuggled HTTP/1.1", "Host: x"))
    r = c.response()
    head = seen(r)
    assert "Content-Length" not in head.headers
    assert head.headers["Transfer-Encoding"] == "chunked"
    assert head.body == chunked(b"hello")
    c.expect_close()
    assert origin.count()["requests"] == 1


@pytest.mark.parametrize("lines", [["Content-Length: 5", "Content-Length: 5"],
                                   ["Content-Length: 5, 5"],
                                   ["Content-Length: 5 , 5", "Content-Length: 5"]])
def test_equal_lengths_are_folded_to_one(lb, lines):
    c = lb.client()
    c.send(post("/echo", *lines, body=b"hello"))
    head = seen(c.response())
    assert head.headers.all("Content-Length") == ["5"]
    assert head.body == b"hello"
    assert c.get("/").status == 200


def test_a_length_with_leading_zeros_is_written_anew(lb):
    c = lb.client()
    c.send(post("/echo", "Content-Length: 0010", body=b"0123456789"))
    head = seen(c.response())
    assert head.headers["Content-Length"] == "10"
    assert head.body == b"0123456789"


def test_request_in_single_bytes(lb, origin):
    c = lb.client()
    c.send_split(post("/echo", "Content-Length: 11", "X-Some: thing", body=b"hello world"))
    head = seen(c.response())
    assert (head.headers["X-Some"], head.body) == ("thing", b"hello world")


def test_large_uploads_arrive_whole(lb, origin):
    body = pattern(3_000_000)
    r = lb.request("POST", "/", body=body)
    assert r.headers["X-Body-Bytes"] == str(len(body))
    assert r.headers["X-Body-Crc32"] == "%08x" % zlib.crc32(body)


def test_large_chunked_uploads_arrive_whole(lb, origin):
    body = pattern(1_000_000)
    c = lb.client()
    c.send(post("/", "Transfer-Encoding: chunked",
                body=chunked(*(body[i:i + 999] for i in range(0, len(body), 999)))))
    r = c.response()
    assert r.headers["X-Body-Crc32"] == "%08x" % zlib.crc32(body)
    assert c.get("/").status == 200


# ---- chunks (trap 5)

def test_chunks_in_single_bytes(lb):
    c = lb.client()
    c.send_split(post("/echo-raw", "Transfer-Encoding: chunked",
                      body=chunked(b"a", b"b" * 18, trailers=b"X-T: 1\r\n")))
    assert seen(c.response()).body == chunked(b"a", b"b" * 18, trailers=b"X-T: 1\r\n")


def test_chunk_extensions_are_dropped(lb):
    c = lb.client()
    c.send(post("/echo-raw", "Transfer-Encoding: chunked",
                body=b"5;a=b;c=\"d\"\r\nhello\r\n0;last\r\n\r\n"))
    assert seen(c.response()).body == b"5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("chunk", [1, 100, 16384, 70000])
def test_chunked_responses(lb, chunk):
    c = lb.client()
    r = c.get(f"/?size=200000&framing=chunked&chunk={chunk if chunk > 1 else 7}")
    assert r.body == pattern(200000)
    assert c.get("/").status == 200


def test_responses_dripped_byte_by_byte(lb):
    c = lb.client()
    r = c.get("/?size=40&framing=chunked&chunk=9&trailers=1&early=103&drip=1&drip-delay=100us")
    assert r.body == pattern(40)
    assert r.trailers["X-Body-Size"] == "40"


def test_a_hundred_thousand_chunks_of_one_byte(lb):
    r = lb.get("/?bad=chunk-tiny")
    assert r.complete and len(r.body) == 100000


def test_a_chunked_response_is_decoded_for_http10(lb):
    c = lb.client()
    c.send(b"GET /?size=5000&framing=chunked HTTP/1.0\r\n\r\n")
    r = c.response()
    assert "Transfer-Encoding" not in r.headers
    assert r.body == pattern(5000)


# ---- trailers (trap 6)

def test_request_trailers_pass(lb):
    c = lb.client()
    c.send(post("/echo-raw", "Transfer-Encoding: chunked",
                body=chunked(b"hello", trailers=b"X-Checksum: 1\r\n")))
    assert seen(c.response()).body.endswith(b"0\r\nX-Checksum: 1\r\n\r\n")


@pytest.mark.parametrize("field", ["Content-Length: 99", "Transfer-Encoding: gzip", "Host: evil",
                                   "Authorization: x", "Cookie: a=b", "Connection: close",
                                   "X-Forwarded-For: 1.2.3.4", "Content-Type: x/y"])
def test_trailers_that_frame_route_or_authenticate_are_dropped(lb, field):
    c = lb.client()
    c.send(post("/echo-raw", "Transfer-Encoding: chunked",
                body=chunked(b"hello", trailers=f"{field}\r\nX-Good: 1\r\n".encode())))
    assert seen(c.response()).body == chunked(b"hello", trailers=b"X-Good: 1\r\n")
    assert c.get("/").status == 200


def test_trailers_have_a_size_limit(lb, origin):
    c = lb.client()
    c.send(post("/", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n" +
           b"".join(b"X-T%d: %s\r\n" % (i, b"v" * 100) for i in range(200)) + b"\r\n")
    r = c.response()
    assert r.status == 400
    assert origin.count()["responses"] == 0


def test_response_trailers_pass(lb):
    r = lb.get("/?size=1000&trailers=1")
    assert (r.trailers["X-Trailer"], r.trailers["X-Body-Size"]) == ("yes", "1000")


def test_response_trailers_end_with_http10(lb):
    c = lb.client()
    c.send(b"GET /?size=10&trailers=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    r = c.response()
    assert r.body == pattern(10)
    assert "Trailer" not in r.headers


# ---- messages without a body (trap 8)

def test_head_has_no_body_whatever_its_fields_say(lb):
    c = lb.client()
    c.request("HEAD", "/?size=5000")
    r = c.response("HEAD")
    assert r.headers["Content-Length"] == "5000"
    assert c.get("/?size=3").body == pattern(3)


def test_head_of_a_chunked_resource(lb):
    c = lb.client()
    c.request("HEAD", "/?size=5000&framing=chunked")
    assert c.response("HEAD").status == 200
    assert c.get("/?size=3").body == pattern(3)


def test_204_loses_its_framing_fields(lb):
    for bad in ("204-length", "204-chunked"):
        r = lb.get(f"/?bad={bad}")
        assert r.status == 204
        assert "Content-Length" not in r.headers and "Transfer-Encoding" not in r.headers


def test_304_with_a_length_has_no_body(lb):
    c = lb.client()
    r = c.get("/?bad=304-length")
    assert r.status == 304
    assert c.get("/").status == 200


@pytest.mark.parametrize("bad, method", [("204-body", "GET"), ("304-body", "GET"),
                                         ("head-body", "HEAD"), ("long-body", "GET")])
def test_bytes_behind_a_response_answer_nobody(lb, origin, bad, method):
    """Poison: a server that says more than its framing does not get another request."""
    c = lb.client()
    c.request(method, f"/?bad={bad}")
    first = c.response(method)
    second = c.get("/?header=N:2")
    assert second.headers["N"] == "2"
    assert second.headers["X-Conn-Request"] == "1"
    assert b"poison" not in first.body + second.body


# ---- bodies that end with the connection (trap 9)

def test_close_delimited_response(lb):
    c = lb.client()
    r = c.get("/?size=100000&framing=close")
    assert r.body == pattern(100000)
    assert r.headers.get("Connection") == "close"


def test_close_delimited_response_to_http10(lb):
    c = lb.client()
    c.send(b"GET /?size=100000&framing=close HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert c.response().body == pattern(100000)


def test_a_reset_in_a_close_delimited_body_is_passed_on(lb):
    """A FIN would tell the client that the body is whole."""
    c = lb.client()
    c.request("GET", "/?size=100000&framing=close&cut-body=50000&rst=1")
    with pytest.raises(http.Closed) as e:
        c.response()
    assert e.value.reset


def test_transfer_coding_without_chunked_is_read_to_the_end(lb):
    r = lb.get("/?bad=te-gzip&close=1")
    assert r.status == 200 and r.headers.get("Transfer-Encoding") == "gzip"
    assert r.headers.get("Connection") == "close"


# ---- messages that break off (trap 10)

def test_a_response_cut_within_its_length_is_cut_for_the_client(lb, origin):
    c = lb.client()
    c.request("GET", "/?size=100000&cut-body=50000")
    with pytest.raises(http.Closed) as e:
        c.response()
    assert len(e.value.partial) == 50000
    assert lb.get("/").headers["X-Conn-Request"] == "1"


@pytest.mark.parametrize("how", ["bad=chunk-cut", "bad=chunk-no-last", "bad=chunk-no-end",
                                 "size=90000&framing=chunked&cut-body=40000",
                                 "size=90000&framing=chunked&cut-body=40000&rst=1"])
def test_a_cut_chunked_response_never_gets_its_last_chunk(lb, how):
    c = lb.client()
    c.request("GET", f"/?{how}")
    with pytest.raises(http.Closed) as e:
        c.response()
    assert not e.value.partial.endswith(b"0\r\n\r\n")


def test_a_cut_chunked_response_is_a_reset_for_http10(lb):
    c = lb.client()
    c.send(b"GET /?size=90000&framing=chunked&cut-body=40000 HTTP/1.0\r\n\r\n")
    with pytest.raises(http.Closed) as e:
        c.response()
    assert e.value.reset


def test_a_client_that_leaves_within_its_body_reaches_the_server_as_cut(lb, origin):
    c = lb.client()
    c.send(post("/", "Content-Length: 1000", body=b"x" * 500))
    assert eventually(lambda: origin.count()["open"] == 1)
    c.close()
    assert eventually(lambda: origin.count()["broken"] == 1)
    assert origin.count()["responses"] == 0


def test_a_client_that_leaves_within_a_chunk_reaches_the_server_as_cut(lb, origin):
    c = lb.client()
    c.send(post("/", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n"))
    assert eventually(lambda: origin.count()["open"] == 1)
    c.half_close()
    assert eventually(lambda: origin.count()["broken"] == 1)
    assert origin.count()["responses"] == 0


def test_large_downloads_are_exact(lb):
    c = lb.client()
    for framing in ("length", "chunked"):
        r = c.get(f"/?size=5m&framing={framing}")
        assert len(r.body) == 5 << 20 and is_pattern(r.body)


def test_small_receive_buffer_slows_the_server_down_not_the_data(lb):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", lb.port))
    s.settimeout(10)
    s.sendall(request("GET /?size=500k HTTP/1.1", "Host: x", "Connection: close"))
    data = b""
    while piece := s.recv(1500):
        data += piece
    s.close()
    assert data.partition(b"\r\n\r\n")[2] == pattern(500 << 10)


@pytest.mark.parametrize("size", [150_000, 262_144, 400_000, 512_000, 700_000, 1_048_576])
def test_a_body_that_ends_with_spliced_bytes_is_over(lb, size):
    """No further byte comes that could tell."""
    c = lb.client()
    assert len(c.get(f"/?size={size}").body) == size
    c.request("POST", "/", body=pattern(size))
    assert c.response("POST").headers["X-Body-Bytes"] == str(size)
    assert c.get("/", {"Connection": "close"}).status == 200
    c.expect_close()


@pytest.mark.parametrize("size", [300_000, 512_000, 700_000, 1_048_576])
def test_a_body_whose_end_waits_for_a_slow_reader_is_over(lb, size):
    """The server has sent its last byte long before the client takes it."""
    for pause in (0.0, 0.02, 0.05):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        s.connect(("127.0.0.1", lb.port))
        s.settimeout(5)
        s.sendall(request(f"GET /?size={size} HTTP/1.1", "Host: x", "Connection: close"))
        time.sleep(pause)
        data = b""
        while piece := s.recv(1 << 20):
            data += piece
            time.sleep(pause / 50)
        s.close()
        assert data.endswith(pattern(size)[-1000:])
