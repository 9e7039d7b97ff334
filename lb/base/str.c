// SPDX-License-Identifier: MIT
// Slices and strict numbers. Pure; used everywhere. No function here allocates, and none reads
// past the length it was given.
#include "base/str.h"

bool str_caseeq(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    }
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq((struct str){s.p, prefix.len}, prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len &&
           str_eq((struct str){s.p + (s.len - suffix.len), suffix.len}, suffix);
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.len--;
    }
    while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

size_t str_find(struct str s, char c)
{
    const char *found = s.len > 0 ? memchr(s.p, c, s.len) : NULL;
    return found != NULL ? (size_t)(found - s.p) : s.len;
}

struct str str_cut(struct str *rest, char sep)
{
    size_t at = str_find(*rest, sep);
    struct str head = {rest->p, at};
    if (at == rest->len)
        *rest = STR_NONE;
    else
        *rest = (struct str){rest->p + at + 1, rest->len - at - 1};
    return head;
}

struct str str_wrap(struct str *rest, size_t width)
{
    struct str line = *rest;
    if (line.len <= width) {
        *rest = STR_NONE;
        return line;
    }
    size_t cut = width;
    while (cut > 0 && line.p[cut] != ' ')
        cut--;
    line.len = cut > 0 ? cut : width;
    *rest = str_trim((struct str){rest->p + line.len, rest->len - line.len});
    return line;
}

bool str_to_u64(struct str s, uint64_t *value)
{
    uint64_t total = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.p[i]) || __builtin_mul_overflow(total, 10u, &total) ||
            __builtin_add_overflow(total, (uint64_t)(s.p[i] - '0'), &total))
            return false;
    }
    *value = total;
    return true;
}

size_t u64_to_text(uint64_t value, char out[20])
{
    char reversed[20];
    size_t n = 0;
    do {
        reversed[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

bool str_copy(struct str s, char *out, size_t size)
{
    size_t n = MIN_OF(s.len, size - 1);
    if (n > 0)
        memcpy(out, s.p, n);
    out[n] = '\0';
    return n == s.len;
}
