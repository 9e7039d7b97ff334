// SPDX-License-Identifier: MIT
// Reload in place: the supervisor's side. Files are read again, what is new is bound, and all
// children are given the new configuration; what stays the same is not touched.
#ifndef EVLB_PROCESS_RELOAD_H
#define EVLB_PROCESS_RELOAD_H

#include "process/reload_load.h"
#include "process/supervisor.h"
#include "process/tree.h"

// `options` lives as long.
struct reload *reload_new(struct tree *t, const struct supervisor_options *options) MUST_CHECK;
void reload_free(struct reload *r);

// One more reload is wanted. Those that wait already are the same one, unless they bring a line of
// the overlay (conf/overlay.h) with them.
void reload_signal(struct reload *r, enum reload_kind kind);
// The same for control, which gets an answer to its `request`; `line` NULL: no line.
void reload_ask(struct reload *r, uint32_t request, enum reload_kind kind, const char *line);
// No more reloads: evlb stops. Those that wait are answered.
void reload_stop(struct reload *r);
// Nobody waits for answers any more: the control process that asked is gone.
void reload_forget(struct reload *r);

// A child has taken a generation (status 0) or could not.
void reload_taken(struct reload *r, struct child *c, uint32_t generation, uint32_t status);
// Does what is due: begins the next one, ends the one in progress.
void reload_turn(struct reload *r, uint64_t now_ms);
// When it is to be called again; UINT64_MAX: when something has happened.
uint64_t reload_next_ms(const struct reload *r);

#endif
