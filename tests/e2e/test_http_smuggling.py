# SPDX-License-Identifier: MIT
"""Ambiguous messages, byte for byte. What must hold for each of them: the origin, which reads HTTP
strictly and by code of its own, refuses nothing (`bad_requests` stays 0), sees exactly the requests
that the table says and no more than were answered, and the pooled server connection afterwards
answers the next client with the next client's answer."""
import pytest

from harness import balancer, http, tools, origin as sims
from harness.wire import ONE, chunked, seen

H = b"Host: x\r\n"
NEXT = b"GET /smuggled?status=299 HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"


def head(line, *lines):
    return b"\r\n".join([line, b"Host: x", *lines]) + b"\r\n\r\n"


def post(*lines):
    return head(b"POST / HTTP/1.1", *lines)


def length(value, body=b"hello"):
    return post(b"Content-Length: " + value) + body + NEXT


def coding(line, body=CHUNKS):
    return post(line) + body + NEXT


def chunk(body):
    return post(b"Transfer-Encoding: chunked") + body + NEXT


def field(line):
    return head(b"GET / HTTP/1.1", line) + NEXT


# name: (bytes, what the client gets in order, requests that the origin sees)
REFUSED = ([400], 0)
TABLE = {
    # ---- Content-Length
    "length-plus": (length(b"+5"), *REFUSED),
    "length-minus": (length(b"-5"), *REFUSED),
    "length-hex": (length(b"0x5"), *REFUSED),
    "length-float": (length(b"5.0"), *REFUSED),
    "length-exponent": (length(b"5e0"), *REFUSED),
    "length-empty": (length(b""), *REFUSED),
    "length-blank": (length(b" \t "), *REFUSED),
    "length-word": (length(b"five"), *REFUSED),
    "length-two-words": (length(b"5 5"), *REFUSED),
    "length-trailing-junk": (length(b"5;"), *REFUSED),
    "length-list-differs": (length(b"5, 6"), *REFUSED),
    "length-list-empty-element": (length(b"5,,5"), *REFUSED),
    "length-list-ends-empty": (length(b"5,"), *REFUSED),
    "length-vertical-tab": (length(b"\x0b5"), *REFUSED),
    "length-nul": (length(b"5\0"), *REFUSED),
    "length-2-to-64": (length(b"18446744073709551621"), *REFUSED),
    "length-2-to-63": (length(b"9223372036854775808"), *REFUSED),
    "length-30-digits": (length(b"9" * 30), *REFUSED),
    "length-64k-digits": (length(b"0" * 65536 + b"5"), [431], 0),
    "length-utf8-digit": (length("\u0665".encode()), *REFUSED),
    "length-differs": (post(b"Content-Length: 5", b"Content-Length: 6") + b"hello" + NEXT,
                       *REFUSED),
    "length-then-empty": (post(b"Content-Length: 5", b"Content-Length:") + b"hello" + NEXT,
                          *REFUSED),
    "length-space-colon": (post(b"Content-Length : 5") + b"hello" + NEXT, *REFUSED),
    "length-tab-colon": (post(b"Content-Length\t: 5") + b"hello" + NEXT, *REFUSED),
    "length-leading-space": (post(b" Content-Length: 5") + b"hello" + NEXT, *REFUSED),
    "length-folded": (post(b"Content-Length:\r\n 5") + b"hello" + NEXT, *REFUSED),
    "length-nul-name": (post(b"Content-Length\0: 5") + b"hello" + NEXT, *REFUSED),
    "length-bare-lf-behind": (post(b"X: y\nContent-Length: 5") + b"hello" + NEXT, *REFUSED),
    "length-bare-cr-behind": (post(b"X: y\rContent-Length: 5") + b"hello" + NEXT, *REFUSED),
    # no length: what follows is a request with the method "helloGET"
    "length-underscore": (post(b"Content_Length: 5") + b"hello" + NEXT, [200, 299], 2),
    "length-equal": (post(b"Content-Length: 5", b"content-length: 5") + b"hello" + NEXT,
                     [200, 299], 2),
    "length-on-get": (head(b"GET / HTTP/1.1", b"Content-Length: %d" % len(NEXT)) + NEXT, [200], 1),
    "length-too-long-for-the-body": (length(b"9999"), [], None),
    # ---- Transfer-Encoding
    "te-and-length": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked") + CHUNKS + NEXT,
                      [200], 1),
    "te-and-length-cl-te": (post(b"Content-Length: %d" % (5 + len(NEXT)),
                                 b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + NEXT, [200], 1),
    "te-vertical-tab": (coding(b"Transfer-Encoding: \x0bchunked"), *REFUSED),
    "te-form-feed": (coding(b"Transfer-Encoding: \x0cchunked"), *REFUSED),
    "te-nul": (coding(b"Transfer-Encoding: chunked\0"), *REFUSED),
    "te-high-byte": (coding(b"Transfer-Encoding: \xa0chunked"), *REFUSED),
    "te-quoted": (coding(b"Transfer-Encoding: \"chunked\""), *REFUSED),
    "te-unknown": (coding(b"Transfer-Encoding: xchunked"), [501], 0),
    "te-gzip": (coding(b"Transfer-Encoding: gzip"), [501], 0),
    "te-gzip-chunked": (coding(b"Transfer-Encoding: gzip, chunked"), [501], 0),
    "te-identity": (coding(b"Transfer-Encoding: identity"), [501], 0),
    "te-identity-chunked": (coding(b"Transfer-Encoding: identity, chunked"), [501], 0),
    "te-parameter": (coding(b"Transfer-Encoding: chunked;q=1"), [501], 0),
    "te-chunked-not-last": (coding(b"Transfer-Encoding: chunked, identity"), *REFUSED),
    "te-twice": (coding(b"Transfer-Encoding: chunked, chunked"), *REFUSED),
    "te-two-lines": (coding(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
                     *REFUSED),
    "te-second-line-identity": (coding(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
                                *REFUSED),
    "te-empty": (coding(b"Transfer-Encoding:"), *REFUSED),
    "te-empty-then-chunked": (coding(b"Transfer-Encoding: , chunked"), *REFUSED),
    "te-chunked-then-empty": (coding(b"Transfer-Encoding: chunked,"), *REFUSED),
    "te-two-words": (coding(b"Transfer-Encoding: chu nked"), *REFUSED),
    "te-space-colon": (coding(b"Transfer-Encoding : chunked"), *REFUSED),
    "te-leading-space": (coding(b" Transfer-Encoding: chunked"), *REFUSED),
    "te-folded": (coding(b"Transfer-Encoding:\r\n chunked"), *REFUSED),
    "te-fold-behind": (coding(b"Transfer-Encoding: chunked\r\n , identity"), *REFUSED),
    "te-bare-lf-before": (coding(b"X: y\nTransfer-Encoding: chunked"), *REFUSED),
    "te-bare-cr-before": (coding(b"X: y\rTransfer-Encoding: chunked"), *REFUSED),
    "te-underscore": (coding(b"Transfer_Encoding: chunked"), [200, 400], 1),
    "te-upper-case": (coding(b"TRANSFER-ENCODING: CHUNKED"), [200, 299], 2),
    "te-blanks-around": (coding(b"Transfer-Encoding: \t chunked \t"), [200, 299], 2),
    "te-in-http10": (b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS
                     + NEXT, *REFUSED),
    "te-length-in-http10": (b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                            b"Content-Length: 5\r\n\r\n" + CHUNKS + NEXT, *REFUSED),
    "te-named-by-connection": (post(b"Connection: Transfer-Encoding",
                                    b"Transfer-Encoding: chunked") + CHUNKS + NEXT, [200, 299], 2),
    "length-named-by-connection": (post(b"Connection: Content-Length", b"Content-Length: 5")
                                   + b"hello" + NEXT, [200, 299], 2),
    # ---- chunks
    "chunk-0x": (chunk(b"0x5\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-plus": (chunk(b"+5\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-minus": (chunk(b"-5\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-space-before": (chunk(b" 5\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-space-behind": (chunk(b"5 \r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-empty-size": (chunk(b"\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-only-extension": (chunk(b";x\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-letter": (chunk(b"g\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-17-digits": (chunk(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-2-to-63": (chunk(b"8000000000000000\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-64k-digits": (chunk(b"0" * 65536 + b"5\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-zeros": (chunk(b"0" * 31 + b"5\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-bare-lf": (chunk(b"5\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-bare-cr": (chunk(b"5\rhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-data-bare-lf": (chunk(b"5\r\nhello\n0\r\n\r\n"), *REFUSED),
    "chunk-data-too-long": (chunk(b"5\r\nhello!\r\n0\r\n\r\n"), *REFUSED),
    "chunk-data-no-line-end": (chunk(b"5\r\nhello0\r\n\r\n"), *REFUSED),
    "chunk-data-other-line-end": (chunk(b"5\r\nhelloXX0\r\n\r\n"), *REFUSED),
    "chunk-extension-lf": (chunk(b"5;a\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-extension-cr": (chunk(b"5;a\rb\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-extension-nul": (chunk(b"5;a\0\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-extension-long": (chunk(b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n"), *REFUSED),
    "chunk-last-lf": (chunk(b"5\r\nhello\r\n0\r\n\n"), *REFUSED),
    "chunk-last-size-lf": (chunk(b"5\r\nhello\r\n0\n\r\n"), *REFUSED),
    "chunk-last-cr-cr": (chunk(b"5\r\nhello\r\n0\r\n\r\r"), *REFUSED),
    "chunk-many-zero": (chunk(b"5\r\nhello\r\n000\r\n\r\n"), [200, 299], 2),
    "chunk-extension-quoted-end": (chunk(b"5;a=\"\r\nhello\r\n0\r\n\r\n"), [200, 299], 2),
    "chunk-hex-case": (chunk(b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), [200, 299], 2),
    "chunk-4-gib": (chunk(b"100000005\r\nhello\r\n0\r\n\r\n"), [], None),
    # ---- trailers
    "trailer-space-colon": (chunk(chunked(b"a", trailers=b"X : 1\r\n")), *REFUSED),
    "trailer-fold": (chunk(chunked(b"a", trailers=b"X: 1\r\n y\r\n")), *REFUSED),
    "trailer-no-name": (chunk(chunked(b"a", trailers=b": 1\r\n")), *REFUSED),
    "trailer-no-colon": (chunk(chunked(b"a", trailers=b"X\r\n")), *REFUSED),
    "trailer-bare-lf": (chunk(chunked(b"a", trailers=b"X: 1\n")), *REFUSED),
    "trailer-nul": (chunk(chunked(b"a", trailers=b"X: \0\r\n")), *REFUSED),
    "trailer-length": (chunk(chunked(b"a", trailers=b"Content-Length: 99\r\n")), [200, 299], 2),
    "trailer-te": (chunk(chunked(b"a", trailers=b"Transfer-Encoding: gzip\r\n")), [200, 299], 2),
    # ---- the request line and fields
    "line-bare-lf": (b"GET / HTTP/1.1\nHost: x\r\n\r\n" + NEXT, *REFUSED),
    "line-all-bare-lf": (b"GET / HTTP/1.1\nHost: x\n\n" + NEXT, *REFUSED),
    "line-bare-cr": (b"GET / HTTP/1.1\rHost: x\r\n\r\n" + NEXT, *REFUSED),
    "line-lf-first": (b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n" + NEXT, *REFUSED),
    "line-tab": (head(b"GET\t/ HTTP/1.1") + NEXT, *REFUSED),
    "line-space-behind": (head(b"GET / HTTP/1.1 ") + NEXT, *REFUSED),
    "line-two-versions": (head(b"GET / HTTP/1.1 HTTP/1.1") + NEXT, *REFUSED),
    "line-nul-method": (head(b"G\0T / HTTP/1.1") + NEXT, *REFUSED),
    "line-nul-target": (head(b"GET /\0 HTTP/1.1") + NEXT, *REFUSED),
    "line-fragment": (head(b"GET /a#/smuggled HTTP/1.1") + NEXT, *REFUSED),
    "line-high-byte": (head(b"GET /\xff HTTP/1.1") + NEXT, *REFUSED),
    "line-method-colon": (head(b"GET: / HTTP/1.1") + NEXT, *REFUSED),
    "field-empty-name": (field(b": value"), *REFUSED),
    "field-no-colon": (field(b"Novalue"), *REFUSED),
    "field-space-in-name": (field(b"X Y: 1"), *REFUSED),
    "field-high-name": (field(b"X\xff: 1"), *REFUSED),
    "field-nul-value": (field(b"X: a\0b"), *REFUSED),
    "field-escape-value": (field(b"X: a\x1bb"), *REFUSED),
    "field-delete-value": (field(b"X: a\x7fb"), *REFUSED),
    "field-folded": (field(b"X: a\r\n\tb"), *REFUSED),
    "field-first-folded": (b"GET / HTTP/1.1\r\n Host: x\r\n\r\n" + NEXT, *REFUSED),
    "field-blank-line-of-space": (b"GET / HTTP/1.1\r\nHost: x\r\n \r\n\r\n" + NEXT, *REFUSED),
    "field-cr-lf-cr": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\r\n" + NEXT, *REFUSED),
    "host-twice": (field(b"Host: y"), *REFUSED),
    "host-comma": (b"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n" + NEXT, *REFUSED),
    "host-and-absolute": (head(b"GET http://y/ HTTP/1.1") + NEXT, [200, 299], 2),
    "absolute-comma": (head(b"GET http://y,z/ HTTP/1.1") + NEXT, *REFUSED),
    "connect": (head(b"CONNECT x:80 HTTP/1.1") + NEXT, [405, 299], 1),
    "upgrade-h2c-with-body": (post(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                                   b"HTTP2-Settings: AAMAAABkAAQAAP__", b"Content-Length: 5")
                              + b"hello" + NEXT, [200, 299], 2),
    "expect-and-body-at-once": (post(b"Expect: 100-continue", b"Content-Length: 5") + b"hello"
                                + NEXT, [200, 299], 2),
    "http2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + NEXT, [505], 0),
    "tls-client-hello": (bytes.fromhex("16030100c8010000c40303") + b"\0" * 64 + NEXT, *REFUSED),
    "proxy-header-unasked": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + NEXT, *REFUSED),
}


@pytest.fixture(scope="module")
def stack_of_module(tmp_path_factory):
    stack = tools.Stack(tmp_path_factory.mktemp("smuggling"))
    yield stack
    stack.tear_down()


@pytest.fixture(scope="module")
def shared(stack_of_module):
    """One balancer and one origin for the whole table: a desync would show in what follows."""
    sim = stack_of_module.add_sim(sims.Sim(stack_of_module.tmp_path, ("a",)))
    lb = stack_of_module.add_balancer(balancer.Evlb(stack_of_module.tmp_path, ONE, (sim,)))
    return lb, sim["a"]


def answers(c):
    """The status of every response until evlb closes."""
    got = []
    while True:
        try:
            got.append(c.response().status)
        except (http.Closed, ConnectionError):
            assert c.pending == b"", c.pending
            return got


def check(lb, origin, send, expected, requests, begun=0):
    origin.control("reset")
    c = lb.client()
    try:
        send(c)
        c.half_close()
    except OSError:  # refused and closed while we were still sending
        pass
    got = answers(c)
    c.close()
    lb.wait_idle()
    seen = origin.count()
    assert seen["bad_requests"] == 0, seen["last_bad"]
    if requests is None:  # incomplete: the origin may have seen its begin, never a whole one
        assert (seen["responses"], got) == (0, [])
    else:
        assert got == expected
        assert requests <= seen["requests"] <= max(requests, begun)
        assert seen["responses"] == requests
    follow = lb.get("/?header=N:follow")
    assert (follow.status, follow.headers.get("N")) == (200, "follow")


@pytest.mark.parametrize("name", TABLE)
def test_ambiguous_message(shared, name):
    sent, expected, requests = TABLE[name]
    check(*shared, lambda c: c.send(sent), expected, requests)


@pytest.mark.parametrize("name", [n for n in TABLE if len(TABLE[n][0]) < 1000])
def test_ambiguous_message_in_single_bytes(shared, name):
    """How the bytes arrive changes nothing, but that the head of a request may have gone to the
    origin before its body turns out bad: then it is cut there."""
    sent, expected, requests = TABLE[name]
    begun = 1 if name.startswith(("chunk-", "trailer-")) else 0
    check(*shared, lambda c: c.send_split(sent), expected, requests, begun)


# ---- answers given here, and the bytes behind them

ROUTES = """\
workers: 1
frontends:
  web:
    listen: $port
    routes:
      - {path: /secret, deny: 403}
      - {path: /old/, redirect: "http://new.test/"}
      - {host: [x, test.local], backend: app}
backends: {app: {servers: {a: $a}}}
"""


@pytest.fixture(scope="module")
def routed(stack_of_module):
    sim = stack_of_module.add_sim(sims.Sim(stack_of_module.tmp_path, ("a",)))
    lb = stack_of_module.add_balancer(balancer.Evlb(stack_of_module.tmp_path, ROUTES, (sim,)))
    return lb, sim["a"]


@pytest.mark.parametrize("path, status", [(b"/secret", 403), (b"/old/x", 302)])
@pytest.mark.parametrize("framing, body", [(b"Content-Length: %d" % len(NEXT), NEXT),
                                           (b"Transfer-Encoding: chunked", chunked(NEXT)),
                                           (b"Content-Length: 99999", NEXT)],
                         ids=["length", "chunked", "incomplete"])
def test_the_body_of_a_request_answered_here_is_no_request(routed, path, status, framing, body):
    """CVE-2022-23959: smuggling after an ignored request body."""
    message = head(b"POST " + path + b" HTTP/1.1", framing) + body
    check(*routed, lambda c: c.send(message), [status], 0)
    check(*routed, lambda c: c.send_split(message, 7), [status], 0)


@pytest.mark.parametrize("path", [
    b"/secret", b"/secret/", b"/secret?x", b"/secret/x", b"/%73ecret", b"/%73%65cret",
    b"/a/../secret", b"/./secret", b"//secret", b"/a/%2e%2e/secret", b"/secret/../secret/x",
    b"/a/..//secret", b"http://x/secret", b"http://x:80//secret", b"/secret;x", b"/secret;x/y",
    b"/secret%3bx=1?y", b"/;x/secret", b"/.;x/secret", b"/x;y/../secret"])
def test_spellings_of_a_denied_path_are_denied(routed, path):
    """CVE-2019-9901, CVE-2021-29492: routes look at the normal form."""
    check(*routed, lambda c: c.send(head(b"GET " + path + b" HTTP/1.1")), [403], 0)


@pytest.mark.parametrize("path", [b"/a%2Fb", b"/a//b", b"/a/../b", b"/%41", b"/secretive",
                                  b"/a;secret", b"/a%3bx", b"/a?/secret"])
def test_what_is_forwarded_is_what_came(routed, path):
    lb, origin = routed
    origin.control("reset")
    c = lb.client()
    c.send(head(b"GET /echo?" + path + b" HTTP/1.1"))
    assert seen(c.response()).target == "/echo?" + path.decode()
    c.send(head(b"GET " + path + b" HTTP/1.1"))
    assert c.response().status == 200
    assert origin.count()["requests"] == 2
    c.close()


@pytest.mark.parametrize("path", [b"/%", b"/%zz", b"/%00secret", b"/a/%2", b"/a/..;/secret",
                                  b"/a/..%3bx/secret", b"/secret/;x/..", b"/secret//..",
                                  b"/secret/x%2f..%2f../y", b"/a;x%2f../secret"])
def test_paths_without_a_normal_form_are_refused_where_routes_look(routed, path):
    """Also those that one server reads as /secret and another does not."""
    check(*routed, lambda c: c.send(head(b"GET " + path + b" HTTP/1.1")), [400], 0)


def test_dots_beyond_the_root_end_there(routed):
    check(*routed, lambda c: c.send(head(b"GET /../../secret HTTP/1.1")), [403], 0)
