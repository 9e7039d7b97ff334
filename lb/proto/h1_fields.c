// SPDX-License-Identifier: MIT
// Field lines of HTTP/1 heads and trailers, and the rules by which they frame a message (RFC 9112
// sections 5 to 7 and 9.3). Runs in workers for every message: called by h1_head.c for heads and by
// h1_body.c for trailers. The verdict on a line depends on the bytes up to its fault only, never on
// how the input was split.
//
// Faults of a value are found where the field stands; faults of the whole (no Host, an unknown
// coding) after the empty line.
#include "proto/h1_fields.h"

#include "proto/chars.h"
#include "proto/uri.h"

// ------------------------------------------------------------------ lines

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// From the first byte of a name that is not a letter, digit or '-' on. H1_DONE: c->p stands at the
// colon and *name_end is set.
static enum h1_result unusual_name(struct h1_cursor *c, struct http_field *f, const char **name_end)
{
    const char *start = c->p, *p = *name_end;
    while (p < c->end && char_is(*p, CH_TOKEN))
        p++;
    *name_end = p;
    if (c->response && p > start) {
        while (p < c->end && is_blank(*p))
            p++;
        f->rewrite = p != *name_end;
    }
    if (p == c->end)
        return H1_MORE;
    if (p == start && is_blank(*p))
        return h1_bad(c, HTTP_FOLDED_FIELD);
    if (*p == '\n')
        return h1_bad(c, HTTP_BAD_LINE_END);
    if (*p != ':' || *name_end == start)
        return h1_bad(c, HTTP_BAD_FIELD_NAME);
    c->p = p;
    return H1_DONE;
}

// Local pointers throughout: what is stored in `f` could else be taken for a change of the cursor.
static inline enum h1_result read_line(struct h1_cursor *c, struct http_field *f)
{
    const char *const start = c->p, *const end = c->end;
    const char *name_end = scan_simple(start, end), *colon = name_end;
    f->rewrite = false;
    if (UNLIKELY(colon == end || *colon != ':' || colon == start)) {
        enum h1_result r = unusual_name(c, f, &name_end);
        if (r != H1_DONE)
            return r;
        colon = c->p;
    }
    const char *value = colon + 1;
    if (LIKELY(value < end && *value == ' '))
        value++;
    while (value < end && is_blank(*value))
        value++;
    const char *value_end = scan_text(value, end);
    if (UNLIKELY(end - value_end < 2 || memcmp(value_end, "\r\n", 2) != 0)) {
        c->p = value_end;
        return h1_line_end(c, HTTP_BAD_FIELD_VALUE); // says what is wrong or missing
    }
    const char *const next = value_end + 2;
    while (value_end > value && is_blank(value_end[-1]))
        value_end--;
    f->name = str_from(start, name_end);
    f->value = str_from(value, value_end);
    f->line = str_from(start, next);
    c->p = next;
    return H1_DONE;
}

enum h1_result h1_field_line(struct h1_cursor *c, struct http_field *f)
{
    return read_line(c, f);
}

// ------------------------------------------------------------------ fields that matter here

// Up to 18 digits without a leading zero, as nearly every Content-Length is.
static inline bool read_plain_length(struct str s, uint64_t *value)
{
    uint64_t total = 0;
    if (s.len == 0 || s.len > 18 || (s.p[0] == '0' && s.len > 1))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.p[i]))
            return false;
        total = total * 10 + (uint64_t)(s.p[i] - '0');
    }
    *value = total;
    return true;
}

// "5", or "5, 5": all elements decimal and equal. Leading zeros are cut off (others might read
// octal), and what is not plain digits is written anew.
static bool read_length(struct http_field *f, uint64_t *value)
{
    struct str rest = f->value;
    bool first = true;
    while (rest.p != NULL) {
        uint64_t v;
        struct str element = str_trim(str_cut(&rest, ','));
        if (!str_to_u64(element, &v) || v > INT64_MAX || (!first && v != *value))
            return false;
        *value = v;
        if (first)
            f->value = element;
        f->rewrite |= !first;
        first = false;
    }
    while (f->value.len > 1 && f->value.p[0] == '0') {
        f->value.p++;
        f->value.len--;
        f->rewrite = true;
    }
    return !first;
}

static enum http_error note_length(struct h1_cursor *c, struct http_field *f)
{
    uint64_t value;
    if (!read_plain_length(f->value, &value) && !read_length(f, &value))
        return HTTP_BAD_CONTENT_LENGTH;
    if (c->seen_length) {
        if (value != c->head->content_length)
            return HTTP_BAD_CONTENT_LENGTH;
        c->head->n_fields--; // the same again: one is enough
    }
    c->seen_length = true;
    c->head->content_length = value;
    return HTTP_OK;
}

static void note_transfer_encoding(struct h1_cursor *c, struct str list)
{
    c->seen_te = true;
    if (list.len == 0)
        c->te_malformed = true;
    while (list.p != NULL) {
        struct str coding = str_trim(str_cut(&list, ','));
        struct str name = coding;
        name = str_trim(str_cut(&name, ';')); // "gzip;q=1"
        if (c->te_chunked || !http_is_token(name))
            c->te_malformed = true; // something behind chunked, or no coding at all
        if (str_caseeq(coding, STR("chunked")))
            c->te_chunked = true;
        else
            c->te_unknown = true;
    }
}

static void note_connection(struct h1_cursor *c, struct str list)
{
    if (list.len == 10 && CHARS_SAME(list.p, "keep-alive")) { // nearly always
        c->said_keep_alive = true;
        return;
    }
    while (list.p != NULL) {
        struct str token = str_trim(str_cut(&list, ','));
        if (str_caseeq(token, STR("keep-alive")))
            c->said_keep_alive = true;
        else if (str_caseeq(token, STR("close")))
            c->said_close = true;
        else if (str_caseeq(token, STR("upgrade")))
            c->said_upgrade = true;
        else if (token.len > 0 && !str_caseeq(token, STR("te")))
            c->head->connection_names_fields = true;
    }
}

// "name" or "name:port" of letters, digits, '-' and '.'; the value lies within the input.
static inline bool is_plain_host(const struct h1_cursor *c, struct str value)
{
    const char *p = scan_host(value.p, c->end), *end = value.p + value.len;
    if (p == value.p || p > end)
        return false;
    if (p < end && *p == ':' && end - p <= 5) { // four digits: below 65536
        do
            p++;
        while (p < end && is_digit(*p));
    }
    return p == end;
}

// An empty Host is what a client sends when its URI has no authority; there is no such URI with
// HTTP/1.1 requests for us, so only HTTP/1.0 may do so.
static enum http_error note_host(struct h1_cursor *c, struct str value)
{
    struct str host, port;
    if (c->response)
        return HTTP_OK;
    if (c->seen_host)
        return HTTP_BAD_HOST;
    c->seen_host = true;
    if (!is_plain_host(c, value) && !(value.len == 0 && c->head->minor == 0) &&
        !uri_authority_split(value, &host, &port))
        return HTTP_BAD_HOST;
    if (c->head->authority.p == NULL)
        c->head->authority = value;
    return HTTP_OK;
}

static inline enum http_error note_field(struct h1_cursor *c, struct http_field *f)
{
    if (f->id == FIELD_OTHER || f->id > FIELD_UPGRADE)
        return HTTP_OK;
    if (f->id == FIELD_HOST)
        return note_host(c, f->value);
    if (f->id == FIELD_CONTENT_LENGTH)
        return note_length(c, f);
    if (f->id == FIELD_TRANSFER_ENCODING)
        note_transfer_encoding(c, f->value);
    else if (f->id == FIELD_CONNECTION)
        note_connection(c, f->value);
    else if (f->id == FIELD_UPGRADE)
        c->seen_upgrade = true;
    else if (f->id == FIELD_EXPECT)
        c->said_continue |= http_list_has(f->value, STR("100-continue"));
    return HTTP_OK;
}

enum h1_result h1_field_section(struct h1_cursor *c)
{
    struct http_head *h = c->head;
    for (;;) {
        if (c->p == c->end)
            return H1_MORE;
        if (*c->p == '\r')
            return h1_line_end(c, HTTP_BAD_LINE_END);
        if (UNLIKELY(h->n_fields == c->most_fields))
            return h1_bad(c, HTTP_TOO_MANY_FIELDS);
        struct http_field *f = &h->fields[h->n_fields];
        enum h1_result r = read_line(c, f);
        if (UNLIKELY(r != H1_DONE))
            return r;
        f->id = http_field_id(f->name);
        h->n_fields++;
        enum http_error e = note_field(c, f);
        if (UNLIKELY(e != HTTP_OK))
            return h1_bad(c, e);
    }
}

// ------------------------------------------------------------------ the message as a whole

static void note_persistence(const struct h1_cursor *c)
{
    struct http_head *h = c->head;
    h->keep_alive = !c->said_close && (h->minor > 0 || c->said_keep_alive);
    h->upgrade = h->minor > 0 && c->said_upgrade && c->seen_upgrade;
    h->has_length_and_te = c->seen_length && c->seen_te;
    if (h->has_length_and_te)
        h->keep_alive = false; // RFC 9112 6.1: whatever comes next may be an attack
}

enum http_error h1_frame_request(const struct h1_cursor *c)
{
    struct http_head *h = c->head;
    note_persistence(c);
    h->expect_continue = c->said_continue && h->minor > 0;
    if (!c->seen_host && h->minor > 0)
        return HTTP_MISSING_HOST;
    if (c->seen_te) {
        if (h->minor == 0)
            return HTTP_TE_WITH_HTTP10;
        if (c->te_malformed)
            return HTTP_BAD_TRANSFER_ENCODING;
        if (c->te_unknown)
            return HTTP_UNKNOWN_TRANSFER_CODING;
        h->framing = BODY_CHUNKED;
        h->content_length = 0;
    } else {
        h->framing = c->seen_length ? BODY_LENGTH : BODY_NONE;
    }
    return HTTP_OK;
}

static bool has_no_body(uint16_t status, enum http_method method)
{
    return status < 200 || status == 204 || status == 304 || method == HTTP_HEAD ||
           (method == HTTP_CONNECT && status < 300);
}

enum http_error h1_frame_response(const struct h1_cursor *c, enum http_method method)
{
    struct http_head *h = c->head;
    note_persistence(c);
    if (has_no_body(h->status, method)) {
        h->framing = BODY_NONE;
    } else if (c->seen_te && c->te_chunked && !c->te_malformed && h->minor > 0) {
        if (c->te_unknown)
            return HTTP_UNKNOWN_TRANSFER_CODING; // we never said that we can read it
        h->framing = BODY_CHUNKED;
        h->content_length = 0;
    } else if (c->seen_te || !c->seen_length) {
        h->framing = BODY_UNTIL_CLOSE;
        h->content_length = 0;
        h->keep_alive = false;
    } else {
        h->framing = BODY_LENGTH;
    }
    return HTTP_OK;
}
