// SPDX-License-Identifier: MIT
// Distances, did-you-mean, and words of other balancers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf/suggest.h"

static void test_distance(void **state)
{
    (void)state;
    char far[65];
    memset(far, 'x', sizeof(far));
    assert_int_equal(suggest_distance(STR("abc"), STR("abc")), 0);
    assert_int_equal(suggest_distance(STR("ABC"), STR("abc")), 0);
    assert_int_equal(suggest_distance(STR("abc"), STR("acb")), 1);
    assert_int_equal(suggest_distance(STR("abc"), STR("ab")), 1);
    assert_int_equal(suggest_distance(STR("abc"), STR("abxc")), 1);
    assert_int_equal(suggest_distance(STR("abc"), STR("axc")), 1);
    assert_int_equal(suggest_distance(STR("kitten"), STR("sitting")), 3);
    assert_int_equal(suggest_distance(STR(""), STR("abc")), 3);
    assert_int_equal(suggest_distance((struct str){far, 65}, STR("a")), UINT32_MAX);
}

static struct str nearest(const char *wanted, const char *const *words)
{
    struct suggestion s = suggest_begin(str_of(wanted));
    for (; *words != NULL; words++)
        suggest_offer(&s, str_of(*words));
    return s.best;
}

static void test_suggestions(void **state)
{
    (void)state;
    static const char *const words[] = {"round-robin", "least-conn", "random",
                                        "first",       "hash",       NULL};
    assert_true(str_eq(nearest("least-con", words), STR("least-conn")));
    assert_true(str_eq(nearest("LEAST_CONN", words), STR("least-conn")));
    assert_true(str_eq(nearest("fisrt", words), STR("first")));
    assert_true(str_eq(nearest("hsah", words), STR("hash")));
    assert_null(nearest("weighted", words).p);
    assert_null(nearest("x", words).p);
    assert_null(nearest("", words).p);
}

static void test_spellings(void **state)
{
    (void)state;
    assert_true(foreign_same(STR("max-age"), STR("maxAge")));
    assert_true(foreign_same(STR("_max_age-"), STR("MAXAGE")));
    assert_false(foreign_same(STR("max-age"), STR("max-ag")));
    assert_false(foreign_same(STR("max-ag"), STR("max-age")));
    assert_false(foreign_same(STR("-"), STR("x")));
}

static void test_foreign_words(void **state)
{
    (void)state;
    const struct foreign_word *w = foreign_find(STR("upstream"), NULL);
    assert_non_null(w);
    assert_string_equal(w->here, "here: 'backends'");
    assert_non_null(foreign_find(STR("LeastConn"), "balance"));
    assert_null(foreign_find(STR("leastconn"), "mode"));
    assert_null(foreign_find(STR("p2c"), NULL));
    assert_null(foreign_find(STR("balance"), NULL));
    w = foreign_find(STR("status"), "health"); // only as a key of that object
    assert_non_null(w);
    assert_string_equal(w->here, "here: 'expect'");
    assert_null(foreign_find(STR("status"), NULL));
    assert_non_null(foreign_find(STR("sslMinVer"), "tls")); // ssl-min-ver
    assert_non_null(foreign_find(STR("crt"), "backends"));  // one entry for several places
    assert_null(foreign_find(STR("s"), NULL));
    assert_null(foreign_find(STR(""), "tls"));
    w = foreign_next(STR("ip_hash"), NULL);
    assert_null(w->where); // as a key, then as a value
    w = foreign_next(STR("ip_hash"), w);
    assert_string_equal(w->where, "balance");
    assert_null(foreign_next(STR("ip_hash"), w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_suggestions),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_foreign_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
