// SPDX-License-Identifier: MIT
// Which server gets the next request: a pure function of the scheduler (immutable, built with the
// configuration), the board's words, and the pick. One algorithm per sched_*.c.
#ifndef EVLB_SCHED_H
#define EVLB_SCHED_H

#include "base/hash.h"
#include "conf/config.h"
#include "core/board.h"

#define PICK_AVOID_MAX 8

struct pick {
    uint64_t now_ms;  // CLOCK_MONOTONIC
    uint64_t key;     // BALANCE_HASH: hash of the value; unused otherwise
    bool has_key;     // false: the request lacks that header or cookie; falls back to round robin
    uint32_t n_avoid; // servers that failed this request already: taken only when nothing else is
    uint32_t avoid[PICK_AVOID_MAX]; // their indexes
    struct rng *rng;                // of the worker
};

struct scheduler;

// Built into `arena`; freed with it. `backend` must live as long.
struct scheduler *sched_build(struct arena *arena, const struct backend *backend) MUST_CHECK;

// The server, or NULL when the backend has none with a weight above 0 and an address. When all
// usable servers are being skipped (suspect.h) the skipping is ignored: a last resort beats none.
// Claims nothing.
const struct server *sched_pick(const struct scheduler *s, struct board *board,
                                const struct pick *p) MUST_CHECK;

#endif
