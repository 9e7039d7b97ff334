// SPDX-License-Identifier: MIT
// Layer 4, top to bottom. Runs in workers; session.c calls it.
//
//                 QUEUE
//                  ^ |
//                  | v
//   PREREAD -----> PICK --> CONNECT ----------------> RELAY --> (end)
//                   ^          | '------> HANDSHAKE -----^
//                   '--retry---'-----------'
//
// PREREAD takes the PROXY header where one is mandatory. A session whose ClientHello was looked at
// (handshake.c) begins with its route. A server that speaks first is connected without a byte from
// the client. Bytes that the client sends meanwhile wait in the kernel, or in the buffer when they
// were read already, so that a failed connect can always be retried.
// Invariant: every session that reaches end() has exactly one cause, and holds nothing afterwards.
#include "proxy/tcp_proxy.h"

#include <errno.h>

#include "base/pool.h"
#include "core/route.h"
#include "io/sock.h"
#include "proto/proxy_hdr.h"
#include "proxy/access_log.h"
#include "proxy/attempt.h"
#include "proxy/hello.h"
#include "proxy/relay.h"
#include "proxy/tls_route.h"
#include "proxy/upstream.h"

enum tcp_state { TS_PREREAD, TS_PICK, TS_QUEUE, TS_CONNECT, TS_HANDSHAKE, TS_RELAY, TS_COUNT };

struct tcp_session {
    struct session *s;
    struct generation *generation;   // held: it began with this one
    const struct frontend *frontend; // of this generation
    enum tcp_state state;
    struct attempt attempt;
    struct upstream *server;
    struct flow up, down;     // client to server, server to client
    struct hello_note *hello; // what the client asked for; NULL: not known, or nothing
    const char *detail;       // about the end, for the log; mostly NULL
    uint64_t begin_ms, pick_ms, claim_ms, connected_ms;
    uint64_t deadline_ms; // of the current wait
    uint64_t look_ms;     // when to look at a client that the loop does not watch
    bool half_closed, client_slow;
};

static struct pool tcp_sessions = POOL("tcp sessions", struct tcp_session, 32);

static enum step st_preread(struct tcp_session *t);
static enum step st_pick(struct tcp_session *t);
static enum step st_queue(struct tcp_session *t);
static enum step st_connect(struct tcp_session *t);
static enum step st_handshake(struct tcp_session *t);
static enum step st_relay(struct tcp_session *t);
static enum step server_down(struct tcp_session *t);
static enum step take_route(struct tcp_session *t, const struct route *r);
static void release(struct tcp_session *t, enum end_cause cause);
static enum step end(struct tcp_session *t, enum end_cause cause);

#define TO(state) (1u << TS_##state)

// clang-format off
static const struct tcp_step {
    const char *doing;                 // "timed out while ..."
    enum step (*step)(struct tcp_session *t);
    unsigned next;                     // states that may follow
    enum end_cause timeout;            // what its timer means
    enum end_cause client_left;
} steps[TS_COUNT] = {
    [TS_PREREAD] = {"reading the PROXY header", st_preread, TO(PICK),
                    END_CLIENT_TIMEOUT_REQUEST, END_CLIENT_CLOSED_IDLE},
    [TS_PICK]    = {"choosing a server",        st_pick,    TO(QUEUE) | TO(CONNECT),
                    END_INTERNAL,               END_CLIENT_CLOSED_CONNECT},
    [TS_QUEUE]   = {"waiting for a free server", st_queue,  TO(PICK),
                    END_QUEUE_TIMEOUT,          END_CLIENT_CLOSED_QUEUE},
    [TS_CONNECT] = {"connecting",               st_connect, TO(HANDSHAKE) | TO(RELAY) | TO(PICK),
                    END_SERVER_CONNECT_TIMEOUT, END_CLIENT_CLOSED_CONNECT},
    [TS_HANDSHAKE] = {"agreeing on TLS with the server", st_handshake, TO(RELAY) | TO(PICK),
                    END_SERVER_TLS_TIMEOUT,     END_CLIENT_CLOSED_CONNECT},
    [TS_RELAY]   = {"relaying",                 st_relay,   0,
                    END_TUNNEL_IDLE,            END_CLIENT_CLOSED_DATA},
};
// clang-format on

static enum step go(struct tcp_session *t, enum tcp_state next)
{
    lb_assert(steps[t->state].next & (1u << next));
    t->state = next;
    return STEP_GO;
}

static void guard(struct tcp_session *t, uint32_t ms)
{
    t->deadline_ms = t->s->w->loop.now_ms + ms;
}

static void set_timer(struct tcp_session *t)
{
    uint64_t due = t->deadline_ms;
    if (t->s->client.watched == 0)
        due = MIN_OF(due, t->look_ms);
    timer_set(&t->s->w->loop.wheel, &t->s->timer, due);
}

static void drive(struct tcp_session *t)
{
    enum step r;
    if (t->server != NULL && t->server->down && server_down(t) != STEP_GO)
        return;
    while ((r = steps[t->state].step(t)) == STEP_GO)
        continue;
    if (r == STEP_WAIT)
        set_timer(t);
}

// NULL: out of memory, the session is closed.
static struct tcp_session *begin(struct session *s)
{
    struct worker *w = s->w;
    struct tcp_session *t = pool_get_zeroed(&tcp_sessions);
    if (t == NULL) {
        w->count->worker[WORKER_REFUSED_SESSIONS]++;
        session_close(s, true);
        return NULL;
    }
    t->s = s;
    s->work = t;
    s->layer4 = true;
    w->exchanges++;
    flow_init(&t->up);
    flow_init(&t->down);
    t->begin_ms = w->loop.now_ms;
    t->look_ms = t->begin_ms + CLIENT_LOOK_MS;
    t->generation = generation_hold(s->listener->generation);
    attempt_begin(&t->attempt, t->generation);
    t->frontend = s->listener->frontend;
    guard(t, t->frontend->timeout.request);
    return t;
}

void tcp_begin(struct session *s)
{
    struct tcp_session *t = begin(s);
    if (t != NULL)
        drive(t);
}

void tcp_begin_with(struct session *s, const struct route *r, const struct client_hello *h,
                    struct str first)
{
    struct tcp_session *t = begin(s);
    if (t == NULL)
        return;
    t->begin_ms = s->since_ms;
    if (h->bytes > 0)
        t->hello = hello_note_new(h);
    if ((h->bytes > 0 && t->hello == NULL) || !buf_append(&t->up.buf, first.p, first.len))
        (void)end(t, END_OUT_OF_MEMORY);
    else if (take_route(t, r) == STEP_GO)
        drive(t);
}

void tcp_client_ready(struct session *s)
{
    drive(s->work);
}

static void server_ready(void *holder)
{
    drive(holder);
}

// ---- PREREAD

// Neither served nor cut off: what answers it may still arrive.
static enum step refuse(struct tcp_session *t, enum end_cause cause, const char *detail)
{
    struct session *s = t->s;
    t->detail = detail;
    release(t, cause);
    session_linger(s);
    return STEP_END;
}

static enum step take_route(struct tcp_session *t, const struct route *r)
{
    bool passed_on = t->hello != NULL;
    if (r == NULL || r->action == ROUTE_DENY) {
        bool plain = !passed_on && !conn_is_tls(&t->s->client);
        if (passed_on)
            hello_answer(&t->s->client, r == NULL ? ALERT_UNRECOGNIZED_NAME : ALERT_ACCESS_DENIED);
        return r != NULL ? refuse(t, END_DENIED, NULL)
                         : refuse(t, END_NO_ROUTE, plain ? "the client speaks no TLS" : NULL);
    }
    t->attempt.backend = r->backend;
    lb_assert(flow_scan_buffer(&t->up)); // without a scanner: all there is may be sent
    return go(t, TS_PICK);
}

// TLS ends here: what was agreed on decides.
static enum step take_route_of_tls(struct tcp_session *t)
{
    struct route_facts facts = {0};
    struct tls_route texts;
    tls_route_facts(&t->s->client, &texts, &facts);
    facts.host = facts.over.sni;
    return take_route(t, route_find(t->frontend, &facts));
}

static enum step st_preread(struct tcp_session *t)
{
    struct session *s = t->s;
    const struct route_facts nothing = {0};
    switch (session_read_proxy(s, t->frontend, &t->up)) {
    case PROXY_READ_DONE:
        if (conn_is_tls(&s->client))
            return take_route_of_tls(t);
        return take_route(t, route_of_hello(t->frontend, &nothing));
    case PROXY_READ_WAIT:
        conn_want(&s->client, &s->w->loop, CONN_READ);
        return STEP_WAIT;
    case PROXY_READ_EOF:
        return end(t, END_CLIENT_CLOSED_IDLE);
    case PROXY_READ_BAD:
        break;
    }
    return end(t, END_BAD_PROXY_HEADER);
}

// ---- PICK

static enum step retry_or_end(struct tcp_session *t, enum end_cause cause)
{
    if (attempt_may_retry(&t->attempt, t->s->w, cause))
        return STEP_GO;
    return end(t, cause);
}

// A client that speaks first has often done so by now. False: it is gone, or memory is out.
static bool listen_first(struct tcp_session *t)
{
    struct conn *client = &t->s->client;
    bool ask = flow_unsent(&t->up) == 0 && !t->up.src_eof && (client->ready & CONN_READ);
    if (ask && flow_fill(&t->up, client, 0) == IO_ERR)
        return false;
    return flow_scan_buffer(&t->up);
}

static enum step st_pick(struct tcp_session *t)
{
    struct worker *w = t->s->w;
    struct attempt *a = &t->attempt;
    int error = 0;
    if (t->pick_ms == 0)
        t->pick_ms = w->loop.now_ms;
    if (a->backend->balance == BALANCE_HASH) {
        const void *bytes;
        size_t n = ip_bytes(&t->s->peer, &bytes);
        a->has_key = n > 0;
        a->key = hash_bytes(bytes, n, 0);
    }
    switch (attempt_pick(a, w, t, server_ready)) {
    case ATTEMPT_PICKED:
        break;
    case ATTEMPT_WAITS:
        return go(t, TS_QUEUE);
    case ATTEMPT_QUEUE_FULL:
        return end(t, END_QUEUE_FULL);
    case ATTEMPT_NO_SERVER:
        return end(t, END_NO_SERVER);
    }
    if (t->claim_ms == 0)
        t->claim_ms = w->loop.now_ms;
    if (!listen_first(t))
        return end(t, t->up.src_eof ? END_CLIENT_CLOSED_CONNECT : END_OUT_OF_MEMORY);
    bool first = flow_unsent(&t->up) > 0 || attempt_tls(a) != NULL;
    t->server = upstream_connect(w, a->server, t, server_ready, first, &error);
    if (t->server != NULL) {
        guard(t, a->backend->timeout.connect);
        return go(t, TS_CONNECT);
    }
    if (sock_failure(error) == SOCK_EXHAUSTED)
        return end(t, END_OUT_OF_SOCKETS);
    attempt_refused(a, w);
    return retry_or_end(t, END_SERVER_REFUSED);
}

// ---- QUEUE

static enum step st_queue(struct tcp_session *t)
{
    struct conn *client = &t->s->client;
    bool silent = flow_unsent(&t->up) == 0 && !t->up.src_eof;
    int wanted = 0;
    if (t->attempt.waiter.turn)
        return go(t, TS_PICK);
    if (silent) {
        switch (client->ready & CONN_READ ? conn_peek(client) : IO_AGAIN) {
        case IO_OK: // its words wait where they are
            break;
        case IO_AGAIN:
            wanted = CONN_READ;
            break;
        case IO_EOF: // without a word
        case IO_ERR:
            return end(t, END_CLIENT_CLOSED_QUEUE);
        }
    }
    conn_want(client, &t->s->w->loop, wanted);
    t->deadline_ms = t->attempt.waiter.since_ms + t->attempt.backend->timeout.queue;
    return STEP_WAIT;
}

// ---- CONNECT

static enum step connected(struct tcp_session *t)
{
    struct worker *w = t->s->w;
    attempt_succeeded(&t->attempt, w);
    t->detail = NULL; // what was wrong with another server
    t->connected_ms = w->loop.now_ms;
    w->count->servers[t->server->server->index][SERVER_REQUESTS]++;
    w->count->backends[t->attempt.backend->index][BACKEND_REQUESTS]++;
    return go(t, TS_RELAY);
}

// No byte has reached the server: what the client has sent is still in the buffer.
static enum step connect_failed(struct tcp_session *t, enum end_cause cause)
{
    t->detail = tls_failure(&t->server->conn);
    upstream_close(t->server, true);
    t->server = NULL;
    t->up.passed = 0;
    buf_release(&t->up.first);
    attempt_refused(&t->attempt, t->s->w);
    (void)go(t, TS_PICK);
    return retry_or_end(t, cause);
}

// Puts the PROXY header in front of all that goes to the server.
static bool add_proxy_header(struct tcp_session *t)
{
    char header[PROXY_OUT_MAX];
    struct str sni = t->hello != NULL ? t->hello->sni : STR_NONE;
    size_t n = session_proxy_header(t->s, t->attempt.backend->send_proxy, sni, header);
    return buf_append(&t->up.first, header, n);
}

// Offers the server what there is for it: the result tells whether the connection stands.
static enum step offer(struct tcp_session *t)
{
    struct conn *server = &t->server->conn;
    server->ready |= CONN_WRITE;
    switch (flow_flush(&t->up, server)) {
    case IO_OK:
        return connected(t);
    case IO_AGAIN:
        if (t->up.passed > 0)
            return connected(t);
        conn_want(server, &t->s->w->loop, CONN_READ | CONN_WRITE);
        conn_want(&t->s->client, &t->s->w->loop, 0);
        return STEP_WAIT;
    case IO_EOF:
    case IO_ERR:
        break;
    }
    return connect_failed(t, END_SERVER_REFUSED);
}

// Nobody has said anything. A client that has ended its direction without a word never will: then
// the loop has to tell when the connection stands, so that its FIN can be passed on.
static void wait_for_words(struct tcp_session *t)
{
    struct loop *l = &t->s->w->loop;
    bool ended = t->up.src_eof;
    conn_want(&t->server->conn, l, ended ? CONN_READ | CONN_WRITE : CONN_READ);
    conn_want(&t->s->client, l, ended ? 0 : CONN_READ);
}

// Just begun. The loop reports a failure, and bytes of a server that speaks first, to whoever waits
// for reading; that the connection stands is found out by writing to it. So a client that speaks
// first costs no event of its own for the connect.
static enum step begin_connect(struct tcp_session *t)
{
    t->server->conn.ready = 0;
    if (t->attempt.backend->send_proxy != PROXY_NONE && !add_proxy_header(t))
        return end(t, END_OUT_OF_MEMORY);
    if (attempt_tls(&t->attempt) != NULL) { // needs to know that it stands
        conn_want(&t->server->conn, &t->s->w->loop, CONN_READ | CONN_WRITE);
        conn_want(&t->s->client, &t->s->w->loop, 0);
        return STEP_WAIT;
    }
    if (flow_unsent(&t->up) > 0)
        return offer(t);
    wait_for_words(t);
    return STEP_WAIT;
}

static enum step stands(struct tcp_session *t)
{
    struct tls_client *tls = attempt_tls(&t->attempt);
    if (tls == NULL)
        return connected(t);
    if (!upstream_secure(t->server, tls, &t->up.first))
        return connect_failed(t, END_SERVER_REFUSED);
    return go(t, TS_HANDSHAKE);
}

static enum step st_connect(struct tcp_session *t)
{
    struct session *s = t->s;
    struct conn *server = &t->server->conn;
    if (server->watched == 0)
        return begin_connect(t);
    int state = server->ready != 0 ? conn_connect_state(server) : EINPROGRESS;
    if (state == 0)
        return stands(t);
    if (state != EINPROGRESS)
        return connect_failed(t, END_SERVER_REFUSED);
    if (!(s->client.wanted & CONN_READ) || !(s->client.ready & CONN_READ))
        return STEP_WAIT;
    if (!listen_first(t))
        return end(t, t->up.src_eof ? END_CLIENT_CLOSED_CONNECT : END_OUT_OF_MEMORY);
    if (flow_unsent(&t->up) > 0)
        return offer(t);
    wait_for_words(t);
    return STEP_WAIT;
}

// ---- HANDSHAKE

// What the client has to say waits until it is over. timeout.connect goes on.
static enum step st_handshake(struct tcp_session *t)
{
    switch (upstream_handshake(t->server)) {
    case IO_OK:
        return connected(t);
    case IO_AGAIN:
        conn_want(&t->server->conn, &t->s->w->loop, CONN_READ);
        return STEP_WAIT;
    case IO_EOF:
    case IO_ERR:
        break;
    }
    return connect_failed(t, END_SERVER_TLS);
}

// `on-server-down: close`: nobody waits for a server that was found down.
static enum step server_down(struct tcp_session *t)
{
    bool begins = t->state == TS_CONNECT || t->state == TS_HANDSHAKE;
    return begins ? connect_failed(t, END_SERVER_DOWN) : end(t, END_SERVER_DOWN);
}

// ---- RELAY

static uint32_t relay_timeout(const struct tcp_session *t)
{
    const struct timeouts *f = &t->frontend->timeout;
    const struct timeouts *b = &t->attempt.backend->timeout;
    if (t->half_closed)
        return t->client_slow ? f->client_fin : b->server_fin;
    return f->tunnel;
}

static enum step st_relay(struct tcp_session *t)
{
    struct worker *w = t->s->w;
    struct relay_wants wants;
    enum relay_result r = relay_pump(&t->up, &t->down, &t->s->client, &t->server->conn, &wants);
    switch (r) {
    case RELAY_WAIT:
        t->half_closed = wants.half_closed;
        t->client_slow = wants.client_slow;
        conn_want(&t->s->client, &w->loop, wants.client);
        conn_want(&t->server->conn, &w->loop, wants.server);
        guard(t, relay_timeout(t));
        return STEP_WAIT;
    case RELAY_END:
        return end(t, END_OK);
    case RELAY_CLIENT_ERR:
        return end(t, END_CLIENT_CLOSED_DATA);
    case RELAY_SERVER_ERR:
        return end(t, END_SERVER_CLOSED_DATA);
    case RELAY_NO_MEMORY:
        break;
    }
    return end(t, END_OUT_OF_MEMORY);
}

// ---- the end

static void account(const struct tcp_session *t, enum end_cause cause)
{
    struct worker *w = t->s->w;
    const struct frontend *f = t->frontend;
    struct frontend_counters *c = &w->count->frontends[f->index];
    c->n[FRONTEND_REQUESTS]++;
    c->n[FRONTEND_BYTES_IN] += t->up.passed;
    c->n[FRONTEND_BYTES_OUT] += t->down.passed;
    c->ends[cause]++;
    if (t->server != NULL) {
        w->count->servers[t->server->server->index][SERVER_BYTES_IN] += t->down.passed;
        w->count->servers[t->server->server->index][SERVER_BYTES_OUT] += t->up.passed;
    }
    if (w->access_log == NULL)
        return;
    uint64_t now = w->loop.now_ms;
    const struct server *server = t->attempt.last;
    struct access_record r = {
        .ended_ms = clock_wall_ms(),
        .client = &t->s->peer,
        .frontend = f->name,
        .backend = t->attempt.backend != NULL ? t->attempt.backend->name : STR_NONE,
        .server = server != NULL ? server->name : STR_NONE,
        .proto = "tcp",
        .bytes_in = t->up.passed,
        .bytes_out = t->down.passed,
        .retries = t->attempt.retries,
        .t_idle_ms = -1,
        .t_request_ms = access_span(t->begin_ms, t->pick_ms),
        .t_queue_ms = access_span(t->pick_ms, t->claim_ms),
        .t_connect_ms = access_span(t->claim_ms, t->connected_ms),
        .t_response_ms = -1,
        .t_data_ms = access_span(t->connected_ms, now),
        .t_total_ms = access_span(t->begin_ms, now),
        .tls = tls_facts(&t->s->client),
        .end = cause,
        .detail = t->detail,
    };
    if (t->hello != NULL) {
        r.tls.sni = t->hello->sni;
        r.tls.alpn = t->hello->alpn;
    }
    if (!access_log_write(w->access_log, &r))
        w->count->worker[WORKER_LOG_DROPPED]++;
}

static void release(struct tcp_session *t, enum end_cause cause)
{
    struct session *s = t->s;
    struct worker *w = s->w;
    account(t, cause);
    if (t->server != NULL)
        upstream_close(t->server, cause != END_OK);
    attempt_end(&t->attempt, w);
    attempt_forget(&t->attempt, w);
    generation_drop(w, t->generation);
    flow_release(&t->up);
    flow_release(&t->down);
    if (t->hello != NULL)
        hello_note_free(t->hello);
    s->work = NULL;
    w->exchanges--;
    pool_put(&tcp_sessions, t);
}

static enum step end(struct tcp_session *t, enum end_cause cause)
{
    struct session *s = t->s;
    release(t, cause);
    session_close(s, cause != END_OK);
    return STEP_END;
}

void tcp_abort(struct session *s, enum end_cause cause)
{
    release(s->work, cause);
}

// Bytes that the server does not take wait unread behind the client: that it is gone shows only
// here.
static void look_at_client(struct tcp_session *t)
{
    struct session *s = t->s;
    t->look_ms = s->w->loop.now_ms + CLIENT_LOOK_MS;
    if (s->client.watched == 0 && conn_is_broken(&s->client))
        (void)end(t, steps[t->state].client_left);
    else
        set_timer(t);
}

void tcp_timeout(struct session *s)
{
    struct tcp_session *t = s->work;
    enum end_cause cause = steps[t->state].timeout;
    if (s->w->loop.now_ms < t->deadline_ms) {
        look_at_client(t);
        return;
    }
    if (t->state == TS_CONNECT) { // or connected long ago, and nobody has said anything since
        t->server->conn.ready = CONN_READ;
        enum step next =
            conn_connect_state(&t->server->conn) == 0 ? stands(t) : connect_failed(t, cause);
        if (next == STEP_GO)
            drive(t);
        return;
    }
    if (t->state == TS_HANDSHAKE) {
        if (connect_failed(t, cause) == STEP_GO)
            drive(t);
        return;
    }
    if (t->state == TS_QUEUE)
        s->w->count->backends[t->attempt.backend->index][BACKEND_QUEUE_TIMEOUTS]++;
    if (t->state == TS_RELAY && !t->half_closed)
        cause = END_TUNNEL_IDLE;
    else if (t->state == TS_RELAY)
        cause = t->client_slow ? END_CLIENT_TIMEOUT_DATA : END_SERVER_TIMEOUT_DATA;
    (void)end(t, cause);
}

void tcp_describe(const struct session *s, struct session_work *out)
{
    const struct tcp_session *t = s->work;
    *out = (struct session_work){
        .doing = steps[t->state].doing,
        .backend = t->attempt.backend,
        .server = t->attempt.server,
        .begin_ms = t->begin_ms,
        .bytes_received = t->up.passed,
        .bytes_sent = t->down.passed,
    };
}
