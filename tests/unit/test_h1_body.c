// SPDX-License-Identifier: MIT
// Bodies: what belongs to the message and what is passed on. Every input is scanned in one piece,
// split at every byte and byte by byte, the way a session does it: what was not read stays in front
// of what arrives next.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "proto/h1_body.h"

#define TRAILER_LIMIT 100

struct outcome {
    enum h1_body_result result;
    enum http_error error;
    bool done;
    size_t read, len; // bytes read; bytes passed on
    char passed[20000];
};

// Feeds up to `first` bytes, then `step` at a time. Each call gets a block of exactly its size.
static void feed(struct str text, enum h1_body_mode mode, size_t first, size_t step,
                 struct outcome *o)
{
    struct h1_body b;
    h1_body_init(&b, BODY_CHUNKED, 0, mode, TRAILER_LIMIT);
    *o = (struct outcome){.result = H1_BODY_OK};
    for (size_t n = MIN_OF(first, text.len);; n = MIN_OF(n + step, text.len)) {
        size_t in = 0, out = 0, have = n - o->read;
        char *copy = malloc(have > 0 ? have : 1);
        assert_non_null(copy);
        memcpy(copy, text.p + o->read, have);
        o->result = h1_body_scan(&b, copy, have, &in, &out, &o->error);
        assert_true(out <= in && in <= have);
        assert_true(o->len + out <= sizeof(o->passed));
        memcpy(o->passed + o->len, copy, out);
        free(copy);
        o->read += in;
        o->len += out;
        if (o->result == H1_BODY_BAD || n == text.len)
            break;
    }
    o->done = b.done;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->result, b->result);
    assert_int_equal(a->error, b->error);
    assert_int_equal(a->done, b->done);
    assert_int_equal(a->read, b->read);
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->passed, b->passed, a->len);
}

static struct outcome whole, pieces;

static void all_splits(struct str text, enum h1_body_mode mode)
{
    feed(text, mode, text.len, 1, &whole);
    for (size_t at = 0; at <= text.len; at++) {
        feed(text, mode, at, text.len, &pieces);
        assert_same(&whole, &pieces);
    }
    feed(text, mode, 0, 1, &pieces);
    assert_same(&whole, &pieces);
}

static void assert_passed(const char *want)
{
    struct str got = {whole.passed, whole.len};
    if (!str_eq(got, str_of(want)))
        fail_msg("passed \"%.*s\", not \"%s\"", STR_FMT(got), want);
}

// A complete message of `bytes` bytes: what goes on with and without its framing, and incomplete
// at each shorter length.
static void good(const char *text, size_t bytes, const char *framed, const char *plain)
{
    struct str all = str_of(text);
    all_splits(all, H1_BODY_DECODE);
    assert_int_equal(whole.result, H1_BODY_OK);
    assert_true(whole.done);
    assert_int_equal(whole.read, bytes);
    assert_passed(plain);
    all_splits(all, H1_BODY_PASS);
    assert_int_equal(whole.result, H1_BODY_OK);
    assert_true(whole.done);
    assert_int_equal(whole.read, bytes);
    assert_passed(framed);
    for (size_t n = 0; n < bytes; n++) {
        feed((struct str){text, n}, H1_BODY_PASS, 0, 1, &pieces);
        assert_int_equal(pieces.result, H1_BODY_OK);
        assert_false(pieces.done);
    }
}

static void test_chunks(void **state)
{
    (void)state;
    good("5\r\nhello\r\n0\r\n\r\nGET", 15, "5\r\nhello\r\n0\r\n\r\n", "hello");
    good("1\r\na\r\n1\r\nb\r\n000\r\n\r\n", 19, "1\r\na\r\n1\r\nb\r\n000\r\n\r\n", "ab");
    good("A\r\n0123456789\r\n0a\r\n9876543210\r\n0\r\n\r\n", 36,
         "A\r\n0123456789\r\n0a\r\n9876543210\r\n0\r\n\r\n", "01234567899876543210");
    good("4\r\n\r\n\r\n\r\n0\r\n\r\n", 14, "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n");
    good("0000000000000002\r\nab\r\n0\r\n\r\n", 27, "0000000000000002\r\nab\r\n0\r\n\r\n", "ab");
}

static void test_extensions_are_deleted(void **state)
{
    (void)state;
    good("2;a\r\nxy\r\n0;b=\"c\td\"\r\n\r\n", 22, "2\r\nxy\r\n0\r\n\r\n", "xy");
    good("2;\r\nxy\r\n1; a ; b\r\nz\r\n0\r\n\r\n", 26, "2\r\nxy\r\n1\r\nz\r\n0\r\n\r\n", "xyz");
}

static void test_trailers(void **state)
{
    (void)state;
    good("0\r\nA: b\r\nC:\r\n\r\n", 15, "0\r\nA: b\r\nC:\r\n\r\n", "");
    good("1\r\nx\r\n0\r\ncontent-LENGTH: 5\r\nA: b\r\nHost: c\r\nAuthorization: d\r\n\r\nX", 63,
         "1\r\nx\r\n0\r\nA: b\r\n\r\n", "x");
    static const char *const forbidden[] = {"Transfer-Encoding", "TE",         "Trailer",
                                            "Connection",        "Upgrade",    "Set-Cookie",
                                            "X-Forwarded-For",   "Keep-Alive", "Content-Type"};
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
        char text[100];
        int n = snprintf(text, sizeof(text), "0\r\n%s: x\r\n\r\n", forbidden[i]);
        good(text, (size_t)n, "0\r\n\r\n", "");
    }
}

static void bad(struct str text, enum http_error want)
{
    for (int mode = 0; mode < 2; mode++) {
        all_splits(text, mode == 0 ? H1_BODY_PASS : H1_BODY_DECODE);
        if (whole.result != H1_BODY_BAD || whole.error != want)
            fail_msg("accepted or %s: %.60s", http_error_info(whole.error)->name, text.p);
    }
}

static void test_bad_chunks(void **state)
{
    (void)state;
    static const struct str cases[] = {
        STR("g\r\n"),
        STR("\r\n"),
        STR(" 5\r\nhello\r\n"),
        STR("5 \r\nhello\r\n"),
        STR("+5\r\nhello\r\n"),
        STR("-5\r\nhello\r\n"),
        STR("0x5\r\nhello\r\n"),
        STR("5 ;a\r\nhello\r\n"),
        STR("5\nhello\r\n"),
        STR("5\rhello\r\n"),
        STR("5\r\nhello\n0\r\n"),
        STR("5\r\nhelloX"),
        STR("5\r\nhello\rX"),
        STR("5\r\nhello0\r\n\r\n"),
        STR("5;a\nhello\r\n"),
        STR("5;a\rb\r\nhello\r\n"),
        STR("5;a\0\r\nhello\r\n"),
        STR("5;\x7f\r\nhello\r\n"),
        STR("00000000000000005\r\nhello\r\n"), // 17 digits
        STR("10000000000000005\r\nhello\r\n"),
        STR("8000000000000000\r\nx"),
        STR("ffffffffffffffff\r\nx"),
        STR(";a\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        bad(cases[i], HTTP_BAD_CHUNK);
}

static void test_bad_trailers(void **state)
{
    (void)state;
    static const struct str cases[] = {
        STR("0\r\n\n"),
        STR("0\r\n\rX"),
        STR("0\r\nA\r\n\r\n"),
        STR("0\r\nA: b\n\r\n"),
        STR("0\r\n A: b\r\n\r\n"),
        STR("0\r\nA : b\r\n\r\n"),
        STR("0\r\n: b\r\n"),
        STR("0\r\nA: \0\r\n"),
        STR("0\r\nA: b\rc\r\n"),
        STR("0\r\nA: b\r\n c\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        bad(cases[i], HTTP_BAD_TRAILER);
}

static void test_trailer_limit(void **state)
{
    (void)state;
    char text[300];
    int n = snprintf(text, sizeof(text), "0\r\nA: %.*d\r\nB: %.*d\r\n\r\n", 45, 0, 45, 0);
    good(text, (size_t)n, text, ""); // 2 x 50 bytes: exactly the limit
    (void)snprintf(text, sizeof(text), "0\r\nA: %.*d\r\nB: %.*d\r\n\r\n", 45, 0, 46, 0);
    bad(str_of(text), HTTP_BAD_TRAILER);
    (void)snprintf(text, sizeof(text), "0\r\nA: %.*d", 98, 0); // and without its end
    bad(str_of(text), HTTP_BAD_TRAILER);
    (void)snprintf(text, sizeof(text), "0\r\nHost: %.*d\r\nTE: %.*d\r\n", 60, 0, 60, 0);
    bad(str_of(text), HTTP_BAD_TRAILER); // deleted ones count as well
}

static void test_extension_limit(void **state)
{
    (void)state;
    static char text[6000];
    enum { LINE = 4096 };
    memset(text, 'x', sizeof(text));
    text[0] = '1';
    text[1] = ';';
    memcpy(text + LINE - 2, "\r\nx\r\n0\r\n\r\n", 11);
    feed(str_of(text), H1_BODY_PASS, LINE + 8, 1, &whole);
    assert_true(whole.done);
    assert_passed("1\r\nx\r\n0\r\n\r\n");
    text[LINE - 2] = 'x';
    memcpy(text + LINE - 1, "\r\nx\r\n0\r\n\r\n", 11);
    for (size_t step = 1; step < 5000; step += 997) {
        feed(str_of(text), H1_BODY_PASS, 0, step, &whole);
        assert_int_equal(whole.result, H1_BODY_BAD);
        assert_int_equal(whole.error, HTTP_BAD_CHUNK);
    }
}

// A size is 64 bits wide: "100000005" is not 5.
static void test_large_sizes(void **state)
{
    (void)state;
    struct h1_body b;
    size_t in, out;
    uint64_t most;
    enum http_error e;
    char text[] = "100000005\r\nhello\r\n0\r\n\r\n";
    h1_body_init(&b, BODY_CHUNKED, 0, H1_BODY_DECODE, 0);
    assert_int_equal(h1_body_scan(&b, text, sizeof(text) - 1, &in, &out, &e), H1_BODY_OK);
    assert_int_equal(in, sizeof(text) - 1);
    assert_int_equal(out, sizeof(text) - 1 - 11);
    assert_false(b.done);
    assert_true(h1_body_opaque(&b, &most));
    assert_true(most == 0x100000005u - 12);
    h1_body_skip(&b, most - 1);
    assert_false(b.done);
    h1_body_skip(&b, 1);
    assert_false(h1_body_opaque(&b, &most));
    char rest[] = "\r\n7fffffffffffffff\r\n";
    assert_int_equal(h1_body_scan(&b, rest, sizeof(rest) - 1, &in, &out, &e), H1_BODY_OK);
    assert_int_equal(in, sizeof(rest) - 1);
    assert_int_equal(out, 0);
    assert_true(h1_body_opaque(&b, &most) && most == INT64_MAX);
}

static void test_length(void **state)
{
    (void)state;
    struct h1_body b;
    size_t in, out;
    uint64_t most;
    enum http_error e;
    char text[] = "0123456789";
    h1_body_init(&b, BODY_LENGTH, 12, H1_BODY_DECODE, 0);
    assert_true(h1_body_opaque(&b, &most) && most == 12);
    assert_int_equal(h1_body_scan(&b, text, 0, &in, &out, &e), H1_BODY_OK);
    assert_int_equal(in, 0);
    assert_int_equal(h1_body_scan(&b, text, 5, &in, &out, &e), H1_BODY_OK);
    assert_int_equal(in, 5);
    assert_int_equal(out, 5);
    h1_body_skip(&b, 2);
    assert_false(b.done);
    assert_int_equal(h1_body_scan(&b, text, 10, &in, &out, &e), H1_BODY_OK);
    assert_int_equal(in, 5);
    assert_true(b.done);
    assert_false(h1_body_opaque(&b, &most));
    assert_int_equal(h1_body_scan(&b, text, 10, &in, &out, &e), H1_BODY_OK);
    assert_int_equal(in, 0); // the next message's
    assert_string_equal(text, "0123456789");
}

static void test_until_close_and_none(void **state)
{
    (void)state;
    struct h1_body b;
    size_t in, out;
    uint64_t most;
    enum http_error e;
    char text[] = "0123456789";
    h1_body_init(&b, BODY_UNTIL_CLOSE, 3, H1_BODY_PASS, 0);
    assert_true(h1_body_opaque(&b, &most) && most == UINT64_MAX);
    h1_body_skip(&b, 1000);
    assert_int_equal(h1_body_scan(&b, text, 10, &in, &out, &e), H1_BODY_OK);
    assert_int_equal(in, 10);
    assert_int_equal(out, 10);
    assert_false(b.done);
    h1_body_init(&b, BODY_NONE, 5, H1_BODY_PASS, 0);
    assert_true(b.done);
    h1_body_init(&b, BODY_LENGTH, 0, H1_BODY_PASS, 0);
    assert_true(b.done);
    h1_body_init(&b, BODY_CHUNKED, 0, H1_BODY_PASS, 0);
    assert_false(b.done);
    assert_false(h1_body_opaque(&b, &most));
}

// One-byte chunks by the thousand: everything is moved at most once.
static void test_tiny_chunks(void **state)
{
    (void)state;
    enum { CHUNKS = 1000000 };
    char *text = malloc(CHUNKS * 6 + 5);
    struct h1_body b;
    size_t in, out;
    enum http_error e;
    assert_non_null(text);
    for (size_t i = 0; i < CHUNKS; i++)
        memcpy(text + i * 6, "1\r\nx\r\n", 6);
    memcpy(text + CHUNKS * 6, "0\r\n\r\n", 5);
    h1_body_init(&b, BODY_CHUNKED, 0, H1_BODY_DECODE, 0);
    assert_int_equal(h1_body_scan(&b, text, CHUNKS * 6 + 5, &in, &out, &e), H1_BODY_OK);
    assert_true(b.done);
    assert_int_equal(out, CHUNKS);
    for (size_t i = 0; i < CHUNKS; i++)
        assert_true(text[i] == 'x');
    free(text);
}

static void test_chunk_head(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 15, 16, 255, 16384, UINT32_MAX, UINT64_MAX};
    static const char *const want[] = {
        "1\r\n", "f\r\n", "10\r\n", "ff\r\n", "4000\r\n", "ffffffff\r\n", "ffffffffffffffff\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char out[H1_CHUNK_HEAD_MAX];
        size_t n = h1_chunk_head(sizes[i], out);
        assert_true(str_eq((struct str){out, n}, str_of(want[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks),          cmocka_unit_test(test_extensions_are_deleted),
        cmocka_unit_test(test_trailers),        cmocka_unit_test(test_bad_chunks),
        cmocka_unit_test(test_bad_trailers),    cmocka_unit_test(test_trailer_limit),
        cmocka_unit_test(test_extension_limit), cmocka_unit_test(test_large_sizes),
        cmocka_unit_test(test_length),          cmocka_unit_test(test_until_close_and_none),
        cmocka_unit_test(test_tiny_chunks),     cmocka_unit_test(test_chunk_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
