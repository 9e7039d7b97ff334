// SPDX-License-Identifier: MIT
// What all schedulers have in common: who may be picked, and in which order the refusals fall.
#include "sched_fixture.h"

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

static void picks_nothing_from_an_empty_backend(void **state)
{
    (void)state;
    EACH_BALANCE(balance)
    {
        struct fixture f;
        fixture_open(&f, *balance, 0, NULL);
        assert_int_equal(fixture_pick(&f), -1);
        fixture_close(&f);
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
        fixture_suspect(&f, 1);
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
        fixture_suspect(&f, 0);
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
        fixture_servers(&f, *balance, 2, NULL);
        struct addr addr = f.backend.servers[0].addr;
        f.backend.servers[0].addr.len = 0;
        fixture_build(&f);
        assert_int_equal(servers_seen(&f), 1u << 1);
        f.backend.servers[0].addr = addr;
        assert_true((servers_seen(&f) & 1u) != 0);
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
        fixture_suspect(&f, 0);
        fixture_suspect(&f, 2);
        assert_int_equal(servers_seen(&f), 1u << 3);
        f.backend.servers[3].addr.len = 0;
        assert_int_equal(servers_seen(&f), 1u << 2);
        f.backend.servers[2].addr.len = 0;
        assert_int_equal(servers_seen(&f), 1u << 1);
        f.backend.servers[1].addr.len = 0;
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
        fixture_suspect(&f, 0);
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

// The second backend of a configuration: its servers do not begin at index 0.
static void uses_the_servers_own_slots(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_LEAST_CONN, 5, NULL);
    struct backend second = f.backend;
    second.servers += 2;
    second.n_servers = 3;
    struct scheduler *s = sched_new(&second);
    const struct server *server;
    for (uint32_t i = 0; i < 5; i++)
        fixture_load(&f, i, i == 4 ? 1 : 2);
    assert_int_equal(sched_pick(s, f.board, &f.pick, &server), PICK_OK);
    assert_ptr_equal(server, &f.backend.servers[4]);
    fixture_suspect(&f, 4);
    assert_int_equal(sched_pick(s, f.board, &f.pick, &server), PICK_OK);
    assert_ptr_not_equal(server, &f.backend.servers[4]);
    sched_free(s);
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
        cmocka_unit_test(claims_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
