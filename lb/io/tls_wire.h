// SPDX-License-Identifier: MIT
// Inside of io/: what OpenSSL reads from and writes to.
#ifndef EVLB_TLS_WIRE_H
#define EVLB_TLS_WIRE_H

#include <openssl/ssl.h>

#include "base/str.h"
#include "io/conn.h"

// The owner's, and lives as long as the BIO.
struct tls_wire {
    int fd;
    int error;         // errno of the last system call that failed; 0: none has
    int broken;        // of the write after which there can be no other; 0: there can
    struct str first;  // came before TLS began: is read before the socket is
    uint64_t received; // bytes read, those of `first` among them
    char *held;        // malloc'ed: what OpenSSL wrote and the socket has not got; NULL: nothing
    uint32_t held_from, held_to;
    const SSL *ticket_of; // whose ticket of a TLS 1.3 handshake is held for company; NULL: nobody's
    bool blocked;         // what is held waits for room
    bool more;    // more is written at once, or our direction ended: the kernel may wait for that
    bool reading; // OpenSSL is asked for bytes: what it says by the way cannot fail
    bool holds;   // OpenSSL is never told to wait with writing: the rest is held
    bool drained; // the socket has nothing more: it is not asked
    bool ended;   // the peer has ended its direction
    bool cut;     // nothing more is read: EPROTO
};

// A BIO around it that never closes the socket. NULL: out of memory.
BIO *tls_wire_bio(struct tls_wire *w) MUST_CHECK;
// Sends what is held. IO_OK: nothing is left; IO_AGAIN: when the socket has room; IO_ERR: `error`.
enum io tls_wire_flush(struct tls_wire *w) MUST_CHECK;
// Forgets what is held.
void tls_wire_drop(struct tls_wire *w);

#endif
