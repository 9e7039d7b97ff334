/* SPDX-License-Identifier: MIT */
#ifndef SIM_ANSWER_H
#define SIM_ANSWER_H

#include "buf.h"
#include "plan.h"
#include "request.h"

struct conn;

/* One response under way. */
struct answer {
    struct buf text; /* the body when is_text; else the pattern is sent */
    bool is_text;
    bool bodiless; /* HEAD, 1xx, 204, 304: the head only */
    bool close;    /* the connection ends behind it */
    bool announce; /* ... and the head says so */
    bool cut;      /* plan.cut or plan.cut_body was reached: nothing more goes out */
    bool ended;    /* the last byte was produced */
    const char *content_type;
    enum framing framing;
    uint64_t body_size, body_sent;
    uint64_t left, body_left; /* bytes until the cut, or NO_CUT */
};

void answer_start(struct answer *a, const struct plan *p);
void answer_free(struct answer *a);

/* Appends bytes of the response to the output of the connection, as far as the cut allows. */
void answer_put(struct conn *c, struct answer *a, struct slice bytes);
void answer_early(struct conn *c, struct answer *a, const struct plan *p);
void answer_head(struct conn *c, struct answer *a, const struct plan *p, const struct request *req,
                 uint64_t request_number);
/* One chunk of the body (or the end of it). */
void answer_chunk(struct conn *c, struct answer *a, const struct plan *p);
const char *status_reason(uint64_t status);

/* Byte i of every generated body is PATTERN[i % 61]: any lost, repeated or moved block shows. */
#define PATTERN "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy"
#define PATTERN_PERIOD 61U
struct slice pattern_at(uint64_t offset); /* at least 64 KiB from that offset on */

#endif
