// SPDX-License-Identifier: MIT
// Servers added and removed at run time (`evlb ctl server add/remove`): what stands over the files.
// A text of lines, so that it can travel and be kept:
//
//   add app/c 10.0.0.13:8080 weight=2 tier=1 max-connections=100
//   remove app/a
//
// A server that is in the files can be added with another address once it is removed: then both
// lines stand, in this order. Lines that the files have overtaken (the server to add is in the file
// now, the one to remove is not any more, its backend is gone) are dropped by the next load: what
// is left is config->overlay, and that is to be the overlay of the load after it.
#ifndef EVLB_OVERLAY_H
#define EVLB_OVERLAY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

struct overlay_entry {
    bool removes;
    struct str backend, server;
    struct str address, weight, tier, max_connections; // as written; empty: not given
};

struct overlay {
    const struct overlay_entry *entries;
    uint32_t n;
};

// Slices of `text`, which must live as long. False: *why says what is wrong with which line.
bool overlay_parse(struct str text, struct arena *a, struct overlay *out,
                   const char **why) MUST_CHECK;
// `kept`: which entries to write, one per entry; NULL: all.
struct str overlay_text(const struct overlay *o, const bool *kept, struct arena *a) MUST_CHECK;
// One more line; it replaces or cancels one about the same server. False: `text` is no overlay, or
// the entry could not be written as a line (a name or value that is empty or holds a space).
bool overlay_add(struct str text, const struct overlay_entry *entry, struct arena *a,
                 struct str *out) MUST_CHECK;

#endif
