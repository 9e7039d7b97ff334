// SPDX-License-Identifier: MIT
// `balance: first`: the first server of the list that is usable and has room takes everything; the
// others stand by in the order of the list. Runs in workers, called by sched_pick().
// Invariants: reads no cursor, and no load but that of servers with a limit, so that all workers
// agree on the server whenever they agree on which ones are full or being skipped.
#include "core/sched_ops.h"

static uint32_t first_pick(const struct scheduler *s, const struct pick_round *a)
{
    (void)s;
    return sched_scan(a, 0);
}

const struct sched_ops sched_first = {NULL, NULL, first_pick};
