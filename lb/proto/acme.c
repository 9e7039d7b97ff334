// SPDX-License-Identifier: MIT
// Reads the path of a challenge. Called by workers for each request of a frontend with `acme`, by
// the supervisor, which does not take their word for it, and by `evlb explain route`.
// Invariant: what passes has no dot and no slash.
#include "proto/acme.h"

bool acme_is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-' &&
            c != '_')
            return false;
    }
    return s.len > 0 && s.len <= ACME_TOKEN_MAX;
}

struct str acme_token(struct str target)
{
    const struct str prefix = STR(ACME_PATH);
    if (!str_starts(target, prefix))
        return STR_NONE;
    struct str rest = {target.p + prefix.len, target.len - prefix.len};
    rest.len = str_find(rest, '?');
    return acme_is_token(rest) ? rest : STR_NONE;
}
