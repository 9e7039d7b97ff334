// SPDX-License-Identifier: MIT
// Listeners: accepting within limits.
#ifndef EVLB_LISTENER_H
#define EVLB_LISTENER_H

#include "proxy/worker_state.h"

// One of w->now, without a socket. It lives until listener_retire() or listener_free().
struct listener *listener_new(struct worker *w, const struct frontend *f,
                              const struct listen *listen) MUST_CHECK;
// Begins to accept on `fd`.
void listener_start(struct listener *l, int fd);
// Stops accepting for good: takes what is waiting in the kernel's queue, then closes this process's
// descriptor of the socket.
void listener_stop(struct listener *l);
// What it is in w->now. The mode of the frontend is the same as before.
void listener_point(struct listener *l, const struct frontend *f, const struct listen *listen);
// Stops accepting and gives its socket away: returns the descriptor, which is the caller's now; -1
// when it has none.
int listener_take_socket(struct listener *l) MUST_CHECK;
// It is not configured any more: as listener_stop(), and it is freed with its last session.
void listener_retire(struct listener *l);
// Closes the socket as it is and frees the listener with its last session.
void listener_free(struct listener *l);
// A session of this listener has ended: gives back its units of the gauges (`frontend`: the slot
// that counted it) and, when accepting was paused by a limit, resumes.
void listener_release(struct listener *l, uint32_t frontend);

#endif
