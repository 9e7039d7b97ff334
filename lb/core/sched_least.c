// SPDX-License-Identifier: MIT
// `balance: least-conn`: the server with the smallest (in flight + 1) / weight over all workers;
// equal ones in turn. Runs in workers, called by sched_pick().
// Every pick looks at every server: the gauges and the weights stand side by side in memory, so
// 1,000 servers are 4 KB + 2 KB read in a row, well under 1 µs. Everything else about a server is
// looked at only when its figures would make it the best so far.
// Invariants: quotients are compared by cross-multiplication in 64 bits, so equal means equal;
// the search begins at the next server with every pick of any worker, which gives equal servers
// their turn and keeps workers that read the same loads from choosing the same server.
#include "core/sched_ops.h"

struct best {
    uint32_t place;
    uint32_t weight;
    uint64_t load; // in flight + 1
};

// The better of `best` and the servers from..to-1. What does not change stands in locals, which the
// compiler cannot do by itself past an atomic load.
static struct best search(const struct scheduler *s, const struct pick_round *a, uint32_t from,
                          uint32_t to, struct best best)
{
    const _Atomic uint32_t *in_flight = a->board->total + s->first_slot;
    const uint16_t *weights = s->weights;
    for (uint32_t i = from; i < to; i++) {
        uint64_t load = (uint64_t)atomic_load_explicit(&in_flight[i], memory_order_relaxed) + 1;
        if (load * best.weight < best.load * weights[i] && sched_acceptable(s, a, i))
            best = (struct best){i, weights[i], load};
    }
    return best;
}

// With equal weights an idle server cannot be beaten, so that most searches end early.
static struct best search_equal(const struct scheduler *s, const struct pick_round *a,
                                uint32_t from, uint32_t to, struct best best)
{
    const _Atomic uint32_t *in_flight = a->board->total + s->first_slot;
    for (uint32_t i = from; i < to && best.load > 1; i++) {
        uint64_t load = (uint64_t)atomic_load_explicit(&in_flight[i], memory_order_relaxed) + 1;
        if (load < best.load && sched_acceptable(s, a, i))
            best = (struct best){i, 1, load};
    }
    return best;
}

static uint32_t least_pick(const struct scheduler *s, const struct pick_round *a)
{
    uint32_t start = (uint32_t)(sched_turn(s, a) % s->n);
    if (s->equal_weights) {
        struct best best = {SCHED_NONE, 1, UINT64_MAX};
        best = search_equal(s, a, start, s->n, best);
        return search_equal(s, a, 0, start, best).place;
    }
    struct best best = {SCHED_NONE, 0, 1}; // worse than any server with a weight
    best = search(s, a, start, s->n, best);
    return search(s, a, 0, start, best).place;
}

const struct sched_ops sched_least = {NULL, least_pick};
