// SPDX-License-Identifier: MIT
// Heads of HTTP/1 messages: the first line, and the order of things. Runs in workers: called for
// each request with what the client sent, for each response with what the server sent; and in the
// control process for health checks. The field lines are read in h1_fields.c.
//
// Nearly every head arrives in one piece and is read in one pass. When it is incomplete, the calls
// that follow only look for its end (h1_scan), and the one pass is made again when the first line's
// end, the head's end or a byte that no head may hold has come: linear time however small the
// pieces are, and one place only that says what is wrong. Invariant: a verdict depends on the bytes
// up to the fault alone.
#include "proto/h1_head.h"

#include "proto/chars.h"
#include "proto/h1_fields.h"
#include "proto/uri.h"

#define EMPTY_LINES_MAX 4 // in front of a request line (RFC 9112 2.2 wants one at least)

// ------------------------------------------------------------------ first lines

// "HTTP/1.x" at c->p.
static enum h1_result read_version(struct h1_cursor *c)
{
    static const char form[] = "HTTP/d.d";
    size_t n = sizeof(form) - 1;
    for (size_t i = 0; i < n; i++) {
        if (c->p + i == c->end)
            return H1_MORE;
        char ch = c->p[i];
        if (form[i] == 'd' ? !is_digit(ch) : ch != form[i])
            return h1_bad(c, ch == '\n' ? HTTP_BAD_LINE_END : HTTP_BAD_VERSION);
    }
    if (c->p + n == c->end)
        return H1_MORE; // "HTTP/1.1" may still become "HTTP/1.10"
    if (is_digit(c->p[n]) || c->p[n] == '.' || c->p[5] == '0')
        return h1_bad(c, HTTP_BAD_VERSION);
    if (c->p[5] != '1')
        return h1_bad(c, HTTP_UNSUPPORTED_VERSION);
    c->head->minor = (uint8_t)(c->p[7] - '0');
    c->p += n;
    return H1_DONE;
}

// The usual version, and `behind` it, in one comparison or two.
static inline enum h1_result read_version_fast(struct h1_cursor *c, char behind)
{
    if (LIKELY(c->end - c->p > 8 && memcmp(c->p, "HTTP/1.1", 8) == 0 && c->p[8] == behind)) {
        c->head->minor = 1;
        c->p += 8;
        return H1_DONE;
    }
    return read_version(c);
}

// "http://host:80/path": false when it is not of that form.
static bool absolute_target(struct http_head *h)
{
    struct str rest = h->target, host, port;
    struct str scheme = str_cut(&rest, ':');
    if (!str_caseeq(scheme, STR("http")) && !str_caseeq(scheme, STR("https")))
        return false;
    if (!str_starts(rest, STR("//")))
        return false;
    rest = (struct str){rest.p + 2, rest.len - 2};
    size_t slash = str_find(rest, '/');
    h->authority = (struct str){rest.p, slash};
    h->path = (struct str){rest.p + slash, rest.len - slash};
    if (h->path.len == 0) // RFC 9112 3.2.1, 3.2.4
        h->path = h->method == HTTP_OPTIONS ? STR("*") : STR("/");
    return uri_authority_split(h->authority, &host, &port);
}

// host:port, both given.
static bool authority_target(struct http_head *h)
{
    struct str host, port;
    h->authority = h->target;
    h->path = STR_NONE;
    return uri_authority_split(h->target, &host, &port) && port.len > 1;
}

static bool target_fits_method(struct http_head *h)
{
    if (UNLIKELY(h->method == HTTP_CONNECT))
        return authority_target(h);
    if (LIKELY(h->target.p[0] == '/')) {
        h->path = h->target;
        return true;
    }
    if (h->target.p[0] == '*') {
        h->path = h->target;
        return h->target.len == 1 && h->method == HTTP_OPTIONS;
    }
    return absolute_target(h);
}

static enum h1_result read_method(struct h1_cursor *c)
{
    const char *start = c->p;
    if (LIKELY(c->end - start >= 4 && memcmp(start, "GET ", 4) == 0)) {
        c->head->method_text = (struct str){start, 3};
        c->head->method = HTTP_GET;
        c->p += 4;
        return H1_DONE;
    }
    while (c->p < c->end && char_is(*c->p, CH_TOKEN))
        c->p++;
    if (c->p == c->end)
        return H1_MORE;
    if (*c->p != ' ' || c->p == start)
        return h1_bad(c, *c->p == '\n' ? HTTP_BAD_LINE_END : HTTP_BAD_START_LINE);
    c->head->method_text = str_from(start, c->p);
    c->head->method = http_method_of(c->head->method_text);
    c->p++;
    return H1_DONE;
}

static enum h1_result read_target(struct h1_cursor *c, uint32_t most)
{
    const char *start = c->p;
    size_t left = (size_t)(c->end - start);
    const char *end = left > (size_t)most + 1 ? start + most + 1 : c->end;
    c->p = scan_target(start, end);
    if (c->p - start > (ptrdiff_t)most)
        return h1_bad(c, HTTP_TOO_LONG_URI);
    if (c->p == c->end)
        return H1_MORE;
    if (*c->p == '\n')
        return h1_bad(c, HTTP_BAD_LINE_END);
    if (*c->p == '\r' && c->p > start)
        return h1_bad(c, HTTP_BAD_VERSION); // none: HTTP/0.9
    if (*c->p != ' ')
        return h1_bad(c, HTTP_BAD_TARGET);
    if (c->p == start)
        return h1_bad(c, HTTP_BAD_START_LINE); // two spaces
    c->head->target = str_from(start, c->p);
    c->p++;
    return H1_DONE;
}

static enum h1_result read_request_line(struct h1_cursor *c, uint32_t most_uri)
{
    enum h1_result r = read_method(c);
    if (r == H1_DONE)
        r = read_target(c, most_uri);
    if (r == H1_DONE)
        r = read_version_fast(c, '\r');
    if (r == H1_DONE)
        r = h1_line_end(c, HTTP_BAD_START_LINE);
    if (r == H1_DONE && !target_fits_method(c->head))
        return h1_bad(c, HTTP_BAD_TARGET);
    return r;
}

// " 200 OK" without its line's end; the reason and the space before it may be missing.
static enum h1_result read_status(struct h1_cursor *c)
{
    unsigned status = 0;
    const char *p = c->p;
    for (int i = 0; i < 4; i++, p++) {
        if (p == c->end)
            return H1_MORE;
        if (*p == '\n')
            return h1_bad(c, HTTP_BAD_LINE_END);
        if (i == 0 ? *p != ' ' : !is_digit(*p))
            return h1_bad(c, i == 0 ? HTTP_BAD_START_LINE : HTTP_BAD_STATUS);
        if (i > 0)
            status = status * 10 + (unsigned)(*p - '0');
    }
    if (status < 100 || status > 599)
        return h1_bad(c, HTTP_BAD_STATUS);
    c->head->status = (uint16_t)status;
    c->p = p;
    return H1_DONE;
}

static enum h1_result read_status_line(struct h1_cursor *c)
{
    enum h1_result r = read_version_fast(c, ' ');
    if (r == H1_DONE)
        r = read_status(c);
    if (r != H1_DONE)
        return r;
    if (c->p == c->end)
        return H1_MORE;
    if (is_digit(*c->p))
        return h1_bad(c, HTTP_BAD_STATUS);
    if (*c->p == ' ') {
        const char *start = c->p + 1;
        c->p = scan_text(start, c->end);
        c->head->reason = str_from(start, c->p);
    }
    return h1_line_end(c, HTTP_BAD_START_LINE);
}

// ------------------------------------------------------------------ heads that arrive in pieces

// True when the line end at `p` is that of the first line.
static bool ends_first_line(const char *bytes, const char *p)
{
    while (*bytes == '\r' || *bytes == '\n')
        bytes++;
    return memchr(bytes, '\n', (size_t)(p - bytes)) == NULL;
}

// Looks at what is new. True when it is worth reading the head again: the first line or the head is
// complete, or there is a byte or line end that no head may hold.
static bool worth_reading(struct h1_scan *scan, const char *bytes, size_t n)
{
    const char *p = bytes + scan->pos, *end = bytes + n;
    for (;;) {
        p = scan_text(p, end);
        scan->pos = (uint32_t)(p - bytes);
        if (end - p < 2 && (p == end || *p == '\r'))
            return false;
        if (p[0] != '\r' || p[1] != '\n')
            return true;
        if (p[-1] == '\n' || ends_first_line(bytes, p)) // pos > 0: the first line has begun
            return true;
        p += 2;
    }
}

// Common to both: sets the cursor up, or says that more is needed before a look is worth it.
static bool begin(struct h1_cursor *c, struct h1_scan *scan, const char *bytes, size_t n,
                  const struct h1_limits *limits)
{
    lb_assert(limits->fields <= HTTP_FIELDS_MAX);
    c->p = bytes;
    c->end = bytes + MIN_OF(n, (size_t)limits->head_bytes);
    c->most_fields = limits->fields;
    return scan->pos == 0 || n > limits->head_bytes || worth_reading(scan, bytes, n);
}

static enum h1_result incomplete(struct h1_scan *scan, const char *bytes, size_t n,
                                 const struct h1_limits *limits, enum http_error *error)
{
    if (n > limits->head_bytes) {
        *error = HTTP_TOO_LARGE_HEAD;
        return H1_BAD;
    }
    scan->pos = (uint32_t)n;
    while (scan->pos > 0 && (bytes[scan->pos - 1] == '\r' || bytes[scan->pos - 1] == '\n'))
        scan->pos--; // a line end is looked at as a whole; nothing but line ends: from the start
    return H1_MORE;
}

// Skips empty lines in front of a request line.
static enum h1_result skip_empty_lines(struct h1_cursor *c, const char *bytes)
{
    for (int i = 0; c->p < c->end && (*c->p == '\r' || *c->p == '\n'); i++) {
        if (i == EMPTY_LINES_MAX)
            return h1_bad(c, HTTP_BAD_START_LINE);
        enum h1_result r = h1_line_end(c, HTTP_BAD_LINE_END);
        if (r != H1_DONE)
            return r;
    }
    c->head->skipped = (uint32_t)(c->p - bytes);
    return c->p == c->end ? H1_MORE : H1_DONE;
}

enum h1_result h1_parse_request(struct h1_scan *scan, const char *bytes, size_t n,
                                const struct h1_limits *limits, struct http_head *out,
                                enum http_error *error)
{
    struct h1_cursor c = {.head = out};
    if (!begin(&c, scan, bytes, n, limits))
        return H1_MORE;
    memset(out, 0, offsetof(struct http_head, fields));
    enum h1_result r = skip_empty_lines(&c, bytes);
    if (r == H1_DONE)
        r = read_request_line(&c, limits->uri_bytes);
    if (r == H1_DONE)
        r = h1_field_section(&c);
    if (r == H1_MORE)
        return incomplete(scan, bytes, n, limits, error);
    if (r == H1_DONE)
        c.error = h1_frame_request(&c);
    if (c.error != HTTP_OK) {
        *error = c.error;
        return H1_BAD;
    }
    out->bytes = (uint32_t)(c.p - bytes);
    return H1_DONE;
}

// NOLINTNEXTLINE(readability-function-size): the seventh is the request's method
enum h1_result h1_parse_response(struct h1_scan *scan, const char *bytes, size_t n,
                                 const struct h1_limits *limits, enum http_method method,
                                 struct http_head *out, enum http_error *error)
{
    struct h1_cursor c = {.head = out, .response = true};
    if (!begin(&c, scan, bytes, n, limits))
        return H1_MORE;
    memset(out, 0, offsetof(struct http_head, fields));
    enum h1_result r = read_status_line(&c);
    if (r == H1_DONE)
        r = h1_field_section(&c);
    if (r == H1_MORE)
        return incomplete(scan, bytes, n, limits, error);
    if (r == H1_DONE)
        c.error = h1_frame_response(&c, method);
    if (c.error != HTTP_OK) {
        *error = c.error;
        return H1_BAD;
    }
    out->bytes = (uint32_t)(c.p - bytes);
    return H1_DONE;
}
