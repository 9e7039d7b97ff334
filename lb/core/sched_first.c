// SPDX-License-Identifier: MIT
// `balance: first`: the first server of the list that is usable takes everything; the others stand
// by in the order of the list. Runs in workers, called by sched_pick().
// Invariants: reads no load and no cursor, so that all workers agree on the server whenever they
// agree on which ones are being skipped.
#include "core/sched_ops.h"

static uint32_t first_pick(const struct scheduler *s, const struct pick_round *a)
{
    return sched_scan(s, a, 0);
}

const struct sched_ops sched_first = {NULL, first_pick};
