// SPDX-License-Identifier: MIT
// Slots over reloads: who keeps one, who gets a new one, when one is given to somebody else, and
// what the board says of it then.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/load.h"
#include "process/slots.h"

static const struct board_dim small = {.workers = 2, .servers = 4, .backends = 3, .frontends = 3};

struct fixture {
    struct board *board;
    struct slots *slots;
    struct config *config; // the last one assigned
    uint32_t generation;
};

static void make(struct fixture *f, const struct board_dim *dim)
{
    size_t bytes = (board_bytes(dim) + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, bytes);
    assert_non_null(memory);
    memset(memory, 0, bytes);
    f->board = board_init(memory, dim);
    f->slots = slots_new(f->board);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    make(f, &small);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->config != NULL)
        arena_free(f->config->arena);
    slots_free(f->slots);
    free(f->board);
    free(f);
    return 0;
}

// `servers`: the lines of backend app, indented.
static struct config *load(const char *servers)
{
    char text[1024];
    (void)snprintf(text, sizeof(text),
                   "frontends: {web: {listen: 8080, backend: app}}\n"
                   "backends:\n  app:\n    servers:\n%s",
                   servers);
    struct config_source source = config_source_text("test", str_of(text));
    struct findings findings;
    findings_init(&findings);
    struct config *c = config_load(&source, &findings);
    if (c == NULL)
        findings_print(&findings, stderr, FINDINGS_TEXT, false);
    findings_free(&findings);
    assert_non_null(c);
    return c;
}

static bool assign(struct fixture *f, struct config *c, const char **why)
{
    bool fine = slots_assign(f->slots, c, f->generation + 1, why);
    if (!fine) {
        arena_free(c->arena);
        return false;
    }
    f->generation++;
    if (f->config != NULL)
        arena_free(f->config->arena);
    f->config = c;
    return true;
}

static void next(struct fixture *f, const char *servers)
{
    const char *why;
    assert_true(assign(f, load(servers), &why));
}

static uint32_t slot(const struct fixture *f, const char *name)
{
    for (uint32_t i = 0; i < f->config->n_servers; i++) {
        if (str_eq(f->config->servers[i].name, str_of(name)))
            return f->config->servers[i].index;
    }
    fail_msg("no server %s", name);
    return 0;
}

#define A "      a: 10.0.0.1:80\n"
#define B "      b: 10.0.0.2:80\n"
#define C "      c: 10.0.0.3:80\n"
#define D "      d: 10.0.0.4:80\n"
#define E "      e: 10.0.0.5:80\n"

static void test_same_server_same_slot(void **state)
{
    struct fixture *f = *state;
    next(f, A B);
    uint32_t a = slot(f, "a"), b = slot(f, "b");
    assert_int_not_equal(a, b);
    atomic_store(&f->board->server[a].state, SERVER_DRAIN);
    f->board->counters[1].servers[b][SERVER_REQUESTS] = 7;
    next(f, B A C); // another order, one more
    assert_int_equal(slot(f, "a"), a);
    assert_int_equal(slot(f, "b"), b);
    assert_true(slot(f, "c") != a && slot(f, "c") != b);
    assert_int_equal(atomic_load(&f->board->server[a].state), SERVER_DRAIN);
    assert_int_equal(f->board->counters[1].servers[b][SERVER_REQUESTS], 7);
    next(f, "      a: {address: 10.0.0.1:80, weight: 5}\n" B); // settings are no identity
    assert_int_equal(slot(f, "a"), a);
}

static void test_another_address_is_another_server(void **state)
{
    struct fixture *f = *state;
    next(f, A B);
    uint32_t a = slot(f, "a");
    next(f, "      a: 10.0.0.9:80\n" B);
    assert_int_not_equal(slot(f, "a"), a);
    a = slot(f, "a");
    next(f, "      a: 10.0.0.9:81\n" B);
    assert_int_not_equal(slot(f, "a"), a);
}

static void test_backends_and_frontends_by_name(void **state)
{
    struct fixture *f = *state;
    next(f, A);
    uint32_t backend = f->config->backends[0].index, frontend = f->config->frontends[0].index;
    f->board->counters[0].frontends[frontend].n[FRONTEND_REQUESTS] = 3;
    next(f, B);
    assert_int_equal(f->config->backends[0].index, backend);
    assert_int_equal(f->config->frontends[0].index, frontend);
    assert_int_equal(f->board->counters[0].frontends[frontend].n[FRONTEND_REQUESTS], 3);
}

static void test_a_left_slot_waits(void **state)
{
    struct fixture *f = *state;
    const char *why = NULL;
    next(f, A B C D); // generation 1
    uint32_t a = slot(f, "a");
    board_claim(f->board, 0, board_server_slot(a));
    f->board->counters[0].servers[a][SERVER_REQUESTS] = 9;
    atomic_store(&f->board->server[a].state, SERVER_DOWN);
    next(f, B C D); // generation 2 leaves it
    assert_false(assign(f, load(B C D E), &why));
    assert_string_equal(why, "servers");
    slots_released(f->slots, 2); // all workers are there, but a request is still in progress
    assert_false(assign(f, load(B C D E), &why));
    board_release(f->board, 0, board_server_slot(a));
    next(f, B C D E);
    assert_int_equal(slot(f, "e"), a);
    assert_int_equal(f->board->counters[0].servers[a][SERVER_REQUESTS], 0);
    assert_int_equal(atomic_load(&f->board->server[a].state), SERVER_UP);
}

static void test_a_worker_may_still_use_it(void **state)
{
    struct fixture *f = *state;
    const char *why;
    next(f, A B C D);
    next(f, B C D);
    slots_released(f->slots, 1); // one worker is still at the first
    assert_false(assign(f, load(B C D E), &why));
    slots_released(f->slots, 2);
    assert_true(assign(f, load(B C D E), &why));
}

static void test_an_owner_comes_back(void **state)
{
    struct fixture *f = *state;
    next(f, A B);
    uint32_t a = slot(f, "a");
    f->board->counters[0].servers[a][SERVER_REQUESTS] = 9;
    next(f, B);
    next(f, A B);
    assert_int_equal(slot(f, "a"), a);
    assert_int_equal(f->board->counters[0].servers[a][SERVER_REQUESTS], 9);
    slots_released(f->slots, 3); // it is not leaving any more
    next(f, A B C);
    assert_int_equal(slot(f, "a"), a);
}

static void test_a_generation_is_given_up(void **state)
{
    struct fixture *f = *state;
    const char *why;
    next(f, A B C);
    uint32_t a = slot(f, "a");
    struct config *other = load(B C D);
    assert_true(slots_assign(f->slots, other, 2, &why));
    arena_free(other->arena);
    assert_true(slots_assign(f->slots, f->config, 2, &why)); // undone
    assert_int_equal(slot(f, "a"), a);
    slots_released(f->slots, 2); // a is in use, d never was
    next(f, A B C E);
    assert_int_equal(slot(f, "a"), a);
}

static void test_slots_do_not_run_out(void **state)
{
    struct fixture *f = *state;
    char servers[64];
    next(f, A B);
    for (int i = 0; i < 100; i++) {
        slots_released(f->slots, f->generation);
        (void)snprintf(servers, sizeof(servers), A "      b: 10.0.1.%d:80\n", i);
        next(f, servers);
    }
}

static bool works(const struct fixture *f, const char *name)
{
    return atomic_load(&f->board->server[slot(f, name)].standby) == 0;
}

// The same as active-passive.
static void next_passive(struct fixture *f, const char *servers)
{
    const char *why;
    struct config *c = load(servers);
    c->backends[0].failover = FAILOVER_ACTIVE_PASSIVE;
    assert_true(assign(f, c, &why));
}

// The same with the servers b and d in tier 2.
static void next_tiers(struct fixture *f, const char *servers)
{
    const char *why;
    struct config *c = load(servers);
    for (uint32_t i = 0; i < c->n_servers; i++)
        c->servers[i].tier =
            c->servers[i].name.p[0] == 'a' || c->servers[i].name.p[0] == 'c' ? 1 : 2;
    assert_true(assign(f, c, &why));
}

static void test_who_works_at_first(void **state)
{
    struct fixture *f = *state;
    next_passive(f, A B);
    assert_true(works(f, "a"));
    assert_false(works(f, "b"));
}

// A new server must not work beside the one that does, wherever it stands in the list.
static void test_a_new_server_stands_by(void **state)
{
    struct fixture *f = *state;
    next_passive(f, A B);
    next_passive(f, C A B);
    assert_true(works(f, "a"));
    assert_false(works(f, "c"));
}

static void test_a_new_server_works_with_its_tier(void **state)
{
    struct fixture *f = *state;
    next_tiers(f, A B);
    assert_true(works(f, "a"));
    assert_false(works(f, "b"));
    next_tiers(f, A B C D);
    assert_true(works(f, "c"));
    assert_false(works(f, "d"));
}

static void test_all_servers_replaced(void **state)
{
    struct fixture *f = *state;
    next_passive(f, A B);
    next_passive(f, C D);
    assert_true(works(f, "c"));
    assert_false(works(f, "d"));
}

static void test_room_to_grow(void **state)
{
    struct fixture *f = *state;
    next(f, A B);
    struct board_dim dim = slots_dim(f->config, 3);
    assert_int_equal(dim.workers, 3);
    assert_true(dim.servers >= 16384 && dim.backends >= 4096 && dim.frontends >= 4096);
    struct config large = *f->config;
    large.n_servers = 10000;
    assert_int_equal(slots_dim(&large, 1).servers, 40000);
}

#define SLOTS_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SLOTS_TEST(test_same_server_same_slot),
        SLOTS_TEST(test_another_address_is_another_server),
        SLOTS_TEST(test_backends_and_frontends_by_name),
        SLOTS_TEST(test_a_left_slot_waits),
        SLOTS_TEST(test_a_worker_may_still_use_it),
        SLOTS_TEST(test_an_owner_comes_back),
        SLOTS_TEST(test_a_generation_is_given_up),
        SLOTS_TEST(test_slots_do_not_run_out),
        SLOTS_TEST(test_who_works_at_first),
        SLOTS_TEST(test_a_new_server_stands_by),
        SLOTS_TEST(test_a_new_server_works_with_its_tier),
        SLOTS_TEST(test_all_servers_replaced),
        SLOTS_TEST(test_room_to_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
