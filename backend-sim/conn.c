/* SPDX-License-Identifier: MIT */
/*
 * A connection: socket, watchers, input and output queue, and the three ways to end it.
 *
 * Watcher callbacks record what happened and call conn_drive(), which reads the PROXY header where
 * one is asked for and then hands over to the mode (HTTP or one of the TCP modes). conn_update() is
 * the only place that decides which events the loop is asked for.
 *
 *   open --conn_linger()--> FIN sent, input swallowed --EOF or 2 s--> closed
 *        --conn_reset()---> waits until all output is acknowledged --> RST
 *        --conn_close()---> closed
 *
 * A closed connection goes to the graveyard, so that callers up the stack may still look at it.
 */
#include "conn.h"

#include "http_server.h"
#include "tcp_modes.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECV_BYTES 16384U
#define LINGER_S 2.0
#define RESET_POLL_S 0.002
#define RESET_TRIES 500U
#define TICK_S 0.1

static void conn_drive(struct conn *c);

void conn_close(struct conn *c)
{
    if (c->fd < 0)
        return;
    struct ev_loop *loop = c->sim->loop;
    ev_io_stop(loop, &c->readable);
    ev_io_stop(loop, &c->writable);
    ev_timer_stop(loop, &c->timer);
    ev_timer_stop(loop, &c->read_tick);
    ev_timer_stop(loop, &c->send_tick);
    close(c->fd);
    c->fd = -1;
    if (c->started)
        c->ops->release(c);
    if (!c->uncounted)
        c->listener->count.open--;
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        c->sim->conns = c->next;
    c->next = c->sim->graveyard;
    c->sim->graveyard = c;
}

void conn_free_dead(struct sim *sim)
{
    while (sim->graveyard) {
        struct conn *c = sim->graveyard;
        sim->graveyard = c->next;
        buf_free(&c->in);
        buf_free(&c->out);
        free(c);
    }
}

void conn_close_all(struct sim *sim)
{
    while (sim->conns)
        conn_close(sim->conns);
    conn_free_dead(sim);
}

void conn_timer(struct conn *c, double seconds)
{
    c->timer_fired = false;
    ev_timer_stop(c->sim->loop, &c->timer);
    if (seconds < 0)
        return;
    ev_timer_set(&c->timer, seconds, 0);
    ev_timer_start(c->sim->loop, &c->timer);
}

void conn_linger(struct conn *c)
{
    if (c->fd < 0)
        return;
    shutdown(c->fd, SHUT_WR);
    c->end = CONN_LINGER;
    c->read_rate = 0;
    c->in_limit = CONN_IN_LIMIT;
    buf_clear(&c->in);
    conn_timer(c, LINGER_S);
}

void conn_reset(struct conn *c)
{
    if (c->fd < 0)
        return;
    c->end = CONN_RESET;
    conn_timer(c, 0);
}

void conn_drop_reset(struct conn *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (c->fd < 0)
        return;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    conn_close(c);
}

static void drive_reset(struct conn *c)
{
    int unsent = 0;
    if (!c->timer_fired)
        return;
    if (ioctl(c->fd, SIOCOUTQ, &unsent) == 0 && unsent > 0 && c->reset_tries++ < RESET_TRIES) {
        conn_timer(c, RESET_POLL_S);
        return;
    }
    conn_drop_reset(c);
}

static void start_send_tick(struct conn *c)
{
    c->piece_sent = true;
    ev_timer_stop(c->sim->loop, &c->send_tick);
    ev_timer_set(&c->send_tick, c->send_gap_s, 0);
    ev_timer_start(c->sim->loop, &c->send_tick);
}

bool conn_flush(struct conn *c)
{
    while (c->out.len && !c->broken && !c->piece_sent) {
        bool piece = c->send_piece && c->send_piece < c->out.len;
        size_t len = piece ? c->send_piece : c->out.len;
        ssize_t n = send(c->fd, buf_head(&c->out), len, MSG_NOSIGNAL);
        if (n >= 0) {
            buf_take(&c->out, (size_t)n);
            if (piece)
                start_send_tick(c);
        } else if (errno == EAGAIN) {
            return false;
        } else if (errno != EINTR) {
            c->broken = true;
        }
    }
    return c->out.len == 0;
}

void conn_read_slowly(struct conn *c, uint64_t bytes_per_s)
{
    int small = 4096;
    c->read_rate = bytes_per_s;
    /* Without this the kernel takes megabytes off a peer that is meant to be held back. */
    if (bytes_per_s)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
}

/* How many bytes the next recv may take. */
static size_t read_allowance(const struct conn *c)
{
    if (c->read_rate == 0)
        return RECV_BYTES;
    uint64_t share = (uint64_t)((double)c->read_rate * TICK_S);
    return share == 0 ? 1 : share < RECV_BYTES * 64U ? (size_t)share : RECV_BYTES * 64U;
}

static void on_read_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    struct conn *c = w->data;
    c->rate_used = false;
    conn_drive(c);
}

static void on_send_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    struct conn *c = w->data;
    c->piece_sent = false;
    conn_flush(c);
    conn_drive(c);
}

static void start_tick(struct conn *c, size_t taken)
{
    double wait = (double)taken / (double)c->read_rate;
    c->rate_used = true;
    ev_timer_stop(c->sim->loop, &c->read_tick);
    ev_timer_set(&c->read_tick, wait, 0);
    ev_timer_start(c->sim->loop, &c->read_tick);
}

static void conn_receive(struct conn *c)
{
    size_t room = read_allowance(c);
    ssize_t n = recv(c->fd, buf_reserve(&c->in, room), room, 0);
    if (n > 0) {
        buf_added(&c->in, (size_t)n);
        if (c->read_rate)
            start_tick(c, (size_t)n);
    } else if (n == 0) {
        c->eof = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        c->broken = true;
    }
}

static void watch(struct ev_loop *loop, ev_io *w, bool wanted)
{
    if (wanted && !ev_is_active(w))
        ev_io_start(loop, w);
    else if (!wanted && ev_is_active(w))
        ev_io_stop(loop, w);
}

static void conn_update(struct conn *c)
{
    bool paced = c->read_rate && c->rate_used;
    bool read = !c->eof && !c->broken && !paced && c->in.len < c->in_limit && c->end != CONN_RESET;
    watch(c->sim->loop, &c->readable, read);
    watch(c->sim->loop, &c->writable, c->out.len > 0 && !c->broken && !c->piece_sent);
}

/* False while the PROXY header is incomplete, and when the connection was dropped for it. */
static bool proxy_taken(struct conn *c)
{
    if (!c->proxy_pending)
        return true;
    size_t used = 0;
    enum proxy_result got = proxy_header_read(buf_slice(&c->in), &c->proxy, &used);
    if (got == PROXY_MORE && !c->eof)
        return false;
    if (got != PROXY_DONE) {
        if (c->in.len)
            counters_bad(&c->listener->count, "no valid PROXY header");
        conn_drop_reset(c);
        return false;
    }
    buf_take(&c->in, used);
    c->proxy_pending = false;
    return true;
}

static void drive_mode(struct conn *c)
{
    if (!proxy_taken(c))
        return;
    if (!c->started) {
        c->started = c->ops->start(c);
        if (!c->started) {
            conn_close(c);
            return;
        }
    }
    c->ops->drive(c);
}

static void conn_drive(struct conn *c)
{
    if (c->broken) {
        conn_close(c);
        return;
    }
    if (c->end == CONN_OPEN)
        drive_mode(c);
    else if (c->end == CONN_RESET)
        drive_reset(c);
    if (c->fd >= 0 && c->end == CONN_LINGER) {
        buf_clear(&c->in);
        if (c->eof || c->timer_fired)
            conn_close(c);
    }
    if (c->fd >= 0 && c->broken)
        conn_close(c);
    if (c->fd >= 0)
        conn_update(c);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop;
    (void)events;
    struct conn *c = w->data;
    conn_receive(c);
    conn_drive(c);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop;
    (void)events;
    struct conn *c = w->data;
    conn_flush(c);
    conn_drive(c);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    struct conn *c = w->data;
    c->timer_fired = true;
    conn_drive(c);
}

static void watchers_init(struct conn *c)
{
    ev_io_init(&c->readable, on_readable, c->fd, EV_READ);
    ev_io_init(&c->writable, on_writable, c->fd, EV_WRITE);
    ev_init(&c->timer, on_timer);
    ev_init(&c->read_tick, on_read_tick);
    ev_init(&c->send_tick, on_send_tick);
    c->readable.data = c->writable.data = c->timer.data = c;
    c->read_tick.data = c->send_tick.data = c;
}

void conn_open(struct listener *ls, int fd)
{
    const struct options *opt = ls->sim->opt;
    struct conn *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        return;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c->listener = ls;
    c->sim = ls->sim;
    c->fd = fd;
    c->id = ++ls->sim->last_conn_id;
    c->in_limit = CONN_IN_LIMIT;
    c->read_rate = opt->mode == MODE_HTTP ? 0 : opt->read_rate;
    c->proxy_pending = opt->accept_proxy;
    c->ops = opt->mode == MODE_HTTP ? &http_ops : tcp_ops(opt->mode);
    watchers_init(c);
    c->next = c->sim->conns;
    if (c->next)
        c->next->prev = c;
    c->sim->conns = c;
    ls->count.connections++;
    ls->count.open++;
    conn_receive(c);
    conn_drive(c);
}
