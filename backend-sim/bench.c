/* SPDX-License-Identifier: MIT */
/*
 * --bench: an origin that is never the bottleneck. Its own edge-triggered epoll loop, without
 * libev.
 *
 * A request is whatever ends in an empty line; the response was composed before. Only two things
 * are looked at: "onnection: close" in the head ends the connection behind the response, and a path
 * /size/N asks for a body of N bytes instead of --size. Pipelined requests are answered with as few
 * sends as there are. Bodies of requests are not understood.
 *
 * System calls: accept4 and the first recv and send at once (the socket is registered only if it
 * lives on), then recv and send per request plus a share of epoll_wait. A head that comes in pieces
 * is kept aside until its end: rare, so the common path never copies.
 */
#include "bench.h"

#include "answer.h"
#include "listener.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#define RECV_BYTES 65536U
#define HEAD_MAX 65536U
#define EVENTS 256
#define REPLIES 16
#define REPLY_MAX (256U * 1024U * 1024U)
#define COPIES 64U /* of a small response, for pipelined requests */

/* A composed response of one body size: keep-alive form (COPIES times when small) and close form.
 */
struct reply {
    uint64_t size;
    struct buf keep, close;
    size_t keep_one; /* bytes of one keep-alive response */
};

struct client {
    struct client *next, *prev; /* in bench.clients */
    int fd;                     /* -1: a listener, see below */
    int listen_fd;              /* of a listener */
    struct buf partial;         /* the beginning of a head */
    const char *rest;           /* of a response the kernel would not take whole */
    size_t rest_len;
    bool close; /* behind the rest */
};

struct bench {
    int epoll;
    struct reply replies[REPLIES]; /* [0] is the default one */
    size_t reply_count;
    struct client *clients; /* listeners included */
    char input[RECV_BYTES];
};

static volatile sig_atomic_t stopping;

static void on_stop(int sig)
{
    (void)sig;
    stopping = 1;
}

static void compose(struct buf *out, uint64_t size, bool close)
{
    buf_addf(out,
             "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %" PRIu64 "\r\n%s\r\n",
             size, close ? "Connection: close\r\n" : "");
    for (uint64_t done = 0; done < size;) {
        struct slice piece = pattern_at(done);
        piece.len = piece.len < size - done ? piece.len : (size_t)(size - done);
        buf_add_slice(out, piece);
        done += piece.len;
    }
}

/* The response of that size, composed at its first use; the default one when the table is full. */
static const struct reply *reply_for(struct bench *b, uint64_t size)
{
    for (size_t i = 0; i < b->reply_count; i++) {
        if (b->replies[i].size == size)
            return &b->replies[i];
    }
    if (b->reply_count == REPLIES || size > REPLY_MAX)
        return &b->replies[0];
    struct reply *r = &b->replies[b->reply_count++];
    r->size = size;
    compose(&r->close, size, true);
    compose(&r->keep, size, false);
    r->keep_one = r->keep.len;
    for (unsigned i = 1; i < COPIES && size <= 4096; i++)
        compose(&r->keep, size, false);
    return r;
}

static const struct reply *reply_of(struct bench *b, struct slice head)
{
    struct slice rest = head;
    slice_cut(&rest, ' ');
    if (!slice_starts(rest, "/size/"))
        return &b->replies[0];
    struct slice number = {rest.ptr + 6, rest.len - 6};
    size_t digits = 0;
    while (digits < number.len && number.ptr[digits] >= '0' && number.ptr[digits] <= '9')
        digits++;
    uint64_t size = 0;
    return parse_number((struct slice){number.ptr, digits}, &size) ? reply_for(b, size)
                                                                   : &b->replies[0];
}

static struct client *client_new(struct bench *b, int fd)
{
    struct client *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->fd = fd;
    c->next = b->clients;
    if (c->next)
        c->next->prev = c;
    b->clients = c;
    return c;
}

static void client_close(struct bench *b, struct client *c)
{
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        b->clients = c->next;
    if (c->fd >= 0)
        close(c->fd);
    buf_free(&c->partial);
    free(c);
}

/* False: the connection is gone. */
static bool send_bytes(struct client *c, const char *bytes, size_t len)
{
    ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    size_t sent = n < 0 ? 0 : (size_t)n;
    c->rest = bytes + sent;
    c->rest_len = len - sent;
    return true;
}

static bool asks_close(struct slice head)
{
    return memmem(head.ptr, head.len, "onnection: close", 16) != NULL;
}

/* Keeps unread requests for later: the ones behind a response that is still going out. */
static void keep_input(struct client *c, struct slice in)
{
    if (in.len)
        buf_add_slice(&c->partial, in);
}

/* Answers all complete heads of the input; false: the connection is to be closed. */
static bool answer_input(struct bench *b, struct client *c, struct slice in)
{
    while (in.len) {
        const char *end = memmem(in.ptr, in.len, "\r\n\r\n", 4);
        if (!end)
            break;
        struct slice head = {in.ptr, (size_t)(end - in.ptr) + 4};
        const struct reply *r = reply_of(b, head);
        if (asks_close(head)) {
            c->close = true;
            return send_bytes(c, buf_head(&r->close), r->close.len) && c->rest_len;
        }
        size_t count = 0, most = r->keep.len / r->keep_one;
        /* Requests like the first one, byte by byte, share one send. */
        do {
            in.ptr += head.len;
            in.len -= head.len;
            count++;
        } while (count < most && in.len >= head.len && memcmp(in.ptr, head.ptr, head.len) == 0);
        if (!send_bytes(c, buf_head(&r->keep), count * r->keep_one))
            return false;
        if (c->rest_len)
            break;
    }
    keep_input(c, in);
    return c->partial.len <= HEAD_MAX * 4;
}

/* False: to be closed. *drained: the socket had no more. */
static bool read_once(struct bench *b, struct client *c, bool *drained)
{
    ssize_t n = recv(c->fd, b->input, sizeof(b->input), 0);
    *drained = n < (ssize_t)sizeof(b->input);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    if (c->partial.len == 0)
        return answer_input(b, c, (struct slice){b->input, (size_t)n});
    struct buf joined = c->partial;
    c->partial = (struct buf){0};
    buf_add(&joined, b->input, (size_t)n);
    bool alive = answer_input(b, c, buf_slice(&joined));
    buf_free(&joined);
    return alive;
}

/* The rest of a response, and the requests that waited behind it. */
static bool send_rest(struct bench *b, struct client *c)
{
    if (!send_bytes(c, c->rest, c->rest_len))
        return false;
    if (c->rest_len)
        return true;
    if (c->close)
        return false;
    struct buf waiting = c->partial;
    c->partial = (struct buf){0};
    bool alive = answer_input(b, c, buf_slice(&waiting));
    buf_free(&waiting);
    return alive;
}

static bool client_event(struct bench *b, struct client *c, uint32_t events)
{
    if (events & EPOLLERR)
        return false;
    bool had_rest = c->rest_len > 0;
    if (!had_rest && !(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)))
        return true;
    if (had_rest && !send_rest(b, c))
        return false;
    bool drained = false;
    /* A peer that ended (RDHUP) is read to its end; edges come only once. */
    while (c->rest_len == 0 && (!drained || (events & EPOLLRDHUP))) {
        if (!read_once(b, c, &drained))
            return false;
    }
    return true;
}

static bool client_register(struct bench *b, struct client *c)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    return epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &ev) == 0;
}

static void client_open(struct bench *b, int fd)
{
    struct client *c = client_new(b, fd);
    if (!c) {
        close(fd);
        return;
    }
    bool drained = false;
    if (!read_once(b, c, &drained) || !client_register(b, c))
        client_close(b, c);
}

static void accept_all(struct bench *b, int listen_fd)
{
    for (int i = 0; i < EVENTS; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            client_open(b, fd);
            continue;
        }
        /* Level-triggered: without descriptors left the loop would spin. */
        if (errno == EMFILE || errno == ENFILE)
            usleep(10000);
        if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO)
            return;
    }
}

static bool listen_on_epoll(struct bench *b, struct listener *ls)
{
    int one = 1;
    struct client *entry = client_new(b, -1);
    if (!entry)
        return false;
    entry->listen_fd = ls->fd;
    setsockopt(ls->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* inherited */
    /* accept4 comes with the first request: no EAGAIN and no registration for short connections */
    setsockopt(ls->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof(one));
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = entry};
    return epoll_ctl(b->epoll, EPOLL_CTL_ADD, ls->fd, &ev) == 0;
}

static int serve(struct sim *sim, struct bench *b)
{
    struct epoll_event events[EVENTS];
    b->epoll = epoll_create1(EPOLL_CLOEXEC);
    reply_for(b, sim->opt->size_given ? sim->opt->size_bytes : 128);
    for (size_t i = 0; i < sim->listener_count; i++) {
        if (!listen_on_epoll(b, &sim->listeners[i]))
            return 1;
    }
    while (!stopping) {
        int n = epoll_wait(b->epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (c->fd < 0)
                accept_all(b, c->listen_fd);
            else if (!client_event(b, c, events[i].events))
                client_close(b, c);
        }
    }
    return 0;
}

static void bench_free(struct bench *b)
{
    while (b->clients)
        client_close(b, b->clients);
    for (size_t i = 0; i < b->reply_count; i++) {
        buf_free(&b->replies[i].keep);
        buf_free(&b->replies[i].close);
    }
    close(b->epoll);
    free(b);
}

/* Another worker: a process with sockets of its own at the same addresses. */
static void worker_main(struct sim *sim, struct bench *b)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (size_t i = 0; i < sim->listener_count; i++) {
        struct listener *ls = &sim->listeners[i];
        close(ls->fd);
        ls->fd = listener_socket(&ls->bound, &ls->bound_len, sim->opt, true);
        if (ls->fd < 0)
            _exit(1);
    }
    _exit(serve(sim, b));
}

int bench_run(struct sim *sim)
{
    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    struct bench *b = calloc(1, sizeof(*b));
    if (!b)
        return 1;
    for (uint64_t i = 1; i < sim->opt->workers; i++) {
        pid_t pid = fork();
        if (pid == 0)
            worker_main(sim, b);
        if (pid < 0)
            fprintf(stderr, "backend-sim: fork: %s\n", strerror(errno));
    }
    listeners_print(sim);
    int status = serve(sim, b);
    bench_free(b); /* the other workers end with this process: PR_SET_PDEATHSIG */
    return status;
}
