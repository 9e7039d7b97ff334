// SPDX-License-Identifier: MIT
// Challenges of a certificate authority: what a worker asks the supervisor about them.
#ifndef EVLB_CHALLENGE_H
#define EVLB_CHALLENGE_H

#include "io/channel.h"
#include "proxy/worker_state.h"

#define CHALLENGES_MAX 32u // of a worker, at a time: guesses must not keep the supervisor busy
#define CHALLENGE_MS 5000u // what an answer may take

enum challenge_state { CHALLENGE_WAITS, CHALLENGE_MISSING, CHALLENGE_FOUND };

struct challenge;

// Asks for the answer to `token` at the frontend; on_answer(holder) is called when it is there.
// NULL: too many wait already, or the supervisor cannot be asked now.
struct challenge *challenge_ask(struct worker *w, const struct frontend *f, struct str token,
                                void *holder, void (*on_answer)(void *holder)) MUST_CHECK;
// How it stands; *text is the answer that was found, and lives until challenge_forget().
enum challenge_state challenge_state(const struct challenge *c, struct str *text);
// Ends it, answered or not. NULL: nothing to do.
void challenge_forget(struct challenge *c);
// What the supervisor has answered. Takes the descriptors.
void challenge_answered(struct worker *w, const struct message *m, const int *fds);

#endif
