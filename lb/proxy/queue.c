// SPDX-License-Identifier: MIT
// Queues. Run in workers; called by attempt.c, and by worker.c when this worker was woken.
//
// Each worker keeps its own waiters in the order of their tickets and publishes the first one's on
// the board. Room that comes up goes to the smallest of these: its worker is woken, gives it its
// turn, and passes the turn on to the next in order until a pick finds no room.
//
// Every queue with waiters is looked at every QUEUE_TICK_MS as well: a wake-up that got lost, or a
// worker that was killed with a turn in its hands, costs that long and no request. A worker that is
// first and does not move for a whole tick (stopped, or about to be taken back from the board) is
// overtaken.
// Invariants: a waiter is in a list exactly while `waits` is set, and holds one unit of its
// backend's gauge meanwhile; nobody is called from inside of a release, only from the end of a
// turn.
#include "proxy/queue.h"

#include <unistd.h>

#define QUEUE_TICK_MS 20u

static void on_tick(struct timer *t);
static void on_chore(struct chore *c);

void queue_init(struct worker *w)
{
    w->queues = xcalloc(w->board->dim.backends, sizeof(*w->queues));
    list_init(&w->queues_in_use);
    timer_init(&w->queue_tick, on_tick);
    for (uint32_t i = 0; i < w->board->dim.backends; i++) {
        struct queue *q = &w->queues[i];
        list_init(&q->waiting);
        list_init(&q->node);
        chore_init(&q->chore, on_chore);
        q->w = w;
        q->backend = i;
    }
}

void queue_free(struct worker *w)
{
    lb_assert(list_empty(&w->queues_in_use));
    free(w->queues);
}

static struct waiter *first_of(const struct queue *q)
{
    return list_empty(&q->waiting) ? NULL : list_entry(q->waiting.next, struct waiter, node);
}

static void publish(struct queue *q)
{
    const struct waiter *first = first_of(q);
    atomic_store(board_queue_head(q->w->board, q->w->id, q->backend),
                 first != NULL ? first->ticket : 0);
}

// By ticket: one that waits again has an old one.
static void insert(struct queue *q, struct waiter *i)
{
    struct list *before = q->waiting.prev;
    while (before != &q->waiting && list_entry(before, struct waiter, node)->ticket > i->ticket)
        before = before->prev;
    list_insert(&i->node, before, before->next);
}

bool queue_join(struct worker *w, const struct backend *b, struct waiter *i, void *holder,
                void (*on_turn)(void *holder))
{
    struct queue *q = &w->queues[b->index];
    if (!board_claim_below(w->board, w->id, board_queue_slot(w->board, b->index), b->max_queue)) {
        w->count->backends[b->index][BACKEND_QUEUE_FULL]++;
        return false;
    }
    if (i->ticket == 0) {
        i->ticket = atomic_fetch_add(&w->board->queue[b->index].ticket, 1) + 1;
        i->since_ms = w->loop.now_ms;
        w->count->backends[b->index][BACKEND_QUEUED]++;
    }
    i->holder = holder;
    i->on_turn = on_turn;
    i->waits = true;
    insert(q, i);
    publish(q);
    if (list_empty(&q->node))
        list_append(&w->queues_in_use, &q->node);
    if (!timer_is_set(&w->queue_tick))
        timer_set(&w->loop.wheel, &w->queue_tick, w->loop.now_ms + QUEUE_TICK_MS);
    if (first_of(q) == i) // room that came up just before was told to nobody
        loop_later(&w->loop, &q->chore);
    return true;
}

void queue_leave(struct worker *w, uint32_t backend, struct waiter *i)
{
    struct queue *q = &w->queues[backend];
    if (!i->waits)
        return;
    i->waits = i->turn = false;
    list_remove(&i->node);
    publish(q);
    board_release(w->board, w->id, board_queue_slot(w->board, backend));
    if (list_empty(&q->waiting))
        list_remove(&q->node);
}

// The smallest ticket that waits in another worker, 0 when none does.
static uint64_t first_elsewhere(const struct queue *q, uint32_t *worker)
{
    const struct board *b = q->w->board;
    uint64_t first = 0;
    for (uint32_t i = 0; i < b->dim.workers; i++) {
        uint64_t head = i != q->w->id ? atomic_load(board_queue_head(b, i, q->backend)) : 0;
        if (head != 0 && (first == 0 || head < first)) {
            first = head;
            *worker = i;
        }
    }
    return first;
}

static void wake(const struct worker *w, uint32_t worker)
{
    const uint64_t one = 1;
    if (w->wake_fds != NULL && write(w->wake_fds[worker], &one, sizeof(one)) < 0)
        return; // it has not looked for 2^64 - 2 times: it will
}

// Lets the first one pick. False: it still waits, for there is no room.
static bool give_turn(struct queue *q)
{
    struct waiter *i = first_of(q);
    uint64_t ticket = i->ticket;
    i->turn = true;
    i->on_turn(i->holder); // it may be gone now
    const struct waiter *next = first_of(q);
    return next == NULL || next->ticket != ticket;
}

static void serve(struct queue *q)
{
    uint32_t worker = 0;
    for (;;) {
        const struct waiter *i = first_of(q);
        uint64_t elsewhere = first_elsewhere(q, &worker);
        bool theirs = elsewhere != 0 && (i == NULL || (elsewhere < i->ticket && !q->overtake));
        if (theirs)
            wake(q->w, worker);
        if (theirs || i == NULL || !give_turn(q))
            break;
    }
    q->overtake = false;
}

static void on_chore(struct chore *c)
{
    serve(container_of(c, struct queue, chore));
}

void queue_next(struct worker *w, uint32_t backend)
{
    struct queue *q = &w->queues[backend];
    const struct waiter *i = first_of(q);
    uint32_t worker = 0;
    uint64_t elsewhere = first_elsewhere(q, &worker);
    if (elsewhere != 0 && (i == NULL || elsewhere < i->ticket))
        wake(w, worker);
    else if (i != NULL)
        loop_later(&w->loop, &q->chore);
}

void queue_look(struct worker *w)
{
    LIST_EACH(node, &w->queues_in_use)
    {
        loop_later(&w->loop, &list_entry(node, struct queue, node)->chore);
    }
}

static void on_tick(struct timer *t)
{
    struct worker *w = container_of(t, struct worker, queue_tick);
    LIST_EACH(node, &w->queues_in_use)
    {
        struct queue *q = list_entry(node, struct queue, node);
        uint32_t worker;
        uint64_t elsewhere = first_elsewhere(q, &worker);
        q->overtake = elsewhere != 0 && elsewhere == q->stuck;
        q->stuck = elsewhere;
    }
    queue_look(w);
    if (!list_empty(&w->queues_in_use))
        timer_set(&w->loop.wheel, t, w->loop.now_ms + QUEUE_TICK_MS);
}
