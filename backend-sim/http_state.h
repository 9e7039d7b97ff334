/* SPDX-License-Identifier: MIT */
#ifndef SIM_HTTP_STATE_H
#define SIM_HTTP_STATE_H

#include "answer.h"
#include "conn.h"
#include "plan.h"
#include "request.h"

/* Private to http_server.c and http_reply.c. */

enum http_state {
    HS_HEAD,
    HS_BODY,
    HS_EARLY,
    HS_WAIT,
    HS_ANSWER,
    HS_STREAM,
    HS_FLUSH,
    HS_AFTER,
    HS_DRAIN,
    HS_NEVER,
    HS_TUNNEL
};

enum echo { ECHO_NONE, ECHO_ALL, ECHO_BODY, ECHO_RAW };

/* What a connection holds in HTTP mode: c->state. */
struct http {
    enum http_state state;
    struct request req;
    struct plan plan;
    struct answer answer;
    struct body_reader body;
    struct buf kept; /* of the request body, for an echo */
    enum echo echo;
    size_t scanned;    /* of the head that is coming in */
    uint64_t requests; /* on this connection */
    uint64_t body_bytes;
    uint32_t body_crc;
    bool active;   /* counted in counters.active */
    bool fin_seen; /* counted in counters.early_fins */
    bool error;    /* the answer reports a bad request */
};

static inline void http_go(struct http *h, enum http_state state)
{
    h->state = state;
}

static inline struct counters *counters_of(struct conn *c)
{
    return &c->listener->count;
}

static inline bool is_control(const struct http *h)
{
    return slice_starts(h->req.path, "/control/");
}

static inline bool is_check(const struct http *h)
{
    return slice_is(h->req.path, "/healthz");
}

/* Gives up the plan: that status and line, and the close behind it. */
void reply_refuse(struct http *h, uint64_t status, const char *text);

/* Begins what the plan asks for; the state says how it goes on. False: the connection is ending. */
bool reply_begin(struct conn *c, struct http *h);

#endif
