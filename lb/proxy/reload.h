// SPDX-License-Identifier: MIT
// A new configuration takes the place of the old one, in a worker that goes on working.
#ifndef EVLB_RELOAD_H
#define EVLB_RELOAD_H

#include "io/channel.h"
#include "proxy/worker_state.h"

// MSG_LISTENERS: keeps the sockets for the configuration that comes next.
void reload_take_sockets(struct worker *w, const struct message *m, const int *fds);
// MSG_CONFIG: puts it in force and answers with MSG_TAKEN. When that cannot be, everything stays as
// it was, and the status says so. A worker that drains takes none: nothing begins there any more.
void reload_take_config(struct worker *w, const struct message *m, const int *fds);
// Closes sockets that no configuration came for.
void reload_forget_sockets(struct worker *w);

#endif
