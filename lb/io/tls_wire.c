// SPDX-License-Identifier: MIT
// A BIO of our own between OpenSSL and a socket. Runs in workers and, for checks, in control; made
// by xport_tls.c.
//
//   hello, read before TLS began --> first --.
//                                             >--> OpenSSL --> send()
//   socket --------------------- recv() -----'
//
// OpenSSL asks again after each record whether there is more. A read that found less than it asked
// for has the answer already: it sets `drained`, and OpenSSL is told to wait without a system call,
// until the owner clears it. As with a bare socket, what comes later (also an end) is announced by
// the loop.
// Once the handshake is over OpenSSL never waits with writing: what the socket has no room for is
// held here. With a record half written inside OpenSSL a read would fail as soon as the peer asks
// for new keys (KeyUpdate), because the answer to that may not come into the midst of the record.
//
// A peer that asks for new keys and does not take our answer may have sent more before it went:
// that is read first. The next write of the owner fails.
//
// The ticket that ends a server's handshake of TLS 1.3 is held, too: it goes with the first answer,
// in one packet, or when the client lets us wait.
// Invariants: only a wait is reported as one that may be tried again; nothing passes what is held.
#include "io/tls_wire.h"

#include <errno.h>
#include <sys/socket.h>

// A whole record, and answers to KeyUpdates of a peer that does not read them.
#define HELD_BYTES (16384u + 4096u)

static int take_first(struct tls_wire *w, char *to, size_t size)
{
    size_t n = MIN_OF(size, w->first.len);
    memcpy(to, w->first.p, n);
    w->first.p += n;
    w->first.len -= n;
    w->received += n;
    return (int)n;
}

// What a system call that failed means to OpenSSL. `retry`: the flag for "not now".
static int failed(BIO *b, struct tls_wire *w, int error, void (*retry)(BIO *))
{
    if (error == EAGAIN || error == EINTR)
        retry(b);
    else
        w->error = error;
    return -1;
}

static void retry_read(BIO *b)
{
    BIO_set_retry_read(b);
}

static void retry_write(BIO *b)
{
    BIO_set_retry_write(b);
}

static int wire_read(BIO *b, char *to, int size)
{
    struct tls_wire *w = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (w->cut)
        return failed(b, w, EPROTO, retry_read);
    if (w->first.len > 0)
        return take_first(w, to, (size_t)size);
    if (w->drained)
        return failed(b, w, EAGAIN, retry_read);
    ssize_t n = recv(w->fd, to, (size_t)size, 0);
    if (n < 0)
        return failed(b, w, errno, retry_read);
    w->received += (uint64_t)n;
    w->ended = n == 0;
    w->drained = n > 0 && n < size;
    return (int)n;
}

// ---- writing

static uint32_t held_bytes(const struct tls_wire *w)
{
    return w->held_to - w->held_from;
}

// False: no memory, or the peer makes us say more than anybody would.
static bool hold(struct tls_wire *w, const char *bytes, size_t size)
{
    char *grown = NULL;
    if (size <= HELD_BYTES - w->held_to)
        grown = realloc(w->held, w->held_to + size);
    if (grown == NULL)
        return false;
    memcpy(grown + w->held_to, bytes, size);
    w->held = grown;
    w->held_to += (uint32_t)size;
    return true;
}

void tls_wire_drop(struct tls_wire *w)
{
    free(w->held);
    w->held = NULL;
    w->held_from = w->held_to = 0;
    w->blocked = false;
}

// Sends what is held and `bytes` behind it. The result: how many of `bytes` went, or -errno.
static ssize_t send_both(struct tls_wire *w, const char *bytes, size_t size)
{
    struct iovec iov[] = {{w->held + w->held_from, held_bytes(w)},
                          {(void *)(uintptr_t)bytes, size}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov)};
    int flags = w->more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
    ssize_t n = w->held == NULL ? send(w->fd, bytes, size, flags) : sendmsg(w->fd, &m, flags);
    if (n < 0)
        return -errno;
    uint32_t first = MIN_OF((uint32_t)n, held_bytes(w));
    w->held_from += first;
    if (held_bytes(w) == 0)
        tls_wire_drop(w);
    return n - first;
}

static bool is_wait(ssize_t result)
{
    return result == -EAGAIN || result == -EINTR;
}

// Whether this was the last write; notes it.
static bool is_end(struct tls_wire *w, ssize_t result)
{
    if (result < 0 && !is_wait(result)) {
        tls_wire_drop(w);
        w->broken = (int)-result;
    }
    return w->broken != 0;
}

static bool is_ticket(const struct tls_wire *w)
{
    return w->ticket_of != NULL && SSL_get_state(w->ticket_of) == TLS_ST_SW_SESSION_TICKET &&
           SSL_version(w->ticket_of) == TLS1_3_VERSION;
}

static int wire_write(BIO *b, const char *bytes, int size)
{
    struct tls_wire *w = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (is_ticket(w) && hold(w, bytes, (size_t)size))
        return size;
    ssize_t n = w->broken != 0 ? -w->broken : w->blocked ? 0 : send_both(w, bytes, (size_t)size);
    if (n == 0)
        n = -EAGAIN;
    bool end = is_end(w, n);
    if (end && w->holds && w->reading)
        return size;
    if (end || !w->holds)
        return n < 0 ? failed(b, w, (int)-n, retry_write) : (int)n;
    size_t sent = n > 0 ? (size_t)n : 0;
    if (sent == (size_t)size)
        return size;
    if (!hold(w, bytes + sent, (size_t)size - sent))
        return failed(b, w, ENOBUFS, retry_write);
    w->blocked = true;
    return size;
}

enum io tls_wire_flush(struct tls_wire *w)
{
    while (w->held != NULL) {
        ssize_t n = send_both(w, NULL, 0);
        w->blocked = is_wait(n);
        if (w->blocked)
            return IO_AGAIN;
        (void)is_end(w, n);
    }
    w->error = w->broken;
    return w->broken != 0 ? IO_ERR : IO_OK;
}

static long wire_ctrl(BIO *b, int command, long number, void *pointer)
{
    const struct tls_wire *w = BIO_get_data(b);
    (void)number, (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: // nothing is kept back
        return 1;
    case BIO_CTRL_EOF:
        return w->ended;
    default:
        return 0;
    }
}

// One for the process; made at the first connection and kept.
static const BIO_METHOD *method(void)
{
    static BIO_METHOD *made;
    if (made != NULL)
        return made;
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (m != NULL && BIO_meth_set_read(m, wire_read) == 1 &&
        BIO_meth_set_write(m, wire_write) == 1 && BIO_meth_set_ctrl(m, wire_ctrl) == 1)
        made = m;
    else
        BIO_meth_free(m);
    return made;
}

BIO *tls_wire_bio(struct tls_wire *w)
{
    const BIO_METHOD *m = method();
    BIO *b = m != NULL ? BIO_new(m) : NULL;
    if (b == NULL)
        return NULL;
    BIO_set_data(b, w);
    BIO_set_init(b, 1);
    return b;
}
