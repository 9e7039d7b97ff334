// SPDX-License-Identifier: MIT
// Sockets of the data path. All functions return a descriptor (non-blocking, close-on-exec) or
// -errno.
#ifndef EVLB_SOCK_H
#define EVLB_SOCK_H

#include "base/addr.h"

// Accepts one connection; `peer` gets its address (family AF_UNSPEC for unix sockets).
int sock_accept(int listen_fd, union ip_addr *peer) MUST_CHECK;
// Begins a connection. It may still be in progress, or have failed already without saying so:
// the first write or conn_connect_state() tells. `has_data`: we speak first and at once, so that
// the last packet of the handshake can carry that instead of being a bare ACK.
int sock_connect(const struct addr *to, bool has_data) MUST_CHECK;
// Our own address of a connected socket; family AF_UNSPEC when it is not an IP socket.
void sock_local(int fd, union ip_addr *out);
// True when it is connected to itself: a connect to a local port that nobody listens on may be
// given that very port to come from (simultaneous open, RFC 9293 3.5). Nobody is there.
bool sock_met_itself(int fd, const struct addr *to) MUST_CHECK;

// What a failed accept or connect means.
enum sock_failure {
    SOCK_RETRY,     // this one is gone, try the next: EINTR, ECONNABORTED, EPROTO, ...
    SOCK_NONE,      // nothing is waiting
    SOCK_EXHAUSTED, // we are out of descriptors, ports or memory: not the peer's fault
    SOCK_REFUSED,   // the peer or the network said no
};
enum sock_failure sock_failure(int error);

#endif
