// SPDX-License-Identifier: MIT
// TLS to servers. Internal to conf/.
#ifndef EVLB_CONF_BIND_SERVER_TLS_H
#define EVLB_CONF_BIND_SERVER_TLS_H

#include "conf/bind.h"

// What is in force for a server, its address bound; `c` is that of the server. NULL: plain text.
const struct server_tls *bind_server_tls(struct binder *b, const struct server *server,
                                         const struct chain *c) MUST_CHECK;

#endif
