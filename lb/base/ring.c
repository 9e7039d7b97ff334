// SPDX-License-Identifier: MIT
// The byte ring between processes. Workers, control and the supervisor produce, the logger
// consumes. No call here blocks; the only system call is the write to the eventfd, and only when
// the consumer said that it sleeps.
//
// Invariants: head <= tail <= head + size; `tail` and `dropped` have one writer (the producer),
// `head` and `reported` have one writer (the consumer). The consumer does not trust the producer:
// positions that make no sense empty the ring.
//
// Why no wake-up is lost: the producer stores tail, then reads `sleeping`; the consumer stores
// `sleeping`, then reads tail; a full fence stands between both. Only the consumer clears
// `sleeping`, so a producer that dies before its write leaves the next one to wake it.
#include "base/ring.h"

#include <unistd.h>

struct ring_shared {
    _Alignas(64) _Atomic uint64_t tail; // producer
    _Atomic uint64_t dropped;           // producer
    _Alignas(64) _Atomic uint64_t head; // consumer
    _Atomic uint64_t reported;          // consumer: how many of the dropped were asked for
};

static uint64_t relaxed(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

size_t ring_bytes(uint32_t size)
{
    return sizeof(struct ring_shared) + MAX_OF(size, 64);
}

void ring_init(struct ring *r, void *memory, uint32_t size, struct ring_sleep *sleep, int wake_fd)
{
    lb_assert(size > 0 && (size & (size - 1)) == 0);
    lb_assert(((uintptr_t)memory & 63) == 0);
    r->shared = memory;
    r->data = (char *)memory + sizeof(struct ring_shared);
    r->size = size;
    r->sleep = sleep;
    r->wake_fd = wake_fd;
}

bool ring_put(struct ring *r, const void *bytes, size_t n)
{
    struct ring_shared *s = r->shared;
    uint64_t tail = relaxed(&s->tail);
    uint64_t head = atomic_load_explicit(&s->head, memory_order_acquire);
    if (n > r->size - (tail - head)) {
        atomic_store_explicit(&s->dropped, relaxed(&s->dropped) + 1, memory_order_relaxed);
        return false;
    }
    size_t at = tail & (r->size - 1);
    size_t first = MIN_OF(n, r->size - at);
    memcpy(r->data + at, bytes, first);
    memcpy(r->data, (const char *)bytes + first, n - first);
    atomic_store_explicit(&s->tail, tail + n, memory_order_release);
    ring_wake(r);
    return true;
}

size_t ring_peek(const struct ring *r, struct iovec piece[2])
{
    struct ring_shared *s = r->shared;
    uint64_t head = relaxed(&s->head);
    uint64_t tail = atomic_load_explicit(&s->tail, memory_order_acquire);
    if (tail - head > r->size) { // a producer that wrote where it must not
        atomic_store_explicit(&s->head, tail, memory_order_release);
        head = tail;
    }
    size_t n = (size_t)(tail - head), at = head & (r->size - 1);
    size_t first = MIN_OF(n, r->size - at);
    piece[0] = (struct iovec){r->data + at, first};
    piece[1] = (struct iovec){r->data, n - first};
    return n;
}

void ring_consume(struct ring *r, size_t n)
{
    // no assertion on the producer's words: it may have changed them since
    uint64_t head = relaxed(&r->shared->head);
    atomic_store_explicit(&r->shared->head, head + n, memory_order_release);
}

uint64_t ring_take_dropped(struct ring *r)
{
    uint64_t dropped = relaxed(&r->shared->dropped), reported = relaxed(&r->shared->reported);
    atomic_store_explicit(&r->shared->reported, dropped, memory_order_relaxed);
    return dropped - reported;
}

bool ring_has_dropped(const struct ring *r)
{
    return relaxed(&r->shared->dropped) != relaxed(&r->shared->reported);
}

bool ring_empty(const struct ring *r)
{
    return relaxed(&r->shared->head) ==
           atomic_load_explicit(&r->shared->tail, memory_order_acquire);
}

void ring_wake(const struct ring *r)
{
    static const uint64_t one = 1;
    if (r->sleep == NULL)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&r->sleep->sleeping, memory_order_relaxed) == 0)
        return;
    if (write(r->wake_fd, &one, sizeof(one)) < 0)
        return; // the counter is full: it is awake for certain
}

void ring_sleep_begin(struct ring_sleep *sleep)
{
    atomic_store_explicit(&sleep->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

void ring_sleep_end(struct ring_sleep *sleep)
{
    atomic_store_explicit(&sleep->sleeping, 0, memory_order_relaxed);
}
