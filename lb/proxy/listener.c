// SPDX-License-Identifier: MIT
// Accepting connections. Runs in workers. Three things shape it:
// - the kernel's queue is emptied in batches whose size follows the load, so that under load no
//   accept4() is spent on learning that the queue is empty;
// - beyond max-connections, and while descriptors are out, the listener is not watched at all:
//   clients wait in the kernel's queue, and a level-triggered loop does not spin;
// - each connection is served at once, in the same turn, before it is known to the loop.
//
// A reload points a listener to its new frontend. One that is not configured any more takes what
// waits in the kernel's queue, closes its socket, and stays for the sessions that point to it:
// these are served with the configuration that it had last. Invariant: in worker->listeners exactly
// while configured (gone is not set).
#include "proxy/listener.h"

#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"
#include "core/route.h"
#include "io/sock.h"
#include "proxy/generation.h"
#include "proxy/handshake_queue.h"
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

static void unclaim(struct worker *w, uint32_t frontend)
{
    struct board *b = w->board;
    board_release(b, w->id, board_process_slot(b));
    board_release(b, w->id, board_frontend_slot(b, frontend));
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
    unclaim(l->w, l->frontend->index);
    return false;
}

static void bury(struct grave *g)
{
    free(container_of(g, struct listener, grave));
}

static void free_when_unused(struct listener *l)
{
    if (!l->gone || l->n_sessions > 0 || l->watcher.fd >= 0)
        return;
    generation_drop(l->w, l->generation);
    loop_bury(&l->w->loop, &l->grave, bury);
}

void listener_release(struct listener *l, uint32_t frontend)
{
    struct worker *w = l->w;
    unclaim(w, frontend);
    LIST_EACH(node, &w->listeners)
    {
        struct listener *other = list_entry(node, struct listener, node);
        if (other->paused)
            timer_set(&w->loop.wheel, &other->resume, w->loop.now_ms);
    }
    lb_assert(l->n_sessions > 0);
    l->n_sessions--;
    free_when_unused(l);
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
    unclaim(l->w, l->frontend->index);
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

// Where it is in w->now.
static void point(struct listener *l, const struct frontend *f, const struct listen *listen)
{
    l->generation = generation_hold(l->w->now);
    l->frontend = f;
    l->listen = listen;
    l->tls = generation_tls(l->generation, listen);
    l->by_name = l->tls == NULL && f->mode == MODE_TCP && route_needs_hello(f);
}

struct listener *listener_new(struct worker *w, const struct frontend *f,
                              const struct listen *listen)
{
    struct listener *l = xcalloc(1, sizeof(*l));
    l->w = w;
    point(l, f, listen);
    l->batch = 1;
    list_init(&l->waiting);
    list_init(&l->ready);
    list_append(&w->listeners, &l->node);
    timer_init(&l->resume, on_resume);
    ev_io_init(&l->watcher, on_acceptable, -1, EV_READ);
    l->watcher.data = l;
    return l;
}

void listener_start(struct listener *l, int fd)
{
    ev_io_set(&l->watcher, fd, EV_READ);
    watch(l, true);
}

void listener_point(struct listener *l, const struct frontend *f, const struct listen *listen)
{
    struct generation *before = l->generation;
    point(l, f, listen);
    generation_drop(l->w, before);
    handshakes_look(l);
}

int listener_take_socket(struct listener *l)
{
    int fd = l->watcher.fd;
    watch(l, false);
    ev_io_set(&l->watcher, -1, EV_READ);
    timer_clear(&l->resume);
    l->paused = false;
    return fd;
}

static void close_socket(struct listener *l)
{
    int fd = listener_take_socket(l);
    if (fd >= 0)
        (void)close(fd);
}

void listener_stop(struct listener *l)
{
    while (l->watcher.fd >= 0 && accept_one(l)) // the kernel has accepted these for us
        continue;
    close_socket(l);
}

void listener_retire(struct listener *l)
{
    l->gone = true; // before it takes the last ones: they learn that there will be no next request
    list_remove(&l->node);
    listener_stop(l);
    free_when_unused(l);
}

void listener_free(struct listener *l)
{
    l->gone = true;
    list_remove(&l->node);
    close_socket(l);
    free_when_unused(l);
}
