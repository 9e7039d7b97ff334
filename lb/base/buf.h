// SPDX-License-Identifier: MIT
// A linear byte buffer: what was received and not yet sent.
//
//      base        head            tail         cap
//       |  consumed  |   bytes here  |   room    |
//
// Ordinary buffers are BUF_BYTES long, those of bulk BUF_BULK_BYTES; both come from pools. One that
// must hold a longer message head is grown by malloc. Offsets, not pointers, survive buf_grow() and
// buf_compact().
#ifndef EVLB_BUF_H
#define EVLB_BUF_H

#include "base/base.h"

#define BUF_BYTES 16384u
#define BUF_BULK_BYTES (2 * BUF_BYTES)

struct buf {
    char *base;          // NULL: no memory attached
    uint32_t head, tail; // offsets into base
    uint32_t cap;        // bytes at base
};

static inline uint32_t buf_len(const struct buf *b)
{
    return b->tail - b->head;
}

static inline uint32_t buf_room(const struct buf *b)
{
    return b->cap - b->tail;
}

static inline char *buf_head(const struct buf *b)
{
    return b->base + b->head;
}

static inline char *buf_tail(const struct buf *b)
{
    return b->base + b->tail;
}

// Attaches memory when there is none: BUF_BYTES. False: out of memory.
bool buf_attach(struct buf *b) MUST_CHECK;
// The same, BUF_BULK_BYTES.
bool buf_attach_bulk(struct buf *b) MUST_CHECK;
// Gives the memory back; the buffer is empty afterwards. May be called on one without memory.
void buf_release(struct buf *b);
// Drops `n` bytes at the head. An empty buffer starts again at 0.
void buf_consume(struct buf *b, uint32_t n);
// Moves the bytes to the front so that all the room is behind them.
void buf_compact(struct buf *b);
// Makes cap at least `cap` bytes, keeping the content. False: out of memory, nothing changed.
bool buf_grow(struct buf *b, uint32_t cap) MUST_CHECK;
// Appends, attaching and growing as needed. False: out of memory, nothing changed.
bool buf_append(struct buf *b, const void *bytes, size_t n) MUST_CHECK;

// Buffers handed out and not given back in this process; zero at idle.
size_t buf_in_use(void);

#endif
