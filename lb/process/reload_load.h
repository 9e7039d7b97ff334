// SPDX-License-Identifier: MIT
// The part of a reload that may fail: everything up to a configuration that is ready to be put in
// force. All or nothing.
#ifndef EVLB_RELOAD_LOAD_H
#define EVLB_RELOAD_LOAD_H

#include "process/supervisor.h"
#include "process/tree.h"

enum reload_kind {
    RELOAD_FILES,        // everything is read again
    RELOAD_CERTIFICATES, // certificates alone, the rest is what is in force (cert_refresh.h)
};

struct loading {
    enum reload_kind kind;
    struct arena *arena;   // of the texts
    const char *text;      // what changes, or why it failed: lines
    const char *summary;   // "3 changes"
    const char *overlay;   // with the new line
    struct config *config; // the caller's on success, as access_fd and recording are
    struct bundle *recording;
    uint32_t generation;
    uint32_t first_new_listener; // sockets with this number and above are new
    int bundle_fd;               // for workers
    int control_fd;              // the same without keys
    uint32_t changed, kept;      // of certificates; both 0 otherwise
    bool same;                   // all that was read is as before: nothing is to be put in force
    bool access_changed;         // the access log goes elsewhere:
    int access_fd;               // there; -1: standard error
};

// Loads as the options say, with `overlay` and one more `line` (NULL: none) over the files; binds,
// gives slots. False: nothing has changed, `text` says why. reload_load_done() in any case. `kind`
// is set by the caller.
bool reload_load(struct tree *t, const struct supervisor_options *options, const char *overlay,
                 const char *line, struct loading *l) MUST_CHECK;
// Frees all that did not go to the caller.
void reload_load_done(struct loading *l);

#endif
