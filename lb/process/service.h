// SPDX-License-Identifier: MIT
// What the service manager hears of us while we run: the watchdog, and a line of status.
#ifndef EVLB_SERVICE_H
#define EVLB_SERVICE_H

#include "process/tree.h"

// Does what is due.
void service_turn(const struct tree *t, uint64_t now_ms);
// When it is to be called again; UINT64_MAX: never.
uint64_t service_next_ms(void);

#endif
