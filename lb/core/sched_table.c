// SPDX-License-Identifier: MIT
// What a scheduler prepares from the words of the board: who can be picked, with which share and up
// to which limit. Runs in workers, called by the first sched_pick() that sees a new epoch, so that
// all picks in between look at no word of any server's state.
//
// Shares: the weights in force, while no server is in a slow start. Else each weight times the
// percent of it that is not withheld: a server of weight 1 has 99 steps to its whole share among
// others of 100, and one of weight 256 stays below 16 bits.
//
// Invariants: a table holds usable servers alone, and no share is 0; nothing is allocated
// behind sched_make_rows(), so that building cannot fail in service. The epoch was read before the
// words: what control changes meanwhile comes with a higher epoch, and the tables are built again.
#include "core/sched_ops.h"

uint32_t sched_withheld(const struct board *board, const struct server *s)
{
    uint32_t percent =
        atomic_load_explicit(&board->server[s->index].withheld, memory_order_relaxed);
    return MIN_OF(percent, 99u);
}

static bool stands_by(const struct board *board, const struct server *s)
{
    return atomic_load_explicit(&board->server[s->index].standby, memory_order_relaxed) != 0;
}

void sched_make_rows(struct scheduler *s)
{
    uint32_t n = s->backend->n_servers;
    s->rows = (struct sched_rows){
        .slots = arena_alloc(s->arena, n * sizeof(*s->rows.slots)),
        .limits = arena_alloc(s->arena, n * sizeof(*s->rows.limits)),
        .shares = arena_alloc(s->arena, n * sizeof(*s->rows.shares)),
        .servers = arena_alloc(s->arena, n * sizeof(*s->rows.servers)),
    };
}

static void reverse(const struct server **servers, uint32_t n)
{
    for (uint32_t i = 0; i < n / 2; i++) {
        const struct server *s = servers[i];
        servers[i] = servers[n - 1 - i];
        servers[n - 1 - i] = s;
    }
}

// Mostly in order already: put into order one by one.
static void sort_by_tier(const struct server **servers, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        const struct server *s = servers[i];
        uint32_t k = i;
        for (; k > 0 && servers[k - 1]->tier > s->tier; k--)
            servers[k] = servers[k - 1];
        servers[k] = s;
    }
}

// Fills a table whose servers stand in its rows already.
static void fill(struct sched_table *t, const struct sched_rows *rows, const struct board *board,
                 bool fine)
{
    for (uint32_t i = 0; i < t->n; i++) {
        const struct server *s = rows->servers[i];
        uint32_t weight = MIN_OF(MAX_OF(sched_weight(board, s), 1u), SCHED_WEIGHT_MAX);
        rows->slots[i] = board_server_slot(s->index);
        rows->limits[i] = sched_limit(board, s);
        rows->shares[i] = (uint16_t)(fine ? weight * (100 - sched_withheld(board, s)) : weight);
        t->equal_shares &= rows->shares[i] == rows->shares[0];
        t->limited |= rows->limits[i] != UINT32_MAX;
    }
}

static struct sched_table build_table(const struct sched_rows *rows, uint32_t n,
                                      const struct board *board)
{
    struct sched_table t = {.n = n,
                            .equal_shares = true,
                            .slots = rows->slots,
                            .limits = rows->limits,
                            .shares = rows->shares,
                            .servers = rows->servers};
    bool fine = false;
    for (uint32_t i = 0; i < n; i++)
        fine |= sched_withheld(board, rows->servers[i]) > 0;
    fill(&t, rows, board, fine);
    return t;
}

// Each server's words are looked at once: they may change meanwhile.
void sched_build_tables(struct scheduler *s, const struct board *board)
{
    const struct sched_rows *rows = &s->rows;
    uint32_t n = s->backend->n_servers, working = 0, first_standby = n;
    for (uint32_t i = 0; i < n; i++) {
        const struct server *server = &s->backend->servers[i];
        if (!sched_usable(board, server))
            continue;
        rows->servers[stands_by(board, server) ? --first_standby : working++] = server;
    }
    s->workers = build_table(rows, working, board);
    struct sched_rows rest = {rows->slots + first_standby, rows->limits + first_standby,
                              rows->shares + first_standby, rows->servers + first_standby};
    reverse(rest.servers, n - first_standby);
    sort_by_tier(rest.servers, n - first_standby);
    s->standbys = build_table(&rest, n - first_standby, board);
}
