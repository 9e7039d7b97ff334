// SPDX-License-Identifier: MIT
// One health check on the wire: a connection, perhaps a PROXY header, and a dialogue.
#ifndef EVLB_PROBE_H
#define EVLB_PROBE_H

#include "control/check_dialogue.h"
#include "io/loop.h"
#include "io/tls.h"

struct probe;

enum probe_result {
    PROBE_PASSED,
    PROBE_FAILED, // `reason` says why
    PROBE_BROKE, // `error` is the errno of a connection that failed or broke, or of our own trouble
};
// The end of a probe that was not dropped; it is gone already.
typedef void probe_over(void *owner, enum probe_result result, int error, const char *reason);

struct probe_order {
    const struct check_terms *terms; // live longer, as does the server
    const struct server *server;
    struct addr to;
    bool sends_proxy;
    struct tls_client *tls; // lives longer; NULL: plain text
    void *owner;
    probe_over *over;
};

// NULL: nothing began, *error says why.
struct probe *probe_begin(struct loop *loop, const struct probe_order *order,
                          int *error) MUST_CHECK;
// Its time is over: what has come until now still counts, else it failed. Always ends it.
void probe_late(struct probe *p);
// Breaks it off; nobody is told.
void probe_drop(struct probe *p);

#endif
