// SPDX-License-Identifier: MIT
// `balance: least-conn`: the server with the smallest (in flight + 1) / weight over all workers;
// equal ones in turn. Runs in workers, called by sched_pick().
// Every pick looks at every server that works: slots and shares stand side by side in memory, and
// so do most gauges, so that 1,000 servers stay well under 1 µs. Everything else about a server is
// looked at only when its figures would make it the best so far.
// Invariants: quotients are compared by cross-multiplication in 64 bits, so equal means equal;
// the search begins at the next server with every pick of any worker, which gives equal servers
// their turn and keeps workers that read the same loads from choosing the same server. The turn of
// a server that is refused goes to the next cursor value: its neighbour gets no more than others.
#include "core/sched_ops.h"

#define TURNS_MOST 64u // cursor values that one pick may take

struct best {
    uint32_t place;
    uint32_t share;
    uint64_t load; // in flight + 1
};

// The better of `best` and the servers from..to-1. What does not change stands in locals, which the
// compiler cannot do by itself past an atomic load.
static struct best search(const struct pick_round *a, uint32_t from, uint32_t to, struct best best)
{
    const _Atomic uint32_t *in_flight = a->board->total;
    const uint32_t *slots = a->table->slots;
    const uint16_t *shares = a->table->shares;
    for (uint32_t i = from; i < to; i++) {
        uint64_t load =
            (uint64_t)atomic_load_explicit(&in_flight[slots[i]], memory_order_relaxed) + 1;
        if (load * best.share < best.load * shares[i] && sched_acceptable(a, i))
            best = (struct best){i, shares[i], load};
    }
    return best;
}

// With equal shares an idle server cannot be beaten, so that most searches end early.
static struct best search_equal(const struct pick_round *a, uint32_t from, uint32_t to,
                                struct best best)
{
    const _Atomic uint32_t *in_flight = a->board->total;
    const uint32_t *slots = a->table->slots;
    for (uint32_t i = from; i < to && best.load > 1; i++) {
        uint64_t load =
            (uint64_t)atomic_load_explicit(&in_flight[slots[i]], memory_order_relaxed) + 1;
        if (load < best.load && sched_acceptable(a, i))
            best = (struct best){i, 1, load};
    }
    return best;
}

// Where the search begins.
static uint32_t first_place(const struct pick_round *a)
{
    uint32_t n = a->table->n, start = (uint32_t)(sched_turn(a) % n);
    if (LIKELY(a->refuse == 0))
        return start;
    for (uint32_t left = MIN_OF(n, TURNS_MOST) - 1; left > 0 && !sched_acceptable(a, start); left--)
        start = (uint32_t)(sched_turn(a) % n);
    return start;
}

static uint32_t least_pick(const struct scheduler *s, const struct pick_round *a)
{
    (void)s;
    uint32_t start = first_place(a);
    if (a->table->equal_shares) {
        struct best best = {SCHED_NONE, 1, UINT64_MAX};
        best = search_equal(a, start, a->table->n, best);
        return search_equal(a, 0, start, best).place;
    }
    struct best best = {SCHED_NONE, 0, 1}; // worse than any server with a share
    best = search(a, start, a->table->n, best);
    return search(a, 0, start, best).place;
}

const struct sched_ops sched_least = {NULL, NULL, least_pick};
