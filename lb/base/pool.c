// SPDX-License-Identifier: MIT
// Fixed-size block pools; one process, no locks. Used for sessions, exchanges, server connections
// and buffers. Under AddressSanitizer every block is its own malloc, so that a use after
// pool_put() is reported instead of hitting a recycled block.
#include "base/pool.h"

#include <stdlib.h>

static bool pool_grow(struct pool *p)
{
    char *slab = malloc(p->block_bytes * p->slab_blocks);
    if (slab == NULL)
        return false;
    for (size_t i = p->slab_blocks; i-- > 0;) {
        void *block = slab + i * p->block_bytes;
        memcpy(block, &p->free, sizeof(p->free));
        p->free = block;
    }
    p->total += p->slab_blocks;
    return true;
}

void *pool_get(struct pool *p)
{
    void *block;
    if (UNDER_ASAN) {
        block = malloc(p->block_bytes);
    } else {
        if (p->free == NULL && !pool_grow(p))
            return NULL;
        block = p->free;
        memcpy(&p->free, block, sizeof(p->free));
    }
    if (block != NULL)
        p->used++;
    return block;
}

void *pool_get_zeroed(struct pool *p)
{
    void *block = pool_get(p);
    if (block != NULL)
        memset(block, 0, p->block_bytes);
    return block;
}

void pool_put(struct pool *p, void *block)
{
    lb_assert(block != NULL && p->used > 0);
    p->used--;
    if (UNDER_ASAN) {
        free(block);
        return;
    }
    memcpy(block, &p->free, sizeof(p->free));
    p->free = block;
}
