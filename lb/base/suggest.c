// SPDX-License-Identifier: MIT
// Damerau-Levenshtein distance in its optimal-string-alignment form, over three rows of the usual
// table, and the choice of the nearest candidate. Used at start-up and in commands only: the
// quadratic cost is bounded by SUGGEST_WORD_MAX.
#include "base/suggest.h"

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = MIN_OF(a, b);
    return MIN_OF(least, c);
}

size_t edit_distance(struct str a, struct str b)
{
    size_t rows[3][SUGGEST_WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2]; // rows i - 2, i - 1 and i
    lb_assert(a.len <= SUGGEST_WORD_MAX && b.len <= SUGGEST_WORD_MAX);
    for (size_t j = 0; j <= b.len; j++)
        above[j] = before[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            char x = ascii_lower(a.p[i - 1]), y = ascii_lower(b.p[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == ascii_lower(b.p[j - 2]) && y == ascii_lower(a.p[i - 2]))
                row[j] = MIN_OF(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[b.len];
}

void suggestion_offer(struct suggestion *s, const char *candidate)
{
    struct str c = str_of(candidate);
    if (s->word.len > SUGGEST_WORD_MAX || c.len > SUGGEST_WORD_MAX)
        return;
    size_t most = MAX_OF((size_t)1, s->word.len / 3);
    size_t distance = edit_distance(s->word, c);
    if (distance > most || (s->best != NULL && distance >= s->distance))
        return;
    s->best = candidate;
    s->distance = distance;
}
