// SPDX-License-Identifier: MIT
// The listening sockets: bound once by the supervisor and kept open there, so that connections that
// wait in the queue of a dying worker wait for its replacement.
#ifndef EVLB_LISTENERS_H
#define EVLB_LISTENERS_H

#include "conf/config.h"

struct listeners {
    uint32_t workers;
    uint32_t per_worker; // listens of all frontends, frontends in order
    int *fds;            // [workers][per_worker]; -1: closed. A unix socket stands in every row
                         // with the same number
    char **unix_paths;   // [per_worker]: files to remove at the end, NULL for other sockets
};

// Binds everything or nothing. On failure the reason is logged and NULL returned.
struct listeners *listeners_bind(const struct config *config, uint32_t workers) MUST_CHECK;
const int *listeners_of_worker(const struct listeners *l, uint32_t worker);
// Closes the sockets of this process.
void listeners_close(struct listeners *l);
// Closes, removes the files of unix sockets, frees. NULL is allowed.
void listeners_free(struct listeners *l);

// A listening unix socket, non-blocking and close-on-exec; a file that nobody answers on any more
// is removed first. Returns the descriptor or -errno (-EADDRINUSE: somebody answers; -ENOTSOCK:
// the file is something else).
int listen_unix(const struct addr *addr) MUST_CHECK;

// Listens over all frontends: the sockets of one worker.
uint32_t listeners_count(const struct config *config);

#endif
