// SPDX-License-Identifier: MIT
// `balance: random`: two servers are drawn by weight, and the one with less in flight per weight
// takes the request (the power of two choices). Runs in workers, called by sched_pick().
// The urn is the smooth weighted sequence of sched_rr.c: it holds every server as often as its
// weight says, so a draw is one random position. Equal loads leave the first draw, so that an idle
// backend shares by weight alone.
// Invariants: no word of the board is written; a draw that cannot be used is repeated a few times,
// then the next usable server of the list behind it is taken, so an answer always comes.
#include "core/sched_ops.h"

#define DRAWS 8

static uint32_t draw(const struct scheduler *s, const struct pick_round *a)
{
    return s->order[rng_below(a->pick->rng, s->n_order)];
}

static uint32_t draw_acceptable(const struct scheduler *s, const struct pick_round *a)
{
    uint32_t i = 0;
    for (int k = 0; k < DRAWS; k++) {
        i = draw(s, a);
        if (sched_acceptable(s, a, i))
            return i;
    }
    return sched_scan(s, a, i);
}

// Another acceptable server than `first`, or `first` itself when none came up.
static uint32_t draw_other(const struct scheduler *s, const struct pick_round *a, uint32_t first)
{
    for (int k = 0; k < DRAWS; k++) {
        uint32_t i = draw(s, a);
        if (i != first && sched_acceptable(s, a, i))
            return i;
    }
    return first;
}

static uint32_t random_pick(const struct scheduler *s, const struct pick_round *a)
{
    uint32_t i = draw_acceptable(s, a);
    if (i == SCHED_NONE)
        return i;
    uint32_t j = draw_other(s, a, i);
    uint64_t load_i = (uint64_t)sched_load(s, a, i) * s->weights[j];
    uint64_t load_j = (uint64_t)sched_load(s, a, j) * s->weights[i];
    return load_j < load_i ? j : i;
}

const struct sched_ops sched_random = {sched_build_order, random_pick};
