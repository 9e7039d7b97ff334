// SPDX-License-Identifier: MIT
// Passive health: what connect failures of real traffic say about a server. Called by workers after
// every connect; the schedulers read the result. Time is a parameter.
//
//   fine --failure--> skipped 1 s --expires--> tried by traffic --failure--> skipped 2 s, 4 s, ...
//   30 s
//     ^                   |                          |
//     +---- success ------+-------- success ---------+
//
// Invariants: skip_until_ms is 0 exactly when the server is fine; only the process whose
// compare-and-swap began a skip counts a failure, so failures counts skips in a row;
// skipped[backend] is never below the number of its servers with skip_until_ms set (it is raised
// before the word is set and lowered after it is cleared), whenever a worker is killed.
#include "core/suspect.h"

static uint64_t skip_ms(uint32_t failures)
{
    // 1 s << 5 is the first that is above the longest
    return failures < 5 ? (uint64_t)SUSPECT_FIRST_MS << failures : SUSPECT_LONGEST_MS;
}

bool suspect_failed(struct board *b, const struct server *s, uint64_t now_ms)
{
    struct board_suspect *suspect = &b->suspect[s->index];
    _Atomic uint32_t *skipped = &b->skipped[s->backend->index];
    uint64_t until = atomic_load(&suspect->skip_until_ms);
    while (until <= now_ms) {
        bool first = until == 0; // an expired skip is still counted in `skipped`
        if (first)
            atomic_fetch_add(skipped, 1);
        uint64_t next = now_ms + skip_ms(atomic_load(&suspect->failures));
        if (atomic_compare_exchange_strong(&suspect->skip_until_ms, &until, next)) {
            atomic_fetch_add(&suspect->failures, 1);
            return true;
        }
        if (first)
            atomic_fetch_sub(skipped, 1);
    }
    return false;
}

bool suspect_succeeded(struct board *b, const struct server *s)
{
    struct board_suspect *suspect = &b->suspect[s->index];
    if (LIKELY(atomic_load_explicit(&suspect->skip_until_ms, memory_order_relaxed) == 0))
        return false;
    // failures first: a failure right behind the clearing begins with the shortest skip
    atomic_store(&suspect->failures, 0);
    if (atomic_exchange(&suspect->skip_until_ms, 0) == 0)
        return false; // another worker was faster
    atomic_fetch_sub(&b->skipped[s->backend->index], 1);
    return true;
}

bool suspect_skipped(const struct board *b, uint32_t server, uint64_t now_ms)
{
    return atomic_load_explicit(&b->suspect[server].skip_until_ms, memory_order_relaxed) > now_ms;
}
