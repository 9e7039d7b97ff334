// SPDX-License-Identifier: MIT
// The listening sockets: bound by the supervisor and kept open there, so that connections that wait
// in the queue of a dying worker wait for its replacement. A reload keeps the sockets of addresses
// that stay.
//
//   NEW --commit--> KEPT --commit of a configuration without it--> LEFT --close_left--> gone
//    '--undo--> gone
#ifndef EVLB_LISTENERS_H
#define EVLB_LISTENERS_H

#include "base/buf.h"
#include "conf/config.h"

enum listener_state {
    LISTENER_NEW,  // bound for a configuration that is not in force yet
    LISTENER_KEPT, // in force
    LISTENER_LEFT, // not in force any more; workers may still accept what waits there
};

// The sockets of one address.
struct listener_set {
    enum listener_state state;
    uint32_t number; // never given to another address
    struct addr addr;
    bool v6_only;
    bool shared;    // one socket for all rows: a unix socket, or one that was handed over
    bool owns_file; // of a unix socket
    bool named;     // by the configuration that is being prepared
    enum mode mode; // as the sockets are set up
    enum mode named_mode;
    int *fds; // [rows]; -1: closed. A shared one stands in every row
};

struct listeners {
    uint32_t rows; // one per worker that serves
    struct listener_set *sets;
    uint32_t n, cap;
    uint32_t next_number;
};

struct listeners *listeners_new(uint32_t rows) MUST_CHECK;
// Closes, removes the files of unix sockets, frees. NULL is allowed.
void listeners_free(struct listeners *l);

// Finds or binds the sockets of all listens and writes their numbers into the configuration. All or
// nothing: on failure false, and the reasons, one line each, are appended to `why`.
bool listeners_prepare(struct listeners *l, struct config *config, struct buf *why) MUST_CHECK;
// The prepared configuration is in force from now on.
void listeners_commit(struct listeners *l);
// It is not; what was bound for it is closed.
void listeners_undo(struct listeners *l);
// Closes what is left; no worker listens there any more.
void listeners_close_left(struct listeners *l);

// The socket of a row; -1: there is none of that number, or it is left.
int listener_fd(const struct listeners *l, uint32_t number, uint32_t row);

// Closes the sockets of this process; their files stay until listeners_free().
void listeners_close(struct listeners *l);

// Somebody else has the sockets, too: the files of unix sockets are his from now on.
void listeners_disown(struct listeners *l);

// The most sockets that were handed over for one address: a worker is needed for each, as what
// waits in one that is closed is lost. 0: none were.
uint32_t listeners_handed_over(const struct config *config);
// Listens over all frontends: the sockets of one worker.
uint32_t listeners_count(const struct config *config);

#endif
