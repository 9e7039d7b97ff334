// SPDX-License-Identifier: MIT
// balance: first.
#include "sched_fixture.h"

static void takes_the_first_in_list_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 3, (const uint16_t[]){1, 100, 1});
    fixture_load(&f, 0, 1000);
    fixture_expect(&f, "aaaa");
    fixture_close(&f);
}

static void moves_on_while_the_first_is_skipped_and_comes_back(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 3, NULL);
    fixture_skip(&f, 0);
    fixture_expect(&f, "bb");
    fixture_skip(&f, 1);
    fixture_expect(&f, "cc");
    assert_true(suspect_succeeded(f.board, &f.backend.servers[0]));
    fixture_expect(&f, "aa");
    fixture_close(&f);
}

static void retries_on_the_next(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 3, (const uint16_t[]){1, 0, 1});
    fixture_avoid(&f, 0);
    fixture_expect(&f, "cc");
    fixture_avoid(&f, 2);
    fixture_expect(&f, "aa");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_first_in_list_order),
        cmocka_unit_test(moves_on_while_the_first_is_skipped_and_comes_back),
        cmocka_unit_test(retries_on_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
