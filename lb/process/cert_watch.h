// SPDX-License-Identifier: MIT
// `watch: true`: certificates are read again when their files change (cert_refresh.h).
#ifndef EVLB_CERT_WATCH_H
#define EVLB_CERT_WATCH_H

#include "process/tree.h"

struct cert_watch *cert_watch_new(struct tree *t) MUST_CHECK;
void cert_watch_free(struct cert_watch *w);
// Looks at the files when it is time to, and asks for a reload of certificates when they have
// changed and are at rest.
void cert_watch_turn(struct cert_watch *w, uint64_t now_ms);
// When it is to be called again; UINT64_MAX: when something has happened.
uint64_t cert_watch_next_ms(const struct cert_watch *w);

#endif
