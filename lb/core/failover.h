// SPDX-License-Identifier: MIT
// Which servers of a backend are to work and which stand by: a pure function of their states, of
// who works now, and of time. Control decides with it and writes the result to the board; workers
// only read that.
//
//   active-active   all usable servers of the best tier that has any
//   active-passive  one: the first usable, by tier, then by the order of the list
#ifndef EVLB_FAILOVER_H
#define EVLB_FAILOVER_H

#include "conf/config.h"

#define FAILOVER_NONE UINT32_MAX

// What is known of each server of the backend, in the order of the list.
struct failover_server {
    bool usable;          // up or starting, weight above 0, has an address
    uint64_t up_since_ms; // since when it is usable; 0: since the start
};

// What is remembered of a backend between two decisions.
struct failover_track {
    uint32_t active; // active-passive: its place; active-active: the tier (0: none yet);
                     // FAILOVER_NONE: none yet or none usable
    bool switched;   // by an administrator: stays until it is unusable, or, with `failback: auto`,
                     // until he takes it back
};

enum failover_reason {
    FAILOVER_FIRST,    // the first usable one
    FAILOVER_KEPT,     // failback: manual, or the better one is not up for long enough
    FAILOVER_SWITCHED, // an administrator said so
    FAILOVER_NO_SERVER
};

struct failover_result {
    uint32_t active;        // as in the track
    uint64_t look_again_ms; // when time alone may change it (failback-after); UINT64_MAX: never
    enum failover_reason reason;
    bool changed; // against the track
};

// Decides, updates the track and says in works[0..n_servers) who works. A usable server that does
// not work stands by.
struct failover_result failover_decide(const struct backend *b, struct failover_track *track,
                                       const struct failover_server *servers, bool *works,
                                       uint64_t now_ms);
// An administrator's choice of the working server (active-passive) or tier (active-active). False:
// that one is not usable; nothing changes.
bool failover_switch(const struct backend *b, struct failover_track *track,
                     const struct failover_server *servers, uint32_t place) MUST_CHECK;
// A sentence for status and log.
const char *failover_reason_text(enum failover_reason reason);

// What the board must say of a backend that nobody has looked at yet: every server up, the first
// tier or the first server working. Before the backend's slots are used by any worker.
struct board;
void failover_begin(const struct backend *b, struct board *board);

#endif
