// SPDX-License-Identifier: MIT
// The `health` section. Internal to conf/.
#ifndef EVLB_CONF_BIND_HEALTH_H
#define EVLB_CONF_BIND_HEALTH_H

#include "conf/bind.h"

// Binds `health` of a backend or of `defaults`. The type is HEALTH_TYPES when nothing says it, the
// timeout 0 when the section does not: verify.c knows better then.
void bind_health(struct binder *b, struct chain *c, struct health *h);
// Whether a key has a meaning for that type.
bool health_has_key(enum health_type type, struct str key);
// Whether checks make no handshake, as requests do, because they have no certificate to show.
bool health_lacks_cert(const struct backend *backend);

#endif
