// SPDX-License-Identifier: MIT
// Finds one cookie in a Cookie field. Runs in workers, for backends with cookie stickiness, on
// bytes that the client chose. Every turn of the loop takes at least one byte off the input, so it
// ends on anything; quotation marks have no meaning here (RFC 6265 4.1.1 makes them part of the
// value).
#include "proto/cookie.h"

bool cookie_find(struct str cookies, struct str name, struct str *value)
{
    while (cookies.p != NULL) {
        struct str rest = str_cut(&cookies, ';');
        struct str key = str_trim(str_cut(&rest, '='));
        if (rest.p != NULL && name.len > 0 && str_eq(key, name)) {
            *value = str_trim(rest);
            return true;
        }
    }
    return false;
}
