// SPDX-License-Identifier: MIT
// Server names to addresses.
#ifndef EVLB_RESOLVE_H
#define EVLB_RESOLVE_H

#include "conf/config.h"
#include "core/board.h"

// Writes the address of every server that was given by name to the board; blocks. A name without an
// address is a warning, and its server gets no traffic. Returns how many stayed without.
uint32_t resolve_servers(const struct config *config, struct board *board);

#endif
