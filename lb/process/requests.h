// SPDX-License-Identifier: MIT
// What control asks of the supervisor, and questions of control to all workers, which the
// supervisor passes on.
#ifndef EVLB_REQUESTS_H
#define EVLB_REQUESTS_H

#include "process/tree.h"

struct requests *requests_new(struct tree *t) MUST_CHECK;
void requests_free(struct requests *r);

// ASK and QUERY of control, ANSWER of a worker. The descriptors stay the caller's.
void requests_hear(struct requests *r, struct child *c, const struct message *m, const int *fds);
// A child has died: a worker answers no more, control waits for nothing any more.
void requests_forget(struct requests *r, const struct child *c);
// Gives up on workers that do not answer.
void requests_turn(struct requests *r, uint64_t now_ms);
// When it is to be called again; UINT64_MAX: when something has happened.
uint64_t requests_next_ms(const struct requests *r);

// This process and all children log from this level on.
void requests_log_level(struct tree *t, enum log_level level);

#endif
