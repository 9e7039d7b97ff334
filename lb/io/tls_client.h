// SPDX-License-Identifier: MIT
// Inside of io/: what tls_client.c gives to xport_tls.c.
#ifndef EVLB_TLS_CLIENT_H
#define EVLB_TLS_CLIENT_H

#include <openssl/ssl.h>

#include "io/tls.h"

// A new connection's half of OpenSSL, which knows whom to expect and what was agreed with it last;
// NULL: out of memory.
SSL *tls_client_ssl(struct tls_client *t) MUST_CHECK;
struct tls_client *tls_client_hold(struct tls_client *t);
void tls_client_drop(struct tls_client *t);
// Why a call has failed, in words that live as long as the client; from OpenSSL's errors, or from
// `error` (of struct conn; 0: the server has closed).
const char *tls_client_explain(struct tls_client *t, SSL *ssl, int error);

#endif
