// SPDX-License-Identifier: MIT
// What a request is for: its route, and its key for balance: hash.
#ifndef EVLB_HTTP_ROUTE_H
#define EVLB_HTTP_ROUTE_H

#include "proxy/exchange.h"

#define HTTP_PATH_MAX 8192u // of a path in normal form

// The route, NULL when none matches; *bad when host or path cannot be compared at all.
const struct route *http_find_route(struct exchange *x, const struct http_head *h,
                                    bool *bad) MUST_CHECK;
// Sets the key in x->attempt from what the backend hashes on.
void http_hash_key(struct exchange *x, const struct http_head *h);

#endif
