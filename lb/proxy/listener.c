// SPDX-License-Identifier: MIT
// Accepting connections. Runs in workers. Three things shape it:
// - the kernel's queue is emptied in batches whose size follows the load, so that under load no
//   accept4() is spent on learning that the queue is empty;
// - beyond max-connections, and while descriptors are out, the listener is not watched at all:
//   clients wait in the kernel's queue, and a level-triggered loop does not spin;
// - each connection is served at once, in the same turn, before it is known to the loop.
#include "proxy/listener.h"

#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"
#include "io/sock.h"
#include "proxy/session.h"
#include "proxy/upstream.h"

#define BATCH_MAX 64u
#define PAUSE_MS 50u

static void watch(struct listener *l, bool on)
{
    if (l->w->loop.ev == NULL)
        return;
    if (on)
        ev_io_start(l->w->loop.ev, &l->watcher);
    else
        ev_io_stop(l->w->loop.ev, &l->watcher);
}

static void pause_for(struct listener *l, uint32_t ms)
{
    l->paused = true;
    watch(l, false);
    timer_set(&l->w->loop.wheel, &l->resume, l->w->loop.now_ms + ms);
}

static void on_resume(struct timer *t)
{
    struct listener *l = container_of(t, struct listener, resume);
    if (!l->paused || l->w->draining)
        return;
    l->paused = false;
    watch(l, true);
}

static void unclaim(const struct listener *l)
{
    struct board *b = l->w->board;
    board_release(b, l->w->id, board_process_slot(b));
    board_release(b, l->w->id, board_frontend_slot(b, l->frontend->index));
}

// Claims a place for one more connection. False: a limit is reached.
static bool claim(struct listener *l)
{
    struct board *b = l->w->board;
    uint32_t process = board_process_slot(b);
    uint32_t frontend = board_frontend_slot(b, l->frontend->index);
    board_claim(b, l->w->id, process);
    board_claim(b, l->w->id, frontend);
    uint32_t most = l->frontend->max_connections;
    if (board_total(b, process) <= l->w->max_connections &&
        (most == 0 || board_total(b, frontend) <= most))
        return true;
    unclaim(l);
    return false;
}

void listener_release(const struct listener *l)
{
    struct worker *w = l->w;
    unclaim(l);
    for (uint32_t i = 0; i < w->n_listeners; i++) {
        if (w->listeners[i].paused)
            timer_set(&w->loop.wheel, &w->listeners[i].resume, w->loop.now_ms);
    }
}

// Accepts one. False: stop for this turn.
static bool accept_one(struct listener *l)
{
    union ip_addr peer;
    if (!claim(l)) {
        pause_for(l, PAUSE_MS);
        return false;
    }
    int fd = sock_accept(l->watcher.fd, &peer);
    if (fd >= 0) {
        if (!session_begin(l, &transport_plain, fd, &peer))
            l->w->count->worker[WORKER_REFUSED_SESSIONS]++;
        return true;
    }
    unclaim(l);
    enum sock_failure why = sock_failure(-fd);
    if (why == SOCK_NONE)
        return false;
    l->w->count->worker[WORKER_ACCEPT_ERRORS]++;
    panic_note("accept failed", (uint64_t)-fd, 0);
    if (why != SOCK_EXHAUSTED)
        return true;
    log_warning("frontend '%s': cannot accept: %s; waiting for one to be free", l->frontend->name.p,
                strerror(-fd));
    upstream_close_idle(l->w);
    pause_for(l, PAUSE_MS);
    return false;
}

static void on_acceptable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev, (void)events;
    struct listener *l = watcher->data;
    uint32_t taken = 0;
    while (taken < l->batch && accept_one(l))
        taken++;
    if (taken == l->batch)
        l->batch = MIN_OF(l->batch * 2, BATCH_MAX); // there may have been more: take more next time
    else
        l->batch = MAX_OF(taken, 1u);
}

void listener_init(struct listener *l, struct worker *w, const struct frontend *f,
                   const struct listen *listen)
{
    *l = (struct listener){.w = w, .frontend = f, .listen = listen, .batch = 1};
    timer_init(&l->resume, on_resume);
    ev_io_init(&l->watcher, on_acceptable, -1, EV_READ);
    l->watcher.data = l;
}

void listener_start(struct listener *l, int fd)
{
    ev_io_set(&l->watcher, fd, EV_READ);
    watch(l, true);
}

void listener_stop(struct listener *l)
{
    watch(l, false);
    if (l->watcher.fd >= 0) {
        while (accept_one(l)) // the kernel has accepted these for us
            continue;
        (void)close(l->watcher.fd);
        ev_io_set(&l->watcher, -1, EV_READ);
    }
    timer_clear(&l->resume);
    l->paused = false;
}
