// SPDX-License-Identifier: MIT
// Who is running: a small table in shared memory beside the board. The supervisor is its only
// writer; control reads it for the status. Plain figures, each correct by itself: a reader may see
// a new pid with the old number of restarts for a moment.
#ifndef EVLB_PROCESS_TABLE_H
#define EVLB_PROCESS_TABLE_H

#include <stdatomic.h>

#include "base/base.h"

enum process_state {
    PROCESS_ABSENT,   // not started, or ended and not to be replaced
    PROCESS_STARTING, // forked, has not said MSG_READY yet
    PROCESS_READY,
    PROCESS_WAITING, // ended; its replacement starts after a pause, because it ends too often
};

enum service_state { SERVICE_STARTING, SERVICE_RUNNING, SERVICE_DRAINING };

struct process_entry {
    _Atomic uint32_t state;      // enum process_state
    _Atomic int32_t pid;         // 0 when it does not run
    _Atomic uint32_t restarts;   // how often it was replaced
    _Atomic uint64_t started_ms; // CLOCK_MONOTONIC, of the running one
};

struct process_table {
    _Atomic uint32_t state; // enum service_state
    int32_t supervisor_pid;
    uint64_t started_ms;              // CLOCK_MONOTONIC
    int64_t started_wall_ms;          // since 1970
    _Atomic uint32_t max_connections; // of the process tree
    _Atomic uint32_t workers;         // entries in worker[] that were used so far
    // of the configuration in force
    _Atomic uint32_t generation; // counts from 1
    _Atomic int64_t loaded_wall_ms;
    _Atomic uint32_t failed_reloads, last_reload_failed;
    struct process_entry control, logger;
    struct process_entry worker[];
};

static inline size_t process_table_bytes(uint32_t workers)
{
    return sizeof(struct process_table) + workers * sizeof(struct process_entry);
}

#endif
