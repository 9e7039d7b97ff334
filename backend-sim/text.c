/* SPDX-License-Identifier: MIT */
/*
 * Slices, numbers with units, percent-decoding and CRC-32: what the option parser, the request
 * parser and the behaviour grammar have in common.
 *
 * Nothing here allocates, reads a clock or a socket. All input may come from the network, so every
 * function answers with false instead of asserting.
 */
#include "text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

bool slice_is(struct slice s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.ptr ? s.ptr : "", text, s.len) == 0;
}

bool slice_is_nocase(struct slice s, const char *text)
{
    return s.len == strlen(text) && strncasecmp(s.ptr ? s.ptr : "", text, s.len) == 0;
}

bool slice_starts(struct slice s, const char *prefix)
{
    size_t len = strlen(prefix);
    return s.len >= len && memcmp(s.ptr ? s.ptr : "", prefix, len) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
    while (s.len && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

struct slice slice_cut(struct slice *rest, char mark)
{
    struct slice all = *rest;
    const char *at = all.len ? memchr(all.ptr, mark, all.len) : NULL;
    if (!at) {
        *rest = (struct slice){NULL, 0};
        return all;
    }
    size_t len = (size_t)(at - all.ptr);
    *rest = (struct slice){at + 1, all.len - len - 1};
    return (struct slice){all.ptr, len};
}

bool list_has(struct slice list, const char *token)
{
    while (list.len) {
        if (slice_is_nocase(slice_trim(slice_cut(&list, ',')), token))
            return true;
    }
    return false;
}

bool parse_number(struct slice s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

bool parse_size(struct slice s, uint64_t *out_bytes)
{
    unsigned shift = 0;
    if (s.len) {
        int unit = tolower((unsigned char)s.ptr[s.len - 1]);
        shift = unit == 'k' ? 10 : unit == 'm' ? 20 : unit == 'g' ? 30 : 0;
    }
    if (shift)
        s.len--;
    uint64_t value = 0;
    if (!parse_number(s, &value) || value > (UINT64_MAX >> 1 >> shift))
        return false;
    *out_bytes = value << shift;
    return true;
}

bool parse_duration(struct slice s, double *out_s)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"", 1e-3}};
    size_t digits = 0;
    while (digits < s.len && isdigit((unsigned char)s.ptr[digits]))
        digits++;
    uint64_t value = 0;
    if (!parse_number((struct slice){s.ptr, digits}, &value))
        return false;
    struct slice unit = {s.ptr + digits, s.len - digits};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!slice_is(unit, units[i].unit))
            continue;
        *out_s = (double)value * units[i].seconds;
        return true;
    }
    return false;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    int lower = tolower((unsigned char)c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

size_t percent_decode(char *text, size_t len)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%' && i + 2 < len && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
            c = (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        }
        text[out++] = c;
    }
    return out;
}

uint32_t crc32_add(uint32_t crc, const void *data, size_t len)
{
    static uint32_t table[256];
    if (!table[1]) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t v = i;
            for (int bit = 0; bit < 8; bit++)
                v = (v >> 1) ^ (v & 1 ? 0xEDB88320U : 0);
            table[i] = v;
        }
    }
    const unsigned char *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < len; i++)
        crc = table[(crc ^ bytes[i]) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

bool is_token_char(unsigned char c)
{
    return c && (isalnum(c) || strchr("!#$%&'*+-.^_`|~", c));
}
