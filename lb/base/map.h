// SPDX-License-Identifier: MIT
// Name -> pointer, for configurations: grows, never shrinks, keeps insertion out of mind.
#ifndef EVLB_MAP_H
#define EVLB_MAP_H

#include "base/arena.h"
#include "base/str.h"

struct map_slot {
    struct str key;
    void *value;
};

struct map {
    struct arena *arena; // owner of the slots; keys are not copied
    struct map_slot *slots;
    size_t count, cap; // cap is 0 or a power of two
};

// The value, or NULL.
void *map_get(const struct map *m, struct str key);
// Adds or replaces. `key` must live as long as the map; `value` is not NULL.
void map_put(struct map *m, struct str key, void *value);

#endif
