// SPDX-License-Identifier: MIT
// Passive health: a server whose connections fail is skipped for 1 s, then 2, 4, ... 30 s, and
// tried again by real traffic; the first connection that succeeds clears it.
#ifndef EVLB_SUSPECT_H
#define EVLB_SUSPECT_H

#include "conf/config.h"
#include "core/board.h"

#define SUSPECT_FIRST_MS 1000u
#define SUSPECT_LONGEST_MS 30000u

// A connection to the server failed. Several workers may say so at once; failures while it is
// already being skipped do not lengthen the time. Returns true when this call began a skip (for
// one log line).
bool suspect_failed(struct board *b, const struct server *s, uint64_t now_ms);
// A connection succeeded. Returns true when this ended a skip or a row of failures.
bool suspect_succeeded(struct board *b, const struct server *s);
bool suspect_skipped(const struct board *b, uint32_t server, uint64_t now_ms);

#endif
