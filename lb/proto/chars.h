// SPDX-License-Identifier: MIT
// Character classes of HTTP and the scanners over them: 16 bytes at a time where SSE2 is there,
// byte by byte elsewhere and at the end of the input (nothing is ever read behind `end`).
#ifndef EVLB_CHARS_H
#define EVLB_CHARS_H

#include "base/base.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum {
    CH_TOKEN = 1,       // RFC 9110 5.6.2
    CH_TARGET = 2,      // visible ASCII but '#'
    CH_TEXT = 4,        // field values and reason phrases: visible, space, obs-text; not the tab
    CH_REGNAME = 8,     // RFC 3986 unreserved and sub-delims, but neither ',' nor '%'
    CH_SIMPLE = 16,     // letters, digits and '-': what nearly all field names are made of
    CH_HOST = 32,       // letters, digits, '-' and '.': what nearly all hosts are made of
    CH_UNRESERVED = 64, // RFC 3986 2.3
    CH_DIGIT = 128,
};

extern const uint8_t char_class[256];

static inline bool char_is(char c, unsigned classes)
{
    return (char_class[(unsigned char)c] & classes) != 0;
}

// The value of a hexadecimal digit, or -1.
static inline int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Compares `n` bytes with a lower-case literal of that length, ignoring ASCII case: bit 0x20 is
// ignored where the literal has a letter (letters, unlike '-' and digits, have bit 0x40 set).
static inline bool chars_same8(const char *p, const char *lower)
{
    uint64_t a, b;
    memcpy(&a, p, 8);
    memcpy(&b, lower, 8);
    return (a | (b & 0x4040404040404040u) >> 1) == b;
}

static inline bool chars_same4(const char *p, const char *lower)
{
    uint32_t a, b;
    memcpy(&a, p, 4);
    memcpy(&b, lower, 4);
    return (a | (b & 0x40404040u) >> 1) == b;
}

// For 2 letters or 4 to 24 characters; the pieces compared may overlap.
static inline bool chars_same(const char *p, const char *lower, size_t n)
{
    if (n >= 8)
        return chars_same8(p, lower) && chars_same8(p + n - 8, lower + n - 8) &&
               (n <= 16 || chars_same8(p + 8, lower + 8));
    if (n >= 4)
        return chars_same4(p, lower) && chars_same4(p + n - 4, lower + n - 4);
    return (p[0] | 0x20) == lower[0] && (p[1] | 0x20) == lower[1];
}

#define CHARS_SAME(p, literal) chars_same(p, literal, sizeof(literal) - 1)

#if defined(__SSE2__)
// All bits of each byte of `v` in [first, last].
static inline __m128i chars_between(__m128i v, char first, char last)
{
    __m128i x = _mm_sub_epi8(v, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8((char)(last - first))), x);
}

static inline __m128i chars_letters(__m128i v)
{
    return chars_between(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 'z');
}

// Each has a bit for every byte that is not of the class.
static inline unsigned stop_simple(__m128i v)
{
    __m128i others =
        _mm_or_si128(chars_between(v, '0', '9'), _mm_cmpeq_epi8(v, _mm_set1_epi8('-')));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(chars_letters(v), others)) ^ 0xffffu;
}

static inline unsigned stop_host(__m128i v)
{
    __m128i others = _mm_or_si128(chars_between(v, '0', '9'), chars_between(v, '-', '.'));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(chars_letters(v), others)) ^ 0xffffu;
}

static inline unsigned stop_text(__m128i v)
{
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f))));
}

static inline unsigned stop_target(__m128i v)
{
    __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(0x21)); // signed: 0x80 and up as well
    __m128i other =
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)), _mm_cmpeq_epi8(v, _mm_set1_epi8('#')));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, other));
}

#define CHARS_SCAN_16(p, end, stop_of)                                                             \
    while ((end) - (p) >= 16) {                                                                    \
        unsigned stop_ = stop_of(_mm_loadu_si128((const __m128i *)(const void *)(p)));             \
        if (stop_ != 0)                                                                            \
            return (p) + __builtin_ctz(stop_);                                                     \
        (p) += 16;                                                                                 \
    }
#else
#define CHARS_SCAN_16(p, end, stop_of)
#endif

// Each returns the first byte in [p, end) that is not of the class, or `end`.
#define CHARS_SCANNER(name, stop_of, class)                                                        \
    static inline const char *name(const char *p, const char *end)                                 \
    {                                                                                              \
        CHARS_SCAN_16(p, end, stop_of)                                                             \
        while (p < end && char_is(*p, class))                                                      \
            p++;                                                                                   \
        return p;                                                                                  \
    }

CHARS_SCANNER(scan_simple, stop_simple, CH_SIMPLE)
CHARS_SCANNER(scan_host, stop_host, CH_HOST)
CHARS_SCANNER(scan_target, stop_target, CH_TARGET)
CHARS_SCANNER(scan_plain_text, stop_text, CH_TEXT)

// The same for text and tabs.
static inline const char *scan_text(const char *p, const char *end)
{
    for (;;) {
        p = scan_plain_text(p, end);
        if (LIKELY(p == end || *p != '\t'))
            return p;
        p++;
    }
}

#endif
