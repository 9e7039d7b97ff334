// SPDX-License-Identifier: MIT
// A new binary on the same sockets: the running supervisor starts the program anew and hands over
// its listening sockets ($LISTEN_FDS, as systemd would); when the new one serves, the old one
// drains and ends. Nobody is refused in between: both accept from the same queues for a moment.
//
//   old: fork, exec ----------> new: takes the sockets and what was inherited, starts its children
//   old: <---- "ready" -------- new: all workers serve
//   old: drains, ends           (or: the new one ended first, and nothing has changed)
#ifndef EVLB_UPGRADE_H
#define EVLB_UPGRADE_H

#include <sys/types.h>

#include "base/base.h"

struct upgrade {
    pid_t pid;    // of the new supervisor; 0: none under way
    int ready_fd; // readable when it is ready or has ended; -1: none
};

// The path of this program, to be kept before somebody replaces the file. NULL: unknown.
const char *upgrade_program(void);
// Starts it with these arguments (NULL at the end), sockets, and the text that it inherits
// (inherited.h); they stay open here. 0 or -errno.
int upgrade_begin(struct upgrade *u, const char *program, char *const *argv, const int *sockets,
                  uint32_t n_sockets, int inherited) MUST_CHECK;

enum upgrade_result { UPGRADE_WAITING, UPGRADE_READY, UPGRADE_FAILED };
// After ready_fd has become readable. It is closed unless the result is UPGRADE_WAITING.
enum upgrade_result upgrade_result(struct upgrade *u) MUST_CHECK;
// Listens to it no longer.
void upgrade_end(struct upgrade *u);

// In the new supervisor, once: all workers serve. Does nothing when there is no old one.
void upgrade_tell_ready(void);

#endif
