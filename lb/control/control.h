// SPDX-License-Identifier: MIT
// The control process: everything that is done once per process tree and not per worker. It owns
// one loop; the admin API hangs on it.
#ifndef EVLB_CONTROL_H
#define EVLB_CONTROL_H

#include "conf/config.h"
#include "control/process_table.h"
#include "core/board.h"

struct control_setup {
    const struct config *config; // lives longer than the process
    struct board *board;
    const struct process_table *table;
    int channel_fd;      // to the supervisor (io/channel.h), non-blocking
    const int *wake_fds; // eventfds, one per worker: written after changes on the board
    int control_wake_fd; // ours: a worker has seen something that needs a look
    int admin_fd;        // listening, non-blocking; -1: no admin socket
};

// Serves until told to stop. Returns the exit status of the process.
int control_run(const struct control_setup *setup) MUST_CHECK;

#endif
