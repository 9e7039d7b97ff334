// SPDX-License-Identifier: MIT
// balance: random (two draws). The generator is seeded, so every run sees the same draws.
#include "sched_fixture.h"

static void share(struct fixture *f, uint32_t picks, uint32_t *counts)
{
    memset(counts, 0, f->backend.n_servers * sizeof(*counts));
    for (uint32_t k = 0; k < picks; k++)
        counts[fixture_pick(f)]++;
}

static void shares_an_idle_backend_by_weight(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t counts[4];
    fixture_open(&f, BALANCE_RANDOM, 4, (const uint16_t[]){5, 3, 0, 2});
    share(&f, 100000, counts);
    assert_in_range(counts[0], 49000, 51000);
    assert_in_range(counts[1], 29000, 31000);
    assert_int_equal(counts[2], 0);
    assert_in_range(counts[3], 19000, 21000);
    fixture_close(&f);
}

// The most loaded of n is taken only if it is drawn twice, which two different draws exclude.
static void never_takes_the_most_loaded_of_two_draws(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t counts[3];
    fixture_open(&f, BALANCE_RANDOM, 3, NULL);
    fixture_load(&f, 1, 10);
    share(&f, 3000, counts);
    assert_in_range(counts[1], 0, 3); // eight draws of the same server in a row
    assert_in_range(counts[0], 1350, 1650);
    fixture_close(&f);
}

static void compares_load_per_weight(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t counts[2];
    fixture_open(&f, BALANCE_RANDOM, 2, (const uint16_t[]){4, 2});
    fixture_load(&f, 0, 7); // 1.75
    fixture_load(&f, 1, 4); // 2.0
    share(&f, 2000, counts);
    assert_in_range(counts[1], 0, 4);
    fixture_load(&f, 1, 3); // 1.5
    share(&f, 2000, counts);
    assert_in_range(counts[0], 0, 120); // of weight 2 in 3: eight draws of it happen
    fixture_close(&f);
}

// Requests that stay: two choices keep the fullest server near the mean, one choice would not.
static void keeps_loads_level(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_RANDOM, 100, NULL);
    for (int k = 0; k < 10000; k++)
        board_claim(f.board, 0, (uint32_t)fixture_pick(&f));
    for (uint32_t i = 0; i < 100; i++)
        assert_in_range(board_total(f.board, i), 92, 105);
    fixture_close(&f);
}

static void finds_the_only_usable_one(void **state)
{
    (void)state;
    struct fixture f;
    fixture_servers(&f, BALANCE_RANDOM, 200, NULL);
    for (uint32_t i = 0; i < 200; i++)
        if (i != 77)
            f.backend.servers[i].addr.len = 0;
    fixture_build(&f);
    for (int k = 0; k < 300; k++)
        assert_int_equal(fixture_pick(&f), 77);
    fixture_close(&f);
}

// Most draws are of servers that cannot be used: the odds of the others stay those of their
// weights.
static void keeps_the_odds_when_the_heaviest_are_skipped(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t counts[6];
    fixture_open(&f, BALANCE_RANDOM, 6, (const uint16_t[]){1, 256, 256, 256, 3, 1});
    for (uint32_t i = 1; i < 4; i++)
        fixture_skip(&f, i);
    // one draw decides: a second one of the others hardly ever comes
    share(&f, 50000, counts);
    assert_in_range(counts[0], 9000, 11000);
    assert_in_range(counts[4], 28000, 32000);
    assert_in_range(counts[5], 9000, 11000);
    fixture_avoid(&f, 0);
    fixture_avoid(&f, 4);
    fixture_avoid(&f, 5);
    assert_in_range(fixture_pick(&f), 1, 3); // skipped, but not avoided
    fixture_close(&f);
}

static void repeats_with_the_same_seed(void **state)
{
    (void)state;
    struct fixture f, g;
    fixture_open(&f, BALANCE_RANDOM, 9, NULL);
    fixture_open(&g, BALANCE_RANDOM, 9, NULL);
    for (int k = 0; k < 200; k++)
        assert_int_equal(fixture_pick(&f), fixture_pick(&g));
    fixture_close(&f);
    fixture_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_an_idle_backend_by_weight),
        cmocka_unit_test(never_takes_the_most_loaded_of_two_draws),
        cmocka_unit_test(compares_load_per_weight),
        cmocka_unit_test(keeps_loads_level),
        cmocka_unit_test(finds_the_only_usable_one),
        cmocka_unit_test(keeps_the_odds_when_the_heaviest_are_skipped),
        cmocka_unit_test(repeats_with_the_same_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
