// SPDX-License-Identifier: MIT
// Layer 7, top to bottom: one request and its response. Runs in workers; session.c calls it. The
// table of states, the driver, and the steps up to SEND; http_response.c has the steps from WAIT
// on, http_end.c the answers of our own and the end.
//
//                     QUEUE
//                      ^ |
//                      | v
//   HEAD --> ROUTE --> PICK --> CONNECT --> SEND --> WAIT --> STREAM --> (next request, or close)
//     |        |        ^  |     | |          ^       |  |
//     |        |        |  |     | '-HANDSHAKE'       |  '--101--> TUNNEL --> (close)
//     |        |        |  '-idle connection--'       |
//     |        |        '------- replay --------------'
//     |--CHALLENGE--> (ROUTE, when there is no answer to it)
//     '--------'--> REPLY: an answer of our own, from any state before STREAM
//
// Events only call drive(); each step first does what I/O it can, then says what it waits for.
// The request stays in up.buf until the response begins, so that it can be sent again when that is
// safe: no byte of it reached the server, or it is idempotent, complete, and nothing was answered
// (RFC 9110 section 9.2.2).
// Invariants: one exchange at a time per client connection, so answers leave in order; every
// exchange ends in http_finish() or http_cut() with one cause; the claim on a server ends there
// too.
#include "proxy/http_proxy.h"

#include <errno.h>

#include "base/log.h"
#include "io/sock.h"
#include "proto/acme.h"
#include "proxy/challenge.h"
#include "proxy/exchange.h"
#include "proxy/http_body.h"
#include "proxy/http_fwd.h"
#include "proxy/http_reply.h"
#include "proxy/http_route.h"
#include "proxy/http_steps.h"
#include "proxy/http_upstream.h"
#include "proxy/http_wait.h"

#define STEPS_PER_TURN 256

static enum step st_head(struct exchange *x);
static enum step st_challenge(struct exchange *x);
static enum step st_route(struct exchange *x);
static enum step st_pick(struct exchange *x);
static enum step st_queue(struct exchange *x);
static enum step st_connect(struct exchange *x);
static enum step st_handshake(struct exchange *x);
static enum step st_send(struct exchange *x);
static enum step server_down(struct exchange *x);

#define TO(state) (1u << HS_##state)

// clang-format off
static const struct http_step {
    const char *doing;                  // "timed out while ..."
    enum step (*step)(struct exchange *x);
    unsigned next;                      // states that may follow
    enum end_cause timeout;             // when the wait was for the server (or nobody)
    enum end_cause timeout_client;      // when it was for the client
    enum end_cause client_left;
} steps[HS_COUNT] = {
    [HS_HEAD]    = {"reading the request head", st_head,    TO(CHALLENGE) | TO(ROUTE) | TO(REPLY),
                    END_CLIENT_TIMEOUT_REQUEST, END_CLIENT_TIMEOUT_REQUEST, END_CLIENT_CLOSED_REQUEST},
    [HS_CHALLENGE] = {"waiting for the answer to a challenge", st_challenge, TO(ROUTE) | TO(REPLY),
                    END_ACME_BUSY,              END_ACME_BUSY,              END_CLIENT_CLOSED_CONNECT},
    [HS_ROUTE]   = {"routing",                  st_route,   TO(PICK) | TO(REPLY),
                    END_INTERNAL,               END_INTERNAL,               END_CLIENT_CLOSED_CONNECT},
    [HS_PICK]    = {"choosing a server",        st_pick,    TO(QUEUE) | TO(CONNECT) | TO(SEND) | TO(REPLY),
                    END_INTERNAL,               END_INTERNAL,               END_CLIENT_CLOSED_CONNECT},
    [HS_QUEUE]   = {"waiting for a free server", st_queue,  TO(PICK) | TO(REPLY),
                    END_QUEUE_TIMEOUT,          END_QUEUE_TIMEOUT,          END_CLIENT_CLOSED_QUEUE},
    [HS_CONNECT] = {"connecting to the server", st_connect, TO(HANDSHAKE) | TO(SEND) | TO(PICK) | TO(REPLY),
                    END_SERVER_CONNECT_TIMEOUT, END_SERVER_CONNECT_TIMEOUT, END_CLIENT_CLOSED_CONNECT},
    [HS_HANDSHAKE] = {"agreeing on TLS with the server", st_handshake, TO(SEND) | TO(PICK) | TO(REPLY),
                    END_SERVER_TLS_TIMEOUT,     END_SERVER_TLS_TIMEOUT,     END_CLIENT_CLOSED_CONNECT},
    [HS_SEND]    = {"sending the request",      st_send,    TO(WAIT) | TO(PICK) | TO(REPLY),
                    END_SERVER_TIMEOUT_WAIT,    END_CLIENT_TIMEOUT_DATA,    END_CLIENT_CLOSED_WAIT},
    [HS_WAIT]    = {"waiting for the answer",   http_step_wait,    TO(STREAM) | TO(TUNNEL) | TO(PICK) | TO(REPLY),
                    END_SERVER_TIMEOUT_WAIT,    END_CLIENT_TIMEOUT_DATA,    END_CLIENT_CLOSED_WAIT},
    [HS_STREAM]  = {"passing the answer on",    http_step_stream,  0,
                    END_SERVER_TIMEOUT_DATA,    END_CLIENT_TIMEOUT_DATA,    END_CLIENT_CLOSED_DATA},
    [HS_TUNNEL]  = {"tunnelling",               http_step_tunnel,  0,
                    END_TUNNEL_IDLE,            END_TUNNEL_IDLE,            END_CLIENT_CLOSED_DATA},
    [HS_REPLY]   = {"answering",                http_step_reply,   0,
                    END_CLIENT_TIMEOUT_DATA,    END_CLIENT_TIMEOUT_DATA,    END_CLIENT_CLOSED_DATA},
};
// clang-format on

// ---- the driver

enum step http_go(struct exchange *x, enum http_state next)
{
    lb_assert(steps[x->state].next & (1u << next));
    if (x->state == HS_CHALLENGE) {
        challenge_forget(x->challenge);
        x->challenge = NULL;
    }
    x->state = next;
    return STEP_GO;
}

// Pipelined requests that are answered here could keep this going for as long as they come: others
// get their turn after so many steps.
static void drive(struct exchange *x)
{
    x->yielded = false;
    if (x->server != NULL && x->server->down && server_down(x) != STEP_GO)
        return;
    for (int i = 0; i < STEPS_PER_TURN; i++) {
        if (steps[x->state].step(x) != STEP_GO)
            return;
    }
    x->yielded = true;
    timer_set(&x->w->loop.wheel, &x->s->timer, x->w->loop.now_ms);
}

static void wake(void *holder)
{
    drive(holder);
}

void http_begin(struct session *s)
{
    timer_set(&s->w->loop.wheel, &s->timer, s->since_ms + s->listener->frontend->timeout.request);
    http_client_ready(s);
}

void http_client_ready(struct session *s)
{
    if (s->work == NULL && exchange_new(s) == NULL) {
        s->w->count->worker[WORKER_REFUSED_SESSIONS]++;
        session_close(s, true);
        return;
    }
    drive(s->work);
}

// ---- HEAD

// Nothing has come of a request yet: the exchange goes, the session stays.
static enum step back_to_idle(struct exchange *x)
{
    struct session *s = x->s;
    const struct timeouts *t = &s->listener->frontend->timeout;
    exchange_free(x);
    timer_set(&s->w->loop.wheel, &s->timer,
              s->since_ms + (s->requests == 0 ? t->request : t->keep_alive));
    conn_want(&s->client, &s->w->loop, CONN_READ);
    return STEP_END;
}

// The whole head, from its first byte on: no byte of it prolongs this.
static enum step wait_for_head(struct exchange *x)
{
    const struct session *s = x->s;
    uint64_t from = s->requests == 0 ? s->since_ms : x->begin_ms;
    if (buf_len(&x->up.buf) == 0)
        return back_to_idle(x);
    (void)http_wait_for(x, CONN_READ, 0, 0);
    http_set_deadline(x, from + x->frontend->timeout.request);
    return STEP_WAIT;
}

static enum step client_left_in_head(struct exchange *x)
{
    struct session *s = x->s;
    if (buf_len(&x->up.buf) > 0)
        return http_cut(x, END_CLIENT_CLOSED_REQUEST);
    exchange_free(x);
    session_close(s, false);
    return STEP_END;
}

static struct str challenge_token(const struct http_head *h)
{
    return h->method == HTTP_GET || h->method == HTTP_HEAD ? acme_token(h->path) : STR_NONE;
}

static enum step take_head(struct exchange *x)
{
    const struct http_head *h = &x->w->request_head;
    x->w->request_head_owner = x;
    x->head_ms = x->w->loop.now_ms;
    x->head_bytes = h->bytes;
    x->minor = h->minor;
    x->method = h->method;
    x->client_keeps = h->keep_alive && !h->has_length_and_te;
    x->expect_continue = h->expect_continue;
    x->up.scan_ctx = &x->up_body;
    x->up.sent = x->up.ready = h->bytes;
    x->up.keep = true;
    h1_body_init(&x->up_body, h->framing, h->content_length, H1_BODY_PASS, TRAILER_BYTES_MAX);
    x->up.done = x->up_body.done;
    x->s->requests++;
    exchange_note_head(x, h);
    bool challenge = x->frontend->acme.webroot.len > 0 && challenge_token(h).len > 0;
    return http_go(x, challenge ? HS_CHALLENGE : HS_ROUTE);
}

static enum step refuse_head(struct exchange *x, enum http_error error)
{
    const struct http_error_info *info = http_error_info(error);
    x->minor = 1;
    exchange_note_refused(x);
    x->client_keeps = false;
    return http_refuse(x, info->status, END_BAD_REQUEST, info->sentence);
}

static enum step st_head(struct exchange *x)
{
    struct session *s = x->s;
    const struct http_limits *l = &x->frontend->limits;
    const struct h1_limits limits = {l->head_bytes, l->fields, l->uri_bytes};
    switch (session_read_proxy(s, x->frontend, &x->up)) {
    case PROXY_READ_DONE:
        break;
    case PROXY_READ_WAIT:
        return wait_for_head(x);
    case PROXY_READ_EOF:
        return client_left_in_head(x);
    case PROXY_READ_BAD:
        return http_cut(x, END_BAD_PROXY_HEADER);
    }
    for (;;) {
        enum http_error error;
        struct buf *b = &x->up.buf;
        enum h1_result r = H1_MORE;
        if (buf_len(b) > 0)
            r = h1_parse_request(&x->scan, buf_head(b), buf_len(b), &limits, &x->w->request_head,
                                 &error);
        if (r == H1_DONE)
            return take_head(x);
        if (r == H1_BAD)
            return refuse_head(x, error);
        if (x->up.src_eof)
            return client_left_in_head(x);
        if (!(s->client.ready & CONN_READ))
            break;
        if (flow_fill(&x->up, &s->client, l->head_bytes + BUF_BYTES) == IO_ERR && !x->up.src_eof)
            return http_cut(x, END_OUT_OF_MEMORY);
    }
    return wait_for_head(x);
}

// ---- CHALLENGE

static enum step answer_challenge(struct exchange *x, struct str text)
{
    x->client_keeps = x->client_keeps && x->up.done && !session_is_last(x->s);
    if (http_reply_challenge(x, text) != REPLY_READY)
        return http_cut(x, END_OUT_OF_MEMORY);
    return http_go(x, HS_REPLY);
}

static enum step st_challenge(struct exchange *x)
{
    struct str text;
    if (x->challenge == NULL) {
        x->challenge = challenge_ask(x->w, x->frontend, challenge_token(exchange_head(x)), x, wake);
        if (x->challenge == NULL)
            return http_refuse(x, 503, END_ACME_BUSY, end_info(END_ACME_BUSY)->sentence);
        return http_wait_for(x, 0, 0, CHALLENGE_MS);
    }
    switch (challenge_state(x->challenge, &text)) {
    case CHALLENGE_WAITS:
        return http_client_is_there(x) ? http_wait_on(x) : http_cut(x, END_CLIENT_CLOSED_CONNECT);
    case CHALLENGE_FOUND:
        return answer_challenge(x, text);
    case CHALLENGE_MISSING: // somebody behind may have the answer
        break;
    }
    return http_go(x, HS_ROUTE);
}

// ---- ROUTE

static enum step answer_route(struct exchange *x, const struct http_head *h)
{
    const struct route *r = x->route;
    x->client_keeps = x->client_keeps && x->up.done && !session_is_last(x->s);
    if (r->action == ROUTE_DENY)
        return http_refuse(x, r->status, END_DENIED, "this request is not allowed here");
    switch (http_reply_redirect(x, h)) {
    case REPLY_READY:
        return http_go(x, HS_REPLY);
    case REPLY_IMPOSSIBLE:
        return http_refuse(x, 400, END_BAD_REQUEST, "this request cannot be redirected");
    case REPLY_NO_MEMORY:
        break;
    }
    return http_cut(x, END_OUT_OF_MEMORY);
}

static enum step st_route(struct exchange *x)
{
    const struct http_head *h = exchange_head(x);
    if (h->method == HTTP_CONNECT)
        return http_refuse(x, 405, END_BAD_REQUEST, "CONNECT is not served here");
    switch (http_find_route(x, h)) {
    case HTTP_ROUTED:
        break;
    case HTTP_ROUTED_NOWHERE:
        return http_refuse(x, 404, END_NO_ROUTE, "nothing is served under this address");
    case HTTP_ROUTED_BAD:
        return http_refuse(x, 400, END_BAD_REQUEST, "the host or the path is malformed");
    case HTTP_ROUTED_MISDIRECTED:
        return http_refuse(x, 421, END_MISDIRECTED, "this host needs a connection of its own");
    }
    if (x->route->action != ROUTE_BACKEND)
        return answer_route(x, h);
    x->attempt.backend = x->route->backend;
    x->upgrade = http_fwd_may_upgrade(h);
    if (x->attempt.backend->balance == BALANCE_HASH)
        http_hash_key(x, h);
    return http_go(x, HS_PICK);
}

// ---- PICK

static enum step st_pick(struct exchange *x)
{
    struct worker *w = x->w;
    struct attempt *a = &x->attempt;
    int error = 0;
    if (x->pick_ms == 0)
        x->pick_ms = w->loop.now_ms;
    x->server = http_take_pinned(x, wake);
    switch (a->server != NULL ? ATTEMPT_PICKED : attempt_pick(a, w, x, wake)) {
    case ATTEMPT_PICKED:
        break;
    case ATTEMPT_WAITS:
        return http_go(x, HS_QUEUE);
    case ATTEMPT_QUEUE_FULL:
        return http_refuse(x, 503, END_QUEUE_FULL, end_info(END_QUEUE_FULL)->sentence);
    case ATTEMPT_NO_SERVER:
        return http_refuse(x, 503, END_NO_SERVER, end_info(END_NO_SERVER)->sentence);
    }
    if (x->claim_ms == 0)
        x->claim_ms = w->loop.now_ms;
    if (x->server == NULL)
        x->server = http_take_idle(x, wake);
    x->reused = x->server != NULL;
    if (x->reused) {
        w->count->servers[a->server->index][SERVER_REUSES]++;
        return http_go(x, HS_SEND);
    }
    x->server = upstream_connect(w, a->server, x, wake, true, &error);
    if (x->server != NULL)
        return http_go(x, HS_CONNECT);
    if (sock_failure(error) == SOCK_EXHAUSTED)
        return http_refuse(x, 503, END_OUT_OF_SOCKETS, end_info(END_OUT_OF_SOCKETS)->sentence);
    attempt_refused(a, w);
    return http_retry_or_refuse(x, END_SERVER_REFUSED);
}

// ---- QUEUE

static enum step st_queue(struct exchange *x)
{
    const struct waiter *i = &x->attempt.waiter;
    uint64_t now = x->w->loop.now_ms, due = i->since_ms + x->attempt.backend->timeout.queue;
    if (i->turn)
        return http_go(x, HS_PICK);
    if (!http_client_is_there(x))
        return http_cut(x, END_CLIENT_CLOSED_QUEUE);
    return http_wait_for(x, 0, 0, due > now ? (uint32_t)(due - now) : 0);
}

// ---- CONNECT

static enum step connect_failed(struct exchange *x, enum end_cause cause)
{
    x->detail = tls_failure(&x->server->conn);
    upstream_close(x->server, true);
    x->server = NULL;
    attempt_refused(&x->attempt, x->w);
    return http_retry_or_refuse(x, cause);
}

static enum step st_connect(struct exchange *x)
{
    struct conn *c = &x->server->conn;
    if (!(c->watched & CONN_WRITE)) { // just begun: the loop says when it is decided
        c->ready = 0;
        return http_wait_for(x, 0, CONN_READ | CONN_WRITE, x->attempt.backend->timeout.connect);
    }
    int state = c->ready & CONN_WRITE ? conn_connect_state(c) : EINPROGRESS;
    if (state == EINPROGRESS)
        return http_client_is_there(x) ? http_wait_on(x) : http_cut(x, END_CLIENT_CLOSED_CONNECT);
    if (state != 0)
        return connect_failed(x, END_SERVER_REFUSED);
    if (!http_add_proxy_header(x))
        return http_cut(x, END_OUT_OF_MEMORY);
    struct tls_client *tls = attempt_tls(&x->attempt);
    if (tls == NULL)
        return http_go(x, HS_SEND);
    if (!upstream_secure(x->server, tls, &x->up.first))
        return connect_failed(x, END_SERVER_REFUSED);
    return http_go(x, HS_HANDSHAKE);
}

// ---- HANDSHAKE

// No byte of the request has left: what fails is as good as refused. timeout.connect goes on.
static enum step st_handshake(struct exchange *x)
{
    switch (upstream_handshake(x->server)) {
    case IO_OK:
        return http_go(x, HS_SEND);
    case IO_AGAIN:
        conn_want(&x->server->conn, &x->w->loop, CONN_READ);
        return http_client_is_there(x) ? http_wait_on(x) : http_cut(x, END_CLIENT_CLOSED_CONNECT);
    case IO_EOF:
    case IO_ERR:
        break;
    }
    return connect_failed(x, END_SERVER_TLS);
}

// ---- SEND

// `on-server-down: close`: nobody waits for a server that was found down.
static enum step server_down(struct exchange *x)
{
    if (x->state == HS_CONNECT || x->state == HS_HANDSHAKE)
        return connect_failed(x, END_SERVER_DOWN);
    return x->head_sent ? http_cut(x, END_SERVER_DOWN) : http_server_failed(x, END_SERVER_DOWN);
}

static enum step st_send(struct exchange *x)
{
    struct worker *w = x->w;
    struct conn *server = &x->server->conn;
    w->count->servers[x->server->server->index][SERVER_REQUESTS]++;
    x->connected_ms = w->loop.now_ms;
    x->detail = NULL; // what was wrong with another server
    x->up.scanner = x->up.done ? NULL : &http_body_scanner;
    if (!x->up.done && !flow_scan_buffer(&x->up))
        return http_refuse(x, 400, END_BAD_REQUEST_BODY, "the request body breaks the rules");
    if (!http_fwd_request(x, exchange_head(x)))
        return http_refuse(x, 431, END_BAD_REQUEST,
                           "the request head is too large to be forwarded");
    x->head_sent_bytes = (uint32_t)w->out.total + buf_len(&x->up.first); // a PROXY header, too
    if (http_send_head(w, &x->up, server) == IO_ERR)
        return http_server_failed(x, END_SERVER_CLOSED_WAIT);
    x->sent_ms = w->loop.now_ms;
    return http_go(x, HS_WAIT);
}

// ---- timeouts

static enum step timed_out(struct exchange *x)
{
    const struct http_step *now = &steps[x->state];
    enum end_cause cause = x->client_slow ? now->timeout_client : now->timeout;
    if (x->half_closed)
        cause = x->client_slow ? END_CLIENT_TIMEOUT_DATA : END_SERVER_TIMEOUT_DATA;
    if (x->client_fin && !x->head_sent)
        return http_cut(x, now->client_left);
    log_debug("frontend '%s': timed out while %s", x->frontend->name.p, now->doing);
    if (x->state == HS_CONNECT || x->state == HS_HANDSHAKE)
        return connect_failed(x, cause);
    if (x->state == HS_QUEUE)
        x->w->count->backends[x->attempt.backend->index][BACKEND_QUEUE_TIMEOUTS]++;
    if (x->head_sent || x->state == HS_REPLY || end_info(cause)->status == 0)
        return http_cut(x, cause);
    if (cause == END_SERVER_TIMEOUT_WAIT)
        attempt_unanswered(&x->attempt, x->w);
    if (cause == END_SERVER_TIMEOUT_WAIT && buf_len(&x->down.buf) == 0 &&
        http_leave_server(x, RETRY_ON_TIMEOUT, cause))
        return http_go(x, HS_PICK);
    x->client_keeps = x->client_keeps && !x->client_slow;
    return http_refuse(x, end_info(cause)->status, cause, end_info(cause)->sentence);
}

void http_timeout(struct session *s)
{
    struct exchange *x = s->work;
    struct worker *w = s->w;
    if (x == NULL) { // no request came
        session_close(s, false);
        return;
    }
    if (x->yielded) {
        drive(x);
        return;
    }
    if (w->loop.now_ms < x->deadline_ms) { // the answer is taking its time
        bool uploads = x->state >= HS_SEND && !x->up.done;
        if (!http_look_at_client(x))
            (void)http_cut(x, uploads ? END_CLIENT_CLOSED_DATA : steps[x->state].client_left);
        return;
    }
    if (timed_out(x) == STEP_GO)
        drive(x);
}

void http_describe(const struct session *s, struct session_work *out)
{
    const struct exchange *x = s->work;
    *out = (struct session_work){
        .doing = steps[x->state].doing,
        .backend = x->attempt.backend,
        .server = x->attempt.server,
        .begin_ms = x->begin_ms,
        .bytes_received = x->up.passed,
        .bytes_sent = x->down.passed,
    };
}
