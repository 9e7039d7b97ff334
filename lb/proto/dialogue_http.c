// SPDX-License-Identifier: MIT
// The health check that asks an HTTP server for a page. Runs in control, called by checks.c.
//
//   ASK --request sent--> HEAD --final head is as expected--> BODY --end of the answer--> verdict
//                          ^ '-- 1xx: the next one --'
//
// The answer is read by the same strict codec as on the data path, so that a server which passes
// its checks is one whose answers can be forwarded. It is read to its end although the head could
// decide alone: to close in the middle of an answer would make servers complain about us every two
// seconds.
// Invariant: nothing that a server sent gets into a reason; reasons stand in logs and in JSON.
#include "proto/dialogue.h"

#define CHUNK_LINES_MAX 8192u // more than h1_body needs to get on with any line
#define TRAILER_BYTES 4096u

enum phase { ASK, HEAD, BODY };

static const struct h1_limits limits = {
    .head_bytes = DIALOGUE_IN_MAX - 1, .fields = 256, .uri_bytes = 8192};

static bool put(struct buf *out, struct str s)
{
    return buf_append(out, s.p, s.len);
}

static bool put_field(struct buf *out, struct str name, struct str value)
{
    return put(out, name) && put(out, STR(": ")) && put(out, value) && put(out, STR("\r\n"));
}

// Unless the configuration has a field of that name.
static bool put_own_field(const struct dialogue_http *d, struct buf *out, struct str name,
                          struct str value)
{
    for (uint32_t i = 0; i < d->n_fields; i++) {
        if (str_caseeq(d->fields[i].name, name))
            return true;
    }
    return put_field(out, name, value);
}

static bool put_request(const struct dialogue_http *d, struct buf *out)
{
    enum http_method method = http_method_of(d->method);
    bool fits = put(out, d->method) && put(out, STR(" ")) && put(out, d->path) &&
                put(out, STR(" HTTP/1.1\r\n")) && put_own_field(d, out, STR("Host"), d->host) &&
                put_own_field(d, out, STR("User-Agent"), STR("evlb/" EVLB_VERSION " check")) &&
                put_own_field(d, out, STR("Connection"), STR("close"));
    if (method == HTTP_POST || method == HTTP_PUT || method == HTTP_PATCH)
        fits = fits && put_own_field(d, out, STR("Content-Length"), STR("0"));
    for (uint32_t i = 0; i < d->n_fields; i++)
        fits = fits && put_field(out, d->fields[i].name, d->fields[i].value);
    return fits && put(out, STR("\r\n"));
}

// ---- the head ---------------------------------------------------------------------------------

static enum dialogue_step broken(enum http_error error, char reason[DIALOGUE_REASON])
{
    bool http = error != HTTP_BAD_START_LINE && error != HTTP_BAD_VERSION;
    snprintf(reason, DIALOGUE_REASON, "answer is not %s: %s", http ? "correct" : "HTTP",
             http_error_info(error)->sentence);
    return DIALOGUE_FAILED;
}

static enum dialogue_step wrong_status(const struct dialogue_http *d, uint16_t status,
                                       char reason[DIALOGUE_REASON])
{
    size_t n = (size_t)snprintf(reason, DIALOGUE_REASON, "status %u, expected", status);
    for (uint32_t i = 0; i < d->n_statuses && n < DIALOGUE_REASON; i++) {
        const struct dialogue_range *r = &d->statuses[i];
        const char *separator = i == 0 ? " " : ", ";
        n += (size_t)(r->from == r->to
                          ? snprintf(reason + n, DIALOGUE_REASON - n, "%s%u", separator, r->from)
                          : snprintf(reason + n, DIALOGUE_REASON - n, "%s%u-%u", separator, r->from,
                                     r->to));
    }
    return DIALOGUE_FAILED;
}

static bool status_expected(const struct dialogue_http *d, uint16_t status)
{
    for (uint32_t i = 0; i < d->n_statuses; i++) {
        if (status >= d->statuses[i].from && status <= d->statuses[i].to)
            return true;
    }
    return false;
}

static bool field_expected(const struct dialogue_http *d, const struct http_head *h)
{
    const struct dialogue_field *want = &d->header;
    for (uint32_t i = 0; i < h->n_fields; i++) {
        if (str_caseeq(h->fields[i].name, want->name) &&
            (want->value.len == 0 || str_eq(h->fields[i].value, want->value)))
            return true;
    }
    return want->name.len == 0;
}

static enum dialogue_step judge_head(struct dialogue_http *d, const struct http_head *h,
                                     char reason[DIALOGUE_REASON])
{
    if (!status_expected(d, h->status))
        return wrong_status(d, h->status, reason);
    if (!field_expected(d, h)) {
        snprintf(reason, DIALOGUE_REASON, "field %.*s is missing%s", STR_FMT(d->header.name),
                 d->header.value.len > 0 ? " or has another value" : "");
        return DIALOGUE_FAILED;
    }
    h1_body_init(&d->framing, h->framing, h->content_length, H1_BODY_DECODE, TRAILER_BYTES);
    d->phase = BODY;
    return DIALOGUE_MORE;
}

// One head; DIALOGUE_MORE with *used == 0: it is not complete.
static enum dialogue_step read_head(struct dialogue_http *d, struct str in, bool eof, size_t *used,
                                    char reason[DIALOGUE_REASON])
{
    struct http_head head;
    enum http_error error;
    enum h1_result result = h1_parse_response(&d->scan, in.p, in.len, &limits,
                                              http_method_of(d->method), &head, &error);
    if (result == H1_BAD)
        return broken(error, reason);
    if (result == H1_MORE) {
        if (!eof)
            return DIALOGUE_MORE;
        snprintf(reason, DIALOGUE_REASON, "%s",
                 in.len > 0 ? "closed in the middle of its head" : "closed without an answer");
        return DIALOGUE_FAILED;
    }
    *used = head.bytes;
    d->scan = (struct h1_scan){0};
    if (head.status < 200 && head.status != 101)
        return DIALOGUE_MORE; // an interim response
    return judge_head(d, &head, reason);
}

// ---- the body ---------------------------------------------------------------------------------

static enum dialogue_step judge_body(const struct dialogue_http *d, char reason[DIALOGUE_REASON])
{
    if (search_found(&d->search))
        return DIALOGUE_PASSED;
    snprintf(reason, DIALOGUE_REASON, "body does not hold '%.*s'", STR_FMT(d->body));
    return DIALOGUE_FAILED;
}

// Reads the body as far as it has come, in copies: its framing is deleted in place.
static enum http_error scan_body(struct dialogue_http *d, struct str in, size_t *used)
{
    char piece[CHUNK_LINES_MAX];
    size_t taken = 1, kept;
    for (*used = 0; *used < in.len && taken > 0 && !d->framing.done; *used += taken) {
        size_t n = MIN_OF(in.len - *used, sizeof(piece));
        enum http_error error = HTTP_OK;
        memcpy(piece, in.p + *used, n);
        if (h1_body_scan(&d->framing, piece, n, &taken, &kept, &error) == H1_BODY_BAD)
            return error;
        d->body_bytes += (uint32_t)taken;
        (void)search_feed(&d->search, (struct str){piece, kept});
    }
    return HTTP_OK;
}

static enum dialogue_step read_body(struct dialogue_http *d, struct str in, bool eof, size_t *used,
                                    char reason[DIALOGUE_REASON])
{
    enum http_error error = scan_body(d, in, used);
    if (error != HTTP_OK)
        return broken(error, reason);
    if (d->framing.done || d->body_bytes >= DIALOGUE_IN_MAX)
        return judge_body(d, reason);
    if (!eof)
        return DIALOGUE_MORE;
    if (d->framing.framing == BODY_UNTIL_CLOSE)
        return judge_body(d, reason);
    snprintf(reason, DIALOGUE_REASON, "closed in the middle of its body");
    return DIALOGUE_FAILED;
}

// ---- the whole answer -------------------------------------------------------------------------

static struct str behind(struct str in, size_t used)
{
    return (struct str){in.p + used, in.len - used};
}

static enum dialogue_step read_heads(struct dialogue_http *d, struct str in, bool eof, size_t *used,
                                     char reason[DIALOGUE_REASON])
{
    enum dialogue_step result;
    size_t n;
    do {
        n = 0;
        result = read_head(d, behind(in, *used), eof, &n, reason);
        *used += n;
    } while (n > 0 && d->phase == HEAD && result == DIALOGUE_MORE);
    return result;
}

static enum dialogue_step step(struct dialogue *base, struct str in, bool eof, size_t *used,
                               struct buf *out, char reason[DIALOGUE_REASON])
{
    struct dialogue_http *d = container_of(base, struct dialogue_http, base);
    enum dialogue_step result = DIALOGUE_MORE;
    *used = 0;
    if (d->phase == ASK) {
        d->phase = HEAD;
        if (put_request(d, out))
            return DIALOGUE_MORE;
        snprintf(reason, DIALOGUE_REASON, "the request is too long");
        return DIALOGUE_FAILED;
    }
    if (d->phase == HEAD)
        result = read_heads(d, in, eof, used, reason);
    if (d->phase != BODY || result != DIALOGUE_MORE)
        return result;
    size_t of_body;
    result = read_body(d, behind(in, *used), eof, &of_body, reason);
    *used += of_body;
    return result;
}

void dialogue_http_init(struct dialogue_http *d)
{
    d->base.step = step;
    d->phase = ASK;
    d->body_bytes = 0;
    d->scan = (struct h1_scan){0};
    d->search = (struct search){.want = d->body};
}
