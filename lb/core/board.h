// SPDX-License-Identifier: MIT
// The board: the one piece of memory that all processes share. Made by the supervisor before it
// forks; anything that is not listed here is not shared.
//
//   word                      writers                              readers
//   gauge total[slot]         every worker, atomic add             all
//   gauge share[worker][slot] that worker; the supervisor after    supervisor
//                             its death
//   cursor[backend].next      every worker, atomic add             workers
//   cursor[backend].epoch     control                              workers
//   cursor[backend].switched  control                              control
//   cursor[backend].skips_..  every worker                         workers
//   queue[backend].ticket     every worker, atomic add             workers
//   queue.head[worker][..]    that worker; the supervisor after    workers
//                             its death
//   server[slot]              control; the supervisor before the   all
//                             slot is in use
//   suspect[server]           every worker                         all
//   counters[worker][...]     that worker alone; the supervisor    control
//                             before the slot is in use
//   generation[worker]        that worker                          supervisor
//
// A gauge counts what is in progress: requests at a server, requests that wait in a backend's
// queue, connections of a frontend. Each has a total over all workers and each worker's own share,
// so that a dead worker's share can be taken back from the total. A worker that is killed between
// the two stores of a claim or a release leaves the total one too high, never too low: a total
// that wrapped below zero would look like four thousand million requests, and that server would
// never be picked again.
//
// Servers, backends and frontends are named by slots. A slot stays with its object over reloads
// (process/slots.h gives them out), so that counts, health and pools live on. The board has room
// for more than the first configuration needs; untouched pages cost nothing.
#ifndef EVLB_BOARD_H
#define EVLB_BOARD_H

#include <stdatomic.h>

#include "base/addr.h"
#include "core/end.h"

struct board_dim {
    uint32_t workers, servers, backends, frontends; // slots, used or not
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
    X(BYTES_OUT, "bytes_sent") \
    X(TLS_HANDSHAKES, "tls_handshakes") \
    X(TLS_RESUMED, "tls_resumed") \
    X(TLS_FAILURES, "tls_failures")
#define BACKEND_COUNTERS(X) \
    X(REQUESTS, "requests") \
    X(RETRIES, "retries") \
    X(RETRIES_OVER_BUDGET, "retries_over_budget") \
    X(REDISPATCHES, "redispatches") \
    X(QUEUED, "queued") \
    X(QUEUE_TIMEOUTS, "queue_timeouts") \
    X(QUEUE_FULL, "queue_full")
#define FRONTEND_COUNTERS(X) \
    X(CONNECTIONS, "connections") \
    X(REQUESTS, "requests") \
    X(BYTES_IN, "bytes_received") \
    X(BYTES_OUT, "bytes_sent") \
    X(TLS_HANDSHAKES, "tls_handshakes") \
    X(TLS_RESUMED, "tls_resumed") \
    X(TLS_FAILURES, "tls_failures") \
    X(TLS_WAITED, "tls_waited")
#define WORKER_COUNTERS(X) \
    X(ACCEPT_ERRORS, "accept_errors") \
    X(REFUSED_SESSIONS, "refused_sessions") \
    X(LOG_DROPPED, "log_dropped") \
    X(SLOW_TURNS, "slow_turns") \
    X(LONGEST_TURN_US, "longest_turn_us")
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
    _Alignas(64) _Atomic uint64_t next; // alone in its cache line, with what is read beside it
    _Atomic uint32_t epoch; // grows when state, weight, share, standby or address of any server of
                            // the backend has changed: schedulers are built anew
    _Atomic uint32_t switched;       // 1: who works is an administrator's choice (failover.h)
    _Atomic uint64_t skips_until_ms; // no server of the backend is skipped behind this time: lets a
                                     // pick not look at suspects at all
};

struct board_queue {
    _Alignas(64) _Atomic uint64_t ticket; // the last one given out; the first is 1
};

// The state of a server as control has decided it (control/servers.h). All zero: up, working, with
// the weight and the address of the configuration.
enum server_state {
    SERVER_UP,
    SERVER_STARTING, // up again, its share still growing (slow start)
    SERVER_DOWN,
    SERVER_DRAIN,      // no new work; what is in progress goes on, checks go on
    SERVER_MAINT,      // no work, no checks
    SERVER_UNRESOLVED, // its name has no address: counts as down
    SERVER_STATES
};

enum server_checked { CHECKED_NEVER, CHECKED_UP, CHECKED_DOWN };

#define BOARD_REASON 96

struct board_server {
    _Atomic uint32_t state;    // enum server_state
    _Atomic uint32_t standby;  // 1: others are to work (failover), whether it is usable or not
    _Atomic uint32_t weight;   // 1 + the weight in force; 0: as configured
    _Atomic uint32_t withheld; // percent of the weight and of max-connections that a slow start
                               // still holds back: 0..99
    _Atomic uint64_t since_ms; // of the state (up and starting are one), CLOCK_MONOTONIC; 0: since
                               // the start
    // For control alone: here so that it outlives the process.
    _Atomic uint32_t checked;        // enum server_checked: what its checks say
    _Atomic uint32_t admin;          // enum server_admin: what an administrator has said
    _Atomic uint64_t admin_until_ms; // when that ends by itself (--for); 0: never
    char admin_reason[BOARD_REASON];
    // The address, when it is not the configuration's: written between two additions to the
    // version, odd while being written. 0: never written.
    _Atomic uint32_t addr_version;
    struct addr addr; // len 0: none now
};

enum server_admin { ADMIN_READY, ADMIN_DRAIN, ADMIN_MAINT };

// What real traffic has shown of a server.
struct board_suspect {
    _Atomic uint64_t skip_until_ms; // CLOCK_MONOTONIC; 0: not skipped
    _Atomic uint32_t failures;      // short skips in a row
    _Atomic uint32_t ejections;     // long ones in a row (`health: off`)
    _Atomic uint32_t errors;        // failures of real traffic in a row, over all workers
    _Atomic uint32_t wants_check;   // 1: control should check it at once
};

struct board {
    struct board_dim dim;
    _Atomic uint32_t *total;       // [slots]; servers come first, densely
    _Atomic uint32_t *share;       // [workers][share_stride]
    uint32_t share_stride;         // slots rounded up to whole cache lines
    struct board_cursor *cursor;   // [backends]
    struct board_server *server;   // [servers]
    struct board_queue *queue;     // [backends]
    _Atomic uint64_t *queue_head;  // [workers][backends]: the smallest ticket that waits in this
                                   // worker; 0: none does
    _Atomic uint32_t *generation;  // [workers]: the oldest configuration that is still in use there
    struct board_suspect *suspect; // [servers]
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
// Requests that wait in the queue of a backend.
static inline uint32_t board_queue_slot(const struct board *b, uint32_t backend)
{
    return b->dim.servers + b->dim.frontends + backend;
}
static inline uint32_t board_process_slot(const struct board *b)
{
    return b->dim.servers + b->dim.frontends + b->dim.backends;
}
static inline uint32_t board_slots(const struct board *b)
{
    return board_process_slot(b) + 1;
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

// The same, unless the total over all workers would be above `most`. False: nothing was claimed.
static inline bool board_claim_below(struct board *b, uint32_t worker, uint32_t slot, uint32_t most)
{
    uint32_t total = atomic_load_explicit(&b->total[slot], memory_order_relaxed);
    do {
        if (total >= most)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&b->total[slot], &total, total + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    _Atomic uint32_t *share = board_share(b, worker, slot);
    atomic_signal_fence(memory_order_seq_cst); // the total first: see the top
    atomic_store_explicit(share, atomic_load_explicit(share, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    return true;
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

static inline _Atomic uint64_t *board_queue_head(const struct board *b, uint32_t worker,
                                                 uint32_t backend)
{
    return &b->queue_head[(size_t)worker * b->dim.backends + backend];
}

// The address of a server that is not in the configuration: len 0 when it has none now. A writer
// that died half way leaves the old address readable as "none".
void board_addr_read(const struct board *b, uint32_t server, struct addr *out);
// Only control.
void board_addr_write(struct board *b, uint32_t server, const struct addr *addr);

// A slot that gets a new owner begins like a fresh one: no state, no counts, no suspicion. Nothing
// may use it any more (its gauge is zero).
void board_reset_server(struct board *b, uint32_t slot);
void board_reset_backend(struct board *b, uint32_t slot);
void board_reset_frontend(struct board *b, uint32_t slot);

// Takes a dead worker's shares and places in queues back from all totals. Returns how many units
// that were.
uint32_t board_reclaim(struct board *b, uint32_t worker);

#endif
