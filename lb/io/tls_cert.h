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
    struct str staple;    // an OCSP answer for clients that ask, of its own; empty: none
    int64_t staple_until; // seconds since 1970; not given any more from then on
};

// What a certificate signs with decides which ciphers of TLS 1.2 go with it.
enum key_kind { KEY_ECDSA, KEY_RSA, KEY_KINDS };
enum key_kind tls_cert_kind(const struct tls_cert *c) MUST_CHECK;

// False: `why` says what is wrong, with the file's name; nothing is to be freed. The staple is left
// to tls_cert_staple().
bool tls_cert_load(const struct pem_pair *pem, struct tls_cert *out,
                   char why[TLS_WHY_MAX]) MUST_CHECK;
// The certificate and its chain alone.
bool tls_cert_load_public(const struct pem_pair *pem, struct tls_cert *out,
                          char why[TLS_WHY_MAX]) MUST_CHECK;
// Takes the OCSP answer beside it, when it may be given to clients at `now`.
void tls_cert_staple(struct tls_cert *c, const struct pem_pair *pem, int64_t now);
void tls_cert_free(struct tls_cert *c);

// Which of two for the same name is shown: one that is valid at `now`, of two such the one that was
// issued last.
bool tls_cert_is_better(const struct tls_cert *a, const struct tls_cert *b, int64_t now) MUST_CHECK;

// Calls `each` with every host name that it is for, in lower case; one with a wildcard begins with
// "*.".
void tls_cert_names(const struct tls_cert *c, void (*each)(void *ctx, struct str name), void *ctx);

// What to do about a file that holds none in PEM format, by how it begins. `command`: the one of
// openssl's for what it should hold, x509 or crl.
void tls_pem_fix(const char *file, struct str bytes, const char *command, char out[TLS_WHY_MAX]);

// All certificates of a PEM text, to be believed. NULL: `why`, with the file's name.
X509_STORE *tls_authorities_load(const char *file, struct str pem,
                                 char why[TLS_WHY_MAX]) MUST_CHECK;

#endif
