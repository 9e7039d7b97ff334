// SPDX-License-Identifier: MIT
// Timeouts: a wheel of 1024 slots of 16 ms. Setting and clearing cost a few stores and no system
// call. A timer that is only moved further away stays where it is in the wheel and moves itself
// when its old slot comes up, so that refreshing an inactivity timeout on every packet is one
// store. Timers beyond the wheel's 16 s go round by the same rule.
#ifndef EVLB_TIMER_H
#define EVLB_TIMER_H

#include "base/list.h"

#define WHEEL_SLOTS 1024u
#define WHEEL_TICK_MS 16u

struct timer {
    struct list node;   // in a slot while set
    uint64_t due_ms;    // when to fire; 0: not set
    uint64_t parked_ms; // when its slot comes up: <= due_ms (rounded up to a tick)
    void (*fire)(struct timer *t);
};

struct wheel {
    uint64_t tick;                       // the slots up to this tick have been served
    uint64_t occupied[WHEEL_SLOTS / 64]; // may have bits of slots that have become empty
    struct list slots[WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_ms);
// Fires all timers due at `now_ms`. A callback may set and clear any timer.
void wheel_advance(struct wheel *w, uint64_t now_ms);
// A time not later than the next firing, for the poll timeout; UINT64_MAX when nothing is set.
uint64_t wheel_next_ms(const struct wheel *w);

void timer_init(struct timer *t, void (*fire)(struct timer *t));
// Fires once at due_ms (up to one tick late), which may be in the past.
void timer_set(struct wheel *w, struct timer *t, uint64_t due_ms);
// Not firing any more; O(1).
void timer_clear(struct timer *t);
static inline bool timer_is_set(const struct timer *t)
{
    return t->due_ms != 0;
}

#endif
