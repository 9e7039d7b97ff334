// SPDX-License-Identifier: MIT
// A BIO of our own between OpenSSL and a socket. Runs in workers; made by xport_tls.c.
//
//   hello, read before TLS began --> first --.
//                                             >--> OpenSSL --> send()
//   socket --------------------- recv() -----'
//
// OpenSSL asks again after each record whether there is more. A read that found less than it asked
// for has the answer already: it sets `drained`, and OpenSSL is told to wait without a system call,
// until the owner clears it. As with a bare socket, what comes later (also an end) is announced by
// the loop.
// Invariant: only a wait is reported as one that may be tried again.
// OpenSSL first: its headers use names that base/base.h bans
#include <openssl/bio.h>

#include "io/tls_wire.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/base.h"

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

static int wire_write(BIO *b, const char *bytes, int size)
{
    struct tls_wire *w = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    ssize_t n = send(w->fd, bytes, (size_t)size, MSG_NOSIGNAL);
    return n < 0 ? failed(b, w, errno, retry_write) : (int)n;
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
