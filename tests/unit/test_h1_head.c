// SPDX-License-Identifier: MIT
// Heads of HTTP/1 messages: every message below is read in one piece, split at every byte, byte by
// byte, and cut short at every byte, each time from a block of exactly its size, so that a
// sanitizer sees any read behind the input. The verdict must be the same each time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/h1_head.h"

enum kind { REQUEST, RESPONSE, RESPONSE_TO_HEAD, RESPONSE_TO_CONNECT };

static const struct h1_limits limits = {.head_bytes = 200000, .fields = 100, .uri_bytes = 2000};
static struct http_head head, other;
static enum http_error error; // that parse() has met last

static enum h1_result parse(enum kind kind, struct h1_scan *scan, struct str text,
                            const struct h1_limits *l, struct http_head *out)
{
    // a copy in a block of its own: nothing readable lies behind it
    char *copy = malloc(text.len > 0 ? text.len : 1);
    assert_non_null(copy);
    memcpy(copy, text.p, text.len);
    enum http_method m = kind == RESPONSE_TO_HEAD      ? HTTP_HEAD
                         : kind == RESPONSE_TO_CONNECT ? HTTP_CONNECT
                                                       : HTTP_GET;
    enum h1_result r = kind == REQUEST ? h1_parse_request(scan, copy, text.len, l, out, &error)
                                       : h1_parse_response(scan, copy, text.len, l, m, out, &error);
    struct h1_scan again = {0};
    if (r == H1_DONE) // once more where the slices stay valid
        r = kind == REQUEST ? h1_parse_request(&again, text.p, text.len, l, out, &error)
                            : h1_parse_response(&again, text.p, text.len, l, m, out, &error);
    free(copy);
    return r;
}

static void assert_same_str(struct str a, struct str b)
{
    assert_true(str_eq(a, b));
    assert_true(a.len == 0 || a.p == b.p);
}

static void assert_same_head(const struct http_head *a, const struct http_head *b)
{
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->n_fields, b->n_fields);
    assert_int_equal(a->framing, b->framing);
    assert_true(a->content_length == b->content_length);
    assert_int_equal(a->keep_alive, b->keep_alive);
    assert_same_str(a->target, b->target);
    assert_same_str(a->authority, b->authority);
    for (uint32_t i = 0; i < a->n_fields; i++) {
        assert_same_str(a->fields[i].name, b->fields[i].name);
        assert_same_str(a->fields[i].value, b->fields[i].value);
        assert_same_str(a->fields[i].line, b->fields[i].line);
    }
}

// Feeds `bytes` up to `n` in pieces of `step` bytes, the first one `first` long.
static enum h1_result feed(enum kind kind, struct str text, size_t first, size_t step,
                           const struct h1_limits *l, struct http_head *out)
{
    struct h1_scan scan = {0};
    enum h1_result r = H1_MORE;
    for (size_t n = first; r == H1_MORE; n += step) {
        n = MIN_OF(n, text.len);
        r = parse(kind, &scan, (struct str){text.p, n}, l, out);
        if (n == text.len)
            break;
    }
    return r;
}

static void check_all_splits(enum kind kind, struct str text, const struct h1_limits *l,
                             enum h1_result want, enum http_error want_error)
{
    error = HTTP_OK;
    size_t stride = text.len > 2000 ? text.len / 61 : 1; // large ones: not quadratic here
    enum h1_result r = feed(kind, text, text.len, 1, l, &head);
    if (r != want || (want == H1_BAD && error != want_error))
        fail_msg("%d/%s, expected %d/%s: %.200s", (int)r, http_error_info(error)->name, (int)want,
                 http_error_info(want_error)->name, text.p);
    for (size_t at = 0; at <= text.len; at += stride) {
        r = feed(kind, text, at, text.len, l, &other);
        if (r != want)
            fail_msg("%d, not %d, when split at %zu: %.200s", (int)r, (int)want, at, text.p);
        if (want == H1_DONE)
            assert_same_head(&head, &other);
        else
            assert_int_equal(error, want_error);
        struct str cut = {text.p, at};
        r = feed(kind, cut, 0, MAX_OF(stride, (size_t)1), l, &other);
        if (want == H1_DONE && at < head.bytes)
            assert_int_equal(r, H1_MORE);
        if (r == H1_BAD)
            assert_int_equal(error, want_error);
    }
    assert_int_equal(feed(kind, text, 1, stride, l, &other), want);
    assert_int_equal(want == H1_BAD ? error : want_error, want_error);
}

static void good(enum kind kind, const char *text)
{
    check_all_splits(kind, str_of(text), &limits, H1_DONE, HTTP_OK);
}

static void assert_text(struct str s, const char *text)
{
    if (!str_eq(s, str_of(text)))
        fail_msg("\"%.*s\" is not \"%s\"", STR_FMT(s), text);
}

struct bad_case {
    struct str text;
    enum http_error error;
};

#define R(line, fields) STR(line " HTTP/1.1\r\nHost: a\r\n" fields "\r\n")

// clang-format off
static const struct bad_case bad_requests[] = {
    // the first line
    {STR("\x16\x03\x01\x02\x00\x01\x00"), HTTP_BAD_START_LINE},
    {STR(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_START_LINE},
    {STR("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_START_LINE},
    {STR("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_START_LINE},
    {STR("GET /  HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), HTTP_BAD_START_LINE},
    {STR("GET / HTTP/1.1\rHost: a\r\n\r\n"), HTTP_BAD_LINE_END},
    {STR("GET / HTTP/1.1\nHost: a\r\n\r\n"), HTTP_BAD_LINE_END},
    {STR("GET\n"), HTTP_BAD_LINE_END},
    {STR("GET\r\n"), HTTP_BAD_START_LINE},
    {STR("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_START_LINE},
    {STR("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_START_LINE},
    {STR("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_LINE_END},
    {STR("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_LINE_END},
    // versions
    {STR("GET /\r\n"), HTTP_BAD_VERSION},
    {STR("GET /\n"), HTTP_BAD_LINE_END},
    {STR("GET / HTTP/1.10\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("GET / HTTP/1.1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("GET / HTTP/0.9\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("GET / HTTP/11\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("GET / HTTP/1\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("GET / http/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("GET / HTTP/1.x\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("GET / HTTP\n"), HTTP_BAD_LINE_END},
    {STR("GET / a HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HTTP_UNSUPPORTED_VERSION},
    {STR("GET / HTTP/3.0\r\nHost: a\r\n\r\n"), HTTP_UNSUPPORTED_VERSION},
    // targets
    {R("GET /a#b", ""), HTTP_BAD_TARGET},
    {R("GET /\x7f", ""), HTTP_BAD_TARGET},
    {R("GET /\xc3\xa9", ""), HTTP_BAD_TARGET},
    {R("GET /a\tb", ""), HTTP_BAD_TARGET},
    {R("GET /a\0b", ""), HTTP_BAD_TARGET},
    {R("GET *", ""), HTTP_BAD_TARGET},
    {R("OPTIONS **", ""), HTTP_BAD_TARGET},
    {R("OPTIONS *a", ""), HTTP_BAD_TARGET},
    {R("GET a:80", ""), HTTP_BAD_TARGET},
    {R("GET index.html", ""), HTTP_BAD_TARGET},
    {R("GET http:/a", ""), HTTP_BAD_TARGET},
    {R("GET http:///", ""), HTTP_BAD_TARGET},
    {R("GET http://u@a/", ""), HTTP_BAD_TARGET},
    {R("GET http://a,b/", ""), HTTP_BAD_TARGET},
    {R("GET http://a:b/", ""), HTTP_BAD_TARGET},
    {R("GET http://a?b", ""), HTTP_BAD_TARGET},
    {R("GET ftp://a/", ""), HTTP_BAD_TARGET},
    {R("CONNECT /", ""), HTTP_BAD_TARGET},
    {R("CONNECT a", ""), HTTP_BAD_TARGET},
    {R("CONNECT a:", ""), HTTP_BAD_TARGET},
    {R("CONNECT http://a:1/", ""), HTTP_BAD_TARGET},
    {R("CONNECT *", ""), HTTP_BAD_TARGET},
    // field lines
    {R("GET /", ": b\r\n"), HTTP_BAD_FIELD_NAME},
    {R("GET /", "X : b\r\n"), HTTP_BAD_FIELD_NAME},
    {R("GET /", "X\t: b\r\n"), HTTP_BAD_FIELD_NAME},
    {R("GET /", "X\r\n"), HTTP_BAD_FIELD_NAME},
    {R("GET /", "X\n"), HTTP_BAD_LINE_END},
    {R("GET /", "X(: b\r\n"), HTTP_BAD_FIELD_NAME},
    {R("GET /", "X\xe9: b\r\n"), HTTP_BAD_FIELD_NAME},
    {R("GET /", "X\0Y: b\r\n"), HTTP_BAD_FIELD_NAME},
    {R("GET /", " X: b\r\n"), HTTP_FOLDED_FIELD},
    {R("GET /", "X: a\r\n b\r\n"), HTTP_FOLDED_FIELD},
    {R("GET /", "X: a\r\n\tb\r\n"), HTTP_FOLDED_FIELD},
    {R("GET /", "X: a\r\n \r\n"), HTTP_FOLDED_FIELD},
    {STR("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), HTTP_FOLDED_FIELD},
    {STR("GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n"), HTTP_FOLDED_FIELD},
    {R("GET /", "X: a\nY: b\r\n"), HTTP_BAD_LINE_END},
    {R("GET /", "X: a\rY: b\r\n"), HTTP_BAD_LINE_END},
    {R("GET /", "X: a\r\r\n"), HTTP_BAD_LINE_END},
    {R("GET /", "\n"), HTTP_BAD_LINE_END},
    {R("GET /", "X: a\0b\r\n"), HTTP_BAD_FIELD_VALUE},
    {R("GET /", "X: a\x1f\r\n"), HTTP_BAD_FIELD_VALUE},
    {R("GET /", "X: a\x7f\r\n"), HTTP_BAD_FIELD_VALUE},
    {R("GET /", "A: 1\r\nB: 2\r\n\rX"), HTTP_BAD_LINE_END},
    // Host
    {STR("GET / HTTP/1.1\r\n\r\n"), HTTP_MISSING_HOST},
    {STR("GET http://a/ HTTP/1.1\r\n\r\n"), HTTP_MISSING_HOST},
    {R("GET /", "Host: a\r\n"), HTTP_BAD_HOST},
    {R("GET /", "host: b\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.1\r\nHost:\r\n\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.1\r\nHost: a:+1\r\n\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.1\r\nHost: [a]\r\n\r\n"), HTTP_BAD_HOST},
    {STR("GET / HTTP/1.0\r\nHost: a b\r\n\r\n"), HTTP_BAD_HOST},
    // Content-Length
    {R("GET /", "Content-Length:\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: +5\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: -5\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: 0x5\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: 5 5\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: 5, 6\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: 5,\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: ,5\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: \"5\"\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: 5\r\nContent-Length: 6\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: 5\r\nContent-Length:\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: 9223372036854775808\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: 18446744073709551616\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Content-Length: 18446744073709551621\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {R("GET /", "Transfer-Encoding: chunked\r\nContent-Length: x\r\n"), HTTP_BAD_CONTENT_LENGTH},
    // Transfer-Encoding
    {R("GET /", "Transfer-Encoding:\r\n"), HTTP_BAD_TRANSFER_ENCODING},
    {R("GET /", "Transfer-Encoding: \x0b" "chunked\r\n"), HTTP_BAD_FIELD_VALUE},
    {R("GET /", "Transfer-Encoding: chunked, gzip\r\n"), HTTP_BAD_TRANSFER_ENCODING},
    {R("GET /", "Transfer-Encoding: chunked, chunked\r\n"), HTTP_BAD_TRANSFER_ENCODING},
    {R("GET /", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), HTTP_BAD_TRANSFER_ENCODING},
    {R("GET /", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), HTTP_BAD_TRANSFER_ENCODING},
    {R("GET /", "Transfer-Encoding: chunked,\r\n"), HTTP_BAD_TRANSFER_ENCODING},
    {R("GET /", "Transfer-Encoding: ,chunked\r\n"), HTTP_BAD_TRANSFER_ENCODING},
    {R("GET /", "Transfer-Encoding: \"chunked\"\r\n"), HTTP_BAD_TRANSFER_ENCODING},
    {R("GET /", "Transfer-Encoding: gzip\r\n"), HTTP_UNKNOWN_TRANSFER_CODING},
    {R("GET /", "Transfer-Encoding: gzip, chunked\r\n"), HTTP_UNKNOWN_TRANSFER_CODING},
    {R("GET /", "Transfer-Encoding: identity\r\n"), HTTP_UNKNOWN_TRANSFER_CODING},
    {R("GET /", "Transfer-Encoding: xchunked\r\n"), HTTP_UNKNOWN_TRANSFER_CODING},
    {R("GET /", "Transfer-Encoding: chunked;q=1\r\n"), HTTP_UNKNOWN_TRANSFER_CODING},
    {STR("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_TE_WITH_HTTP10},
};

static const struct bad_case bad_responses[] = {
    {STR("\r\nHTTP/1.1 200 OK\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("\x15\x03\x01"), HTTP_BAD_VERSION},
    {STR("ICY 200 OK\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("HTTP/2.0 200 OK\r\n\r\n"), HTTP_UNSUPPORTED_VERSION},
    {STR("HTTP/1.10 200 OK\r\n\r\n"), HTTP_BAD_VERSION},
    {STR("HTTP/1.1\r\n\r\n"), HTTP_BAD_START_LINE},
    {STR("HTTP/1.1\n"), HTTP_BAD_LINE_END},
    {STR("HTTP/1.1  200 OK\r\n\r\n"), HTTP_BAD_STATUS},
    {STR("HTTP/1.1 20 OK\r\n\r\n"), HTTP_BAD_STATUS},
    {STR("HTTP/1.1 2000 OK\r\n\r\n"), HTTP_BAD_STATUS},
    {STR("HTTP/1.1 099 OK\r\n\r\n"), HTTP_BAD_STATUS},
    {STR("HTTP/1.1 600 OK\r\n\r\n"), HTTP_BAD_STATUS},
    {STR("HTTP/1.1 999 OK\r\n\r\n"), HTTP_BAD_STATUS},
    {STR("HTTP/1.1 +20 OK\r\n\r\n"), HTTP_BAD_STATUS},
    {STR("HTTP/1.1 200\tOK\r\n\r\n"), HTTP_BAD_START_LINE},
    {STR("HTTP/1.1 200 O\0K\r\n\r\n"), HTTP_BAD_START_LINE},
    {STR("HTTP/1.1 200 OK\n\n"), HTTP_BAD_LINE_END},
    {STR("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"), HTTP_FOLDED_FIELD},
    {STR("HTTP/1.1 200 OK\r\n X: a\r\n\r\n"), HTTP_FOLDED_FIELD},
    {STR("HTTP/1.1 200 OK\r\n : a\r\n\r\n"), HTTP_FOLDED_FIELD},
    {STR("HTTP/1.1 200 OK\r\n: a\r\n\r\n"), HTTP_BAD_FIELD_NAME},
    {STR("HTTP/1.1 200 OK\r\nX Y: a\r\n\r\n"), HTTP_BAD_FIELD_NAME},
    {STR("HTTP/1.1 200 OK\r\nX \r\n\r\n"), HTTP_BAD_FIELD_NAME},
    {STR("HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n"), HTTP_BAD_LINE_END},
    {STR("HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {STR("HTTP/1.1 304 OK\r\nContent-Length: a\r\n\r\n"), HTTP_BAD_CONTENT_LENGTH},
    {STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), HTTP_UNKNOWN_TRANSFER_CODING},
};
// clang-format on

static void test_bad_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_requests); i++)
        check_all_splits(REQUEST, bad_requests[i].text, &limits, H1_BAD, bad_requests[i].error);
}

static void test_bad_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_responses); i++)
        check_all_splits(RESPONSE, bad_responses[i].text, &limits, H1_BAD, bad_responses[i].error);
}

static void test_simple_request(void **state)
{
    (void)state;
    good(REQUEST, "GET /a?b HTTP/1.1\r\nHost: Example.com:8080\r\nX-Y_z:  v w\t \r\n\r\nGET");
    assert_int_equal(head.method, HTTP_GET);
    assert_text(head.method_text, "GET");
    assert_text(head.target, "/a?b");
    assert_text(head.path, "/a?b");
    assert_text(head.authority, "Example.com:8080");
    assert_int_equal(head.minor, 1);
    assert_int_equal(head.n_fields, 2);
    assert_text(head.fields[1].name, "X-Y_z");
    assert_text(head.fields[1].value, "v w");
    assert_text(head.fields[1].line, "X-Y_z:  v w\t \r\n");
    assert_int_equal(head.fields[0].id, FIELD_HOST);
    assert_int_equal(head.fields[1].id, FIELD_OTHER);
    assert_int_equal(head.framing, BODY_NONE);
    assert_true(head.keep_alive);
    assert_false(head.fields[1].rewrite);
}

static void test_empty_lines_in_front(void **state)
{
    (void)state;
    good(REQUEST, "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(head.skipped, 8);
    assert_int_equal(head.bytes, 8 + 16 + 9 + 2);
}

static void test_target_forms(void **state)
{
    (void)state;
    good(REQUEST, "GET http://b:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_text(head.authority, "b:1"); // not Host
    assert_text(head.path, "/x?y");
    good(REQUEST, "GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_text(head.path, "/");
    good(REQUEST, "OPTIONS http://[::1]:80 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_text(head.path, "*");
    assert_text(head.authority, "[::1]:80");
    good(REQUEST, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_text(head.path, "*");
    good(REQUEST, "CONNECT a.example:443 HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_text(head.authority, "a.example:443");
    assert_int_equal(head.path.len, 0);
    good(REQUEST, "GET //x//y HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_text(head.path, "//x//y");
}

static void test_http10(void **state)
{
    (void)state;
    good(REQUEST, "GET / HTTP/1.0\r\n\r\n");
    assert_false(head.keep_alive);
    assert_int_equal(head.authority.len, 0);
    good(REQUEST, "GET / HTTP/1.0\r\nHost:\r\nConnection: Keep-Alive\r\n\r\n");
    assert_true(head.keep_alive);
    good(REQUEST, "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n");
    assert_false(head.keep_alive);
    good(REQUEST,
         "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\nExpect: 100-continue\r\n\r\n");
    assert_false(head.upgrade);
    assert_false(head.expect_continue);
}

static void test_connection(void **state)
{
    (void)state;
    good(REQUEST, "GET / HTTP/1.1\r\nHost: a\r\nConnection: , Close ,\r\n\r\n");
    assert_false(head.keep_alive);
    assert_false(head.connection_names_fields);
    good(REQUEST, "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, TE\r\n"
                  "Connection: UPGRADE\r\nUpgrade: websocket\r\nExpect: 100-Continue\r\n\r\n");
    assert_true(head.keep_alive);
    assert_true(head.upgrade);
    assert_true(head.expect_continue);
    assert_false(head.connection_names_fields);
    good(REQUEST, "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Foo\r\nUpgrade: h2c\r\n\r\n");
    assert_true(head.connection_names_fields);
    assert_false(head.upgrade);
    assert_true(http_connection_names(&head, STR("x-foo")));
    assert_false(http_connection_names(&head, STR("x-fo")));
    assert_non_null(http_field_find(&head, FIELD_UPGRADE));
    assert_null(http_field_find(&head, FIELD_DATE));
}

static void test_request_length(void **state)
{
    (void)state;
    good(REQUEST, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n");
    assert_int_equal(head.framing, BODY_LENGTH);
    assert_true(head.content_length == INT64_MAX);
    good(REQUEST, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5 ,05\r\n\r\n");
    assert_true(head.content_length == 5);
    assert_true(head.fields[1].rewrite);
    assert_text(head.fields[1].value, "5");
    good(REQUEST,
         "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 5\r\nX: y\r\n\r\n");
    assert_int_equal(head.n_fields, 3); // the repetition is gone
    assert_false(head.fields[1].rewrite);
    assert_text(head.fields[2].name, "X");
    good(REQUEST, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 000\r\n\r\n");
    assert_text(head.fields[1].value, "0");
    assert_true(head.fields[1].rewrite);
    assert_int_equal(head.framing, BODY_LENGTH);
}

static void test_request_chunked(void **state)
{
    (void)state;
    good(REQUEST, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \t Chunked \r\n\r\n0\r\n\r\n");
    assert_int_equal(head.framing, BODY_CHUNKED);
    assert_false(head.has_length_and_te);
    assert_true(head.keep_alive);
    good(REQUEST, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(head.framing, BODY_CHUNKED);
    assert_true(head.has_length_and_te);
    assert_false(head.keep_alive);
    assert_true(head.content_length == 0);
}

static void test_methods(void **state)
{
    (void)state;
    static const char *const names[] = {"G",     "GET",      "HEAD",     "POST",           "PUT",
                                        "TRACE", "DELETE",   "OPTIONS",  "PATCH",          "get",
                                        "GEX",   "M-SEARCH", "PROPFIND", "!#$%&'*+-.^_`|~"};
    static const enum http_method want[] = {
        HTTP_OTHER,   HTTP_GET,   HTTP_HEAD,  HTTP_POST,  HTTP_PUT,   HTTP_TRACE, HTTP_DELETE,
        HTTP_OPTIONS, HTTP_PATCH, HTTP_OTHER, HTTP_OTHER, HTTP_OTHER, HTTP_OTHER, HTTP_OTHER};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char text[100];
        (void)snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", names[i]);
        good(REQUEST, text);
        assert_int_equal(head.method, want[i]);
        assert_text(head.method_text, names[i]);
    }
}

static void test_minor_versions(void **state)
{
    (void)state;
    good(REQUEST, "GET / HTTP/1.9\r\nHost: a\r\n\r\n");
    assert_int_equal(head.minor, 9);
    assert_true(head.keep_alive);
}

// A name must keep its length, whatever it is: 8-bit and 16-bit counters wrap at these.
static void test_long_names(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 15, 16, 17, 31, 32, 33, 255, 256, 257, 270, 65535, 65536};
    static const char second[] = ": 1\r\nContent-Length: 7\r\n\r\n";
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        size_t n = lengths[i];
        char *text = malloc(n + 100);
        assert_non_null(text);
        int start = snprintf(text, 100, "GET / HTTP/1.1\r\nHost: a\r\n");
        memset(text + start, 'x', n);
        memcpy(text + start + n, second, sizeof(second));
        check_all_splits(REQUEST, str_of(text), &limits, H1_DONE, HTTP_OK);
        assert_int_equal(head.n_fields, 3);
        assert_int_equal(head.fields[1].name.len, n);
        assert_true(head.content_length == 7);
        free(text);
    }
}

// 64 KB of digits: linear, and no number.
static void test_long_digits(void **state)
{
    (void)state;
    for (int zeros = 0; zeros < 2; zeros++) {
        char *text = malloc(70000);
        assert_non_null(text);
        int start = snprintf(text, 100, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: ");
        memset(text + start, zeros ? '0' : '7', 65536);
        (void)snprintf(text + start + 65536, 10, "\r\n\r\n");
        check_all_splits(REQUEST, str_of(text), &limits, zeros ? H1_DONE : H1_BAD,
                         zeros ? HTTP_OK : HTTP_BAD_CONTENT_LENGTH);
        if (zeros)
            assert_text(head.fields[1].value, "0");
        free(text);
    }
}

static void test_limits(void **state)
{
    (void)state;
    static const struct str text = STR("GET /abc HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
    struct h1_limits l = {.head_bytes = (uint32_t)text.len, .fields = 2, .uri_bytes = 4};
    check_all_splits(REQUEST, text, &l, H1_DONE, HTTP_OK);
    l.uri_bytes = 3;
    check_all_splits(REQUEST, text, &l, H1_BAD, HTTP_TOO_LONG_URI);
    l.uri_bytes = 4;
    l.fields = 1;
    check_all_splits(REQUEST, text, &l, H1_BAD, HTTP_TOO_MANY_FIELDS);
    l.fields = 2;
    l.head_bytes--;
    check_all_splits(REQUEST, text, &l, H1_BAD, HTTP_TOO_LARGE_HEAD);
    static const struct str reply = STR("HTTP/1.1 200 OK\r\nX: y\r\n\r\n");
    l.head_bytes = (uint32_t)reply.len;
    check_all_splits(RESPONSE, reply, &l, H1_DONE, HTTP_OK);
    l.head_bytes--;
    check_all_splits(RESPONSE, reply, &l, H1_BAD, HTTP_TOO_LARGE_HEAD);
}

static void test_limits_before_the_end(void **state)
{
    (void)state;
    struct h1_limits l = {.head_bytes = 20, .fields = 10, .uri_bytes = 10};
    check_all_splits(REQUEST, STR("GET /aaaaaaaaaaaaaaaaaaaa"), &l, H1_BAD, HTTP_TOO_LONG_URI);
    check_all_splits(REQUEST, STR("GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaa"), &l, H1_BAD,
                     HTTP_TOO_LARGE_HEAD);
}

// A head that comes in a byte at a time must not be read from the start each time: of a head of
// 64 KB the time is that of some passes, where 65,536 passes would take minutes.
static void test_slow_arrival_is_linear(void **state)
{
    (void)state;
    enum { LINES = 900 };
    static char text[200000];
    size_t n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < LINES; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "X-Field-%d: %060d\r\n", i, i);
    n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\n");
    struct h1_limits l = {.head_bytes = 200000, .fields = 1000, .uri_bytes = 100};
    struct h1_scan scan = {0};
    enum http_error e;
    uint32_t before = 0;
    for (size_t i = 1; i < n; i++) {
        assert_int_equal(h1_parse_request(&scan, text, i, &l, &head, &e), H1_MORE);
        assert_in_range(scan.pos, before, i);
        if (i > 1 && text[i - 1] != '\r' && text[i - 1] != '\n')
            assert_int_equal(scan.pos, i); // nothing is left to be looked at again
        before = scan.pos;
    }
    assert_int_equal(h1_parse_request(&scan, text, n, &l, &head, &e), H1_DONE);
    assert_int_equal(head.n_fields, LINES + 1);
}

static void test_early_refusal(void **state)
{
    (void)state;
    enum http_error e;
    struct h1_scan scan = {0};
    assert_int_equal(h1_parse_request(&scan, "\x16", 1, &limits, &head, &e), H1_BAD);
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: abc\x01";
    scan.pos = 0;
    assert_int_equal(h1_parse_request(&scan, text, 20, &limits, &head, &e), H1_MORE);
    assert_int_equal(h1_parse_request(&scan, text, 31, &limits, &head, &e), H1_MORE);
    assert_int_equal(h1_parse_request(&scan, text, 32, &limits, &head, &e), H1_BAD);
    assert_int_equal(e, HTTP_BAD_FIELD_VALUE);
}

static void test_simple_response(void **state)
{
    (void)state;
    good(RESPONSE, "HTTP/1.1 200 Very OK \xe9\r\nContent-Length: 12\r\nServer : x\r\n\r\nbody");
    assert_int_equal(head.status, 200);
    assert_text(head.reason, "Very OK \xe9");
    assert_int_equal(head.framing, BODY_LENGTH);
    assert_true(head.content_length == 12);
    assert_true(head.keep_alive);
    assert_text(head.fields[1].name, "Server");
    assert_text(head.fields[1].value, "x");
    assert_true(head.fields[1].rewrite);
    assert_int_equal(head.fields[1].id, FIELD_SERVER);
    good(RESPONSE, "HTTP/1.1 200 OK\r\nX_Y \t: x\r\nZ!: 1\r\n\r\n");
    assert_text(head.fields[0].name, "X_Y");
    assert_true(head.fields[0].rewrite);
    assert_false(head.fields[1].rewrite);
}

static void test_reasons(void **state)
{
    (void)state;
    good(RESPONSE, "HTTP/1.1 200\r\n\r\n");
    assert_int_equal(head.reason.len, 0);
    good(RESPONSE, "HTTP/1.1 200 \r\n\r\n");
    assert_int_equal(head.reason.len, 0);
    good(RESPONSE, "HTTP/1.1 599 a\tb\r\n\r\n");
    assert_text(head.reason, "a\tb");
    good(RESPONSE, "HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\n\r\n"); // no meaning in a response
}

static void test_no_body_whatever_the_fields_say(void **state)
{
    (void)state;
    good(RESPONSE, "HTTP/1.1 304 N\r\nContent-Length: 12\r\n\r\n");
    assert_int_equal(head.framing, BODY_NONE);
    assert_true(head.content_length == 12);
    assert_true(head.keep_alive);
    good(RESPONSE, "HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(head.framing, BODY_NONE);
    good(RESPONSE, "HTTP/1.1 103 N\r\nContent-Length: 12\r\n\r\n");
    assert_int_equal(head.framing, BODY_NONE);
    good(RESPONSE, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_int_equal(head.framing, BODY_NONE);
    assert_true(head.upgrade);
    good(RESPONSE_TO_HEAD, "HTTP/1.1 200 N\r\nContent-Length: 12\r\n\r\n");
    assert_int_equal(head.framing, BODY_NONE);
    assert_true(head.content_length == 12);
    good(RESPONSE_TO_HEAD, "HTTP/1.1 200 N\r\n\r\n");
    assert_true(head.keep_alive);
    good(RESPONSE_TO_CONNECT, "HTTP/1.1 200 N\r\nContent-Length: 12\r\n\r\n");
    assert_int_equal(head.framing, BODY_NONE);
    good(RESPONSE_TO_CONNECT, "HTTP/1.1 400 N\r\nContent-Length: 12\r\n\r\n");
    assert_int_equal(head.framing, BODY_LENGTH);
}

static void test_response_framing(void **state)
{
    (void)state;
    good(RESPONSE, "HTTP/1.1 200 OK\r\n\r\n");
    assert_int_equal(head.framing, BODY_UNTIL_CLOSE);
    assert_false(head.keep_alive);
    good(RESPONSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(head.framing, BODY_CHUNKED);
    assert_true(head.keep_alive);
    good(RESPONSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n");
    assert_int_equal(head.framing, BODY_CHUNKED);
    assert_true(head.has_length_and_te);
    assert_false(head.keep_alive);
    good(RESPONSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n");
    assert_int_equal(head.framing, BODY_UNTIL_CLOSE);
    assert_false(head.keep_alive);
    good(RESPONSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\n");
    assert_int_equal(head.framing, BODY_UNTIL_CLOSE);
    good(RESPONSE, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(head.framing, BODY_UNTIL_CLOSE);
    assert_false(head.keep_alive);
    good(RESPONSE, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(head.framing, BODY_LENGTH);
    assert_true(head.keep_alive);
    good(RESPONSE, "HTTP/1.1 200 OK\r\nSet-Cookie2: a\r\nSet-Cookie: b\r\n\r\n");
    assert_int_equal(head.fields[0].id, FIELD_OTHER);
    assert_int_equal(head.fields[1].id, FIELD_SET_COOKIE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple_request),
        cmocka_unit_test(test_empty_lines_in_front),
        cmocka_unit_test(test_target_forms),
        cmocka_unit_test(test_http10),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_request_length),
        cmocka_unit_test(test_request_chunked),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_minor_versions),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_bad_responses),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_long_digits),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limits_before_the_end),
        cmocka_unit_test(test_slow_arrival_is_linear),
        cmocka_unit_test(test_early_refusal),
        cmocka_unit_test(test_simple_response),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_no_body_whatever_the_fields_say),
        cmocka_unit_test(test_response_framing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
