// SPDX-License-Identifier: MIT
// The worker process: begins with the configuration that it was forked with, watches its listeners
// and the channel to the supervisor, and runs the loop. process/ calls worker_run() after the fork.
// Draining: listeners stop, idle connections close, answers say "Connection: close"; the process
// ends with its last session or when its time is over. Further configurations: reload.c.
#include "proxy/worker.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "io/channel.h"
#include "io/sock.h"
#include "proxy/challenge.h"
#include "proxy/generation.h"
#include "proxy/handshake_queue.h"
#include "proxy/listener.h"
#include "proxy/queue.h"
#include "proxy/reload.h"
#include "proxy/session.h"
#include "proxy/sessions_dump.h"
#include "proxy/upstream.h"
#include "proxy/warm.h"
#include "proxy/worker_state.h"

void worker_say(struct worker *w, uint32_t type, uint32_t arg, uint32_t status)
{
    const struct message m = {.type = type, .arg = arg, .status = status};
    int error = channel_send(w->channel.fd, &m, NULL);
    if (error < 0)
        log_debug("cannot tell the supervisor: %s", strerror(-error));
}

static void on_drain_over(struct timer *t)
{
    struct worker *w = container_of(t, struct worker, drain_timer);
    log_warning("stopping with %u sessions still open", w->n_sessions);
    session_close_all(w);
    loop_break(&w->loop);
}

void worker_drain(struct worker *w, uint32_t ms)
{
    if (!w->draining) {
        w->draining = true;
        LIST_EACH(node, &w->listeners)
        {
            listener_stop(list_entry(node, struct listener, node));
        }
        warm_stop(w);
        upstream_close_idle(w);
        session_drain_all(w);
        w->drained = true;
    }
    if (ms > 0)
        timer_set(&w->loop.wheel, &w->drain_timer, w->loop.now_ms + ms);
    if (w->n_sessions == 0)
        loop_break(&w->loop);
}

// False: the worker ends.
static bool hear(struct worker *w, const struct message *m, const int *fds)
{
    switch (m->type) {
    case MSG_STOP:
        return false;
    case MSG_DRAIN:
        worker_drain(w, m->arg);
        return true;
    case MSG_LISTENERS:
        reload_take_sockets(w, m, fds);
        return true;
    case MSG_CONFIG:
        reload_take_config(w, m, fds);
        return true;
    case MSG_LOG_LEVEL:
        log_set_level((enum log_level)MIN_OF(m->arg, (uint32_t)LOG_DEBUG));
        return true;
    case MSG_ANSWER:
        challenge_answered(w, m, fds);
        return true;
    case MSG_QUERY:
        sessions_answer(w, m, w->channel.fd);
        return true;
    default: // not for workers
        for (uint32_t i = 0; i < m->n_fds; i++)
            (void)close(fds[i]);
        return true;
    }
}

static void on_channel(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev, (void)events;
    struct worker *w = container_of(watcher, struct worker, channel);
    struct message m;
    int fds[CHANNEL_FDS_MAX], r;
    while ((r = channel_receive(watcher->fd, &m, fds)) != 0) {
        // without its descriptors: who needs them says that they are not there
        if ((r > 0 || r == -EMFILE) && hear(w, &m, fds))
            continue;
        // STOP, or no supervisor any more: without it the ports must be free for the next one
        session_close_all(w);
        loop_break(&w->loop);
        return;
    }
}

void worker_look(struct worker *w)
{
    upstream_cut_down(w);
    queue_look(w);
    warm_look(w);
}

// Another worker, or control, says that the board has news.
static void on_wake(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev, (void)events;
    uint64_t times;
    if (read(watcher->fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
        worker_look(container_of(watcher, struct worker, wake));
}

static int dial(struct worker *w, const struct addr *to, bool has_data)
{
    (void)w;
    return sock_connect(to, has_data);
}

static void on_slow_turn(struct loop *l, uint64_t took_us)
{
    struct worker *w = container_of(l, struct worker, loop);
    uint64_t *longest = &w->count->worker[WORKER_LONGEST_TURN_US];
    w->count->worker[WORKER_SLOW_TURNS]++;
    *longest = MAX_OF(*longest, took_us);
}

static void init_pools(struct worker *w)
{
    w->idle = xcalloc(w->board->dim.servers, sizeof(*w->idle)); // memory as slots come into use
    w->epochs = xcalloc(w->board->dim.backends, sizeof(*w->epochs));
}

static void init_listeners(struct worker *w, const struct worker_setup *setup)
{
    const struct config *c = setup->config;
    const int *fd = setup->listen_fds;
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        for (uint32_t k = 0; k < c->frontends[i].n_listens; k++) {
            struct listener *l = listener_new(w, &c->frontends[i], &c->frontends[i].listens[k]);
            if (fd != NULL)
                listener_start(l, *fd++);
        }
    }
}

void worker_init(struct worker *w, const struct worker_setup *setup, struct ev_loop *ev)
{
    memset(w, 0, sizeof(*w));
    loop_init(&w->loop, ev);
    w->board = setup->board;
    w->count = &setup->board->counters[setup->id];
    w->id = setup->id;
    w->max_connections = setup->max_connections;
    w->access_ring = setup->access_log;
    w->access_log = setup->config->access_log ? w->access_ring : NULL;
    w->tickets = setup->tickets;
    w->dial = dial;
    w->transport = &transport_plain;
    rng_seed(&w->rng, (uint64_t)clock_wall_ms() * 1000003u + w->id);
    list_init(&w->sessions);
    list_init(&w->listeners);
    list_init(&w->sockets);
    list_init(&w->challenges);
    timer_init(&w->drain_timer, on_drain_over);
    ev_io_init(&w->channel, on_channel, setup->channel_fd, EV_READ);
    w->wake_fds = setup->wake_fds;
    w->control_wake_fd = setup->control_wake_fd;
    if (w->wake_fds != NULL)
        ev_io_init(&w->wake, on_wake, w->wake_fds[w->id], EV_READ);
    w->loop.on_slow_turn = on_slow_turn;
    init_pools(w);
    queue_init(w);
    handshakes_init(w);
    warm_init(w);
    bool fits = generation_begin(w, setup->config, setup->generation, false);
    lb_assert(fits); // the board was made for it
    init_listeners(w, setup);
}

void worker_free(struct worker *w)
{
    session_close_all(w);
    reload_forget_sockets(w);
    LIST_EACH(node, &w->listeners)
    {
        listener_free(list_entry(node, struct listener, node));
    }
    warm_free(w);
    upstream_close_idle(w);
    generation_drop(w, w->now);
    lb_assert(w->now == NULL);
    loop_end_turn(&w->loop);
    free(w->idle);
    free(w->epochs);
    queue_free(w);
}

int worker_run(const struct worker_setup *setup)
{
    static struct worker w; // half a megabyte of scratch: not for the stack
    struct ev_loop *ev = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (ev == NULL) {
        log_error("no epoll on this system");
        return 1;
    }
    worker_init(&w, setup, ev);
    ev_io_start(ev, &w.channel);
    if (w.wake_fds != NULL)
        ev_io_start(ev, &w.wake);
    worker_say(&w, MSG_READY, 0, 0);
    loop_run(&w.loop);
    worker_free(&w);
    ev_loop_destroy(ev);
    return 0;
}
