/* SPDX-License-Identifier: MIT */
/*
 * An HTTP/1 server connection: one table of steps and one driver.
 *
 *   HEAD -> BODY -> EARLY -> WAIT -> ANSWER -> STREAM -> FLUSH -> AFTER -> HEAD ...
 *     |       (no-read: EARLY first)   |                           |
 *     |                                +-> TUNNEL, NEVER           +-> DRAIN -> HEAD
 *     +-> a wrong head goes straight to ANSWER, with 400 and close
 *
 * Each step does what it can and returns true when the next one may run, false when it waits for an
 * event. http_go() alone changes the state. Requests that came pipelined stay in the input queue
 * and are answered in their order.
 */
#include "http_server.h"

#include "http_state.h"
#include "tcp_modes.h"

#include <stdlib.h>

#define KEPT_MAX (256U * 1024U * 1024U)

typedef bool (*step)(struct conn *c, struct http *h);

/* --- HEAD: wait for a request and make a plan of it --- */

static void count_class(struct conn *c, struct http *h, uint64_t *requests, uint64_t *connections)
{
    (*requests)++;
    if (h->requests > 1)
        return;
    if (counters_of(c)->connections) /* not reset since it was accepted */
        counters_of(c)->connections--;
    counters_of(c)->open--;
    c->uncounted = true;
    (*connections)++;
}

static void count_request(struct conn *c, struct http *h)
{
    struct counters *k = counters_of(c);
    h->requests++;
    if (slice_starts(h->req.path, "/control/")) {
        count_class(c, h, &k->controls, &k->control_connections);
        return;
    }
    if (is_check(h)) {
        count_class(c, h, &k->checks, &k->check_connections);
        return;
    }
    k->requests++;
    counters_method(k, h->req.method);
    if (slice_is(h->req.method, "POST") && h->req.x_id.len)
        counters_id(k, h->req.x_id);
    h->active = true;
    k->active++;
    k->max_active = k->active > k->max_active ? k->active : k->max_active;
}

static void choose_echo(struct http *h)
{
    h->echo = slice_is(h->req.path, "/echo")        ? ECHO_ALL
              : slice_is(h->req.path, "/echo-body") ? ECHO_BODY
              : slice_is(h->req.path, "/echo-raw")  ? ECHO_RAW
                                                    : ECHO_NONE;
    buf_clear(&h->kept);
    if (h->echo == ECHO_ALL || h->echo == ECHO_RAW)
        buf_add_slice(&h->kept, buf_slice(&h->req.raw));
}

static bool wants_close(struct conn *c, struct http *h)
{
    const struct options *opt = c->sim->opt;
    return !h->req.keep_alive || h->plan.closing == CLOSING_ANNOUNCED ||
           h->plan.reading == READING_NOT ||
           (opt->max_requests && h->requests >= opt->max_requests);
}

/* Expect: 100-continue may be answered with 417 instead of reading the body. */
static void apply_expect(struct http *h)
{
    if (!h->req.expect_100 || h->plan.expecting != EXPECT_REFUSE)
        return;
    h->plan.status = 417;
    h->plan.reading = READING_NOT;
}

static void begin_request(struct conn *c, struct http *h)
{
    plan_free(&h->plan);
    plan_init(&h->plan);
    h->body_bytes = 0;
    h->body_crc = 0;
    count_request(c, h);
    body_reader_start(&h->body, &h->req);
    bool own = !is_control(h) && !is_check(h);
    if ((own && !plan_read(&h->plan, buf_slice(&c->listener->defaults))) ||
        (!is_control(h) && !plan_read(&h->plan, h->req.query))) {
        struct buf text = {0};
        buf_addf(&text, "bad value for the parameter '%s'%c", h->plan.wrong, '\0');
        reply_refuse(h, 400, text.data);
        buf_free(&text);
        return;
    }
    if (slice_is(h->req.method, "CONNECT")) {
        reply_refuse(h, 405, "CONNECT is not for an origin");
        return;
    }
    apply_expect(h);
    answer_start(&h->answer, &h->plan);
    choose_echo(h);
    h->answer.close = wants_close(c, h);
    h->answer.announce = h->answer.close;
    if (h->plan.closing == CLOSING_QUIET)
        h->answer.close = true;
    http_go(h, h->plan.reading == READING_FIRST ? HS_BODY : HS_EARLY);
    if (h->plan.reading != READING_FIRST)
        c->in_limit = h->plan.reading == READING_NOT ? 0 : c->in_limit;
}

static bool step_head(struct conn *c, struct http *h)
{
    struct head_error error;
    enum head_result got = request_read(&c->in, &h->scanned, &h->req, &error);
    if (got == HEAD_MORE) {
        if (c->eof && c->in.len)
            counters_of(c)->truncated_requests++;
        if (c->eof || (c->timer_fired && c->in.len == 0))
            conn_close(c);
        return false;
    }
    conn_timer(c, -1);
    h->fin_seen = false;
    h->error = false;
    if (got == HEAD_WRONG) {
        counters_bad(counters_of(c), error.reason);
        reply_refuse(h, (uint64_t)error.status, error.reason);
        return true;
    }
    begin_request(c, h);
    if (h->state == HS_BODY && h->body.state != BODY_DONE) {
        conn_read_slowly(c, h->plan.read_rate);
        if (h->req.expect_100 && h->req.minor == 1 && h->plan.expecting == EXPECT_CONTINUE) {
            buf_add_text(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
            conn_flush(c);
        }
    }
    return true;
}

/* --- BODY and DRAIN: read what belongs to the request --- */

static void keep_body(struct http *h, struct slice wire, struct slice data)
{
    h->body_bytes += data.len;
    h->body_crc = crc32_add(h->body_crc, data.ptr, data.len);
    if (h->kept.len > KEPT_MAX || h->state == HS_DRAIN)
        return;
    if (h->echo == ECHO_RAW)
        buf_add_slice(&h->kept, wire);
    else if (h->echo != ECHO_NONE)
        buf_add_slice(&h->kept, data);
}

/* True when the body is complete, or wrong. */
static bool read_body(struct conn *c, struct http *h)
{
    for (;;) {
        struct slice data, wire = buf_slice(&c->in);
        size_t used = body_reader_step(&h->body, wire, &data);
        if (used == 0)
            break;
        wire.len = used;
        keep_body(h, wire, data);
        counters_of(c)->body_bytes += data.len;
        buf_take(&c->in, used);
    }
    return h->body.state == BODY_DONE || h->body.state == BODY_WRONG;
}

static bool body_cut_off(struct conn *c, struct http *h)
{
    (void)h;
    if (!c->eof)
        return false;
    counters_of(c)->truncated_requests++;
    conn_close(c);
    return true;
}

static bool step_body(struct conn *c, struct http *h)
{
    if (!read_body(c, h)) {
        body_cut_off(c, h);
        return false;
    }
    c->read_rate = 0;
    if (h->body.state == BODY_WRONG) {
        counters_bad(counters_of(c), h->body.reason);
        reply_refuse(h, 400, h->body.reason);
    } else {
        http_go(h, HS_EARLY);
    }
    return true;
}

static void next_request(struct conn *c, struct http *h)
{
    double idle = c->sim->opt->keep_alive_timeout_s;
    conn_timer(c, idle > 0 ? idle : -1);
    http_go(h, HS_HEAD);
}

static bool step_drain(struct conn *c, struct http *h)
{
    if (!read_body(c, h)) {
        body_cut_off(c, h);
        return false;
    }
    if (h->body.state == BODY_WRONG) {
        counters_bad(counters_of(c), h->body.reason);
        conn_linger(c);
        return false;
    }
    next_request(c, h);
    return true;
}

/* --- EARLY, WAIT: before the answer --- */

static void note_fin(struct conn *c, struct http *h)
{
    if (!c->eof || h->fin_seen)
        return;
    h->fin_seen = true;
    counters_of(c)->early_fins++;
}

static bool step_early(struct conn *c, struct http *h)
{
    c->send_piece = (size_t)h->plan.drip;
    c->send_gap_s = h->plan.drip_delay_s;
    if (h->req.minor == 1)
        answer_early(c, &h->answer, &h->plan);
    conn_flush(c);
    if (h->plan.delay_s > 0 && !h->answer.cut)
        conn_timer(c, h->plan.delay_s);
    else
        conn_timer(c, -1);
    http_go(h, HS_WAIT);
    return true;
}

static bool step_wait(struct conn *c, struct http *h)
{
    note_fin(c, h);
    if (ev_is_active(&c->timer))
        return false;
    http_go(h, HS_ANSWER);
    return true;
}

/* --- ANSWER, STREAM, FLUSH, AFTER: the response --- */

static bool step_answer(struct conn *c, struct http *h)
{
    /* What is still in the queue (a drip of 1xx) leaves before an end without an answer. */
    if ((h->plan.rst || h->plan.drop) && !conn_flush(c))
        return false;
    if (h->answer.cut) {
        http_go(h, HS_FLUSH);
        return true;
    }
    return reply_begin(c, h);
}

static bool step_stream(struct conn *c, struct http *h)
{
    struct answer *a = &h->answer;
    note_fin(c, h);
    while (!a->ended && !a->cut) {
        if (ev_is_active(&c->timer))
            return false;
        if (c->out.len >= CONN_OUT_LIMIT && !conn_flush(c) && c->out.len >= CONN_OUT_LIMIT)
            return false;
        if (c->broken)
            return false;
        uint64_t before = a->body_sent;
        answer_chunk(c, a, &h->plan);
        if (h->plan.chunk_delay_s > 0 && a->body_sent > before && !a->ended) {
            conn_flush(c);
            conn_timer(c, h->plan.chunk_delay_s);
        }
    }
    http_go(h, HS_FLUSH);
    return true;
}

static bool step_flush(struct conn *c, struct http *h)
{
    note_fin(c, h);
    if (!conn_flush(c))
        return false;
    http_go(h, HS_AFTER);
    return true;
}

static void end_active(struct conn *c, struct http *h)
{
    if (h->active)
        counters_of(c)->active--;
    h->active = false;
}

static bool step_after(struct conn *c, struct http *h)
{
    end_active(c, h);
    c->send_piece = 0;
    if (h->answer.cut && h->plan.rst) {
        conn_reset(c);
        return false;
    }
    if (h->answer.cut) {
        conn_linger(c);
        return false;
    }
    if (!is_control(h) && !is_check(h) && !h->error)
        counters_of(c)->responses++;
    if ((c->sim->opt->close_after_response || h->plan.closing == CLOSING_QUIET) && !h->error) {
        conn_close(c);
        return false;
    }
    if (h->answer.close) {
        conn_linger(c);
        return false;
    }
    if (h->body.state != BODY_DONE && !h->error)
        http_go(h, HS_DRAIN);
    else
        next_request(c, h);
    return true;
}

/* --- NEVER, TUNNEL: until the peer ends it --- */

static bool step_never(struct conn *c, struct http *h)
{
    note_fin(c, h);
    if (h->plan.reading != READING_NOT)
        buf_clear(&c->in);
    conn_flush(c);
    if (c->eof || c->timer_fired)
        conn_close(c);
    return false;
}

static bool step_tunnel(struct conn *c, struct http *h)
{
    (void)h;
    tcp_echo_pump(c);
    return false;
}

static const struct {
    const char *doing;
    step run;
} steps[] = {
    [HS_HEAD] = {"waiting for a request", step_head},
    [HS_BODY] = {"reading the body", step_body},
    [HS_EARLY] = {"sending 1xx", step_early},
    [HS_WAIT] = {"delaying", step_wait},
    [HS_ANSWER] = {"answering", step_answer},
    [HS_STREAM] = {"sending the body", step_stream},
    [HS_FLUSH] = {"flushing", step_flush},
    [HS_AFTER] = {"ending the response", step_after},
    [HS_DRAIN] = {"draining the body", step_drain},
    [HS_NEVER] = {"never answering", step_never},
    [HS_TUNNEL] = {"tunnelling", step_tunnel},
};

static bool http_start(struct conn *c)
{
    struct http *h = calloc(1, sizeof(*h));
    if (!h)
        return false;
    c->state = h;
    plan_init(&h->plan);
    next_request(c, h);
    return true;
}

static void http_drive(struct conn *c)
{
    struct http *h = c->state;
    while (c->fd >= 0 && c->end == CONN_OPEN && !c->broken && steps[h->state].run(c, h))
        continue;
}

static void http_release(struct conn *c)
{
    struct http *h = c->state;
    if (c->broken && h->state != HS_HEAD)
        counters_of(c)->broken++;
    end_active(c, h);
    plan_free(&h->plan);
    answer_free(&h->answer);
    buf_free(&h->req.raw);
    buf_free(&h->kept);
    free(h);
    c->state = NULL;
}

const struct conn_ops http_ops = {http_start, http_drive, http_release};
