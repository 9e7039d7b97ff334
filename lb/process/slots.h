// SPDX-License-Identifier: MIT
// Who owns which slot of the board, over reloads. Runs in the supervisor.
//
// A server keeps its slot while its backend, its name and its address stay the same; a backend and
// a frontend while its name does. A slot whose owner is gone is used again when no worker uses a
// configuration that names it any more and its gauge is zero; an owner that comes back before that
// finds its slot as it left it.
#ifndef EVLB_SLOTS_H
#define EVLB_SLOTS_H

#include "conf/config.h"
#include "core/board.h"

struct slots;

// The dimensions that the board should have for this configuration: with room to grow.
struct board_dim slots_dim(const struct config *config, uint32_t workers);
struct slots *slots_new(struct board *board) MUST_CHECK;
void slots_free(struct slots *s);

// Writes the slots of all servers, backends and frontends into their `index`, prepares the board's
// words of new ones, and marks those of `generation` - 1 that are not in it as leaving. Nothing is
// given out when it fails: false, *why says which room is used up. A generation that is given up
// after all is undone by assigning the one before it again.
bool slots_assign(struct slots *s, struct config *config, uint32_t generation,
                  const char **why) MUST_CHECK;
// Nobody uses a generation older than this any more.
void slots_released(struct slots *s, uint32_t oldest);

#endif
