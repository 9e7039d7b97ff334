/* SPDX-License-Identifier: MIT */
/*
 * The floor of the benchmark: what any proxy on sockets and epoll has to pay. It forwards bytes
 * without looking at them, in one thread.
 *
 *   null_relay PORT ORIGIN-PORT...           each client connection owns one server connection
 *   null_relay --close PORT ORIGIN-PORT...   each client connection is one request
 *
 * Pairs: recv, send, recv, send per request, plus a share of epoll_wait.
 * --close: accept4, recv, send, recv, send, close; the server connections stay open in a pool. The
 * origin must keep its connection and the client must give up its own, so here the two heads
 * are edited (`keep_open`, `say_close`); one recv is taken to be one whole message.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loopback.h"

#define EVENTS 512
#define ACCEPTS 16 /* at one event; with one only, each connection would pay an epoll_wait */
#define CLOSE_LINE "Connection: close\r\n"
#define CLOSE_LEN (sizeof(CLOSE_LINE) - 1)

/* One socket. A pair dies as a whole; its memory is freed when the loop turn is over. */
struct end {
    int fd; /* -1: closed, waiting in `dead` */
    bool is_client;
    bool is_watched; /* --close: a client that sent nothing yet is in the epoll set */
    struct end *peer;
    struct end *next; /* in `idle` or `dead` */
    char *held;       /* bytes for this socket that it did not take; its peer is not read then */
    size_t held_len, held_off;
};

static int epoll_fd, listen_fd;
static bool close_mode;
static struct sockaddr_in *origins;
static size_t origin_count, origin_next;
static struct end *idle, *dead;
static char room[CLOSE_LEN + 65536];
static char *const buf = room + CLOSE_LEN;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int op, struct end *e, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = e};
    if (epoll_ctl(epoll_fd, op, e->fd, &ev) < 0)
        die("epoll_ctl");
}

static struct end *end_new(int fd, bool is_client)
{
    struct end *e = calloc(1, sizeof(*e));
    if (!e)
        die("calloc");
    e->fd = fd;
    e->is_client = is_client;
    return e;
}

/* The connect blocks: on the loopback it ends at once. */
static struct end *server_open(void)
{
    const struct sockaddr_in *to = &origins[origin_next++ % origin_count];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0) {
        close(fd);
        return NULL;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct end *e = end_new(fd, false);
    watch(EPOLL_CTL_ADD, e, EPOLLIN);
    return e;
}

static void end_close(struct end *e)
{
    if (!e || e->fd < 0)
        return;
    close(e->fd);
    e->fd = -1;
    free(e->held);
    e->next = dead;
    dead = e;
}

static void pair_close(struct end *e)
{
    end_close(e->peer);
    end_close(e);
}

/* Sends, or keeps what the socket does not take and stops reading the other side. */
static void forward(struct end *to, const char *p, size_t n)
{
    ssize_t sent = send(to->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) {
        pair_close(to);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done == n)
        return;
    to->held = malloc(n - done);
    if (!to->held)
        die("malloc");
    memcpy(to->held, p + done, n - done);
    to->held_len = n - done;
    to->held_off = 0;
    watch(EPOLL_CTL_MOD, to, EPOLLOUT);
    watch(EPOLL_CTL_MOD, to->peer, 0);
}

static void flush_held(struct end *to)
{
    ssize_t sent = send(to->fd, to->held + to->held_off, to->held_len - to->held_off,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) {
        pair_close(to);
        return;
    }
    to->held_off += sent < 0 ? 0 : (size_t)sent;
    if (to->held_off < to->held_len)
        return;
    free(to->held);
    to->held = NULL;
    watch(EPOLL_CTL_MOD, to, EPOLLIN);
    watch(EPOLL_CTL_MOD, to->peer, EPOLLIN);
}

static void relay(struct end *from)
{
    if (from->peer->held) { /* not read now, so this is a reset */
        pair_close(from);
        return;
    }
    ssize_t n = recv(from->fd, buf, sizeof(room) - CLOSE_LEN, MSG_DONTWAIT);
    if (n > 0)
        forward(from->peer, buf, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        pair_close(from);
}

/* Makes the client's "Connection: close" a word that the origin does not know. */
static void keep_open(char *head, size_t n)
{
    char *line = memmem(head, n, "Connection: close", CLOSE_LEN - 2);
    if (line)
        line[CLOSE_LEN - 3] = '-';
}

/* Puts "Connection: close" behind the status line, whose copy moves into the room in front. */
static char *say_close(char *head, size_t n)
{
    const char *end = memchr(head, '\n', n);
    if (!end)
        return head;
    size_t line = (size_t)(end + 1 - head);
    memmove(head - CLOSE_LEN, head, line);
    memcpy(head - CLOSE_LEN + line, CLOSE_LINE, CLOSE_LEN);
    return head - CLOSE_LEN;
}

static struct end *server_take(void)
{
    struct end *e = idle;
    if (!e)
        return server_open();
    idle = e->next;
    return e;
}

/* The origin ended a connection that waits in the pool. */
static void server_drop(struct end *server)
{
    struct end **at = &idle;
    while (*at != server)
        at = &(*at)->next;
    *at = server->next;
    end_close(server);
}

static void request(struct end *client)
{
    ssize_t n = recv(client->fd, buf, sizeof(room) - CLOSE_LEN, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
        if (!client->is_watched)
            watch(EPOLL_CTL_ADD, client, EPOLLIN);
        client->is_watched = true;
        return;
    }
    if (client->peer) { /* it spoke or left before its answer */
        pair_close(client);
        return;
    }
    struct end *server = n > 0 ? server_take() : NULL;
    if (!server) {
        end_close(client);
        return;
    }
    keep_open(buf, (size_t)n);
    server->peer = client;
    client->peer = server;
    if (send(server->fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
        pair_close(client);
}

static void response(struct end *server)
{
    ssize_t n = recv(server->fd, buf, sizeof(room) - CLOSE_LEN, MSG_DONTWAIT);
    if (!server->peer) {
        server_drop(server);
        return;
    }
    if (n <= 0) {
        pair_close(server);
        return;
    }
    char *head = say_close(buf, (size_t)n);
    send(server->peer->fd, head, (size_t)(buf + n - head), MSG_NOSIGNAL);
    end_close(server->peer);
    server->peer = NULL;
    server->next = idle;
    idle = server;
}

static void pair_open(struct end *client)
{
    client->peer = server_open();
    if (!client->peer) {
        end_close(client);
        return;
    }
    client->peer->peer = client;
    watch(EPOLL_CTL_ADD, client, EPOLLIN);
    relay(client); /* the request is mostly there already */
}

static bool accept_one(void)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return false;
    struct end *client = end_new(fd, true); /* TCP_NODELAY comes from the listener */
    if (close_mode)
        request(client);
    else
        pair_open(client);
    return true;
}

static void accept_some(void)
{
    for (int i = 0; i < ACCEPTS && accept_one(); i++)
        continue;
}

static void step(struct end *e, uint32_t events)
{
    if (!e)
        accept_some();
    else if (e->fd < 0)
        return; /* its pair ended earlier in this turn */
    else if (e->held && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        flush_held(e);
    else if (!close_mode)
        relay(e);
    else if (e->is_client)
        request(e);
    else
        response(e);
}

static void turn(void)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll_fd, events, EVENTS, -1);
    for (int i = 0; i < n; i++)
        step(events[i].data.ptr, events[i].events);
    while (dead) {
        struct end *e = dead;
        dead = e->next;
        free(e);
    }
}

int main(int argc, char **argv)
{
    close_mode = argc > 1 && strcmp(argv[1], "--close") == 0;
    argv += close_mode;
    argc -= close_mode;
    if (argc < 3) {
        fputs("usage: null_relay [--close] PORT ORIGIN-PORT...\n", stderr);
        return 2;
    }
    origin_count = (size_t)argc - 2;
    origins = calloc(origin_count, sizeof(*origins));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!origins || epoll_fd < 0)
        die("start");
    for (size_t i = 0; i < origin_count; i++)
        origins[i] = loopback(argv[i + 2]);
    listen_fd = listen_on(argv[1], epoll_fd);
    if (listen_fd < 0)
        die("listen");
    for (;;)
        turn();
}
