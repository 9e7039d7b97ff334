// SPDX-License-Identifier: MIT
// Who makes the keys of session tickets (io/tls_tickets.h), and when: the supervisor.
#ifndef EVLB_PROCESS_TICKETS_H
#define EVLB_PROCESS_TICKETS_H

#include "conf/load.h"
#include "process/tree.h"

// Whether the file of keys can be used; if not, an error is added to the findings.
bool tickets_check(const struct config *c, struct findings *f) MUST_CHECK;
// At the start: the keys of the file; else those that an old process has left
// (process/inherited.h), else new ones.
void tickets_begin(struct tree *t, struct str inherited);
// A configuration has come into force in place of `old`.
void tickets_changed(struct tree *t, const struct config *old);
// A new key, when it is due.
void tickets_turn(struct tree *t, uint64_t now_ms);
// When it is to be called again; UINT64_MAX: when something has happened.
uint64_t tickets_next_ms(const struct tree *t);

#endif
