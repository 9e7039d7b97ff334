// SPDX-License-Identifier: MIT
// Heads as they go out: neighbouring pieces become one entry, and nothing is written outside.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/h1_out.h"

static struct h1_out out;

static struct str joined(void)
{
    static char text[H1_OUT_SCRATCH * 2];
    size_t n = 0;
    for (uint32_t i = 0; i < out.n; i++) {
        assert_true(out.iov[i].iov_len > 0);
        memcpy(text + n, out.iov[i].iov_base, out.iov[i].iov_len);
        n += out.iov[i].iov_len;
    }
    assert_int_equal(n, out.total);
    return (struct str){text, n};
}

static void test_neighbours_become_one(void **state)
{
    (void)state;
    static const char text[] = "A: 1\r\nB: 2\r\nC: 3\r\n";
    h1_out_reset(&out);
    h1_out_slice(&out, (struct str){text, 6});
    h1_out_slice(&out, (struct str){text + 6, 6});
    h1_out_slice(&out, STR_NONE);
    assert_int_equal(out.n, 1);
    h1_out_copy(&out, STR("X: "));
    h1_out_number(&out, 18446744073709551615u);
    h1_out_copy(&out, STR_NONE);
    h1_out_copy(&out, STR("\r\n"));
    assert_int_equal(out.n, 2);
    h1_out_slice(&out, (struct str){text + 12, 6});
    assert_int_equal(out.n, 3);
    h1_out_field(&out, STR("D"), STR("4"));
    assert_int_equal(out.n, 4);
    assert_true(
        str_eq(joined(), STR("A: 1\r\nB: 2\r\nX: 18446744073709551615\r\nC: 3\r\nD: 4\r\n")));
    assert_false(out.overflow);
}

static void test_lines(void **state)
{
    (void)state;
    struct http_field f = {.name = STR("A"), .value = STR("b"), .line = STR("A : b \r\n")};
    h1_out_reset(&out);
    h1_out_line(&out, &f);
    f.rewrite = true;
    h1_out_line(&out, &f);
    assert_true(str_eq(joined(), STR("A : b \r\nA: b\r\n")));
}

static void test_scratch_overflow(void **state)
{
    (void)state;
    static char big[H1_OUT_SCRATCH + 1];
    memset(big, 'x', sizeof(big));
    h1_out_reset(&out);
    h1_out_copy(&out, (struct str){big, H1_OUT_SCRATCH});
    assert_false(out.overflow);
    h1_out_copy(&out, STR("y"));
    assert_true(out.overflow);
    assert_int_equal(out.total, H1_OUT_SCRATCH);
    h1_out_reset(&out);
    h1_out_copy(&out, (struct str){big, H1_OUT_SCRATCH + 1});
    assert_true(out.overflow);
    assert_int_equal(out.n, 0);
}

static void test_vector_overflow(void **state)
{
    (void)state;
    static const char text[H1_OUT_VECTORS * 2 + 2];
    h1_out_reset(&out);
    for (size_t i = 0; i < H1_OUT_VECTORS; i++)
        h1_out_slice(&out, (struct str){text + i * 2, 1});
    assert_int_equal(out.n, H1_OUT_VECTORS);
    assert_false(out.overflow);
    h1_out_slice(&out, (struct str){text + H1_OUT_VECTORS * 2 - 1, 1}); // still a neighbour
    assert_false(out.overflow);
    h1_out_slice(&out, (struct str){text, 1});
    assert_true(out.overflow);
    assert_int_equal(out.n, H1_OUT_VECTORS);
    assert_int_equal(out.total, H1_OUT_VECTORS + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours_become_one),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_scratch_overflow),
        cmocka_unit_test(test_vector_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
