// SPDX-License-Identifier: MIT
// The logger process: the only one that writes to a place which may be slow. Everybody else puts
// lines into rings and goes on.
#ifndef EVLB_LOGGER_H
#define EVLB_LOGGER_H

#include "process/shared.h"

struct logger_setup {
    struct shared *shared;
    int pipe_fd;    // what children write to their standard error (panics, libraries), read end,
                    // non-blocking; its end says that no producer is left
    int access_fd;  // where access lines go; -1: standard error
    int channel_fd; // to the supervisor (io/channel.h), non-blocking; -1: none
};

// Runs until the last producer has gone and everything is written, or cannot be within a second.
// Returns the exit status of the process.
int logger_run(const struct logger_setup *setup) MUST_CHECK;

#endif
