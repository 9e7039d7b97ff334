# SPDX-License-Identifier: MIT
"""No message leaves anything behind that the next one on that connection could be read into."""

import time

ONE = """
workers: 1
listen: $port
servers: [$a]
"""


def test_a_refused_body_is_never_read_again(evlb, sim):
    """The server answers early and waits for the rest; the attacker's bytes look like an end only
    to somebody who scans the refused ones a second time."""
    origin = sim("a")
    lb = evlb(ONE, origin)
    attacker = lb.client()
    attacker.send(b"POST /?no-read=drain&size=3k&framing=length&chunk=1k&chunk-delay=300ms "
                  b"HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    time.sleep(0.1)  # the answer is on its way, in pieces
    attacker.send(b"1f4\r\nhello")
    time.sleep(0.1)
    attacker.send(b"\r\n0\r\n\r\n" + b"A" * 488 + b"XX")
    assert attacker.response(method="POST").status == 200
    for _ in range(3):
        answer = lb.client().get("/echo", headers={"Cookie": "victim"})
        assert answer.status == 200 and b"Cookie: victim" in answer.body
        assert answer.headers["X-Conn"] != "1"


def test_a_body_of_length_zero_is_complete(evlb, sim):
    lb = evlb(ONE, sim("a"))
    client = lb.client()
    for _ in range(3):
        client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        answer = client.response(method="PUT")
        assert answer.status == 200 and answer.headers.get("Connection") is None
        assert answer.headers["X-Conn"] == "1"


def test_fields_that_rules_set_are_written_once(evlb, sim):
    lb = evlb("""
frontends:
  web:
    listen: $port
    backend: app
    headers:
      request:
        set: {X-Forwarded-Proto: https, X-Forwarded-For: nobody, X-Request-ID: one}
        remove: [traceparent]
backends:
  app: [$a]
""", sim("a"))
    head = lb.get("/echo").body.decode().lower()
    assert "x-forwarded-proto: https" in head
    for name in ("x-forwarded-proto", "x-forwarded-for", "x-request-id"):
        assert head.count(f"\n{name}:") == 1, head
    assert "traceparent" not in head


def test_a_server_that_keeps_connections_for_days_is_pooled(evlb, sim):
    lb = evlb(ONE, sim("a"))
    target = "/?header=Keep-Alive:timeout=864000"
    assert [lb.get(target).headers["X-Conn"] for _ in range(3)] == ["1", "1", "1"]


def test_expecting_100_continue_from_a_silent_server_is_the_servers_fault(evlb, sim):
    lb = evlb(ONE + "timeout: {server: 500ms, client: 5s}\n", sim("a"))
    client = lb.client()
    client.send(b"POST /?never=1&expect=ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                b"Expect: 100-continue\r\n\r\n")
    assert client.response(method="POST").status == 504


def test_requests_are_counted_for_their_backend(evlb, sim):
    lb = evlb(ONE, sim("a"))
    for _ in range(4):
        lb.get("/")
    assert lb.status()["backends"][0]["counters"]["requests"] == 4
