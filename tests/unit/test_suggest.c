// SPDX-License-Identifier: MIT
// "did you mean": distances that are known, and the choice between candidates.
#include "base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void distances(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "", 3},
        {"check", "check", 0},
        {"chekc", "check", 1},
        {"chck", "check", 1},
        {"cheeck", "check", 1},
        {"ehcck", "check", 2},
        {"Check", "check", 0},
        {"kitten", "sitting", 3},
        {"ca", "abc", 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(edit_distance(str_of(cases[i].a), str_of(cases[i].b)), cases[i].distance);
        assert_int_equal(edit_distance(str_of(cases[i].b), str_of(cases[i].a)), cases[i].distance);
    }
}

static const char *nearest(const char *word)
{
    static const char *const candidates[] = {"run", "check", "explain", "version"};
    struct suggestion s = {.word = str_of(word)};
    for (size_t i = 0; i < ARRAY_LEN(candidates); i++)
        suggestion_offer(&s, candidates[i]);
    return s.best;
}

static void choices(void **state)
{
    (void)state;
    assert_string_equal(nearest("chekc"), "check");
    assert_string_equal(nearest("rnu"), "run");
    assert_string_equal(nearest("vresoin"), "version");
    assert_null(nearest("start"));
    assert_null(nearest(""));
    char longer[SUGGEST_WORD_MAX + 2];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_null(nearest(longer));
}

static void first_of_equals(void **state)
{
    (void)state;
    struct suggestion s = {.word = STR("bat")};
    suggestion_offer(&s, "cat");
    suggestion_offer(&s, "rat");
    assert_string_equal(s.best, "cat");
    suggestion_offer(&s, "bat");
    assert_string_equal(s.best, "bat");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances),
        cmocka_unit_test(choices),
        cmocka_unit_test(first_of_equals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
