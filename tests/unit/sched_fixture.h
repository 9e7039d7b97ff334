// SPDX-License-Identifier: MIT
// A backend, its scheduler and a board in shared memory, for the tests of core's schedulers.
// Servers are 10.0.x.y:80, named by letters a, b, c ... in sequences.
#ifndef EVLB_SCHED_FIXTURE_H
#define EVLB_SCHED_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "core/sched.h"
#include "core/suspect.h"

#define FIXTURE_WORKERS 4

struct fixture {
    struct arena *arena;
    struct backend backend;
    struct scheduler *sched;
    struct board *board;
    size_t board_size;
    struct rng rng;
    struct pick pick;
};

static inline void fixture_server(struct fixture *f, uint32_t i, uint16_t weight)
{
    struct server *s = &f->backend.servers[i];
    s->host = str_of(arena_printf(f->arena, "10.%u.%u.%u", i / 62500, i / 250 % 250, i % 250));
    s->port = 80;
    s->name = s->host;
    s->index = i;
    s->weight = weight;
    s->tier = 1;
    s->backend = &f->backend;
    assert_true(addr_parse_ip(s->host, 80, &s->addr));
}

// Everything but the scheduler, so that a test can change servers before fixture_build().
static inline void fixture_servers(struct fixture *f, enum balance balance, uint32_t n,
                                   const uint16_t *weights)
{
    memset(f, 0, sizeof(*f));
    f->arena = arena_new();
    f->backend.balance = balance;
    f->backend.health.type = HEALTH_TCP;
    f->backend.passive = (struct passive){.on = true, .errors = 3, .eject_ms = 10000};
    f->backend.n_servers = n;
    f->backend.servers = arena_alloc(f->arena, n * sizeof(struct server) + 1);
    for (uint32_t i = 0; i < n; i++)
        fixture_server(f, i, weights != NULL ? weights[i] : 1);
    struct board_dim dim = {.workers = FIXTURE_WORKERS, .servers = n, .backends = 1};
    f->board_size = board_bytes(&dim);
    void *memory =
        mmap(NULL, f->board_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    f->board = board_init(memory, &dim);
    rng_seed(&f->rng, 42);
    f->pick.rng = &f->rng;
    f->pick.now_ms = 1000;
}

static inline void fixture_build(struct fixture *f)
{
    f->sched = sched_new(&f->backend, f->board);
}

static inline void fixture_open(struct fixture *f, enum balance balance, uint32_t n,
                                const uint16_t *weights)
{
    fixture_servers(f, balance, n, weights);
    fixture_build(f);
}

static inline void fixture_close(struct fixture *f)
{
    sched_free(f->sched);
    assert_int_equal(munmap(f->board, f->board_size), 0);
    arena_free(f->arena);
}

// The place of the server that was picked, -1 for none.
static inline int fixture_pick(struct fixture *f)
{
    const struct server *s = NULL;
    if (sched_pick(f->sched, f->board, &f->pick, &s) != PICK_OK)
        return -1;
    return (int)(s - f->backend.servers);
}

static inline enum pick_result fixture_result(struct fixture *f)
{
    const struct server *s = NULL;
    return sched_pick(f->sched, f->board, &f->pick, &s);
}

static inline int fixture_pick_key(struct fixture *f, uint64_t key)
{
    f->pick.has_key = true;
    f->pick.key = key;
    return fixture_pick(f);
}

// Skipped for a second, whatever the others are.
static inline void fixture_skip(struct fixture *f, uint32_t i)
{
    atomic_store(&f->board->suspect[i].skip_until_ms, f->pick.now_ms + SUSPECT_FIRST_MS);
    atomic_store(&f->board->cursor[0].skips_until_ms, f->pick.now_ms + SUSPECT_FIRST_MS);
}

// What control writes, and how it says so.
static inline void fixture_state(struct fixture *f, uint32_t i, enum server_state state)
{
    atomic_store(&f->board->server[i].state, state);
    atomic_fetch_add(&f->board->cursor[0].epoch, 1);
}

static inline void fixture_standby(struct fixture *f, const char *words)
{
    for (uint32_t i = 0; words[i] != 0; i++)
        atomic_store(&f->board->server[i].standby, words[i] == '1');
    atomic_fetch_add(&f->board->cursor[0].epoch, 1);
}

static inline void fixture_weight(struct fixture *f, uint32_t i, uint32_t weight)
{
    atomic_store(&f->board->server[i].weight, 1 + weight);
    atomic_fetch_add(&f->board->cursor[0].epoch, 1);
}

static inline void fixture_withhold(struct fixture *f, uint32_t i, uint32_t percent)
{
    atomic_store(&f->board->server[i].withheld, percent);
    fixture_state(f, i, percent > 0 ? SERVER_STARTING : SERVER_UP);
}

static inline void fixture_avoid(struct fixture *f, uint32_t i)
{
    f->pick.avoid[f->pick.n_avoid++] = i;
}

static inline void fixture_load(struct fixture *f, uint32_t i, uint32_t in_flight)
{
    atomic_store(&f->board->total[i], in_flight);
}

// Picks as often as `expected` is long and compares; '-' stands for no server.
static inline void fixture_expect(struct fixture *f, const char *expected)
{
    char got[64];
    size_t n = strlen(expected);
    assert_true(n < sizeof(got));
    for (size_t k = 0; k < n; k++) {
        int place = fixture_pick(f);
        got[k] = place < 0 ? '-' : (char)('a' + place);
    }
    got[n] = 0;
    assert_string_equal(got, expected);
}

#endif
