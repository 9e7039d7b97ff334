// SPDX-License-Identifier: MIT
// Cookies in a request (RFC 6265 section 4.2).
#ifndef EVLB_COOKIE_H
#define EVLB_COOKIE_H

#include "base/str.h"

// The value of the first cookie called `name` in one Cookie field's value; false when absent.
// Terminates on any input (";", ",", "=" and spaces alone included).
bool cookie_find(struct str cookies, struct str name, struct str *value) MUST_CHECK;

#endif
