// SPDX-License-Identifier: MIT
// Layer 7: requests of one client connection, one after another, each to the server it deserves.
#ifndef EVLB_HTTP_PROXY_H
#define EVLB_HTTP_PROXY_H

#include "proxy/session.h"

void http_begin(struct session *s);
// Something happened on the client connection, or the session's timer fired.
void http_client_ready(struct session *s);
void http_timeout(struct session *s);
// Of a session with an exchange in progress.
void http_describe(const struct session *s, struct session_work *out);
// Ends the exchange in progress at once; the client connection is the caller's to close.
void http_abort(struct session *s, enum end_cause cause);

#endif
