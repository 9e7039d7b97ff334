// SPDX-License-Identifier: MIT
// The flight recorder: a ring of the last events of this process, printed when it panics.
#ifndef EVLB_PANIC_H
#define EVLB_PANIC_H

#include "base/base.h"

// Notes an event. `what` must be a string that lives as long as the process (a literal); `a` and
// `b` are its two figures. Costs a few stores; safe anywhere.
void panic_note(const char *what, uint64_t a, uint64_t b);

// Names the process in a panic ("worker 0"). The string must outlive the process.
void panic_set_process(const char *name);

// Makes SIGSEGV, SIGBUS, SIGILL and SIGFPE print the ring before they kill the process.
void panic_catch_signals(void);

#endif
