// SPDX-License-Identifier: MIT
// balance: hash: even, the same everywhere, and a server that goes moves only its own keys.
#include "sched_fixture.h"

#include <malloc.h>

#include "core/sched_ops.h"

#define KEYS 100000u

static uint64_t key_number(uint32_t k)
{
    return hash_bytes(&k, sizeof(k), 0);
}

static void pick_all(struct fixture *f, int *places)
{
    for (uint32_t k = 0; k < KEYS; k++)
        places[k] = fixture_pick_key(f, key_number(k));
}

static void expect_shares(uint32_t n, const uint16_t *weights, uint32_t percent)
{
    struct fixture f;
    uint32_t *counts = xcalloc(n, sizeof(*counts)), sum = 0;
    fixture_open(&f, BALANCE_HASH, n, weights);
    for (uint32_t i = 0; i < n; i++)
        sum += f.backend.servers[i].weight;
    for (uint32_t k = 0; k < KEYS; k++)
        counts[fixture_pick_key(&f, key_number(k))]++;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t fair = KEYS * f.backend.servers[i].weight / sum;
        assert_in_range(counts[i], fair - fair * percent / 100, fair + fair * percent / 100);
    }
    free(counts);
    fixture_close(&f);
}

static void shares_evenly(void **state)
{
    (void)state;
    expect_shares(2, NULL, 10);
    expect_shares(3, NULL, 10);
    expect_shares(10, NULL, 10);
    expect_shares(50, NULL, 15);
}

static void shares_by_weight(void **state)
{
    (void)state;
    expect_shares(4, (const uint16_t[]){1, 2, 3, 0}, 12);
    expect_shares(3, (const uint16_t[]){100, 50, 25}, 12);
    expect_shares(2, (const uint16_t[]){256, 64}, 15);
}

static void a_removed_server_moves_only_its_keys(void **state)
{
    (void)state;
    enum { N = 10, GONE = 3 };
    struct fixture f, g;
    fixture_open(&f, BALANCE_HASH, N, NULL);
    fixture_servers(&g, BALANCE_HASH, N, NULL);
    for (uint32_t i = GONE; i + 1 < N; i++) { // the list closes up: places change, addresses do not
        g.backend.servers[i].host = g.backend.servers[i + 1].host;
        g.backend.servers[i].addr = g.backend.servers[i + 1].addr;
    }
    g.backend.n_servers = N - 1;
    fixture_build(&g);
    uint32_t moved = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        int was = fixture_pick_key(&f, key_number(k)), is = fixture_pick_key(&g, key_number(k));
        is += is >= GONE;
        moved += was != is;
        assert_true(was == is || was == GONE);
    }
    assert_in_range(moved, KEYS * 7 / 10 / N, KEYS * 13 / 10 / N);
    fixture_close(&f);
    fixture_close(&g);
}

static void a_drained_server_moves_only_its_keys(void **state)
{
    (void)state;
    struct fixture f, g;
    fixture_open(&f, BALANCE_HASH, 3, (const uint16_t[]){3, 2, 2});
    fixture_open(&g, BALANCE_HASH, 3, (const uint16_t[]){3, 0, 2});
    for (uint32_t k = 0; k < KEYS; k++) {
        int was = fixture_pick_key(&f, key_number(k));
        if (was != 1)
            assert_int_equal(fixture_pick_key(&g, key_number(k)), was);
    }
    fixture_close(&f);
    fixture_close(&g);
}

static void a_skipped_server_moves_only_its_keys_and_gets_them_back(void **state)
{
    (void)state;
    struct fixture f;
    int *before = xcalloc(KEYS, sizeof(int)), *during = xcalloc(KEYS, sizeof(int));
    int *after = xcalloc(KEYS, sizeof(int));
    uint32_t heirs[5] = {0};
    fixture_open(&f, BALANCE_HASH, 5, NULL);
    pick_all(&f, before);
    fixture_skip(&f, 2);
    pick_all(&f, during);
    assert_true(suspect_succeeded(f.board, &f.backend.servers[2]));
    pick_all(&f, after);
    for (uint32_t k = 0; k < KEYS; k++) {
        assert_int_not_equal(during[k], 2);
        assert_true(during[k] == before[k] || before[k] == 2);
        if (before[k] == 2)
            heirs[during[k]]++;
    }
    assert_memory_equal(before, after, KEYS * sizeof(int));
    for (uint32_t i = 0; i < 5; i++) // its share is spread, not handed to one neighbour
        assert_true(i == 2 || heirs[i] > KEYS / 5 / 4 / 2);
    free(before);
    free(during);
    free(after);
    fixture_close(&f);
}

static void expect_only_moves_from(const int *before, const int *now, int gone)
{
    for (uint32_t k = 0; k < KEYS; k++) {
        assert_int_not_equal(now[k], gone);
        assert_true(now[k] == before[k] || before[k] == gone);
    }
}

// Down, drained or standing by: the ring stays, so that a server gets the same keys back.
static void whoever_does_not_work_keeps_its_points(void **state)
{
    (void)state;
    struct fixture f;
    int *before = xcalloc(KEYS, sizeof(int)), *now = xcalloc(KEYS, sizeof(int));
    fixture_open(&f, BALANCE_HASH, 5, (const uint16_t[]){1, 2, 1, 1, 1});
    pick_all(&f, before);
    const struct hash_ring *ring = f.sched->ring;
    fixture_state(&f, 1, SERVER_DOWN);
    pick_all(&f, now);
    expect_only_moves_from(before, now, 1);
    fixture_state(&f, 1, SERVER_UP);
    fixture_state(&f, 3, SERVER_DRAIN);
    pick_all(&f, now);
    expect_only_moves_from(before, now, 3);
    fixture_state(&f, 3, SERVER_UP);
    fixture_standby(&f, "00001");
    pick_all(&f, now);
    expect_only_moves_from(before, now, 4);
    fixture_standby(&f, "00000");
    pick_all(&f, now);
    assert_memory_equal(before, now, KEYS * sizeof(int));
    assert_ptr_equal(f.sched->ring, ring);
    fixture_weight(&f, 2, 0); // its points are gone, those of the others stay
    pick_all(&f, now);
    expect_only_moves_from(before, now, 2);
    fixture_weight(&f, 2, 1);
    pick_all(&f, now);
    assert_memory_equal(before, now, KEYS * sizeof(int));
    free(before);
    free(now);
    fixture_close(&f);
}

// A starting server takes its keys back step by step: none that it has had once goes away again.
static void takes_its_keys_back_in_a_slow_start(void **state)
{
    (void)state;
    struct fixture f;
    int *whole = xcalloc(KEYS, sizeof(int)), *now = xcalloc(KEYS, sizeof(int));
    bool *had = xcalloc(KEYS, sizeof(bool));
    uint32_t own = 0;
    fixture_open(&f, BALANCE_HASH, 4, NULL);
    pick_all(&f, whole);
    for (uint32_t k = 0; k < KEYS; k++)
        own += whole[k] == 1;
    const uint32_t percents[] = {99, 70, 30, 5};
    for (size_t i = 0; i < ARRAY_LEN(percents); i++) {
        uint32_t taken = 0;
        fixture_withhold(&f, 1, percents[i]);
        pick_all(&f, now);
        for (uint32_t k = 0; k < KEYS; k++) {
            bool mine = now[k] == 1;
            assert_true(mine ? whole[k] == 1 : now[k] == whole[k] || whole[k] == 1);
            assert_true(mine || !had[k]);
            had[k] = mine;
            taken += mine;
        }
        uint32_t expected = own * (100 - percents[i]) / 100;
        assert_in_range(taken, expected * 9 / 10 - 20, expected * 11 / 10 + 20);
    }
    free(whole);
    free(now);
    free(had);
    fixture_close(&f);
}

// All of them start: each passes on what it may, and somebody takes it all the same.
static void somebody_takes_a_key_when_all_are_starting(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_HASH, 2, NULL);
    fixture_withhold(&f, 0, 99);
    fixture_withhold(&f, 1, 99);
    for (uint32_t k = 0; k < 1000; k++)
        assert_in_range(fixture_pick_key(&f, key_number(k)), 0, 1);
    fixture_state(&f, 0, SERVER_DOWN);
    for (uint32_t k = 0; k < 1000; k++)
        assert_int_equal(fixture_pick_key(&f, key_number(k)), 1);
    fixture_close(&f);
}

static void does_not_depend_on_the_order_of_the_list(void **state)
{
    (void)state;
    enum { N = 6 };
    struct fixture f, g;
    fixture_open(&f, BALANCE_HASH, N, NULL);
    fixture_servers(&g, BALANCE_HASH, N, NULL);
    for (uint32_t i = 0; i < N; i++) {
        g.backend.servers[i].host = f.backend.servers[N - 1 - i].host;
        g.backend.servers[i].name = STR("renamed");
    }
    fixture_build(&g);
    for (uint32_t k = 0; k < 5000; k++)
        assert_int_equal(fixture_pick_key(&f, key_number(k)),
                         N - 1 - fixture_pick_key(&g, key_number(k)));
    fixture_close(&f);
    fixture_close(&g);
}

// Written down once: a release that changes these moves every user's keys.
static void answers_as_in_every_release_before(void **state)
{
    (void)state;
    struct fixture f;
    char got[33] = {0};
    fixture_open(&f, BALANCE_HASH, 8, (const uint16_t[]){1, 1, 2, 1, 3, 1, 1, 1});
    for (uint32_t k = 0; k < 32; k++)
        got[k] = (char)('a' + fixture_pick_key(&f, k));
    assert_string_equal(got, "dhaaafcfdggceehheafeeeggeadadeeb");
    fixture_close(&f);
}

static void tells_equal_addresses_and_ports_apart(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t counts[4] = {0};
    fixture_servers(&f, BALANCE_HASH, 4, NULL);
    for (uint32_t i = 0; i < 4; i++)
        f.backend.servers[i].host = STR("app.internal");
    f.backend.servers[1].port = 81; // the others are the same server three times
    fixture_build(&f);
    for (uint32_t k = 0; k < KEYS; k++)
        counts[fixture_pick_key(&f, key_number(k))]++;
    for (uint32_t i = 0; i < 4; i++)
        assert_in_range(counts[i], KEYS / 4 * 88 / 100, KEYS / 4 * 112 / 100);
    fixture_close(&f);
}

static void tells_unix_sockets_apart(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t counts[2] = {0};
    fixture_servers(&f, BALANCE_HASH, 2, NULL);
    for (uint32_t i = 0; i < 2; i++) {
        f.backend.servers[i].host = STR_NONE;
        assert_true(addr_parse_unix(i == 0 ? STR("/run/a.sock") : STR("/run/b.sock"),
                                    &f.backend.servers[i].addr));
    }
    fixture_build(&f);
    for (uint32_t k = 0; k < KEYS; k++)
        counts[fixture_pick_key(&f, key_number(k))]++;
    assert_in_range(counts[0], KEYS / 2 * 90 / 100, KEYS / 2 * 110 / 100);
    fixture_close(&f);
}

static void goes_round_without_a_key(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_HASH, 3, (const uint16_t[]){5, 1, 1});
    fixture_expect(&f, "aabacaa");
    fixture_close(&f);
}

static void keeps_a_few_requests_together(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_HASH, 5, NULL);
    int owner = fixture_pick_key(&f, 99);
    for (int k = 0; k < 8; k++) {
        assert_int_equal(fixture_pick_key(&f, 99), owner);
        board_claim(f.board, 0, (uint32_t)owner);
    }
    assert_int_not_equal(fixture_pick_key(&f, 99), owner); // 8 of 8 are more than 1.25 fifths
    fixture_close(&f);
}

// Everybody wants the same key: no server gets more than 1.25 times its share.
static void bounds_the_load_of_a_popular_key(void **state)
{
    (void)state;
    struct fixture f;
    const uint16_t weights[] = {1, 1, 2, 1, 0};
    fixture_open(&f, BALANCE_HASH, 5, weights);
    for (uint32_t k = 0; k < 1000; k++)
        board_claim(f.board, 0, (uint32_t)fixture_pick_key(&f, 7));
    uint32_t full = 0;
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t bound = 1000 * weights[i] / 5 * 5 / 4;
        assert_in_range(board_total(f.board, i), 0, bound);
        full += weights[i] > 0 && board_total(f.board, i) == bound;
    }
    assert_in_range(full, 2, 3); // and the first ones of the ring are full to it
    fixture_close(&f);
}

// Six servers of which three can be used: each of these gets at most 1.25 thirds.
static void expect_bounded_thirds(struct fixture *f)
{
    for (uint32_t k = 0; k < 600; k++)
        board_claim(f->board, 0, (uint32_t)fixture_pick_key(f, 7));
    for (uint32_t i = 3; i < 6; i++)
        assert_in_range(board_total(f->board, i), 600 - 2 * 250, 250);
    fixture_close(f);
}

static void bounds_the_load_among_those_not_refused(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_HASH, 6, NULL);
    fixture_skip(&f, 0);
    fixture_skip(&f, 2);
    fixture_avoid(&f, 1);
    expect_bounded_thirds(&f);
}

static void bounds_the_load_among_those_with_an_address(void **state)
{
    (void)state;
    struct fixture f;
    fixture_servers(&f, BALANCE_HASH, 6, NULL);
    for (uint32_t i = 0; i < 3; i++)
        f.backend.servers[i].addr.len = 0;
    fixture_build(&f);
    expect_bounded_thirds(&f);
}

// Some of the last keys see no usable server on their stretch of the ring.
static void follows_its_key_when_nearly_all_are_gone(void **state)
{
    (void)state;
    enum { N = 300 };
    struct fixture f;
    uint32_t counts[N] = {0};
    fixture_servers(&f, BALANCE_HASH, N, NULL);
    for (uint32_t i = 0; i < N; i++)
        if (i != 100 && i != 200)
            f.backend.servers[i].addr.len = 0;
    fixture_build(&f);
    for (uint32_t k = 0; k < 20000; k++) {
        int place = fixture_pick_key(&f, key_number(k));
        assert_int_equal(fixture_pick_key(&f, key_number(k)), place);
        counts[place]++;
    }
    assert_int_equal(counts[100] + counts[200], 20000);
    assert_in_range(counts[100], 9000, 11000);
    fixture_avoid(&f, 100);
    for (uint32_t k = 0; k < 2000; k++)
        assert_int_equal(fixture_pick_key(&f, key_number(k)), 200);
    fixture_close(&f);
}

// More servers than points are allowed for: fewer points each, still every server in use.
static void builds_for_thousands_of_servers(void **state)
{
    (void)state;
    enum { N = 5000 };
    struct fixture f;
    uint32_t *counts = xcalloc(N, sizeof(*counts));
    fixture_open(&f, BALANCE_HASH, N, NULL);
    assert_in_range(malloc_usable_size(f.sched->ring), N * 8, 64u << 20);
    for (uint32_t k = 0; k < KEYS; k++)
        counts[fixture_pick_key(&f, key_number(k))]++;
    for (uint32_t i = 0; i < N; i++)
        assert_in_range(counts[i], 1, 3 * KEYS / N);
    free(counts);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_evenly),
        cmocka_unit_test(shares_by_weight),
        cmocka_unit_test(a_removed_server_moves_only_its_keys),
        cmocka_unit_test(a_drained_server_moves_only_its_keys),
        cmocka_unit_test(a_skipped_server_moves_only_its_keys_and_gets_them_back),
        cmocka_unit_test(whoever_does_not_work_keeps_its_points),
        cmocka_unit_test(takes_its_keys_back_in_a_slow_start),
        cmocka_unit_test(somebody_takes_a_key_when_all_are_starting),
        cmocka_unit_test(does_not_depend_on_the_order_of_the_list),
        cmocka_unit_test(answers_as_in_every_release_before),
        cmocka_unit_test(tells_equal_addresses_and_ports_apart),
        cmocka_unit_test(tells_unix_sockets_apart),
        cmocka_unit_test(goes_round_without_a_key),
        cmocka_unit_test(keeps_a_few_requests_together),
        cmocka_unit_test(bounds_the_load_of_a_popular_key),
        cmocka_unit_test(bounds_the_load_among_those_not_refused),
        cmocka_unit_test(bounds_the_load_among_those_with_an_address),
        cmocka_unit_test(follows_its_key_when_nearly_all_are_gone),
        cmocka_unit_test(builds_for_thousands_of_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
