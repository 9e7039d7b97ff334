/* SPDX-License-Identifier: MIT */
/*
 * Reads HTTP/1 requests: the head and the framing of the body (RFC 9112).
 *
 * This is a second opinion on what a balancer forwards, so it is stricter than an origin needs to
 * be: whatever two parsers could read differently is an error here. Bare LF, a space before the
 * colon, folded lines, control bytes, two Content-Length lines, Content-Length beside
 * Transfer-Encoding, any coding but "chunked", a missing or repeated Host: each gives 400 and shows
 * up in /control/count as bad_requests with its reason in last_bad.
 */
#include "request.h"

#include <string.h>

#define HEAD_MAX (256U * 1024U)
#define LINE_MAX_BYTES 8192U

static enum head_result wrong(struct head_error *error, int status, const char *reason)
{
    *error = (struct head_error){status, reason};
    return HEAD_WRONG;
}

void request_clear(struct request *req)
{
    struct buf raw = req->raw;
    buf_clear(&raw);
    *req = (struct request){.raw = raw};
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_token_char((unsigned char)s.ptr[i]))
            return false;
    }
    return s.len > 0;
}

static const char *read_target(struct request *req)
{
    for (size_t i = 0; i < req->target.len; i++) {
        unsigned char c = (unsigned char)req->target.ptr[i];
        if (c <= ' ' || c == 0x7F || c == '#')
            return "forbidden byte in the target";
    }
    struct slice t = req->target;
    const char *scheme = memmem(t.ptr, t.len, "://", 3);
    if (t.len == 0)
        return "empty target";
    if (t.ptr[0] != '/' && scheme) {
        t.len -= (size_t)(scheme + 3 - t.ptr);
        t.ptr = scheme + 3;
        const char *slash = memchr(t.ptr, '/', t.len);
        t = slash ? (struct slice){slash, t.len - (size_t)(slash - t.ptr)} : slice_of("/");
    } else if (t.ptr[0] != '/' && !slice_is(t, "*") && !slice_is(req->method, "CONNECT")) {
        return "target is no path";
    }
    req->path = slice_cut(&t, '?');
    req->query = t;
    return NULL;
}

static enum head_result read_request_line(struct slice line, struct request *req,
                                          struct head_error *error)
{
    req->method = slice_cut(&line, ' ');
    req->target = slice_cut(&line, ' ');
    if (!is_token(req->method))
        return wrong(error, 400, "method is no token");
    if (line.len != 8 || memcmp(line.ptr, "HTTP/", 5) != 0)
        return wrong(error, 400, "bad request line");
    if (!slice_is(line, "HTTP/1.1") && !slice_is(line, "HTTP/1.0"))
        return wrong(error, 505, "version is not 1.0 or 1.1");
    req->minor = line.ptr[7] - '0';
    const char *reason = read_target(req);
    return reason ? wrong(error, 400, reason) : HEAD_DONE;
}

static const char *field_length(struct request *req, struct slice value)
{
    if (req->has_length)
        return "repeated Content-Length";
    req->has_length = true;
    return parse_number(value, &req->length) ? NULL : "Content-Length is no number";
}

static const char *field_coding(struct request *req, struct slice value)
{
    if (req->chunked)
        return "repeated Transfer-Encoding";
    req->chunked = true;
    if (req->minor == 0)
        return "Transfer-Encoding in HTTP/1.0";
    return slice_is_nocase(value, "chunked") ? NULL : "Transfer-Encoding is not chunked";
}

static const char *field_host(struct request *req, struct slice value)
{
    if (req->host.ptr)
        return "repeated Host";
    req->host = value;
    return NULL;
}

static const char *take_field(struct request *req, struct slice name, struct slice value)
{
    if (slice_is_nocase(name, "content-length"))
        return field_length(req, value);
    if (slice_is_nocase(name, "transfer-encoding"))
        return field_coding(req, value);
    if (slice_is_nocase(name, "host"))
        return field_host(req, value);
    if (slice_is_nocase(name, "x-id"))
        req->x_id = value;
    else if (slice_is_nocase(name, "upgrade"))
        req->upgrade = value;
    else if (slice_is_nocase(name, "expect"))
        req->expect_100 = slice_is_nocase(value, "100-continue");
    return NULL;
}

static const char *read_field(struct slice line, struct request *req)
{
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return "folded line";
    if (!memchr(line.ptr, ':', line.len))
        return "header without colon";
    struct slice name = slice_cut(&line, ':');
    if (name.len == 0)
        return "empty header name";
    if (!is_token(name))
        return name.ptr[name.len - 1] == ' ' ? "space before the colon" : "bad header name";
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7F)
            return "control byte in a header value";
    }
    return take_field(req, name, slice_trim(line));
}

/* "Connection: close" may stand in any of several Connection lines. */
static bool asks_for(const struct request *req, const char *option)
{
    struct slice rest = buf_slice(&req->raw);
    while (rest.len) {
        struct slice line = slice_cut(&rest, '\n');
        struct slice name = slice_cut(&line, ':');
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (slice_is_nocase(name, "connection") && list_has(line, option))
            return true;
    }
    return false;
}

static enum head_result check_whole(struct request *req, struct head_error *error)
{
    if (req->minor == 1 && !req->host.ptr)
        return wrong(error, 400, "no Host");
    if (req->chunked && req->has_length)
        return wrong(error, 400, "Content-Length beside Transfer-Encoding");
    req->keep_alive = req->minor == 1 ? !asks_for(req, "close") : asks_for(req, "keep-alive");
    req->wants_upgrade = req->minor == 1 && req->upgrade.len && asks_for(req, "upgrade");
    return HEAD_DONE;
}

static enum head_result parse_head(struct request *req, struct head_error *error)
{
    struct slice rest = buf_slice(&req->raw);
    bool first = true;
    while (rest.len) {
        struct slice line = slice_cut(&rest, '\n');
        line.len--; /* the CR: request_read() has seen to it */
        if (line.len == 0)
            break;
        if (first) {
            if (read_request_line(line, req, error) == HEAD_WRONG)
                return HEAD_WRONG;
        } else {
            const char *reason = read_field(line, req);
            if (reason)
                return wrong(error, 400, reason);
        }
        first = false;
    }
    return check_whole(req, error);
}

/* Where the head ends (behind its empty line), 0 when that is not yet known. */
static size_t find_end(struct slice in, size_t *scanned, struct head_error *error)
{
    for (size_t i = *scanned; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '\n') {
            if (i == 0 || in.ptr[i - 1] != '\r') {
                wrong(error, 400, "bare LF");
                return 0;
            }
            if (i >= 3 && in.ptr[i - 2] == '\n')
                return i + 1;
        } else if (i > 0 && in.ptr[i - 1] == '\r') {
            wrong(error, 400, "bare CR");
            return 0;
        }
    }
    *scanned = in.len;
    if (in.len > HEAD_MAX)
        wrong(error, 431, "head too large");
    return 0;
}

enum head_result request_read(struct buf *in, size_t *scanned, struct request *req,
                              struct head_error *error)
{
    *error = (struct head_error){0, NULL};
    request_clear(req);
    if (*scanned == 0 && in->len >= 2 && memcmp(buf_head(in), "\r\n", 2) == 0)
        buf_take(in, 2); /* RFC 9112 2.2: ignore an empty line before the request */
    size_t end = find_end(buf_slice(in), scanned, error);
    if (end == 0)
        return error->reason ? HEAD_WRONG : HEAD_MORE;
    buf_add(&req->raw, buf_head(in), end);
    buf_take(in, end);
    *scanned = 0;
    return parse_head(req, error);
}

void body_reader_start(struct body_reader *r, const struct request *req)
{
    *r = (struct body_reader){.state = BODY_DONE};
    if (req->chunked) {
        r->state = BODY_CHUNK_SIZE;
    } else if (req->length) {
        r->state = BODY_LENGTH;
        r->left = req->length;
    }
}

static size_t fail(struct body_reader *r, const char *reason)
{
    r->state = BODY_WRONG;
    r->reason = reason;
    return 0;
}

/* The line without CRLF; false when it is incomplete or wrong (then the state says so). */
static bool take_line(struct body_reader *r, struct slice in, struct slice *line, size_t *used)
{
    size_t look = in.len < LINE_MAX_BYTES ? in.len : LINE_MAX_BYTES;
    const char *end = look ? memchr(in.ptr, '\n', look) : NULL;
    if (!end) {
        if (look == LINE_MAX_BYTES)
            fail(r, "chunk line too long");
        return false;
    }
    *used = (size_t)(end - in.ptr) + 1;
    *line = (struct slice){in.ptr, *used - 1};
    if (line->len == 0 || line->ptr[line->len - 1] != '\r') {
        fail(r, "bare LF in the chunk framing");
        return false;
    }
    line->len--;
    return true;
}

static size_t step_chunk_size(struct body_reader *r, struct slice in)
{
    struct slice line;
    size_t used = 0, digits = 0;
    if (!take_line(r, in, &line, &used))
        return 0;
    uint64_t size = 0;
    for (; digits < line.len; digits++) {
        char c = line.ptr[digits];
        uint64_t digit = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint64_t)(c - 'A' + 10)
                                                : 16;
        if (digit > 15)
            break;
        if (size >> 59)
            return fail(r, "chunk size overflow");
        size = size << 4 | digit;
    }
    if (digits == 0 || (digits < line.len && line.ptr[digits] != ';'))
        return fail(r, "bad chunk size");
    r->left = size;
    r->state = size ? BODY_CHUNK_DATA : BODY_TRAILER;
    return used;
}

static size_t step_data(struct body_reader *r, struct slice in, struct slice *data)
{
    size_t len = in.len < r->left ? in.len : (size_t)r->left;
    *data = (struct slice){in.ptr, len};
    r->left -= len;
    if (r->left == 0)
        r->state = r->state == BODY_LENGTH ? BODY_DONE : BODY_CHUNK_END;
    return len;
}

static size_t step_chunk_end(struct body_reader *r, struct slice in)
{
    if (in.len && in.ptr[0] != '\r')
        return fail(r, "no CRLF after the chunk");
    if (in.len < 2)
        return 0;
    if (in.ptr[1] != '\n')
        return fail(r, "no CRLF after the chunk");
    r->state = BODY_CHUNK_SIZE;
    return 2;
}

static size_t step_trailer(struct body_reader *r, struct slice in)
{
    struct slice line;
    size_t used = 0;
    if (!take_line(r, in, &line, &used))
        return 0;
    if (line.len == 0) {
        r->state = BODY_DONE;
        return used;
    }
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon || !is_token((struct slice){line.ptr, (size_t)(colon - line.ptr)}))
        return fail(r, "bad trailer");
    return used;
}

size_t body_reader_step(struct body_reader *r, struct slice in, struct slice *data)
{
    *data = (struct slice){NULL, 0};
    switch (r->state) {
    case BODY_LENGTH:
    case BODY_CHUNK_DATA:
        return step_data(r, in, data);
    case BODY_CHUNK_SIZE:
        return step_chunk_size(r, in);
    case BODY_CHUNK_END:
        return step_chunk_end(r, in);
    case BODY_TRAILER:
        return step_trailer(r, in);
    case BODY_DONE:
    case BODY_WRONG:
        break;
    }
    return 0;
}
