// SPDX-License-Identifier: MIT
// A string that knows its length and owns nothing: a slice of somebody's bytes. And strict
// readers of numbers: nothing skipped, nothing guessed, no overflow.
#ifndef EVLB_STR_H
#define EVLB_STR_H

#include "base/base.h"

struct str {
    const char *p; // not NUL-terminated; NULL only when len is 0
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})
#define STR_FMT(s) (int)(s).len, (s).p // for "%.*s"

static inline struct str str_of(const char *text)
{
    return (struct str){text, text != NULL ? strlen(text) : 0};
}

static inline struct str str_from(const char *begin, const char *end)
{
    return (struct str){begin, (size_t)(end - begin)};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Equal but for ASCII case.
bool str_caseeq(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
// The slice without spaces and tabs at both ends.
struct str str_trim(struct str s);
// Where `c` first stands, or s.len.
size_t str_find(struct str s, char c);
// Cuts `rest` at the first `sep`: returns what was before, leaves what comes after. Returns the
// whole and leaves nothing (p == NULL) when there is no `sep`.
struct str str_cut(struct str *rest, char sep);
// Cuts the next line of at most `width` bytes (more than 0) off a text: at its last space, or in
// the middle of a word that is longer. Nothing is left (p == NULL) behind the last line.
struct str str_wrap(struct str *rest, size_t width);

// Decimal digits only, all of them, at least one. False also on overflow of 64 bits.
bool str_to_u64(struct str s, uint64_t *value) MUST_CHECK;
// Writes `value` in decimal, returns the number of characters (at most 20). No NUL.
size_t u64_to_text(uint64_t value, char out[20]);
// Copies into a NUL-terminated array, cutting what does not fit. Returns false when it was cut.
bool str_copy(struct str s, char *out, size_t size);

#endif
