// SPDX-License-Identifier: MIT
// The board: the one piece of memory that all processes share. Made by the supervisor before it
// forks; anything that is not listed here is not shared.
//
//   word                      writers                              readers
//   gauge total[slot]         every worker, atomic add             all
//   gauge share[worker][slot] that worker; the supervisor after    supervisor
//                             its death
//   cursor[backend]           every worker, atomic add             workers
//   skip_until[server] etc.   every worker                         all
//   counters[worker][...]     that worker alone                    control
//
// A gauge counts what is in progress: requests at a server, connections of a frontend. Each has a
// total over all workers and each worker's own share, so that a dead worker's share can be taken
// back from the total. A worker that is killed between the two stores of a claim or a release
// leaves the total one too high, never too low: a total that wrapped below zero would look like
// four thousand million requests, and that server would never be picked again.
#ifndef EVLB_BOARD_H
#define EVLB_BOARD_H

#include <stdatomic.h>

#include "core/end.h"

struct board_dim {
    uint32_t workers, servers, backends, frontends;
};

// Counters that only grow; one writer each. X(id, name)
// clang-format off
#define SERVER_COUNTERS(X) \
    X(REQUESTS, "requests") \
    X(CONNECTIONS, "connections") \
    X(CONNECT_FAILURES, "connect_failures") \
    X(RESPONSE_FAILURES, "response_failures") \
    X(REUSES, "reuses") \
    X(REUSE_RACES, "reuse_races") \
    X(BYTES_IN, "bytes_received") \
    X(BYTES_OUT, "bytes_sent")
#define BACKEND_COUNTERS(X) \
    X(REQUESTS, "requests") \
    X(RETRIES, "retries") \
    X(REDISPATCHES, "redispatches")
#define FRONTEND_COUNTERS(X) \
    X(CONNECTIONS, "connections") \
    X(REQUESTS, "requests") \
    X(BYTES_IN, "bytes_received") \
    X(BYTES_OUT, "bytes_sent")
#define WORKER_COUNTERS(X) \
    X(ACCEPT_ERRORS, "accept_errors") \
    X(REFUSED_SESSIONS, "refused_sessions") \
    X(LOG_DROPPED, "log_dropped")
// clang-format on

#define X(id, name) SERVER_##id,
enum server_counter { SERVER_COUNTERS(X) SERVER_COUNTER_COUNT };
#undef X
#define X(id, name) BACKEND_##id,
enum backend_counter { BACKEND_COUNTERS(X) BACKEND_COUNTER_COUNT };
#undef X
#define X(id, name) FRONTEND_##id,
enum frontend_counter { FRONTEND_COUNTERS(X) FRONTEND_COUNTER_COUNT };
#undef X
#define X(id, name) WORKER_##id,
enum worker_counter { WORKER_COUNTERS(X) WORKER_COUNTER_COUNT };
#undef X

struct frontend_counters {
    uint64_t n[FRONTEND_COUNTER_COUNT];
    uint64_t ends[END_COUNT];
    uint64_t status_class[6]; // [2] = answers 200..299 sent to clients; [0] = none sent
};

// A worker's own counters: plain words, this worker writes, anybody reads.
struct board_counters {
    _Alignas(64) uint64_t worker[WORKER_COUNTER_COUNT];
    struct frontend_counters *frontends;
    uint64_t (*backends)[BACKEND_COUNTER_COUNT];
    uint64_t (*servers)[SERVER_COUNTER_COUNT];
};

struct board_cursor {
    _Alignas(64) _Atomic uint64_t next; // alone in its cache line
};

// What real traffic has shown of a server that no check watches.
struct board_suspect {
    _Atomic uint64_t skip_until_ms; // CLOCK_MONOTONIC; 0: not skipped
    _Atomic uint32_t failures;      // skips in a row
};

struct board {
    struct board_dim dim;
    _Atomic uint32_t *total;       // [slots]; servers come first, densely
    _Atomic uint32_t *share;       // [workers][share_stride]
    uint32_t share_stride;         // slots rounded up to whole cache lines
    struct board_cursor *cursor;   // [backends]
    struct board_suspect *suspect; // [servers]
    _Atomic uint32_t *skipped;     // [backends]: may be > 0 while any server has skip_until set: a
                                   // hint that lets a pick not look at suspects at all
    struct board_counters *counters; // [workers]
};

// Slots of gauges.
static inline uint32_t board_server_slot(uint32_t server)
{
    return server;
}
static inline uint32_t board_frontend_slot(const struct board *b, uint32_t frontend)
{
    return b->dim.servers + frontend;
}
static inline uint32_t board_process_slot(const struct board *b)
{
    return b->dim.servers + b->dim.frontends;
}
static inline uint32_t board_slots(const struct board *b)
{
    return b->dim.servers + b->dim.frontends + 1;
}

// Bytes of shared memory that a board of these dimensions needs.
size_t board_bytes(const struct board_dim *dim);
// Lays a board out in `memory` (zeroed, board_bytes() long, 64-byte aligned, mapped at the same
// address in all processes).
struct board *board_init(void *memory, const struct board_dim *dim);

static inline _Atomic uint32_t *board_share(const struct board *b, uint32_t worker, uint32_t slot)
{
    return &b->share[(size_t)worker * b->share_stride + slot];
}

// Claims one unit of a gauge for `worker`; every claim ends in one board_release().
static inline void board_claim(struct board *b, uint32_t worker, uint32_t slot)
{
    _Atomic uint32_t *share = board_share(b, worker, slot);
    atomic_fetch_add_explicit(&b->total[slot], 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); // the total first: see the top
    atomic_store_explicit(share, atomic_load_explicit(share, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static inline void board_release(struct board *b, uint32_t worker, uint32_t slot)
{
    _Atomic uint32_t *share = board_share(b, worker, slot);
    uint32_t held = atomic_load_explicit(share, memory_order_relaxed);
    lb_assert(held > 0);
    atomic_store_explicit(share, held - 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); // the total last: see the top
    atomic_fetch_sub_explicit(&b->total[slot], 1, memory_order_relaxed);
}

static inline uint32_t board_total(const struct board *b, uint32_t slot)
{
    return atomic_load_explicit(&b->total[slot], memory_order_relaxed);
}

// Takes a dead worker's shares back from all totals. Returns how many units that were.
uint32_t board_reclaim(struct board *b, uint32_t worker);

#endif
