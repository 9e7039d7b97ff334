/* SPDX-License-Identifier: MIT */
/*
 * Chooses and begins the reply to a request that was read: malformed bytes, a tunnel, no answer at
 * all, or a composed answer with the body that the path asks for.
 *
 * Called by the steps of http_server.c, which send what is produced here and end the connection.
 */
#include "bad.h"
#include "control.h"
#include "http_state.h"

#include <inttypes.h>

#define NEVER_S 300.0

static void answer_text(struct http *h, uint64_t status, const char *text)
{
    h->plan.status = status;
    h->answer.is_text = true;
    buf_clear(&h->answer.text);
    buf_add_text(&h->answer.text, text);
    buf_add_text(&h->answer.text, "\n");
}

void reply_refuse(struct http *h, uint64_t status, const char *text)
{
    plan_free(&h->plan);
    plan_init(&h->plan);
    answer_start(&h->answer, &h->plan);
    answer_text(h, status, text);
    h->answer.close = h->answer.announce = true;
    h->error = true;
    http_go(h, HS_ANSWER);
}

static void fill_body(struct conn *c, struct http *h)
{
    struct answer *a = &h->answer;
    if (h->error)
        return;
    if (is_control(h)) {
        a->is_text = true;
        h->plan.status = (uint64_t)control_answer(c, &h->req, &a->text);
        a->content_type =
            slice_is(h->req.path, "/control/count") ? "application/json" : "text/plain";
    } else if (is_check(h)) {
        uint64_t status = h->plan.status != 200 ? h->plan.status : 200;
        answer_text(h, c->listener->healthy ? status : 503, c->listener->healthy ? "up" : "down");
    } else if (slice_is(h->req.path, "/proxy")) {
        a->is_text = true;
        proxy_info_text(&c->proxy, &a->text);
    } else if (h->echo != ECHO_NONE) {
        a->is_text = true;
        a->content_type = "application/octet-stream";
        struct buf swap = a->text;
        a->text = h->kept;
        h->kept = swap;
    } else if (!h->plan.has_size) {
        answer_text(h, h->plan.status, c->listener->name);
    }
}

static void add_body_facts(struct http *h)
{
    if (h->error || (!h->req.chunked && !h->req.has_length) || h->body.state != BODY_DONE)
        return;
    buf_addf(&h->plan.headers, "X-Body-Bytes: %" PRIu64 "\r\nX-Body-Crc32: %08x\r\n", h->body_bytes,
             h->body_crc);
}

static bool begin_tunnel(struct conn *c, struct http *h)
{
    if (h->error || !h->req.wants_upgrade || !slice_is_nocase(h->req.upgrade, "websocket"))
        return false;
    if (h->plan.upgrade_status != 101) {
        h->plan.status = h->plan.upgrade_status;
        return false;
    }
    struct buf head = {0};
    buf_add_text(&head, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\n");
    buf_addf(&head, "X-Server: %s\r\nX-Conn: %" PRIu64 "\r\n", c->listener->name, c->id);
    buf_add_slice(&head, buf_slice(&h->plan.headers));
    buf_add_text(&head, "\r\n");
    if (h->plan.greet)
        buf_addf(&head, "%s ready\n", c->listener->name);
    answer_put(c, &h->answer, buf_slice(&head));
    buf_free(&head);
    c->in_limit = CONN_IN_LIMIT;
    http_go(h, h->answer.cut ? HS_FLUSH : HS_TUNNEL);
    return true;
}

/* The plans that end a request without an answer. */
static bool ends_unanswered(struct conn *c, struct http *h)
{
    bool at_once = h->plan.rst && h->plan.cut == NO_CUT && h->plan.cut_body == NO_CUT;
    if (at_once)
        conn_reset(c);
    else if (h->plan.drop)
        conn_linger(c);
    else if (h->plan.never) {
        conn_timer(c, NEVER_S);
        http_go(h, HS_NEVER);
    }
    return at_once || h->plan.drop || h->plan.never;
}

static void write_bad(struct conn *c, struct http *h)
{
    struct buf bytes = {0};
    bad_write(h->plan.bad, &bytes);
    answer_put(c, &h->answer, buf_slice(&bytes));
    buf_free(&bytes);
    if (h->plan.closing == CLOSING_BY_RULES)
        h->answer.close = h->plan.bad->close || h->plan.reading == READING_NOT;
    h->answer.ended = true;
    http_go(h, HS_FLUSH);
}

bool reply_begin(struct conn *c, struct http *h)
{
    if (ends_unanswered(c, h))
        return h->state == HS_NEVER;
    if (h->plan.bad) {
        write_bad(c, h);
        return true;
    }
    if (begin_tunnel(c, h))
        return true;
    fill_body(c, h);
    add_body_facts(h);
    answer_head(c, &h->answer, &h->plan, &h->req, h->requests);
    http_go(h, HS_STREAM);
    return true;
}
