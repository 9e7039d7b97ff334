// SPDX-License-Identifier: MIT
// The timer wheel. Runs in workers, control and simulations; time is a parameter. Each slot is a
// list; the slot of a tick is tick % WHEEL_SLOTS. A timer further away than the wheel reaches is
// parked in the last slot and parked again from there.
// Invariants: a set timer is in exactly one slot; wheel->tick never goes back, whatever the clock
// of the day does (callers pass CLOCK_MONOTONIC).
#include "io/timer.h"

static uint64_t tick_of(uint64_t ms)
{
    return (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    w->tick = now_ms / WHEEL_TICK_MS;
    memset(w->occupied, 0, sizeof(w->occupied));
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        list_init(&w->slots[i]);
}

static void park(struct wheel *w, struct timer *t)
{
    uint64_t tick = tick_of(t->due_ms);
    if (tick <= w->tick)
        tick = w->tick + 1;
    if (tick - w->tick >= WHEEL_SLOTS)
        tick = w->tick + WHEEL_SLOTS - 1;
    size_t slot = tick % WHEEL_SLOTS;
    t->parked_ms = tick * WHEEL_TICK_MS;
    list_append(&w->slots[slot], &t->node);
    w->occupied[slot / 64] |= 1ull << (slot % 64);
}

void timer_init(struct timer *t, void (*fire)(struct timer *t))
{
    list_init(&t->node);
    t->due_ms = t->parked_ms = 0;
    t->fire = fire;
}

void timer_set(struct wheel *w, struct timer *t, uint64_t due_ms)
{
    t->due_ms = MAX_OF(due_ms, 1u);
    if (!list_empty(&t->node)) {
        if (t->parked_ms <= t->due_ms + WHEEL_TICK_MS)
            return; // its slot comes first: it moves on from there
        list_remove(&t->node);
    }
    park(w, t);
}

void timer_clear(struct timer *t)
{
    t->due_ms = 0;
    list_remove(&t->node);
}

static void serve_slot(struct wheel *w, size_t slot, uint64_t now_ms)
{
    struct list due;
    list_init(&due);
    list_splice(&due, &w->slots[slot]);
    w->occupied[slot / 64] &= ~(1ull << (slot % 64));
    for (struct list *node; (node = list_pop_first(&due)) != NULL;) {
        struct timer *t = list_entry(node, struct timer, node);
        if (t->due_ms > now_ms) {
            park(w, t);
            continue;
        }
        t->due_ms = 0;
        t->fire(t);
    }
}

void wheel_advance(struct wheel *w, uint64_t now_ms)
{
    uint64_t target = now_ms / WHEEL_TICK_MS;
    while (w->tick < target) {
        w->tick++;
        size_t slot = w->tick % WHEEL_SLOTS;
        if (w->occupied[slot / 64] & (1ull << (slot % 64)))
            serve_slot(w, slot, now_ms);
    }
}

uint64_t wheel_next_ms(const struct wheel *w)
{
    size_t first = (w->tick + 1) % WHEEL_SLOTS;
    for (size_t i = 0; i <= WHEEL_SLOTS / 64; i++) {
        size_t word = (first / 64 + i) % (WHEEL_SLOTS / 64);
        uint64_t bits = w->occupied[word];
        if (i == 0)
            bits &= ~0ull << (first % 64);
        else if (i == WHEEL_SLOTS / 64)
            bits &= ~(~0ull << (first % 64));
        if (bits != 0) {
            size_t slot = word * 64 + (size_t)__builtin_ctzll(bits);
            uint64_t ahead = (slot + WHEEL_SLOTS - first) % WHEEL_SLOTS;
            return (w->tick + 1 + ahead) * WHEEL_TICK_MS;
        }
    }
    return UINT64_MAX;
}
