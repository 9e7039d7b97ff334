// SPDX-License-Identifier: MIT
// The admin socket: HTTP/1.1 on a unix socket, one request per connection, few clients, short
// deadlines. What is answered stands in admin_api.h.
#ifndef EVLB_ADMIN_H
#define EVLB_ADMIN_H

#include "control/admin_api.h"
#include "io/loop.h"

struct admin;

// Serves the listening socket on `loop` until admin_stop(). `view` lives longer; its now_ms is set
// before each answer; its events are listened to. NULL: out of memory.
struct admin *admin_start(struct loop *loop, int listen_fd, struct admin_view *view) MUST_CHECK;
// Closes all clients and frees everything; the listening socket stays open. NULL is allowed.
void admin_stop(struct admin *a);

#endif
