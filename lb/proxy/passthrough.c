// SPDX-License-Identifier: MIT
// `tls: passthrough` of a route. Runs in workers; handshake.c asks for every ClientHello before
// OpenSSL sees it. What is decided here once holds for the connection; requests for such a host on
// other connections are refused by http_route.c.
#include "proxy/passthrough.h"

#include "core/route.h"
#include "proxy/handshake.h"
#include "proxy/tcp_proxy.h"

bool passthrough_take(struct session *s, const struct client_hello *h, struct str first)
{
    const struct frontend *f = s->listener->frontend;
    if (!route_has_passthrough(f))
        return false;
    const struct route_facts facts = {.host = h->sni, .alpn = h->alpn, .n_alpn = h->n_alpn};
    const struct route *r = route_of_hello(f, &facts);
    if (r == NULL || r->tls == ROUTE_TERMINATE)
        return false;
    handshake_leave(s);
    tcp_begin_with(s, r, h, first);
    return true;
}
