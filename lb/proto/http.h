// SPDX-License-Identifier: MIT
// An HTTP message head, whatever the version on the wire: what the data path decides on and what
// is forwarded. All slices point into the bytes that were parsed and live as long as these.
#ifndef EVLB_HTTP_H
#define EVLB_HTTP_H

#include "base/base.h"
#include "base/str.h"

enum http_method {
    HTTP_OTHER, // any other token: forwarded, neither idempotent nor safe
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_CONNECT,
    HTTP_OPTIONS,
    HTTP_TRACE,
    HTTP_PATCH,
};

// RFC 9110 section 9.2.2.
bool http_method_idempotent(enum http_method m);
// Case-sensitive look-up by name.
enum http_method http_method_of(struct str name);

// The fields that somebody here looks at; everything else is FIELD_OTHER.
enum http_field_id {
    FIELD_OTHER,
    FIELD_CONNECTION,
    FIELD_CONTENT_LENGTH,
    FIELD_COOKIE,
    FIELD_EXPECT,
    FIELD_FORWARDED,
    FIELD_HOST,
    FIELD_KEEP_ALIVE,
    FIELD_PROXY_CONNECTION,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_TRANSFER_ENCODING,
    FIELD_UPGRADE,
    FIELD_ACCEPT,
    FIELD_AUTHORIZATION,
    FIELD_REFERER,
    FIELD_USER_AGENT,
    FIELD_X_FORWARDED_FOR,
    FIELD_X_FORWARDED_HOST,
    FIELD_X_FORWARDED_PROTO,
    FIELD_X_REAL_IP,
    FIELD_X_REQUEST_ID,
    FIELD_TRACEPARENT,
    FIELD_TRACESTATE,
    FIELD_SERVER,
    FIELD_DATE,
    FIELD_SET_COOKIE,
    FIELD_X_CLIENT_CERT, // X-Client-Cert and all that begin so: X-Client-Cert-Subject, ...
    FIELD_ID_COUNT
};

// Case-insensitive look-up by name. Of FIELD_X_CLIENT_CERT also what servers take for the same:
// X_Client_Cert_Subject.
enum http_field_id http_field_id(struct str name);

struct http_field {
    struct str name, value; // value without white space at both ends
    struct str line;        // the whole line as received, CRLF included (one that was folded or
                            // had a space before the colon is not forwarded by this slice: see
                            // `rewrite`)
    enum http_field_id id;
    bool rewrite; // the line must be written anew from name and value
};

enum http_framing {
    BODY_NONE,   // no body follows
    BODY_LENGTH, // content_length bytes
    BODY_CHUNKED,
    BODY_UNTIL_CLOSE, // responses only
};

// Why a message was refused; http_error_info() has the status for a client and the sentence.
enum http_error {
    HTTP_OK,
    HTTP_BAD_START_LINE,
    HTTP_BAD_TARGET,
    HTTP_BAD_VERSION,         // 400: not HTTP/1.x at all
    HTTP_UNSUPPORTED_VERSION, // 505: major above 1
    HTTP_BAD_FIELD_NAME,
    HTTP_BAD_FIELD_VALUE,
    HTTP_BAD_LINE_END, // bare LF or bare CR
    HTTP_FOLDED_FIELD,
    HTTP_BAD_CONTENT_LENGTH,
    HTTP_BAD_TRANSFER_ENCODING,
    HTTP_UNKNOWN_TRANSFER_CODING, // 501
    HTTP_TE_WITH_HTTP10,
    HTTP_MISSING_HOST,
    HTTP_BAD_HOST,        // repeated or malformed
    HTTP_TOO_LONG_URI,    // 414
    HTTP_TOO_LARGE_HEAD,  // 431
    HTTP_TOO_MANY_FIELDS, // 431
    HTTP_BAD_STATUS,
    HTTP_BAD_CHUNK,
    HTTP_BAD_TRAILER,
    HTTP_ERROR_COUNT
};

struct http_error_info {
    uint16_t status;      // what a client gets whose request has this fault
    const char *name;     // "bad-content-length": stable, for log and metrics
    const char *sentence; // "the Content-Length is not a decimal number, or is given twice"
};
const struct http_error_info *http_error_info(enum http_error e);

#define HTTP_FIELDS_MAX 1024 // the most that limits.fields may be set to

struct http_head {
    uint32_t bytes;   // length of the head on the wire, the empty line included
    uint32_t skipped; // bytes of empty lines in front of a request line; part of `bytes`
    uint8_t minor;    // HTTP/1.minor
    bool keep_alive;  // what the sender wants: version and Connection taken together
    bool upgrade;     // "Connection: upgrade" and an Upgrade field
    bool expect_continue;
    bool has_length_and_te; // both framings given: Content-Length is to be dropped; keep_alive is
                            // false then
    bool connection_names_fields; // Connection names more than close, keep-alive, upgrade, te
    enum http_framing framing;
    uint64_t
        content_length; // when framing is BODY_LENGTH, and of a response to HEAD or 304 if given
    // request
    enum http_method method;
    struct str method_text, target;
    struct str authority; // of an absolute-form target, else the Host field; may be empty for 1.0
    struct str path;      // with query: what is forwarded; "*" for OPTIONS *, "/" when an
                          // absolute-form had none; empty for CONNECT
    // response
    uint16_t status;
    struct str reason;
    // fields in the order received
    uint32_t n_fields;
    struct http_field fields[HTTP_FIELDS_MAX];
};

// The first field of that id, or NULL.
const struct http_field *http_field_find(const struct http_head *h, enum http_field_id id);
// True when the comma-separated list `list` holds `token` (case-insensitive; RFC 9110 5.6.1).
bool http_list_has(struct str list, struct str token);
// True when one of the Connection fields of `h` names this field.
bool http_connection_names(const struct http_head *h, struct str name);
// Whether the value of X-Forwarded-Proto says that the client spoke TLS. The first of several words
// is about the client.
bool http_proto_is_secure(struct str value);
// True for the characters of a token (RFC 9110 5.6.2).
bool http_is_token(struct str s);

#endif
