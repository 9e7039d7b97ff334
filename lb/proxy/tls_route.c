// SPDX-License-Identifier: MIT
// From what TLS has agreed on to what routes look at. Runs in workers; called by http_route.c and
// tcp_proxy.c, and only where some route of the frontend wants to know it.
#include "proxy/tls_route.h"

#include "proto/uri.h"

void tls_route_facts(const struct conn *c, struct tls_route *r, struct route_facts *facts)
{
    struct tls_facts agreed = tls_facts(c);
    size_t len = 0;
    if (agreed.version == NULL)
        return;
    if (agreed.sni.len > 0 && !uri_host(agreed.sni, r->sni, sizeof(r->sni), &len))
        len = 0; // no name that a route could have
    r->alpn = agreed.alpn;
    facts->tls = true;
    facts->alpn = &r->alpn;
    facts->n_alpn = agreed.alpn.len > 0;
    facts->over = (struct route_tls_facts){
        .version = strcmp(agreed.version, "TLSv1.3") == 0 ? ROUTE_TLS_1_3 : ROUTE_TLS_1_2,
        .sni = {r->sni, len},
        .cipher = str_of(agreed.cipher),
        .subject = agreed.peer != NULL ? agreed.peer->subject : STR_NONE,
        .client_cert = agreed.peer != NULL,
        .resumed = agreed.resumed,
    };
}
