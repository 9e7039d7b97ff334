// SPDX-License-Identifier: MIT
// One listening socket: tried, bound, set up. All are non-blocking and close-on-exec.
#ifndef EVLB_LISTEN_SOCKET_H
#define EVLB_LISTEN_SOCKET_H

#include "conf/config.h"

// Whether the address could be bound and nobody else listens there, ourselves included; waits up to
// half a second for one that is in use. 0 or -errno; unix sockets are not tried.
int listen_try(const struct listen *l) MUST_CHECK;
// A listening TCP socket beside others of ours on the same address. The descriptor or -errno.
int listen_tcp(const struct listen *l, enum mode mode) MUST_CHECK;
// Whether to wake up for connections or only for their first bytes: in mode http the client speaks
// first (with a PROXY header too). A wish, not a need.
void listen_set_mode(int fd, enum mode mode);
// A listening unix socket; a file that nobody answers on any more is removed first. Returns the
// descriptor or -errno (-EADDRINUSE: somebody answers; -ENOTSOCK: the file is something else).
int listen_unix(const struct addr *addr) MUST_CHECK;
// What to do about it.
const char *listen_advice(int error);

#endif
