// SPDX-License-Identifier: MIT
// Redirects and errors for one exchange. Runs in workers, called by http_proxy.c before any byte of
// a server's answer has gone to the client; what had come from a server is dropped.
#include "proxy/http_reply.h"

#include "proto/uri.h"
#include "proxy/http_route.h"
#include "proxy/reply.h"

static enum reply_result write_reply(struct exchange *x, struct reply *r, enum end_cause cause)
{
    r->close = !x->client_keeps;
    r->head_only = x->method == HTTP_HEAD;
    r->http10_keep = x->client_keeps && x->minor == 0;
    r->hsts = x->secure ? x->frontend->hsts.value : STR_NONE;
    exchange_drop_answer(x);
    x->status = r->status;
    x->end = cause;
    return reply_write(r, &x->down.first) ? REPLY_READY : REPLY_NO_MEMORY;
}

enum reply_result http_reply_redirect(struct exchange *x, const struct http_head *h)
{
    char location[HTTP_PATH_MAX + 512], host[256];
    size_t host_len = 0;
    if (h->authority.len > 0 && !uri_host(h->authority, host, sizeof(host), &host_len))
        host_len = 0;
    size_t n =
        route_location(x->route, (struct str){host, host_len}, h->path, location, sizeof(location));
    if (n == 0)
        return REPLY_IMPOSSIBLE;
    struct reply r = {.status = x->route->status,
                      .location = {location, n},
                      .sentence = "the document is elsewhere"};
    return write_reply(x, &r, END_REDIRECTED);
}

enum reply_result http_reply_challenge(struct exchange *x, struct str text)
{
    struct reply r = {.status = 200, .text = text};
    return write_reply(x, &r, END_ACME_ANSWERED);
}

static bool accepts_json(struct exchange *x)
{
    const struct http_field *f = NULL;
    if (x->up.keep) // the head is still there
        f = http_field_find(exchange_head(x), FIELD_ACCEPT);
    return f != NULL && http_list_has(f->value, STR("application/json"));
}

// How soon a check could bring back a server; 0 when none could: no checks, or all are out of
// service on purpose.
static uint32_t back_in_s(const struct exchange *x)
{
    const struct backend *b = x->attempt.backend;
    const struct health *h = &b->health;
    uint64_t soonest_ms = MAX_OF((uint64_t)h->every_down_ms * h->rise, 1u);
    for (uint32_t i = 0; h->type != HEALTH_OFF && i < b->n_servers; i++) {
        if (atomic_load(&x->w->board->server[b->servers[i].index].state) == SERVER_DOWN)
            return (uint32_t)((soonest_ms + 999) / 1000);
    }
    return 0;
}

enum reply_result http_reply_error(struct exchange *x, uint16_t status, enum end_cause cause,
                                   const char *sentence)
{
    struct reply r = {.status = status, .sentence = sentence, .json = accepts_json(x)};
    if (cause == END_NO_SERVER)
        r.retry_after_s = back_in_s(x);
    if (x->detail == NULL)
        x->detail = sentence;
    return write_reply(x, &r, cause);
}
