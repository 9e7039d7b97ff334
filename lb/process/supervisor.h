// SPDX-License-Identifier: MIT
// The supervisor: `evlb run`. Binds, forks, replaces, stops; touches no traffic.
#ifndef EVLB_SUPERVISOR_H
#define EVLB_SUPERVISOR_H

#include "conf/bundle.h"

struct supervisor_options {
    struct config *config;    // valid; the supervisor's from here on, as is
    struct bundle *recording; // what was read for it
    int argc;                 // as main() got them: process titles are written over them in the
    char **argv;              // children, so nothing they need may point into argv
    // To load it again: where from, and what the command line overrides in what was loaded.
    const struct config_source *source;
    void (*adjust)(const void *ctx, struct config *config);
    const void *adjust_ctx;
    struct str inherited; // from inherited_read(), the supervisor's from here on
};

enum supervisor_status {
    SUPERVISOR_STOPPED = 0, // as asked
    SUPERVISOR_FAILED = 1,  // a child could not start, or ended badly during the stop
    SUPERVISOR_SYSTEM = 71, // EX_OSERR: cannot bind, no memory, no descriptors
    SUPERVISOR_CONFIG = 78, // EX_CONFIG: there is no such user
};

// Runs in the foreground until told to stop by a signal. Returns the exit status of the process.
// Children never return from it.
int supervisor_run(const struct supervisor_options *options) MUST_CHECK;

// Where the admin socket is when the configuration does not say: /run/evlb/ctl.sock for root,
// $XDG_RUNTIME_DIR/evlb/ctl.sock otherwise. False: there is no such place.
bool supervisor_admin_path(const struct config *config, char *out, size_t size);

#endif
