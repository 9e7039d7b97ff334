/* SPDX-License-Identifier: MIT */
/*
 * Builds a response: 1xx heads, the head, the body piece by piece, trailers.
 *
 * Everything goes through answer_put(), which counts bytes and stops at the cut, so that a cut may
 * fall anywhere: within a 1xx, a header, a chunk size. The framing always announces the whole body;
 * a cut leaves the promise unkept.
 *
 * Called by the HTTP steps in http_server.c; writes to the output queue only, never to the socket.
 */
#include "answer.h"

#include "conn.h"

#include <inttypes.h>
#include <string.h>

#define PATTERN_BLOCK (PATTERN_PERIOD * 1100U) /* 67100 bytes: 64 KiB from any phase */

struct slice pattern_at(uint64_t offset)
{
    static char block[PATTERN_BLOCK];
    if (!block[0]) {
        for (size_t i = 0; i < PATTERN_BLOCK; i++)
            block[i] = PATTERN[i % PATTERN_PERIOD];
    }
    size_t phase = (size_t)(offset % PATTERN_PERIOD);
    return (struct slice){block + phase, PATTERN_BLOCK - phase};
}

const char *status_reason(uint64_t status)
{
    static const struct {
        uint64_t status;
        const char *reason;
    } rows[] = {{100, "Continue"},
                {101, "Switching Protocols"},
                {102, "Processing"},
                {103, "Early Hints"},
                {200, "OK"},
                {201, "Created"},
                {202, "Accepted"},
                {204, "No Content"},
                {206, "Partial Content"},
                {301, "Moved Permanently"},
                {302, "Found"},
                {304, "Not Modified"},
                {400, "Bad Request"},
                {401, "Unauthorized"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {413, "Content Too Large"},
                {417, "Expectation Failed"},
                {429, "Too Many Requests"},
                {431, "Request Header Fields Too Large"},
                {500, "Internal Server Error"},
                {501, "Not Implemented"},
                {502, "Bad Gateway"},
                {503, "Service Unavailable"},
                {504, "Gateway Timeout"},
                {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].status == status)
            return rows[i].reason;
    }
    return "Status";
}

void answer_start(struct answer *a, const struct plan *p)
{
    struct buf text = a->text;
    buf_clear(&text);
    *a = (struct answer){.text = text,
                         .content_type = "text/plain",
                         .framing = p->framing,
                         .left = p->cut,
                         .body_left = p->cut_body};
}

void answer_free(struct answer *a)
{
    buf_free(&a->text);
}

void answer_put(struct conn *c, struct answer *a, struct slice bytes)
{
    if (a->cut)
        return;
    if (a->left != NO_CUT && bytes.len >= a->left) {
        bytes.len = (size_t)a->left;
        a->cut = true;
    }
    buf_add_slice(&c->out, bytes);
    if (a->left != NO_CUT)
        a->left -= bytes.len;
}

static void put_text(struct conn *c, struct answer *a, const char *text)
{
    answer_put(c, a, slice_of(text));
}

void answer_early(struct conn *c, struct answer *a, const struct plan *p)
{
    struct buf line = {0};
    for (size_t i = 0; i < p->early_count; i++) {
        buf_addf(&line, "HTTP/1.1 %" PRIu64 " %s\r\n", p->early[i], status_reason(p->early[i]));
        if (p->early[i] == 103)
            buf_add_text(&line, "Link: </style.css>; rel=preload\r\n");
        buf_add_text(&line, "\r\n");
    }
    if (line.len)
        answer_put(c, a, buf_slice(&line));
    buf_free(&line);
}

/* Does one of the added headers have this name? Then the server's own line is left out. */
static bool has_header(const struct plan *p, const char *name)
{
    struct slice rest = buf_slice(&p->headers);
    while (rest.len) {
        struct slice line = slice_cut(&rest, '\n');
        if (slice_is_nocase(slice_cut(&line, ':'), name))
            return true;
    }
    return false;
}

static void choose_framing(struct answer *a, const struct plan *p, const struct request *req)
{
    a->body_size = a->is_text ? a->text.len : p->size;
    a->bodiless =
        p->status < 200 || p->status == 204 || p->status == 304 || slice_is(req->method, "HEAD");
    if (a->framing == FRAMING_CHUNKED && req->minor == 0)
        a->framing = FRAMING_CLOSE; /* RFC 9112 6.1: no chunked to HTTP/1.0 */
    if (a->framing == FRAMING_CLOSE && !a->bodiless) {
        a->close = true;
        a->announce = true;
    }
}

static void head_framing(struct buf *h, const struct answer *a, const struct plan *p,
                         const struct request *req)
{
    bool none = p->status < 200 || p->status == 204;
    if (!none && a->framing == FRAMING_LENGTH)
        buf_addf(h, "Content-Length: %" PRIu64 "\r\n", a->body_size);
    if (!none && a->framing == FRAMING_CHUNKED) {
        buf_add_text(h, "Transfer-Encoding: chunked\r\n");
        if (p->trailers)
            buf_add_text(h, "Trailer: X-Trailer, X-Body-Size\r\n");
    }
    if (a->close && a->announce)
        buf_add_text(h, "Connection: close\r\n");
    else if (req->minor == 0 || p->minor == 0)
        buf_add_text(h, "Connection: keep-alive\r\n");
}

static void head_facts(struct buf *h, const struct conn *c, const struct plan *p, uint64_t number)
{
    buf_addf(h, "X-Server: %s\r\n", c->listener->name);
    buf_addf(h, "X-Conn: %" PRIu64 "\r\nX-Conn-Request: %" PRIu64 "\r\n", c->id, number);
    if (c->proxy.version) {
        buf_addf(h, "X-Proxy: v%d %s %s %s %u ", c->proxy.version, c->proxy.command,
                 c->proxy.family, c->proxy.src, (unsigned)c->proxy.src_port);
        buf_addf(h, "%s %u\r\n", c->proxy.dst, (unsigned)c->proxy.dst_port);
    }
    if (p->ignored.len) {
        buf_add_text(h, "X-Sim-Ignored: ");
        buf_add_slice(h, buf_slice(&p->ignored));
        buf_add_text(h, "\r\n");
    }
}

void answer_head(struct conn *c, struct answer *a, const struct plan *p, const struct request *req,
                 uint64_t request_number)
{
    struct buf h = {0};
    choose_framing(a, p, req);
    buf_addf(&h, "HTTP/1.%u %" PRIu64 " ", (unsigned)p->minor, p->status);
    if (p->reason.len)
        buf_add_slice(&h, buf_slice(&p->reason));
    else
        buf_add_text(&h, status_reason(p->status));
    buf_add_text(&h, "\r\n");
    if (!has_header(p, "Content-Type") && p->status != 204 && p->status != 304)
        buf_addf(&h, "Content-Type: %s\r\n", a->content_type);
    head_facts(&h, c, p, request_number);
    head_framing(&h, a, p, req);
    buf_add_slice(&h, buf_slice(&p->headers));
    buf_add_text(&h, "\r\n");
    answer_put(c, a, buf_slice(&h));
    buf_free(&h);
    if (a->bodiless)
        a->ended = true;
    else if (a->body_left == 0)
        a->cut = true;
}

static void put_body(struct conn *c, struct answer *a, uint64_t len)
{
    bool cut = a->body_left != NO_CUT && len >= a->body_left;
    if (cut)
        len = a->body_left;
    if (a->body_left != NO_CUT)
        a->body_left -= len;
    while (len) {
        struct slice piece = a->is_text ? buf_slice(&a->text) : pattern_at(a->body_sent);
        if (a->is_text) {
            piece.ptr += a->body_sent;
            piece.len -= (size_t)a->body_sent;
        }
        piece.len = piece.len < len ? piece.len : (size_t)len;
        answer_put(c, a, piece);
        a->body_sent += piece.len;
        len -= piece.len;
    }
    a->cut |= cut;
}

static void put_end(struct conn *c, struct answer *a, const struct plan *p)
{
    a->ended = true;
    if (a->framing != FRAMING_CHUNKED)
        return;
    struct buf end = {0};
    buf_add_text(&end, "0\r\n");
    if (p->trailers)
        buf_addf(&end, "X-Trailer: yes\r\nX-Body-Size: %" PRIu64 "\r\n", a->body_size);
    buf_add_text(&end, "\r\n");
    answer_put(c, a, buf_slice(&end));
    buf_free(&end);
}

void answer_chunk(struct conn *c, struct answer *a, const struct plan *p)
{
    uint64_t left = a->body_size - a->body_sent;
    uint64_t len = left < p->chunk ? left : p->chunk;
    if (len == 0) {
        put_end(c, a, p);
        return;
    }
    if (a->framing == FRAMING_CHUNKED) {
        struct buf size = {0};
        buf_addf(&size, "%" PRIx64 "\r\n", len);
        answer_put(c, a, buf_slice(&size));
        buf_free(&size);
    }
    put_body(c, a, len);
    if (a->framing == FRAMING_CHUNKED)
        put_text(c, a, "\r\n");
    if (a->body_sent == a->body_size && a->framing != FRAMING_CHUNKED)
        a->ended = true;
}
