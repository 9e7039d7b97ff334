// SPDX-License-Identifier: MIT
// Connections ahead of need. Runs in workers; worker.c calls it at the start, after a reload and
// when the board has news, so that a server that has come up finds its pool filled while its share
// still grows.
//
// One connection at a time is opened to a server; when it stands it goes to the idle pool like any
// other and the next one is begun. A failure doubles the pause before the next try, up to 30 s: it
// is no verdict on the server, which checks and real traffic give. What expires or is used up is
// found by a look every WARM_TICK_MS.
// Invariant: warm.opening is the one upstream whose holder is that struct warm.
#include "proxy/warm.h"

#include <errno.h>

#include "proxy/generation.h"
#include "proxy/upstream.h"

#define WARM_TICK_MS 1000u
#define WARM_PAUSE_MAX_MS 30000u
#define WARM_CONNECT_MS 5000u // when timeout.connect is longer

// One server of one worker.
struct warm {
    struct worker *w;
    struct upstream *opening;
    uint64_t again_ms; // not before this; also when the connect is given up
    uint32_t pause_ms; // after the last failure; 0: it worked
    uint32_t epoch;    // of its backend, at the last look
};

static void on_tick(struct timer *t);
static void fill(struct warm *m, const struct server *s);

void warm_init(struct worker *w)
{
    w->warm = xcalloc(w->board->dim.servers, sizeof(*w->warm)); // memory as slots come into use
    timer_init(&w->warm_tick, on_tick);
}

void warm_stop(struct worker *w)
{
    timer_clear(&w->warm_tick);
    for (uint32_t i = 0; i < w->n_pools; i++) {
        if (w->warm[i].opening != NULL)
            upstream_close(w->warm[i].opening, true);
        w->warm[i].opening = NULL;
    }
}

void warm_free(struct worker *w)
{
    warm_stop(w);
    free(w->warm);
}

static void failed(struct warm *m)
{
    m->pause_ms = m->pause_ms == 0 ? WARM_TICK_MS : MIN_OF(m->pause_ms * 2, WARM_PAUSE_MAX_MS);
    m->again_ms = m->w->loop.now_ms + m->pause_ms;
}

static void give_up(struct warm *m)
{
    upstream_close(m->opening, true);
    m->opening = NULL;
    failed(m);
}

// How it stands: IO_OK, it does, TLS included.
static enum io establish(struct upstream *u)
{
    struct tls_client *tls = tls_clients_at(u->w->now->clients, u->server->index);
    struct buf nothing = {0};
    if (!conn_is_tls(&u->conn)) {
        int state = conn_connect_state(&u->conn);
        if (state != 0 || u->down)
            return state == EINPROGRESS && !u->down ? IO_AGAIN : IO_ERR;
        if (tls == NULL)
            return IO_OK;
        if (!upstream_secure(u, tls, &nothing))
            return IO_ERR;
    }
    enum io r = u->down ? IO_ERR : upstream_handshake(u);
    if (r == IO_AGAIN)
        conn_want(&u->conn, &u->w->loop, CONN_READ);
    return r;
}

static void on_ready(void *holder)
{
    struct warm *m = holder;
    struct upstream *u = m->opening;
    enum io r = establish(u);
    if (r == IO_AGAIN)
        return;
    if (r != IO_OK) {
        give_up(m);
        return;
    }
    const struct server *s = u->server;
    uint32_t before = m->w->idle[s->index].count;
    m->opening = NULL;
    upstream_keep(u, UINT32_MAX);
    if (m->w->idle[s->index].count <= before) {
        failed(m); // it may not be kept
        return;
    }
    m->again_ms = m->pause_ms = 0;
    fill(m, s);
}

static bool works(const struct worker *w, const struct server *s)
{
    const struct board_server *b = &w->board->server[s->index];
    uint32_t state = atomic_load(&b->state), weight = atomic_load(&b->weight);
    return (state == SERVER_UP || state == SERVER_STARTING) && atomic_load(&b->standby) == 0 &&
           (weight > 0 ? weight - 1 : s->weight) > 0;
}

static void fill(struct warm *m, const struct server *s)
{
    struct worker *w = m->w;
    int error;
    if (m->opening != NULL || w->now->server_at[s->index] != s || w->loop.now_ms < m->again_ms ||
        w->idle[s->index].count >= s->backend->min_idle || !works(w, s))
        return;
    m->opening = upstream_connect(w, s, m, on_ready, false, &error);
    if (m->opening == NULL) {
        failed(m);
        return;
    }
    m->again_ms = w->loop.now_ms + MIN_OF(s->backend->timeout.connect, WARM_CONNECT_MS);
    m->opening->conn.ready = 0;
    conn_want(&m->opening->conn, &w->loop, CONN_READ | CONN_WRITE);
}

static bool wants_warmth(const struct backend *b)
{
    return b->min_idle > 0 && b->mode == MODE_HTTP && b->reuse != REUSE_NEVER &&
           b->send_proxy == PROXY_NONE;
}

static void look_at(struct worker *w, const struct backend *b)
{
    uint32_t epoch = atomic_load(&w->board->cursor[b->index].epoch);
    for (uint32_t i = 0; i < b->n_servers; i++) {
        const struct server *s = &b->servers[i];
        struct warm *m = &w->warm[s->index];
        m->w = w;
        if (m->opening != NULL && w->loop.now_ms >= m->again_ms)
            give_up(m);
        if (m->opening == NULL && m->epoch != epoch) // it may have come up
            m->again_ms = m->pause_ms = 0;
        m->epoch = epoch;
        fill(m, s);
    }
}

void warm_look(struct worker *w)
{
    const struct config *c = w->now->config;
    bool any = false;
    for (uint32_t i = 0; i < c->n_backends && !w->draining; i++) {
        if (!wants_warmth(&c->backends[i]))
            continue;
        any = true;
        look_at(w, &c->backends[i]);
    }
    if (any)
        timer_set(&w->loop.wheel, &w->warm_tick, w->loop.now_ms + WARM_TICK_MS);
}

static void on_tick(struct timer *t)
{
    warm_look(container_of(t, struct worker, warm_tick));
}

void warm_renew(struct worker *w)
{
    warm_stop(w); // their servers are of the configuration before
    timer_set(&w->loop.wheel, &w->warm_tick, w->loop.now_ms);
}
