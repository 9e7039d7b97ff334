// SPDX-License-Identifier: MIT
// The check engine: connects to servers when it is time, has the dialogue of the backend's protocol
// with them, and reports each verdict to control/servers.h.
#ifndef EVLB_CHECKS_H
#define EVLB_CHECKS_H

#include "control/servers.h"

struct checks;

// Checks all servers of servers_config() that are to be checked, the first ones spread over
// `every`. Board and servers live longer.
struct checks *checks_new(struct loop *loop, struct board *board,
                          struct servers *servers) MUST_CHECK;
void checks_free(struct checks *c);
// After servers_reconfigure(), while the old configuration still lives: checks that run are broken
// off without a verdict and begin again.
void checks_reconfigure(struct checks *c);
// The server's situation has changed (an administrator, its address): its next check is now.
void checks_hurry(struct checks *c, uint32_t slot);
// Looks on the board for servers that real traffic suspects, and checks them now.
void checks_suspects(struct checks *c);

#endif
