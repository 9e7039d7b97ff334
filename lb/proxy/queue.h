// SPDX-License-Identifier: MIT
// Queues: requests that wait for a server of their backend to have room (max-connections), first
// in, first out over all workers.
//
//   board: ticket --next number--> waiter        gauge: all who wait (max-queue)
//   worker 0:  12 17 18            queue_head: 12   <- the smallest is served first
//   worker 1:  13 14               queue_head: 13
#ifndef EVLB_QUEUE_H
#define EVLB_QUEUE_H

#include "proxy/worker_state.h"

// One request that waits. Lives in its attempt; all zero before.
struct waiter {
    struct list node;  // in queue.waiting while it waits
    uint64_t ticket;   // its place; kept when it has to wait again. 0: it never waited
    uint64_t since_ms; // it began to wait
    void *holder;
    void (*on_turn)(void *holder);
    bool waits;
    bool turn; // may pick now, whoever else waits
};

// The requests of one backend that wait in one worker.
struct queue {
    struct list waiting; // struct waiter, by ticket
    struct list node;    // in worker->queues_in_use while anybody waits
    struct worker *w;
    uint32_t backend; // slot
    uint64_t stuck;   // the ticket of another worker that was first at the last tick; 0: none
    bool overtake;    // that one has had its time
    struct chore chore;
};

void queue_init(struct worker *w);
void queue_free(struct worker *w);

// Somebody waits for a server of this backend, in whatever worker: a newcomer has to do the same.
static inline bool queue_in_use(const struct worker *w, uint32_t backend)
{
    return board_total(w->board, board_queue_slot(w->board, backend)) > 0;
}
// Takes a place, its old one when it had one. on_turn is called when it may pick: it either leaves
// the queue then, or the backend is still full. False: max-queue are waiting already.
bool queue_join(struct worker *w, const struct backend *b, struct waiter *i, void *holder,
                void (*on_turn)(void *holder)) MUST_CHECK;
void queue_leave(struct worker *w, uint32_t backend, struct waiter *i);
// A server of this backend has room again: whoever is first gets its turn, here at the end of this
// loop turn, or in another worker, which is woken.
void queue_next(struct worker *w, uint32_t backend);
// The board has news: all who wait here look again.
void queue_look(struct worker *w);

#endif
