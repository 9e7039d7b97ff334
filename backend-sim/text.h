/* SPDX-License-Identifier: MIT */
#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes owned by somebody else; not ended by NUL. */
struct slice {
    const char *ptr;
    size_t len;
};

struct slice slice_of(const char *text);
bool slice_is(struct slice s, const char *text); /* same bytes */
bool slice_is_nocase(struct slice s, const char *text);
bool slice_starts(struct slice s, const char *prefix);
struct slice slice_trim(struct slice s); /* without SP and HTAB at both ends */

/* Cuts off and returns what stands before the first `mark`, and moves *rest behind the mark.
 * Without a mark it returns everything and *rest becomes empty (ptr NULL). */
struct slice slice_cut(struct slice *rest, char mark);

/* Is `token` one element of the comma-separated list? Case is ignored. */
bool list_has(struct slice list, const char *token);

/* All of the slice has to be used; false on an empty one, on overflow, on foreign characters. */
bool parse_number(struct slice s, uint64_t *out);
bool parse_size(struct slice s, uint64_t *out_bytes); /* 10, 10k, 10m, 10g: powers of 1024 */
bool parse_duration(struct slice s, double *out_s);   /* 200us, 200ms, 2s, 1m; 200 = 200ms */

/* Decodes %41 in place; the result is never longer. Returns the new length. */
size_t percent_decode(char *text, size_t len);

/* CRC-32 as zlib, gzip and Python's zlib.crc32 have it; begin with 0. */
uint32_t crc32_add(uint32_t crc, const void *data, size_t len);

bool is_token_char(unsigned char c); /* RFC 9110 5.6.2 */

#endif
