// SPDX-License-Identifier: MIT
// One process's event loop: libev for descriptors, a wheel for timeouts, one reading of the clock
// per turn. A simulation has the same struct without libev and moves the clock by hand.
#ifndef EVLB_LOOP_H
#define EVLB_LOOP_H

#include <ev.h>

#include "io/timer.h"

#define LOOP_SLOW_US 5000u // a turn that takes longer is worth knowing of

struct loop {
    struct ev_loop *ev; // NULL in a simulation
    uint64_t now_ms;    // CLOCK_MONOTONIC at the start of this turn
    struct wheel wheel;
    struct list chores;    // struct chore: run when the turn is over
    struct list next;      // the same: run when the next one begins
    struct list graveyard; // struct grave: freed after that
    uint64_t turn_us;      // CLOCK_MONOTONIC at the start of this turn
    void (*on_slow_turn)(struct loop *l, uint64_t took_us); // NULL: nobody wants to know
    uint64_t wake_ms; // what `alarm` is set to; UINT64_MAX: not set
    ev_timer alarm;
    ev_prepare before;
    ev_check after;
    ev_idle again; // runs while `next` has some: the loop then waits for nothing
};

// Something to be done between the callbacks of two turns, outside of all of them.
struct chore {
    struct list node; // in loop.chores or loop.next; alone: not to be done
    void (*run)(struct chore *c);
};

// Something that may still be on the call stack: freed at the end of the turn.
struct grave {
    struct list node;
    void (*bury)(struct grave *g);
};

void loop_init(struct loop *l, struct ev_loop *ev);
// Runs until loop_break().
void loop_run(struct loop *l);
void loop_break(struct loop *l);
void chore_init(struct chore *c, void (*run)(struct chore *c));
// Runs it once at the end of this turn, however often this is called.
void loop_later(struct loop *l, struct chore *c);
// Runs it once at the beginning of the next turn, for which the loop does not wait.
void loop_next_turn(struct loop *l, struct chore *c);
void loop_bury(struct loop *l, struct grave *g, void (*bury)(struct grave *g));
// What the beginning and the end of a turn do; simulations call them themselves.
void loop_begin_turn(struct loop *l);
void loop_end_turn(struct loop *l);

// CLOCK_MONOTONIC and CLOCK_REALTIME in ms.
uint64_t clock_monotonic_ms(void);
int64_t clock_wall_ms(void);

#endif
