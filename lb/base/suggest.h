// SPDX-License-Identifier: MIT
// "did you mean": the candidate that is nearest to a mistyped word. Offer all candidates, then
// read `best`.
#ifndef EVLB_SUGGEST_H
#define EVLB_SUGGEST_H

#include "base/base.h"
#include "base/str.h"

#define SUGGEST_WORD_MAX 64 // longer words get no suggestion

struct suggestion {
    struct str word;  // what was typed
    const char *best; // the nearest so far within max(1, length / 3) edits, or NULL
    size_t distance;  // of `best`
};

// Insertions, deletions, substitutions and swaps of neighbours that lead from `a` to `b`, letters
// compared without case (optimal string alignment). Both at most SUGGEST_WORD_MAX long.
size_t edit_distance(struct str a, struct str b);
// The first of several equally near candidates stays. `candidate` must outlive `s`.
void suggestion_offer(struct suggestion *s, const char *candidate);

#endif
