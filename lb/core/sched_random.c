// SPDX-License-Identifier: MIT
// `balance: random`: two servers are drawn by weight, and the one with less in flight per weight
// takes the request (the power of two choices). Runs in workers, called by sched_pick().
// The urn is the smooth weighted sequence of sched_rr.c: it holds every server as often as its
// weight says, so a draw is one random position. Equal loads leave the first draw, so that an idle
// backend shares by weight alone.
// Invariants: no word of the board is written; a draw that cannot be used is repeated a few times,
// then the weights of all that can be are added up, so an answer always comes, with the same odds.
#include "core/sched_ops.h"

#define DRAWS 8

static uint32_t draw(const struct pick_round *a)
{
    return a->table->order[rng_below(a->pick->rng, a->table->n_order)];
}

// By weight among the acceptable ones alone.
static uint32_t draw_from_sum(const struct pick_round *a)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < a->table->n; i++)
        if (sched_acceptable(a, i))
            sum += a->table->shares[i];
    if (sum == 0)
        return SCHED_NONE;
    uint32_t rest = rng_below(a->pick->rng, sum), last = SCHED_NONE;
    for (uint32_t i = 0; i < a->table->n; i++) {
        if (!sched_acceptable(a, i))
            continue;
        if (rest < a->table->shares[i])
            return i;
        rest -= a->table->shares[i];
        last = i;
    }
    return last; // loads have changed in between
}

static uint32_t draw_acceptable(const struct pick_round *a)
{
    for (int k = 0; k < DRAWS; k++) {
        uint32_t i = draw(a);
        if (sched_acceptable(a, i))
            return i;
    }
    return draw_from_sum(a);
}

// Another acceptable server than `first`, or `first` itself when none came up.
static uint32_t draw_other(const struct pick_round *a, uint32_t first)
{
    for (int k = 0; k < DRAWS; k++) {
        uint32_t i = draw(a);
        if (i != first && sched_acceptable(a, i))
            return i;
    }
    return first;
}

static uint32_t random_pick(const struct scheduler *s, const struct pick_round *a)
{
    (void)s;
    uint32_t i = draw_acceptable(a);
    if (i == SCHED_NONE)
        return i;
    uint32_t j = draw_other(a, i);
    uint64_t load_i = (uint64_t)sched_load(a, i) * a->table->shares[j];
    uint64_t load_j = (uint64_t)sched_load(a, j) * a->table->shares[i];
    return load_j < load_i ? j : i;
}

const struct sched_ops sched_random = {sched_prepare_order, sched_build_order, random_pick};
