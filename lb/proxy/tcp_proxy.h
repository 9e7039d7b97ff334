// SPDX-License-Identifier: MIT
// Layer 4: one session, one server connection, bytes both ways.
#ifndef EVLB_TCP_PROXY_H
#define EVLB_TCP_PROXY_H

#include "proto/client_hello.h"
#include "proxy/session.h"

struct route;

void tcp_begin(struct session *s);
// The same with the backend of `r`, for a client that has sent `first`, which begins with `h`.
void tcp_begin_with(struct session *s, const struct route *r, const struct client_hello *h,
                    struct str first);
// Something happened on the client connection, or the session's timer fired.
void tcp_client_ready(struct session *s);
void tcp_timeout(struct session *s);
// Of a session with work in progress.
void tcp_describe(const struct session *s, struct session_work *out);
// Ends the session's work at once; the client connection is the caller's to close.
void tcp_abort(struct session *s, enum end_cause cause);

#endif
