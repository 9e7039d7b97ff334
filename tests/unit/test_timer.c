// SPDX-License-Identifier: MIT
// The timer wheel: when timers fire, what moving and clearing them does, and what the loop is told.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/timer.h"

#define REACH_MS ((uint64_t)WHEEL_SLOTS * WHEEL_TICK_MS)

static struct wheel wheel;
static int fired;
static uint64_t fired_at, now;

static void on_fire(struct timer *t)
{
    assert_false(timer_is_set(t));
    fired++;
    fired_at = now;
}

static int setup(void **state)
{
    (void)state;
    fired = 0;
    now = 1000;
    wheel_init(&wheel, now);
    return 0;
}

static void advance_to(uint64_t ms)
{
    while (now < ms) {
        now++;
        wheel_advance(&wheel, now);
    }
}

// Never early, at most one tick late, also beyond the reach of the wheel.
static void test_fires_in_time(void **state)
{
    (void)state;
    const uint64_t delays[] = {
        0, 1, 15, 16, 17, 100, 1000, REACH_MS - 17, REACH_MS, REACH_MS + 1, 3 * REACH_MS + 5};
    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        struct timer t;
        uint64_t due = now + delays[i];
        int before = fired;
        timer_init(&t, on_fire);
        timer_set(&wheel, &t, due);
        assert_true(timer_is_set(&t));
        advance_to(due + 2 * WHEEL_TICK_MS);
        assert_int_equal(fired, before + 1);
        assert_in_range(fired_at, due, due + WHEEL_TICK_MS);
    }
    assert_true(wheel_next_ms(&wheel) > now);
}

// A jump of the clock fires all that is due, and nothing twice.
static void test_jump(void **state)
{
    (void)state;
    struct timer t[20];
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        timer_init(&t[i], on_fire);
        timer_set(&wheel, &t[i], now + i * 2000);
    }
    now += 10 * 2000 + WHEEL_TICK_MS;
    wheel_advance(&wheel, now);
    assert_int_equal(fired, 11);
    now += 100 * REACH_MS;
    wheel_advance(&wheel, now);
    assert_int_equal(fired, 20);
    assert_int_equal(wheel_next_ms(&wheel), UINT64_MAX);
}

static void test_moved_further(void **state)
{
    (void)state;
    struct timer t;
    timer_init(&t, on_fire);
    timer_set(&wheel, &t, now + 100);
    for (int i = 0; i < 50; i++) {
        advance_to(now + 90);
        timer_set(&wheel, &t, now + 100);
    }
    assert_int_equal(fired, 0);
    uint64_t due = now + 100;
    advance_to(due + 200);
    assert_int_equal(fired, 1);
    assert_in_range(fired_at, due, due + WHEEL_TICK_MS);
}

static void test_moved_nearer(void **state)
{
    (void)state;
    struct timer t;
    timer_init(&t, on_fire);
    timer_set(&wheel, &t, now + 60000);
    timer_set(&wheel, &t, now + 50);
    uint64_t due = now + 50;
    advance_to(now + 100);
    assert_int_equal(fired, 1);
    assert_in_range(fired_at, due, due + WHEEL_TICK_MS);
    advance_to(now + 70000);
    assert_int_equal(fired, 1);
}

static void test_cleared(void **state)
{
    (void)state;
    struct timer t;
    timer_init(&t, on_fire);
    timer_clear(&t); // allowed on one that is not set
    timer_set(&wheel, &t, now + 50);
    timer_clear(&t);
    assert_false(timer_is_set(&t));
    advance_to(now + 1000);
    assert_int_equal(fired, 0);
}

static struct timer first, second;

static void on_first(struct timer *t)
{
    fired++;
    timer_clear(&second);            // due in the same slot
    timer_set(&wheel, t, now + 100); // and itself again
}

// A callback may clear a timer of the same slot and set its own again.
static void test_callbacks_may_change_timers(void **state)
{
    (void)state;
    timer_init(&first, on_first);
    timer_init(&second, on_fire);
    timer_set(&wheel, &first, now + 50);
    timer_set(&wheel, &second, now + 50);
    advance_to(now + 90);
    assert_int_equal(fired, 1);
    advance_to(now + 100);
    assert_int_equal(fired, 2);
    timer_clear(&first);
    advance_to(now + 1000);
    assert_int_equal(fired, 2);
}

// The loop may sleep until wheel_next_ms() and misses nothing: sleeping so, all fire in time.
static void test_next(void **state)
{
    (void)state;
    assert_int_equal(wheel_next_ms(&wheel), UINT64_MAX);
    for (uint64_t delay = 1; delay < 4 * REACH_MS; delay = delay * 5 / 3 + 1) {
        struct timer t;
        uint64_t due = now + delay;
        int before = fired, wakes = 0;
        timer_init(&t, on_fire);
        timer_set(&wheel, &t, due);
        while (fired == before) {
            uint64_t next = wheel_next_ms(&wheel);
            assert_true(next > now && next != UINT64_MAX);
            now = next;
            wheel_advance(&wheel, now);
            assert_in_range(++wakes, 1, 10);
        }
        assert_in_range(fired_at, due, due + WHEEL_TICK_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_fires_in_time, setup),
        cmocka_unit_test_setup(test_jump, setup),
        cmocka_unit_test_setup(test_moved_further, setup),
        cmocka_unit_test_setup(test_moved_nearer, setup),
        cmocka_unit_test_setup(test_cleared, setup),
        cmocka_unit_test_setup(test_callbacks_may_change_timers, setup),
        cmocka_unit_test_setup(test_next, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
