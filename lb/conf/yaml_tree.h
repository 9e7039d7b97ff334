// SPDX-License-Identifier: MIT
// A YAML file as a tree in which every node knows where it stands. Scalars are raw text: no type
// is guessed from their look. An alias is the very node of its anchor.
#ifndef EVLB_CONF_YAML_TREE_H
#define EVLB_CONF_YAML_TREE_H

#include "conf/diag.h"

#define YAML_DEPTH_MAX 64
#define YAML_NODES_MAX 1000000u
#define YAML_ALIASES_MAX 10000u

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct entry {
    struct node *key; // a scalar
    struct node *value;
};

struct node {
    enum node_kind kind;
    bool plain;      // a scalar without quotes
    bool poisoned;   // a finding about it exists: use the default and say nothing more
    bool expanded;   // `value` is set (interpolate.h)
    bool secret;     // the value holds the content of a file or a credential
    uint32_t weight; // nodes in it, itself included, aliases counted in full
    struct span at;
    struct str text;    // scalar: as in the file, quotes and escapes undone
    struct str value;   // scalar: after interpolation
    const char *origin; // "env PORT" when the value came from elsewhere, or NULL
    union {
        struct node **items;   // list
        struct entry *entries; // map
    };
    uint32_t count;
};

// What all files of one load may spend together.
struct yaml_budget {
    uint32_t nodes, aliases;
};

// The tree of one file in `a`, or NULL after adding a finding. Duplicate keys are found here.
struct node *yaml_parse(struct arena *a, const struct conf_file *file, struct yaml_budget *budget,
                        struct findings *f) MUST_CHECK;

// The value of `key`, or NULL. `map` may be NULL or no map.
struct node *node_get(const struct node *map, const char *key);
struct entry *node_entry(const struct node *map, struct str key);
// "a map", "a list", "a text", "nothing".
const char *node_kind_name(const struct node *n);
// A scalar of no characters and no quotes: a key without a value.
bool node_is_empty(const struct node *n);
struct conf_mark node_mark(const struct node *n);

#endif
