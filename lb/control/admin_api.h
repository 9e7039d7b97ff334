// SPDX-License-Identifier: MIT
// What the admin API answers: its resources, one row each (admin_api.c), and the call that travels
// through them. Knows nothing of sockets. Resources, fields and statuses are described in
// docs/admin-api.md.
#ifndef EVLB_ADMIN_API_H
#define EVLB_ADMIN_API_H

#include "base/buf.h"
#include "conf/config.h"
#include "control/asks.h"
#include "control/events.h"
#include "control/process_table.h"
#include "control/servers.h"
#include "core/board.h"

// What the answers are made from.
struct admin_view {
    const struct config *config; // in force
    uint32_t generation;         // its number, from 1
    const struct board *board;
    const struct process_table *table;
    struct servers *servers;
    struct events *events;
    struct asks *asks;
    uint64_t now_ms; // CLOCK_MONOTONIC
};

struct admin_call;
// Writes the answer of one resource. Returns an HTTP status or one of enum admin_result.
typedef uint16_t admin_handler(const struct admin_view *v, struct admin_call *c);
// Goes on when the supervisor has answered; `answer` NULL: it has not, and the time is over.
typedef uint16_t admin_resume(const struct admin_view *v, struct admin_call *c,
                              const struct ask_answer *answer);

enum admin_result {
    ADMIN_NO_MEMORY = 0,
    ADMIN_LATER = 1, // c->waiter waits for the supervisor; admin_api_resume() goes on
    ADMIN_FEED = 2,  // the answer is a stream of events (text/event-stream) after c->since
};

// One request and its answer. Zeroed by the caller before each; slices of the request live until
// the answer is made.
struct admin_call {
    struct str method, path, query; // path without query
    struct str body;
    uint32_t pid, uid; // of the peer
    struct str arg[2]; // the parts of the path that the resource leaves open

    struct buf *out;       // the body of the answer: JSON and a newline
    char allow[64];        // of 405: the value of Allow
    struct arena *arena;   // for the time of one handler
    uint64_t since;        // ADMIN_FEED
    uint32_t parts, total; // of the answers of workers: put into `out`, and how many there are
    bool missing;          // one of them said nothing
    struct asks_waiter waiter;
    admin_resume *resume;

    // Every request but a GET is said in one line of the log when it is answered: who, what, why,
    // with which result. Filled in by the handler; `deed` empty: nothing was to be changed.
    char object[144]; // "app/a"
    char deed[192];   // "drain for 10m"
    char reason[96];
    char outcome[192]; // why it was refused; empty: done
};

// The most that a request to this resource may carry.
uint32_t admin_api_body_max(struct str path);
// The whole answer to a call, or what it waits for.
uint16_t admin_api_answer(const struct admin_view *v, struct admin_call *c) MUST_CHECK;
uint16_t admin_api_resume(const struct admin_view *v, struct admin_call *c,
                          const struct ask_answer *answer) MUST_CHECK;
// The body of a refusal: {"error":{"status":404,"id":"not-found","message":"..."}}. Returns the
// status.
uint16_t admin_refuse(struct admin_call *c, uint16_t status, const char *id, const char *fmt, ...)
    PRINTF_LIKE(4, 5) MUST_CHECK;
// One event as a message of the feed (the HTML standard, 9.2). False: out of memory.
bool admin_event_message(const struct event *e, struct buf *out) MUST_CHECK;

#endif
