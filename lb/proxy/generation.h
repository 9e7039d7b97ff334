// SPDX-License-Identifier: MIT
// A configuration in use by a worker, with what was built from it. The newest is w->now; an older
// one lives while an exchange, a layer-4 session or a listener that is no longer in the
// configuration still uses it.
#ifndef EVLB_GENERATION_H
#define EVLB_GENERATION_H

#include "conf/config.h"
#include "core/sched.h"
#include "io/loop.h"

struct tls_clients;
struct tls_server;
struct worker;

struct generation {
    uint32_t number; // counts from 1
    uint32_t refs;
    const struct config *config;
    bool owns_config;                  // loaded by this worker: freed with the generation
    struct scheduler **schedulers;     // by backend slot; NULL: none of this generation
    const struct backend **backend_at; // the same
    const struct server **server_at;   // by server slot; NULL: none of this generation
    struct generation *older;
    struct tls_server **tls; // by listen: frontends in order, their listens in order; NULL: none
    struct tls_clients *clients; // TLS to servers, by slot
    struct arena *arena;
    struct grave grave;
};

// Builds one around a configuration; it becomes w->now. Idle server connections of servers that
// are not in it are closed, the others belong to their new struct server from here on. False: the
// board has no room for it; nothing has changed, and the configuration stays the caller's.
bool generation_begin(struct worker *w, const struct config *config, uint32_t number,
                      bool owns_config) MUST_CHECK;
// What its listen needs to speak TLS; NULL: it does not.
struct tls_server *generation_tls(const struct generation *g, const struct listen *listen);
// One more holder.
struct generation *generation_hold(struct generation *g);
// One less; the last holder of an old one frees it at the end of the turn.
void generation_drop(struct worker *w, struct generation *g);

#endif
