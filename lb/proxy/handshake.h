// SPDX-License-Identifier: MIT
// What comes before anything else of a session on an address with TLS, or whose routes look at what
// TLS clients ask for: the PROXY header, the ClientHello, the handshake.
//
//   WAIT --> PROXY --> HELLO --> TURN --> SHAKE --> session_serve()
//      '-----------------^
//
// OpenSSL enters with TURN. Before it there are only the client's bytes; a route may take the
// connection as it is (passthrough.h).
#ifndef EVLB_HANDSHAKE_H
#define EVLB_HANDSHAKE_H

#include "proxy/session.h"

// Begins it on a connection that was just accepted; goes on to session_serve() when it is done.
void handshake_begin(struct session *s);
// The client's socket is ready, the session's timer has fired: while s->handshake is not 0.
void handshake_ready(struct session *s);
void handshake_timeout(struct session *s);
// It has its turn (handshake_queue.h). `node` was given to handshakes_wait().
void handshake_turn(struct list *node);
// The session ends, whatever state it is in: gives back what the handshake holds. May be called
// without one.
void handshake_leave(struct session *s);
// The client has not said a word yet.
bool handshake_is_silent(const struct session *s);
// Completes "is ...".
const char *handshake_doing(const struct session *s);

#endif
