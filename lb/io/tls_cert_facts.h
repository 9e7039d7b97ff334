// SPDX-License-Identifier: MIT
// What a certificate says of itself, for people.
#ifndef EVLB_TLS_CERT_FACTS_H
#define EVLB_TLS_CERT_FACTS_H

#include "base/arena.h"
#include "base/pem.h"
#include "io/tls.h"

struct tls_cert_facts {
    const char *subject, *issuer; // "CN=www.example.com, O=Example"
    const char *serial;           // hexadecimal
    const char *key;              // "ECDSA P-256", "RSA 2048"
    const struct str *names;      // that it is for, in lower case
    uint32_t n_names;
    int64_t from, until;  // seconds since 1970
    const char *ocsp;     // of the answer beside it: none, good, revoked, expired, unusable
    int64_t ocsp_until;   // its end; 0: none
    const char *ocsp_why; // why it is not given to clients; NULL: it is, or there is none
};

// All texts in `a`. The key is not looked at. False: it cannot be read.
bool tls_cert_facts(const struct pem_pair *pem, int64_t now, struct arena *a,
                    struct tls_cert_facts *out) MUST_CHECK;

// Authorities, or revocation lists.
struct tls_trust_facts {
    const struct str *names; // "CN=clients": of the authorities, or of those whose lists they are
    uint32_t n_names;
    int64_t until; // the earliest end, in seconds since 1970; 0: there is none
};

// Of the authorities of `t`, or (`lists`) of its lists; names in `a`. False: they cannot be read.
bool tls_trust_facts(const struct tls_client_auth *t, bool lists, struct arena *a,
                     struct tls_trust_facts *out) MUST_CHECK;

#endif
