// SPDX-License-Identifier: MIT
// Listeners: accepting within limits.
#ifndef EVLB_LISTENER_H
#define EVLB_LISTENER_H

#include "proxy/worker_state.h"

void listener_init(struct listener *l, struct worker *w, const struct frontend *f,
                   const struct listen *listen);
// Begins to accept on `fd`.
void listener_start(struct listener *l, int fd);
// Stops accepting for good: takes what is waiting in the kernel's queue, then closes this process's
// descriptor of the socket.
void listener_stop(struct listener *l);
// A session of this listener has ended: gives back its units of the gauges and, when accepting was
// paused by a limit, resumes.
void listener_release(const struct listener *l);

#endif
