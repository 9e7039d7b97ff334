// SPDX-License-Identifier: MIT
// The moving part of a message: its head as it goes out, its body through the pump.
#ifndef EVLB_HTTP_BODY_H
#define EVLB_HTTP_BODY_H

#include "proxy/exchange.h"

#define TRAILER_BYTES_MAX 8192u // of a request or response

// Reads the framing of an h1_body (flow.scan_ctx).
extern const struct flow_scanner http_body_scanner;

// Writes the head in w->out and what is ready of the body behind it; what is not taken of the head
// waits in f->first. IO_AGAIN: not all was taken; IO_ERR: broken, or out of memory.
enum io http_send_head(struct worker *w, struct flow *f, struct conn *dst) MUST_CHECK;

enum upload {
    UPLOAD_OVER, // the whole request is with the server
    UPLOAD_WAITS_CLIENT,
    UPLOAD_WAITS_SERVER,
    UPLOAD_YIELD,
    UPLOAD_STUCK, // the server takes no more, but may have answered
    UPLOAD_CLIENT_LEFT,
    UPLOAD_BAD, // the body breaks its framing
    UPLOAD_NO_MEMORY,
};
// Moves what there is of the request's rest to the server.
enum upload http_pump_up(struct exchange *x) MUST_CHECK;

// What an upload in this state waits for; also remembers whose fault a timeout would be.
void http_upload_wants(struct exchange *x, enum upload u, int *client, int *server);

#endif
