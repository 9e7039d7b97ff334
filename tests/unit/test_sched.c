// SPDX-License-Identifier: MIT
// What all schedulers have in common: who may be picked, and in which order the refusals fall.
#include "sched_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const enum balance all_balances[] = {BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONN, BALANCE_RANDOM,
                                            BALANCE_FIRST, BALANCE_HASH};

#define EACH_BALANCE(b)                                                                            \
    for (const enum balance *b = all_balances; b < all_balances + ARRAY_LEN(all_balances); b++)

// Picks many times with changing keys; the set of servers seen as bits.
static unsigned servers_seen(struct fixture *f)
{
    unsigned seen = 0;
    for (uint64_t key = 0; key < 400; key++) {
        int place = fixture_pick_key(f, key);
        if (place >= 0)
            seen |= 1u << place;
    }
    return seen;
}

// That these share the work; with `first`, that the first of them has it.
static void expect_seen(struct fixture *f, unsigned servers)
{
    assert_int_equal(servers_seen(f),
                     f->backend.balance == BALANCE_FIRST ? servers & (0 - servers) : servers);
}

static void picks_nothing_from_an_empty_backend(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, 0, NULL);
        assert_int_equal(fixture_pick(&f), -1);
        fixture_close(&f);
        sched_free(NULL); // of a backend that a generation does not have
    }
}

static void picks_nothing_when_all_weights_are_zero(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, 2, (const uint16_t[]){0, 0});
        assert_int_equal(fixture_pick_key(&f, 1), -1);
        fixture_close(&f);
    }
}

static void picks_nothing_when_no_server_has_an_address(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_servers(&f, *balance, 3, NULL);
        for (uint32_t i = 0; i < 3; i++)
            f.backend.servers[i].addr.len = 0;
        fixture_build(&f);
        assert_int_equal(fixture_pick_key(&f, 1), -1);
        fixture_avoid(&f, 0);
        fixture_skip(&f, 1);
        assert_int_equal(fixture_pick_key(&f, 1), -1);
        fixture_close(&f);
    }
}

static void picks_a_single_server_whatever_happened_to_it(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, 1, NULL);
        assert_int_equal(servers_seen(&f), 1);
        fixture_skip(&f, 0);
        assert_int_equal(servers_seen(&f), 1);
        fixture_avoid(&f, 0);
        assert_int_equal(servers_seen(&f), 1);
        fixture_close(&f);
    }
}

static void takes_neither_weight_zero_nor_missing_addresses(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_servers(&f, *balance, 4, (const uint16_t[]){0, 1, 1, 0});
        f.backend.servers[1].addr.len = 0;
        fixture_build(&f);
        assert_int_equal(servers_seen(&f), 1u << 2);
        fixture_close(&f);
    }
}

static void takes_a_server_as_soon_as_it_has_an_address(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        struct addr addr, none = {0}, got;
        fixture_servers(&f, *balance, 2, NULL);
        addr = f.backend.servers[0].addr;
        f.backend.servers[0].addr.len = 0;
        fixture_build(&f);
        assert_int_equal(servers_seen(&f), 1u << 1);
        board_addr_write(f.board, 0, &addr);
        assert_int_equal(servers_seen(&f), 1u << 1); // not before control says so
        fixture_state(&f, 0, SERVER_UP);
        assert_true((servers_seen(&f) & 1u) != 0);
        board_addr_write(f.board, 1, &none); // a name that is gone, whatever it was at the start
        fixture_state(&f, 1, SERVER_UP);
        assert_int_equal(servers_seen(&f), 1u << 0);
        sched_address(f.board, &f.backend.servers[0], &got);
        assert_true(addr_eq(&got, &addr));
        sched_address(f.board, &f.backend.servers[1], &got);
        assert_int_equal(got.len, 0);
        fixture_close(&f);
    }
}

// a: avoided and skipped, b: avoided, c: skipped, d: fine
static void refuses_in_the_documented_order(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_servers(&f, *balance, 4, NULL);
        fixture_build(&f);
        fixture_avoid(&f, 0);
        fixture_avoid(&f, 1);
        fixture_skip(&f, 0);
        fixture_skip(&f, 2);
        assert_int_equal(servers_seen(&f), 1u << 3);
        fixture_state(&f, 3, SERVER_DOWN);
        assert_int_equal(servers_seen(&f), 1u << 2);
        fixture_state(&f, 2, SERVER_DRAIN);
        assert_int_equal(servers_seen(&f), 1u << 1);
        fixture_state(&f, 1, SERVER_MAINT);
        assert_int_equal(servers_seen(&f), 1u << 0);
        fixture_close(&f);
    }
}

static void skips_suspects_until_their_time_is_over(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, 3, NULL);
        fixture_skip(&f, 0);
        assert_int_equal(servers_seen(&f) & 1u, 0);
        f.pick.now_ms += SUSPECT_FIRST_MS - 1;
        assert_int_equal(servers_seen(&f) & 1u, 0);
        f.pick.now_ms += 1;
        assert_int_equal(servers_seen(&f) & 1u, 1);
        fixture_close(&f);
    }
}

static void avoid_list_may_be_full(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, PICK_AVOID_MAX + 1, NULL);
        for (uint32_t i = 0; i < PICK_AVOID_MAX; i++)
            fixture_avoid(&f, i);
        assert_int_equal(servers_seen(&f), 1u << PICK_AVOID_MAX);
        fixture_close(&f);
    }
}

// Slots are given out over many reloads: in no order, with others' between them.
static void uses_the_servers_own_slots(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_servers(&f, *balance, 7, NULL);
        const uint32_t slots[] = {6, 2, 5};
        f.backend.servers += 2;
        f.backend.n_servers = 3;
        for (uint32_t i = 0; i < 3; i++)
            f.backend.servers[i].index = slots[i];
        fixture_build(&f);
        fixture_state(&f, 2, SERVER_DOWN);
        expect_seen(&f, 5);
        fixture_state(&f, 0, SERVER_DOWN); // another backend's
        expect_seen(&f, 5);
        fixture_skip(&f, 6);
        expect_seen(&f, 4);
        fixture_avoid(&f, 5);
        f.pick.now_ms += SUSPECT_FIRST_MS;
        expect_seen(&f, 1);
        fixture_close(&f);
    }
}

static void reads_loads_from_the_servers_own_slots(void **state)
{
    (void)state;
    struct fixture f;
    fixture_servers(&f, BALANCE_LEAST_CONN, 5, NULL);
    f.backend.servers += 1;
    f.backend.n_servers = 3;
    f.backend.servers[0].index = 4;
    f.backend.servers[2].index = 0;
    fixture_build(&f);
    fixture_load(&f, 4, 1);
    fixture_load(&f, 2, 2);
    fixture_load(&f, 0, 3);
    fixture_expect(&f, "aaa");
    fixture_load(&f, 4, 4);
    fixture_expect(&f, "bbb");
    fixture_close(&f);
}

static void claims_nothing(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, 3, NULL);
        (void)servers_seen(&f);
        for (uint32_t i = 0; i < 3; i++)
            assert_int_equal(board_total(f.board, i), 0);
        fixture_close(&f);
    }
}

// ---- states -----------------------------------------------------------------------------------

static void takes_those_that_are_up_or_starting(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, SERVER_STATES, NULL);
        for (uint32_t i = 0; i < SERVER_STATES; i++)
            fixture_state(&f, i, (enum server_state)i);
        expect_seen(&f, 1u << SERVER_UP | 1u << SERVER_STARTING);
        fixture_state(&f, SERVER_UP, SERVER_DOWN);
        fixture_state(&f, SERVER_STARTING, SERVER_DOWN);
        assert_int_equal(fixture_result(&f), PICK_NONE);
        fixture_state(&f, SERVER_DRAIN, SERVER_UP);
        expect_seen(&f, 1u << SERVER_DRAIN);
        fixture_close(&f);
    }
}

// Between two epochs a pick looks at no word: control may write them one after the other.
static void changes_nothing_before_the_epoch_moves(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, 3, NULL);
        expect_seen(&f, 7);
        atomic_store(&f.board->server[0].state, SERVER_DOWN);
        atomic_store(&f.board->server[1].standby, 1);
        expect_seen(&f, 7);
        fixture_state(&f, 0, SERVER_DOWN);
        expect_seen(&f, 4);
        fixture_close(&f);
    }
}

static void change_words_for_ever(struct fixture *f)
{
    for (;;) {
        uint32_t i = 1 + rng_below(&f->rng, f->backend.n_servers - 1);
        struct board_server *words = &f->board->server[i];
        atomic_store(&words->standby, rng_below(&f->rng, 2));
        atomic_store(&words->weight, rng_below(&f->rng, 300));
        atomic_store(&words->withheld, rng_below(&f->rng, 100));
        atomic_store(&words->state, rng_below(&f->rng, SERVER_STATES));
        atomic_fetch_add(&f->board->cursor[0].epoch, 1);
    }
}

// Words change while the tables are built from them. Server a is never touched: somebody is there.
static void builds_from_words_that_change_meanwhile(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        int status;
        fixture_open(&f, *balance, 8, NULL);
        pid_t writer = fork();
        assert_true(writer >= 0);
        if (writer == 0)
            change_words_for_ever(&f);
        for (uint64_t key = 0; key < 3000; key++)
            assert_in_range(fixture_pick_key(&f, key), 0, 7);
        assert_int_equal(kill(writer, SIGKILL), 0);
        assert_int_equal(waitpid(writer, &status, 0), writer);
        fixture_close(&f);
    }
}

static void takes_weights_from_the_board(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, 3, (const uint16_t[]){0, 1, 1});
        fixture_weight(&f, 1, 0);
        expect_seen(&f, 4);
        fixture_weight(&f, 0, 256);
        fixture_weight(&f, 2, 0);
        expect_seen(&f, 1);
        assert_int_equal(sched_weight(f.board, &f.backend.servers[0]), 256);
        fixture_weight(&f, 0, 60000); // of an SRV record: as much as the largest
        expect_seen(&f, 1);
        fixture_close(&f);
    }
}

// ---- workers and standbys -----------------------------------------------------------------------

static void leaves_standbys_alone_while_a_worker_is_fine(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, 4, NULL);
        fixture_standby(&f, "0101");
        expect_seen(&f, 1u << 0 | 1u << 2);
        fixture_skip(&f, 0);
        expect_seen(&f, 1u << 2);
        fixture_standby(&f, "1001");
        f.pick.now_ms += SUSPECT_FIRST_MS;
        expect_seen(&f, 1u << 1 | 1u << 2);
        fixture_close(&f);
    }
}

// Workers a, b; standbys c (tier 3), d and e (tier 2): each request avoids one more.
static void takes_standbys_in_the_order_of_failover(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_servers(&f, *balance, 5, NULL);
        f.backend.servers[2].tier = 3;
        f.backend.servers[3].tier = f.backend.servers[4].tier = 2;
        fixture_build(&f);
        fixture_standby(&f, "00111");
        fixture_avoid(&f, 0);
        fixture_skip(&f, 1);
        expect_seen(&f, 1u << 3);
        fixture_skip(&f, 3);
        expect_seen(&f, 1u << 4);
        fixture_avoid(&f, 4);
        expect_seen(&f, 1u << 2);
        fixture_avoid(&f, 2);
        expect_seen(&f, 1u << 1); // all are bad: a skipped worker
        fixture_avoid(&f, 1);
        expect_seen(&f, 1u << 3); // the only one not avoided
        fixture_avoid(&f, 3);
        expect_seen(&f, 1u << 0); // a worker that is not skipped, then
        fixture_skip(&f, 0);
        expect_seen(&f, 1u << 4); // a standby, when no worker is left that is not
        fixture_close(&f);
    }
}

static void takes_standbys_when_nobody_works(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, 3, NULL);
        fixture_standby(&f, "111");
        expect_seen(&f, 1);
        fixture_state(&f, 0, SERVER_DOWN);
        expect_seen(&f, 2);
        fixture_close(&f);
    }
}

// ---- limits -----------------------------------------------------------------------------------

static void limited(struct fixture *f, enum balance balance, uint32_t n, const uint32_t *limits)
{
    fixture_servers(f, balance, n, NULL);
    for (uint32_t i = 0; i < n; i++)
        f->backend.servers[i].max_connections = limits[i];
    fixture_build(f);
}

static void says_full_when_all_workers_are(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        limited(&f, *balance, 3, (const uint32_t[]){2, 1, 1});
        fixture_standby(&f, "001"); // a standby is not for more work, but for a worker that is bad
        fixture_load(&f, 0, 1);
        fixture_load(&f, 1, 1);
        expect_seen(&f, 1);
        fixture_load(&f, 0, 2);
        assert_int_equal(fixture_result(&f), PICK_FULL);
        fixture_load(&f, 0, UINT32_MAX);
        assert_int_equal(fixture_result(&f), PICK_FULL);
        fixture_load(&f, 1, 0);
        expect_seen(&f, 2);
        fixture_close(&f);
    }
}

static void never_takes_a_full_one_as_a_last_resort(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        limited(&f, *balance, 3, (const uint32_t[]){5, 5, 0});
        fixture_standby(&f, "001");
        fixture_load(&f, 1, 5);
        fixture_skip(&f, 0);
        assert_int_equal(fixture_result(&f), PICK_FULL); // waits for b rather than trying a
        fixture_avoid(&f, 1);
        expect_seen(&f, 4); // b failed this request: the standby
        fixture_avoid(&f, 2);
        expect_seen(&f, 1); // a is left, skipped or not
        fixture_load(&f, 0, 5);
        assert_int_equal(fixture_result(&f), PICK_FULL);
        fixture_close(&f);
    }
}

static void a_full_standby_is_waited_for(void **state)
{
    (void)state;
    struct fixture f;
    limited(&f, BALANCE_ROUND_ROBIN, 2, (const uint32_t[]){0, 3});
    fixture_standby(&f, "01");
    fixture_skip(&f, 0);
    fixture_load(&f, 1, 2);
    assert_int_equal(fixture_pick(&f), 1);
    fixture_load(&f, 1, 3);
    assert_int_equal(fixture_result(&f), PICK_FULL);
    fixture_close(&f);
}

static void limits_follow_the_slow_start(void **state)
{
    (void)state;
    struct fixture f;
    limited(&f, BALANCE_FIRST, 2, (const uint32_t[]){50, 0});
    const struct server *a = &f.backend.servers[0];
    assert_int_equal(sched_limit(f.board, &f.backend.servers[1]), UINT32_MAX);
    assert_int_equal(sched_limit(f.board, a), 50);
    fixture_withhold(&f, 0, 90);
    assert_int_equal(sched_limit(f.board, a), 5);
    fixture_load(&f, 0, 4);
    fixture_expect(&f, "aa");
    fixture_load(&f, 0, 5);
    fixture_expect(&f, "bb");
    fixture_withhold(&f, 0, 99);
    assert_int_equal(sched_limit(f.board, a), 1); // never nothing at all
    fixture_load(&f, 0, 0);
    fixture_expect(&f, "aa");
    fixture_withhold(&f, 0, 0);
    fixture_load(&f, 0, 49);
    fixture_expect(&f, "aa");
    fixture_close(&f);
}

// Four processes pick and claim as workers do: nobody is ever above its limit, and all room is
// used.
static void fills_to_the_limit_over_several_processes(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        pid_t children[FIXTURE_WORKERS];
        limited(&f, *balance, 3, (const uint32_t[]){100, 7, 50});
        for (uint32_t w = 0; w < FIXTURE_WORKERS; w++) {
            children[w] = fork();
            assert_true(children[w] >= 0);
            if (children[w] != 0)
                continue;
            const struct server *s;
            f.pick.has_key = true;
            for (; sched_pick(f.sched, f.board, &f.pick, &s) == PICK_OK; f.pick.key++)
                if (!board_claim_below(f.board, w, s->index, sched_limit(f.board, s)))
                    continue;
            _exit(0);
        }
        for (uint32_t w = 0; w < FIXTURE_WORKERS; w++) {
            int status;
            assert_int_equal(waitpid(children[w], &status, 0), children[w]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
        assert_int_equal(board_total(f.board, 0), 100);
        assert_int_equal(board_total(f.board, 1), 7);
        assert_int_equal(board_total(f.board, 2), 50);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks_nothing_from_an_empty_backend),
        cmocka_unit_test(picks_nothing_when_all_weights_are_zero),
        cmocka_unit_test(picks_nothing_when_no_server_has_an_address),
        cmocka_unit_test(picks_a_single_server_whatever_happened_to_it),
        cmocka_unit_test(takes_neither_weight_zero_nor_missing_addresses),
        cmocka_unit_test(takes_a_server_as_soon_as_it_has_an_address),
        cmocka_unit_test(refuses_in_the_documented_order),
        cmocka_unit_test(skips_suspects_until_their_time_is_over),
        cmocka_unit_test(avoid_list_may_be_full),
        cmocka_unit_test(uses_the_servers_own_slots),
        cmocka_unit_test(reads_loads_from_the_servers_own_slots),
        cmocka_unit_test(claims_nothing),
        cmocka_unit_test(takes_those_that_are_up_or_starting),
        cmocka_unit_test(changes_nothing_before_the_epoch_moves),
        cmocka_unit_test(builds_from_words_that_change_meanwhile),
        cmocka_unit_test(takes_weights_from_the_board),
        cmocka_unit_test(leaves_standbys_alone_while_a_worker_is_fine),
        cmocka_unit_test(takes_standbys_in_the_order_of_failover),
        cmocka_unit_test(takes_standbys_when_nobody_works),
        cmocka_unit_test(says_full_when_all_workers_are),
        cmocka_unit_test(never_takes_a_full_one_as_a_last_resort),
        cmocka_unit_test(a_full_standby_is_waited_for),
        cmocka_unit_test(limits_follow_the_slow_start),
        cmocka_unit_test(fills_to_the_limit_over_several_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
