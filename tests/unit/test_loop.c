// SPDX-License-Identifier: MIT
#include "io/loop.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <time.h>

struct fixture {
    struct loop loop;
    struct timer timer;
    uint32_t pauses_ms[3], n;
    uint32_t slow;
    uint64_t longest_us;
};

static void on_slow(struct loop *l, uint64_t took_us)
{
    struct fixture *f = container_of(l, struct fixture, loop);
    f->slow++;
    f->longest_us = MAX_OF(f->longest_us, took_us);
}

// One turn each: takes as long as it says.
static void take_time(struct timer *t)
{
    struct fixture *f = container_of(t, struct fixture, timer);
    if (f->n == ARRAY_LEN(f->pauses_ms)) {
        loop_break(&f->loop);
        return;
    }
    const struct timespec pause = {.tv_nsec = f->pauses_ms[f->n++] * 1000000L};
    assert_int_equal(nanosleep(&pause, NULL), 0);
    timer_set(&f->loop.wheel, t, clock_monotonic_ms() + 50); // in a turn of its own
}

static void turns_that_hold_others_up_are_seen(void **state)
{
    (void)state;
    struct fixture f = {.pauses_ms = {20, 0, 40}};
    struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(ev);
    loop_init(&f.loop, ev);
    f.loop.on_slow_turn = on_slow;
    timer_init(&f.timer, take_time);
    timer_set(&f.loop.wheel, &f.timer, f.loop.now_ms);
    loop_run(&f.loop);
    ev_loop_destroy(ev);
    assert_true(f.slow >= 2);
    assert_true(f.longest_us >= 40000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(turns_that_hold_others_up_are_seen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
