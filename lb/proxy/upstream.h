// SPDX-License-Identifier: MIT
// Connections to servers: made, reused, given back, closed.
#ifndef EVLB_UPSTREAM_H
#define EVLB_UPSTREAM_H

#include "base/buf.h"
#include "io/tls.h"
#include "proxy/worker_state.h"

// The idle connection to `server` that was used last, or NULL. The caller is its holder now.
struct upstream *upstream_take_idle(struct worker *w, const struct server *server, void *holder,
                                    void (*on_ready)(void *holder)) MUST_CHECK;
// A new one, perhaps still connecting. NULL: *error has the errno. `has_data`: the holder has bytes
// to send at once.
struct upstream *upstream_connect(struct worker *w, const struct server *server, void *holder,
                                  void (*on_ready)(void *holder), bool has_data,
                                  int *error) MUST_CHECK;
// The connection stands, and TLS is to begin: sends what comes before it in plain text (a PROXY
// header) and empties that buffer. False: broken, or out of memory.
bool upstream_secure(struct upstream *u, struct tls_client *tls, struct buf *first) MUST_CHECK;
// Goes on with the handshake. IO_AGAIN: the loop tells. IO_ERR: it has failed, tls_failure() says
// why; that is counted.
enum io upstream_handshake(struct upstream *u) MUST_CHECK;
// What is known of TLS about a connection that has failed, for the log; NULL: nothing.
const char *upstream_tls_failure(struct upstream *u);
// Nothing is in progress on it any more: goes to the idle pool, or is closed when it may not.
// `limit_ms`: how long the server said it keeps it (UINT32_MAX: said nothing).
void upstream_keep(struct upstream *u, uint32_t limit_ms);
void upstream_close(struct upstream *u, bool reset);
// Closes all idle ones.
void upstream_close_idle(struct worker *w);
// The board has news: whoever holds a connection to a server that is down has to give it up, where
// `on-server-down: close` says so.
void upstream_cut_down(struct worker *w);
// One that nobody uses now belongs to its server as w->now has it. False: that is gone, or the
// connection is not to be kept for it; the caller closes it.
bool upstream_renew(struct upstream *u) MUST_CHECK;
// The same for all idle ones.
void upstream_renew_idle(struct worker *w);

#endif
