// SPDX-License-Identifier: MIT
// Inside of the servers' state: what servers.c (who says what), servers_settle.c (what follows from
// it) and servers_report.c (who is told) share. Nobody else includes this.
#ifndef EVLB_SERVERS_INSIDE_H
#define EVLB_SERVERS_INSIDE_H

#include "control/servers.h"

struct backend_entry {
    struct backend_track track;
    struct servers *owner;
    struct timer timer; // when time alone changes something: slow start, failback-after, --for
    uint32_t told;      // the working place or tier that was last reported
    bool changed;       // words of the board, since the epoch was raised
};

struct server_entry {
    struct server_track track;
    bool kept;    // is in the new configuration, too
    bool settled; // its state has been decided once: from now on a change is news
    bool turned;  // its state has just changed
};

struct servers {
    struct loop *loop;
    struct board *board;
    const struct config *config;
    const int *wake_fds;
    servers_on_change *on_change;
    void *ctx;
    struct server_entry **server;   // by slot; NULL: not in the configuration
    struct backend_entry **backend; // by slot
    // room for one decision, for the longest backend
    struct failover_server *candidates;
    bool *works;
    bool changed;     // the board: workers are to be woken
    uint32_t n_local; // servers that could not be checked the last time
};

static inline struct board_server *servers_words(const struct servers *s, uint32_t slot)
{
    return &s->board->server[slot];
}

static inline bool server_state_usable(enum server_state state)
{
    return state == SERVER_UP || state == SERVER_STARTING;
}

// Sets one word of the board. True when it was another before.
static inline bool servers_put(_Atomic uint32_t *word, uint32_t value)
{
    return atomic_exchange(word, value) != value;
}

// ---- servers_settle.c ----

// Decides anew about all servers of the backend, writes the board and reports. `cause` (or NULL) is
// the server about which something was learned: `why` becomes the reason of its new state.
void servers_settle(struct servers *s, struct backend_entry *b, const struct server_entry *cause,
                    const char *why);
// Forgets all checks of the server, also one that is running: it begins as at a start.
void servers_check_anew(struct servers *s, struct server_track *t);
// Fills s->candidates for a decision about this backend.
void servers_look(struct servers *s, const struct backend *b);
// Wakes the workers when anything has changed since the last time.
void servers_wake(struct servers *s);

// ---- servers_report.c ----

// Tells of all servers of the backend that have turned, and of who works now.
void servers_report(struct servers *s, struct backend_entry *b, const char *why);

#endif
