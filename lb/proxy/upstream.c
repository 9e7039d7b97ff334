// SPDX-License-Identifier: MIT
// Server connections and the idle pool. Run in workers; called by http_proxy.c and tcp_proxy.c.
// Idle ones stay registered with the loop, so that a server that closes is seen at once; what comes
// from a server that was not asked is never read as an answer: the connection is closed.
// After a reload an idle connection belongs to its server in the new configuration; one that comes
// back from an exchange of an older one is kept only when its server is still there.
// One with other terms of TLS than its server now has is not kept: what was agreed on then may not
// be good enough any more.
// Invariants: holder == NULL exactly while it is in its server's idle list; the idle timer is left
// running while in use and only looks at the state when it fires.
#include "proxy/upstream.h"

#include <errno.h>

#include "base/log.h"
#include "base/pool.h"
#include "io/sock.h"
#include "proxy/generation.h"

#define IDLE_PER_SERVER_MAX 16384u // more than were ever in use at once there never are

static struct pool upstreams = POOL("server connections", struct upstream, 32);

static void leave_idle(struct upstream *u)
{
    lb_assert(u->holder == NULL);
    list_remove(&u->node);
    u->w->idle[u->server->index].count--;
}

static void close_idle(struct upstream *u)
{
    leave_idle(u);
    upstream_close(u, false);
}

static void on_server(struct conn *c)
{
    struct upstream *u = container_of(c, struct upstream, conn);
    if (!conn_is_open(c))
        return;
    if (u->holder != NULL) {
        u->on_ready(u->holder);
        return;
    }
    if (conn_is_tls(c) && conn_peek(c) == IO_AGAIN)
        return;    // a ticket for the next session, or new keys
    close_idle(u); // the server closed it, or spoke unasked
}

static void on_idle_timer(struct timer *t)
{
    struct upstream *u = container_of(t, struct upstream, timer);
    uint64_t now = u->w->loop.now_ms;
    uint64_t due = u->holder != NULL ? now + u->idle_limit_ms : u->idle_since_ms + u->idle_limit_ms;
    if (u->holder != NULL || due > now) {
        timer_set(&u->w->loop.wheel, t, due);
        return;
    }
    close_idle(u);
}

static uint32_t addr_version(const struct worker *w, const struct server *server)
{
    return atomic_load_explicit(&w->board->server[server->index].addr_version,
                                memory_order_acquire);
}

// The name of the server means another address now than when the connection was made.
static bool has_moved(const struct upstream *u)
{
    return u->addr_version != addr_version(u->w, u->server);
}

static void note_busy(struct upstream *u)
{
    if (u->server->backend->on_server_down == SERVER_DOWN_CLOSE)
        list_append(&u->w->idle[u->server->index].busy, &u->node);
}

struct upstream *upstream_take_idle(struct worker *w, const struct server *server, void *holder,
                                    void (*on_ready)(void *holder))
{
    struct idle_pool *p = &w->idle[server->index];
    while (p->count > 0) {
        struct upstream *u = list_entry(p->idle.next, struct upstream, node);
        leave_idle(u);
        if (has_moved(u)) {
            upstream_close(u, false);
            continue;
        }
        u->server = server;
        u->holder = holder;
        u->on_ready = on_ready;
        u->uses++;
        note_busy(u);
        return u;
    }
    return NULL;
}

// Connects to where the server is now. Returns the descriptor or -errno.
static int dial(struct worker *w, const struct server *server, bool has_data)
{
    struct addr addr;
    sched_address(w->board, server, &addr);
    return addr.len > 0 ? w->dial(w, &addr, has_data) : -EHOSTUNREACH;
}

struct upstream *upstream_connect(struct worker *w, const struct server *server, void *holder,
                                  void (*on_ready)(void *holder), bool has_data, int *error)
{
    struct upstream *u = pool_get_zeroed(&upstreams);
    uint32_t version = addr_version(w, server); // before the address itself is read
    int fd = u != NULL ? dial(w, server, has_data) : -ENOMEM;
    if (fd < 0 && u != NULL && sock_failure(-fd) == SOCK_EXHAUSTED) { // idle ones give theirs up
        upstream_close_idle(w);
        fd = dial(w, server, has_data);
    }
    if (fd < 0) {
        *error = -fd;
        if (u != NULL)
            pool_put(&upstreams, u);
        return NULL;
    }
    conn_init(&u->conn, w->transport, fd, on_server);
    u->conn.ready = CONN_WRITE; // nothing can have come yet
    timer_init(&u->timer, on_idle_timer);
    list_init(&u->node);
    u->w = w;
    u->server = server;
    u->holder = holder;
    u->on_ready = on_ready;
    u->uses = 1;
    u->addr_version = version;
    u->idle_limit_ms = server->backend->timeout.idle;
    w->n_upstreams++;
    w->count->servers[server->index][SERVER_CONNECTIONS]++;
    note_busy(u);
    return u;
}

// A socket without anything in it takes a few bytes at once.
bool upstream_secure(struct upstream *u, struct tls_client *tls, struct buf *first)
{
    const struct iovec header = {first->base != NULL ? buf_head(first) : NULL, buf_len(first)};
    size_t sent = 0;
    if (header.iov_len > 0 &&
        (conn_sendv(&u->conn, &header, 1, &sent) != IO_OK || sent < header.iov_len))
        return false;
    buf_release(first);
    return tls_attach_client(&u->conn, &u->w->loop, tls);
}

enum io upstream_handshake(struct upstream *u)
{
    const struct server *s = u->server;
    uint64_t *counters = u->w->count->servers[s->index];
    enum io r = tls_handshake(&u->conn);
    if (r == IO_AGAIN)
        return r;
    bool news = tls_client_note(tls_client_of(&u->conn), r != IO_OK);
    if (r == IO_OK) {
        counters[SERVER_TLS_HANDSHAKES]++;
        counters[SERVER_TLS_RESUMED] += tls_facts(&u->conn).resumed;
        return r;
    }
    counters[SERVER_TLS_FAILURES]++;
    if (news)
        log_warning("server %s/%s: TLS: %s", s->backend->name.p, s->name.p, tls_failure(&u->conn));
    return IO_ERR;
}

const char *upstream_tls_failure(struct upstream *u)
{
    const char *why = tls_failure(&u->conn);
    if (why == NULL && conn_is_tls(&u->conn) && conn_peek(&u->conn) == IO_ERR)
        why = tls_failure(&u->conn); // the alert behind a write that failed
    return why;
}

bool upstream_renew(struct upstream *u)
{
    const struct server *server = u->w->now->server_at[u->server->index];
    bool same_tls = tls_client_of(&u->conn) == tls_clients_at(u->w->now->clients, u->server->index);
    if (server == NULL || server->backend->reuse == REUSE_NEVER || has_moved(u) || !same_tls)
        return false;
    u->server = server;
    u->idle_limit_ms = MIN_OF(u->idle_limit_ms, server->backend->timeout.idle);
    return true;
}

void upstream_keep(struct upstream *u, uint32_t limit_ms)
{
    struct worker *w = u->w;
    struct idle_pool *p = &w->idle[u->server->index];
    bool usable = upstream_renew(u) && !w->draining && !u->private && !u->down;
    u->idle_limit_ms = MIN_OF(u->idle_limit_ms, limit_ms);
    if (!usable || u->idle_limit_ms == 0 || p->count >= IDLE_PER_SERVER_MAX) {
        upstream_close(u, false);
        return;
    }
    u->holder = NULL;
    u->idle_since_ms = w->loop.now_ms;
    list_remove(&u->node);
    list_prepend(&p->idle, &u->node);
    p->count++;
    conn_want(&u->conn, &w->loop, CONN_READ);
    if (!timer_is_set(&u->timer) || u->timer.due_ms > u->idle_since_ms + u->idle_limit_ms)
        timer_set(&w->loop.wheel, &u->timer, u->idle_since_ms + u->idle_limit_ms);
}

static void bury(struct grave *g)
{
    pool_put(&upstreams, container_of(g, struct upstream, grave));
}

void upstream_close(struct upstream *u, bool reset)
{
    struct worker *w = u->w;
    timer_clear(&u->timer);
    list_remove(&u->node);
    conn_close(&u->conn, &w->loop, reset);
    w->n_upstreams--;
    loop_bury(&w->loop, &u->grave, bury);
}

void upstream_close_idle(struct worker *w)
{
    for (uint32_t i = 0; i < w->n_pools; i++) {
        LIST_EACH(node, &w->idle[i].idle)
        {
            close_idle(list_entry(node, struct upstream, node));
        }
    }
}

static void cut_down(struct worker *w, const struct server *s)
{
    struct list *busy = &w->idle[s->index].busy;
    if (atomic_load(&w->board->server[s->index].state) != SERVER_DOWN)
        return;
    while (!list_empty(busy)) {
        struct upstream *u = list_entry(busy->next, struct upstream, node);
        list_remove(&u->node);
        u->down = true;
        u->on_ready(u->holder);
    }
}

void upstream_cut_down(struct worker *w)
{
    const struct config *c = w->now->config;
    for (uint32_t i = 0; i < c->n_backends; i++) {
        const struct backend *b = &c->backends[i];
        uint32_t epoch = atomic_load(&w->board->cursor[b->index].epoch);
        if (b->on_server_down != SERVER_DOWN_CLOSE || w->epochs[b->index] == epoch)
            continue;
        w->epochs[b->index] = epoch;
        for (uint32_t k = 0; k < b->n_servers; k++)
            cut_down(w, &b->servers[k]);
    }
}

void upstream_renew_idle(struct worker *w)
{
    for (uint32_t i = 0; i < w->n_pools; i++) {
        LIST_EACH(node, &w->idle[i].idle)
        {
            struct upstream *u = list_entry(node, struct upstream, node);
            if (!upstream_renew(u))
                close_idle(u);
        }
    }
}
