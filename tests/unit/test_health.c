// SPDX-License-Identifier: MIT
// Health of one server: rows of results, intervals, and the climb of a slow start.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "core/health.h"

// Results as letters: p passed, f failed. States behind each of them: U up, D down.
struct sequence {
    uint32_t fall, rise;
    const char *results, *states;
};

static const struct sequence sequences[] = {
    // the first result decides alone, whatever fall and rise say
    {3, 2, "f", "D"},
    {3, 2, "p", "U"},
    {1, 1, "f", "D"},
    {10, 10, "fp", "DD"},
    // behind it, rows count
    {3, 2, "pff", "UUU"},
    {3, 2, "pfff", "UUUD"},
    {3, 2, "fp", "DD"},
    {3, 2, "fpp", "DDU"},
    {3, 2, "fppfff", "DDUUUD"},
    {2, 4, "pffpppp", "UUDDDDU"},
    // one result of the other kind breaks a row
    {3, 2, "pffpff", "UUUUUU"},
    {3, 2, "pffpfff", "UUUUUUD"},
    {3, 2, "fpfpfpf", "DDDDDDD"},
    {3, 3, "fppfppp", "DDDDDDU"},
    // what is up already is not more up: no credit from long rows
    {2, 2, "ppppppppff", "UUUUUUUUUD"},
    {2, 2, "fffffffpp", "DDDDDDDDU"},
    // 1 and 1: each result decides
    {1, 1, "pfpffpp", "UDUDDUU"},
    // the first failure is judged once: a server that came up falls by `fall`
    {3, 1, "fpffpfff", "DUUUUUUD"},
};

static void goes_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sequences); i++) {
        const struct sequence *q = &sequences[i];
        struct health h = {.fall = q->fall, .rise = q->rise};
        struct health_track t;
        char got[32] = {0};
        health_start(&t);
        assert_true(t.up && t.fresh);
        for (size_t k = 0; q->results[k] != 0; k++) {
            bool was = t.up;
            enum health_change change = health_result(&t, &h, q->results[k] == 'p', 100 + k);
            assert_int_equal(change, was == t.up ? HEALTH_SAME
                                     : t.up      ? HEALTH_CAME_UP
                                                 : HEALTH_WENT_DOWN);
            if (change == HEALTH_CAME_UP)
                assert_int_equal(t.up_since_ms, 100 + k);
            assert_false(t.fresh);
            got[k] = t.up ? 'U' : 'D';
        }
        assert_string_equal(got, q->states);
    }
}

static void is_up_since_the_start_until_it_has_been_down(void **state)
{
    (void)state;
    struct health h = {.fall = 1, .rise = 1};
    struct health_track t;
    health_start(&t);
    assert_int_equal(health_result(&t, &h, true, 1000), HEALTH_SAME);
    assert_int_equal(t.up_since_ms, 0);
    assert_int_equal(health_result(&t, &h, false, 2000), HEALTH_WENT_DOWN);
    assert_int_equal(health_result(&t, &h, true, 3000), HEALTH_CAME_UP);
    assert_int_equal(health_result(&t, &h, true, 4000), HEALTH_SAME);
    assert_int_equal(t.up_since_ms, 3000);
    health_start(&t); // its address changed
    assert_int_equal(t.up_since_ms, 0);
}

// A second implementation, from the definition: the state changes when the last `needed` results
// all speak against it.
static void agrees_with_the_definition_on_random_walks(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 3);
    for (int walk = 0; walk < 200; walk++) {
        struct health h = {.fall = 1 + rng_below(&rng, 5), .rise = 1 + rng_below(&rng, 5)};
        struct health_track t;
        bool up = true;
        uint32_t row = 0;
        health_start(&t);
        for (uint64_t k = 0; k < 200; k++) {
            bool passed = rng_below(&rng, 3) > 0 ? up : !up;
            row = passed == up ? 0 : row + 1;
            bool turns = row > 0 && (k == 0 || row >= (up ? h.fall : h.rise));
            assert_int_equal(health_result(&t, &h, passed, k) != HEALTH_SAME, turns);
            if (turns) {
                up = passed;
                row = 0;
            }
            assert_int_equal(t.up, up);
        }
    }
}

static void expect_interval(const struct health_track *t, const struct health *h, uint32_t ms)
{
    uint32_t tenth = ms / 10;
    assert_int_equal(health_next_ms(t, h, 0), ms - tenth);
    assert_int_equal(health_next_ms(t, h, UINT32_MAX), ms + tenth);
    assert_int_equal(health_next_ms(t, h, 1u << 31), ms);
}

static void checks_more_often_in_transition(void **state)
{
    (void)state;
    struct health h = {.every_ms = 2000, .every_down_ms = 8000, .fall = 3, .rise = 2};
    struct health_track t;
    health_start(&t);
    expect_interval(&t, &h, 2000);
    assert_int_equal(health_result(&t, &h, true, 1), HEALTH_SAME);
    expect_interval(&t, &h, 2000);
    assert_int_equal(health_result(&t, &h, false, 1), HEALTH_SAME);
    expect_interval(&t, &h, 500);
    assert_int_equal(health_result(&t, &h, false, 1), HEALTH_SAME);
    expect_interval(&t, &h, 500);
    assert_int_equal(health_result(&t, &h, false, 1), HEALTH_WENT_DOWN);
    expect_interval(&t, &h, 8000);
    assert_int_equal(health_result(&t, &h, true, 1), HEALTH_SAME);
    expect_interval(&t, &h, 500);
    assert_int_equal(health_result(&t, &h, false, 1), HEALTH_SAME);
    expect_interval(&t, &h, 8000);
    h.every_down_ms = 100; // never slower in transition than out of it
    assert_int_equal(health_result(&t, &h, true, 1), HEALTH_SAME);
    expect_interval(&t, &h, 100);
}

static void intervals_are_spread_evenly_and_never_zero(void **state)
{
    (void)state;
    struct health h = {.every_ms = 1000, .every_down_ms = 1, .fall = 2, .rise = 2};
    struct health_track t;
    struct rng rng;
    uint64_t sum = 0;
    health_start(&t);
    rng_seed(&rng, 11);
    for (int k = 0; k < 10000; k++) {
        uint32_t ms = health_next_ms(&t, &h, (uint32_t)rng_next(&rng));
        assert_in_range(ms, 900, 1100);
        sum += ms;
    }
    assert_in_range(sum / 10000, 997, 1003);
    h.every_ms = 1;
    assert_int_equal(health_result(&t, &h, false, 1), HEALTH_WENT_DOWN);
    assert_int_equal(health_next_ms(&t, &h, UINT32_MAX), 1);
    assert_int_equal(health_result(&t, &h, true, 1), HEALTH_SAME);
    assert_int_equal(health_next_ms(&t, &h, 0), 1); // a quarter of 1 ms
    h.every_ms = UINT32_MAX / 2;
    assert_int_equal(health_result(&t, &h, true, 1), HEALTH_CAME_UP);
    expect_interval(&t, &h, UINT32_MAX / 2);
}

static void first_checks_are_spread_over_the_interval(void **state)
{
    (void)state;
    struct health h = {.every_ms = 2000};
    assert_int_equal(health_first_ms(&h, 0, 1), 0);
    assert_int_equal(health_first_ms(&h, 0, 4), 0);
    assert_int_equal(health_first_ms(&h, 1, 4), 500);
    assert_int_equal(health_first_ms(&h, 3, 4), 1500);
    assert_int_equal(health_first_ms(&h, 5, 4), 500);
    assert_int_equal(health_first_ms(&h, 0, 0), 0);
    h.every_ms = UINT32_MAX;
    assert_int_equal(health_first_ms(&h, 999, 1000), 4290672327u); // 4294967295 * 0.999
}

// ---- slow start -------------------------------------------------------------------------------

static void no_slow_start_at_the_start_or_without_it(void **state)
{
    (void)state;
    uint64_t next = 0;
    assert_int_equal(slow_start_withheld(0, 10000, 5, &next), 0);
    assert_true(next == UINT64_MAX);
    assert_int_equal(slow_start_withheld(1000, 0, 1000, &next), 0);
    assert_true(next == UINT64_MAX);
}

static void climbs_in_even_steps(void **state)
{
    (void)state;
    uint64_t next;
    assert_int_equal(slow_start_withheld(500, 10000, 500, &next), 99);
    assert_int_equal(next, 600);
    assert_int_equal(slow_start_withheld(500, 10000, 599, &next), 99);
    assert_int_equal(slow_start_withheld(500, 10000, 600, &next), 99);
    assert_int_equal(slow_start_withheld(500, 10000, 5500, &next), 99 - 49);
    assert_int_equal(next, 5600);
    assert_int_equal(slow_start_withheld(500, 10000, 10499, &next), 99 - 98);
    assert_int_equal(next, 10500);
    assert_int_equal(slow_start_withheld(500, 10000, 10500, &next), 0);
    assert_true(next == UINT64_MAX);
    assert_int_equal(slow_start_withheld(500, 10000, 400, &next), 99); // a clock that lags
}

// Follows the times that the function names: it falls, to 0, exactly at the end, and does not
// change between two of them.
static void expect_climb(uint32_t slow_start_ms, uint32_t steps_most)
{
    uint64_t now = 7, next, inner;
    uint32_t last = 100, steps = 0;
    for (;; steps++) {
        uint32_t withheld = slow_start_withheld(7, slow_start_ms, now, &next);
        assert_true(withheld <= last && withheld <= 99);
        last = withheld;
        if (next == UINT64_MAX)
            break;
        assert_true(next > now && withheld > 0);
        assert_int_equal(slow_start_withheld(7, slow_start_ms, next - 1, &inner), withheld);
        assert_true(inner == next);
        now = next;
    }
    assert_int_equal(last, 0);
    assert_int_equal(now, 7 + (uint64_t)slow_start_ms);
    assert_true(steps <= steps_most);
}

static void ends_with_the_whole_share_for_any_length(void **state)
{
    (void)state;
    const uint32_t lengths[] = {1,    50,    99,    100,     101,       150,
                                1000, 10000, 10001, 3600000, 100000007, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        expect_climb(lengths[i], 101);
    expect_climb(1000, 10); // not more often than every 100 ms
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_as_written),
        cmocka_unit_test(is_up_since_the_start_until_it_has_been_down),
        cmocka_unit_test(agrees_with_the_definition_on_random_walks),
        cmocka_unit_test(checks_more_often_in_transition),
        cmocka_unit_test(intervals_are_spread_evenly_and_never_zero),
        cmocka_unit_test(first_checks_are_spread_over_the_interval),
        cmocka_unit_test(no_slow_start_at_the_start_or_without_it),
        cmocka_unit_test(climbs_in_even_steps),
        cmocka_unit_test(ends_with_the_whole_share_for_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
