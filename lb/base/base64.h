// SPDX-License-Identifier: MIT
// Base64 (RFC 4648 section 4): padded, no line breaks, and strict when read.
#ifndef EVLB_BASE64_H
#define EVLB_BASE64_H

#include "base/str.h"

#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

// Writes BASE64_LEN(n) characters, no NUL; returns that number.
size_t base64_encode(const void *bytes, size_t n, char *out);
// Reads all of `text` into at most `size` bytes. False when it is not base64 or does not fit.
bool base64_decode(struct str text, uint8_t *out, size_t size, size_t *n) MUST_CHECK;

#endif
