// SPDX-License-Identifier: MIT
// One 64-bit hash for everything that is not keyed against an attacker (consistent hashing must
// give the same answer in every process, on every balancer of a cluster, and after a restart).
#ifndef EVLB_HASH_H
#define EVLB_HASH_H

#include "base/base.h"

// XXH64 (Yann Collet's xxHash specification 0.1.1) of `n` bytes.
uint64_t hash_bytes(const void *bytes, size_t n, uint64_t seed);
// Mixes a 64-bit value (the finaliser of splitmix64): every input bit reaches every output bit.
uint64_t hash_mix(uint64_t x);

// A small fast random generator (xorshift64*). Not for secrets.
struct rng {
    uint64_t state; // not 0
};
void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
// Uniform in [0, n); n > 0.
uint32_t rng_below(struct rng *r, uint32_t n);

#endif
