// SPDX-License-Identifier: MIT
// Answers of our own to a request: written into x->down, sent by http_proxy.c in state REPLY.
#ifndef EVLB_HTTP_REPLY_H
#define EVLB_HTTP_REPLY_H

#include "proxy/exchange.h"

enum reply_result { REPLY_READY, REPLY_IMPOSSIBLE, REPLY_NO_MEMORY };

// The redirect of x->route. IMPOSSIBLE: there is no host to name, or the address is too long.
enum reply_result http_reply_redirect(struct exchange *x, const struct http_head *h) MUST_CHECK;
// What was asked for by a certificate authority.
enum reply_result http_reply_challenge(struct exchange *x, struct str text) MUST_CHECK;
// An error; `sentence` says to people what went wrong.
enum reply_result http_reply_error(struct exchange *x, uint16_t status, enum end_cause cause,
                                   const char *sentence) MUST_CHECK;

#endif
