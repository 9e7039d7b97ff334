// SPDX-License-Identifier: MIT
// How TLS was agreed on, for routes.
#ifndef EVLB_TLS_ROUTE_H
#define EVLB_TLS_ROUTE_H

#include "core/route.h"
#include "io/tls.h"

struct tls_route {
    struct str alpn;
    char sni[256];
};

// Completes `facts` with what routes want to know of a connection; the texts are in `r` and in the
// connection. Nothing is done where TLS does not end here.
void tls_route_facts(const struct conn *c, struct tls_route *r, struct route_facts *facts);

#endif
