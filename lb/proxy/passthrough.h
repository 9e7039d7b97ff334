// SPDX-License-Identifier: MIT
// Names whose TLS does not end here, on an address where that of others does.
#ifndef EVLB_PASSTHROUGH_H
#define EVLB_PASSTHROUGH_H

#include "proto/client_hello.h"
#include "proxy/session.h"

// A session in its handshake, of which nothing but `first` has been read: the ClientHello and
// perhaps more. When a route passes it through, it becomes one of layer 4, and true is returned: it
// may be closed already. False: nothing has happened.
bool passthrough_take(struct session *s, const struct client_hello *h, struct str first) MUST_CHECK;

#endif
