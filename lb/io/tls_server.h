// SPDX-License-Identifier: MIT
// Inside of io/: what tls_server.c gives to xport_tls.c.
#ifndef EVLB_TLS_SERVER_H
#define EVLB_TLS_SERVER_H

#include <openssl/ssl.h>

#include "io/tls.h"

// A new connection's half of OpenSSL; NULL: out of memory. `foldable`: as in tls_memory.h.
SSL *tls_server_ssl(struct tls_server *t, bool *foldable) MUST_CHECK;

#endif
