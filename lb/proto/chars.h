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

#if defined(__SSE2__)
// A bit for each byte of `v` in [first, last].
static inline __m128i chars_between(__m128i v, char first, char last)
{
    __m128i x = _mm_sub_epi8(v, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8((char)(last - first))), x);
}

static inline unsigned chars_simple_mask(__m128i v)
{
    __m128i letters = chars_between(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 'z');
    __m128i others =
        _mm_or_si128(chars_between(v, '0', '9'), _mm_cmpeq_epi8(v, _mm_set1_epi8('-')));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(letters, others));
}

static inline unsigned chars_host_mask(__m128i v)
{
    __m128i letters = chars_between(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 'z');
    __m128i others = _mm_or_si128(chars_between(v, '0', '9'), chars_between(v, '-', '.'));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(letters, others));
}

static inline unsigned chars_text_mask(__m128i v)
{
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    return ~(unsigned)_mm_movemask_epi8(_mm_or_si128(low, del));
}

static inline unsigned chars_target_mask(__m128i v)
{
    __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(0x21)); // signed: 0x80 and up as well
    __m128i other =
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)), _mm_cmpeq_epi8(v, _mm_set1_epi8('#')));
    return ~(unsigned)_mm_movemask_epi8(_mm_or_si128(low, other));
}

#define CHARS_SCAN_16(p, end, mask_of)                                                             \
    while ((end) - (p) >= 16) {                                                                    \
        unsigned stop_ = ~mask_of(_mm_loadu_si128((const __m128i *)(const void *)(p))) & 0xffffu;  \
        if (stop_ != 0)                                                                            \
            return (p) + __builtin_ctz(stop_);                                                     \
        (p) += 16;                                                                                 \
    }
#else
#define CHARS_SCAN_16(p, end, mask_of)
#endif

// Each returns the first byte in [p, end) that is not of the class, or `end`.
#define CHARS_SCANNER(name, mask_of, class)                                                        \
    static inline const char *name(const char *p, const char *end)                                 \
    {                                                                                              \
        CHARS_SCAN_16(p, end, mask_of)                                                             \
        while (p < end && char_is(*p, class))                                                      \
            p++;                                                                                   \
        return p;                                                                                  \
    }

CHARS_SCANNER(scan_simple, chars_simple_mask, CH_SIMPLE)
CHARS_SCANNER(scan_host, chars_host_mask, CH_HOST)
CHARS_SCANNER(scan_target, chars_target_mask, CH_TARGET)
CHARS_SCANNER(scan_plain_text, chars_text_mask, CH_TEXT)

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
