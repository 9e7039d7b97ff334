// SPDX-License-Identifier: MIT
// What the clients of this worker are doing, for `evlb ctl sessions`.
#ifndef EVLB_SESSIONS_DUMP_H
#define EVLB_SESSIONS_DUMP_H

#include "base/buf.h"
#include "io/channel.h"
#include "proxy/worker_state.h"

// Appends one JSON object per session, separated by commas, at most `most`; the fields are those of
// docs/admin-api.md. False: out of memory.
bool sessions_dump(struct worker *w, uint32_t most, struct buf *out) MUST_CHECK;
// Answers a QUERY_SESSIONS of the supervisor on its channel.
void sessions_answer(struct worker *w, const struct message *query, int channel_fd);

#endif
