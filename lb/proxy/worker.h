// SPDX-License-Identifier: MIT
// A worker process: the data path behind one libev loop.
#ifndef EVLB_WORKER_H
#define EVLB_WORKER_H

#include "base/ring.h"
#include "conf/config.h"
#include "core/board.h"

struct tls_tickets;

struct worker_setup {
    const struct config *config; // lives longer than the worker
    uint32_t generation;         // its number
    struct board *board;
    uint32_t id;              // 0..workers-1
    const int *listen_fds;    // this worker's sockets, non-blocking and listening: one per
                              // listen, frontends in order, their listens in order
    int channel_fd;           // to the supervisor (io/channel.h), non-blocking
    const int *wake_fds;      // eventfds of all workers, its own among them: written to tell one
                              // that the board has news; NULL: none (simulations)
    int control_wake_fd;      // the same for control; -1: none
    struct ring *access_log;  // for when the configuration wants one; NULL: none at all
    uint32_t max_connections; // of the process tree; always > 0
    const struct tls_tickets *tickets; // NULL: TLS sessions are not resumed
};

// Serves until told to stop. Returns the exit status of the process.
int worker_run(const struct worker_setup *setup) MUST_CHECK;

#endif
