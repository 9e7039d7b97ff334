// SPDX-License-Identifier: MIT
// Generations: the configurations that a worker uses at one time. Run in workers: worker.c begins
// the first, reload.c each further one; sessions, exchanges and listeners hold and drop them.
//
//   w->now --> newest --older--> ... --older--> oldest in use
//
// An old one is taken out of the row, wherever it stands, when its last holder drops it, so that
// one long tunnel keeps one configuration in memory and not all that came after it. It is freed at
// the end of the turn: whoever dropped it may still be looking at its frontend or backend.
// Invariant: refs is 1 (w->now) plus one per listener, exchange, layer-4 session and attempt that
// uses it;
// board->generation of this worker is the number of the last one in the row.
#include "proxy/generation.h"

#include "base/log.h"
#include "io/channel.h"
#include "proxy/tls_listen.h"
#include "proxy/upstream.h"
#include "proxy/warm.h"

// Whether the board has room for everything that the configuration names.
static bool fits(const struct config *c, const struct board_dim *dim)
{
    bool good = true;
    for (uint32_t i = 0; i < c->n_servers; i++)
        good &= c->servers[i].index < dim->servers;
    for (uint32_t i = 0; i < c->n_backends; i++)
        good &= c->backends[i].index < dim->backends;
    for (uint32_t i = 0; i < c->n_frontends; i++)
        good &= c->frontends[i].index < dim->frontends;
    return good;
}

static struct generation *build(const struct config *c, const struct board *board)
{
    const struct board_dim *dim = &board->dim;
    struct arena *arena = arena_new();
    struct generation *g = arena_alloc(arena, sizeof(*g));
    g->arena = arena;
    g->config = c;
    g->schedulers = arena_alloc(arena, dim->backends * sizeof(*g->schedulers));
    g->backend_at = arena_alloc(arena, dim->backends * sizeof(*g->backend_at));
    for (uint32_t i = 0; i < c->n_backends; i++) {
        g->schedulers[c->backends[i].index] = sched_new(&c->backends[i], board);
        g->backend_at[c->backends[i].index] = &c->backends[i];
    }
    g->server_at = xcalloc(dim->servers, sizeof(*g->server_at)); // mostly pages never touched
    for (uint32_t i = 0; i < c->n_servers; i++)
        g->server_at[c->servers[i].index] = &c->servers[i];
    return g;
}

// The pools of slots that no configuration has named before.
static void open_pools(struct worker *w, const struct config *c)
{
    uint32_t n = w->n_pools;
    for (uint32_t i = 0; i < c->n_servers; i++)
        n = MAX_OF(n, c->servers[i].index + 1);
    for (; w->n_pools < n; w->n_pools++) {
        list_init(&w->idle[w->n_pools].idle);
        list_init(&w->idle[w->n_pools].busy);
    }
}

// ---- TLS

static uint32_t count_listens(const struct config *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_frontends; i++)
        n += c->frontends[i].n_listens;
    return n;
}

static struct tls_server *build_tls(const struct worker *w, const struct frontend *f,
                                    const struct tls *tls)
{
    char why[TLS_WHY_MAX];
    struct tls_server *server = tls_listen_new(tls, f, w->tickets, why);
    if (server == NULL)
        log_error("frontend '%s': %s", f->name.p, why);
    return server;
}

static void drop_tls(struct generation *g)
{
    uint32_t n = count_listens(g->config);
    tls_clients_free(g->clients);
    for (uint32_t i = 0; i < n; i++) {
        bool shared = i > 0 && g->tls[i] == g->tls[i - 1];
        if (g->tls[i] != NULL && !shared)
            tls_server_drop(g->tls[i]);
    }
}

// What has not changed is taken over from the configuration before.
static bool begin_clients(const struct worker *w, struct generation *g)
{
    const struct config *c = g->config;
    const struct tls_clients *before = w->now != NULL ? w->now->clients : NULL;
    char why[TLS_WHY_MAX];
    g->clients = tls_clients_new();
    for (uint32_t i = 0; i < c->n_servers; i++) {
        const struct server *s = &c->servers[i];
        if (s->tls == NULL || tls_clients_add(g->clients, before, s->index, &s->tls->terms, why))
            continue;
        log_error("server %s/%s: %s", s->backend->name.p, s->name.p, why);
        return false;
    }
    return true;
}

// Neighbours with the same certificates are the frontend's.
static bool begin_listens(const struct worker *w, struct generation *g)
{
    const struct config *c = g->config;
    const struct listen *before = NULL;
    struct tls_server **at = g->tls = arena_alloc(g->arena, count_listens(c) * sizeof(*at) + 1);
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        const struct frontend *f = &c->frontends[i];
        for (uint32_t k = 0; k < f->n_listens; k++, at++) {
            const struct listen *l = &f->listens[k];
            if (l->tls.n_certs == 0)
                continue;
            bool same = before != NULL && before + 1 == l && before->tls.certs == l->tls.certs;
            *at = same ? at[-1] : build_tls(w, f, &l->tls);
            if (*at == NULL)
                return false;
            before = l;
        }
        before = NULL;
    }
    return true;
}

struct tls_server *generation_tls(const struct generation *g, const struct listen *listen)
{
    struct tls_server **at = g->tls;
    for (uint32_t i = 0; i < g->config->n_frontends; i++) {
        const struct frontend *f = &g->config->frontends[i];
        if (listen >= f->listens && listen < f->listens + f->n_listens)
            return at[listen - f->listens];
        at += f->n_listens;
    }
    return NULL;
}

// ---- the row

static uint32_t oldest(const struct worker *w)
{
    const struct generation *g = w->now;
    while (g->older != NULL)
        g = g->older;
    return g->number;
}

static void note_oldest(struct worker *w)
{
    atomic_store(&w->board->generation[w->id], oldest(w));
}

static void free_built(struct generation *g)
{
    for (uint32_t i = 0; i < g->config->n_backends; i++)
        sched_free(g->schedulers[g->config->backends[i].index]);
    drop_tls(g);
    free(g->server_at);
    arena_free(g->arena);
}

bool generation_begin(struct worker *w, const struct config *config, uint32_t number,
                      bool owns_config)
{
    if (!fits(config, &w->board->dim))
        return false;
    struct generation *g = build(config, w->board), *before = w->now;
    if (!begin_listens(w, g) || !begin_clients(w, g)) {
        free_built(g);
        return false;
    }
    g->number = number;
    g->owns_config = owns_config;
    g->refs = 1;
    g->older = before;
    w->now = g;
    note_oldest(w);
    open_pools(w, config);
    upstream_renew_idle(w);
    warm_renew(w);
    if (before != NULL)
        generation_drop(w, before);
    return true;
}

struct generation *generation_hold(struct generation *g)
{
    lb_assert(g->refs > 0);
    g->refs++;
    return g;
}

static void bury(struct grave *grave)
{
    struct generation *g = container_of(grave, struct generation, grave);
    const struct config *config = g->owns_config ? g->config : NULL;
    free_built(g);
    if (config != NULL)
        arena_free(config->arena);
}

void generation_drop(struct worker *w, struct generation *g)
{
    lb_assert(g->refs > 0);
    if (--g->refs > 0)
        return;
    struct generation **at = &w->now;
    while (*at != g)
        at = &(*at)->older;
    *at = g->older;
    loop_bury(&w->loop, &g->grave, bury);
    if (w->now == NULL) // the worker itself ends
        return;
    note_oldest(w);
    worker_say(w, MSG_RELEASED, oldest(w), 0);
}
