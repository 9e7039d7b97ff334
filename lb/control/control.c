// SPDX-License-Identifier: MIT
// The control process: one loop, on which everything hangs that is done once per process tree. Run
// by the supervisor's child (process/child_main.c), unprivileged, without any listener of the data
// path.
//
// Invariants: what it must not forget stands on the board (servers.h), so that it can be killed and
// replaced at any moment; it ends when the supervisor says MSG_STOP or is gone.
#include "control/control.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "control/admin.h"
#include "io/channel.h"
#include "io/loop.h"

struct control {
    struct loop loop;
    ev_io channel;
    struct admin_view view;
    struct admin *admin; // NULL: no admin socket
};

// ---- what comes from the supervisor -------------------------------------------------------------

static void take(struct control *c, const struct message *m, int *fds)
{
    if (m->type == MSG_ANSWER) {
        asks_answer(c->view.asks, m, fds);
        return;
    }
    for (uint32_t i = 0; i < m->n_fds; i++)
        (void)close(fds[i]);
    // a graceful stop is the workers' business; control stays until the last of them has ended
    if (m->type == MSG_STOP)
        loop_break(&c->loop);
}

static void on_channel(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev, (void)events;
    struct control *c = watcher->data;
    struct message m;
    int fds[CHANNEL_FDS_MAX];
    int result = channel_receive(watcher->fd, &m, fds);
    if (result > 0)
        take(c, &m, fds);
    else if (result < 0)
        loop_break(&c->loop);
}

static bool say_ready(int channel_fd)
{
    const struct message ready = {.type = MSG_READY};
    return send(channel_fd, &ready, sizeof(ready), MSG_NOSIGNAL) == (ssize_t)sizeof(ready);
}

// ---- the process --------------------------------------------------------------------------------

static void on_change(void *ctx, const struct backend *b, const struct server *s,
                      const char *sentence)
{
    struct control *c = ctx;
    char name[144];
    (void)snprintf(name, sizeof(name), "%.*s%s%.*s", STR_FMT(b->name), s != NULL ? "/" : "",
                   s != NULL ? (int)s->name.len : 0, s != NULL ? s->name.p : "");
    events_add(c->view.events, s != NULL ? EVENT_SERVER : EVENT_BACKEND, clock_wall_ms(),
               str_of(name), str_of(sentence));
}

static bool begin_view(struct control *c, const struct control_setup *setup)
{
    c->view = (struct admin_view){
        .config = setup->config,
        .generation = 1,
        .board = setup->board,
        .table = setup->table,
        .events = events_new(clock_wall_ms()),
        .asks = asks_new(setup->channel_fd),
    };
    if (c->view.events == NULL || c->view.asks == NULL)
        return false;
    c->view.servers =
        servers_new(&c->loop, setup->board, setup->config, setup->wake_fds, on_change, c);
    return c->view.servers != NULL;
}

static bool begin(struct control *c, const struct control_setup *setup)
{
    struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
    if (ev == NULL)
        return false;
    loop_init(&c->loop, ev);
    if (!begin_view(c, setup))
        return false;
    if (setup->admin_fd >= 0) {
        c->admin = admin_start(&c->loop, setup->admin_fd, &c->view);
        if (c->admin == NULL)
            return false;
    }
    ev_io_init(&c->channel, on_channel, setup->channel_fd, EV_READ);
    c->channel.data = c;
    ev_io_start(ev, &c->channel);
    return say_ready(setup->channel_fd);
}

static void end(struct control *c)
{
    admin_stop(c->admin);
    servers_free(c->view.servers);
    asks_free(c->view.asks);
    events_free(c->view.events);
    if (c->loop.ev != NULL)
        ev_loop_destroy(c->loop.ev);
    free(c);
}

int control_run(const struct control_setup *setup)
{
    struct control *c = xcalloc(1, sizeof(*c));
    bool begun = begin(c, setup);
    if (begun)
        loop_run(&c->loop);
    else
        log_error("the control process cannot start its loop");
    end(c);
    return begun ? 0 : 1;
}
