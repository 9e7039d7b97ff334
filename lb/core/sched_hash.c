// SPDX-License-Identifier: MIT
// `balance: hash`: the same key goes to the same server, in every worker, on every balancer with
// the same servers and after a restart; a server that goes away moves only its own keys. Runs in
// workers, called by sched_pick().
//
// A consistent-hash ring: every server owns points on a circle of 2^32 positions, as many as its
// weight demands; a key belongs to the first point at or behind its own position. The points come
// from the server's address as the configuration has it, not from its place or its given name. All
// servers with a weight in force own points, also those that are down, drained or standing by:
// their keys go on to the next point of one that works, and come back with them.
//
//   0 ......b....a......c..a....b........ 2^32
//              ^ key: to c
//
// Slow start: a server of which 30 percent are withheld passes on 30 of 100 keys, always the same
// ones, and takes them in the order in which it will keep them.
// Bounded load: a server that holds 1.25 times its share of what is in flight passes a new key on
// to the next point, so that a popular key cannot drown it. Below FREE_LOAD requests nothing is
// passed on: a browser's six connections stay together.
// Invariants: the ring is built anew only when a weight in force has changed, thus not when servers
// come and go; points are in order of position, and of identity where positions are equal, so that
// the order of the list does not matter; start[b]..start[b+1] are the points of bucket b.
#include "core/sched_ops.h"

#define POINTS_PER_SERVER 512u // of the heaviest server, at least
#define POINTS_MOST (1u << 21) // of a ring, for memory's sake; more than 2,048 servers get fewer
#define BUCKET_POINTS 2u       // on average, at least
#define FREE_LOAD 8u
// How far a key walks for a server that works.
#define STEPS_PER_SERVER 4u
#define STEPS_MORE 64u

struct ring_point {
    uint32_t at;
    uint32_t server;
};

// With its arrays behind it in one block.
struct hash_ring {
    struct ring_point *points;
    uint32_t *start;   // [buckets + 1]
    uint16_t *weights; // [servers of the backend] in force when it was built
    uint32_t n_points, n_buckets;
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
static void make_ids(const struct backend *b, uint64_t *ids)
{
    uint64_t *addresses = xmalloc(b->n_servers * sizeof(*addresses));
    for (uint32_t i = 0; i < b->n_servers; i++) {
        uint64_t same = 0;
        addresses[i] = address_hash(&b->servers[i]);
        for (uint32_t k = 0; k < i; k++)
            same += addresses[k] == addresses[i];
        ids[i] = hash_mix(addresses[i] + hash_mix(same));
    }
    free(addresses);
}

// A server's points depend on its own weight and the power of two at or below the largest one, so
// that other servers may come and go without moving them.
static uint32_t points_of(uint32_t weight, uint32_t unit, uint32_t per_unit)
{
    return weight == 0 ? 0 : MAX_OF(weight * per_unit / unit, 1u);
}

static uint32_t points_per_unit(uint32_t n)
{
    uint32_t per_unit = POINTS_PER_SERVER;
    while (per_unit > 1 && (uint64_t)n * per_unit * 2 > POINTS_MOST)
        per_unit /= 2;
    return per_unit;
}

static uint32_t position(uint64_t id, uint32_t k)
{
    return (uint32_t)(hash_mix(id + k) >> 32);
}

static bool before(const uint64_t *ids, struct ring_point x, struct ring_point y)
{
    return x.at != y.at ? x.at < y.at : ids[x.server] < ids[y.server];
}

static void sort_bucket(const uint64_t *ids, struct ring_point *p, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        struct ring_point x = p[i];
        uint32_t k = i;
        for (; k > 0 && before(ids, x, p[k - 1]); k--)
            p[k] = p[k - 1];
        p[k] = x;
    }
}

// Sorts `loose` into the ring: by bucket first, then inside of each.
static void sort_points(struct hash_ring *ring, const struct ring_point *loose, const uint64_t *ids)
{
    for (uint32_t i = 0; i < ring->n_points; i++)
        ring->start[loose[i].at >> ring->shift]++;
    for (uint32_t b = 1; b <= ring->n_buckets; b++)
        ring->start[b] += ring->start[b - 1]; // the end of each bucket
    for (uint32_t i = 0; i < ring->n_points; i++)
        ring->points[--ring->start[loose[i].at >> ring->shift]] = loose[i];
    for (uint32_t b = 0; b < ring->n_buckets; b++) // now the start of each
        sort_bucket(ids, ring->points + ring->start[b], ring->start[b + 1] - ring->start[b]);
}

// Points in the order of the servers. Returns how many; `loose` NULL: only that.
static uint32_t make_points(const uint64_t *ids, const uint16_t *weights, uint32_t n,
                            struct ring_point *loose)
{
    uint32_t unit = 1, largest = 0, per_unit = points_per_unit(n), made = 0;
    for (uint32_t i = 0; i < n; i++)
        largest = MAX_OF(largest, weights[i]);
    while (unit * 2 <= largest)
        unit *= 2;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t points = points_of(weights[i], unit, per_unit);
        for (uint32_t k = 0; loose != NULL && k < points; k++)
            loose[made + k] = (struct ring_point){position(ids[i], k), i};
        made += points;
    }
    return made;
}

// An empty ring for so many points and servers; NULL when memory is out.
static struct hash_ring *ring_alloc(uint32_t n_points, uint32_t n_servers)
{
    struct hash_ring head = {.n_points = n_points, .n_buckets = 2, .shift = 31};
    while (head.n_buckets * 2 * BUCKET_POINTS <= n_points) {
        head.n_buckets *= 2;
        head.shift--;
    }
    struct hash_ring *ring = calloc(1, sizeof(*ring) + n_points * sizeof(*ring->points) +
                                           ((size_t)head.n_buckets + 1) * sizeof(*ring->start) +
                                           n_servers * sizeof(*ring->weights));
    if (ring == NULL)
        return NULL;
    *ring = head;
    ring->points = (struct ring_point *)(void *)(ring + 1);
    ring->start = (uint32_t *)(void *)(ring->points + n_points);
    ring->weights = (uint16_t *)(void *)(ring->start + head.n_buckets + 1);
    return ring;
}

static struct hash_ring *ring_new(const uint64_t *ids, const uint16_t *weights, uint32_t n)
{
    uint32_t n_points = make_points(ids, weights, n, NULL);
    struct ring_point *loose = malloc((n_points + 1) * sizeof(*loose));
    struct hash_ring *ring = loose != NULL ? ring_alloc(n_points, n) : NULL;
    if (ring != NULL) {
        (void)make_points(ids, weights, n, loose);
        sort_points(ring, loose, ids);
        memcpy(ring->weights, weights, n * sizeof(*weights));
    }
    free(loose);
    return ring;
}

// When memory is out, the old ring stays until the next epoch: some keys go elsewhere than they
// will.
static void renew_ring(struct scheduler *s, const struct board *board)
{
    const struct backend *b = s->backend;
    for (uint32_t i = 0; i < b->n_servers; i++)
        s->ring_weights[i] =
            (uint16_t)MIN_OF(sched_weight(board, &b->servers[i]), SCHED_WEIGHT_MAX);
    if (s->ring != NULL &&
        memcmp(s->ring->weights, s->ring_weights, b->n_servers * sizeof(*s->ring_weights)) == 0)
        return;
    struct hash_ring *ring = ring_new(s->ids, s->ring_weights, b->n_servers);
    if (ring == NULL)
        return;
    free(s->ring);
    s->ring = ring;
}

// Where the servers of the ring are among the workers, and what these still pass on.
static void find_workers(struct scheduler *s, const struct board *board)
{
    const struct backend *b = s->backend;
    for (uint32_t i = 0; i < b->n_servers; i++)
        s->worker_at[i] = SCHED_NONE;
    for (uint32_t i = 0; i < s->workers.n; i++) {
        const struct server *server = s->workers.servers[i];
        s->worker_at[server - b->servers] = i;
        s->withheld[i] = (uint8_t)sched_withheld(board, server);
    }
}

static void hash_prepare(struct scheduler *s)
{
    uint32_t n = s->backend->n_servers;
    sched_prepare_order(s); // for requests without a key
    s->ids = arena_alloc(s->arena, n * sizeof(*s->ids));
    s->ring_weights = arena_alloc(s->arena, n * sizeof(*s->ring_weights));
    s->worker_at = arena_alloc(s->arena, n * sizeof(*s->worker_at));
    s->withheld = arena_alloc(s->arena, n * sizeof(*s->withheld));
    make_ids(s->backend, s->ids);
}

static void hash_build(struct scheduler *s, const struct board *board)
{
    sched_build_order(s, board);
    find_workers(s, board);
    renew_ring(s, board);
}

// ---- picking ----------------------------------------------------------------------------------

// What is in flight at the servers that can be picked now, and their shares.
struct sum {
    uint64_t load, share;
};

static struct sum sum_up(const struct pick_round *a)
{
    struct sum all = {0, 0};
    for (uint32_t i = 0; i < a->table->n; i++) {
        if (a->refuse != 0 && !sched_acceptable(a, i))
            continue;
        all.load += sched_load(a, i);
        all.share += a->table->shares[i];
    }
    return all;
}

// `all` is summed up when it is first needed: its share is 0 before.
static bool overloaded(const struct pick_round *a, uint32_t i, struct sum *all)
{
    uint64_t load = sched_load(a, i);
    if (load < FREE_LOAD)
        return false;
    if (all->share == 0)
        *all = sum_up(a);
    return load * all->share * 4 >= (all->load + 1) * a->table->shares[i] * 5;
}

static bool passes_on(const struct scheduler *s, const struct pick_round *a, uint32_t i,
                      uint64_t id)
{
    return UNLIKELY(s->withheld[i] > 0) && hash_mix(a->pick->key ^ id) % 100 < s->withheld[i];
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
    for (uint32_t i = 0; i < a->table->n; i++) {
        uint64_t id = s->ids[a->table->servers[i] - s->backend->servers];
        uint64_t score = hash_mix(a->pick->key ^ id);
        if ((best == SCHED_NONE || score > best_score) && sched_acceptable(a, i)) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

static uint32_t hash_pick(const struct scheduler *s, const struct pick_round *a)
{
    if (!a->pick->has_key || UNLIKELY(s->ring == NULL))
        return sched_rr.pick(s, a);
    if (a->table->n == 1) // active-passive: no walk past all that stand by
        return sched_scan(a, 0);
    const struct hash_ring *ring = s->ring;
    struct sum all = {0, 0};
    uint32_t usable = SCHED_NONE;
    uint32_t at = owner_of(ring, (uint32_t)(hash_mix(a->pick->key) >> 32));
    uint32_t steps = MIN_OF(ring->n_points, STEPS_PER_SERVER * s->backend->n_servers + STEPS_MORE);
    for (; steps > 0; steps--, at = at + 1 == ring->n_points ? 0 : at + 1) {
        uint32_t server = ring->points[at].server, i = s->worker_at[server];
        if (i == SCHED_NONE || !sched_acceptable(a, i))
            continue;
        if (usable == SCHED_NONE)
            usable = i; // should all be overloaded
        if (!passes_on(s, a, i, s->ids[server]) && !overloaded(a, i, &all))
            return i;
    }
    return usable != SCHED_NONE ? usable : rendezvous(s, a);
}

const struct sched_ops sched_hash = {hash_prepare, hash_build, hash_pick};
