// SPDX-License-Identifier: MIT
// Sessions: a client connection between accept and close, whatever is spoken on it.
#ifndef EVLB_SESSION_H
#define EVLB_SESSION_H

#include "io/flow.h"
#include "proto/proxy_hdr.h"
#include "proxy/worker_state.h"

// How often a client at work that the loop does not watch is looked at: nobody else would tell that
// it has broken off.
#define CLIENT_LOOK_MS 400u

struct proxy_hdr;

// Takes over an accepted socket and begins to serve it. The gauges of the process and of the
// frontend have been claimed for it. False: out of memory; the socket is closed, the gauges are
// released.
bool session_begin(struct listener *l, const struct transport *t, int fd,
                   const union ip_addr *peer) MUST_CHECK;

// What is spoken on it can begin: TLS, if any, is agreed on.
void session_serve(struct session *s);

// No work: waits for the next request, timeout.keep-alive from now.
void session_idle(struct session *s);
// Closes the client connection and frees the session at the end of the turn. Without unread input
// an ordinary close; `reset` sends RST (a truncated message must not look complete).
void session_close(struct session *s, bool reset);
// Ends our direction, throws away what still comes for a while, then closes: a close with unread
// input would send RST and destroy the answer on its way (RFC 9112 section 9.6).
void session_linger(struct session *s);
// True when no further request will be served on this connection: the worker is stopping, or the
// listener is not configured any more.
static inline bool session_is_last(const struct session *s)
{
    return s->w->draining || s->listener->gone;
}
// The worker is stopping: closes what is idle, tells the rest.
void session_drain_all(struct worker *w);
// The configuration was changed: closes idle sessions of listeners that are gone, gives up pinned
// connections to servers that are.
void session_reload_all(struct worker *w);
void session_close_all(struct worker *w);

// The session becomes the holder of an idle server connection that nobody else may use. It is
// closed when its server is gone meanwhile.
void session_pin(struct session *s, struct upstream *u);

enum proxy_read { PROXY_READ_DONE, PROXY_READ_WAIT, PROXY_READ_BAD, PROXY_READ_EOF };
// Reads the mandatory PROXY header into `in` and takes it off. Also DONE when the listener wanted
// none when the client came. `f`: as in session_trusts_peer().
enum proxy_read session_read_proxy(struct session *s, const struct frontend *f,
                                   struct flow *in) MUST_CHECK;
// The client is who its PROXY header says. False: out of memory.
bool session_introduce(struct session *s, const struct proxy_hdr *hdr) MUST_CHECK;
// The address that the client connected to.
void session_local(const struct session *s, union ip_addr *out);
// The PROXY header for a server, of version `v` (not PROXY_NONE): returns its length. `sni`: the
// name that was asked for where TLS does not end here; empty: none.
size_t session_proxy_header(const struct session *s, enum proxy_version v, struct str sni,
                            char out[PROXY_OUT_MAX]);
// True when the peer is one whose forwarding headers are believed. `f`: the frontend of the work in
// progress, perhaps of an older generation than the listener's.
bool session_trusts_peer(const struct session *s, const struct frontend *f);

// What a session's work is doing, for whoever asks.
struct session_work {
    const char *doing;
    const struct backend *backend; // NULL: not decided yet
    const struct server *server;   // NULL: none now
    uint64_t begin_ms;
    uint64_t bytes_received, bytes_sent; // from the client, to the client
};

#endif
