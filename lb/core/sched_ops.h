// SPDX-License-Identifier: MIT
// Inside of the schedulers: what sched.c, the tables (sched_table.c) and the algorithms (sched_*.c)
// share. Nobody else includes this.
//
// A pick goes over the tables at most four times, each time with less to refuse: first neither
// servers that failed this request already nor those that are being skipped, at last none of these.
// Each time the workers are asked before the standbys.
#ifndef EVLB_SCHED_OPS_H
#define EVLB_SCHED_OPS_H

#include "core/sched.h"
#include "core/suspect.h"

#define SCHED_NONE UINT32_MAX
#define SCHED_WEIGHT_MAX 256u

enum refuse { REFUSE_AVOIDED = 1, REFUSE_SKIPPED = 2, REFUSE_FULL = 4 };

// Usable servers, as the board had them when the epoch was the scheduler's. Servers are named by
// their place in the table, 0..n-1. The parts of a server that are read together stand together.
struct sched_table {
    uint32_t n;
    bool equal_shares;
    bool limited;           // some server has a limit
    const uint32_t *slots;  // [n] of their gauges
    const uint16_t *shares; // [n] what they weigh against each other, see sched_table.c
    const uint32_t *limits; // [n] most requests in progress
    const struct server *const *servers; // [n]
    const uint32_t *order;               // smooth weighted sequence of one round; NULL: not needed
    uint32_t n_order;
};

// One round of a pick.
struct pick_round {
    const struct sched_table *table;
    const struct board *board;
    struct board_cursor *cursor;
    const struct pick *pick;
    unsigned refuse; // of enum refuse
};

struct sched_ops {
    // Takes the memory that build() needs, for all times; NULL: none.
    void (*prepare)(struct scheduler *s);
    // Fills what the algorithm needs beyond the table of the workers; NULL: nothing. In service:
    // does not fail, whatever memory is left.
    void (*build)(struct scheduler *s, const struct board *board);
    // The place of the server in the table, SCHED_NONE when none is acceptable. The table is not
    // empty.
    uint32_t (*pick)(const struct scheduler *s, const struct pick_round *a);
};

extern const struct sched_ops sched_rr, sched_least, sched_random, sched_first, sched_hash;

struct hash_ring;
struct order_room;

// Room for both tables together: workers from the front, standbys at the end.
struct sched_rows {
    uint32_t *slots, *limits;
    uint16_t *shares;
    const struct server **servers;
};

struct scheduler {
    const struct sched_ops *ops;
    const struct backend *backend;
    uint32_t epoch;              // of the board when the tables were built
    struct sched_table workers;  // usable, to work; in the order of the list
    struct sched_table standbys; // usable, standing by; by tier, then in the order of the list
    struct arena *arena;         // owns it and all it points to but the ring
    struct sched_rows rows;
    struct order_room *order_room; // NULL: the algorithm needs no order
    // BALANCE_HASH
    struct hash_ring *ring; // one block; outlives the tables while no weight changes
    uint64_t *ids;          // [servers of the backend] where their points come from
    uint16_t *ring_weights; // [servers of the backend] as the ring should have them
    uint32_t *worker_at;    // [servers of the backend] place among the workers, or SCHED_NONE
    uint8_t *withheld;      // [workers] percent
};

// ---- sched_table.c ----

void sched_make_rows(struct scheduler *s);
// Reads the board and fills both tables.
void sched_build_tables(struct scheduler *s, const struct board *board);
// Percent of its weight and limit that a slow start still holds back: 0..99.
uint32_t sched_withheld(const struct board *board, const struct server *s);

// ---- sched_rr.c ----

// Fills order and n_order of the workers; also the urn that `random` draws from.
void sched_prepare_order(struct scheduler *s);
void sched_build_order(struct scheduler *s, const struct board *board);

// ---- sched.c ----

// The first acceptable server at or behind `start`, from the top again at the end.
uint32_t sched_scan(const struct pick_round *a, uint32_t start) MUST_CHECK;
// The same question as sched_acceptable() for servers that may be avoided or skipped.
bool sched_unrefused(const struct pick_round *a, uint32_t i) MUST_CHECK;

// A number that no other pick of this backend gets, in any worker.
static inline uint64_t sched_turn(const struct pick_round *a)
{
    return atomic_fetch_add_explicit(&a->cursor->next, 1, memory_order_relaxed);
}

// Requests in flight at server `i`.
static inline uint32_t sched_load(const struct pick_round *a, uint32_t i)
{
    return board_total(a->board, a->table->slots[i]);
}

static inline bool sched_acceptable(const struct pick_round *a, uint32_t i)
{
    if ((a->refuse & REFUSE_FULL) && sched_load(a, i) >= a->table->limits[i])
        return false;
    return !(a->refuse & (REFUSE_AVOIDED | REFUSE_SKIPPED)) || sched_unrefused(a, i);
}

#endif
