// SPDX-License-Identifier: MIT
// "did you mean ...?": the nearest of the words that would have been right, and words that users
// bring along from other load balancers.
#ifndef EVLB_CONF_SUGGEST_H
#define EVLB_CONF_SUGGEST_H

#include "base/str.h"
#include "conf/diag.h"

// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`; words longer than 64
// bytes are "far": UINT32_MAX.
uint32_t suggest_distance(struct str a, struct str b);

// Collects candidates and keeps the nearest one within max(1, len/3) edits.
struct suggestion {
    struct str wanted;
    struct str best; // p NULL: none near enough
    uint32_t distance;
};
struct suggestion suggest_begin(struct str wanted);
void suggest_offer(struct suggestion *s, struct str candidate);

// What a word of HAProxy, nginx, Envoy or Traefik is called here.
struct foreign_word {
    const char *word;
    const char *where; // keys it is a value of ("balance"), or objects it is a key of ("server
                       // backends"); NULL: a key of any
    const char *from;  // "HAProxy"
    const char *meaning, *here;
};
// `where`: one of those in the struct. NULL: not a foreign word.
const struct foreign_word *foreign_find(struct str word, const char *where);
// Whether both are one word but for case, '-' and '_'.
bool foreign_same(struct str a, struct str b);
// All entries of the word, wherever it may stand: the one behind `before`, NULL for the first.
const struct foreign_word *foreign_next(struct str word, const struct foreign_word *before);

#endif
