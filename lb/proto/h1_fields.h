// SPDX-License-Identifier: MIT
// Private to the HTTP/1 codecs: field lines, and what they say about the framing of a message.
#ifndef EVLB_H1_FIELDS_H
#define EVLB_H1_FIELDS_H

#include "proto/h1_head.h"

// One head while it is being read. Everything before `p` is read and valid.
struct h1_cursor {
    const char *p, *end;
    struct http_head *head;
    uint32_t most_fields;
    bool response; // white space before a colon is taken off instead of refused
    enum http_error error;
    // what the fields said
    bool seen_length, seen_te, seen_host, seen_upgrade;
    bool said_close, said_keep_alive, said_upgrade, said_continue;
    bool te_malformed, te_unknown, te_chunked; // te_chunked: chunked once, so far last
};

static inline enum h1_result h1_bad(struct h1_cursor *c, enum http_error error)
{
    c->error = error;
    return H1_BAD;
}

// CR LF at c->p, which may lie anywhere in the input; `otherwise` is what any other byte means.
static inline enum h1_result h1_line_end(struct h1_cursor *c, enum http_error otherwise)
{
    if (c->p == c->end)
        return H1_MORE;
    if (*c->p != '\r')
        return h1_bad(c, *c->p == '\n' ? HTTP_BAD_LINE_END : otherwise);
    if (c->p + 1 == c->end)
        return H1_MORE;
    if (c->p[1] != '\n')
        return h1_bad(c, HTTP_BAD_LINE_END);
    c->p += 2;
    return H1_DONE;
}

// Reads the field line at c->p into `f` (its id apart) and moves behind it.
enum h1_result h1_field_line(struct h1_cursor *c, struct http_field *f) MUST_CHECK;
// Reads all field lines and the empty line into c->head.
enum h1_result h1_field_section(struct h1_cursor *c) MUST_CHECK;
// Once the section is read: framing, keep_alive and the like of c->head; HTTP_OK or the fault.
enum http_error h1_frame_request(const struct h1_cursor *c) MUST_CHECK;
enum http_error h1_frame_response(const struct h1_cursor *c, enum http_method method) MUST_CHECK;

#endif
