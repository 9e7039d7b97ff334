// SPDX-License-Identifier: MIT
// All listening sockets, over reloads. Runs in the supervisor: at the start before anything gives
// up root, and in reload.c.
//
// Invariants: an address is known by itself and by whether it takes IPv4 as well; all trials come
// before the first real bind of a start, because our own sockets would fail the trial of an
// overlapping address (0.0.0.0:80 and 127.0.0.1:80), and a reload does not try a port that it holds
// already; nothing that is in force is touched before listeners_commit().
#include "process/listeners.h"

#include <errno.h>
#include <unistd.h>

#include "process/listen_socket.h"
#include "process/notify.h"

struct listeners *listeners_new(uint32_t rows)
{
    struct listeners *l = xcalloc(1, sizeof(*l));
    l->rows = rows;
    return l;
}

uint32_t listeners_count(const struct config *config)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < config->n_frontends; i++)
        n += config->frontends[i].n_listens;
    return n;
}

uint32_t listeners_handed_over(const struct config *config)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < config->n_frontends; i++) {
        const struct frontend *f = &config->frontends[i];
        for (uint32_t k = 0; k < f->n_listens; k++) {
            uint32_t n = activation_count(&f->listens[k].addr);
            most = MAX_OF(most, n);
        }
    }
    return most;
}

// ---- one set ----------------------------------------------------------------------------------

static bool is_unix(const struct addr *a)
{
    return a->sa.sa_family == AF_UNIX;
}

static void close_set(const struct listeners *l, struct listener_set *set)
{
    uint32_t n = set->shared ? 1 : l->rows;
    for (uint32_t i = 0; i < n; i++) {
        if (set->fds[i] >= 0)
            (void)close(set->fds[i]);
    }
    for (uint32_t i = 0; i < l->rows; i++)
        set->fds[i] = -1;
}

// Closed, its file removed, its place given to the last one.
static void drop_set(struct listeners *l, struct listener_set *set)
{
    close_set(l, set);
    if (set->owns_file)
        (void)unlink(set->addr.un.sun_path);
    free(set->fds);
    *set = l->sets[--l->n];
}

static void drop_all(struct listeners *l, enum listener_state state)
{
    for (uint32_t i = l->n; i > 0; i--) {
        if (l->sets[i - 1].state == state)
            drop_set(l, &l->sets[i - 1]);
    }
}

static struct listener_set *add_set(struct listeners *l, const struct listen *listen)
{
    if (l->n == l->cap) {
        l->cap = MAX_OF(2 * l->cap, 8);
        l->sets = xrealloc(l->sets, l->cap * sizeof(*l->sets));
    }
    struct listener_set *set = &l->sets[l->n];
    *set = (struct listener_set){.state = LISTENER_NEW,
                                 .number = l->next_number,
                                 .addr = listen->addr,
                                 .v6_only = listen->v6_only};
    set->fds = xmalloc(l->rows * sizeof(*set->fds));
    for (uint32_t i = 0; i < l->rows; i++)
        set->fds[i] = -1;
    l->n++;
    l->next_number++;
    return set;
}

static struct listener_set *find_set(const struct listeners *l, const struct listen *listen)
{
    for (uint32_t i = 0; i < l->n; i++) {
        struct listener_set *set = &l->sets[i];
        if (set->state != LISTENER_LEFT && set->v6_only == listen->v6_only &&
            addr_eq(&set->addr, &listen->addr))
            return set;
    }
    return NULL;
}

// ---- binding ----------------------------------------------------------------------------------

static bool fail(struct buf *why, const struct frontend *f, const struct listen *l, int error)
{
    char address[ADDR_TEXT], place[256] = "", line[1024];
    (void)addr_format(&l->addr, address);
    if (l->mark.line > 0)
        (void)snprintf(place, sizeof(place), ", %s:%u:%u", l->mark.file, l->mark.line,
                       l->mark.column);
    int n = snprintf(line, sizeof(line), "cannot listen on %s (frontend '%.*s'%s): %s\n", address,
                     STR_FMT(f->name), place, listen_advice(error));
    (void)!buf_append(why, line, MIN_OF((size_t)n, sizeof(line) - 1));
    return false;
}

static bool holds_port(const struct listeners *l, const struct addr *addr)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (!is_unix(&l->sets[i].addr) && ip_port(&l->sets[i].addr.ip) == ip_port(&addr->ip))
            return true;
    }
    return false;
}

static bool try_one(struct listeners *l, const struct frontend *f, struct listen *listen,
                    struct buf *why)
{
    if (find_set(l, listen) != NULL || (!is_unix(&listen->addr) && holds_port(l, &listen->addr)))
        return true;
    if (activation_has(&listen->addr))
        return true;
    int error = listen_try(listen);
    return error == 0 || fail(why, f, listen, -error);
}

// A socket of systemd's, which other processes cannot be bound beside.
static bool is_alone(int fd)
{
    int on = 0;
    socklen_t len = sizeof(on);
    return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &len) < 0 || on == 0;
}

// The socket of the next row: one that was handed over, or a new one. Sets `shared` when it is to
// stand in all of them. The descriptor or -errno.
static int open_row(struct listener_set *set, const struct listen *listen, enum mode mode)
{
    int fd = activation_take(&listen->addr);
    set->shared = is_unix(&listen->addr) || (fd >= 0 && is_alone(fd));
    if (fd >= 0 && !is_unix(&listen->addr))
        listen_set_mode(fd, mode);
    if (fd >= 0)
        return fd;
    return set->shared ? listen_unix(&listen->addr) : listen_tcp(listen, mode);
}

static bool open_one(struct listeners *l, const struct frontend *f, struct listen *listen,
                     struct buf *why)
{
    struct listener_set *set = find_set(l, listen);
    bool fresh = set == NULL;
    if (fresh) {
        set = add_set(l, listen);
        set->mode = f->mode;
    }
    set->named = true;
    set->named_mode = f->mode;
    listen->number = set->number;
    int fd = -1;
    for (uint32_t row = 0; row < l->rows && fresh; row++) {
        if (!set->shared)
            fd = open_row(set, listen, f->mode);
        if (fd < 0)
            return fail(why, f, listen, -fd);
        set->fds[row] = fd;
        set->owns_file = is_unix(&listen->addr);
    }
    return true;
}

typedef bool each_listen(struct listeners *l, const struct frontend *f, struct listen *listen,
                         struct buf *why);

// All that is wrong, in one run.
static bool all_of(struct listeners *l, struct config *config, struct buf *why, each_listen *each)
{
    bool fine = true;
    for (uint32_t i = 0; i < config->n_frontends; i++) {
        const struct frontend *f = &config->frontends[i];
        for (uint32_t k = 0; k < f->n_listens; k++)
            fine = each(l, f, &f->listens[k], why) && fine;
    }
    return fine;
}

bool listeners_prepare(struct listeners *l, struct config *config, struct buf *why)
{
    for (uint32_t i = 0; i < l->n; i++)
        l->sets[i].named = false;
    if (all_of(l, config, why, try_one) && all_of(l, config, why, open_one))
        return true;
    listeners_undo(l);
    return false;
}

// ---- in force or not --------------------------------------------------------------------------

void listeners_undo(struct listeners *l)
{
    drop_all(l, LISTENER_NEW);
}

static void change_mode(const struct listeners *l, struct listener_set *set)
{
    uint32_t sockets = set->shared ? 1 : l->rows;
    for (uint32_t row = 0; row < sockets && !is_unix(&set->addr); row++)
        listen_set_mode(set->fds[row], set->named_mode);
    set->mode = set->named_mode;
}

void listeners_commit(struct listeners *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        struct listener_set *set = &l->sets[i];
        set->state = set->named ? LISTENER_KEPT : LISTENER_LEFT;
        if (set->named && set->mode != set->named_mode)
            change_mode(l, set);
    }
}

void listeners_disown(struct listeners *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        l->sets[i].owns_file = false;
}

void listeners_close_left(struct listeners *l)
{
    drop_all(l, LISTENER_LEFT);
}

int listener_fd(const struct listeners *l, uint32_t number, uint32_t row)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->sets[i].number == number && l->sets[i].state != LISTENER_LEFT)
            return l->sets[i].fds[row];
    }
    return -1;
}

void listeners_close(struct listeners *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        close_set(l, &l->sets[i]);
}

void listeners_free(struct listeners *l)
{
    if (l == NULL)
        return;
    while (l->n > 0)
        drop_set(l, &l->sets[l->n - 1]);
    free(l->sets);
    free(l);
}
