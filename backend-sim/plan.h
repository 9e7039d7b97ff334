/* SPDX-License-Identifier: MIT */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "buf.h"

#include <stdio.h>

#define EARLY_MAX 32
#define NO_CUT UINT64_MAX

enum framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };
enum closing { CLOSING_BY_RULES, CLOSING_NO, CLOSING_ANNOUNCED, CLOSING_QUIET };
enum reading { READING_FIRST, READING_NOT, READING_AFTER };
enum expecting { EXPECT_CONTINUE, EXPECT_REFUSE, EXPECT_IGNORE };

struct bad_response;

/* What one request asks the server to do: the query of its target, behind the defaults. */
struct plan {
    uint64_t status;
    uint64_t size; /* body bytes of the pattern */
    uint64_t chunk;
    uint64_t cut, cut_body; /* bytes, or NO_CUT */
    uint64_t read_rate;     /* bytes per second, 0 = no limit */
    uint64_t drip;          /* bytes per send, 0 = no limit */
    uint64_t upgrade_status;
    uint64_t minor; /* version of the answer: HTTP/1.minor */
    double delay_s, chunk_delay_s, drip_delay_s;
    enum framing framing;
    enum closing closing;
    enum reading reading;
    enum expecting expecting;
    const struct bad_response *bad;
    uint64_t early[EARLY_MAX];
    size_t early_count;
    bool has_size, trailers, rst, never, drop, greet;
    struct buf headers; /* complete lines */
    struct buf reason;  /* reason phrase; empty = by status */
    struct buf ignored; /* names of unknown parameters, comma-separated */
    char wrong[80];     /* the parameter with a bad value; empty = none */
};

void plan_init(struct plan *p);
void plan_free(struct plan *p);
/* Adds the parameters of a query to the plan; false: p->wrong says which value is bad. */
bool plan_read(struct plan *p, struct slice query);
void plan_print_help(FILE *out);

#endif
