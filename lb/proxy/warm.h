// SPDX-License-Identifier: MIT
// `min-idle`: idle connections that are opened ahead of need, per worker and working server.
#ifndef EVLB_WARM_H
#define EVLB_WARM_H

#include "proxy/worker_state.h"

void warm_init(struct worker *w);
// Opens no more, gives up what is still connecting.
void warm_stop(struct worker *w);
void warm_free(struct worker *w);
// A new configuration is in force: begins anew with it, soon.
void warm_renew(struct worker *w);
// The board has news: fills up what is below its minimum.
void warm_look(struct worker *w);

#endif
