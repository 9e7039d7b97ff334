// SPDX-License-Identifier: MIT
// A byte ring in shared memory with one producer and one consumer in different processes: how log
// lines leave a process that must never wait. What is put in comes out in order and whole.
//
//        data[0]        head              tail            data[size]
//          |   free      |  bytes to read  |     free        |       (both count up for ever; the
//                                                                     place is position & (size-1))
//
// The producer may be killed at any instruction: a record exists when the one store of `tail` has
// happened, not before. The words of the ring itself (struct ring) are private to each process, so
// that a process that runs wild can spoil its own bytes and nothing else.
#ifndef EVLB_RING_H
#define EVLB_RING_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "base/base.h"

// One consumer of many rings sleeps on one eventfd. In shared memory.
struct ring_sleep {
    _Atomic uint32_t sleeping; // set by the consumer before it sleeps, cleared when it wakes
};

struct ring_shared;

struct ring {
    struct ring_shared *shared;
    char *data;
    uint32_t size;            // a power of two
    struct ring_sleep *sleep; // NULL: the consumer polls
    int wake_fd;              // eventfd, non-blocking; the same number in all processes
};

// Bytes of shared memory that a ring of `size` (a power of two) needs: a multiple of 64.
size_t ring_bytes(uint32_t size);
// Lays a ring out in `memory` (zeroed, 64-byte aligned). Before the fork.
void ring_init(struct ring *r, void *memory, uint32_t size, struct ring_sleep *sleep, int wake_fd);

// Producer: all of it or nothing. False when it does not fit now; that is counted as dropped.
bool ring_put(struct ring *r, const void *bytes, size_t n);

// Consumer: the bytes that are there, in at most two pieces; whole records as they were put.
// Returns how many bytes.
size_t ring_peek(const struct ring *r, struct iovec piece[2]) MUST_CHECK;
// Takes the first `n` of the bytes seen out.
void ring_consume(struct ring *r, size_t n);
// Records that did not fit and have not been asked for yet.
uint64_t ring_take_dropped(struct ring *r) MUST_CHECK;
bool ring_has_dropped(const struct ring *r);
bool ring_empty(const struct ring *r);

// Wakes the consumer when it sleeps: for a producer that was killed before it could.
void ring_wake(const struct ring *r);
// Consumer: announce sleep, then look once more at every ring, then sleep on the eventfd.
void ring_sleep_begin(struct ring_sleep *sleep);
void ring_sleep_end(struct ring_sleep *sleep);

#endif
