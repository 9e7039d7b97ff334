// SPDX-License-Identifier: MIT
// Layer 4 by name, and `tls: passthrough` of a route. Runs in workers; handshake.c asks for every
// ClientHello before OpenSSL sees it. What is decided here once holds for the connection; requests
// for such a host on other connections are refused by http_route.c.
#include "proxy/passthrough.h"

#include "core/route.h"
#include "proxy/handshake.h"
#include "proxy/tcp_proxy.h"

bool passthrough_take(struct session *s, const struct client_hello *h, struct str first)
{
    const struct listener *l = s->listener;
    const struct frontend *f = l->frontend;
    bool all = l->tls == NULL && f->mode == MODE_TCP;
    if (!all && (h->bytes == 0 || !route_has_passthrough(f)))
        return false;
    const struct route_facts facts = {
        .host = h->sni, .alpn = h->alpn, .n_alpn = h->n_alpn, .tls = l->tls != NULL};
    const struct route *r = route_of_hello(f, &facts);
    if (!all && (r == NULL || r->tls == ROUTE_TERMINATE))
        return false;
    handshake_leave(s);
    tcp_begin_with(s, r, h, first);
    return true;
}
