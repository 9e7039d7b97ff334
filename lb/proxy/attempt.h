// SPDX-License-Identifier: MIT
// One piece of work looking for a server: picks, claims, tries again elsewhere. Shared by both
// modes, so that a claim has one place where it is made and one where it ends.
#ifndef EVLB_ATTEMPT_H
#define EVLB_ATTEMPT_H

#include "core/end.h"
#include "proxy/generation.h"
#include "proxy/queue.h"
#include "proxy/worker_state.h"

struct attempt {
    struct generation *generation; // held: backend and servers are its
    const struct backend *backend;
    const struct server *server; // claimed; NULL: none
    const struct server *last;   // claimed last, for the log
    uint64_t key;                // for balance: hash
    uint32_t retries;            // made so far
    struct waiter waiter;        // its place in the backend's queue
    uint32_t avoid[PICK_AVOID_MAX];
    uint8_t n_avoid;
    bool has_key;
    bool retrying; // counts against the worker's retry budget
};

enum attempt_result {
    ATTEMPT_PICKED,     // and claimed
    ATTEMPT_WAITS,      // in the queue: on_turn(holder) is called when it may pick
    ATTEMPT_QUEUE_FULL, // no server has room, and max-queue wait already
    ATTEMPT_NO_SERVER,  // none is usable
};

// Holds the configuration that the work began with, until attempt_forget().
void attempt_begin(struct attempt *a, struct generation *g);
void attempt_forget(struct attempt *a, struct worker *w);
// Picks a server and claims it, or waits for one that has room. Behind those who wait already. What
// has waited picks among the servers as they are now.
enum attempt_result attempt_pick(struct attempt *a, struct worker *w, void *holder,
                                 void (*on_turn)(void *holder)) MUST_CHECK;
// What the claimed server needs for TLS; NULL: plain text.
struct tls_client *attempt_tls(const struct attempt *a);
// Claims this server without asking the scheduler. False: it has no room.
bool attempt_claim(struct attempt *a, struct worker *w, const struct server *s) MUST_CHECK;
// The connection to the claimed server failed before it was established: the server is suspect and
// avoided from now on; the claim is released.
void attempt_refused(struct attempt *a, struct worker *w);
// Releases the claim without a verdict on the server (the next pick should avoid it all the same).
void attempt_leave(struct attempt *a, struct worker *w);
// True when one more retry is allowed by `retries` and by the budget (at most 20 % of what is in
// progress in this worker, at least 3); counts it. Outside of the budget are refused connections,
// and the first time that the server ended the connection before it answered: those who were sent
// to a server that has just died are many at once, and their retries are no more than they were.
bool attempt_may_retry(struct attempt *a, struct worker *w, enum end_cause why) MUST_CHECK;
// The claimed server has accepted the connection, but broke it or kept silent until its time was
// over. The claim stays.
void attempt_unanswered(struct attempt *a, struct worker *w);
// The claimed server works: an answer has come (http), the connection stands (tcp).
void attempt_succeeded(struct attempt *a, struct worker *w);
// All is over: releases what is held, leaves the queue. May be called again.
void attempt_end(struct attempt *a, struct worker *w);

#endif
