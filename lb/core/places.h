// SPDX-License-Identifier: MIT
// The addresses of a name and the places (servers) that they fill: an address that is there already
// keeps its place, so that an answer in another order moves no traffic. A pure function.
#ifndef EVLB_PLACES_H
#define EVLB_PLACES_H

#include "base/addr.h"

#define PLACES_MAX 16u

struct place {
    struct addr addr; // len 0: empty
    uint16_t weight;  // as DNS says; 0: says nothing
};

// Fills `places` from `found`. Those that are not found any more are emptied; new ones take empty
// places in order; what finds no place is left out. Returns how many places changed.
uint32_t places_fill(struct place *places, uint32_t n_places, const struct place *found,
                     uint32_t n_found);

#endif
