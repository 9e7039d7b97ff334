// SPDX-License-Identifier: MIT
// Routes of a frontend.
#ifndef EVLB_CONF_BIND_ROUTE_H
#define EVLB_CONF_BIND_ROUTE_H

#include "conf/bind.h"

// Fills the routes of `f` from `routes`, then `backend` or `redirect`, then the short form's
// servers.
void bind_routes(struct binder *b, struct frontend_draft *f, struct node *own, struct span at);

#endif
