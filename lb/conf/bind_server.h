// SPDX-License-Identifier: MIT
// The servers of all backends. Internal to conf/.
#ifndef EVLB_CONF_BIND_SERVER_H
#define EVLB_CONF_BIND_SERVER_H

#include "conf/bind.h"

// Those of the files, less and plus those of the overlay; when all backends are bound, so that the
// array has its final place.
void bind_servers(struct binder *b);

#endif
