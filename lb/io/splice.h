// SPDX-License-Identifier: MIT
// Bulk bytes through a pipe, without a copy to user space (splice(2)). Part of flow_pump().
#ifndef EVLB_SPLICE_H
#define EVLB_SPLICE_H

#include "io/flow.h"

#define SPLICE_AFTER (256u * 1024) // bytes through the buffer before a transfer counts as large

// True when the next bytes of `f` should go through a pipe: the transfer has proved large, both
// ends are plain sockets, and the buffer is empty (or bytes are still in the pipe).
bool splice_wanted(const struct flow *f, const struct conn *src, const struct conn *dst);
// One socket -> pipe -> socket move. FLOW_YIELD: go on; anything else as flow_pump().
enum flow_result splice_pump(struct flow *f, struct conn *src, struct conn *dst) MUST_CHECK;
// Gives the pipe back (or closes it when bytes are left in it).
void splice_end(struct flow *f);

#endif
