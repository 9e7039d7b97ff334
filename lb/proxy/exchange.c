// SPDX-License-Identifier: MIT
// Exchanges: their memory, their head, and what is written down when they end. Run in workers;
// called by http_proxy.c, which decides what happens.
// Invariant: between exchange_new() and exchange_free() session.work points here, and the worker's
// count of exchanges holds one for it.
#include "proxy/exchange.h"

#include "base/pool.h"
#include "proxy/access_log.h"
#include "proxy/challenge.h"

static struct pool exchanges = POOL("exchanges", struct exchange, 32);
static struct pool texts = POOL("exchange texts", struct exchange_text, 8);

static void begin(struct exchange *x, struct session *s)
{
    x->s = s;
    x->w = s->w;
    x->generation = generation_hold(s->listener->generation);
    attempt_begin(&x->attempt, x->generation);
    x->frontend = s->listener->frontend;
    x->secure = conn_is_tls(&s->client);
    x->begin_ms = s->w->loop.now_ms;
    x->idle_ms = (int32_t)MIN_OF(x->begin_ms - s->since_ms, (uint64_t)INT32_MAX);
    x->keep_limit_ms = UINT32_MAX;
}

struct exchange *exchange_new(struct session *s)
{
    struct exchange *x = pool_get_zeroed(&exchanges);
    if (x == NULL)
        return NULL;
    flow_init(&x->up);
    flow_init(&x->down);
    begin(x, s);
    s->work = x;
    s->w->exchanges++;
    return x;
}

static void forget(struct exchange *x)
{
    if (x->w->request_head_owner == x)
        x->w->request_head_owner = NULL;
    if (x->text != NULL)
        pool_put(&texts, x->text);
    x->text = NULL;
    challenge_forget(x->challenge);
    x->challenge = NULL;
    flow_release(&x->down);
    buf_release(&x->up.first);
    attempt_forget(&x->attempt, x->w);
    generation_drop(x->w, x->generation);
}

void exchange_reset(struct exchange *x)
{
    struct session *s = x->s;
    struct buf next = x->up.buf;
    forget(x);
    x->up.buf = (struct buf){0};
    flow_release(&x->up);
    memset(x, 0, sizeof(*x));
    flow_init(&x->up);
    flow_init(&x->down);
    x->up.buf = next;
    begin(x, s);
}

void exchange_drop_answer(struct exchange *x)
{
    struct buf begun = x->down.first;
    x->down.first = (struct buf){0};
    flow_release(&x->down);
    flow_init(&x->down);
    x->down.first = begun;
    x->response_scan = (struct h1_scan){0};
}

void exchange_free(struct exchange *x)
{
    lb_assert(x->server == NULL && x->attempt.server == NULL);
    forget(x);
    flow_release(&x->up);
    x->s->work = NULL;
    x->w->exchanges--;
    pool_put(&exchanges, x);
}

const struct http_head *exchange_head(struct exchange *x)
{
    struct worker *w = x->w;
    const struct http_head *parsed = &w->request_head;
    // the buffer may have been moved since: then its slices point elsewhere
    if (w->request_head_owner == x &&
        parsed->method_text.p == buf_head(&x->up.buf) + parsed->skipped)
        return parsed;
    const struct http_limits *l = &x->frontend->limits;
    const struct h1_limits limits = {l->head_bytes, l->fields, l->uri_bytes};
    struct h1_scan scan = {0};
    enum http_error error;
    lb_assert(x->up.keep);
    enum h1_result r = h1_parse_request(&scan, buf_head(&x->up.buf), x->head_bytes, &limits,
                                        &w->request_head, &error);
    lb_assert(r == H1_DONE); // it was read from these very bytes before
    w->request_head_owner = x;
    return &w->request_head;
}

static struct str note(struct exchange_text *t, struct str s, size_t most)
{
    size_t n = MIN_OF(MIN_OF(s.len, most), sizeof(t->bytes) - t->used);
    char *copy = t->bytes + t->used;
    if (n > 0)
        memcpy(copy, s.p, n);
    t->used += n;
    return (struct str){copy, n};
}

static struct str field_value(const struct http_head *h, enum http_field_id id)
{
    const struct http_field *f = http_field_find(h, id);
    return f != NULL ? f->value : STR_NONE;
}

static bool begin_text(struct exchange *x)
{
    if (x->w->access_log == NULL || x->text != NULL)
        return false;
    x->text = pool_get(&texts);
    if (x->text == NULL)
        return false;
    memset(x->text, 0, offsetof(struct exchange_text, bytes));
    return true;
}

// The front of *rest up to a space, which is taken off with it.
static struct str next_word(struct str *rest)
{
    const char *space = rest->len > 0 ? memchr(rest->p, ' ', rest->len) : NULL;
    size_t n = space != NULL ? (size_t)(space - rest->p) : rest->len;
    struct str word = {rest->p, n};
    n = MIN_OF(n + 1, rest->len);
    rest->p += n;
    rest->len -= n;
    return word;
}

void exchange_note_refused(struct exchange *x)
{
    struct str line = {buf_head(&x->up.buf), buf_len(&x->up.buf)};
    const char *end = line.len > 0 ? memchr(line.p, '\n', line.len) : NULL;
    x->head_bytes = (uint32_t)line.len;
    if (!begin_text(x))
        return;
    if (end != NULL)
        line.len = (size_t)(end - line.p);
    if (line.len > 0 && line.p[line.len - 1] == '\r')
        line.len--;
    x->text->method = note(x->text, next_word(&line), 32);
    x->text->path = note(x->text, next_word(&line), 2048);
}

void exchange_note_head(struct exchange *x, const struct http_head *h)
{
    if (!begin_text(x))
        return;
    x->text->method = note(x->text, h->method_text, 32);
    x->text->host = note(x->text, h->authority, 256);
    x->text->path = note(x->text, h->path, 2048);
    x->text->user_agent = note(x->text, field_value(h, FIELD_USER_AGENT), 512);
    x->text->referer = note(x->text, field_value(h, FIELD_REFERER), 512);
    x->text->request_id = STR_NONE;
    if (session_trusts_peer(x->s, x->frontend))
        x->text->request_id = note(x->text, field_value(h, FIELD_X_REQUEST_ID), 128);
}

static void write_line(const struct exchange *x, enum end_cause cause, uint64_t bytes_in)
{
    static const struct exchange_text nothing;
    const struct exchange_text *t = x->text != NULL ? x->text : &nothing;
    uint64_t now = x->w->loop.now_ms;
    struct access_record r = {
        .ended_ms = clock_wall_ms(),
        .client = &x->s->peer,
        .frontend = x->frontend->name,
        .backend = x->attempt.backend != NULL ? x->attempt.backend->name : STR_NONE,
        .server = x->attempt.last != NULL ? x->attempt.last->name : STR_NONE,
        .proto = x->minor > 0 ? "HTTP/1.1" : "HTTP/1.0",
        .method = t->method,
        .host = t->host,
        .path = t->path,
        .user_agent = t->user_agent,
        .referer = t->referer,
        .request_id = t->request_id,
        .status = x->status,
        .bytes_in = bytes_in,
        .bytes_out = x->down.passed,
        .retries = x->attempt.retries,
        .t_idle_ms = x->idle_ms,
        .t_request_ms = access_span(x->begin_ms, x->head_ms),
        .t_queue_ms = access_span(x->pick_ms, x->claim_ms),
        .t_connect_ms = access_span(x->claim_ms, x->connected_ms),
        .t_response_ms = access_span(x->connected_ms, x->response_ms),
        .t_data_ms = access_span(x->response_ms, now),
        .t_total_ms = access_span(x->begin_ms, now),
        .tls = tls_facts(&x->s->client),
        .end = cause,
        .detail = x->detail,
    };
    if (!access_log_write(x->w->access_log, &r))
        x->w->count->worker[WORKER_LOG_DROPPED]++;
}

void exchange_account(struct exchange *x, enum end_cause cause)
{
    struct worker *w = x->w;
    struct frontend_counters *f = &w->count->frontends[x->frontend->index];
    uint64_t body = x->up.passed > x->head_sent_bytes ? x->up.passed - x->head_sent_bytes : 0;
    uint64_t bytes_in = x->head_bytes + body;
    f->n[FRONTEND_REQUESTS]++;
    if (x->attempt.backend != NULL)
        w->count->backends[x->attempt.backend->index][BACKEND_REQUESTS]++;
    f->n[FRONTEND_BYTES_IN] += bytes_in;
    f->n[FRONTEND_BYTES_OUT] += x->down.passed;
    f->ends[cause]++;
    f->status_class[x->status < 600 ? x->status / 100 : 0]++;
    if (x->server != NULL) {
        uint64_t *s = w->count->servers[x->server->server->index];
        s[SERVER_BYTES_IN] += x->down.passed;
        s[SERVER_BYTES_OUT] += x->up.passed;
    }
    if (w->access_log != NULL)
        write_line(x, cause, bytes_in);
}
