// SPDX-License-Identifier: MIT
// `balance: round-robin`: the smooth weighted order of nginx, built once per epoch as an immutable
// sequence; all workers walk it with one shared cursor. Runs in workers, called by sched_pick();
// the sequence is also built for `random` and for `hash` (requests without a key).
//
// The reference: each pick adds every server's weight to its current value, takes the largest (the
// first in the list among equals) and subtracts the sum of all weights from it; 5:1:1 gives
// a a b a c a a. Done server by server a round costs n * sum steps. Servers of one weight form a
// class here: their values differ only by who was taken in this turn of the class, so they are
// taken in the order of the list, again and again, and only the classes have to be compared.
//
//   class of weight 3:   members  a  d  e  f      value of e and f: current
//                                       ^ next    value of a and d: current - sum
//
// Length and cost are bounded: a round has at most ORDER_MOST turns, and building it takes at most
// BUILD_STEPS comparisons of classes (some milliseconds), beyond one turn per server. Weights whose
// round would be longer (slow starts among very many servers, hundreds of different weights) are
// scaled down in proportion, none below 1: shares are then off by less than one turn in a round.
// The room for the longest round is taken with the scheduler: no building in service allocates.
//
// Invariants: the sequence holds each server weight / gcd(all weights) times unless scaled; a
// position whose server is not acceptable gives its turn to the next cursor value, so the order of
// the others stays exact over all workers.
#include "core/sched_ops.h"

// Cursor values that one pick may take. A whole number of rounds where these are short, so that
// picks that end in vain leave the position in the order as it was.
#define TURNS_LEAST 64u
#define TURNS_MOST 1024u

#define ORDER_MOST (1u << 16)
#define BUILD_STEPS (1u << 21)

// A server of the table while the order is built.
struct weighed {
    uint32_t weight, place;
};

struct weight_class {
    int64_t current;
    uint32_t weight, n;
    uint32_t next;
    uint32_t *members; // in the order of the list
};

struct order_room {
    struct weighed *sorted;       // [servers]
    struct weight_class *classes; // [servers]
    uint32_t *members;            // [servers]
    uint32_t most;
    uint32_t *order; // [most + servers]
};

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int by_weight_then_place(const void *x, const void *y)
{
    const struct weighed *p = x, *q = y;
    if (p->weight != q->weight)
        return p->weight < q->weight ? -1 : 1;
    return p->place < q->place ? -1 : 1;
}

static uint32_t count_classes(const struct weighed *sorted, uint32_t n)
{
    uint32_t classes = 0;
    for (uint32_t i = 0; i < n; i++)
        classes += i == 0 || sorted[i].weight != sorted[i - 1].weight;
    return classes;
}

static uint32_t divide_all(struct weighed *w, uint32_t n)
{
    uint32_t divisor = 0, total = 0;
    for (uint32_t i = 0; i < n; i++)
        divisor = gcd(divisor, w[i].weight);
    for (uint32_t i = 0; i < n; i++)
        total += w[i].weight /= divisor;
    return total;
}

// Brings the weights into bounds. Returns their sum.
static uint32_t bound_weights(const struct order_room *room, uint32_t n)
{
    struct weighed *sorted = room->sorted;
    uint32_t total = divide_all(sorted, n), scaled = 0;
    uint32_t most = MIN_OF(room->most, BUILD_STEPS / count_classes(sorted, n));
    if (total <= MAX_OF(most, n))
        return total;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t weight = (uint64_t)sorted[i].weight * most / total;
        scaled += sorted[i].weight = (uint32_t)MAX_OF(weight, 1u);
    }
    return scaled;
}

// Returns how many classes there are.
static uint32_t make_classes(const struct order_room *room, uint32_t n)
{
    const struct weighed *sorted = room->sorted;
    struct weight_class *c = room->classes - 1;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || sorted[i].weight != sorted[i - 1].weight)
            *++c = (struct weight_class){.weight = sorted[i].weight, .members = room->members + i};
        c->members[c->n++] = sorted[i].place;
    }
    return (uint32_t)(c + 1 - room->classes);
}

// One step of the reference algorithm.
static uint32_t next_in_order(struct weight_class *classes, uint32_t n, uint32_t total)
{
    struct weight_class *best = &classes[0];
    best->current += best->weight;
    for (struct weight_class *c = classes + 1; c < classes + n; c++) {
        c->current += c->weight;
        if (c->current < best->current)
            continue;
        if (c->current > best->current || c->members[c->next] < best->members[best->next])
            best = c;
    }
    uint32_t server = best->members[best->next];
    if (++best->next == best->n) {
        best->next = 0;
        best->current -= total;
    }
    return server;
}

// With any weights, and with those of the configuration in a slow start.
static uint32_t longest_order(const struct backend *b)
{
    uint64_t longest = (uint64_t)b->n_servers * SCHED_WEIGHT_MAX;
    for (uint32_t i = 0; i < b->n_servers; i++)
        longest += b->servers[i].slow_start_ms > 0 ? b->servers[i].weight * 100u : 0;
    return (uint32_t)MIN_OF(longest, ORDER_MOST);
}

void sched_prepare_order(struct scheduler *s)
{
    uint32_t n = s->backend->n_servers;
    struct order_room *room = arena_alloc(s->arena, sizeof(*room));
    room->most = longest_order(s->backend);
    room->sorted = arena_alloc(s->arena, n * sizeof(*room->sorted));
    room->classes = arena_alloc(s->arena, n * sizeof(*room->classes));
    room->members = arena_alloc(s->arena, n * sizeof(*room->members));
    room->order = arena_alloc(s->arena, ((size_t)room->most + n) * sizeof(*room->order));
    s->order_room = room;
}

void sched_build_order(struct scheduler *s, const struct board *board)
{
    (void)board;
    struct sched_table *t = &s->workers;
    const struct order_room *room = s->order_room;
    for (uint32_t i = 0; i < t->n; i++)
        room->sorted[i] = (struct weighed){t->shares[i], i};
    qsort(room->sorted, t->n, sizeof(*room->sorted), by_weight_then_place);
    t->n_order = bound_weights(room, t->n);
    t->order = room->order;
    uint32_t n_classes = make_classes(room, t->n);
    for (uint32_t k = 0; k < t->n_order; k++)
        room->order[k] = next_in_order(room->classes, n_classes, t->n_order);
}

static uint32_t turns_allowed(const struct sched_table *t)
{
    if (t->n_order < TURNS_LEAST)
        return (TURNS_LEAST / t->n_order + 1) * t->n_order;
    return MIN_OF(t->n_order, TURNS_MOST);
}

static uint32_t rr_pick(const struct scheduler *s, const struct pick_round *a)
{
    (void)s;
    const struct sched_table *t = a->table;
    uint64_t turn = sched_turn(a);
    uint32_t i = t->order[turn % t->n_order];
    if (LIKELY(sched_acceptable(a, i)))
        return i;
    for (uint32_t left = turns_allowed(t) - 1; left > 0; left--) {
        turn = sched_turn(a);
        i = t->order[turn % t->n_order];
        if (sched_acceptable(a, i))
            return i;
    }
    return sched_scan(a, (uint32_t)(turn % t->n));
}

const struct sched_ops sched_rr = {sched_prepare_order, sched_build_order, rr_pick};
