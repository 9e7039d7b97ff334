// SPDX-License-Identifier: MIT
// Binding. Runs in the supervisor, before it forks and before anything gives up root.
//
// TCP: one SO_REUSEPORT socket per worker and address; the kernel spreads connections over them.
// SO_REUSEPORT also lets a second evlb of the same user bind the same port without an error and
// take half of its connections, so every address is tried without it first. Unix sockets: one,
// shared by all workers.
//
// Invariant: all trials come before the first real bind, because our own sockets would fail the
// trial of an overlapping address (0.0.0.0:80 and 127.0.0.1:80).
#include "process/listeners.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define BACKLOG 4096 // the kernel lowers it to net.core.somaxconn
#define DEFER_ACCEPT_SECONDS 1
#define TRIALS 10 // of an address in use: an evlb that was killed a moment ago may still hold it
#define TRIAL_PAUSE_MS 50

// ---- one socket -------------------------------------------------------------------------------

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

static int listen_tcp(const struct listen *l, enum mode mode)
{
    int fd = bind_tcp(l, true), seconds = DEFER_ACCEPT_SECONDS;
    if (fd < 0)
        return fd;
    // inherited by accepted sockets
    if (!set_on(fd, IPPROTO_TCP, TCP_NODELAY))
        return close_with(fd, errno);
    // the client speaks first (with a PROXY header too), so wake up only for its first bytes; a
    // wish, not a need: an error changes nothing
    if (mode == MODE_HTTP)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
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

// ---- saying what went wrong -------------------------------------------------------------------

static const char *advice(int error)
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

static void complain(const struct frontend *f, const struct listen *l, int error)
{
    char address[ADDR_TEXT], place[256] = "";
    (void)addr_format(&l->addr, address);
    if (l->mark.line > 0)
        (void)snprintf(place, sizeof(place), ", %s:%u:%u", l->mark.file, l->mark.line,
                       l->mark.column);
    log_error("cannot listen on %s (frontend '%.*s'%s): %s", address, STR_FMT(f->name), place,
              advice(error));
}

// ---- all of them ------------------------------------------------------------------------------

static bool try_address(const struct frontend *f, const struct listen *l)
{
    if (l->addr.sa.sa_family == AF_UNIX)
        return true; // the bind itself cannot succeed twice
    int fd = bind_tcp(l, false);
    for (int i = 1; i < TRIALS && fd == -EADDRINUSE; i++) {
        (void)poll(NULL, 0, TRIAL_PAUSE_MS);
        fd = bind_tcp(l, false);
    }
    if (fd < 0) {
        complain(f, l, -fd);
        return false;
    }
    (void)close(fd);
    return true;
}

static bool open_address(struct listeners *all, uint32_t at, const struct frontend *f,
                         const struct listen *l)
{
    bool is_unix = l->addr.sa.sa_family == AF_UNIX;
    int fd = -1;
    for (uint32_t w = 0; w < all->workers; w++) {
        if (!is_unix)
            fd = listen_tcp(l, f->mode);
        else if (w == 0)
            fd = listen_unix(&l->addr);
        if (fd < 0) {
            complain(f, l, -fd);
            return false;
        }
        all->fds[w * all->per_worker + at] = fd;
    }
    if (is_unix)
        all->unix_paths[at] = xstrdup(l->addr.un.sun_path);
    return true;
}

uint32_t listeners_count(const struct config *config)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < config->n_frontends; i++)
        n += config->frontends[i].n_listens;
    return n;
}

static bool try_all(const struct config *config)
{
    bool fine = true;
    for (uint32_t i = 0; i < config->n_frontends; i++) {
        const struct frontend *f = &config->frontends[i];
        for (uint32_t k = 0; k < f->n_listens; k++)
            fine = try_address(f, &f->listens[k]) && fine; // all that is wrong, in one run
    }
    return fine;
}

static bool open_all(struct listeners *l, const struct config *config)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < config->n_frontends; i++) {
        const struct frontend *f = &config->frontends[i];
        for (uint32_t k = 0; k < f->n_listens; k++) {
            if (!open_address(l, at++, f, &f->listens[k]))
                return false;
        }
    }
    return true;
}

struct listeners *listeners_bind(const struct config *config, uint32_t workers)
{
    if (!try_all(config))
        return NULL;
    struct listeners *l = xcalloc(1, sizeof(*l));
    l->workers = workers;
    l->per_worker = listeners_count(config);
    l->fds = xmalloc((size_t)workers * l->per_worker * sizeof(*l->fds));
    for (size_t i = 0; i < (size_t)workers * l->per_worker; i++)
        l->fds[i] = -1;
    l->unix_paths = xcalloc(l->per_worker, sizeof(*l->unix_paths));
    if (open_all(l, config))
        return l;
    listeners_free(l);
    return NULL;
}

const int *listeners_of_worker(const struct listeners *l, uint32_t worker)
{
    return l->fds + (size_t)worker * l->per_worker;
}

void listeners_close(struct listeners *l)
{
    for (uint32_t w = 0; w < l->workers; w++) {
        for (uint32_t i = 0; i < l->per_worker; i++) {
            int *fd = &l->fds[w * l->per_worker + i];
            bool shared = w > 0 && l->unix_paths[i] != NULL;
            if (*fd >= 0 && !shared)
                (void)close(*fd);
            *fd = -1;
        }
    }
}

void listeners_free(struct listeners *l)
{
    if (l == NULL)
        return;
    listeners_close(l);
    for (uint32_t i = 0; i < l->per_worker; i++) {
        if (l->unix_paths[i] != NULL)
            (void)unlink(l->unix_paths[i]);
        free(l->unix_paths[i]);
    }
    free(l->unix_paths);
    free(l->fds);
    free(l);
}
