// SPDX-License-Identifier: MIT
// The common part of the schedulers: when the tables are built anew, the rounds of a pick, and what
// the board says of one server. Workers call sched_pick() once per request and once more per retry;
// the algorithms stand in sched_*.c behind one table of functions. Control uses the questions about
// one server.
//
// A pick goes in rounds, each over the workers and then over the standbys:
//
//   1. neither avoided nor skipped    3. not skipped
//   2. not avoided                    4. anyone
//
// Rounds that would be the same as a later one are left out: usually the fourth is the only one.
// The first round with anybody to offer decides: when all it has are full, the answer is "full", so
// that a request waits for a good server rather than going to a bad one or to a standby.
//
// Invariants: tables are as old as the epoch they were built for; a server that is not in them is
// never returned.
#include "core/sched.h"

#include "core/sched_ops.h"

static const struct sched_ops *const algorithms[] = {
    [BALANCE_ROUND_ROBIN] = &sched_rr, [BALANCE_LEAST_CONN] = &sched_least,
    [BALANCE_RANDOM] = &sched_random,  [BALANCE_FIRST] = &sched_first,
    [BALANCE_HASH] = &sched_hash,
};

static void build(struct scheduler *s, const struct board *board, uint32_t epoch)
{
    atomic_thread_fence(memory_order_acquire); // the words are read behind the epoch
    sched_build_tables(s, board);
    if (s->ops->build != NULL && s->workers.n > 0)
        s->ops->build(s, board);
    s->epoch = epoch;
}

struct scheduler *sched_new(const struct backend *backend, const struct board *board)
{
    lb_assert((size_t)backend->balance < ARRAY_LEN(algorithms));
    struct arena *arena = arena_new();
    struct scheduler *s = arena_alloc(arena, sizeof(*s));
    s->arena = arena;
    s->ops = algorithms[backend->balance];
    s->backend = backend;
    sched_make_rows(s);
    if (s->ops->prepare != NULL)
        s->ops->prepare(s);
    const _Atomic uint32_t *epoch = &board->cursor[backend->index].epoch;
    build(s, board, atomic_load_explicit(epoch, memory_order_relaxed));
    return s;
}

void sched_free(struct scheduler *s)
{
    if (s == NULL)
        return;
    free(s->ring);
    arena_free(s->arena);
}

// ---- picking ----------------------------------------------------------------------------------

// Asks one table. NONE: it has nobody to offer.
static enum pick_result ask(const struct scheduler *s, struct pick_round *a,
                            const struct sched_table *t, const struct server **server)
{
    unsigned refuse = a->refuse;
    if (t->n == 0)
        return PICK_NONE;
    a->table = t;
    a->refuse |= t->limited ? REFUSE_FULL : 0;
    uint32_t place = t == &s->workers ? s->ops->pick(s, a) : sched_scan(a, 0);
    a->refuse = refuse;
    if (place == SCHED_NONE)
        return t->limited && sched_scan(a, 0) != SCHED_NONE ? PICK_FULL : PICK_NONE;
    *server = t->servers[place];
    return PICK_OK;
}

// `present`: what may have to be refused at all.
static enum pick_result ask_in_rounds(const struct scheduler *s, struct pick_round *a,
                                      unsigned present, const struct server **server)
{
    static const unsigned rounds[] = {REFUSE_AVOIDED | REFUSE_SKIPPED, REFUSE_AVOIDED,
                                      REFUSE_SKIPPED, 0};
    enum pick_result r = PICK_NONE;
    for (size_t i = 0; i < ARRAY_LEN(rounds) && r == PICK_NONE; i++) {
        if ((rounds[i] & ~present) != 0)
            continue;
        a->refuse = rounds[i];
        r = ask(s, a, &s->workers, server);
        if (r == PICK_NONE)
            r = ask(s, a, &s->standbys, server);
    }
    return r;
}

enum pick_result sched_pick(struct scheduler *s, struct board *board, const struct pick *p,
                            const struct server **server)
{
    uint32_t backend = s->backend->index;
    struct pick_round a = {.board = board, .cursor = &board->cursor[backend], .pick = p};
    uint32_t epoch = atomic_load_explicit(&a.cursor->epoch, memory_order_relaxed);
    if (UNLIKELY(epoch != s->epoch))
        build(s, board, epoch);
    unsigned present = p->n_avoid > 0 ? REFUSE_AVOIDED : 0;
    if (atomic_load_explicit(&a.cursor->skips_until_ms, memory_order_relaxed) > p->now_ms)
        present |= REFUSE_SKIPPED;
    const struct sched_table *t = &s->workers;
    if (UNLIKELY(present != 0 || t->n == 0))
        return ask_in_rounds(s, &a, present, server);
    a.table = t;
    a.refuse = t->limited ? REFUSE_FULL : 0;
    uint32_t place = s->ops->pick(s, &a);
    if (UNLIKELY(place == SCHED_NONE))
        return PICK_FULL;
    *server = t->servers[place];
    return PICK_OK;
}

uint32_t sched_scan(const struct pick_round *a, uint32_t start)
{
    uint32_t n = a->table->n;
    for (uint32_t k = 0, i = start; k < n; k++, i = i + 1 == n ? 0 : i + 1)
        if (sched_acceptable(a, i))
            return i;
    return SCHED_NONE;
}

static bool avoided(const struct pick *p, uint32_t server)
{
    lb_assert(p->n_avoid <= PICK_AVOID_MAX);
    for (uint32_t k = 0; k < p->n_avoid; k++)
        if (p->avoid[k] == server)
            return true;
    return false;
}

bool sched_unrefused(const struct pick_round *a, uint32_t i)
{
    uint32_t server = a->table->servers[i]->index;
    if ((a->refuse & REFUSE_SKIPPED) && suspect_skipped(a->board, server, a->pick->now_ms))
        return false;
    return !(a->refuse & REFUSE_AVOIDED) || !avoided(a->pick, server);
}

// ---- one server -------------------------------------------------------------------------------

uint32_t sched_weight(const struct board *board, const struct server *server)
{
    uint32_t word =
        atomic_load_explicit(&board->server[server->index].weight, memory_order_relaxed);
    return word > 0 ? word - 1 : server->weight;
}

bool sched_usable(const struct board *board, const struct server *server)
{
    const struct board_server *words = &board->server[server->index];
    uint32_t state = atomic_load_explicit(&words->state, memory_order_acquire);
    struct addr addr;
    if ((state != SERVER_UP && state != SERVER_STARTING) || sched_weight(board, server) == 0)
        return false;
    sched_address(board, server, &addr);
    return addr.len > 0;
}

uint32_t sched_limit(const struct board *board, const struct server *server)
{
    uint64_t most = server->max_connections;
    if (most == 0)
        return UINT32_MAX;
    return (uint32_t)MAX_OF(most * (100 - sched_withheld(board, server)) / 100, 1u);
}

void sched_address(const struct board *board, const struct server *server, struct addr *out)
{
    if (atomic_load_explicit(&board->server[server->index].addr_version, memory_order_relaxed) == 0)
        *out = server->addr;
    else
        board_addr_read(board, server->index, out);
}
