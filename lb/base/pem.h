// SPDX-License-Identifier: MIT
// A certificate with its chain and its key, as they were read: PEM texts, not looked into. conf/
// reads them, io/ understands them.
#ifndef EVLB_PEM_H
#define EVLB_PEM_H

#include "base/str.h"

struct pem_pair {
    const char *file;      // of the certificate and its chain
    const char *key_file;  // of the key; may be the same
    const char *ocsp_file; // of the issuer's answer about it; NULL: none
    struct str chain;
    struct str key;  // empty: no key was found
    struct str ocsp; // DER, not PEM; empty: none
};

static inline bool pem_holds(struct str text, struct str word)
{
    return text.len > 0 && memmem(text.p, text.len, word.p, word.len) != NULL;
}

static inline bool pem_has_certificate(struct str text)
{
    return pem_holds(text, STR("CERTIFICATE-----"));
}

// Whether a PEM text holds a private key, of whatever kind.
static inline bool pem_has_key(struct str text)
{
    return pem_holds(text, STR("PRIVATE KEY-----"));
}

#endif
