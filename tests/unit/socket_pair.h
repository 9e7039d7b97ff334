// SPDX-License-Identifier: MIT
// Two connected sockets, one of them as a conn: for tests of what moves bytes between conns.
#ifndef EVLB_TEST_SOCKET_PAIR_H
#define EVLB_TEST_SOCKET_PAIR_H

#include <sys/socket.h>
#include <unistd.h>

#include "io/conn.h"

struct pair {
    struct conn conn; // ours
    int peer;
};

static inline void pair_nothing(struct conn *c)
{
    (void)c;
}

static inline void pair_open(struct pair *p)
{
    int fds[2];
    int small = 8192;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    conn_init(&p->conn, &transport_plain, fds[0], pair_nothing);
    p->peer = fds[1];
}

static inline void pair_close(struct pair *p)
{
    conn_close(&p->conn, NULL, false);
    if (p->peer >= 0)
        close(p->peer);
    p->peer = -1;
}

// What the loop would do: trying is worth it again.
static inline void pair_wake(struct pair *p)
{
    p->conn.ready = CONN_READ | CONN_WRITE;
}

static inline void pair_say(struct pair *p, const char *text)
{
    assert_int_equal(send(p->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    pair_wake(p);
}

// Everything that has arrived at the peer, as a string.
static inline const char *pair_hear(struct pair *p)
{
    static char text[70000];
    ssize_t n = recv(p->peer, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

#endif
