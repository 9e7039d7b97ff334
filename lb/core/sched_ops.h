// SPDX-License-Identifier: MIT
// Inside of the schedulers: what sched.c and the algorithms (sched_*.c) share. Nobody else includes
// this.
//
// A pick goes over the servers at most four times, each time with less to refuse: first neither
// those that failed this request already nor those that are being skipped, at last none.
#ifndef EVLB_SCHED_OPS_H
#define EVLB_SCHED_OPS_H

#include "core/sched.h"
#include "core/suspect.h"

#define SCHED_NONE UINT32_MAX
#define SCHED_WEIGHT_MAX 256u

enum refuse { REFUSE_AVOIDED = 1, REFUSE_SKIPPED = 2 };

// One round of a pick.
struct pick_round {
    struct board *board;
    const struct pick *pick;
    unsigned refuse; // of enum refuse
};

struct sched_ops {
    // Prepares what the algorithm needs beyond the common part; NULL: nothing.
    void (*build)(struct scheduler *s, struct arena *arena);
    // The place of the server in the backend, SCHED_NONE when no server is acceptable. Called only
    // when some server has a weight above 0.
    uint32_t (*pick)(const struct scheduler *s, const struct pick_round *a);
};

extern const struct sched_ops sched_rr, sched_least, sched_random, sched_first, sched_hash;

struct hash_ring;

// Servers are named by their place in the backend, 0..n-1.
struct scheduler {
    struct arena *arena; // owns it and all it points to
    const struct sched_ops *ops;
    const struct backend *backend;
    const struct server *servers; // of the backend
    const uint16_t *weights;      // [n]: copies, side by side for scans
    uint32_t n;
    uint32_t first_slot;   // gauge of server 0; those of the others follow
    uint32_t total_weight; // 0: no server can be picked
    bool equal_weights;    // and all above 0
    bool all_addressed;    // every server had an address already when this was built
    const uint32_t *order; // smooth weighted sequence of one round; NULL when not needed
    uint32_t n_order;
    const struct hash_ring *ring; // BALANCE_HASH
};

// Fills order and n_order (sched_rr.c; also the urn that `random` draws from).
void sched_build_order(struct scheduler *s, struct arena *arena);

// The first acceptable server at or behind `start`, from the top again at the end.
uint32_t sched_scan(const struct scheduler *s, const struct pick_round *a,
                    uint32_t start) MUST_CHECK;

bool sched_avoided(const struct scheduler *s, const struct pick_round *a, uint32_t i) MUST_CHECK;

// A number that no other pick of this backend gets, in any worker.
static inline uint64_t sched_turn(const struct scheduler *s, const struct pick_round *a)
{
    return atomic_fetch_add_explicit(&a->board->cursor[s->backend->index].next, 1,
                                     memory_order_relaxed);
}

// Requests in flight at server `i`.
static inline uint32_t sched_load(const struct scheduler *s, const struct pick_round *a, uint32_t i)
{
    return board_total(a->board, s->first_slot + i);
}

static inline bool sched_acceptable(const struct scheduler *s, const struct pick_round *a,
                                    uint32_t i)
{
    if (s->weights[i] == 0 || s->servers[i].addr.len == 0)
        return false;
    if ((a->refuse & REFUSE_SKIPPED) != 0 &&
        suspect_skipped(a->board, s->servers[i].index, a->pick->now_ms))
        return false;
    return (a->refuse & REFUSE_AVOIDED) == 0 || !sched_avoided(s, a, i);
}

#endif
