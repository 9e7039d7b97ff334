// SPDX-License-Identifier: MIT
// All memory that is shared between the processes, made in one piece before the first fork: the
// board, the process table, and one log ring per producer.
#ifndef EVLB_SHARED_H
#define EVLB_SHARED_H

#include "base/ring.h"
#include "conf/config.h"
#include "control/process_table.h"
#include "core/board.h"

struct tls_tickets;

struct shared {
    void *memory; // the mapping
    size_t bytes;
    uint32_t seats; // places for workers: one more than serve at a time (process/replace.c)
    struct board *board;
    struct process_table *table;
    struct ring_sleep *sleep;                // of the logger
    int wake_fd;                             // what wakes it
    struct tls_tickets *tickets;             // a mapping of its own: for workers alone
    int *worker_wake;                        // [seats] eventfds: "look at the board again"
    int control_wake;                        // the same for control
    struct ring supervisor_log, control_log; // operational lines
    struct ring *worker_log;                 // [seats], operational lines
    struct ring *access_log;                 // [seats]
};

// NULL: no memory or no descriptor.
// Unmaps the keys of tickets: for processes that are not to have them.
void shared_forget_tickets(struct shared *s);
struct shared *shared_new(const struct config *config, uint32_t workers) MUST_CHECK;
void shared_free(struct shared *s);

#endif
