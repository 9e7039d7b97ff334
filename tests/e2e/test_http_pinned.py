# SPDX-License-Identifier: MIT
"""Trap 26: a server connection on which a client has logged in (NTLM, Negotiate) is its own."""

CONFIG = """
workers: 1
listen: $port
servers: [$a]
reuse: always
"""
CHALLENGE = "/?status=401&header=WWW-Authenticate:%s"


def challenged(lb, scheme):
    client = lb.client()
    return client, client.get(CHALLENGE % scheme).headers["X-Conn"]


def test_the_client_goes_on_with_the_connection_that_challenged_it(evlb, sim):
    lb = evlb(CONFIG, sim("a"))
    for scheme in ("NTLM", "Negotiate%20abc"):
        client, conn = challenged(lb, scheme)
        assert [client.get("/").headers["X-Conn"] for _ in range(3)] == [conn] * 3


def test_no_other_client_gets_that_connection(evlb, sim):
    lb = evlb(CONFIG, sim("a"))
    first, conn = challenged(lb, "NTLM")
    assert lb.client().get("/").headers["X-Conn"] != conn
    assert first.get("/").headers["X-Conn"] == conn
    first.close()
    others = {lb.client().get("/").headers["X-Conn"] for _ in range(3)}
    assert conn not in others


def test_other_schemes_share_connections(evlb, sim):
    lb = evlb(CONFIG, sim("a"))
    first, conn = challenged(lb, "Basic%20realm=x")
    assert lb.client().get("/").headers["X-Conn"] == conn
    assert first.get("/").status == 200


def test_a_pinned_connection_that_the_server_closes_is_replaced(evlb, sim):
    lb = evlb(CONFIG, sim("a", options=["--keep-alive-timeout", "200ms"]))
    client, conn = challenged(lb, "NTLM")
    client.expect_silence(0.6)
    answer = client.get("/")
    assert answer.status == 200 and answer.headers["X-Conn"] != conn
