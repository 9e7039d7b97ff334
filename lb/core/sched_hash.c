// SPDX-License-Identifier: MIT
// `balance: hash`: the same key goes to the same server, in every worker, on every balancer with
// the same servers and after a restart; a server that goes away moves only its own keys. Runs in
// workers, called by sched_pick().
//
// A consistent-hash ring: every server owns points on a circle of 2^32 positions, as many as its
// weight demands; a key belongs to the first point at or behind its own position. The points come
// from the server's address as the configuration has it, not from its place or its given name.
//
//   0 ......b....a......c..a....b........ 2^32
//              ^ key: to c
//
// Bounded load: a server that holds 1.25 times its share of what is in flight passes a new key on
// to the next point, so that a popular key cannot drown it. Below FREE_LOAD requests nothing is
// passed on: a browser's six connections stay together.
// Invariants: points are in order of position, and of identity where positions are equal, so that
// the order of the list does not matter; start[b]..start[b+1] are the points of bucket b.
#include "core/sched_ops.h"

#define POINTS_PER_SERVER 512u // of the heaviest server, at least
#define POINTS_MOST (1u << 21) // of a ring, for memory's sake; more than 2,048 servers get fewer
#define BUCKET_POINTS 2u       // on average, at least
#define FREE_LOAD 8u

struct ring_point {
    uint32_t at;
    uint32_t server;
};

struct hash_ring {
    struct ring_point *points;
    uint32_t *start; // [buckets + 1]
    uint64_t *ids;   // [servers]
    uint32_t n_points;
    uint32_t shift; // position >> shift is its bucket
};

// ---- building ---------------------------------------------------------------------------------

static uint64_t address_hash(const struct server *server)
{
    if (server->host.len > 0)
        return hash_bytes(server->host.p, server->host.len, server->port);
    char text[ADDR_TEXT];
    size_t n = addr_format(&server->addr, text);
    return hash_bytes(text, n, 0);
}

// Servers with the same address are told apart by their number among these.
static void make_ids(const struct scheduler *s, uint64_t *ids, uint64_t *addresses)
{
    for (uint32_t i = 0; i < s->n; i++) {
        uint64_t same = 0;
        addresses[i] = address_hash(&s->servers[i]);
        for (uint32_t k = 0; k < i; k++)
            same += addresses[k] == addresses[i];
        ids[i] = hash_mix(addresses[i] + hash_mix(same));
    }
}

// A server's points depend on its own weight and the power of two at or below the largest one, so
// that other servers may come and go without moving them.
static uint32_t points_of(uint32_t weight, uint32_t unit, uint32_t per_unit)
{
    return weight == 0 ? 0 : MAX_OF(weight * per_unit / unit, 1u);
}

static uint32_t largest_weight(const struct scheduler *s)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < s->n; i++)
        largest = MAX_OF(largest, s->weights[i]);
    return largest;
}

static uint32_t points_per_unit(const struct scheduler *s)
{
    uint32_t per_unit = POINTS_PER_SERVER;
    while (per_unit > 1 && (uint64_t)s->n * per_unit * 2 > POINTS_MOST)
        per_unit /= 2;
    return per_unit;
}

static uint32_t position(uint64_t id, uint32_t k)
{
    return (uint32_t)(hash_mix(id + k) >> 32);
}

static bool before(const struct hash_ring *ring, struct ring_point x, struct ring_point y)
{
    return x.at != y.at ? x.at < y.at : ring->ids[x.server] < ring->ids[y.server];
}

static void sort_bucket(const struct hash_ring *ring, struct ring_point *p, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        struct ring_point x = p[i];
        uint32_t k = i;
        for (; k > 0 && before(ring, x, p[k - 1]); k--)
            p[k] = p[k - 1];
        p[k] = x;
    }
}

// Sorts `loose` into the ring: by bucket first, then inside of each.
static void sort_points(struct hash_ring *ring, const struct ring_point *loose, uint32_t buckets)
{
    for (uint32_t i = 0; i < ring->n_points; i++)
        ring->start[loose[i].at >> ring->shift]++;
    for (uint32_t b = 1; b <= buckets; b++)
        ring->start[b] += ring->start[b - 1]; // the end of each bucket
    for (uint32_t i = 0; i < ring->n_points; i++)
        ring->points[--ring->start[loose[i].at >> ring->shift]] = loose[i];
    for (uint32_t b = 0; b < buckets; b++) // now the start of each
        sort_bucket(ring, ring->points + ring->start[b], ring->start[b + 1] - ring->start[b]);
}

static struct ring_point *loose_points(const struct scheduler *s, struct hash_ring *ring)
{
    uint32_t unit = 1, per_unit = points_per_unit(s);
    while (unit * 2 <= largest_weight(s))
        unit *= 2;
    struct ring_point *loose = xmalloc((size_t)s->n * per_unit * 2 * sizeof(*loose));
    for (uint32_t i = 0; i < s->n; i++)
        for (uint32_t k = 0; k < points_of(s->weights[i], unit, per_unit); k++)
            loose[ring->n_points++] = (struct ring_point){position(ring->ids[i], k), i};
    return loose;
}

static void hash_build(struct scheduler *s, struct arena *arena)
{
    sched_build_order(s, arena); // for requests without a key
    struct hash_ring *ring = arena_alloc(arena, sizeof(*ring));
    ring->ids = arena_alloc(arena, s->n * sizeof(*ring->ids));
    uint64_t *addresses = xmalloc(s->n * sizeof(*addresses));
    make_ids(s, ring->ids, addresses);
    free(addresses);

    struct ring_point *loose = loose_points(s, ring);
    uint32_t buckets = 2;
    ring->shift = 31;
    while (buckets * 2 * BUCKET_POINTS <= ring->n_points) {
        buckets *= 2;
        ring->shift--;
    }
    ring->points = arena_alloc(arena, ring->n_points * sizeof(*ring->points));
    ring->start = arena_alloc(arena, ((size_t)buckets + 1) * sizeof(*ring->start));
    sort_points(ring, loose, buckets);
    free(loose);
    s->ring = ring;
}

// ---- picking ----------------------------------------------------------------------------------

// What is in flight at the servers that can be picked now, and their weights.
struct share {
    uint64_t load, weight;
};

static struct share usable_share(const struct scheduler *s, const struct pick_round *a)
{
    struct share all = {0, 0};
    bool look = a->refuse != 0 || !s->all_addressed;
    for (uint32_t i = 0; i < s->n; i++) {
        if (look && !sched_acceptable(s, a, i))
            continue;
        all.load += sched_load(s, a, i);
        all.weight += s->weights[i];
    }
    return all;
}

// `all` is counted when it is first needed: its weight is 0 before.
static bool overloaded(const struct scheduler *s, const struct pick_round *a, uint32_t i,
                       struct share *all)
{
    uint64_t load = sched_load(s, a, i);
    if (load < FREE_LOAD)
        return false;
    if (all->weight == 0)
        *all = usable_share(s, a);
    return load * all->weight * 4 >= (all->load + 1) * s->weights[i] * 5;
}

static uint32_t owner_of(const struct hash_ring *ring, uint32_t at)
{
    uint32_t i = ring->start[at >> ring->shift];
    while (i < ring->n_points && ring->points[i].at < at)
        i++;
    return i == ring->n_points ? 0 : i;
}

// For the rare case that the ring shows only unusable servers over a long stretch: the usable
// server that this key likes best (rendezvous hashing).
static uint32_t rendezvous(const struct scheduler *s, const struct pick_round *a)
{
    uint32_t best = SCHED_NONE;
    uint64_t best_score = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        uint64_t score = hash_mix(a->pick->key ^ s->ring->ids[i]);
        if ((best == SCHED_NONE || score > best_score) && sched_acceptable(s, a, i)) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

static uint32_t hash_pick(const struct scheduler *s, const struct pick_round *a)
{
    if (!a->pick->has_key)
        return sched_rr.pick(s, a);
    const struct hash_ring *ring = s->ring;
    struct share all = {0, 0};
    uint32_t usable = SCHED_NONE;
    uint32_t at = owner_of(ring, (uint32_t)(hash_mix(a->pick->key) >> 32));
    uint32_t steps = MIN_OF(ring->n_points, 4 * s->n + 64);
    for (; steps > 0; steps--, at = at + 1 == ring->n_points ? 0 : at + 1) {
        uint32_t i = ring->points[at].server;
        if (!sched_acceptable(s, a, i))
            continue;
        if (usable == SCHED_NONE)
            usable = i; // should all be overloaded
        if (!overloaded(s, a, i, &all))
            return i;
    }
    return usable != SCHED_NONE ? usable : rendezvous(s, a);
}

const struct sched_ops sched_hash = {hash_build, hash_pick};
