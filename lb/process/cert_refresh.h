// SPDX-License-Identifier: MIT
// Certificates anew under a configuration that stays: what `evlb ctl certs reload` and `watch` do.
#ifndef EVLB_CERT_REFRESH_H
#define EVLB_CERT_REFRESH_H

#include "conf/bundle.h"

// What came of it. `config` and `recording` are the caller's.
struct refreshed {
    struct config *config;    // NULL: it does not load
    struct bundle *recording; // of config
    uint32_t changed;         // files that are not what they were; 0: config is as before
    uint32_t trust, tickets;  // of these: files of authorities or revocations, of ticket keys
    uint32_t kept;            // files that are not used as they are now
    const char *text;         // a line for each of them, and warnings; in the arena
};

// Loads what `in_force` recorded of `source`, but with the certificates, keys and OCSP answers that
// are on disk now. A pair that cannot be used is left as it was in `old`, or out when it is new.
// `f` (initialised by the caller): why it does not load.
void certificates_refresh(const struct config_source *source, const struct bundle *in_force,
                          const struct config *old, struct arena *a, struct findings *f,
                          struct refreshed *out);

#endif
