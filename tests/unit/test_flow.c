// SPDX-License-Identifier: MIT
// The pump over socket pairs: order, framing by a scanner, what is kept for a second sending, what
// it stops for, and large transfers through a pipe.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/splice.h"
#include "socket_pair.h"

static struct pair src, dst;
static struct flow flow;

static int setup(void **state)
{
    (void)state;
    pair_open(&src);
    pair_open(&dst);
    flow_init(&flow);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    flow_release(&flow);
    pair_close(&src);
    pair_close(&dst);
    assert_int_equal(buf_in_use(), 0);
    return 0;
}

static void pump(enum flow_result want)
{
    enum flow_result r = flow_pump(&flow, &src.conn, &dst.conn);
    if (r == FLOW_WAIT_SRC && want != FLOW_WAIT_SRC) { // the loop would report its end
        pair_wake(&src);
        r = flow_pump(&flow, &src.conn, &dst.conn);
    }
    assert_int_equal(r, want);
}

// A message of `left` bytes; 'x' is deleted on the way, '!' breaks the rules.
static bool scan(void *ctx, char *bytes, size_t n, size_t *in, size_t *out, bool *done)
{
    size_t *left = ctx;
    *in = *out = 0;
    while (*in<n && * left> 0) {
        char c = bytes[(*in)++];
        --*left;
        if (c == '!')
            return false;
        if (c != 'x')
            bytes[(*out)++] = c;
    }
    *done = *left == 0;
    return true;
}

static uint64_t opaque(void *ctx)
{
    (void)ctx;
    return 0;
}

static void skip_bytes(void *ctx, uint64_t n)
{
    (void)ctx, (void)n;
    fail();
}

static const struct flow_scanner scanner = {scan, opaque, skip_bytes};

static void test_raw(void **state)
{
    (void)state;
    pump(FLOW_WAIT_SRC);
    assert_int_equal(buf_in_use(), 0); // nothing is held while there is nothing
    pair_say(&src, "hello");
    pump(FLOW_WAIT_SRC);
    assert_string_equal(pair_hear(&dst), "hello");
    assert_int_equal(flow.passed, 5);
    assert_int_equal(buf_in_use(), 0);
    pair_say(&src, "bye");
    shutdown(src.peer, SHUT_WR);
    pump(FLOW_EOF);
    assert_string_equal(pair_hear(&dst), "bye");
}

static void test_message(void **state)
{
    (void)state;
    size_t left = 8;
    flow.scanner = &scanner;
    flow.scan_ctx = &left;
    pair_say(&src, "axbx");
    pump(FLOW_WAIT_SRC);
    assert_string_equal(pair_hear(&dst), "ab");
    pair_say(&src, "cxxdnext");
    pump(FLOW_DONE);
    assert_string_equal(pair_hear(&dst), "cd");
    assert_int_equal(buf_len(&flow.buf), 4); // the next message's
    assert_memory_equal(buf_head(&flow.buf), "next", 4);
    pump(FLOW_DONE);
}

static void test_end_before_the_message_is_complete(void **state)
{
    (void)state;
    size_t left = 8;
    flow.scanner = &scanner;
    flow.scan_ctx = &left;
    pair_say(&src, "abc");
    shutdown(src.peer, SHUT_WR);
    pump(FLOW_EOF);
    assert_false(flow.done);
    assert_string_equal(pair_hear(&dst), "abc");
}

static void test_refused(void **state)
{
    (void)state;
    size_t left = 8;
    flow.scanner = &scanner;
    flow.scan_ctx = &left;
    pair_say(&src, "ab!");
    pump(FLOW_BAD);
}

static void test_kept_bytes_can_be_sent_again(void **state)
{
    (void)state;
    flow.keep = true;
    pair_say(&src, "request");
    pump(FLOW_WAIT_SRC);
    assert_string_equal(pair_hear(&dst), "request");
    flow.sent = 0;
    assert_int_equal(flow_flush(&flow, &dst.conn), IO_OK);
    assert_string_equal(pair_hear(&dst), "request");
}

// A kept message that outgrows the buffer is given up: it goes on all the same.
static void test_keeping_is_given_up(void **state)
{
    (void)state;
    static char big[BUF_BYTES + 1];
    memset(big, 'k', sizeof(big) - 1);
    size_t heard = 0;
    flow.keep = true;
    for (int part = 0; part < 8; part++) {
        big[BUF_BYTES / 4] = '\0';
        pair_say(&src, big);
        pair_wake(&dst);
        enum flow_result r = flow_pump(&flow, &src.conn, &dst.conn);
        assert_true(r == FLOW_WAIT_SRC || r == FLOW_WAIT_DST);
        heard += strlen(pair_hear(&dst));
    }
    pair_wake(&dst);
    pump(FLOW_WAIT_SRC);
    heard += strlen(pair_hear(&dst));
    assert_false(flow.keep);
    assert_int_equal(heard, 2 * BUF_BYTES);
}

static void test_full_destination(void **state)
{
    (void)state;
    static char big[60001];
    memset(big, 'f', sizeof(big) - 1);
    pair_say(&src, big);
    pump(FLOW_WAIT_DST);
    assert_in_range(flow_unsent(&flow), 1, BUF_BYTES); // it reads no more than it can hold
    size_t heard = 0;
    for (int i = 0; i < 100 && heard < 60000; i++) {
        heard += strlen(pair_hear(&dst));
        pair_wake(&src);
        pair_wake(&dst);
        enum flow_result r = flow_pump(&flow, &src.conn, &dst.conn);
        assert_true(r == FLOW_WAIT_SRC || r == FLOW_WAIT_DST || r == FLOW_YIELD);
    }
    assert_int_equal(heard, 60000);
}

static void test_first_goes_first(void **state)
{
    (void)state;
    assert_true(buf_append(&flow.first, "head ", 5));
    pair_say(&src, "body");
    pump(FLOW_WAIT_SRC);
    assert_string_equal(pair_hear(&dst), "head body");
    flow_taken(&flow, 0);
}

// What was read before a reset still goes out.
static void test_broken_source(void **state)
{
    (void)state;
    assert_int_equal(send(src.conn.watcher.fd, "unread", 6, 0), 6);
    pair_say(&src, "last words");
    close(src.peer); // with unread input: a reset
    src.peer = -1;
    pump(FLOW_SRC_ERR);
    assert_string_equal(pair_hear(&dst), "last words");
    assert_int_equal(src.conn.error, ECONNRESET);
}

static void test_broken_destination(void **state)
{
    (void)state;
    close(dst.peer);
    dst.peer = -1;
    pair_say(&src, "hello");
    pump(FLOW_DST_ERR);
}

// One that fills its buffer gets a larger one, until it comes in small pieces again.
static void test_bulk(void **state)
{
    (void)state;
    static char piece[4 * BUF_BYTES + 1];
    const size_t total = 8 * (sizeof(piece) - 1);
    size_t said = 0, heard = 0;
    uint32_t largest = 0;
    memset(piece, 'b', sizeof(piece) - 1);
    for (int turn = 0; turn < 1000 && (said < total || heard < said); turn++) {
        ssize_t n = said < total ? send(src.peer, piece, sizeof(piece) - 1, MSG_NOSIGNAL) : 0;
        said += n > 0 ? (size_t)n : 0;
        pair_wake(&src);
        pair_wake(&dst);
        enum flow_result r = flow_pump(&flow, &src.conn, &dst.conn);
        assert_true(r == FLOW_WAIT_SRC || r == FLOW_WAIT_DST || r == FLOW_YIELD);
        assert_true(r != FLOW_YIELD || flow_unsent(&flow) == 0); // no event would tell of them
        largest = MAX_OF(largest, flow.buf.cap);
        heard += strlen(pair_hear(&dst));
    }
    assert_true(said >= total);
    assert_int_equal(heard, said);
    assert_int_equal(largest, BUF_BULK_BYTES);
    pair_say(&src, "small");
    pump(FLOW_WAIT_SRC);
    assert_false(flow.bulk);
}

// A lot: part of it through a pipe, all of it in order, and the pipe is gone at the end.
static void test_splice(void **state)
{
    (void)state;
    uint32_t said = 0, heard = 0, piece[1024], got[16384];
    const uint32_t total = 500000; // words
    bool piped = false;
    for (int turn = 0; turn < 100000 && heard < total; turn++) {
        for (uint32_t i = 0; i < ARRAY_LEN(piece); i++)
            piece[i] = said + i;
        size_t more = MIN_OF((uint32_t)ARRAY_LEN(piece), total - said) * sizeof(*piece);
        ssize_t n = more > 0 ? send(src.peer, piece, more, MSG_NOSIGNAL) : 0;
        if (n > 0) {
            assert_int_equal(n % sizeof(*piece), 0);
            said += (uint32_t)n / sizeof(*piece);
        }
        if (said == total)
            shutdown(src.peer, SHUT_WR);
        pair_wake(&src);
        pair_wake(&dst);
        enum flow_result r = flow_pump(&flow, &src.conn, &dst.conn);
        assert_true(r == FLOW_WAIT_SRC || r == FLOW_WAIT_DST || r == FLOW_YIELD || r == FLOW_EOF);
        assert_true(r != FLOW_YIELD || (flow_unsent(&flow) == 0 && flow.piped == 0));
        piped = piped || flow.pipe[0] >= 0;
        n = recv(dst.peer, got, sizeof(got), 0);
        for (ssize_t i = 0; i < n / (ssize_t)sizeof(*got); i++)
            assert_int_equal(got[i], heard + (uint32_t)i);
        if (n > 0)
            heard += (uint32_t)n / sizeof(*got);
    }
    assert_int_equal(heard, total);
    assert_true(piped);
    assert_int_equal(flow.passed, (uint64_t)total * sizeof(*got));
    pair_wake(&src);
    pump(FLOW_EOF);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_raw),
        TEST(test_message),
        TEST(test_end_before_the_message_is_complete),
        TEST(test_refused),
        TEST(test_kept_bytes_can_be_sent_again),
        TEST(test_keeping_is_given_up),
        TEST(test_full_destination),
        TEST(test_first_goes_first),
        TEST(test_broken_source),
        TEST(test_broken_destination),
        TEST(test_bulk),
        TEST(test_splice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
