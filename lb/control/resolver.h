// SPDX-License-Identifier: MIT
// Keeps the addresses of server names up to date: asks again when an answer's time is over (within
// dns.min-ttl and dns.max-ttl) and tells control/servers.h what has changed.
//
// An answer that there is no such name takes the addresses away only when it was given three times
// in a row; nobody answering takes nothing away: the last good answer stays.
#ifndef EVLB_RESOLVER_H
#define EVLB_RESOLVER_H

#include "control/servers.h"
#include "io/loop.h"

struct resolver;

// Begins at once. NULL: out of memory, or there is no way to ask (logged); names stay unresolved.
struct resolver *resolver_new(struct loop *loop, struct servers *servers, const struct board *board,
                              const struct config *config) MUST_CHECK;
void resolver_free(struct resolver *r);
// A new configuration: names that were there before keep what is known of them.
void resolver_reconfigure(struct resolver *r, const struct config *config);
// True when every name has had an answer, or none came in time: a start need not wait any longer.
bool resolver_settled(const struct resolver *r);

#endif
