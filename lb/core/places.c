// SPDX-License-Identifier: MIT
// See places.h. Called by control for every answer of DNS.
// Invariant: no address stands in two places.
#include "core/places.h"

static const struct place *find(const struct place *places, uint32_t n, const struct addr *addr)
{
    for (uint32_t i = 0; i < n; i++) {
        if (places[i].addr.len > 0 && addr_eq(&places[i].addr, addr))
            return &places[i];
    }
    return NULL;
}

static struct place *find_empty(struct place *places, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (places[i].addr.len == 0)
            return &places[i];
    }
    return NULL;
}

static uint32_t keep_found(struct place *places, uint32_t n_places, const struct place *found,
                           uint32_t n_found)
{
    uint32_t changed = 0;
    for (uint32_t i = 0; i < n_places; i++) {
        if (places[i].addr.len == 0)
            continue;
        const struct place *still = find(found, n_found, &places[i].addr);
        changed += still == NULL || still->weight != places[i].weight;
        if (still != NULL)
            places[i].weight = still->weight;
        else
            places[i] = (struct place){.weight = 0};
    }
    return changed;
}

uint32_t places_fill(struct place *places, uint32_t n_places, const struct place *found,
                     uint32_t n_found)
{
    uint32_t changed = keep_found(places, n_places, found, n_found);
    for (uint32_t i = 0; i < n_found; i++) {
        struct place *empty = find_empty(places, n_places);
        if (empty == NULL)
            break;
        if (find(places, n_places, &found[i].addr) != NULL)
            continue;
        *empty = found[i];
        changed++;
    }
    return changed;
}
