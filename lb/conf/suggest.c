// SPDX-License-Identifier: MIT
// Damerau-Levenshtein distance (optimal string alignment) for did-you-mean. Pure; called wherever
// an unknown word is reported.
#include "conf/suggest.h"

#define WORD_MAX 64u

static uint32_t least(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t m = MIN_OF(a, b);
    return MIN_OF(m, c);
}

// Three rows of the table: the one being filled, the one above, and the one above that (swaps).
uint32_t suggest_distance(struct str a, struct str b)
{
    uint32_t rows[3][WORD_MAX + 1];
    if (a.len > WORD_MAX || b.len > WORD_MAX)
        return UINT32_MAX;
    for (uint32_t k = 0; k <= b.len; k++)
        rows[0][k] = k;
    for (uint32_t i = 1; i <= a.len; i++) {
        uint32_t *now = rows[i % 3];
        const uint32_t *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        now[0] = i;
        for (uint32_t k = 1; k <= b.len; k++) {
            char x = ascii_lower(a.p[i - 1]), y = ascii_lower(b.p[k - 1]);
            now[k] = least(above[k] + 1, now[k - 1] + 1, above[k - 1] + (x != y));
            if (i > 1 && k > 1 && x == ascii_lower(b.p[k - 2]) && ascii_lower(a.p[i - 2]) == y)
                now[k] = MIN_OF(now[k], above2[k - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

struct suggestion suggest_begin(struct str wanted)
{
    return (struct suggestion){.wanted = wanted, .distance = UINT32_MAX};
}

void suggest_offer(struct suggestion *s, struct str candidate)
{
    size_t longest = MAX_OF(s->wanted.len, candidate.len);
    uint32_t allowed = MAX_OF(1u, (uint32_t)longest / 3);
    if (candidate.len > s->wanted.len + allowed || s->wanted.len > candidate.len + allowed)
        return;
    uint32_t d = suggest_distance(s->wanted, candidate);
    if (d <= allowed && d < s->distance && d < s->wanted.len) {
        s->best = candidate;
        s->distance = d;
    }
}
