// SPDX-License-Identifier: MIT
// OCSP answers (RFC 6960) that are shown to clients together with the certificate ("stapling", RFC
// 6066 section 8): read from a file, checked once, not fetched.
#ifndef EVLB_TLS_OCSP_H
#define EVLB_TLS_OCSP_H

#include "io/tls_cert.h"

enum staple_state {
    STAPLE_NONE,     // there is no file
    STAPLE_GOOD,     // given to clients
    STAPLE_REVOKED,  // the issuer has taken the certificate back
    STAPLE_EXPIRED,  // there should be a newer one
    STAPLE_UNUSABLE, // not an answer about this certificate
};
extern const char *const staple_words[];

struct staple {
    enum staple_state state;
    int64_t until; // seconds since 1970: from then on it is STAPLE_EXPIRED; INT64_MAX: no end
};

// What the answer beside the certificate says at `now`. Unless it is good or there is none, `why`
// says what is wrong with it. The key in `c` may be missing.
struct staple tls_ocsp_read(const struct tls_cert *c, const struct pem_pair *pem, int64_t now,
                            char why[TLS_WHY_MAX]) MUST_CHECK;

#endif
