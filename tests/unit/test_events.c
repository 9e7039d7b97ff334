// SPDX-License-Identifier: MIT
// The ring of events: order, numbers, what is kept and what is not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/events.h"

#define START 5000

static void count_call(void *ctx)
{
    ++*(int *)ctx;
}

static void add(struct events *e, unsigned n)
{
    char text[32];
    for (unsigned i = 1; i <= n; i++) {
        (void)snprintf(text, sizeof(text), "event %u", i);
        events_add(e, EVENT_SERVER, 77, STR("app/a"), str_of(text));
    }
}

static void test_order_and_numbers(void **state)
{
    (void)state;
    int calls = 0;
    struct events *e = events_new(START);
    assert_non_null(e);
    events_listen(e, count_call, &calls);
    assert_null(events_after(e, 0));
    add(e, 3);
    assert_int_equal(calls, 3);
    uint64_t since = 0;
    for (uint64_t id = START; id < START + 3; id++) {
        const struct event *event = events_after(e, since);
        assert_non_null(event);
        assert_int_equal(event->id, id);
        since = id;
    }
    assert_null(events_after(e, since));
    const struct event *first = events_after(e, START - 1);
    assert_string_equal(first->object, "app/a");
    assert_string_equal(first->text, "event 1");
    assert_int_equal(first->wall_ms, 77);
    assert_string_equal(event_kind_name(first->kind), "server");
    events_free(e);
}

// Who was too slow goes on with the oldest one that is left, and can see the gap.
static void test_the_oldest_ones_go(void **state)
{
    (void)state;
    struct events *e = events_new(START);
    add(e, EVENTS_KEPT);
    assert_int_equal(events_after(e, 0)->id, START);
    add(e, 1);
    assert_int_equal(events_after(e, 0)->id, START + 1);
    assert_string_equal(events_after(e, 0)->text, "event 2");
    assert_string_equal(events_after(e, START + EVENTS_KEPT - 1)->text, "event 1");
    add(e, 2 * EVENTS_KEPT);
    assert_int_equal(events_after(e, START)->id, START + 2 * EVENTS_KEPT + 1);
    events_free(e);
}

// Numbers that nobody was given, as a client may send them.
static void test_any_number(void **state)
{
    (void)state;
    struct events *e = events_new(START);
    add(e, 2);
    assert_null(events_after(e, UINT64_MAX));
    assert_null(events_after(e, UINT64_MAX - 1));
    assert_int_equal(events_after(e, 1)->id, START);
    events_free(e);
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    static char text[1000];
    memset(text, 'x', sizeof(text));
    struct events *e = events_new(START);
    const struct str all = {text, sizeof(text)};
    events_add(e, EVENT_ADMIN, 0, all, all);
    const struct event *event = events_after(e, 0);
    assert_int_equal(strlen(event->text), sizeof(event->text) - 1);
    assert_int_equal(strlen(event->object), sizeof(event->object) - 1);
    events_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_numbers),
        cmocka_unit_test(test_the_oldest_ones_go),
        cmocka_unit_test(test_any_number),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
