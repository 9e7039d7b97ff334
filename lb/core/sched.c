// SPDX-License-Identifier: MIT
// The common part of the schedulers: building, the rounds of a pick, and what several algorithms
// use. Workers call sched_pick() once per request and once more per retry; the algorithms stand in
// sched_*.c behind one table.
// Invariants: a scheduler is immutable, all that changes is on the board; a server of weight 0 or
// without an address is never returned; one that failed this request already is returned only when
// no other server can be, one that is being skipped only when no other can be but those.
#include "core/sched.h"

#include "core/sched_ops.h"

static const struct sched_ops *const algorithms[] = {
    [BALANCE_ROUND_ROBIN] = &sched_rr, [BALANCE_LEAST_CONN] = &sched_least,
    [BALANCE_RANDOM] = &sched_random,  [BALANCE_FIRST] = &sched_first,
    [BALANCE_HASH] = &sched_hash,
};

static void copy_weights(struct scheduler *s, struct arena *arena)
{
    uint16_t *weights = arena_alloc(arena, s->n * sizeof(*weights));
    s->weights = weights;
    s->equal_weights = s->n > 0;
    s->all_addressed = true;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct server *server = &s->servers[i];
        lb_assert(server->weight <= SCHED_WEIGHT_MAX);
        lb_assert(server->index == s->servers[0].index + i);
        weights[i] = server->weight;
        s->total_weight += server->weight;
        s->equal_weights &= server->weight > 0 && server->weight == s->servers[0].weight;
        s->all_addressed &= server->addr.len > 0;
    }
}

struct scheduler *sched_new(const struct backend *backend)
{
    lb_assert((size_t)backend->balance < ARRAY_LEN(algorithms));
    struct arena *arena = arena_new();
    struct scheduler *s = arena_alloc(arena, sizeof(*s));
    s->arena = arena;
    s->ops = algorithms[backend->balance];
    s->backend = backend;
    s->servers = backend->servers;
    s->n = backend->n_servers;
    s->first_slot = s->n > 0 ? board_server_slot(s->servers[0].index) : 0;
    copy_weights(s, arena);
    if (s->ops->build != NULL && s->total_weight > 0)
        s->ops->build(s, arena);
    return s;
}

void sched_free(struct scheduler *s)
{
    if (s != NULL)
        arena_free(s->arena);
}

enum pick_result sched_pick(struct scheduler *s, struct board *board, const struct pick *p,
                            const struct server **server)
{
    static const unsigned rounds[] = {REFUSE_AVOIDED | REFUSE_SKIPPED, REFUSE_AVOIDED,
                                      REFUSE_SKIPPED, 0};
    if (s->total_weight == 0)
        return PICK_NONE;
    unsigned present = p->n_avoid > 0 ? REFUSE_AVOIDED : 0;
    if (atomic_load_explicit(&board->skipped[s->backend->index], memory_order_relaxed) > 0)
        present |= REFUSE_SKIPPED;
    for (size_t i = 0; i < ARRAY_LEN(rounds); i++) {
        if ((rounds[i] & ~present) != 0)
            continue; // would be the same as a later round
        struct pick_round a = {.board = board, .pick = p, .refuse = rounds[i]};
        uint32_t place = s->ops->pick(s, &a);
        if (place != SCHED_NONE) {
            *server = &s->servers[place];
            return PICK_OK;
        }
    }
    return PICK_NONE;
}

uint32_t sched_weight(const struct board *board, const struct server *server)
{
    uint32_t word =
        atomic_load_explicit(&board->server[server->index].weight, memory_order_relaxed);
    return word > 0 ? word - 1 : server->weight;
}

static bool has_address(const struct board *board, const struct server *server)
{
    struct addr addr;
    sched_address(board, server, &addr);
    return addr.len > 0;
}

bool sched_usable(const struct board *board, const struct server *server)
{
    uint32_t state =
        atomic_load_explicit(&board->server[server->index].state, memory_order_acquire);
    return (state == SERVER_UP || state == SERVER_STARTING) && sched_weight(board, server) > 0 &&
           has_address(board, server);
}

uint32_t sched_limit(const struct board *board, const struct server *server)
{
    (void)board;
    return server->max_connections > 0 ? server->max_connections : UINT32_MAX;
}

void sched_address(const struct board *board, const struct server *server, struct addr *out)
{
    if (atomic_load_explicit(&board->server[server->index].addr_version, memory_order_relaxed) == 0)
        *out = server->addr;
    else
        board_addr_read(board, server->index, out);
}

uint32_t sched_scan(const struct scheduler *s, const struct pick_round *a, uint32_t start)
{
    for (uint32_t k = 0, i = start; k < s->n; k++, i = i + 1 == s->n ? 0 : i + 1)
        if (sched_acceptable(s, a, i))
            return i;
    return SCHED_NONE;
}

bool sched_avoided(const struct scheduler *s, const struct pick_round *a, uint32_t i)
{
    lb_assert(a->pick->n_avoid <= PICK_AVOID_MAX);
    for (uint32_t k = 0; k < a->pick->n_avoid; k++)
        if (a->pick->avoid[k] == s->servers[i].index)
            return true;
    return false;
}
