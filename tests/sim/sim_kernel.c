// SPDX-License-Identifier: MIT
// What the TLS transport calls beyond struct transport, as OpenSSL needs it: sockets and libev. The
// linker sends these calls here (--wrap in tests/CMakeLists.txt). Those on a descriptor of the
// simulation go to the transport in memory, with its windows and faults; all others to the kernel.
#include <ev.h>
#include <poll.h>
#include <sys/socket.h>

#include "sim.h"

// clang-format off
#define WRAPPED(type, name, ...) \
    type __wrap_##name(__VA_ARGS__); \
    type __real_##name(__VA_ARGS__);
WRAPPED(ssize_t, recv, int fd, void *to, size_t size, int flags)
WRAPPED(ssize_t, send, int fd, const void *bytes, size_t size, int flags)
WRAPPED(ssize_t, sendmsg, int fd, const struct msghdr *m, int flags)
WRAPPED(int, shutdown, int fd, int how)
WRAPPED(int, close, int fd)
WRAPPED(int, setsockopt, int fd, int level, int name, const void *value, socklen_t len)
WRAPPED(int, getsockopt, int fd, int level, int name, void *value, socklen_t *len)
WRAPPED(int, getpeername, int fd, struct sockaddr *a, socklen_t *len)
WRAPPED(int, poll, struct pollfd *p, nfds_t n, int timeout)
WRAPPED(void, ev_io_start, struct ev_loop *ev, ev_io *w)
WRAPPED(void, ev_io_stop, struct ev_loop *ev, ev_io *w)
WRAPPED(void, ev_feed_event, struct ev_loop *ev, void *w, int events)
WRAPPED(void *, ev_userdata, struct ev_loop *ev)
// clang-format on

static struct conn conn_at(int fd)
{
    return (struct conn){.watcher = {.fd = fd}};
}

// As a system call returns it.
static ssize_t result(enum io r, const struct conn *c, size_t n)
{
    switch (r) {
    case IO_OK:
        return (ssize_t)n;
    case IO_EOF:
        return 0;
    case IO_AGAIN:
        errno = EAGAIN;
        return -1;
    case IO_ERR:
        break;
    }
    errno = c->error;
    return -1;
}

ssize_t __wrap_recv(int fd, void *to, size_t size, int flags)
{
    struct conn c = conn_at(fd);
    size_t got = 1;
    if (sim_peer_at(fd) == NULL)
        return __real_recv(fd, to, size, flags);
    enum io r = flags & MSG_PEEK ? transport_mem.peek(&c) : transport_mem.recv(&c, to, size, &got);
    return result(r, &c, got);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
    struct conn c = conn_at(fd);
    size_t total = 0, sent;
    if (sim_peer_at(fd) == NULL)
        return __real_sendmsg(fd, m, flags);
    for (size_t i = 0; i < m->msg_iovlen; i++)
        total += m->msg_iov[i].iov_len;
    enum io r = transport_mem.sendv(&c, m->msg_iov, (int)m->msg_iovlen, total, &sent);
    return result(r, &c, sent);
}

ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
    struct iovec iov = {(void *)(uintptr_t)bytes, size};
    const struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    return sim_peer_at(fd) == NULL ? __real_send(fd, bytes, size, flags)
                                   : __wrap_sendmsg(fd, &m, flags);
}

int __wrap_shutdown(int fd, int how)
{
    struct conn c = conn_at(fd);
    if (sim_peer_at(fd) == NULL)
        return __real_shutdown(fd, how);
    transport_mem.finish(&c);
    return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    struct sim_peer *p = sim_peer_at(fd);
    if (p == NULL)
        return __real_setsockopt(fd, level, name, value, len);
    assert_int_equal(name, SO_LINGER); // with no time: close() resets
    p->close_resets = true;
    return 0;
}

int __wrap_close(int fd)
{
    struct conn c = conn_at(fd);
    const struct sim_peer *p = sim_peer_at(fd);
    if (p == NULL)
        return __real_close(fd);
    transport_mem.close(&c, NULL, p->close_resets);
    return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    struct conn c = conn_at(fd);
    if (sim_peer_at(fd) == NULL)
        return __real_getsockopt(fd, level, name, value, len);
    assert_int_equal(name, SO_ERROR);
    int error = transport_mem.pending_error(&c);
    *(int *)value = error == EINPROGRESS ? 0 : error;
    return 0;
}

int __wrap_getpeername(int fd, struct sockaddr *a, socklen_t *len)
{
    const struct sim_peer *p = sim_peer_at(fd);
    if (p == NULL)
        return __real_getpeername(fd, a, len);
    errno = ENOTCONN;
    return p->connecting ? -1 : 0;
}

int __wrap_poll(struct pollfd *p, nfds_t n, int timeout)
{
    struct conn c = conn_at(p->fd);
    if (n != 1 || sim_peer_at(p->fd) == NULL)
        return __real_poll(p, n, timeout);
    p->revents = transport_mem.broken(&c) ? POLLERR : 0;
    return p->revents != 0;
}

// ---- the loop

void __wrap_ev_io_start(struct ev_loop *ev, ev_io *w)
{
    struct conn *c = container_of(w, struct conn, watcher);
    if (sim_peer_at(w->fd) == NULL) {
        __real_ev_io_start(ev, w);
        return;
    }
    sim_peer_at(w->fd)->conn = c;
    sim_peer_at(w->fd)->watched = w->events & (EV_READ | EV_WRITE);
}

void __wrap_ev_io_stop(struct ev_loop *ev, ev_io *w)
{
    if (sim_peer_at(w->fd) == NULL) {
        __real_ev_io_stop(ev, w);
        return;
    }
    sim_peer_at(w->fd)->watched = 0;
    sim_peer_at(w->fd)->fed = 0;
}

void __wrap_ev_feed_event(struct ev_loop *ev, void *w, int events)
{
    ev_io *io = w;
    if (ev != NULL) {
        __real_ev_feed_event(ev, w, events);
        return;
    }
    sim_peer_at(io->fd)->conn = container_of(io, struct conn, watcher);
    sim_peer_at(io->fd)->fed |= events;
}

void *__wrap_ev_userdata(struct ev_loop *ev)
{
    return ev != NULL ? __real_ev_userdata(ev) : sim_loop();
}
