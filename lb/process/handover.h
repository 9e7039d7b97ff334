// SPDX-License-Identifier: MIT
// `evlb ctl upgrade` in the supervisor: the new binary is started on our sockets (upgrade.h), and
// we drain when it serves.
#ifndef EVLB_HANDOVER_H
#define EVLB_HANDOVER_H

#include "process/tree.h"

struct handover;

// Keeps what is needed to start the program again; before anything writes over argv.
struct handover *handover_new(struct tree *t, int argc, char *const *argv) MUST_CHECK;
void handover_free(struct handover *h);

// Begins, for this request of control. NULL, or why not; otherwise it is answered later.
const char *handover_begin(struct handover *h, uint32_t request);
// Control has ended: nobody waits for the answer any more.
void handover_forget(struct handover *h);
// A child of ours that is in no table has ended.
void handover_reaped(struct handover *h, int32_t pid);
// Gives up on a new process that takes too long: kills it, and all goes on as before.
void handover_turn(struct handover *h, uint64_t now_ms);
// When it is to be called; UINT64_MAX: nothing is due.
uint64_t handover_next_ms(const struct handover *h);
// What poll() is to watch; -1: nothing.
int handover_fd(const struct handover *h);
// Something has happened there. True: the new one serves, and our time is over: the answer has been
// sent, and files of sockets are not ours any more.
bool handover_hear(struct handover *h) MUST_CHECK;

#endif
