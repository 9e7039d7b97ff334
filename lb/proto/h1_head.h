// SPDX-License-Identifier: MIT
// HTTP/1 heads from bytes (RFC 9112). Strict: CRLF only, no folding in requests, no white space
// before a colon in requests, one framing. Pure; no allocation.
#ifndef EVLB_H1_HEAD_H
#define EVLB_H1_HEAD_H

#include "proto/http.h"

struct h1_limits {
    uint32_t head_bytes, fields, uri_bytes; // fields <= HTTP_FIELDS_MAX
};

// How far the search for the end of a head has come, so that a head arriving byte by byte costs
// linear time. Zero it before each message.
struct h1_scan {
    uint32_t pos;
};

enum h1_result { H1_DONE, H1_MORE, H1_BAD };

// Reads a request. An absolute-form target must be http or https, without user info, and with a '/'
// before any query. An identical Content-Length given again is not in out->fields; one given as a
// list or with leading zeros is marked `rewrite` with its one plain value.
//
// `bytes` is everything received from the start of the message on (at the same place or moved, but
// with the same content as in the call before). H1_DONE fills `out` completely (out->bytes is the
// length of the head). H1_MORE: not complete yet, `out` is undefined. H1_BAD: *error says why; for
// obvious rubbish (a TLS hello, a control character) as soon as it is seen. A head that is longer
// than limits->head_bytes is bad even before its end has arrived.
enum h1_result h1_parse_request(struct h1_scan *scan, const char *bytes, size_t n,
                                const struct h1_limits *limits, struct http_head *out,
                                enum http_error *error) MUST_CHECK;

// The same for a response to a request with `method`, on which its framing depends (HEAD; and
// CONNECT). White space before the colon is taken off and the field marked `rewrite`; a folded line
// is refused (RFC 9112 5.2 leaves a gateway the choice), and so is a status outside 100..599.
// A response without a body by its status or method has BODY_NONE whatever its fields say, but a
// malformed Content-Length is a fault even there. With a transfer coding other than chunked in
// front of chunked it is refused (nobody offered to read it); with chunked not last it has
// BODY_UNTIL_CLOSE. No empty lines in front.
enum h1_result h1_parse_response(struct h1_scan *scan, const char *bytes, size_t n,
                                 const struct h1_limits *limits, enum http_method method,
                                 struct http_head *out, enum http_error *error) MUST_CHECK;

#endif
