// SPDX-License-Identifier: MIT
// A text looked for in a stream that comes in pieces, none of which is kept. Pure.
#ifndef EVLB_SEARCH_H
#define EVLB_SEARCH_H

#include "base/str.h"

struct search {
    struct str want; // lives as long as the search; empty: found at once
    size_t matched;  // how many of its bytes the stream ends with so far
};

// Looks at the next piece. True as soon as the text has come, and from then on.
bool search_feed(struct search *s, struct str piece);
static inline bool search_found(const struct search *s)
{
    return s->matched == s->want.len;
}

#endif
