// SPDX-License-Identifier: MIT
// Memory that is freed all at once: a configuration and everything that hangs on it.
#ifndef EVLB_ARENA_H
#define EVLB_ARENA_H

#include <stdarg.h>

#include "base/base.h"
#include "base/str.h"

struct arena;

struct arena *arena_new(void) MUST_CHECK;
// Overwrites and frees the arena and all that was taken from it. NULL is allowed.
void arena_free(struct arena *a);
// Zeroed, aligned to 16 bytes; never NULL (panics when memory is out).
void *arena_alloc(struct arena *a, size_t size) MUST_CHECK;
char *arena_strdup(struct arena *a, struct str s) MUST_CHECK;   // NUL-terminated copy
struct str arena_str(struct arena *a, struct str s) MUST_CHECK; // the same, as a slice
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
char *arena_vprintf(struct arena *a, const char *fmt, va_list args) PRINTF_LIKE(2, 0) MUST_CHECK;
// Grows an array taken from `a` (the old block stays until the end): `*items` gets room for at
// least `count + 1` elements of `size` bytes; `*cap` is kept by the caller.
void *arena_grow(struct arena *a, void *items, size_t count, size_t *cap, size_t size) MUST_CHECK;
// Bytes taken so far.
size_t arena_bytes(const struct arena *a);

#endif
