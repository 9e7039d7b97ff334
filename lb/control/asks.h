// SPDX-License-Identifier: MIT
// What control asks of the supervisor over its channel, and whose answers are still to come.
//
//   asks_send() --ASK or QUERY--> supervisor --ANSWER--> asks_answer() --> waiter->answered()
#ifndef EVLB_ASKS_H
#define EVLB_ASKS_H

#include "base/list.h"
#include "io/channel.h"

struct asks;
struct asks_waiter;

// One answer. `text` is valid during the call only. `last`: no more come, the waiter waits no
// longer.
struct ask_answer {
    uint32_t status; // 0: done
    uint32_t worker; // of a QUERY: who answers
    uint32_t value;  // of a QUERY: how many there are in all
    struct str text;
    bool last;
};
typedef void ask_answered(struct asks_waiter *w, const struct ask_answer *answer);

// Owned by who waits; zeroed or list_init()ed before its first use.
struct asks_waiter {
    struct list node; // in asks->waiting while it waits
    uint32_t request;
    ask_answered *answered;
};

// `channel_fd` stays the caller's. NULL: out of memory.
struct asks *asks_new(int channel_fd) MUST_CHECK;
void asks_free(struct asks *a);

// Sends an ASK (`what`: enum ask) or a QUERY (enum query) with an optional text; `w` is told of the
// answers until asks_forget(). 0 or -errno: nothing was sent then, nobody waits.
int asks_ask(struct asks *a, struct asks_waiter *w, enum ask what, uint32_t value,
             struct str text) MUST_CHECK;
int asks_query(struct asks *a, struct asks_waiter *w, enum query what, uint32_t value) MUST_CHECK;
// Waits no longer; what still comes is dropped. May be called on one that does not wait.
void asks_forget(struct asks_waiter *w);

// An ANSWER has come; its descriptors are closed here.
void asks_answer(struct asks *a, const struct message *m, int *fds);

#endif
