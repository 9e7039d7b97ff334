// SPDX-License-Identifier: MIT
// Certificates: from PEM to OpenSSL's objects, and what is wrong with them.
#ifndef EVLB_TLS_CERT_H
#define EVLB_TLS_CERT_H

#include <openssl/x509.h>

#include "base/pem.h"
#include "io/tls.h"

// A certificate with the rest of its chain and its key.
struct tls_cert {
    X509 *leaf;
    STACK_OF(X509) * chain; // without the leaf
    EVP_PKEY *key;
};

// False: `why` says what is wrong, with the file's name; nothing is to be freed.
bool tls_cert_load(const struct pem_pair *pem, struct tls_cert *out,
                   char why[TLS_WHY_MAX]) MUST_CHECK;
void tls_cert_free(struct tls_cert *c);

// Calls `each` with every host name that it is for, in lower case; one with a wildcard begins with
// "*.".
void tls_cert_names(const struct tls_cert *c, void (*each)(void *ctx, struct str name), void *ctx);

#endif
