// SPDX-License-Identifier: MIT
// One HTTP request and its response. Exists only while they are in progress.
#ifndef EVLB_EXCHANGE_H
#define EVLB_EXCHANGE_H

#include "core/route.h"
#include "proto/h1_body.h"
#include "proxy/attempt.h"
#include "proxy/session.h"
#include "proxy/upstream.h"

enum http_state {
    HS_HEAD,      // reading the request head
    HS_CHALLENGE, // asking for the answer to a challenge of a certificate authority
    HS_ROUTE,     // what is to be done with it
    HS_PICK,      // choosing a server
    HS_QUEUE,     // waiting for one that has room
    HS_CONNECT,   // waiting for a new server connection
    HS_HANDSHAKE, // agreeing on TLS with it
    HS_SEND,      // writing the head (and what there is of the body)
    HS_WAIT,      // the rest of the body goes up, the response head is awaited
    HS_STREAM,    // the response goes down (the request perhaps still up)
    HS_TUNNEL,    // after 101: bytes both ways
    HS_REPLY,     // an answer of our own goes down
    HS_COUNT
};

// What the access log says about the request; copied while the head is there.
struct exchange_text {
    struct str method, host, path, user_agent, referer, request_id;
    size_t used;
    char bytes[4000];
};

struct exchange {
    struct session *s;
    struct worker *w;
    struct generation *generation;   // held: it began with this one
    const struct frontend *frontend; // of this generation
    enum http_state state;
    uint8_t minor; // of the request: HTTP/1.minor
    enum http_method method;
    bool secure;       // the client sent it over TLS: to here, or to a trusted proxy
    bool client_keeps; // the client connection may serve another request
    bool server_keeps;
    bool upgrade; // the request asks for a tunnel, and that was passed on
    bool expect_continue;
    bool reused;       // the server connection has answered before
    bool pin;          // the server connection stays with this client connection
    bool fresh_only;   // a pooled connection died under this request: take a new one
    bool head_sent;    // of the final response, at least in part
    bool client_slow;  // what we wait for is the client
    bool client_fin;   // the client has ended its direction
    bool client_waits; // bytes of a next request are waiting in the socket
    bool watch_client; // it has taken so long that an abort is worth noticing
    bool half_closed;  // of a tunnel
    bool yielded;      // gave the others a turn; the timer goes on with it
    uint16_t status;
    enum end_cause end;       // of an answer of our own
    const char *detail;       // why, in words; for the access log
    uint32_t head_bytes;      // of the request head, at the front of up.buf while up.keep
    uint32_t head_sent_bytes; // of the head as it goes to the server
    uint32_t keep_limit_ms;   // how long the server keeps the connection, as it said
    struct h1_scan scan, response_scan;
    struct flow up, down; // client to server, server to client
    struct h1_body up_body, down_body;
    const struct route *route;
    struct attempt attempt;
    struct upstream *server;
    struct challenge *challenge; // in HS_CHALLENGE alone
    struct exchange_text *text;  // only with an access log
    uint64_t deadline_ms;        // of the current wait
    uint64_t client_fin_ms;      // when client_fin was seen
    uint64_t look_ms;            // when to look at a client that the loop does not watch
    uint64_t begin_ms, head_ms, pick_ms, claim_ms, connected_ms, sent_ms, response_ms;
    int32_t idle_ms; // waited on the connection for this request
};

// A new one for the session; NULL when memory is out.
struct exchange *exchange_new(struct session *s) MUST_CHECK;
// Ready for the next request on the same connection: keeps the client buffer, which may hold it.
void exchange_reset(struct exchange *x);
// Drops what has come of an answer, but not the rest of an interim one that the client has in part.
void exchange_drop_answer(struct exchange *x);
// Frees it; s->work is NULL afterwards. The server connection and the claim are gone already.
void exchange_free(struct exchange *x);
// The request head, parsed again when another one was parsed meanwhile or the buffer has moved.
// Only while up.keep.
const struct http_head *exchange_head(struct exchange *x);
// Copies what the access log wants to say (nothing when there is none).
void exchange_note_head(struct exchange *x, const struct http_head *h);
// The same for a head that was refused: what its first line looks like, and how much came.
void exchange_note_refused(struct exchange *x);
// Counts the end of the exchange and writes its line of the access log.
void exchange_account(struct exchange *x, enum end_cause cause);

#endif
