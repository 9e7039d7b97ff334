// SPDX-License-Identifier: MIT
// Buffers: consuming, compacting, growing, and the count of those in use.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

static void test_life(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_release(&b); // allowed without memory
    assert_true(buf_attach(&b) && buf_attach(&b));
    assert_int_equal(buf_in_use(), 1);
    assert_int_equal(buf_room(&b), BUF_BYTES);
    assert_true(buf_append(&b, "abcdef", 6));
    buf_consume(&b, 2);
    assert_int_equal(buf_len(&b), 4);
    assert_memory_equal(buf_head(&b), "cdef", 4);
    assert_int_equal(buf_room(&b), BUF_BYTES - 6);
    buf_compact(&b);
    assert_int_equal(buf_room(&b), BUF_BYTES - 4);
    assert_memory_equal(buf_head(&b), "cdef", 4);
    buf_consume(&b, 4);
    assert_int_equal(b.head, 0);
    assert_int_equal(b.tail, 0);
    buf_release(&b);
    assert_null(b.base);
    assert_int_equal(buf_in_use(), 0);
}

static void test_growth(void **state)
{
    (void)state;
    struct buf b = {0};
    static char big[BUF_BYTES];
    memset(big, 'x', sizeof(big));
    assert_true(buf_append(&b, "abc", 3));
    buf_consume(&b, 1);
    assert_true(buf_append(&b, big, sizeof(big)));
    assert_true(b.cap > BUF_BYTES);
    assert_int_equal(buf_in_use(), 1);
    assert_int_equal(buf_len(&b), BUF_BYTES + 2);
    assert_memory_equal(buf_head(&b), "bcxxx", 5);
    uint32_t cap = b.cap;
    assert_true(buf_grow(&b, 10)); // never smaller
    assert_int_equal(b.cap, cap);
    assert_false(buf_append(&b, big, UINT32_MAX / 2));
    assert_int_equal(buf_len(&b), BUF_BYTES + 2);
    buf_release(&b);
    assert_int_equal(buf_in_use(), 0);
}

// What was consumed makes room before the buffer grows.
static void test_append_compacts_first(void **state)
{
    (void)state;
    struct buf b = {0};
    static char big[BUF_BYTES];
    assert_true(buf_append(&b, big, BUF_BYTES - 1));
    buf_consume(&b, 100);
    assert_true(buf_append(&b, big, 101));
    assert_int_equal(b.cap, BUF_BYTES);
    assert_int_equal(buf_room(&b), 0);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_append_compacts_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
