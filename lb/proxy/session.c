// SPDX-License-Identifier: MIT
// Sessions. Run in workers. A session is born in listener.c, hands its work to http_proxy.c or
// tcp_proxy.c, and is the only place that closes a client socket.
// Invariants: work != NULL exactly while an exchange or tcp_session hangs on it; a session that was
// closed stays readable until the end of the turn (dead is set); every session holds one unit of
// its frontend's gauge and one of the process's.
#include "proxy/session.h"

#include "base/pool.h"
#include "io/sock.h"
#include "io/tls.h"
#include "proxy/generation.h"
#include "proxy/handshake.h"
#include "proxy/http_proxy.h"
#include "proxy/listener.h"
#include "proxy/tcp_proxy.h"
#include "proxy/upstream.h"

#define FRESH_MS 1000u // a client this young is about to send its request
#define REST_MS 500u   // idle for so long, it may be so for longer
#define LINGER_MS 2000u
#define LINGER_BYTES (256u * 1024)

static struct pool sessions = POOL("sessions", struct session, 64);

static void on_client(struct conn *c);
static void on_timer(struct timer *t);

bool session_begin(struct listener *l, const struct transport *t, int fd, const union ip_addr *peer)
{
    struct worker *w = l->w;
    struct session *s = pool_get_zeroed(&sessions);
    l->n_sessions++;
    if (s == NULL) {
        struct conn c;
        conn_init(&c, t, fd, on_client);
        conn_close(&c, &w->loop, true);
        listener_release(l, l->frontend->index);
        return false;
    }
    conn_init(&s->client, t, fd, on_client);
    timer_init(&s->timer, on_timer);
    s->w = w;
    s->listener = l;
    s->frontend = l->frontend->index;
    s->proxied = !l->listen->accept_proxy;
    s->peer = *peer;
    s->since_ms = w->loop.now_ms;
    list_append(&w->sessions, &s->node);
    w->n_sessions++;
    w->count->frontends[l->frontend->index].n[FRONTEND_CONNECTIONS]++;
    if (l->tls != NULL || l->by_name)
        handshake_begin(s);
    else
        session_serve(s);
    return true;
}

void session_serve(struct session *s)
{
    if (s->listener->frontend->mode == MODE_TCP)
        tcp_begin(s);
    else
        http_begin(s);
}

static void bury(struct grave *g)
{
    pool_put(&sessions, container_of(g, struct session, grave));
}

// TLS ends with a message of its own. Behind a bulk of data it may have to wait until the client
// has taken some: to close now would make the whole look truncated. False: the session goes on
// until it is said.
static bool say_goodbye(struct session *s)
{
    if (!conn_is_tls(&s->client) || s->lingering || s->handshake != 0)
        return true;
    if (tls_goodbye(&s->client))
        return true;
    conn_finish(&s->client);
    s->lingering = true;
    timer_set(&s->w->loop.wheel, &s->timer,
              s->w->loop.now_ms + s->listener->frontend->timeout.client);
    conn_want(&s->client, &s->w->loop, CONN_WRITE);
    return false;
}

void session_close(struct session *s, bool reset)
{
    struct worker *w = s->w;
    if (!reset && !say_goodbye(s))
        return;
    lb_assert(!s->dead && s->work == NULL);
    s->dead = true;
    handshake_leave(s);
    timer_clear(&s->timer);
    conn_close(&s->client, &w->loop, reset);
    list_remove(&s->node);
    w->n_sessions--;
    free(s->local);
    if (s->pinned != NULL)
        upstream_close(s->pinned, false);
    listener_release(s->listener, s->frontend);
    loop_bury(&w->loop, &s->grave, bury);
    if (w->drained && w->n_sessions == 0)
        loop_break(&w->loop);
}

// The server has closed the pinned connection, or speaks unasked.
static void pinned_ready(void *holder)
{
    struct session *s = holder;
    upstream_close(s->pinned, false);
    s->pinned = NULL;
}

void session_pin(struct session *s, struct upstream *u)
{
    if (s->pinned != NULL) // to another backend
        upstream_close(s->pinned, false);
    s->pinned = NULL;
    if (!upstream_renew(u)) {
        upstream_close(u, false);
        return;
    }
    s->pinned = u;
    u->holder = s;
    u->on_ready = pinned_ready;
    conn_want(&u->conn, &s->w->loop, CONN_READ);
}

void session_idle(struct session *s)
{
    if (session_is_last(s)) {
        session_close(s, false);
        return;
    }
    s->since_ms = s->w->loop.now_ms;
    uint32_t ms = s->listener->frontend->timeout.keep_alive;
    if (conn_is_tls(&s->client))
        ms = MIN_OF(ms, REST_MS);
    timer_set(&s->w->loop.wheel, &s->timer, s->since_ms + ms);
    conn_want(&s->client, &s->w->loop, CONN_READ);
}

// An idle TLS connection rests for what is left of timeout.keep-alive. False: nothing is left.
static bool rest(struct session *s)
{
    uint64_t end_ms = s->since_ms + s->listener->frontend->timeout.keep_alive;
    if (s->work != NULL || !conn_is_tls(&s->client) || session_is_last(s) ||
        s->w->loop.now_ms >= end_ms)
        return false;
    tls_rest(&s->client);
    timer_set(&s->w->loop.wheel, &s->timer, end_ms);
    return true;
}

static void linger_more(struct session *s)
{
    char waste[16384];
    if (s->client.unfinished) {
        conn_want(&s->client, &s->w->loop, CONN_WRITE);
        return;
    }
    while (s->client.ready & CONN_READ) {
        size_t got = 0;
        enum io r = conn_recv(&s->client, waste, sizeof(waste), &got);
        s->lingered += (uint32_t)got;
        if (r == IO_EOF || r == IO_ERR || s->lingered > LINGER_BYTES) {
            session_close(s, false);
            return;
        }
    }
    conn_want(&s->client, &s->w->loop, CONN_READ);
}

void session_linger(struct session *s)
{
    conn_finish(&s->client);
    s->lingering = true;
    timer_set(&s->w->loop.wheel, &s->timer, s->w->loop.now_ms + LINGER_MS);
    s->client.ready |= CONN_READ;
    linger_more(s);
}

static void on_client(struct conn *c)
{
    struct session *s = container_of(c, struct session, client);
    if (s->dead)
        return;
    if (s->lingering)
        linger_more(s);
    else if (s->handshake != 0)
        handshake_ready(s);
    else if (s->layer4)
        tcp_client_ready(s);
    else
        http_client_ready(s);
}

static void on_timer(struct timer *t)
{
    struct session *s = container_of(t, struct session, timer);
    if (s->lingering)
        session_close(s, false);
    else if (s->handshake != 0)
        handshake_timeout(s);
    else if (s->layer4)
        tcp_timeout(s);
    else if (!rest(s))
        http_timeout(s);
}

// A client that was busy a moment ago may have its next request on the way: closing now would cut
// it off, so it has a moment for one more, whose answer says that it was the last.
static void close_if_idle(struct session *s)
{
    struct worker *w = s->w;
    if (s->work != NULL || s->lingering || (s->handshake != 0 && !handshake_is_silent(s)))
        return;
    if (w->loop.now_ms - s->since_ms >= FRESH_MS)
        session_close(s, false);
    else if (s->requests > 0)
        timer_set(&w->loop.wheel, &s->timer, w->loop.now_ms + FRESH_MS);
}

void session_drain_all(struct worker *w)
{
    LIST_EACH(node, &w->sessions)
    {
        close_if_idle(list_entry(node, struct session, node));
    }
}

// From now on the frontend that its listener points to counts it.
static void move_claim(struct session *s)
{
    struct board *b = s->w->board;
    uint32_t frontend = s->listener->frontend->index;
    if (s->frontend == frontend)
        return;
    board_claim(b, s->w->id, board_frontend_slot(b, frontend));
    board_release(b, s->w->id, board_frontend_slot(b, s->frontend));
    s->frontend = frontend;
}

void session_reload_all(struct worker *w)
{
    LIST_EACH(node, &w->sessions)
    {
        struct session *s = list_entry(node, struct session, node);
        if (s->pinned != NULL && !upstream_renew(s->pinned)) {
            upstream_close(s->pinned, false);
            s->pinned = NULL;
        }
        if (s->listener->gone)
            close_if_idle(s);
        else
            move_claim(s);
    }
}

void session_close_all(struct worker *w)
{
    while (!list_empty(&w->sessions)) {
        struct session *s = list_entry(w->sessions.next, struct session, node);
        if (s->work != NULL && s->layer4)
            tcp_abort(s, END_SHUTDOWN);
        else if (s->work != NULL)
            http_abort(s, END_SHUTDOWN);
        if (!s->dead)
            session_close(s, true);
    }
}

bool session_introduce(struct session *s, const struct proxy_hdr *hdr)
{
    s->proxied = true;
    if (hdr->local)
        return true;
    s->local = malloc(sizeof(*s->local));
    if (s->local == NULL)
        return false;
    *s->local = hdr->dst;
    s->peer = hdr->src;
    return true;
}

static enum proxy_read take_proxy(struct session *s, struct flow *in, const struct proxy_hdr *hdr)
{
    buf_consume(&in->buf, hdr->bytes);
    if (buf_len(&in->buf) == 0)
        buf_release(&in->buf);
    return session_introduce(s, hdr) ? PROXY_READ_DONE : PROXY_READ_BAD;
}

enum proxy_read session_read_proxy(struct session *s, const struct frontend *f, struct flow *in)
{
    struct proxy_hdr hdr;
    if (s->proxied)
        return PROXY_READ_DONE;
    if (!session_trusts_peer(s, f))
        return PROXY_READ_BAD;
    for (;;) {
        if (buf_len(&in->buf) > 0) {
            enum proxy_result r = proxy_hdr_parse(buf_head(&in->buf), buf_len(&in->buf), &hdr);
            if (r == PROXY_DONE)
                return take_proxy(s, in, &hdr);
            if (r == PROXY_BAD)
                return PROXY_READ_BAD;
        }
        if (in->src_eof)
            return PROXY_READ_EOF;
        if (!(s->client.ready & CONN_READ))
            return PROXY_READ_WAIT;
        if (flow_fill(in, &s->client, PROXY_HDR_MAX) == IO_ERR)
            return PROXY_READ_EOF;
    }
}

void session_local(const struct session *s, union ip_addr *out)
{
    if (s->local != NULL)
        *out = *s->local;
    else
        sock_local(s->client.watcher.fd, out);
}

size_t session_proxy_header(const struct session *s, enum proxy_version v, struct str sni,
                            char out[PROXY_OUT_MAX])
{
    const struct tls_facts facts = tls_facts(&s->client);
    union ip_addr local;
    session_local(s, &local);
    if (v != PROXY_V2_SSL || (facts.version == NULL && sni.len == 0))
        return proxy_hdr_format(v == PROXY_V1 ? 1 : 2, &s->peer, &local, NULL, out);
    const struct proxy_tls tls = {
        .version = str_of(facts.version),
        .cipher = str_of(facts.cipher),
        .alpn = facts.alpn,
        .authority = facts.version != NULL ? facts.sni : sni,
        .has_certificate = facts.peer != NULL,
        .client_name = facts.peer != NULL ? facts.peer->common_name : STR_NONE,
    };
    return proxy_hdr_format(2, &s->peer, &local, &tls, out);
}

bool session_trusts_peer(const struct session *s, const struct frontend *f)
{
    for (uint32_t i = 0; i < f->n_trusted; i++) {
        if (cidr_contains(&f->trusted[i], &s->peer))
            return true;
    }
    return false;
}
