// SPDX-License-Identifier: MIT
// Heads on their way: which fields pass, which go, which are added (RFC 9110 section 7.6).
#ifndef EVLB_HTTP_FWD_H
#define EVLB_HTTP_FWD_H

#include "proxy/exchange.h"

// Writes the request head for the server into w->out. False: it does not fit.
bool http_fwd_request(struct exchange *x, const struct http_head *h) MUST_CHECK;
// Writes the response head (final or 1xx) for the client into w->out. False: it does not fit.
bool http_fwd_response(struct exchange *x, const struct http_head *h, const char *raw) MUST_CHECK;
// True when the request asks for a protocol that may be tunnelled (anything but HTTP itself).
bool http_fwd_may_upgrade(const struct http_head *h);

// How long the server says it keeps an idle connection (Keep-Alive: timeout=), less a second;
// UINT32_MAX when it does not say.
uint32_t http_fwd_keep_alive_ms(const struct http_head *h);

// True when the answer begins a login that holds for the whole connection (NTLM, Negotiate), which
// therefore may not be shared with other clients (RFC 4559 section 6).
bool http_fwd_logs_in_connection(const struct http_head *h);

// False when a body up to the close has a transfer coding that this client cannot read (HTTP/1.0),
// or might read otherwise than we do (chunked, but not last, or twice).
bool http_fwd_coding_passes(const struct exchange *x, const struct http_head *h);

#endif
