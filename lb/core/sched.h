// SPDX-License-Identifier: MIT
// Which server gets the next request: a function of the scheduler, the board's words, and the pick.
// What can be prepared (order of round robin, hash ring, who works) is built anew when the epoch of
// the backend on the board has moved. One algorithm per sched_*.c.
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

// `backend` must live as long. All memory that later building needs is taken here (but for hash
// rings: one that cannot be renewed stays as it is). Frees with sched_free().
struct scheduler *sched_new(const struct backend *backend, const struct board *board) MUST_CHECK;
void sched_free(struct scheduler *s);

enum pick_result {
    PICK_OK,
    PICK_FULL, // every server that could be picked has as much work as it may have
    PICK_NONE, // no server is usable: all are down, drained, of weight 0, without address
};

// Chooses among the servers that work; when all of these are avoided or skipped (suspect.h), among
// the standby ones in the order of failover; when all are skipped, the skipping is ignored: a last
// resort beats none. A server that is down, drained, in maintenance or full is never taken. Claims
// nothing: the caller does so with board_claim_below() of sched_limit() and picks again when that
// fails.
enum pick_result sched_pick(struct scheduler *s, struct board *board, const struct pick *p,
                            const struct server **server) MUST_CHECK;

// Whether it may get work at all now, working or standing by: up or starting, with a weight in
// force above 0 and an address.
bool sched_usable(const struct board *board, const struct server *server);
// The weight in force: the board's when one was set there, else the configuration's. Without what a
// slow start withholds.
uint32_t sched_weight(const struct board *board, const struct server *server);
// How many requests the server may have in progress now (max-connections, less while it starts);
// UINT32_MAX: no limit.
uint32_t sched_limit(const struct board *board, const struct server *server);
// The address to connect to: the board's when one was ever written there (len 0 then: none now),
// else the configuration's. len 0: none.
void sched_address(const struct board *board, const struct server *server, struct addr *out);

#endif
