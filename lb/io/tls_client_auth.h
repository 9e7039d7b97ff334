// SPDX-License-Identifier: MIT
// Inside of io/: clients that show who they are, for tls_server.c and xport_tls.c.
#ifndef EVLB_TLS_CLIENT_AUTH_H
#define EVLB_TLS_CLIENT_AUTH_H

#include <openssl/ssl.h>

#include "io/tls.h"

// Authorities and revocation lists. NULL: `why`, with the file's name.
X509_STORE *client_auth_store(const struct tls_client_auth *a, char why[TLS_WHY_MAX]) MUST_CHECK;
// Connections of `ctx` ask for a certificate that `store` believes. False: out of memory.
bool client_auth_use(SSL_CTX *ctx, X509_STORE *store, bool optional) MUST_CHECK;
// Where a connection wants to learn why its client's certificate was not accepted: a text to be
// freed, or NULL.
void client_auth_note_into(SSL *ssl, char **why);
// Whether the last error of OpenSSL is that there was no certificate or none that is accepted.
bool client_auth_refused(void);

// The texts of a certificate in one block, to be freed. NULL: out of memory.
struct tls_peer *tls_peer_new(X509 *x) MUST_CHECK;

#endif
