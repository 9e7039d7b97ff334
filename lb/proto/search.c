// SPDX-License-Identifier: MIT
// The search for an expected text in the answers to health checks (dialogue_http.c,
// dialogue_text.c). Runs in control.
//
// Invariant: the last `matched` bytes of the stream are the first `matched` bytes of the text, and
// no longer beginning of it fits. So nothing of the stream has to be kept; what a mismatch costs is
// bounded by the length of the text, which comes from the configuration.
#include "proto/search.h"

// The longest beginning of the text that ends what was matched so far and `c`.
static size_t advance(const struct search *s, char c)
{
    const char *text = s->want.p;
    for (size_t n = s->matched + 1; n > 0; n--) {
        if (text[n - 1] == c && memcmp(text, text + s->matched + 1 - n, n - 1) == 0)
            return n;
    }
    return 0;
}

bool search_feed(struct search *s, struct str piece)
{
    for (size_t i = 0; i < piece.len && !search_found(s); i++)
        s->matched = advance(s, piece.p[i]);
    return search_found(s);
}
