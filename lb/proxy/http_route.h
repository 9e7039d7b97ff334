// SPDX-License-Identifier: MIT
// What a request is for: its route, and its key for balance: hash.
#ifndef EVLB_HTTP_ROUTE_H
#define EVLB_HTTP_ROUTE_H

#include "proxy/exchange.h"

#define HTTP_PATH_MAX 8192u // of a path in normal form

enum http_routed {
    HTTP_ROUTED,             // x->route
    HTTP_ROUTED_NOWHERE,     // none matches
    HTTP_ROUTED_BAD,         // host or path cannot be compared at all
    HTTP_ROUTED_MISDIRECTED, // the host is one whose TLS does not end here (RFC 9110 section 7.4)
};
enum http_routed http_find_route(struct exchange *x, const struct http_head *h) MUST_CHECK;
// Sets the key in x->attempt from what the backend hashes on.
void http_hash_key(struct exchange *x, const struct http_head *h);

#endif
