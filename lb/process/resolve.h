// SPDX-License-Identifier: MIT
// Server names to addresses, once, at the start.
#ifndef EVLB_RESOLVE_H
#define EVLB_RESOLVE_H

#include "conf/config.h"

// Fills in the address of every server that was given by name; blocks. A name without an address
// is a warning, and its server gets no traffic. Returns how many stayed without.
uint32_t resolve_servers(const struct config *config);

#endif
