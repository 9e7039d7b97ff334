// SPDX-License-Identifier: MIT
// The control process: one loop, on which everything hangs that is done once per process tree. Run
// by the supervisor's child (process/child_main.c), unprivileged, without any listener of the data
// path.
//
// Invariants: it writes nothing on the board and nothing in the process table, so that it can be
// killed and replaced at any moment; it ends when the supervisor says MSG_STOP or is gone.
#include "control/control.h"

#include <errno.h>
#include <sys/socket.h>

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

static void on_channel(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev, (void)events;
    struct control *c = watcher->data;
    struct message m;
    ssize_t n = recv(watcher->fd, &m, sizeof(m), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    // a graceful stop is the workers' business; control stays until the last of them has ended
    if (n == (ssize_t)sizeof(m) && m.type != MSG_STOP)
        return;
    loop_break(&c->loop);
}

static bool say_ready(int channel_fd)
{
    const struct message ready = {.type = MSG_READY};
    return send(channel_fd, &ready, sizeof(ready), MSG_NOSIGNAL) == (ssize_t)sizeof(ready);
}

static bool begin(struct control *c, const struct control_setup *setup)
{
    struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
    if (ev == NULL)
        return false;
    loop_init(&c->loop, ev);
    c->view = (struct admin_view){setup->config, setup->board, setup->table, 0};
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

int control_run(const struct control_setup *setup)
{
    struct control *c = xcalloc(1, sizeof(*c));
    bool begun = begin(c, setup);
    if (begun)
        loop_run(&c->loop);
    else
        log_error("the control process cannot start its loop");
    admin_stop(c->admin);
    if (c->loop.ev != NULL)
        ev_loop_destroy(c->loop.ev);
    free(c);
    return begun ? 0 : 1;
}
