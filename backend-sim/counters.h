/* SPDX-License-Identifier: MIT */
#ifndef SIM_COUNTERS_H
#define SIM_COUNTERS_H

#include "buf.h"

#define METHOD_MAX 16
#define REASON_BYTES 96

struct id_entry {
    char *id; /* owned */
    uint64_t count;
};

/* What one listener has seen. Checks (/healthz) and /control/ requests are kept out of the
 * figures for traffic, and so are connections whose first request was one of them. */
struct counters {
    uint64_t connections, open;
    uint64_t check_connections, control_connections;
    uint64_t requests, checks, controls;
    uint64_t active, max_active; /* requests being worked on */
    uint64_t responses;          /* completely handed to the kernel */
    uint64_t bad_requests;       /* answered with 400 or 431 by the parser */
    uint64_t truncated_requests; /* the peer ended within a request */
    uint64_t early_fins;         /* the peer ended its side before the response was complete */
    uint64_t broken;             /* reset or write error with a response unfinished */
    uint64_t body_bytes;         /* request bodies, without framing */
    char last_bad[REASON_BYTES];
    struct {
        char name[24];
        uint64_t count;
    } methods[METHOD_MAX]; /* the last slot gathers the rest */
    struct id_entry *ids;  /* X-Id of POST requests: open addressing, owned */
    size_t id_count, id_room;
};

void counters_method(struct counters *k, struct slice method);
void counters_id(struct counters *k, struct slice id);
void counters_bad(struct counters *k, const char *reason);
void counters_json(const struct counters *k, const char *name, struct buf *out);
void counters_reset(struct counters *k); /* keeps what is open and active now */
void counters_free(struct counters *k);

#endif
