// SPDX-License-Identifier: MIT
// A connection: a socket behind a transport (plain, tls; tests add mem). All I/O has one of
// four results, and a connection remembers whether trying again can help:
//
//   ready & CONN_READ    a read may find something: the loop said so, or the last one filled
//                        its buffer
//   ready & CONN_WRITE   a write may be taken: true until one was not taken whole
//
// So the owner tries first and asks the loop only after IO_AGAIN. Events of the loop only set
// `ready` and call on_ready.
#ifndef EVLB_CONN_H
#define EVLB_CONN_H

#include <ev.h>
#include <sys/uio.h>

#include "base/addr.h"
#include "io/loop.h"

enum io {
    IO_OK,    // something was moved (its size may be less than asked)
    IO_AGAIN, // nothing now
    IO_EOF,   // the peer has ended its direction in order
    IO_ERR,   // broken; conn->error has the errno
};

enum { CONN_READ = EV_READ, CONN_WRITE = EV_WRITE };

struct conn;
struct tls_conn;

struct transport {
    const char *name;
    enum io (*recv)(struct conn *c, void *to, size_t size, size_t *got);
    // `total`: the bytes of all n pieces together.
    enum io (*sendv)(struct conn *c, const struct iovec *iov, int n, size_t total, size_t *sent);
    enum io (*peek)(struct conn *c);      // IO_OK: bytes are waiting
    int (*pending_error)(struct conn *c); // of a connect: 0 done, EINPROGRESS, or what went wrong
    bool (*broken)(struct conn *c);       // reset, also while older bytes wait to be read
    void (*finish)(struct conn *c);       // ends our direction in order (FIN)
    // Tells the loop which events to report.
    void (*watch)(struct conn *c, struct loop *l, int events);
    // Has the loop report CONN_READ in its next turn, though the socket says nothing: only where
    // `pending` is set.
    void (*announce)(struct conn *c, struct loop *l);
    void (*close)(struct conn *c, struct loop *l, bool reset); // reset: RST instead of FIN
};

struct conn {
    const struct transport *transport;
    void (*on_ready)(struct conn *c); // called by the loop after `ready` was set
    ev_io watcher;                    // watcher.fd is the socket; -1: none
    uint8_t ready;                    // CONN_READ | CONN_WRITE: worth trying
    uint8_t watched;                  // what the loop reports
    uint8_t wanted;                   // what the owner waits for
    uint8_t finished;                 // our FIN has been sent
    bool pending;                     // bytes or the end wait in the transport: no event tells
    bool ending;          // the last bytes are being written: conn_finish() or _close() comes next
    bool unfinished;      // our end was said and waits for room in the socket
    int error;            // errno of the last IO_ERR
    struct tls_conn *tls; // of io/tls.h; NULL: plain
};

// Around an open, non-blocking socket.
void conn_init(struct conn *c, const struct transport *t, int fd, void (*on_ready)(struct conn *));
static inline bool conn_is_open(const struct conn *c)
{
    return c->watcher.fd >= 0;
}

enum io conn_recv(struct conn *c, void *to, size_t size, size_t *got) MUST_CHECK;
enum io conn_sendv(struct conn *c, const struct iovec *iov, int n, size_t *sent) MUST_CHECK;
// Looks without taking: IO_OK bytes, IO_EOF closed, IO_AGAIN silent, IO_ERR broken.
enum io conn_peek(struct conn *c) MUST_CHECK;
// How a connect stands, after an event: 0 done, EINPROGRESS, or what went wrong. No system call
// when the event itself has told (an error is reported as readable and writable at once).
int conn_connect_state(struct conn *c) MUST_CHECK;
// True when the connection is broken (reset, given up by the kernel), even while bytes from before
// that are still to be read: the loop says nothing about a connection that it does not watch, and
// one that is not read for now may not be watched.
bool conn_is_broken(struct conn *c) MUST_CHECK;
void conn_finish(struct conn *c);
// Says which events the owner waits for. Asking for more than is watched tells the loop at once;
// less is told only when an event arrives that nobody waits for (a keep-alive connection then needs
// no epoll_ctl between requests).
void conn_want(struct conn *c, struct loop *l, int events);
// What the loop reports: sets `ready`, stops watching for what nobody wants, calls on_ready.
void conn_event(struct conn *c, struct loop *l, int events);
void conn_close(struct conn *c, struct loop *l, bool reset);

extern const struct transport transport_plain;

#endif
