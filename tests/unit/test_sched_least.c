// SPDX-License-Identifier: MIT
// balance: least-conn.
#include "sched_fixture.h"

static void takes_equal_servers_in_turn(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_LEAST_CONN, 4, NULL);
    fixture_expect(&f, "abcdabcd");
    fixture_close(&f);
}

static void takes_the_least_loaded(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_LEAST_CONN, 4, NULL);
    const uint32_t loads[] = {3, 2, 5, 2};
    for (uint32_t i = 0; i < 4; i++)
        fixture_load(&f, i, loads[i]);
    fixture_expect(&f, "bbdd"); // the search begins at a, b, c, d
    fixture_load(&f, 2, 1);
    fixture_expect(&f, "cccc");
    fixture_load(&f, 0, 0); // idle beats nearly idle, also when the search begins there
    fixture_expect(&f, "aaaa");
    fixture_close(&f);
}

// (in flight + 1) / weight: 4/4 = 1, 2/1 = 2, 3/2 = 1.5
static void divides_the_load_by_the_weight(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_LEAST_CONN, 3, (const uint16_t[]){4, 1, 2});
    const uint32_t loads[] = {3, 1, 2};
    for (uint32_t i = 0; i < 3; i++)
        fixture_load(&f, i, loads[i]);
    fixture_expect(&f, "aaa");
    fixture_load(&f, 0, 7); // 8/4 = 2
    fixture_expect(&f, "ccc");
    fixture_close(&f);
}

// 3/3 = 1/1: a fraction that no binary number holds must still be equal
static void knows_equal_fractions(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_LEAST_CONN, 2, (const uint16_t[]){3, 1});
    fixture_load(&f, 0, 2);
    fixture_expect(&f, "abab");
    fixture_close(&f);
}

static void fills_servers_by_weight(void **state)
{
    (void)state;
    struct fixture f;
    const uint16_t weights[] = {5, 3, 2, 0};
    fixture_open(&f, BALANCE_LEAST_CONN, 4, weights);
    for (int k = 0; k < 1000; k++)
        board_claim(f.board, 0, (uint32_t)fixture_pick(&f));
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(board_total(f.board, i), weights[i] * 100);
    fixture_close(&f);
}

static void fills_equal_servers_evenly(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_LEAST_CONN, 7, NULL);
    for (int k = 0; k < 700; k++)
        board_claim(f.board, (uint32_t)k % FIXTURE_WORKERS, (uint32_t)fixture_pick(&f));
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(board_total(f.board, i), 100);
    fixture_close(&f);
}

static void survives_the_largest_counts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_LEAST_CONN, 2, (const uint16_t[]){256, 255});
    fixture_load(&f, 0, UINT32_MAX);
    fixture_load(&f, 1, UINT32_MAX);
    fixture_expect(&f, "aa");
    fixture_close(&f);
    fixture_open(&f, BALANCE_LEAST_CONN, 2, NULL);
    fixture_load(&f, 0, UINT32_MAX);
    fixture_load(&f, 1, UINT32_MAX - 1);
    fixture_expect(&f, "bb");
    fixture_close(&f);
}

static void passes_by_idle_servers_that_are_skipped(void **state)
{
    (void)state;
    for (int equal = 0; equal < 2; equal++) {
        struct fixture f;
        fixture_open(&f, BALANCE_LEAST_CONN, 4, equal ? NULL : (const uint16_t[]){1, 1, 1, 0});
        fixture_load(&f, 0, 9);
        fixture_load(&f, 1, 8);
        fixture_load(&f, 3, 20);
        fixture_skip(&f, 2);
        fixture_expect(&f, "bbbb");
        fixture_avoid(&f, 1);
        fixture_expect(&f, "aaaa");
        fixture_close(&f);
    }
}

// The turn of a server that is refused goes to all others, not to its neighbour.
static void shares_the_turns_of_those_that_are_skipped(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_LEAST_CONN, 4, NULL);
    fixture_skip(&f, 1);
    fixture_expect(&f, "acdacdacd");
    fixture_skip(&f, 3);
    fixture_expect(&f, "acacac");
    fixture_close(&f);
    fixture_servers(&f, BALANCE_LEAST_CONN, 3, NULL);
    f.backend.servers[1].max_connections = 1;
    fixture_build(&f);
    fixture_load(&f, 0, 1);
    fixture_load(&f, 1, 1);
    fixture_load(&f, 2, 1);
    fixture_expect(&f, "acacac"); // b is full
    fixture_close(&f);
}

static void a_starting_server_has_a_smaller_share(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_LEAST_CONN, 2, NULL);
    fixture_withhold(&f, 1, 75);
    for (int k = 0; k < 500; k++)
        board_claim(f.board, 0, (uint32_t)fixture_pick(&f));
    assert_int_equal(board_total(f.board, 0), 400);
    assert_int_equal(board_total(f.board, 1), 100);
    fixture_close(&f);
}

static void chooses_among_suspects_when_all_are(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_LEAST_CONN, 3, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        fixture_skip(&f, i);
        fixture_load(&f, i, 3 - i);
    }
    fixture_expect(&f, "ccc");
    fixture_avoid(&f, 2);
    fixture_expect(&f, "bbb");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_equal_servers_in_turn),
        cmocka_unit_test(takes_the_least_loaded),
        cmocka_unit_test(divides_the_load_by_the_weight),
        cmocka_unit_test(knows_equal_fractions),
        cmocka_unit_test(fills_servers_by_weight),
        cmocka_unit_test(fills_equal_servers_evenly),
        cmocka_unit_test(survives_the_largest_counts),
        cmocka_unit_test(passes_by_idle_servers_that_are_skipped),
        cmocka_unit_test(shares_the_turns_of_those_that_are_skipped),
        cmocka_unit_test(a_starting_server_has_a_smaller_share),
        cmocka_unit_test(chooses_among_suspects_when_all_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
