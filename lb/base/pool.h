// SPDX-License-Identifier: MIT
// A pool of equal blocks for one process: taken and given back without malloc once warm. Blocks
// come in slabs that are never returned, so that a burst costs address space once.
#ifndef EVLB_POOL_H
#define EVLB_POOL_H

#include "base/base.h"

struct pool {
    const char *name;   // shown in dumps
    size_t block_bytes; // rounded up to 16
    size_t slab_blocks; // how many are allocated at a time
    void *free;         // singly linked through the first word
    size_t used;        // blocks given out now
    size_t total;       // blocks that exist
};

#define POOL(name_, type, slab)                                                                    \
    {                                                                                              \
        .name = name_, .block_bytes = (sizeof(type) + 15) & ~(size_t)15, .slab_blocks = slab       \
    }

// A block whose content is undefined, or NULL when memory is out.
void *pool_get(struct pool *p) MUST_CHECK;
// A zeroed block, or NULL.
void *pool_get_zeroed(struct pool *p) MUST_CHECK;
void pool_put(struct pool *p, void *block);

#endif
