// SPDX-License-Identifier: MIT
// Accepting and connecting. Runs in workers and in control. Accepted sockets inherit TCP_NODELAY
// from their listener, so that a new connection costs one system call.
#include "io/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

int sock_accept(int listen_fd, union ip_addr *peer)
{
    socklen_t len = sizeof(*peer);
    int fd = accept4(listen_fd, &peer->sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (peer->sa.sa_family != AF_INET && peer->sa.sa_family != AF_INET6)
        peer->sa.sa_family = AF_UNSPEC;
    return fd;
}

int sock_connect(const struct addr *to, bool has_data)
{
    int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (to->sa.sa_family != AF_UNIX) {
        int on = 1, off = 0;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (has_data)
            (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
    }
    if (connect(fd, &to->sa, to->len) < 0 && errno != EINPROGRESS) {
        int error = errno;
        (void)close(fd);
        return -error;
    }
    return fd;
}

void sock_local(int fd, union ip_addr *out)
{
    struct sockaddr_storage any;
    socklen_t len = sizeof(any);
    memset(out, 0, sizeof(*out));
    memset(&any, 0, sizeof(any));
    if (getsockname(fd, (struct sockaddr *)&any, &len) < 0)
        return;
    if (any.ss_family == AF_INET)
        memcpy(&out->v4, &any, sizeof(out->v4));
    else if (any.ss_family == AF_INET6)
        memcpy(&out->v6, &any, sizeof(out->v6));
}

bool sock_met_itself(int fd, const struct addr *to)
{
    struct addr local = {.len = to->len};
    sock_local(fd, &local.ip);
    return addr_eq(&local, to);
}

enum sock_failure sock_failure(int error)
{
    switch (error) {
    case EAGAIN:
        return SOCK_NONE;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
        return SOCK_RETRY;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:
        return SOCK_EXHAUSTED;
    default:
        return SOCK_REFUSED;
    }
}
