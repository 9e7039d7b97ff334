// SPDX-License-Identifier: MIT
// Connections whose TLS does not end here: those for some names, on an address where that of others
// does; all, on one in plain text.
#ifndef EVLB_PASSTHROUGH_H
#define EVLB_PASSTHROUGH_H

#include "proto/client_hello.h"
#include "proxy/session.h"

// A session in its handshake, of which nothing but `first` has been read: the ClientHello and
// perhaps more, or what is no TLS (`h` is empty). When it does not end here it becomes one of layer
// 4, and true is returned: it may be closed already. False: nothing has happened.
bool passthrough_take(struct session *s, const struct client_hello *h, struct str first) MUST_CHECK;

#endif
