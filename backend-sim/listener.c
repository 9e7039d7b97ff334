/* SPDX-License-Identifier: MIT */
/*
 * The listening sockets: reads --listen and --name, binds, prints one line for each, and accepts.
 *
 * Address forms: 9001, 9001-9100, 127.0.0.1:9001, [::1]:9001, unix:/path. A bare port binds
 * 127.0.0.1; port 0 takes a free one.
 *
 * Running out of descriptors must not spin: level-triggered readiness would call accept for ever.
 * The spare descriptor is given up to accept and drop one connection, then the listener pauses.
 */
#include "listener.h"

#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCEPT_BATCH 64
#define PAUSE_S 0.05

static bool read_address(struct slice s, union any_address *a, socklen_t *len)
{
    char host[64] = "127.0.0.1";
    *a = (union any_address){0};
    if (slice_starts(s, "unix:")) {
        s.ptr += 5;
        s.len -= 5;
        if (s.len == 0 || s.len >= sizeof(a->local.sun_path))
            return false;
        a->local.sun_family = AF_UNIX;
        memcpy(a->local.sun_path, s.ptr, s.len);
        *len = sizeof(a->local);
        return true;
    }
    const char *colon = memrchr(s.ptr, ':', s.len);
    if (colon) {
        struct slice h = {s.ptr, (size_t)(colon - s.ptr)};
        s = (struct slice){colon + 1, s.len - h.len - 1};
        if (h.len > 1 && h.ptr[0] == '[' && h.ptr[h.len - 1] == ']')
            h = (struct slice){h.ptr + 1, h.len - 2};
        if (h.len == 0 || h.len >= sizeof(host))
            return false;
        memcpy(host, h.ptr, h.len);
        host[h.len] = '\0';
    }
    uint64_t port = 0;
    if (!parse_number(s, &port) || port > 65535)
        return false;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(a, &v4, sizeof(v4));
        *len = sizeof(v4);
        return true;
    }
    memcpy(a, &v6, sizeof(v6));
    *len = sizeof(v6);
    return inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)a)->sin6_addr) == 1;
}

static void print_address(struct listener *ls)
{
    char host[INET6_ADDRSTRLEN] = "";
    const union any_address *a = &ls->bound;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, a, sizeof(v4));
    memcpy(&v6, a, sizeof(v6));
    if (a->any.sa_family == AF_UNIX) {
        snprintf(ls->address, sizeof(ls->address), "unix:%.108s", a->local.sun_path);
    } else if (a->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
        snprintf(ls->address, sizeof(ls->address), "%s:%u", host, (unsigned)ntohs(v4.sin_port));
    } else {
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
        snprintf(ls->address, sizeof(ls->address), "[%s]:%u", host, (unsigned)ntohs(v6.sin6_port));
    }
}

int listener_socket(union any_address *address, socklen_t *len, const struct options *opt,
                    bool reuse_port)
{
    int one = 1, family = address->any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (reuse_port)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (family == AF_UNIX)
        unlink(address->local.sun_path);
    if (opt->read_rate) {
        /* Without this the kernel takes megabytes off a peer that is meant to be read slowly. */
        int small = 4096;
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    }
    if (bind(fd, &address->any, *len) < 0 || listen(fd, (int)opt->backlog) < 0 ||
        getsockname(fd, &address->any, len) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static bool open_one(struct sim *sim, struct slice text)
{
    struct listener *ls = &sim->listeners[sim->listener_count];
    *ls = (struct listener){.sim = sim, .fd = -1, .healthy = true};
    ls->bound_len = sizeof(ls->bound);
    if (!read_address(text, &ls->bound, &ls->bound_len)) {
        fprintf(stderr, "backend-sim: not an address: '%.*s'\n", (int)text.len, text.ptr);
        return false;
    }
    bool shared = sim->opt->bench && sim->opt->workers > 1;
    ls->fd = listener_socket(&ls->bound, &ls->bound_len, sim->opt, shared);
    if (ls->fd < 0) {
        fprintf(stderr, "backend-sim: cannot listen on '%.*s': %s\n", (int)text.len, text.ptr,
                strerror(-ls->fd));
        return false;
    }
    print_address(ls);
    if (sim->opt->defaults)
        buf_add_text(&ls->defaults, sim->opt->defaults);
    sim->listener_count++;
    return true;
}

/* 9001-9100, or else one address. */
static bool open_item(struct sim *sim, struct slice item)
{
    struct slice rest = item;
    uint64_t first = 0, last = 0;
    struct slice low = slice_cut(&rest, '-');
    if (!parse_number(low, &first) || !parse_number(rest, &last) || last > 65535)
        return open_one(sim, item);
    for (; first <= last; first++) {
        char port[8];
        int len = snprintf(port, sizeof(port), "%u", (unsigned)(first & 0xFFFF));
        if (sim->listener_count >= LISTENERS_MAX ||
            !open_one(sim, (struct slice){port, (size_t)len}))
            return false;
    }
    return true;
}

/* The given names in their order; one name for many listeners is numbered: a1, a2, ... */
static bool name_all(struct sim *sim)
{
    struct slice rest = slice_of(sim->opt->names ? sim->opt->names : "s");
    bool numbered =
        !memchr(rest.ptr, ',', rest.len) && (sim->listener_count > 1 || !sim->opt->names);
    struct slice only = rest;
    for (size_t i = 0; i < sim->listener_count; i++) {
        struct slice name = numbered ? only : slice_cut(&rest, ',');
        if (name.len == 0) {
            fprintf(stderr, "backend-sim: --name has fewer names than --listen has addresses\n");
            return false;
        }
        char number[24] = "";
        if (numbered)
            snprintf(number, sizeof(number), "%zu", i + 1);
        if (asprintf(&sim->listeners[i].name, "%.*s%s", (int)name.len, name.ptr, number) < 0)
            return false;
    }
    if (!numbered && rest.len) {
        fprintf(stderr, "backend-sim: --name has more names than --listen has addresses\n");
        return false;
    }
    return true;
}

bool listeners_open(struct sim *sim)
{
    struct slice rest = slice_of(sim->opt->listen);
    sim->listeners = calloc(LISTENERS_MAX, sizeof(*sim->listeners));
    if (!sim->listeners)
        return false;
    while (rest.len) {
        struct slice item = slice_trim(slice_cut(&rest, ','));
        if (sim->listener_count >= LISTENERS_MAX || !open_item(sim, item))
            return false;
    }
    sim->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return name_all(sim);
}

void listeners_print(const struct sim *sim)
{
    for (size_t i = 0; i < sim->listener_count; i++)
        printf("listening %s %s\n", sim->listeners[i].name, sim->listeners[i].address);
    fflush(stdout);
}

static void listener_pause(struct listener *ls, double seconds)
{
    ev_io_stop(ls->sim->loop, &ls->readable);
    ev_timer_stop(ls->sim->loop, &ls->resume);
    ev_timer_set(&ls->resume, seconds, 0);
    ev_timer_start(ls->sim->loop, &ls->resume);
}

/* Accepts and drops one connection with the spare descriptor, so that its peer learns of it. */
static void refuse_one(struct listener *ls)
{
    struct sim *sim = ls->sim;
    if (sim->spare_fd < 0)
        return;
    close(sim->spare_fd);
    int fd = accept4(ls->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    sim->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_batch(struct listener *ls)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(ls->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            conn_open(ls, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            refuse_one(ls);
            listener_pause(ls, PAUSE_S);
            return;
        }
        if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO)
            return;
    }
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop;
    (void)events;
    struct listener *ls = w->data;
    if (ls->sim->opt->accept_delay_s > 0 && !ls->delay_over) {
        listener_pause(ls, ls->sim->opt->accept_delay_s);
        return;
    }
    ls->delay_over = false;
    accept_batch(ls);
}

static void on_resume(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)events;
    struct listener *ls = w->data;
    if (ls->fd < 0)
        return;
    ls->delay_over = true;
    ev_io_start(loop, &ls->readable);
}

void listeners_start(struct sim *sim)
{
    for (size_t i = 0; i < sim->listener_count; i++) {
        struct listener *ls = &sim->listeners[i];
        ev_io_init(&ls->readable, on_readable, ls->fd, EV_READ);
        ls->readable.data = ls;
        ev_init(&ls->resume, on_resume);
        ls->resume.data = ls;
        if (!sim->opt->no_accept)
            ev_io_start(sim->loop, &ls->readable);
    }
}

bool listener_switch(struct listener *ls, bool on)
{
    if (!on && ls->fd >= 0) {
        ev_io_stop(ls->sim->loop, &ls->readable);
        ev_timer_stop(ls->sim->loop, &ls->resume);
        close(ls->fd);
        ls->fd = -1;
    }
    if (!on || ls->fd >= 0)
        return true;
    int fd = listener_socket(&ls->bound, &ls->bound_len, ls->sim->opt, false);
    if (fd < 0)
        return false;
    ls->fd = fd;
    ev_io_set(&ls->readable, fd, EV_READ);
    ev_io_start(ls->sim->loop, &ls->readable);
    return true;
}

struct listener *listener_find(struct sim *sim, struct slice name)
{
    for (size_t i = 0; i < sim->listener_count; i++) {
        if (slice_is(name, sim->listeners[i].name))
            return &sim->listeners[i];
    }
    return NULL;
}

void listeners_close(struct sim *sim)
{
    for (size_t i = 0; i < sim->listener_count; i++) {
        struct listener *ls = &sim->listeners[i];
        if (ls->fd >= 0)
            close(ls->fd);
        if (ls->bound.any.sa_family == AF_UNIX)
            unlink(ls->bound.local.sun_path);
        free(ls->name);
        buf_free(&ls->defaults);
        counters_free(&ls->count);
    }
    free(sim->listeners);
    if (sim->spare_fd >= 0)
        close(sim->spare_fd);
}
