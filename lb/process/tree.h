// SPDX-License-Identifier: MIT
// The process tree as the supervisor holds it. Private to process/: supervisor.c decides,
// children.c forks and reaps, child_main.c is what a child does.
#ifndef EVLB_TREE_H
#define EVLB_TREE_H

#include <sys/types.h>

#include "process/limits.h"
#include "process/listeners.h"
#include "process/privileges.h"
#include "process/shared.h"

enum child_kind { CHILD_LOGGER, CHILD_CONTROL, CHILD_WORKER };

struct child {
    enum child_kind kind;
    uint32_t id;                 // of a worker
    char title[24];              // "evlb: worker 0"
    const char *name;            // "worker 0": in `title`
    bool wanted;                 // replace it when it dies
    bool ready;                  // it has said so
    bool cut;                    // we killed it: its end is no fault
    pid_t pid;                   // 0: does not run
    int channel;                 // our end; -1: none
    uint64_t started_ms;         // CLOCK_MONOTONIC
    uint64_t start_ms;           // when to start it; 0: nothing planned
    uint32_t quick_deaths;       // in a row
    struct process_entry *entry; // for others to read
    struct ring *log;            // its operational lines; NULL: it writes them itself
};

struct tree {
    const struct config *config;
    struct limits limits;
    struct privileges who;
    struct shared *shared;
    struct listeners *listeners;
    struct child *children; // logger, control, then the workers
    uint32_t n_children;
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
// Starts what is due. A child returns never.
void children_start_due(struct tree *t, uint64_t now_ms);
// Collects the dead, takes back what they held, plans their replacements.
void children_reap(struct tree *t, uint64_t now_ms);
// Reads what a child said.
void child_listen(struct child *c);
// When the next one is to be started; UINT64_MAX: none is waiting.
uint64_t children_next_start_ms(const struct tree *t);
// No replacement from now on, for all of this kind.
void children_unwant(struct tree *t, enum child_kind kind);
// One message to each of this kind that runs.
void children_tell(struct tree *t, enum child_kind kind, uint32_t message, uint32_t arg);
// SIGKILL to each of this kind that still runs.
void children_cut(struct tree *t, enum child_kind kind);
uint32_t children_running(const struct tree *t, enum child_kind kind);
// True when each of this kind runs and is ready.
bool children_ready(const struct tree *t, enum child_kind kind);

// ---- child_main.c ----

// The life of a child after the fork; `channel` is its end.
void child_main(const struct tree *t, const struct child *c, int channel) NORETURN;

#endif
