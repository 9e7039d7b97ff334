// SPDX-License-Identifier: MIT
// The process tree as the supervisor holds it. Private to process/: supervisor.c decides,
// children.c forks and reaps, replace.c renews workers, reload.c brings new configurations,
// requests.c does what control asks for, child_main.c is what a child does.
#ifndef EVLB_TREE_H
#define EVLB_TREE_H

#include <sys/types.h>

#include "base/list.h"
#include "io/channel.h"
#include "process/limits.h"
#include "process/listeners.h"
#include "process/privileges.h"
#include "process/shared.h"
#include "process/slots.h"

enum child_kind { CHILD_LOGGER, CHILD_CONTROL, CHILD_WORKER };

// A worker's id is its seat: its place on the board, its rings, its title. There is one seat more
// than there are workers, so that a replacement can serve while the one it replaces drains; they
// share the row of listening sockets.
struct child {
    enum child_kind kind;
    uint32_t id;                 // of a worker
    uint32_t row;                // of a worker: its listening sockets
    char title[24];              // "evlb: worker 0"
    const char *name;            // "worker 0": in `title`
    bool wanted;                 // replace it when it dies
    bool ready;                  // it has said so
    bool cut;                    // we killed it: its end is no fault
    bool renew;                  // a worker: to be replaced as soon as a seat is free
    bool leaving;                // a worker: another one has taken its row
    uint32_t renew_request;      // of control, who waits until that is done; 0: nobody does
    uint64_t leave_ms;           // when a leaving one is killed; 0: it was not told to drain yet
    pid_t pid;                   // 0: does not run
    int channel;                 // our end; -1: none
    struct list outbox;          // struct packet: what the channel had no room for
    uint32_t taken;              // the generation that it works with
    uint32_t oldest;             // the oldest that it still uses
    uint64_t started_ms;         // CLOCK_MONOTONIC
    uint64_t start_ms;           // when to start it; 0: nothing planned
    uint32_t quick_deaths;       // in a row
    struct process_entry *entry; // for others to read
    struct ring *log;            // its operational lines; NULL: it writes them itself
};

struct bundle;
struct cert_watch;
struct handover;
struct reload;
struct requests;

struct tree {
    struct config *config;    // in force
    struct bundle *recording; // of it: what was read when it was loaded
    uint32_t generation;      // its number
    struct limits limits;
    struct privileges who;
    struct shared *shared;
    struct slots *slots;
    struct listeners *listeners;
    struct child *children; // logger, control, then the workers
    uint32_t n_children;
    struct reload *reload;
    struct requests *requests;
    struct cert_watch *cert_watch;
    struct handover *handover;
    uint64_t ticket_ms; // when the ticket key in use was made
    bool handed_over;   // a new binary has our sockets
    pid_t supervisor;
    int null_fd;     // /dev/null
    int log_pipe[2]; // descriptor 2 of the children -> logger
    int access_fd;   // -1: the access log goes to standard error, or there is none
    int admin_fd;    // -1: no admin socket
    int signal_fd;
    uint32_t faults;  // children that ended as they should not have
    int first_status; // exit status of a child that ended before it was ready; 0: none did
};

// ---- children.c ----

// Makes the table of children; starts nothing.
void children_init(struct tree *t);
// Workers that have not started yet start when control is ready, at the latest at `until_ms`: it
// looks up names first.
void children_hold_workers(struct tree *t, uint64_t until_ms);
// Starts what is due. A child returns never.
void children_start_due(struct tree *t, uint64_t now_ms);
// Collects the dead, takes back what they held, plans their replacements.
void children_reap(struct tree *t, uint64_t now_ms);
// Reads what a child said, and sends what waits for room in its channel.
void child_listen(struct tree *t, struct child *c);
// What poll() is to wait for on its channel.
short child_events(const struct child *c);
// One message, now or as soon as its channel has room; the descriptors stay the caller's. False: it
// has no channel any more.
bool child_tell(struct child *c, const struct message *m, const int *fds);
// The same to control, with a text: the answer to something that it asked.
void control_answer(struct tree *t, uint32_t request, uint32_t status, const char *text);
// When the next one is to be started; UINT64_MAX: none is waiting.
uint64_t children_next_start_ms(const struct tree *t);
// No replacement from now on, for all of this kind.
void children_unwant(struct tree *t, enum child_kind kind);
// One message to each of this kind that runs.
void children_tell(struct tree *t, enum child_kind kind, uint32_t message, uint32_t arg);
// SIGKILL to each of this kind that still runs.
void children_cut(struct tree *t, enum child_kind kind);
void child_cut(struct child *c);
uint32_t children_running(const struct tree *t, enum child_kind kind);
// True when each of this kind that is wanted runs and is ready.
bool children_ready(const struct tree *t, enum child_kind kind);
void children_free(struct tree *t);

// ---- replace.c ----

// A worker is to be replaced by another one that takes its listening sockets, and then to drain.
// NULL, or why not; `request` of control (0: none) is answered when the other one serves.
const char *replace_worker(struct tree *t, uint32_t id, uint32_t request);
// The worker has ended: who waits for its replacement is told.
void replace_ended(struct tree *t, struct child *c);
// Nobody waits any more: the control process that asked is gone.
void replace_forget(struct tree *t);
// Does what is due: begins, tells to drain, kills those that do not end.
void replace_turn(struct tree *t, uint64_t now_ms);
// When it is to be called again; UINT64_MAX: when something has happened.
uint64_t replace_next_ms(const struct tree *t);

// ---- child_main.c ----

// The life of a child after the fork; `channel` is its end.
void child_main(const struct tree *t, const struct child *c, int channel) NORETURN;

#endif
