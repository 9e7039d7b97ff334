// SPDX-License-Identifier: MIT
// The server connection of one exchange: which may be used again, what goes first on a new one,
// where it goes at the end.
#ifndef EVLB_HTTP_UPSTREAM_H
#define EVLB_HTTP_UPSTREAM_H

#include "proxy/exchange.h"

// True when the whole request may be sent a second time.
bool http_may_replay(const struct exchange *x) MUST_CHECK;
// An idle connection to the claimed server that may carry this request, or NULL.
struct upstream *http_take_idle(struct exchange *x, void (*on_ready)(void *holder)) MUST_CHECK;
// The connection that this client has logged in on (NTLM), or NULL. Its server is claimed with it;
// when that has no room, the request goes wherever there is some.
struct upstream *http_take_pinned(struct exchange *x, void (*on_ready)(void *holder)) MUST_CHECK;
// The PROXY header goes before everything else on a new connection. False: out of memory.
bool http_add_proxy_header(struct exchange *x) MUST_CHECK;
// Gives the server connection up, and what came of an answer; the request is as it was before it
// was sent. Only when it is still there (see http_may_replay()) or none of it was sent.
void http_rewind(struct exchange *x);
// What the server did is worth a retry (a bit of `retry-on`, 0: it is not), and one is allowed: the
// server is left, the request may be sent to another. Else nothing has changed.
bool http_leave_server(struct exchange *x, unsigned why, enum end_cause cause) MUST_CHECK;
// The bit of `retry-on` for this status; 0: none.
unsigned http_retry_on_status(uint16_t status);
// The exchange is done with its server: the connection is kept (or stays with this client), or
// closed; the claim ends.
void http_release_server(struct exchange *x, bool keep, bool reset);

#endif
