// SPDX-License-Identifier: MIT
// One listening socket. Runs in the supervisor, at the start and at reloads.
//
// TCP: each worker has one of its own per address (SO_REUSEPORT); the kernel spreads connections
// over them. SO_REUSEPORT also lets a second evlb of the same user bind the same port without an
// error and take half of its connections, so an address is tried without it first. Unix sockets:
// one, shared by all workers.
#include "process/listen_socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEPALIVE_IDLE_S 120
#define KEEPALIVE_EVERY_S 15
#define KEEPALIVE_TRIES 4
#define BACKLOG 4096 // the kernel lowers it to net.core.somaxconn
#define DEFER_ACCEPT_SECONDS 1
#define TRIALS 10 // of an address in use: an evlb that was killed a moment ago may still hold it
#define TRIAL_PAUSE_MS 50

static int close_with(int fd, int error)
{
    (void)close(fd);
    return -error;
}

static bool set_on(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

static bool set_family_options(int fd, const struct listen *l)
{
    int v6_only = l->v6_only;
    if (l->addr.sa.sa_family != AF_INET6)
        return true;
    return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only)) == 0;
}

// Bound, not listening. Returns the descriptor or -errno.
static int bind_tcp(const struct listen *l, bool reuse_port)
{
    int fd = socket(l->addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (!set_on(fd, SOL_SOCKET, SO_REUSEADDR) || !set_family_options(fd, l) ||
        (reuse_port && !set_on(fd, SOL_SOCKET, SO_REUSEPORT)))
        return close_with(fd, errno);
    if (bind(fd, &l->addr.sa, l->addr.len) < 0)
        return close_with(fd, errno);
    return fd;
}

int listen_try(const struct listen *l)
{
    if (l->addr.sa.sa_family == AF_UNIX)
        return 0; // the bind itself cannot succeed twice
    int fd = bind_tcp(l, false);
    for (int i = 1; i < TRIALS && fd == -EADDRINUSE; i++) {
        (void)poll(NULL, 0, TRIAL_PAUSE_MS);
        fd = bind_tcp(l, false);
    }
    if (fd < 0)
        return fd;
    (void)close(fd);
    return 0;
}

void listen_set_mode(int fd, enum mode mode)
{
    int seconds = mode == MODE_HTTP ? DEFER_ACCEPT_SECONDS : 0;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

static bool set_number(int fd, int option, int value)
{
    return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)) == 0;
}

// A client that has vanished without a word (power, network) is noticed in three minutes of
// silence, also where the timeout is long: tunnels, layer 4.
static bool set_keepalive(int fd)
{
    return set_on(fd, SOL_SOCKET, SO_KEEPALIVE) && set_number(fd, TCP_KEEPIDLE, KEEPALIVE_IDLE_S) &&
           set_number(fd, TCP_KEEPINTVL, KEEPALIVE_EVERY_S) &&
           set_number(fd, TCP_KEEPCNT, KEEPALIVE_TRIES);
}

int listen_tcp(const struct listen *l, enum mode mode)
{
    int fd = bind_tcp(l, true);
    if (fd < 0)
        return fd;
    // inherited by accepted sockets
    if (!set_on(fd, IPPROTO_TCP, TCP_NODELAY) || !set_keepalive(fd))
        return close_with(fd, errno);
    listen_set_mode(fd, mode);
    if (listen(fd, BACKLOG) < 0)
        return close_with(fd, errno);
    return fd;
}

// 0: the file may be replaced or does not exist; -errno otherwise.
static int remove_stale(const struct addr *addr)
{
    struct stat st;
    if (lstat(addr->un.sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -ENOTSOCK;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = connect(fd, &addr->sa, addr->len) == 0 ? 0 : errno;
    (void)close(fd);
    if (error != ECONNREFUSED)
        return error == EACCES || error == EPERM ? -error : -EADDRINUSE;
    return unlink(addr->un.sun_path) == 0 ? 0 : -errno;
}

int listen_unix(const struct addr *addr)
{
    int error = remove_stale(addr);
    if (error < 0)
        return error;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, &addr->sa, addr->len) < 0 || listen(fd, BACKLOG) < 0)
        return close_with(fd, errno);
    return fd;
}

const char *listen_advice(int error)
{
    switch (error) {
    case EACCES:
        return "permission denied; run as root or give CAP_NET_BIND_SERVICE";
    case EADDRINUSE:
        return "address already in use by another process (ss -ltnp shows which)";
    case EADDRNOTAVAIL:
        return "this machine has no such address";
    case ENOTSOCK:
        return "there is a file of that name that is no socket";
    default:
        return strerror(error);
    }
}
