// SPDX-License-Identifier: MIT
// A load with all that was found out on the way, for `explain`. Internal to conf/.
#ifndef EVLB_CONF_LOADER_H
#define EVLB_CONF_LOADER_H

#include "conf/bind.h"
#include "conf/include.h"

struct loaded {
    struct files files;
    struct binder binder; // binder.root->config is the result; binder.arena owns everything
};

// False: there are errors, and nothing is left to free. Otherwise the caller frees binder.arena.
bool load_all(const struct config_source *source, struct findings *f, struct loaded *l) MUST_CHECK;

#endif
