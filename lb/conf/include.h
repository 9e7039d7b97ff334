// SPDX-License-Identifier: MIT
// The files of a configuration, read and merged into one tree.
#ifndef EVLB_CONF_INCLUDE_H
#define EVLB_CONF_INCLUDE_H

#include "conf/yaml_tree.h"

#define INCLUDE_DEPTH_MAX 8
#define FILE_BYTES_MAX (16u << 20)

struct files {
    struct arena *arena;
    const struct config_source *source;
    struct findings *findings;
    struct yaml_budget budget;
    struct conf_file *first, *last; // those read, in order
    uint32_t count;
    bool incomplete; // one could not be read or parsed
};

// The merged top level, a map; NULL when the root itself is unusable.
struct node *files_load(struct files *f) MUST_CHECK;

// A path as a file writes it: relative to that file.
const char *include_beside(struct arena *a, const struct conf_file *file,
                           struct str path) MUST_CHECK;

#endif
