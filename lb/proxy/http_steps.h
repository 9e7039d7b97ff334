// SPDX-License-Identifier: MIT
// The state machine of http_proxy.c where it goes on in other files: http_response.c from the first
// byte of an answer on, http_end.c where an exchange ends or begins anew. Private to these three.
#ifndef EVLB_HTTP_STEPS_H
#define EVLB_HTTP_STEPS_H

#include "proxy/exchange.h"

// ---- http_proxy.c

// The only writer of the state, but for the next request of a connection (http_finish()).
enum step http_go(struct exchange *x, enum http_state next);

// ---- http_response.c

enum step http_step_wait(struct exchange *x);
enum step http_step_stream(struct exchange *x);
enum step http_step_tunnel(struct exchange *x);

// ---- http_end.c

// Another server is tried if that is allowed, else the client is told.
enum step http_retry_or_refuse(struct exchange *x, enum end_cause cause);
// The server connection broke, or ended in order, before any byte of a final response.
enum step http_server_failed(struct exchange *x, enum end_cause cause);
// Answers with an error of our own instead of what the client wanted.
enum step http_refuse(struct exchange *x, uint16_t status, enum end_cause cause,
                      const char *sentence);
enum step http_step_reply(struct exchange *x);
// The exchange is over in order: the connections live on where they may.
enum step http_finish(struct exchange *x, enum end_cause cause);
// The exchange is over because something broke: so are both connections. A client that has had a
// part of the answer gets a reset when nothing else would tell it that the answer is not whole.
enum step http_cut(struct exchange *x, enum end_cause cause);

#endif
