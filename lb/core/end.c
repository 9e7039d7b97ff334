// SPDX-License-Identifier: MIT
// The table of causes behind end.h. Pure; read by workers (access log, counters, error answers), by
// control (metrics) and by the commands (`evlb explain sH`). docs/termination.md shows the same
// rows to people; a test compares the two.
// Invariants: one row per cause, in the order of the enumeration; names are unique, letters are
// two characters and may be shared by several causes.
#include "core/end.h"

static const struct end_info infos[END_COUNT] = {
#define X(id, name_, letters_, status_, sentence_)                                                 \
    [END_##id] = {.name = name_, .letters = letters_, .sentence = sentence_, .status = status_},
    END_CAUSES(X)
#undef X
};

const struct end_info *end_info(enum end_cause cause)
{
    lb_assert((unsigned)cause < END_COUNT);
    return &infos[cause];
}

enum end_cause end_by_letters(const char *letters)
{
    for (unsigned i = 0; i < END_COUNT; i++)
        if (strcmp(infos[i].letters, letters) == 0)
            return (enum end_cause)i;
    return END_COUNT;
}
