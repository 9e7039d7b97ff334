// SPDX-License-Identifier: MIT
// Arena allocator. Used for configurations: built once, immutable afterwards, freed as a whole.
// Chunks are chained; a request larger than a chunk gets a chunk of its own. Configurations hold
// keys: what was in an arena is overwritten when it is freed.
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_CHUNK_BYTES 65536u

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, size; // of bytes[]
    _Alignas(16) char bytes[];
};

struct arena {
    struct arena_chunk *first; // the one that is being filled
    size_t total;
};

struct arena *arena_new(void)
{
    return xcalloc(1, sizeof(struct arena));
}

void arena_free(struct arena *a)
{
    if (a == NULL)
        return;
    for (struct arena_chunk *c = a->first, *next; c != NULL; c = next) {
        next = c->next;
        explicit_bzero(c->bytes, c->used);
        free(c);
    }
    free(a);
}

static struct arena_chunk *chunk_with_room(struct arena *a, size_t size)
{
    struct arena_chunk *c = a->first;
    if (c != NULL && c->size - c->used >= size)
        return c;
    size_t bytes = MAX_OF(size, (size_t)ARENA_CHUNK_BYTES);
    c = xcalloc(1, sizeof(*c) + bytes);
    c->size = bytes;
    c->next = a->first;
    a->first = c;
    return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    struct arena_chunk *c = chunk_with_room(a, size);
    void *block = c->bytes + c->used;
    c->used += size;
    a->total += size;
    return block;
}

char *arena_strdup(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (s.len > 0)
        memcpy(copy, s.p, s.len);
    return copy;
}

struct str arena_str(struct arena *a, struct str s)
{
    return (struct str){arena_strdup(a, s), s.len};
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    lb_assert(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1);
    (void)vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = arena_vprintf(a, fmt, args);
    va_end(args);
    return text;
}

void *arena_grow(struct arena *a, void *items, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return items;
    size_t bigger = *cap > 0 ? *cap * 2 : 8;
    void *copy = arena_alloc(a, bigger * size);
    if (count > 0)
        memcpy(copy, items, count * size);
    *cap = bigger;
    return copy;
}

size_t arena_bytes(const struct arena *a)
{
    return a->total;
}
