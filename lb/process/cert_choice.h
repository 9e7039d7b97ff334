// SPDX-License-Identifier: MIT
// Which certificate a client is shown, for people.
#ifndef EVLB_CERT_CHOICE_H
#define EVLB_CERT_CHOICE_H

#include "conf/config.h"
#include "io/tls.h"

struct cert_choice {
    struct {
        const char *file, *key; // the latter in words: "ECDSA P-256"
        const struct str *names;
        uint32_t n_names;
    } certs[TLS_SHOWN_MAX]; // the client gets the one that it can check
    uint32_t n;             // 0: a client that asks for this name is refused
    bool is_default;        // no certificate is for the name
};

// Chooses as the data path does, for a client that asks for `name` (lower case; empty: none) where
// `f` ends TLS by `tls`. Texts in `a`. Returns NULL, or why the certificates cannot be used.
const char *cert_choice(const struct frontend *f, const struct tls *tls, struct str name,
                        struct arena *a, struct cert_choice *out) MUST_CHECK;

#endif
