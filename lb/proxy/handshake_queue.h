// SPDX-License-Identifier: MIT
// How many TLS handshakes run at a time: in a turn of the loop, so that a flood of them does not
// hold up who is connected already; and of an address, by `limit.handshakes`. The rest waits, first
// in first out; addresses take turns.
#ifndef EVLB_HANDSHAKE_QUEUE_H
#define EVLB_HANDSHAKE_QUEUE_H

#include "proxy/worker_state.h"

#define HANDSHAKES_PER_TURN 4u // begun; each costs a signature: 0.2 to 1 ms

void handshakes_init(struct worker *w);
// Takes a place for one handshake. False: it has to wait.
bool handshakes_enter(struct listener *l) MUST_CHECK;
// Waits: handshake_turn(node) is called when a place was taken for it.
void handshakes_wait(struct listener *l, struct list *node);
// Waits no more.
void handshakes_forget(struct listener *l, struct list *node);
// Gives the place back.
void handshakes_exit(struct listener *l);
// The limit may have changed.
void handshakes_look(struct listener *l);

#endif
