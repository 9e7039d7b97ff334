// SPDX-License-Identifier: MIT
// Places and turns of TLS handshakes. Runs in workers; handshake.c asks.
//
//   worker.handshakes.ready --> listener --> listener      those with waiters and a place for one
//                                  |            |
//                               waiting      waiting       sessions with a whole ClientHello
//
// Invariants: a listener is in `ready` exactly while it has both; while `ready` has one, `go_on`
// runs at the beginning of the next turn.
#include "proxy/handshake_queue.h"

#include "proxy/handshake.h"

static bool has_place(const struct listener *l)
{
    uint32_t most = l->frontend->max_handshakes;
    return most == 0 || l->handshakes < most;
}

static bool turn_has_time(struct worker *w)
{
    struct handshakes *h = &w->handshakes;
    if (h->turn_us != w->loop.turn_us) {
        h->turn_us = w->loop.turn_us;
        h->begun = 0;
    }
    return h->begun < HANDSHAKES_PER_TURN;
}

static void take(struct listener *l)
{
    l->handshakes++;
    l->w->handshakes.begun++;
}

static void arm(struct worker *w)
{
    if (!list_empty(&w->handshakes.ready))
        loop_next_turn(&w->loop, &w->handshakes.go_on);
}

void handshakes_look(struct listener *l)
{
    struct handshakes *h = &l->w->handshakes;
    bool ready = !list_empty(&l->waiting) && has_place(l);
    if (!ready)
        list_remove(&l->ready);
    else if (list_empty(&l->ready))
        list_append(&h->ready, &l->ready);
    arm(l->w);
}

bool handshakes_enter(struct listener *l)
{
    if (!list_empty(&l->waiting) || !has_place(l) || !turn_has_time(l->w))
        return false;
    take(l);
    return true;
}

void handshakes_wait(struct listener *l, struct list *node)
{
    if (!has_place(l))
        l->w->count->frontends[l->frontend->index].n[FRONTEND_TLS_WAITED]++;
    list_append(&l->waiting, node);
    handshakes_look(l);
}

void handshakes_forget(struct listener *l, struct list *node)
{
    list_remove(node);
    handshakes_look(l);
}

void handshakes_exit(struct listener *l)
{
    lb_assert(l->handshakes > 0);
    l->handshakes--;
    handshakes_look(l);
}

static void on_turn(struct chore *go_on)
{
    struct worker *w = container_of(go_on, struct worker, handshakes.go_on);
    while (!list_empty(&w->handshakes.ready) && turn_has_time(w)) {
        struct list *first = list_pop_first(&w->handshakes.ready);
        struct listener *l = list_entry(first, struct listener, ready);
        struct list *node = list_pop_first(&l->waiting);
        take(l);
        handshakes_look(l);
        handshake_turn(node);
    }
    arm(w);
}

void handshakes_init(struct worker *w)
{
    list_init(&w->handshakes.ready);
    chore_init(&w->handshakes.go_on, on_turn);
}
