// SPDX-License-Identifier: MIT
// Answers that evlb gives itself: errors, denials, redirects.
#ifndef EVLB_REPLY_H
#define EVLB_REPLY_H

#include "base/buf.h"
#include "base/str.h"

struct reply {
    uint16_t status;
    struct str location;    // of a redirect; empty: none
    struct str hsts;        // Strict-Transport-Security; empty: none
    uint32_t retry_after_s; // 0: not said
    struct str text;        // the body as it stands, of no type; empty: a page of ours
    const char *sentence;   // what went wrong, for people
    bool json;              // the client accepts JSON rather than HTML
    bool close;             // the client connection ends after this
    bool head_only;         // the request was HEAD
    bool http10_keep;       // an HTTP/1.0 client that asked to keep the connection
};

// "Service Unavailable" for 503; the word of its class for one that is not in the table.
const char *reply_reason(uint16_t status);
// Appends the whole answer. False: out of memory.
bool reply_write(const struct reply *r, struct buf *out) MUST_CHECK;

#endif
