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
    uint32_t active; // active-passive: its place; active-active: the tier; FAILOVER_NONE: none yet
                     // or none usable
    bool switched;   // by an administrator: stays until it is unusable or until he switches to the
                     // best one, also with `failback: auto`
};

enum failover_reason {
    FAILOVER_FIRST,    // the best usable one
    FAILOVER_KEPT,     // failback: manual, or no better one is up for long enough
    FAILOVER_SWITCHED, // an administrator said so
    FAILOVER_NO_SERVER
};

struct failover_result {
    uint32_t active;        // as in the track
    uint64_t look_again_ms; // when time alone may change it (failback-after); UINT64_MAX: never
    enum failover_reason reason;
    bool changed; // against the track
};

// Decides, updates the track and says in works[0..n_servers) who works: usable ones alone. All
// others get the standby word 1, also those that cannot work now: one that comes back must not
// begin before it has been decided about.
//
// The one that works and goes down leaves the work to the best usable one at once. With `failback:
// auto` a better one gets it back as soon as it has been usable for failback-after; the best of
// those, when several are. With `failback: manual` the successor keeps it, also when the first one
// returns.
struct failover_result failover_decide(const struct backend *b, struct failover_track *track,
                                       const struct failover_server *servers, bool *works,
                                       uint64_t now_ms);
// False: all servers work at once, so that none can work instead of another.
bool failover_can_switch(const struct backend *b) MUST_CHECK;
// An administrator's choice of the working server (active-passive) or of its tier (active-active);
// failover_decide() then says who works. False: that server is not usable; nothing changes.
bool failover_switch(const struct backend *b, struct failover_track *track,
                     const struct failover_server *servers, uint32_t place) MUST_CHECK;
// A sentence for status and log.
const char *failover_reason_text(enum failover_reason reason, enum failback failback);

// Writes the standby words of a backend that nobody has looked at yet: every server up, so that the
// first tier or the first server works. Before the backend's slots are used by any worker.
struct board;
void failover_begin(const struct backend *b, struct board *board);
// The track of a backend as the board has it: for a control process that takes over from one that
// died, and for a new configuration, where places and the mode may be others.
struct failover_track failover_resume(const struct backend *b, const struct board *board);

#endif
