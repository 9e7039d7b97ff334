// SPDX-License-Identifier: MIT
// What a reload changes: two configurations side by side. Used by `evlb diff` before and by the
// reload itself.
#ifndef EVLB_PLAN_H
#define EVLB_PLAN_H

#include "base/arena.h"
#include "conf/config.h"

enum plan_sign {
    PLAN_ADD = '+',
    PLAN_REMOVE = '-',
    PLAN_CHANGE = '~',
    PLAN_RESTART = '!', // needs a restart: stays as it was until then
};

struct plan_item {
    enum plan_sign sign;
    const char *object; // "server app/c", "frontend web", "listener 0.0.0.0:80 (web)"
    const char *what;   // "weight 1 -> 5, tier 1 -> 2"; "" for added and removed ones
};

struct plan {
    const struct plan_item *items;
    uint32_t n;
};

// In `a`. Frontends, then backends with their servers, then the rest; all by name.
struct plan plan_make(const struct config *from, const struct config *to, struct arena *a);
// One line per item, "no changes" when there is none: `  + server app/c (10.0.0.13:8080)`.
const char *plan_text(const struct plan *p, struct arena *a);

#endif
