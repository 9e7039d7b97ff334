// SPDX-License-Identifier: MIT
// Connections and the plain transport. Runs wherever there are sockets. The transport does the
// system call; this file keeps `ready` true to what was seen and decides when to talk to the loop.
// Invariant: watched is what libev knows; wanted <= watched except during conn_want().
#include "io/conn.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define JOIN_BYTES 2048u

void conn_event(struct conn *c, struct loop *l, int events)
{
    c->ready |= (uint8_t)(events & (CONN_READ | CONN_WRITE));
    int unwanted = c->watched & ~c->wanted;
    if (events & unwanted)
        c->transport->watch(c, l, c->wanted);
    c->on_ready(c);
}

static void on_event(struct ev_loop *ev, ev_io *watcher, int events)
{
    conn_event(container_of(watcher, struct conn, watcher), ev_userdata(ev), events);
}

void conn_init(struct conn *c, const struct transport *t, int fd, void (*on_ready)(struct conn *))
{
    c->transport = t;
    c->on_ready = on_ready;
    ev_io_init(&c->watcher, on_event, fd, 0);
    c->ready = CONN_READ | CONN_WRITE;
    c->watched = c->wanted = c->finished = 0;
    c->pending = c->ending = c->unfinished = false;
    c->error = 0;
    c->tls = NULL;
}

enum io conn_recv(struct conn *c, void *to, size_t size, size_t *got)
{
    enum io r = c->transport->recv(c, to, size, got);
    if (!c->pending && (r == IO_AGAIN || (r == IO_OK && *got < size)))
        c->ready &= (uint8_t)~CONN_READ;
    return r;
}

enum io conn_sendv(struct conn *c, const struct iovec *iov, int n, size_t *sent)
{
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    enum io r = c->transport->sendv(c, iov, n, total, sent);
    if (r == IO_AGAIN || (r == IO_OK && *sent < total))
        c->ready &= (uint8_t)~CONN_WRITE;
    return r;
}

enum io conn_peek(struct conn *c)
{
    enum io r = c->transport->peek(c);
    if (r == IO_AGAIN)
        c->ready &= (uint8_t)~CONN_READ;
    return r;
}

int conn_connect_state(struct conn *c)
{
    if (c->ready == CONN_WRITE)
        return 0;
    return c->transport->pending_error(c);
}

bool conn_is_broken(struct conn *c)
{
    return c->transport->broken(c);
}

void conn_finish(struct conn *c)
{
    if (c->finished)
        return;
    c->finished = 1;
    c->transport->finish(c);
}

void conn_want(struct conn *c, struct loop *l, int events)
{
    c->wanted = (uint8_t)events;
    // a socket is nearly always writable: leaving that watched would wake us at once
    if ((events & ~c->watched) != 0 || (c->watched & ~events & CONN_WRITE) != 0)
        c->transport->watch(c, l, events);
    if (c->pending && (events & CONN_READ))
        c->transport->announce(c, l);
}

void conn_close(struct conn *c, struct loop *l, bool reset)
{
    if (!conn_is_open(c))
        return;
    c->wanted = 0;
    c->transport->close(c, l, reset);
    c->watcher.fd = -1;
    c->watched = 0;
}

static enum io failed(struct conn *c, int error)
{
    if (error == EAGAIN || error == EINTR)
        return IO_AGAIN;
    c->error = error;
    return IO_ERR;
}

static enum io plain_recv(struct conn *c, void *to, size_t size, size_t *got)
{
    ssize_t n = recv(c->watcher.fd, to, size, 0);
    if (n > 0) {
        *got = (size_t)n;
        return IO_OK;
    }
    *got = 0;
    return n == 0 ? IO_EOF : failed(c, errno);
}

// A short message in pieces is put together first: copying it costs less than a vector does in the
// kernel.
static ssize_t send_joined(int fd, const struct iovec *iov, int n, int flags)
{
    char joined[JOIN_BYTES];
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        memcpy(joined + used, iov[i].iov_base, iov[i].iov_len);
        used += iov[i].iov_len;
    }
    return send(fd, joined, used, flags);
}

static enum io plain_sendv(struct conn *c, const struct iovec *iov, int n, size_t total,
                           size_t *sent)
{
    int flags = c->ending ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL; // the FIN goes with the bytes
    ssize_t r;
    if (n == 1) {
        r = send(c->watcher.fd, iov->iov_base, iov->iov_len, flags);
    } else if (total <= JOIN_BYTES) {
        r = send_joined(c->watcher.fd, iov, n, flags);
    } else {
        struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
        r = sendmsg(c->watcher.fd, &m, flags);
    }
    *sent = r > 0 ? (size_t)r : 0;
    return r >= 0 ? IO_OK : failed(c, errno);
}

static enum io plain_peek(struct conn *c)
{
    char byte;
    ssize_t n = recv(c->watcher.fd, &byte, 1, MSG_PEEK);
    if (n > 0)
        return IO_OK;
    return n == 0 ? IO_EOF : failed(c, errno);
}

static int plain_pending_error(struct conn *c)
{
    struct sockaddr_storage peer;
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(c->watcher.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return errno;
    if (error != 0)
        return error;
    len = sizeof(peer);
    return getpeername(c->watcher.fd, (struct sockaddr *)&peer, &len) == 0 ? 0 : EINPROGRESS;
}

// POLLHUP would not do: it is also there when both sides have ended in order, with bytes still to
// be read.
static bool plain_broken(struct conn *c)
{
    struct pollfd p = {.fd = c->watcher.fd};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0;
}

static void plain_finish(struct conn *c)
{
    (void)shutdown(c->watcher.fd, SHUT_WR);
}

static void plain_watch(struct conn *c, struct loop *l, int events)
{
    if (c->watched != 0)
        ev_io_stop(l->ev, &c->watcher);
    c->watched = (uint8_t)events;
    if (events == 0)
        return;
    ev_io_set(&c->watcher, c->watcher.fd, events);
    ev_io_start(l->ev, &c->watcher);
}

static void plain_close(struct conn *c, struct loop *l, bool reset)
{
    if (c->watched != 0)
        ev_io_stop(l->ev, &c->watcher);
    if (reset) {
        struct linger hard = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(c->watcher.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    }
    (void)close(c->watcher.fd);
}

const struct transport transport_plain = {
    .name = "plain",
    .recv = plain_recv,
    .sendv = plain_sendv,
    .peek = plain_peek,
    .pending_error = plain_pending_error,
    .broken = plain_broken,
    .finish = plain_finish,
    .watch = plain_watch,
    .close = plain_close,
};
