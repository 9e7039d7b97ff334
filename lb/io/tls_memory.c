// SPDX-License-Identifier: MIT
// Memory of OpenSSL, and of idle TLS connections. In every process that has called tls_init(): all
// that OpenSSL allocates comes through here; xport_tls.c, in workers, has idle ones folded.
//
// More than half of what OpenSSL holds for an idle connection is one block, `SSL` itself: 7.6 kB,
// of which more than half is arrays that are never used. It lies on two pages of its own here, and
// is folded while nobody needs it: the lines that are not zero are copied to a smaller block and
// the pages given back to the kernel. Unfolded it stands where it was, byte for byte: whatever
// points into it does not notice. Nothing is assumed of what is in it.
//
//   slot:   | page          | page          |       folded:  | bits | lines that are not zero |
//           | SSL ................... | - - |
//
// The block is recognised as the first one of its size within SSL_new(); all others are of
// tls_blocks.h.
// OpenSSL first: its headers use names that base/base.h bans
#include <openssl/crypto.h>

#include "io/tls_memory.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "io/tls_blocks.h"

#define PAGE_BYTES 4096u
#define SLOT_BYTES (2 * PAGE_BYTES)
#define SLOTS_AT_ONCE 64u
#define LINE_BYTES 64u
#define LINES (SLOT_BYTES / LINE_BYTES)

struct folded {
    uint64_t used[LINES / 64]; // which lines are not zero
    char lines[];
};

static struct slot {
    struct slot *next;
} * spare;

static bool expecting; // the next block of that size is an SSL
static void *at_hand;  // the SSL that was made last, or is being freed

// ---- slots --------------------------------------------------------------------------------------

static void put_slot(void *block)
{
    struct slot *s = block;
    s->next = spare;
    spare = s;
}

static void *take_slot(void)
{
    if (spare == NULL) {
        size_t size = SLOTS_AT_ONCE * SLOT_BYTES;
        char *slab = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (slab == MAP_FAILED)
            return NULL;
        (void)madvise(slab, size, MADV_NOHUGEPAGE); // a huge page could not be given back in parts
        for (uint32_t i = SLOTS_AT_ONCE; i-- > 0;)
            put_slot(slab + (size_t)i * SLOT_BYTES);
    }
    struct slot *s = spare;
    spare = s->next;
    return s;
}

// ---- what OpenSSL calls -------------------------------------------------------------------------

static void *take(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    if (size == 0)
        return NULL;
    if (!expecting || size <= PAGE_BYTES || size > SLOT_BYTES)
        return tls_block_take(size);
    expecting = false;
    at_hand = take_slot();
    return at_hand;
}

static void give_back(void *block, const char *file, int line)
{
    (void)file, (void)line;
    if (block == NULL || block != at_hand) {
        tls_block_give(block);
        return;
    }
    at_hand = NULL;
    put_slot(block);
}

static void *resize(void *block, size_t size, const char *file, int line)
{
    if (block == NULL)
        return take(size, file, line);
    if (size > 0)
        return realloc(block, size);
    give_back(block, file, line);
    return NULL;
}

void tls_memory_init(void)
{
    (void)CRYPTO_set_mem_functions(take, resize, give_back);
}

SSL *tls_memory_new(SSL_CTX *ctx, bool *foldable)
{
    at_hand = NULL;
    expecting = true;
    SSL *ssl = SSL_new(ctx);
    expecting = false;
    *foldable = ssl != NULL && (void *)ssl == at_hand;
    at_hand = NULL;
    return ssl;
}

void tls_memory_free(SSL *ssl)
{
    at_hand = ssl;
    SSL_free(ssl);
    lb_assert(at_hand == NULL);
}

// ---- folding ------------------------------------------------------------------------------------

static bool is_zero(const char *line)
{
    static const char zeros[LINE_BYTES];
    return memcmp(line, zeros, LINE_BYTES) == 0;
}

struct folded *tls_fold(SSL *ssl)
{
    char *from = (char *)ssl;
    uint64_t used[LINES / 64] = {0};
    size_t n = 0;
    for (size_t i = 0; i < LINES; i++) {
        bool keep = !is_zero(from + i * LINE_BYTES);
        used[i / 64] |= (uint64_t)keep << (i % 64);
        n += keep;
    }
    struct folded *f = malloc(sizeof(*f) + n * LINE_BYTES);
    if (f == NULL)
        return NULL;
    memcpy(f->used, used, sizeof(used));
    char *to = f->lines;
    for (size_t i = 0; i < LINES; i++) {
        if ((used[i / 64] >> (i % 64) & 1) == 0)
            continue;
        memcpy(to, from + i * LINE_BYTES, LINE_BYTES);
        to += LINE_BYTES;
    }
    if (madvise(from, SLOT_BYTES, MADV_DONTNEED) == 0) // reads as zeros from now on
        return f;
    free(f);
    return NULL;
}

void tls_unfold(SSL *ssl, struct folded *f)
{
    char *to = (char *)ssl;
    const char *from = f->lines;
    for (size_t i = 0; i < LINES; i++) {
        if ((f->used[i / 64] >> (i % 64) & 1) == 0)
            continue;
        memcpy(to + i * LINE_BYTES, from, LINE_BYTES);
        from += LINE_BYTES;
    }
    OPENSSL_cleanse(f->lines, (size_t)(from - f->lines)); // there are keys in it
    free(f);
}
