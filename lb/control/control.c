// SPDX-License-Identifier: MIT
// The control process: one loop, on which everything hangs that is done once per process tree. Run
// by the supervisor's child (process/child_main.c), unprivileged, without any listener of the data
// path.
//
//   checks, resolver, admin API --> servers --> board, workers' eventfds, log, events
//
// Invariants: what must not be forgotten stands on the board, so that it can be killed and replaced
// at any moment; a configuration is in force everywhere here or nowhere; it ends when the
// supervisor says MSG_STOP or is gone.
#include "control/control.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/bundle.h"
#include "control/admin.h"
#include "control/asks.h"
#include "control/checks.h"
#include "control/events.h"
#include "control/resolver.h"
#include "io/channel.h"

#define RESOLVED_LOOK_MS 20u // how often, before we are ready, whether all names have had an answer

struct control {
    const struct control_setup *setup;
    struct loop loop;
    ev_io channel, wake;
    struct timer ready;    // says so as soon as it is
    struct config *config; // of a reload: ours; NULL: still that of the setup
    struct servers *servers;
    struct checks *checks;
    struct resolver *resolver; // NULL: could not be made
    struct events *events;
    struct asks *asks;
    struct admin_view view;
    struct admin *admin; // NULL: no admin socket
};

static void on_change(void *ctx, const struct backend *b, const struct server *s,
                      const char *sentence)
{
    struct control *c = ctx;
    char object[144];
    snprintf(object, sizeof(object), "%s%s%s", b->name.p, s != NULL ? "/" : "",
             s != NULL ? s->name.p : "");
    events_add(c->events, s != NULL ? EVENT_SERVER : EVENT_BACKEND, clock_wall_ms(), str_of(object),
               str_of(sentence));
    if (s != NULL && c->checks != NULL)
        checks_hurry(c->checks, s->index);
}

// ---- a new configuration ----------------------------------------------------------------------

static void take_over(struct control *c, struct config *config, uint32_t generation)
{
    struct config *old = c->config;
    servers_reconfigure(c->servers, config);
    checks_reconfigure(c->checks);
    if (c->resolver != NULL)
        resolver_reconfigure(c->resolver, config);
    c->config = config;
    c->view.config = config;
    c->view.generation = generation;
    if (old != NULL)
        arena_free(old->arena);
    events_add(c->events, EVENT_RELOAD, clock_wall_ms(), STR_NONE,
               STR("a new configuration is in force"));
}

static struct config *read_bundle(int fd)
{
    char why[BUNDLE_WHY];
    struct str bytes;
    if (!channel_text_map(fd, &bytes)) {
        log_error("a new configuration came as something that is no sealed memory");
        return NULL;
    }
    struct config *config = bundle_load(bytes, why);
    if (config == NULL)
        log_error("a new configuration does not load here: %s", why);
    channel_text_done(bytes);
    return config;
}

static void answer_config(struct control *c, const struct message *m, const int *fds)
{
    struct config *config = m->n_fds == 1 ? read_bundle(fds[0]) : NULL;
    if (config != NULL)
        take_over(c, config, m->arg);
    const struct message taken = {
        .type = MSG_TAKEN, .arg = m->arg, .status = config != NULL ? 0 : 1};
    int error = channel_send(c->setup->channel_fd, &taken, NULL);
    if (error < 0)
        log_error("cannot tell the supervisor of a reload: %s", strerror(-error));
}

// ---- the supervisor and the workers -----------------------------------------------------------

static void hear(struct control *c, const struct message *m, int *fds)
{
    switch (m->type) {
    case MSG_STOP:
        loop_break(&c->loop);
        break;
    case MSG_CONFIG:
        answer_config(c, m, fds);
        return; // its descriptor is closed
    case MSG_ANSWER:
        asks_answer(c->asks, m, fds);
        return; // so is this one
    case MSG_LOG_LEVEL:
        log_set_level(m->arg);
        break;
    default: // a graceful stop is the workers' business; control stays until they have ended
        break;
    }
    for (uint32_t i = 0; i < m->n_fds; i++)
        (void)close(fds[i]);
}

static void on_channel(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev, (void)events;
    struct control *c = watcher->data;
    struct message m;
    int fds[CHANNEL_FDS_MAX];
    int result = channel_receive(watcher->fd, &m, fds);
    if (result == 1 || result == -EMFILE) // who misses a descriptor says so
        hear(c, &m, fds);
    else if (result < 0)
        loop_break(&c->loop);
}

// A worker has seen something that needs a look.
static void on_wake(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev, (void)events;
    struct control *c = watcher->data;
    uint64_t n;
    if (read(watcher->fd, &n, sizeof(n)) > 0)
        checks_suspects(c->checks);
}

// ---- life -------------------------------------------------------------------------------------

// Traffic begins when we are ready: first with the addresses of all names that have any.
static void on_ready(struct timer *t)
{
    struct control *c = container_of(t, struct control, ready);
    const struct message ready = {.type = MSG_READY};
    if (c->resolver != NULL && !resolver_settled(c->resolver))
        timer_set(&c->loop.wheel, t, c->loop.now_ms + RESOLVED_LOOK_MS);
    else if (channel_send(c->setup->channel_fd, &ready, NULL) < 0)
        loop_break(&c->loop);
}

static void listen_to(struct control *c, ev_io *watcher, int fd,
                      void (*heard)(struct ev_loop *, ev_io *, int))
{
    ev_io_init(watcher, heard, fd, EV_READ);
    watcher->data = c;
    ev_io_start(c->loop.ev, watcher);
}

static bool begin(struct control *c)
{
    const struct control_setup *s = c->setup;
    struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
    if (ev == NULL)
        return false;
    loop_init(&c->loop, ev);
    c->events = events_new(clock_wall_ms());
    c->asks = asks_new(s->channel_fd);
    if (c->events == NULL || c->asks == NULL)
        return false;
    c->servers = servers_new(&c->loop, s->board, s->config, s->wake_fds, on_change, c);
    c->checks = checks_new(&c->loop, s->board, c->servers);
    c->resolver = resolver_new(&c->loop, c->servers, s->board, s->config);
    c->view = (struct admin_view){.config = s->config,
                                  .generation = MAX_OF(atomic_load(&s->table->generation), 1u),
                                  .board = s->board,
                                  .table = s->table,
                                  .servers = c->servers,
                                  .events = c->events,
                                  .asks = c->asks};
    if (s->admin_fd >= 0 && (c->admin = admin_start(&c->loop, s->admin_fd, &c->view)) == NULL)
        return false;
    listen_to(c, &c->channel, s->channel_fd, on_channel);
    listen_to(c, &c->wake, s->control_wake_fd, on_wake);
    timer_init(&c->ready, on_ready);
    on_ready(&c->ready);
    return true;
}

static void end(struct control *c)
{
    admin_stop(c->admin);
    resolver_free(c->resolver);
    checks_free(c->checks);
    servers_free(c->servers);
    asks_free(c->asks);
    events_free(c->events);
    if (c->config != NULL)
        arena_free(c->config->arena);
    if (c->loop.ev != NULL)
        ev_loop_destroy(c->loop.ev);
    free(c);
}

int control_run(const struct control_setup *setup)
{
    struct control *c = xcalloc(1, sizeof(*c));
    c->setup = setup;
    bool begun = begin(c);
    if (begun)
        loop_run(&c->loop);
    else
        log_error("the control process cannot start its loop");
    end(c);
    return begun ? 0 : 1;
}
