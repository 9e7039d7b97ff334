// SPDX-License-Identifier: MIT
// Buffers of the data path. Runs in workers (and in tests); one process, no locks. Memory is
// attached only while there are bytes, so that an idle connection holds none.
// Invariants: head <= tail <= cap; base == NULL means all three are 0.
#include "base/buf.h"

#include <stdlib.h>

#include "base/pool.h"

struct buf_block {
    char bytes[BUF_BYTES];
};

struct bulk_block {
    char bytes[BUF_BULK_BYTES];
};

static struct pool pool = POOL("buffers", struct buf_block, 8);
static struct pool bulk_pool = POOL("bulk buffers", struct bulk_block, 4);
static size_t grown; // buffers of another size, malloc'ed

static char *take(uint32_t cap)
{
    if (cap == BUF_BYTES)
        return pool_get(&pool);
    if (cap == BUF_BULK_BYTES)
        return pool_get(&bulk_pool);
    char *base = malloc(cap);
    grown += base != NULL;
    return base;
}

static void give_back(char *base, uint32_t cap)
{
    if (cap == BUF_BYTES) {
        pool_put(&pool, base);
    } else if (cap == BUF_BULK_BYTES) {
        pool_put(&bulk_pool, base);
    } else {
        free(base);
        grown--;
    }
}

static bool attach(struct buf *b, uint32_t cap)
{
    if (b->base != NULL)
        return true;
    b->base = take(cap);
    if (b->base == NULL)
        return false;
    b->head = b->tail = 0;
    b->cap = cap;
    return true;
}

bool buf_attach(struct buf *b)
{
    return attach(b, BUF_BYTES);
}

bool buf_attach_bulk(struct buf *b)
{
    return attach(b, BUF_BULK_BYTES);
}

void buf_release(struct buf *b)
{
    if (b->base != NULL)
        give_back(b->base, b->cap);
    *b = (struct buf){0};
}

void buf_consume(struct buf *b, uint32_t n)
{
    lb_assert(n <= buf_len(b));
    b->head += n;
    if (b->head == b->tail)
        b->head = b->tail = 0;
}

void buf_compact(struct buf *b)
{
    if (b->head == 0)
        return;
    memmove(b->base, b->base + b->head, buf_len(b));
    b->tail -= b->head;
    b->head = 0;
}

bool buf_grow(struct buf *b, uint32_t cap)
{
    if (!buf_attach(b))
        return false;
    if (b->cap >= cap)
        return true;
    char *bigger = take(cap);
    if (bigger == NULL)
        return false;
    uint32_t n = buf_len(b);
    memcpy(bigger, buf_head(b), n);
    explicit_bzero(buf_head(b), n); // those of bundles hold keys
    give_back(b->base, b->cap);
    *b = (struct buf){.base = bigger, .head = 0, .tail = n, .cap = cap};
    return true;
}

bool buf_append(struct buf *b, const void *bytes, size_t n)
{
    if (!buf_attach(b))
        return false;
    if (buf_room(b) < n)
        buf_compact(b);
    if (buf_room(b) < n && (n > UINT32_MAX / 4 || !buf_grow(b, (buf_len(b) + (uint32_t)n) * 2)))
        return false;
    if (n > 0)
        memcpy(buf_tail(b), bytes, n);
    b->tail += (uint32_t)n;
    return true;
}

size_t buf_in_use(void)
{
    return pool.used + bulk_pool.used + grown;
}
