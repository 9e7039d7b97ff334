// SPDX-License-Identifier: MIT
// Slices, and strict reading of numbers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

static void test_compare(void **state)
{
    (void)state;
    assert_true(str_eq(STR("ab"), STR("ab")));
    assert_true(str_eq(STR(""), STR_NONE));
    assert_false(str_eq(STR("ab"), STR("Ab")));
    assert_false(str_eq(STR("ab"), STR("abc")));
    assert_true(str_caseeq(STR("aB-1"), STR("Ab-1")));
    assert_false(str_caseeq(STR("@"), STR("`"))); // 0x40 and 0x60 are no letters
    assert_false(str_caseeq(STR("ab"), STR("a")));
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR_NONE));
    assert_false(str_starts(STR("ab"), STR("abc")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("bc"), STR("abc")));
    assert_false(str_ends(STR("abd"), STR("bc")));
    assert_int_equal(str_of(NULL).len, 0);
}

static void test_trim_and_find(void **state)
{
    (void)state;
    assert_true(str_eq(str_trim(STR(" \t a b\t ")), STR("a b")));
    assert_int_equal(str_trim(STR(" \t ")).len, 0);
    assert_true(str_eq(str_trim(STR("\ra\n")), STR("\ra\n")));
    assert_int_equal(str_find(STR("abc"), 'c'), 2);
    assert_int_equal(str_find(STR("abc"), 'x'), 3);
    assert_int_equal(str_find(STR_NONE, 'x'), 0);
}

static void test_cut(void **state)
{
    (void)state;
    struct str rest = STR("a,,b");
    assert_true(str_eq(str_cut(&rest, ','), STR("a")));
    assert_true(str_eq(str_cut(&rest, ','), STR("")));
    assert_non_null(rest.p);
    assert_true(str_eq(str_cut(&rest, ','), STR("b")));
    assert_null(rest.p);
    rest = STR("a,");
    (void)str_cut(&rest, ',');
    assert_non_null(rest.p); // one more, empty
    assert_int_equal(str_cut(&rest, ',').len, 0);
    assert_null(rest.p);
}

static void test_wrap(void **state)
{
    (void)state;
    struct str rest = STR("one two  three-and-more four");
    assert_true(str_eq(str_wrap(&rest, 7), STR("one two")));
    assert_true(str_eq(str_wrap(&rest, 7), STR("three-a")));
    assert_true(str_eq(str_wrap(&rest, 12), STR("nd-more four")));
    assert_null(rest.p);
    rest = STR("");
    assert_int_equal(str_wrap(&rest, 5).len, 0);
    assert_null(rest.p);
}

static void test_to_u64(void **state)
{
    (void)state;
    static const struct str bad[] = {STR(""),
                                     STR(" 1"),
                                     STR("1 "),
                                     STR("+1"),
                                     STR("-1"),
                                     STR("0x1"),
                                     STR("1a"),
                                     STR("18446744073709551616"),
                                     STR("99999999999999999999999")};
    uint64_t v = 7;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(str_to_u64(bad[i], &v));
    assert_true(v == 7);
    assert_true(str_to_u64(STR("18446744073709551615"), &v) && v == UINT64_MAX);
    assert_true(str_to_u64(STR("000"), &v) && v == 0);
}

static void test_to_text(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 9, 10, 1234567890, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char out[20];
        uint64_t back;
        size_t n = u64_to_text(values[i], out);
        assert_true(str_to_u64((struct str){out, n}, &back) && back == values[i]);
        assert_true(n == 1 || out[0] != '0');
    }
}

static void test_copy(void **state)
{
    (void)state;
    char out[4];
    assert_true(str_copy(STR("abc"), out, sizeof(out)));
    assert_string_equal(out, "abc");
    assert_false(str_copy(STR("abcd"), out, sizeof(out)));
    assert_string_equal(out, "abc");
    assert_true(str_copy(STR_NONE, out, sizeof(out)));
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare), cmocka_unit_test(test_trim_and_find),
        cmocka_unit_test(test_cut),     cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_to_u64),  cmocka_unit_test(test_to_text),
        cmocka_unit_test(test_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
