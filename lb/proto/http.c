// SPDX-License-Identifier: MIT
// What is common to HTTP heads of every version: the known fields, methods, the table of faults and
// look-ups in lists. Pure; runs in workers (per request) and in the control process (checks).
// http_field_id() is called for every field of every message: it decides by length and first
// character which single name it can be, and compares that one eight bytes at a time.
#include "proto/http.h"

#include "proto/chars.h"

#define CLIENT_CERT "x-client-cert"

// clang-format off
static const struct http_error_info errors[HTTP_ERROR_COUNT] = {
    [HTTP_OK] = {200, "ok", "nothing is wrong"},
    [HTTP_BAD_START_LINE] = {400, "bad-start-line", "the first line is not of HTTP/1 form"},
    [HTTP_BAD_TARGET] = {400, "bad-target", "the request target is malformed or not allowed with this method"},
    [HTTP_BAD_VERSION] = {400, "bad-version", "the version in the first line is not HTTP/1.x"},
    [HTTP_UNSUPPORTED_VERSION] = {505, "unsupported-version", "the major version of HTTP is above 1"},
    [HTTP_BAD_FIELD_NAME] = {400, "bad-field-name", "a field name is empty, is no token or is not followed by a colon"},
    [HTTP_BAD_FIELD_VALUE] = {400, "bad-field-value", "a field value has a control character"},
    [HTTP_BAD_LINE_END] = {400, "bad-line-end", "a line does not end in CR LF"},
    [HTTP_FOLDED_FIELD] = {400, "folded-field", "a field is folded over several lines"},
    [HTTP_BAD_CONTENT_LENGTH] = {400, "bad-content-length", "the Content-Length is not a decimal number, or is given twice"},
    [HTTP_BAD_TRANSFER_ENCODING] = {400, "bad-transfer-encoding", "chunked is not the last Transfer-Encoding, is repeated, or the field is malformed"},
    [HTTP_UNKNOWN_TRANSFER_CODING] = {501, "unknown-transfer-coding", "a transfer coding other than chunked is used"},
    [HTTP_TE_WITH_HTTP10] = {400, "transfer-encoding-with-http10", "an HTTP/1.0 message has a Transfer-Encoding"},
    [HTTP_MISSING_HOST] = {400, "missing-host", "an HTTP/1.1 request has no Host"},
    [HTTP_BAD_HOST] = {400, "bad-host", "the Host is malformed or is given twice"},
    [HTTP_TOO_LONG_URI] = {414, "too-long-uri", "the request target is longer than allowed"},
    [HTTP_TOO_LARGE_HEAD] = {431, "too-large-head", "the head is larger than allowed"},
    [HTTP_TOO_MANY_FIELDS] = {431, "too-many-fields", "the head has more fields than allowed"},
    [HTTP_BAD_STATUS] = {400, "bad-status", "the status is not a number from 100 to 599"},
    [HTTP_BAD_CHUNK] = {400, "bad-chunk", "a chunk has a malformed size, extension or end"},
    [HTTP_BAD_TRAILER] = {400, "bad-trailer", "the trailer section is malformed or larger than allowed"},
};
// clang-format on

const struct http_error_info *http_error_info(enum http_error e)
{
    lb_assert(e < HTTP_ERROR_COUNT);
    return &errors[e];
}

bool http_method_idempotent(enum http_method m)
{
    switch (m) {
    case HTTP_GET:
    case HTTP_HEAD:
    case HTTP_PUT:
    case HTTP_DELETE:
    case HTTP_OPTIONS:
    case HTTP_TRACE:
        return true;
    case HTTP_OTHER:
    case HTTP_POST:
    case HTTP_CONNECT:
    case HTTP_PATCH:
        break;
    }
    return false;
}

enum http_method http_method_of(struct str name)
{
    switch (name.len) {
    case 3:
        if (memcmp(name.p, "GET", 3) == 0)
            return HTTP_GET;
        return memcmp(name.p, "PUT", 3) == 0 ? HTTP_PUT : HTTP_OTHER;
    case 4:
        if (memcmp(name.p, "HEAD", 4) == 0)
            return HTTP_HEAD;
        return memcmp(name.p, "POST", 4) == 0 ? HTTP_POST : HTTP_OTHER;
    case 5:
        if (memcmp(name.p, "TRACE", 5) == 0)
            return HTTP_TRACE;
        return memcmp(name.p, "PATCH", 5) == 0 ? HTTP_PATCH : HTTP_OTHER;
    case 6:
        return memcmp(name.p, "DELETE", 6) == 0 ? HTTP_DELETE : HTTP_OTHER;
    case 7:
        if (memcmp(name.p, "CONNECT", 7) == 0)
            return HTTP_CONNECT;
        return memcmp(name.p, "OPTIONS", 7) == 0 ? HTTP_OPTIONS : HTTP_OTHER;
    default:
        return HTTP_OTHER;
    }
}

#define IS(known, id) (CHARS_SAME(p, known) ? (id) : FIELD_OTHER)

static enum http_field_id ten_letters(const char *p)
{
    switch (p[0] | 0x20) {
    case 'c':
        return IS("connection", FIELD_CONNECTION);
    case 'k':
        return IS("keep-alive", FIELD_KEEP_ALIVE);
    case 's':
        return IS("set-cookie", FIELD_SET_COOKIE);
    case 't':
        return IS("tracestate", FIELD_TRACESTATE);
    default:
        return IS("user-agent", FIELD_USER_AGENT);
    }
}

static enum http_field_id six_letters(const char *p)
{
    switch (p[0] | 0x20) {
    case 'a':
        return IS("accept", FIELD_ACCEPT);
    case 'c':
        return IS("cookie", FIELD_COOKIE);
    case 'e':
        return IS("expect", FIELD_EXPECT);
    default:
        return IS("server", FIELD_SERVER);
    }
}

static enum http_field_id seven_letters(const char *p)
{
    switch (p[0] | 0x20) {
    case 'r':
        return IS("referer", FIELD_REFERER);
    case 't':
        return IS("trailer", FIELD_TRAILER);
    default:
        return IS("upgrade", FIELD_UPGRADE);
    }
}

// Many servers make the same variable of whatever is no letter or digit (RFC 3875 section 4.1.18).
static bool separates(char c)
{
    char lower = ascii_lower(c);
    return !is_digit(c) && (lower < 'a' || lower > 'z');
}

// `name` is at least as long.
static bool is_client_cert(struct str name)
{
    static const struct str known = {CLIENT_CERT, sizeof(CLIENT_CERT) - 1};
    for (size_t i = 0; i < known.len; i++) {
        if (known.p[i] == '-' ? !separates(name.p[i]) : ascii_lower(name.p[i]) != known.p[i])
            return false;
    }
    return name.len == known.len || separates(name.p[known.len]);
}

static inline enum http_field_id one_of_known(struct str name)
{
    const char *p = name.p;
    switch (name.len) {
    case 2:
        return IS("te", FIELD_TE);
    case 4:
        return (p[0] | 0x20) == 'h' ? IS("host", FIELD_HOST) : IS("date", FIELD_DATE);
    case 6:
        return six_letters(p);
    case 7:
        return seven_letters(p);
    case 9:
        return (p[0] | 0x20) == 'f' ? IS("forwarded", FIELD_FORWARDED)
                                    : IS("x-real-ip", FIELD_X_REAL_IP);
    case 10:
        return ten_letters(p);
    case 11:
        return IS("traceparent", FIELD_TRACEPARENT);
    case 12:
        return IS("x-request-id", FIELD_X_REQUEST_ID);
    case 13:
        return IS("authorization", FIELD_AUTHORIZATION);
    case 14:
        return IS("content-length", FIELD_CONTENT_LENGTH);
    case 15:
        return IS("x-forwarded-for", FIELD_X_FORWARDED_FOR);
    case 16:
        return (p[0] | 0x20) == 'x' ? IS("x-forwarded-host", FIELD_X_FORWARDED_HOST)
                                    : IS("proxy-connection", FIELD_PROXY_CONNECTION);
    case 17:
        return (p[0] | 0x20) == 'x' ? IS("x-forwarded-proto", FIELD_X_FORWARDED_PROTO)
                                    : IS("transfer-encoding", FIELD_TRANSFER_ENCODING);
    default:
        return FIELD_OTHER;
    }
}

enum http_field_id http_field_id(struct str name)
{
    enum http_field_id id = one_of_known(name);
    if (id == FIELD_OTHER && name.len >= sizeof(CLIENT_CERT) - 1 && (name.p[0] | 0x20) == 'x' &&
        is_client_cert(name))
        return FIELD_X_CLIENT_CERT;
    return id;
}

const struct http_field *http_field_find(const struct http_head *h, enum http_field_id id)
{
    for (uint32_t i = 0; i < h->n_fields; i++) {
        if (h->fields[i].id == id)
            return &h->fields[i];
    }
    return NULL;
}

bool http_list_has(struct str list, struct str token)
{
    while (list.p != NULL) {
        if (str_caseeq(str_trim(str_cut(&list, ',')), token))
            return true;
    }
    return false;
}

bool http_proto_is_secure(struct str value)
{
    struct str proto = str_trim(str_cut(&value, ','));
    return str_caseeq(proto, STR("https")) || str_caseeq(proto, STR("wss"));
}

bool http_connection_names(const struct http_head *h, struct str name)
{
    for (uint32_t i = 0; i < h->n_fields; i++) {
        if (h->fields[i].id == FIELD_CONNECTION && http_list_has(h->fields[i].value, name))
            return true;
    }
    return false;
}

bool http_is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!char_is(s.p[i], CH_TOKEN))
            return false;
    }
    return s.len > 0;
}
