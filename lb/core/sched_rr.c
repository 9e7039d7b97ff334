// SPDX-License-Identifier: MIT
// `balance: round-robin`: the smooth weighted order of nginx, built once as an immutable sequence;
// all workers walk it with one shared cursor. Runs in workers, called by sched_pick(); the sequence
// is also built for `random` and for `hash` (requests without a key).
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
// Invariants: the sequence holds each server weight / gcd(all weights) times; a position whose
// server is not acceptable gives its turn to the next cursor value, so the order of the others
// stays exact over all workers.
#include "core/sched_ops.h"

// Cursor values that one pick may take. A whole number of rounds where these are short, so that
// picks that end in vain leave the position in the order as it was.
#define TURNS_LEAST 64u
#define TURNS_MOST 1024u

struct weight_class {
    int64_t current;
    uint32_t weight, n;
    uint32_t next;
    uint32_t *members; // in the order of the list
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

static uint32_t common_divisor(const struct scheduler *s)
{
    uint32_t divisor = 0;
    for (uint32_t i = 0; i < s->n; i++)
        divisor = gcd(divisor, s->weights[i]);
    return divisor;
}

// Sorts the servers with a weight into classes; `members` has room for all. Returns how many.
static uint32_t make_classes(const struct scheduler *s, struct weight_class *classes,
                             uint32_t *members)
{
    uint32_t count[SCHED_WEIGHT_MAX + 1] = {0}, class_of[SCHED_WEIGHT_MAX + 1];
    uint32_t n_classes = 0;
    for (uint32_t i = 0; i < s->n; i++)
        count[s->weights[i]]++;
    for (uint32_t w = 1; w <= SCHED_WEIGHT_MAX; w++) {
        if (count[w] == 0)
            continue;
        class_of[w] = n_classes;
        classes[n_classes++] = (struct weight_class){.weight = w, .members = members};
        members += count[w];
    }
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->weights[i] == 0)
            continue;
        struct weight_class *c = &classes[class_of[s->weights[i]]];
        c->members[c->n++] = i;
    }
    return n_classes;
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

void sched_build_order(struct scheduler *s, struct arena *arena)
{
    struct weight_class classes[SCHED_WEIGHT_MAX];
    uint32_t *members = xmalloc(s->n * sizeof(*members));
    uint32_t n_classes = make_classes(s, classes, members);
    uint32_t length = s->total_weight / common_divisor(s);
    uint32_t *order = arena_alloc(arena, length * sizeof(*order));
    for (uint32_t k = 0; k < length; k++)
        order[k] = next_in_order(classes, n_classes, s->total_weight);
    free(members);
    s->order = order;
    s->n_order = length;
}

static uint32_t turns_allowed(const struct scheduler *s)
{
    if (s->n_order < TURNS_LEAST)
        return (TURNS_LEAST / s->n_order + 1) * s->n_order;
    return MIN_OF(s->n_order, TURNS_MOST);
}

static uint32_t rr_pick(const struct scheduler *s, const struct pick_round *a)
{
    uint64_t turn = sched_turn(s, a);
    uint32_t i = s->order[turn % s->n_order];
    if (LIKELY(sched_acceptable(s, a, i)))
        return i;
    for (uint32_t left = turns_allowed(s) - 1; left > 0; left--) {
        turn = sched_turn(s, a);
        i = s->order[turn % s->n_order];
        if (sched_acceptable(s, a, i))
            return i;
    }
    return sched_scan(s, a, (uint32_t)(turn % s->n));
}

const struct sched_ops sched_rr = {sched_build_order, rr_pick};
