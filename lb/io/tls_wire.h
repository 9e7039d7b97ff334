// SPDX-License-Identifier: MIT
// Inside of io/: what OpenSSL reads from and writes to.
#ifndef EVLB_TLS_WIRE_H
#define EVLB_TLS_WIRE_H

#include <openssl/bio.h>

#include "base/str.h"

// The owner's, and lives as long as the BIO.
struct tls_wire {
    int fd;
    int error;         // errno of the last system call that failed; 0: none has
    struct str first;  // came before TLS began: is read before the socket is
    uint64_t received; // bytes read, those of `first` among them
    bool drained;      // the socket has nothing more: it is not asked
    bool ended;        // the peer has ended its direction
};

// A BIO around it that never closes the socket. NULL: out of memory.
BIO *tls_wire_bio(struct tls_wire *w) MUST_CHECK;

#endif
