// SPDX-License-Identifier: MIT
// Layer 7, top to bottom: one request and its response. Runs in workers; session.c calls it.
//
//                     QUEUE
//                      ^ |
//                      | v
//   HEAD --> ROUTE --> PICK --> CONNECT --> SEND --> WAIT --> STREAM --> (next request, or close)
//     |        |        ^  |       |          ^       |  |
//     |        |        |  '-idle connection--'       |  '--101--> TUNNEL --> (close)
//     |        |        '------- replay --------------'
//     '--------'--> REPLY: an answer of our own, from any state before STREAM
//
// Events only call drive(); each step first does what I/O it can, then says what it waits for.
// The request stays in up.buf until the response begins, so that it can be sent again when that is
// safe: no byte of it reached the server, or it is idempotent, complete, and nothing was answered
// (RFC 9110 section 9.2.2).
// Invariants: one exchange at a time per client connection, so answers leave in order; every
// exchange ends in finish() or cut() with one cause; the claim on a server ends there too.
#include "proxy/http_proxy.h"

#include <errno.h>

#include "base/log.h"
#include "base/panic.h"
#include "io/sock.h"
#include "proxy/exchange.h"
#include "proxy/http_body.h"
#include "proxy/http_fwd.h"
#include "proxy/http_reply.h"
#include "proxy/http_route.h"
#include "proxy/http_upstream.h"
#include "proxy/http_wait.h"
#include "proxy/relay.h"

#define STEPS_PER_TURN 256
#define FILLS_PER_TURN 8
#define TRAILER_BYTES_MAX 8192u
#define INTERIM_BYTES_MAX 16384u // interim responses that wait for a client to take them

static enum step st_head(struct exchange *x);
static enum step st_route(struct exchange *x);
static enum step st_pick(struct exchange *x);
static enum step st_queue(struct exchange *x);
static enum step st_connect(struct exchange *x);
static enum step st_send(struct exchange *x);
static enum step st_wait(struct exchange *x);
static enum step st_stream(struct exchange *x);
static enum step st_tunnel(struct exchange *x);
static enum step st_reply(struct exchange *x);
static enum step server_down(struct exchange *x);
static enum step refuse(struct exchange *x, uint16_t status, enum end_cause cause,
                        const char *sentence);
static enum step finish(struct exchange *x, enum end_cause cause);
static enum step cut(struct exchange *x, enum end_cause cause);

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
    [HS_HEAD]    = {"reading the request head", st_head,    TO(ROUTE) | TO(REPLY),
                    END_CLIENT_TIMEOUT_REQUEST, END_CLIENT_TIMEOUT_REQUEST, END_CLIENT_CLOSED_REQUEST},
    [HS_ROUTE]   = {"routing",                  st_route,   TO(PICK) | TO(REPLY),
                    END_INTERNAL,               END_INTERNAL,               END_CLIENT_CLOSED_CONNECT},
    [HS_PICK]    = {"choosing a server",        st_pick,    TO(QUEUE) | TO(CONNECT) | TO(SEND) | TO(REPLY),
                    END_INTERNAL,               END_INTERNAL,               END_CLIENT_CLOSED_CONNECT},
    [HS_QUEUE]   = {"waiting for a free server", st_queue,  TO(PICK) | TO(REPLY),
                    END_QUEUE_TIMEOUT,          END_QUEUE_TIMEOUT,          END_CLIENT_CLOSED_QUEUE},
    [HS_CONNECT] = {"connecting to the server", st_connect, TO(SEND) | TO(PICK) | TO(REPLY),
                    END_SERVER_CONNECT_TIMEOUT, END_SERVER_CONNECT_TIMEOUT, END_CLIENT_CLOSED_CONNECT},
    [HS_SEND]    = {"sending the request",      st_send,    TO(WAIT) | TO(PICK) | TO(REPLY),
                    END_SERVER_TIMEOUT_WAIT,    END_CLIENT_TIMEOUT_DATA,    END_CLIENT_CLOSED_WAIT},
    [HS_WAIT]    = {"waiting for the answer",   st_wait,    TO(STREAM) | TO(TUNNEL) | TO(PICK) | TO(REPLY),
                    END_SERVER_TIMEOUT_WAIT,    END_CLIENT_TIMEOUT_DATA,    END_CLIENT_CLOSED_WAIT},
    [HS_STREAM]  = {"passing the answer on",    st_stream,  0,
                    END_SERVER_TIMEOUT_DATA,    END_CLIENT_TIMEOUT_DATA,    END_CLIENT_CLOSED_DATA},
    [HS_TUNNEL]  = {"tunnelling",               st_tunnel,  0,
                    END_TUNNEL_IDLE,            END_TUNNEL_IDLE,            END_CLIENT_CLOSED_DATA},
    [HS_REPLY]   = {"answering",                st_reply,   0,
                    END_CLIENT_TIMEOUT_DATA,    END_CLIENT_TIMEOUT_DATA,    END_CLIENT_CLOSED_DATA},
};
// clang-format on

// ---- the driver

static enum step go(struct exchange *x, enum http_state next)
{
    lb_assert(steps[x->state].next & (1u << next));
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

static void server_ready(void *holder)
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
        return cut(x, END_CLIENT_CLOSED_REQUEST);
    exchange_free(x);
    session_close(s, false);
    return STEP_END;
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
    return go(x, HS_ROUTE);
}

static enum step refuse_head(struct exchange *x, enum http_error error)
{
    const struct http_error_info *info = http_error_info(error);
    x->minor = 1;
    exchange_note_refused(x);
    x->client_keeps = false;
    return refuse(x, info->status, END_BAD_REQUEST, info->sentence);
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
        return cut(x, END_BAD_PROXY_HEADER);
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
            return cut(x, END_OUT_OF_MEMORY);
    }
    return wait_for_head(x);
}

// ---- ROUTE

static enum step answer_route(struct exchange *x, const struct http_head *h)
{
    const struct route *r = x->route;
    x->client_keeps = x->client_keeps && x->up.done && !session_is_last(x->s);
    if (r->action == ROUTE_DENY)
        return refuse(x, r->status, END_DENIED, "this request is not allowed here");
    switch (http_reply_redirect(x, h)) {
    case REPLY_READY:
        return go(x, HS_REPLY);
    case REPLY_IMPOSSIBLE:
        return refuse(x, 400, END_BAD_REQUEST, "this request cannot be redirected");
    case REPLY_NO_MEMORY:
        break;
    }
    return cut(x, END_OUT_OF_MEMORY);
}

static enum step st_route(struct exchange *x)
{
    const struct http_head *h = exchange_head(x);
    bool bad;
    if (h->method == HTTP_CONNECT)
        return refuse(x, 405, END_BAD_REQUEST, "CONNECT is not served here");
    x->route = http_find_route(x, h, &bad);
    if (bad)
        return refuse(x, 400, END_BAD_REQUEST, "the host or the path is malformed");
    if (x->route == NULL)
        return refuse(x, 404, END_NO_ROUTE, "nothing is served under this address");
    if (x->route->action != ROUTE_BACKEND)
        return answer_route(x, h);
    x->attempt.backend = x->route->backend;
    x->upgrade = http_fwd_may_upgrade(h);
    if (x->attempt.backend->balance == BALANCE_HASH)
        http_hash_key(x, h);
    return go(x, HS_PICK);
}

// ---- PICK

static enum step retry_or_refuse(struct exchange *x, enum end_cause cause)
{
    if (attempt_may_retry(&x->attempt, x->w, cause))
        return x->state == HS_PICK ? STEP_GO : go(x, HS_PICK);
    return refuse(x, end_info(cause)->status, cause, end_info(cause)->sentence);
}

static enum step st_pick(struct exchange *x)
{
    struct worker *w = x->w;
    struct attempt *a = &x->attempt;
    int error = 0;
    if (x->pick_ms == 0)
        x->pick_ms = w->loop.now_ms;
    x->server = http_take_pinned(x, server_ready);
    switch (a->server != NULL ? ATTEMPT_PICKED : attempt_pick(a, w, x, server_ready)) {
    case ATTEMPT_PICKED:
        break;
    case ATTEMPT_WAITS:
        return go(x, HS_QUEUE);
    case ATTEMPT_QUEUE_FULL:
        return refuse(x, 503, END_QUEUE_FULL, end_info(END_QUEUE_FULL)->sentence);
    case ATTEMPT_NO_SERVER:
        return refuse(x, 503, END_NO_SERVER, end_info(END_NO_SERVER)->sentence);
    }
    if (x->claim_ms == 0)
        x->claim_ms = w->loop.now_ms;
    if (x->server == NULL)
        x->server = http_take_idle(x, server_ready);
    x->reused = x->server != NULL;
    if (x->reused) {
        w->count->servers[a->server->index][SERVER_REUSES]++;
        return go(x, HS_SEND);
    }
    x->server = upstream_connect(w, a->server, x, server_ready, true, &error);
    if (x->server != NULL)
        return go(x, HS_CONNECT);
    if (sock_failure(error) == SOCK_EXHAUSTED)
        return refuse(x, 503, END_OUT_OF_SOCKETS, end_info(END_OUT_OF_SOCKETS)->sentence);
    attempt_refused(a, w);
    return retry_or_refuse(x, END_SERVER_REFUSED);
}

// ---- QUEUE

static enum step st_queue(struct exchange *x)
{
    const struct waiter *i = &x->attempt.waiter;
    uint64_t now = x->w->loop.now_ms, due = i->since_ms + x->attempt.backend->timeout.queue;
    if (i->turn)
        return go(x, HS_PICK);
    if (!http_client_is_there(x))
        return cut(x, END_CLIENT_CLOSED_QUEUE);
    return http_wait_for(x, 0, 0, due > now ? (uint32_t)(due - now) : 0);
}

// ---- CONNECT

static enum step connect_failed(struct exchange *x, enum end_cause cause)
{
    upstream_close(x->server, true);
    x->server = NULL;
    attempt_refused(&x->attempt, x->w);
    return retry_or_refuse(x, cause);
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
        return http_client_is_there(x) ? http_wait_on(x) : cut(x, END_CLIENT_CLOSED_CONNECT);
    if (state != 0)
        return connect_failed(x, END_SERVER_REFUSED);
    if (!http_add_proxy_header(x))
        return cut(x, END_OUT_OF_MEMORY);
    return go(x, HS_SEND);
}

// ---- SEND

// The server connection broke, or ended in order, before any byte of a final response.
static enum step server_failed(struct exchange *x, enum end_cause cause)
{
    struct worker *w = x->w;
    bool replay = x->up.passed == 0 || http_may_replay(x);
    bool reset = x->down.src_broken; // nobody was there to read it: as good as refused
    uint64_t *counters = w->count->servers[x->server->server->index];
    panic_note("server closed before its answer", x->server->server->index, x->reused);
    if (!x->reused)
        attempt_unanswered(&x->attempt, w);
    counters[x->reused ? SERVER_REUSE_RACES : SERVER_RESPONSE_FAILURES]++;
    if (!replay) {
        x->client_keeps = x->client_keeps && x->up.done;
        return refuse(x, end_info(cause)->status, cause, end_info(cause)->sentence);
    }
    http_rewind(x);
    if (x->reused && cause != END_SERVER_DOWN) { // closed while idle: no fault of the server
        x->fresh_only = true;
        return go(x, HS_PICK);
    }
    attempt_leave(&x->attempt, w);
    if (reset && attempt_may_retry(&x->attempt, w, END_SERVER_REFUSED))
        return go(x, HS_PICK);
    return retry_or_refuse(x, cause);
}

// `on-server-down: close`: nobody waits for a server that was found down.
static enum step server_down(struct exchange *x)
{
    if (x->state == HS_CONNECT)
        return connect_failed(x, END_SERVER_DOWN);
    return x->head_sent ? cut(x, END_SERVER_DOWN) : server_failed(x, END_SERVER_DOWN);
}

static enum step st_send(struct exchange *x)
{
    struct worker *w = x->w;
    struct conn *server = &x->server->conn;
    w->count->servers[x->server->server->index][SERVER_REQUESTS]++;
    x->connected_ms = w->loop.now_ms;
    x->up.scanner = x->up.done ? NULL : &http_body_scanner;
    if (!x->up.done && !flow_scan_buffer(&x->up))
        return refuse(x, 400, END_BAD_REQUEST_BODY, "the request body breaks the rules");
    if (!http_fwd_request(x, exchange_head(x)))
        return refuse(x, 431, END_BAD_REQUEST, "the request head is too large to be forwarded");
    x->head_sent_bytes = (uint32_t)w->out.total + buf_len(&x->up.first); // a PROXY header, too
    if (http_send_head(w, &x->up, server) == IO_ERR)
        return server_failed(x, END_SERVER_CLOSED_WAIT);
    x->sent_ms = w->loop.now_ms;
    return go(x, HS_WAIT);
}

// ---- WAIT

// A head from the server: 1xx are passed on at once, any number of them (RFC 9110 section 15.2).
static enum step pass_interim(struct exchange *x, const struct http_head *h)
{
    struct flow *f = &x->down;
    x->expect_continue = x->expect_continue && h->status != 100;
    if (x->minor > 0) {
        if (!http_fwd_response(x, h, buf_head(&f->buf)))
            return refuse(x, 502, END_BAD_RESPONSE, "the server's answer is too large");
        if (http_send_head(x->w, f, &x->s->client) == IO_ERR)
            return cut(x, END_CLIENT_CLOSED_WAIT);
    }
    buf_consume(&f->buf, h->bytes);
    x->response_scan = (struct h1_scan){0};
    return STEP_GO;
}

static enum step begin_response(struct exchange *x, const struct http_head *h)
{
    struct flow *f = &x->down;
    bool decode = h->framing == BODY_CHUNKED && x->minor == 0;
    x->status = h->status;
    x->response_ms = x->w->loop.now_ms;
    x->server_keeps = h->keep_alive && h->framing != BODY_UNTIL_CLOSE && !h->has_length_and_te;
    x->keep_limit_ms = http_fwd_keep_alive_ms(h);
    x->pin = x->pin || http_fwd_logs_in_connection(h);
    if (!http_fwd_coding_passes(x, h))
        return refuse(x, 502, END_BAD_RESPONSE,
                      "the answer has a transfer coding that cannot pass");
    if (h->framing == BODY_UNTIL_CLOSE || decode || !x->up.done || session_is_last(x->s))
        x->client_keeps = false;
    if (!http_fwd_response(x, h, buf_head(&f->buf)))
        return refuse(x, 502, END_BAD_RESPONSE, "the server's answer is too large");
    f->scanner = h->framing == BODY_NONE ? NULL : &http_body_scanner;
    f->scan_ctx = &x->down_body;
    f->sent = f->ready = h->bytes;
    h1_body_init(&x->down_body, h->framing, h->content_length,
                 decode ? H1_BODY_DECODE : H1_BODY_PASS, TRAILER_BYTES_MAX);
    f->done = x->down_body.done;
    if (!f->done && !flow_scan_buffer(f))
        return refuse(x, 502, END_BAD_RESPONSE, "the server's answer breaks the rules");
    x->up.keep = false; // from here on nothing is ever sent again
    x->head_sent = true;
    (void)go(x, h->status == 101 ? HS_TUNNEL : HS_STREAM);
    if (http_send_head(x->w, f, &x->s->client) == IO_ERR)
        return cut(x, END_CLIENT_CLOSED_DATA);
    return STEP_GO;
}

static enum step begin_tunnel(struct exchange *x, const struct http_head *h)
{
    if (!x->upgrade)
        return refuse(x, 502, END_BAD_RESPONSE, "the server changed the protocol unasked");
    if (!http_fwd_response(x, h, buf_head(&x->down.buf)))
        return refuse(x, 502, END_BAD_RESPONSE, "the server's answer is too large");
    x->status = 101;
    x->response_ms = x->w->loop.now_ms;
    x->client_keeps = x->server_keeps = false;
    x->head_sent = true;
    // what both sides have sent behind their heads belongs to the tunnel
    x->up.keep = x->up.done = false;
    x->up.scanner = NULL;
    flow_taken(&x->up, 0);
    x->down.sent = x->down.ready = h->bytes;
    (void)go(x, HS_TUNNEL);
    if (http_send_head(x->w, &x->down, &x->s->client) == IO_ERR)
        return cut(x, END_CLIENT_CLOSED_DATA);
    x->s->client.ready |= CONN_READ;
    return STEP_GO;
}

static enum step take_response(struct exchange *x, const struct http_head *h)
{
    attempt_succeeded(&x->attempt, x->w);
    if (h->status == 101)
        return begin_tunnel(x, h);
    if (http_leave_server(x, http_retry_on_status(h->status), END_BAD_RESPONSE))
        return go(x, HS_PICK);
    return h->status >= 200 ? begin_response(x, h) : pass_interim(x, h);
}

static enum step half_a_head(struct exchange *x)
{
    if (http_leave_server(x, RETRY_ON_EMPTY_RESPONSE, END_SERVER_CLOSED_WAIT))
        return go(x, HS_PICK);
    return refuse(x, 502, END_SERVER_CLOSED_WAIT, "the server closed in the middle of its answer");
}

// Reads a response head. WAIT: not there yet.
static enum step read_response(struct exchange *x)
{
    struct worker *w = x->w;
    struct conn *server = &x->server->conn;
    const struct http_limits *l = &x->frontend->limits;
    const struct h1_limits limits = {l->head_bytes, l->fields, l->uri_bytes};
    struct buf *b = &x->down.buf;
    int fills = 0;
    while (flow_unsent(&x->down) < INTERIM_BYTES_MAX) {
        enum http_error error;
        enum h1_result r = H1_MORE;
        if (buf_len(b) > 0)
            r = h1_parse_response(&x->response_scan, buf_head(b), buf_len(b), &limits, x->method,
                                  &w->response_head, &error);
        if (r == H1_BAD)
            return refuse(x, 502, END_BAD_RESPONSE, http_error_info(error)->sentence);
        if (r == H1_DONE) {
            enum step s = take_response(x, &w->response_head);
            if (s != STEP_GO || x->state != HS_WAIT)
                return s;
            continue;
        }
        if (x->down.src_eof && buf_len(b) == 0)
            return server_failed(x, END_SERVER_CLOSED_WAIT);
        if (x->down.src_eof)
            return half_a_head(x);
        if (!(server->ready & CONN_READ) || fills++ == FILLS_PER_TURN)
            return STEP_WAIT;
        if (flow_fill(&x->down, server, l->head_bytes + BUF_BYTES) == IO_ERR && !x->down.src_eof)
            return cut(x, END_OUT_OF_MEMORY);
    }
    return STEP_WAIT;
}

static enum step st_wait(struct exchange *x)
{
    int client = 0, server = CONN_READ;
    enum upload u = http_pump_up(x);
    if (flow_flush(&x->down, &x->s->client) == IO_ERR) // the rest of an interim response
        return cut(x, END_CLIENT_CLOSED_WAIT);
    if (u == UPLOAD_BAD)
        return refuse(x, 400, END_BAD_REQUEST_BODY, "the request body breaks the rules");
    if (u == UPLOAD_STUCK) // its answer says why, or reading fails too
        x->server->conn.ready |= CONN_READ;
    enum step r = read_response(x);
    if (r != STEP_WAIT)
        return r;
    switch (u) {
    case UPLOAD_CLIENT_LEFT:
        return cut(x, END_CLIENT_CLOSED_DATA);
    case UPLOAD_NO_MEMORY:
        return cut(x, END_OUT_OF_MEMORY);
    case UPLOAD_BAD:
    case UPLOAD_STUCK:
    case UPLOAD_OVER:
    case UPLOAD_WAITS_CLIENT:
    case UPLOAD_WAITS_SERVER:
    case UPLOAD_YIELD:
        break;
    }
    if (!http_client_is_there(x))
        return cut(x, END_CLIENT_CLOSED_WAIT);
    http_upload_wants(x, u, &client, &server);
    if (flow_unsent(&x->down) > 0)
        client |= CONN_WRITE;
    if (flow_unsent(&x->down) >= INTERIM_BYTES_MAX) { // nothing more is read until it takes some
        server &= ~CONN_READ;
        x->client_slow = true;
    }
    return http_wait_for(x, client, server,
                         x->client_slow ? x->frontend->timeout.client
                                        : x->attempt.backend->timeout.server);
}

// ---- STREAM

static enum step st_stream(struct exchange *x)
{
    const struct timeouts *ft = &x->frontend->timeout;
    int client = 0, server = 0;
    enum upload u = http_pump_up(x); // when it cannot go on, the answer still can
    enum flow_result r = flow_pump(&x->down, &x->server->conn, &x->s->client);
    switch (r) {
    case FLOW_DONE:
        return finish(x, END_OK);
    case FLOW_EOF:
        if (x->down_body.framing == BODY_UNTIL_CLOSE)
            return finish(x, END_OK);
        return cut(x, END_SERVER_CLOSED_DATA);
    case FLOW_SRC_ERR:
        return cut(x, END_SERVER_CLOSED_DATA);
    case FLOW_BAD:
        return cut(x, END_BAD_RESPONSE_BODY);
    case FLOW_DST_ERR:
        return cut(x, END_CLIENT_CLOSED_DATA);
    case FLOW_NO_MEMORY:
        return cut(x, END_OUT_OF_MEMORY);
    case FLOW_WAIT_SRC:
        server |= CONN_READ;
        break;
    case FLOW_WAIT_DST:
        client |= CONN_WRITE;
        break;
    case FLOW_YIELD:
        server |= CONN_READ;
        client |= CONN_WRITE;
        break;
    }
    if (!http_client_is_there(x) || x->up.src_broken)
        return cut(x, END_CLIENT_CLOSED_DATA);
    http_upload_wants(x, u, &client, &server);
    x->client_slow = r == FLOW_WAIT_DST;
    return http_wait_for(x, client, server,
                         x->client_slow ? ft->client : x->attempt.backend->timeout.server);
}

// ---- TUNNEL

static enum step st_tunnel(struct exchange *x)
{
    const struct timeouts *ft = &x->frontend->timeout;
    struct relay_wants wants;
    switch (relay_pump(&x->up, &x->down, &x->s->client, &x->server->conn, &wants)) {
    case RELAY_WAIT:
        x->half_closed = wants.half_closed;
        x->client_slow = wants.client_slow;
        x->client_waits = true; // what the client sends is the tunnel's
        return http_wait_for(x, wants.client, wants.server,
                             !wants.half_closed  ? ft->tunnel
                             : wants.client_slow ? ft->client_fin
                                                 : x->attempt.backend->timeout.server_fin);
    case RELAY_END:
        return finish(x, END_OK);
    case RELAY_CLIENT_ERR:
        return cut(x, END_CLIENT_CLOSED_DATA);
    case RELAY_SERVER_ERR:
        return cut(x, END_SERVER_CLOSED_DATA);
    case RELAY_NO_MEMORY:
        break;
    }
    return cut(x, END_OUT_OF_MEMORY);
}

// ---- REPLY

// Answers with an error of our own instead of what the client wanted.
static enum step refuse(struct exchange *x, uint16_t status, enum end_cause cause,
                        const char *sentence)
{
    if (x->server != NULL)
        upstream_close(x->server, true);
    x->server = NULL;
    attempt_end(&x->attempt, x->w);
    x->client_keeps = x->client_keeps && x->up.done && !session_is_last(x->s);
    if (http_reply_error(x, status, cause, sentence) != REPLY_READY)
        return cut(x, END_OUT_OF_MEMORY);
    return go(x, HS_REPLY);
}

static enum step st_reply(struct exchange *x)
{
    switch (flow_flush(&x->down, &x->s->client)) {
    case IO_OK:
        return finish(x, x->end);
    case IO_AGAIN:
        if (!http_client_is_there(x))
            break;
        x->client_slow = true;
        return http_wait_for(x, CONN_WRITE, 0, x->frontend->timeout.client);
    case IO_EOF:
    case IO_ERR:
        break;
    }
    return finish(x, x->end); // the cause was there before the client left
}

// ---- the end of an exchange

// The exchange is over in order: the connections live on where they may.
static enum step finish(struct exchange *x, enum end_cause cause)
{
    struct session *s = x->s;
    exchange_account(x, cause);
    bool whole = x->up.done && flow_unsent(&x->up) == 0;
    whole = whole && buf_len(&x->down.buf) == 0; // a server that says more is not to be trusted
    http_release_server(
        x, x->server_keeps && whole && cause == END_OK && x->attempt.backend->reuse != REUSE_NEVER,
        !whole && x->state != HS_TUNNEL);
    if (x->client_keeps && x->up.done && !x->up.src_broken) {
        if (x->up.buf.base != NULL) {
            buf_consume(&x->up.buf, x->up.ready);
            if (buf_len(&x->up.buf) == 0)
                buf_release(&x->up.buf);
        }
        if (buf_len(&x->up.buf) > 0 || x->client_waits || x->client_fin) { // the next one is here
            bool fin = x->client_fin, waits = x->client_waits;
            s->since_ms = x->w->loop.now_ms;
            exchange_reset(x);
            s->client.ready |= fin || waits ? CONN_READ : 0;
            x->state = HS_HEAD;
            return STEP_GO;
        }
        exchange_free(x);
        session_idle(s);
        return STEP_END;
    }
    bool unread = !x->up.done || x->client_waits || buf_len(&x->up.buf) > x->up.ready;
    bool tunnel = x->state == HS_TUNNEL;
    exchange_free(x);
    if (unread && !tunnel)
        session_linger(s);
    else
        session_close(s, false);
    return STEP_END;
}

// The exchange is over because something broke: so are both connections. A client that has had a
// part of the answer gets a reset when nothing else would tell it that the answer is not whole.
static enum step cut(struct exchange *x, enum end_cause cause)
{
    struct session *s = x->s;
    bool reset = x->head_sent && (x->down_body.framing == BODY_UNTIL_CLOSE ||
                                  x->down_body.mode == H1_BODY_DECODE || x->state == HS_TUNNEL);
    panic_note("exchange cut", (uint64_t)x->state, cause);
    http_abort(s, cause);
    session_close(s, reset);
    return STEP_END;
}

void http_abort(struct session *s, enum end_cause cause)
{
    struct exchange *x = s->work;
    exchange_account(x, cause);
    http_release_server(x, false, true);
    exchange_free(x);
}

// ---- timeouts

static enum step timed_out(struct exchange *x)
{
    const struct http_step *now = &steps[x->state];
    enum end_cause cause = x->client_slow ? now->timeout_client : now->timeout;
    if (x->half_closed)
        cause = x->client_slow ? END_CLIENT_TIMEOUT_DATA : END_SERVER_TIMEOUT_DATA;
    if (x->client_fin && !x->head_sent)
        return cut(x, now->client_left);
    log_debug("frontend '%s': timed out while %s", x->frontend->name.p, now->doing);
    if (x->state == HS_CONNECT)
        return connect_failed(x, cause);
    if (x->state == HS_QUEUE)
        x->w->count->backends[x->attempt.backend->index][BACKEND_QUEUE_TIMEOUTS]++;
    if (x->head_sent || x->state == HS_REPLY || end_info(cause)->status == 0)
        return cut(x, cause);
    if (cause == END_SERVER_TIMEOUT_WAIT)
        attempt_unanswered(&x->attempt, x->w);
    if (cause == END_SERVER_TIMEOUT_WAIT && buf_len(&x->down.buf) == 0 &&
        http_leave_server(x, RETRY_ON_TIMEOUT, cause))
        return go(x, HS_PICK);
    x->client_keeps = x->client_keeps && !x->client_slow;
    return refuse(x, end_info(cause)->status, cause, end_info(cause)->sentence);
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
            (void)cut(x, uploads ? END_CLIENT_CLOSED_DATA : steps[x->state].client_left);
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
