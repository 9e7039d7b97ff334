// SPDX-License-Identifier: MIT
// The event loop. Runs in workers and control. One turn:
//
//   after:  read the clock, fire due timers  ->  again: chores left for this turn  ->
//   callbacks of descriptors  ->
//   before: run chores, free the graveyard, set the alarm to the next timer  ->  epoll_wait
//
// All timeouts hang on one ev_timer, and that one is touched only when the next due time changed.
#include "io/loop.h"

#include <time.h>

static uint64_t clock_monotonic_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_us() / 1000;
}

int64_t clock_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void run_all(struct list *chores)
{
    for (struct list *node; (node = list_pop_first(chores)) != NULL;) {
        struct chore *c = list_entry(node, struct chore, node);
        c->run(c);
    }
}

// What these leave for the next turn comes behind the events of this one.
void loop_begin_turn(struct loop *l)
{
    struct list due;
    list_init(&due);
    list_splice(&due, &l->next);
    run_all(&due);
}

void loop_end_turn(struct loop *l)
{
    run_all(&l->chores);
    for (struct list *node; (node = list_pop_first(&l->graveyard)) != NULL;) {
        struct grave *g = list_entry(node, struct grave, node);
        g->bury(g);
    }
}

static void on_again(struct ev_loop *ev, ev_idle *again, int events)
{
    (void)events;
    ev_idle_stop(ev, again);
    loop_begin_turn(again->data);
}

static void on_alarm(struct ev_loop *ev, ev_timer *alarm, int events)
{
    (void)ev, (void)events;
    struct loop *l = alarm->data;
    l->wake_ms = UINT64_MAX; // it fires once; the wheel itself is served in on_after()
    l->now_ms = clock_monotonic_ms();
    wheel_advance(&l->wheel, l->now_ms);
}

static void on_after(struct ev_loop *ev, ev_check *after, int events)
{
    (void)ev, (void)events;
    struct loop *l = after->data;
    l->turn_us = clock_monotonic_us();
    l->now_ms = l->turn_us / 1000;
    if (l->now_ms >= l->wake_ms)
        wheel_advance(&l->wheel, l->now_ms);
}

// Whoever waited for this turn to end waited as long as it took.
static void look_at_turn(struct loop *l)
{
    if (l->on_slow_turn == NULL || l->turn_us == 0)
        return;
    uint64_t took_us = clock_monotonic_us() - l->turn_us;
    if (took_us >= LOOP_SLOW_US)
        l->on_slow_turn(l, took_us);
}

static void on_before(struct ev_loop *ev, ev_prepare *before, int events)
{
    (void)events;
    struct loop *l = before->data;
    loop_end_turn(l);
    look_at_turn(l);
    uint64_t next = wheel_next_ms(&l->wheel);
    if (next == l->wake_ms)
        return;
    l->wake_ms = next;
    ev_timer_stop(ev, &l->alarm);
    if (next == UINT64_MAX)
        return;
    uint64_t delay = next > l->now_ms ? next - l->now_ms : 0;
    ev_timer_set(&l->alarm, (double)delay / 1000.0, 0.0);
    ev_timer_start(ev, &l->alarm);
}

void loop_init(struct loop *l, struct ev_loop *ev)
{
    memset(l, 0, sizeof(*l));
    l->ev = ev;
    l->now_ms = ev != NULL ? clock_monotonic_ms() : 1000;
    l->wake_ms = UINT64_MAX;
    wheel_init(&l->wheel, l->now_ms);
    list_init(&l->chores);
    list_init(&l->next);
    list_init(&l->graveyard);
    if (ev == NULL)
        return;
    ev_set_userdata(ev, l);
    ev_timer_init(&l->alarm, on_alarm, 0.0, 0.0);
    ev_prepare_init(&l->before, on_before);
    ev_check_init(&l->after, on_after);
    ev_idle_init(&l->again, on_again);
    ev_set_priority(&l->after, EV_MAXPRI);
    ev_set_priority(&l->again, EV_MAXPRI); // else events would go first, and put it off
    l->alarm.data = l->before.data = l->after.data = l->again.data = l;
    ev_prepare_start(ev, &l->before);
    ev_check_start(ev, &l->after);
}

void loop_run(struct loop *l)
{
    ev_run(l->ev, 0);
}

void loop_break(struct loop *l)
{
    if (l->ev != NULL)
        ev_break(l->ev, EVBREAK_ALL);
}

void chore_init(struct chore *c, void (*run)(struct chore *c))
{
    list_init(&c->node);
    c->run = run;
}

void loop_later(struct loop *l, struct chore *c)
{
    if (list_empty(&c->node))
        list_append(&l->chores, &c->node);
}

void loop_next_turn(struct loop *l, struct chore *c)
{
    if (!list_empty(&c->node))
        return;
    list_append(&l->next, &c->node);
    if (l->ev != NULL)
        ev_idle_start(l->ev, &l->again);
}

void loop_bury(struct loop *l, struct grave *g, void (*bury)(struct grave *g))
{
    g->bury = bury;
    list_append(&l->graveyard, &g->node);
}
