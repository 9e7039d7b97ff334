// SPDX-License-Identifier: MIT
// Bodies of HTTP/1 messages. Runs in workers, between the receive buffer and the send: every byte
// of every body passes through h1_body_scan() or, by splice(2), past it with h1_body_skip().
//
//      bytes      write            read                       end
//        | pass on  |  deleted     | not yet read              |
//
// As long as nothing was deleted, read == write and nothing is moved. Lines (chunk sizes, trailers,
// the line end behind data) are read as a whole; an incomplete one stays behind `read`. Each byte
// is moved at most once in a call, so that one-byte chunks stay linear.
#include "proto/h1_body.h"

#include "proto/chars.h"
#include "proto/h1_fields.h"

#define CHUNK_LINE_MAX 4096 // of size and extensions together
#define SIZE_DIGITS_MAX 16

enum phase {
    PH_DATA,     // `left` bytes of content follow
    PH_DATA_END, // CR LF behind a chunk's data
    PH_SIZE,
    PH_TRAILER,
};

struct body_cursor {
    struct h1_body *b;
    char *write, *read, *end;
    enum http_error error;
};

void h1_body_init(struct h1_body *b, enum http_framing framing, uint64_t content_length,
                  enum h1_body_mode mode, uint32_t trailer_limit)
{
    bool length = framing == BODY_LENGTH;
    *b = (struct h1_body){
        .framing = framing,
        .mode = mode,
        .phase = framing == BODY_CHUNKED ? PH_SIZE : PH_DATA,
        .done = framing == BODY_NONE || (length && content_length == 0),
        .trailer_limit = trailer_limit,
        .left = length ? content_length : 0,
    };
}

// ------------------------------------------------------------------ steps over one cursor

static enum h1_result bad(struct body_cursor *c, enum http_error error)
{
    c->error = error;
    return H1_BAD;
}

static void keep(struct body_cursor *c, size_t n)
{
    if (c->write != c->read)
        memmove(c->write, c->read, n);
    c->write += n;
    c->read += n;
}

// The next `n` bytes are framing: kept when framing is passed on.
static void keep_framing(struct body_cursor *c, size_t n)
{
    if (c->b->mode == H1_BODY_PASS)
        keep(c, n);
    else
        c->read += n;
}

static enum h1_result step_data(struct body_cursor *c)
{
    size_t n = (size_t)MIN_OF(c->b->left, (uint64_t)(c->end - c->read));
    keep(c, n);
    c->b->left -= n;
    if (c->b->left > 0)
        return H1_MORE;
    c->b->phase = PH_DATA_END;
    return H1_DONE;
}

// True when "\r\n" or its first half stands at `p`; *whole when both.
static bool line_end_at(const char *p, const char *end, bool *whole)
{
    *whole = end - p >= 2;
    return p == end || (p[0] == '\r' && (!*whole || p[1] == '\n'));
}

static enum h1_result step_data_end(struct body_cursor *c)
{
    bool whole;
    if (!line_end_at(c->read, c->end, &whole))
        return bad(c, HTTP_BAD_CHUNK);
    if (!whole)
        return H1_MORE;
    keep_framing(c, 2);
    c->b->phase = PH_SIZE;
    return H1_DONE;
}

// Hexadecimal digits at c->read: how many, or -1 when there are too many, or what they say does not
// fit 63 bits.
static int read_size(const struct body_cursor *c, uint64_t *size)
{
    int digits = 0, value;
    *size = 0;
    for (const char *p = c->read; p < c->end && (value = hex_value(*p)) >= 0; p++) {
        if (++digits > SIZE_DIGITS_MAX)
            return -1;
        *size = *size << 4 | (unsigned)value;
    }
    return *size > INT64_MAX ? -1 : digits;
}

// "1a2b;extension\r\n": the extension is deleted (RFC 9112 7.1.1 allows it; nobody agrees on it).
static enum h1_result step_size(struct body_cursor *c)
{
    struct h1_body *b = c->b;
    uint64_t size;
    bool whole;
    int digits = read_size(c, &size);
    const char *p = c->read + MAX_OF(digits, 0);
    if (digits < 0 || (digits == 0 && p < c->end))
        return bad(c, HTTP_BAD_CHUNK);
    size_t line_end = (size_t)digits;
    if (p < c->end && *p == ';') {
        p = scan_text(c->read + MAX_OF(line_end + 1, (size_t)b->seen), c->end);
        lb_assert(p <= c->end); // the caller kept what it was told to keep
        line_end = (size_t)(p - c->read);
    }
    if (line_end + 2 > CHUNK_LINE_MAX || !line_end_at(p, c->end, &whole))
        return bad(c, HTTP_BAD_CHUNK);
    if (!whole) {
        b->seen = (uint32_t)line_end;
        return H1_MORE;
    }
    b->seen = 0;
    if (line_end > (size_t)digits) {
        keep_framing(c, (size_t)digits);
        c->read += line_end - (size_t)digits;
        keep_framing(c, 2);
    } else {
        keep_framing(c, line_end + 2);
    }
    b->left = size;
    b->phase = size > 0 ? PH_DATA : PH_TRAILER;
    return H1_DONE;
}

// ------------------------------------------------------------------ trailers

// RFC 9110 6.5.1: what frames, routes, authenticates, modifies the request, controls the response
// or describes the content must not come behind the content.
static bool may_be_trailer(struct str name)
{
    // clang-format off
    static const struct str forbidden[] = {
        STR("accept-encoding"), STR("age"), STR("authentication-info"), STR("authorization"),
        STR("cache-control"), STR("connection"), STR("content-disposition"),
        STR("content-encoding"), STR("content-language"), STR("content-length"),
        STR("content-location"), STR("content-range"), STR("content-type"), STR("cookie"),
        STR("date"), STR("expect"), STR("expires"), STR("forwarded"), STR("host"),
        STR("if-match"), STR("if-modified-since"), STR("if-none-match"), STR("if-range"),
        STR("if-unmodified-since"), STR("keep-alive"), STR("location"), STR("max-forwards"),
        STR("pragma"), STR("proxy-authenticate"), STR("proxy-authentication-info"),
        STR("proxy-authorization"), STR("proxy-connection"), STR("range"), STR("retry-after"),
        STR("set-cookie"), STR("te"), STR("trailer"), STR("transfer-encoding"), STR("upgrade"),
        STR("vary"), STR("via"), STR("www-authenticate"), STR("x-forwarded-for"),
        STR("x-forwarded-host"), STR("x-forwarded-proto"), STR("x-real-ip"),
    };
    // clang-format on
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
        if (str_caseeq(name, forbidden[i]))
            return false;
    }
    return http_field_id(name) != FIELD_X_CLIENT_CERT;
}

// A whole line stands at c->read: `line` bytes.
static enum h1_result take_trailer(struct body_cursor *c, size_t line)
{
    struct http_field f;
    struct h1_cursor h = {.p = c->read, .end = c->read + line};
    if (h1_field_line(&h, &f) != H1_DONE || h.p != h.end)
        return bad(c, HTTP_BAD_TRAILER);
    c->b->trailer_bytes += (uint32_t)line;
    if (may_be_trailer(f.name))
        keep_framing(c, line);
    else
        c->read += line;
    return H1_DONE;
}

// The empty line.
static enum h1_result take_end(struct body_cursor *c)
{
    bool whole;
    if (!line_end_at(c->read, c->end, &whole))
        return bad(c, HTTP_BAD_TRAILER);
    if (!whole)
        return H1_MORE;
    keep_framing(c, 2);
    c->b->done = true;
    return H1_DONE;
}

static enum h1_result step_trailer(struct body_cursor *c)
{
    struct h1_body *b = c->b;
    size_t have = (size_t)(c->end - c->read);
    if (have > 0 && c->read[0] == '\r')
        return take_end(c);
    size_t seen = MIN_OF((size_t)b->seen, have);
    const char *lf = have > seen ? memchr(c->read + seen, '\n', have - seen) : NULL;
    size_t line = lf != NULL ? (size_t)(lf - c->read) + 1 : have;
    if (line > b->trailer_limit - b->trailer_bytes)
        return bad(c, HTTP_BAD_TRAILER);
    b->seen = lf != NULL ? 0 : (uint32_t)have;
    return lf != NULL ? take_trailer(c, line) : H1_MORE;
}

// ------------------------------------------------------------------ interface

static enum h1_result step(struct body_cursor *c)
{
    switch ((enum phase)c->b->phase) {
    case PH_DATA:
        return step_data(c);
    case PH_DATA_END:
        return step_data_end(c);
    case PH_SIZE:
        return step_size(c);
    case PH_TRAILER:
        break;
    }
    return step_trailer(c);
}

static enum h1_body_result scan_chunked(struct h1_body *b, char *bytes, size_t n, size_t *in,
                                        size_t *out, enum http_error *error)
{
    struct body_cursor c = {.b = b, .write = bytes, .read = bytes, .end = bytes + n};
    enum h1_result r = H1_DONE;
    while (!b->done && r == H1_DONE)
        r = step(&c);
    *in = (size_t)(c.read - bytes);
    *out = (size_t)(c.write - bytes);
    if (r == H1_BAD)
        *error = c.error;
    return r == H1_BAD ? H1_BODY_BAD : H1_BODY_OK;
}

enum h1_body_result h1_body_scan(struct h1_body *b, char *bytes, size_t n, size_t *in, size_t *out,
                                 enum http_error *error)
{
    uint64_t most;
    *in = *out = 0;
    if (b->done || n == 0)
        return H1_BODY_OK;
    if (b->framing == BODY_CHUNKED)
        return scan_chunked(b, bytes, n, in, out, error);
    (void)h1_body_opaque(b, &most);
    *in = *out = (size_t)MIN_OF((uint64_t)n, most);
    h1_body_skip(b, *in);
    return H1_BODY_OK;
}

bool h1_body_opaque(const struct h1_body *b, uint64_t *most)
{
    *most = b->framing == BODY_UNTIL_CLOSE ? UINT64_MAX : b->left;
    return !b->done && b->phase == PH_DATA && *most > 0;
}

void h1_body_skip(struct h1_body *b, uint64_t n)
{
    if (b->framing == BODY_UNTIL_CLOSE)
        return;
    lb_assert(n <= b->left && b->phase == PH_DATA);
    b->left -= n;
    if (b->left > 0)
        return;
    if (b->framing == BODY_LENGTH)
        b->done = true;
    else
        b->phase = PH_DATA_END;
}

size_t h1_chunk_head(uint64_t n, char out[H1_CHUNK_HEAD_MAX])
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 1;
    lb_assert(n > 0);
    while (len < 16 && n >> (4 * len) != 0)
        len++;
    for (size_t i = 0; i < len; i++)
        out[i] = digits[n >> (4 * (len - 1 - i)) & 15];
    out[len] = '\r';
    out[len + 1] = '\n';
    return len + 2;
}
