// SPDX-License-Identifier: MIT
// Which server connection carries a request, and where it goes afterwards. Runs in workers, called
// by the steps of http_proxy.c, which decide what comes next.
// Invariant: x->server != NULL exactly while the exchange is the holder of that connection.
#include "proxy/http_upstream.h"

#include "io/tls.h"
#include "proto/proxy_hdr.h"

bool http_may_replay(const struct exchange *x)
{
    return x->up.keep && x->up.done && http_method_idempotent(x->method);
}

struct upstream *http_take_idle(struct exchange *x, void (*on_ready)(void *holder))
{
    const struct attempt *a = &x->attempt;
    bool replay = http_may_replay(x);
    if (x->fresh_only || a->backend->reuse == REUSE_NEVER || a->backend->send_proxy != PROXY_NONE ||
        (a->backend->reuse == REUSE_SAFE && x->s->requests == 1 && !replay))
        return NULL;
    if (attempt_tls(a) != tls_clients_at(x->w->now->clients, a->server->index))
        return NULL; // idle ones are as a reload says that this request came before
    for (;;) {
        struct upstream *u = upstream_take_idle(x->w, a->server, x, on_ready);
        // what cannot be sent again should not find out by itself that the connection is dead, and
        // nothing may take for its answer what came before it was sent
        bool look = u != NULL && (!replay || (u->conn.ready & CONN_READ));
        if (!look || conn_peek(&u->conn) == IO_AGAIN)
            return u;
        upstream_close(u, false);
    }
}

struct upstream *http_take_pinned(struct exchange *x, void (*on_ready)(void *holder))
{
    struct upstream *u = x->s->pinned;
    if (u == NULL || x->fresh_only || x->attempt.server != NULL)
        return NULL;
    const struct server *server = x->attempt.generation->server_at[u->server->index];
    if (server == NULL || server->backend != x->attempt.backend)
        return NULL;
    x->pin = true;
    if (conn_peek(&u->conn) != IO_AGAIN) {
        x->s->pinned = NULL;
        upstream_close(u, false);
        return NULL;
    }
    if (!attempt_claim(&x->attempt, x->w, server))
        return NULL;
    x->s->pinned = NULL;
    u->server = server;
    u->holder = x;
    u->on_ready = on_ready;
    return u;
}

bool http_add_proxy_header(struct exchange *x)
{
    enum proxy_version v = x->attempt.backend->send_proxy;
    char header[PROXY_OUT_MAX];
    if (v == PROXY_NONE)
        return true;
    size_t n = session_proxy_header(x->s, v, STR_NONE, header);
    x->server->private = true;
    buf_release(&x->up.first);
    return buf_append(&x->up.first, header, n);
}

void http_rewind(struct exchange *x)
{
    upstream_close(x->server, true);
    x->server = NULL;
    buf_release(&x->up.first);
    exchange_drop_answer(x);
    x->up.passed = 0;
    x->up.sent = x->head_bytes;
}

bool http_leave_server(struct exchange *x, unsigned why, enum end_cause cause)
{
    const struct attempt *a = &x->attempt;
    if (!(a->backend->retry_on & why) || !http_may_replay(x) ||
        !attempt_may_retry(&x->attempt, x->w, cause))
        return false;
    x->w->count->servers[a->server->index][SERVER_RESPONSE_FAILURES]++;
    http_rewind(x);
    attempt_leave(&x->attempt, x->w);
    return true;
}

unsigned http_retry_on_status(uint16_t status)
{
    switch (status) {
    case 502:
        return RETRY_ON_502;
    case 503:
        return RETRY_ON_503;
    case 504:
        return RETRY_ON_504;
    default:
        return 0;
    }
}

void http_release_server(struct exchange *x, bool keep, bool reset)
{
    if (x->server != NULL && keep && x->pin)
        session_pin(x->s, x->server);
    else if (x->server != NULL && keep)
        upstream_keep(x->server, x->keep_limit_ms);
    else if (x->server != NULL)
        upstream_close(x->server, reset);
    x->server = NULL;
    attempt_end(&x->attempt, x->w);
}
