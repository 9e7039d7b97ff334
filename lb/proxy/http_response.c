// SPDX-License-Identifier: MIT
// The response of an exchange: the steps WAIT, STREAM and TUNNEL. Runs in workers; http_proxy.c
// calls them when the request head is with the server, http_end.c goes on when the exchange is
// over.
//
//   WAIT --head, 1xx passed on--> STREAM --> finish
//     |           '--101--> TUNNEL --> finish
//     '--nothing, or not worth passing on--> PICK or REPLY (http_end.c)
//
// The rest of the request goes up meanwhile, in each of them.
// Invariants: until a final head is passed on the request can still be sent elsewhere; from then on
// what breaks cuts both connections.
#include "proxy/http_steps.h"

#include "proxy/http_body.h"
#include "proxy/http_fwd.h"
#include "proxy/http_upstream.h"
#include "proxy/http_wait.h"
#include "proxy/relay.h"

#define FILLS_PER_TURN 8
#define INTERIM_BYTES_MAX 16384u // interim responses that wait for a client to take them

// ---- WAIT

// A head from the server: 1xx are passed on at once, any number of them (RFC 9110 section 15.2).
static enum step pass_interim(struct exchange *x, const struct http_head *h)
{
    struct flow *f = &x->down;
    x->expect_continue = x->expect_continue && h->status != 100;
    if (x->minor > 0) {
        if (!http_fwd_response(x, h, buf_head(&f->buf)))
            return http_refuse(x, 502, END_BAD_RESPONSE, "the server's answer is too large");
        if (http_send_head(x->w, f, &x->s->client) == IO_ERR)
            return http_cut(x, END_CLIENT_CLOSED_WAIT);
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
        return http_refuse(x, 502, END_BAD_RESPONSE,
                           "the answer has a transfer coding that cannot pass");
    if (h->framing == BODY_UNTIL_CLOSE || decode || !x->up.done || session_is_last(x->s))
        x->client_keeps = false;
    if (!http_fwd_response(x, h, buf_head(&f->buf)))
        return http_refuse(x, 502, END_BAD_RESPONSE, "the server's answer is too large");
    f->scanner = h->framing == BODY_NONE ? NULL : &http_body_scanner;
    f->scan_ctx = &x->down_body;
    f->sent = f->ready = h->bytes;
    h1_body_init(&x->down_body, h->framing, h->content_length,
                 decode ? H1_BODY_DECODE : H1_BODY_PASS, TRAILER_BYTES_MAX);
    f->done = x->down_body.done;
    if (!f->done && !flow_scan_buffer(f))
        return http_refuse(x, 502, END_BAD_RESPONSE, "the server's answer breaks the rules");
    x->up.keep = false; // from here on nothing is ever sent again
    x->head_sent = true;
    x->s->client.ending = f->done && !x->client_keeps && x->up.done;
    (void)http_go(x, HS_STREAM);
    if (http_send_head(x->w, f, &x->s->client) == IO_ERR)
        return http_cut(x, END_CLIENT_CLOSED_DATA);
    return STEP_GO;
}

static enum step begin_tunnel(struct exchange *x, const struct http_head *h)
{
    if (!x->upgrade)
        return http_refuse(x, 502, END_BAD_RESPONSE, "the server changed the protocol unasked");
    if (!http_fwd_response(x, h, buf_head(&x->down.buf)))
        return http_refuse(x, 502, END_BAD_RESPONSE, "the server's answer is too large");
    x->status = 101;
    x->response_ms = x->w->loop.now_ms;
    x->client_keeps = x->server_keeps = false;
    x->head_sent = true;
    // what both sides have sent behind their heads belongs to the tunnel
    x->up.keep = x->up.done = false;
    x->up.scanner = NULL;
    flow_taken(&x->up, 0);
    x->down.sent = x->down.ready = h->bytes;
    (void)http_go(x, HS_TUNNEL);
    if (http_send_head(x->w, &x->down, &x->s->client) == IO_ERR)
        return http_cut(x, END_CLIENT_CLOSED_DATA);
    x->s->client.ready |= CONN_READ;
    return STEP_GO;
}

static enum step take_response(struct exchange *x, const struct http_head *h)
{
    attempt_succeeded(&x->attempt, x->w);
    if (h->status == 101)
        return begin_tunnel(x, h);
    if (http_leave_server(x, http_retry_on_status(h->status), END_BAD_RESPONSE))
        return http_go(x, HS_PICK);
    return h->status >= 200 ? begin_response(x, h) : pass_interim(x, h);
}

static enum step half_a_head(struct exchange *x)
{
    if (http_leave_server(x, RETRY_ON_EMPTY_RESPONSE, END_SERVER_CLOSED_WAIT))
        return http_go(x, HS_PICK);
    return http_refuse(x, 502, END_SERVER_CLOSED_WAIT,
                       "the server closed in the middle of its answer");
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
            return http_refuse(x, 502, END_BAD_RESPONSE, http_error_info(error)->sentence);
        if (r == H1_DONE) {
            enum step s = take_response(x, &w->response_head);
            if (s != STEP_GO || x->state != HS_WAIT)
                return s;
            continue;
        }
        if (x->down.src_eof && buf_len(b) == 0)
            return http_server_failed(x, END_SERVER_CLOSED_WAIT);
        if (x->down.src_eof)
            return half_a_head(x);
        if (!(server->ready & CONN_READ) || fills++ == FILLS_PER_TURN)
            return STEP_WAIT;
        if (flow_fill(&x->down, server, l->head_bytes + BUF_BYTES) == IO_ERR && !x->down.src_eof)
            return http_cut(x, END_OUT_OF_MEMORY);
    }
    return STEP_WAIT;
}

enum step http_step_wait(struct exchange *x)
{
    int client = 0, server = CONN_READ;
    enum upload u = http_pump_up(x);
    if (flow_flush(&x->down, &x->s->client) == IO_ERR) // the rest of an interim response
        return http_cut(x, END_CLIENT_CLOSED_WAIT);
    if (u == UPLOAD_BAD)
        return http_refuse(x, 400, END_BAD_REQUEST_BODY, "the request body breaks the rules");
    if (u == UPLOAD_STUCK) // its answer says why, or reading fails too
        x->server->conn.ready |= CONN_READ;
    enum step r = read_response(x);
    if (r != STEP_WAIT)
        return r;
    switch (u) {
    case UPLOAD_CLIENT_LEFT:
        return http_cut(x, END_CLIENT_CLOSED_DATA);
    case UPLOAD_NO_MEMORY:
        return http_cut(x, END_OUT_OF_MEMORY);
    case UPLOAD_BAD:
    case UPLOAD_STUCK:
    case UPLOAD_OVER:
    case UPLOAD_WAITS_CLIENT:
    case UPLOAD_WAITS_SERVER:
    case UPLOAD_YIELD:
        break;
    }
    if (!http_client_is_there(x))
        return http_cut(x, END_CLIENT_CLOSED_WAIT);
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

enum step http_step_stream(struct exchange *x)
{
    const struct timeouts *ft = &x->frontend->timeout;
    int client = 0, server = 0;
    enum upload u = http_pump_up(x); // when it cannot go on, the answer still can
    enum flow_result r = flow_pump(&x->down, &x->server->conn, &x->s->client);
    switch (r) {
    case FLOW_DONE:
        return http_finish(x, END_OK);
    case FLOW_EOF:
        if (x->down_body.framing == BODY_UNTIL_CLOSE)
            return http_finish(x, END_OK);
        return http_cut(x, END_SERVER_CLOSED_DATA);
    case FLOW_SRC_ERR:
        return http_cut(x, END_SERVER_CLOSED_DATA);
    case FLOW_BAD:
        return http_cut(x, END_BAD_RESPONSE_BODY);
    case FLOW_DST_ERR:
        return http_cut(x, END_CLIENT_CLOSED_DATA);
    case FLOW_NO_MEMORY:
        return http_cut(x, END_OUT_OF_MEMORY);
    case FLOW_WAIT_SRC:
    case FLOW_YIELD: // the loop will say at once that there is more
        server |= CONN_READ;
        break;
    case FLOW_WAIT_DST:
        client |= CONN_WRITE;
        break;
    }
    if (!http_client_is_there(x) || x->up.src_broken)
        return http_cut(x, END_CLIENT_CLOSED_DATA);
    http_upload_wants(x, u, &client, &server);
    x->client_slow = r == FLOW_WAIT_DST;
    return http_wait_for(x, client, server,
                         x->client_slow ? ft->client : x->attempt.backend->timeout.server);
}

// ---- TUNNEL

enum step http_step_tunnel(struct exchange *x)
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
        return http_finish(x, END_OK);
    case RELAY_CLIENT_ERR:
        return http_cut(x, END_CLIENT_CLOSED_DATA);
    case RELAY_SERVER_ERR:
        return http_cut(x, END_SERVER_CLOSED_DATA);
    case RELAY_NO_MEMORY:
        break;
    }
    return http_cut(x, END_OUT_OF_MEMORY);
}
