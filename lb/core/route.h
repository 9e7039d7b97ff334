// SPDX-License-Identifier: MIT
// Which route of a frontend a request takes.
#ifndef EVLB_ROUTE_H
#define EVLB_ROUTE_H

#include "conf/config.h"

// True when some route of `f` looks at the host or at the path, so that the caller must bring these
// in normal form (proto/uri.h).
bool route_needs_host(const struct frontend *f);
bool route_needs_path(const struct frontend *f);

// The first route that matches, NULL when none does. `host` is lower case without port (empty when
// the request has none), `path` normalised without query.
const struct route *route_find(const struct frontend *f, struct str host, struct str path);

// Where ROUTE_REDIRECT sends: writes the Location into `out`; 0 when it does not fit or cannot be
// made (https without a host). `target` is the path and query as the client sent them.
size_t route_location(const struct route *r, struct str host, struct str target, char *out,
                      size_t size);

#endif
