// SPDX-License-Identifier: MIT
// The TLS handshake with a client, before anything else of its session.
#ifndef EVLB_HANDSHAKE_H
#define EVLB_HANDSHAKE_H

#include "proxy/session.h"

// Begins it on a connection that was just accepted; goes on to session_serve() when it is done.
void handshake_begin(struct session *s);
// The client's socket is ready, the session's timer has fired: while s->handshaking.
void handshake_ready(struct session *s);
void handshake_timeout(struct session *s);

#endif
