// SPDX-License-Identifier: MIT
// Blocks that OpenSSL has freed, kept for its next handshakes. In every process that has called
// tls_init(): workers, the supervisor, control, commands; called by tls_memory.c.
//
// A handshake takes and frees about a thousand blocks of a few sizes. glibc keeps seven of a size
// at hand; with more connections under way than that, the others are joined with their neighbours
// and split again, which was a thirtieth of a handshake's time. Here all of a size are kept, up to
// KEPT_BYTES together; what is more goes back to malloc.
// Invariant: a block in spare[i] has room for i * STEP bytes.
#include "io/tls_blocks.h"

#include <malloc.h>
#include <stdlib.h>

#define STEP 16u
#define LARGEST 20480u // the buffer of a record, and what OpenSSL puts around it
#define KEPT_BYTES (1u << 20)

static struct block {
    struct block *next;
} * spare[LARGEST / STEP + 1];

static size_t kept_bytes;

void *tls_block_take(size_t size)
{
    size_t step = (size + STEP - 1) / STEP;
    if (UNDER_ASAN || size > LARGEST)
        return malloc(size);
    struct block *b = spare[step];
    if (b == NULL)
        return malloc(step * STEP);
    spare[step] = b->next;
    kept_bytes -= step * STEP;
    return b;
}

void tls_block_give(void *block)
{
    size_t step = block != NULL ? malloc_usable_size(block) / STEP : 0;
    if (UNDER_ASAN || step == 0 || step > LARGEST / STEP || kept_bytes + step * STEP > KEPT_BYTES) {
        free(block);
        return;
    }
    struct block *b = block;
    b->next = spare[step];
    spare[step] = b;
    kept_bytes += step * STEP;
}
