/* SPDX-License-Identifier: MIT */
#ifndef SIM_REQUEST_H
#define SIM_REQUEST_H

#include "buf.h"

/* One request head. The slices point into `raw`. */
struct request {
    struct buf raw; /* owned: the exact bytes, from the method to the empty line */
    struct slice method, target, path, query;
    struct slice host, x_id, upgrade;
    int minor; /* HTTP/1.minor */
    bool keep_alive;
    bool chunked;
    bool has_length;
    bool expect_100;
    bool wants_upgrade; /* Upgrade, and Connection names it */
    uint64_t length;
};

enum head_result { HEAD_DONE, HEAD_MORE, HEAD_WRONG };

struct head_error {
    int status;         /* 400, 417, 431, 501 or 505 */
    const char *reason; /* static text */
};

/* Reads a head from the start of `in` and takes its bytes off it when DONE. `scanned` belongs to
 * the caller, is 0 for a new request and saves looking at the same bytes again. */
enum head_result request_read(struct buf *in, size_t *scanned, struct request *req,
                              struct head_error *error);
void request_clear(struct request *req);

/* The length of a message body on the wire, as it comes. */
struct body_reader {
    enum body_state {
        BODY_LENGTH,
        BODY_CHUNK_SIZE,
        BODY_CHUNK_DATA,
        BODY_CHUNK_END,
        BODY_TRAILER,
        BODY_DONE,
        BODY_WRONG
    } state;
    uint64_t left;      /* of the body or the chunk */
    const char *reason; /* why WRONG */
};

void body_reader_start(struct body_reader *r, const struct request *req);

/* Takes one step: returns how many bytes of `in` it used up, 0 when it needs more (or is done or
 * wrong). *data is the part of them that is content. */
size_t body_reader_step(struct body_reader *r, struct slice in, struct slice *data);

#endif
