// SPDX-License-Identifier: MIT
// How TLS is spoken to a server, as the configuration says it: conf/ fills it in, io/ acts on it.
#ifndef EVLB_TLS_TERMS_H
#define EVLB_TLS_TERMS_H

#include "base/pem.h"

enum tls_min { TLS_MIN_1_2, TLS_MIN_1_3 };

struct tls_terms {
    struct str name;            // the host or the IP address that the certificate must be for; a
                                // host is also sent (SNI). Empty: none is, and any will do
    bool verify;                // false: whoever answers is believed
    bool resume;                // false: every connection looks at the certificate
    const char *ca_file;        // for messages
    struct str ca;              // PEM: who may have signed the certificate
    const struct pem_pair *own; // shown to a server that asks; NULL: nothing is
    enum tls_min min;
    const struct str *alpn; // offered, best first
    uint32_t n_alpn;
};

#endif
