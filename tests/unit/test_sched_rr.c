// SPDX-License-Identifier: MIT
// Round robin: the exact smooth weighted order, over one and over several workers.
#include "sched_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#include "core/sched_ops.h"

static void follows_nginx_for_5_1_1(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 3, (const uint16_t[]){5, 1, 1});
    fixture_expect(&f, "aabacaaaabacaa");
    fixture_close(&f);
}

static void takes_equal_servers_in_list_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 4, (const uint16_t[]){7, 7, 7, 7});
    fixture_expect(&f, "abcdabcd");
    assert_int_equal(f.sched->workers.n_order, 4);
    fixture_close(&f);
}

static void divides_weights_by_their_divisor(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 4, (const uint16_t[]){100, 0, 50, 50});
    fixture_expect(&f, "acdaacda");
    assert_int_equal(f.sched->workers.n_order, 4);
    fixture_close(&f);
}

static void never_takes_weight_zero(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 3, (const uint16_t[]){0, 1, 0});
    fixture_expect(&f, "bbbb");
    fixture_skip(&f, 1);
    fixture_expect(&f, "bb");
    fixture_avoid(&f, 1);
    fixture_expect(&f, "bb");
    fixture_close(&f);
}

// nginx's algorithm as it is written down, server by server.
static void reference_order(const uint16_t *weights, uint32_t n, uint32_t *order, uint32_t length)
{
    int64_t *current = xcalloc(n, sizeof(*current)), total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += weights[i];
    for (uint32_t k = 0; k < length; k++) {
        uint32_t best = SCHED_NONE;
        for (uint32_t i = 0; i < n; i++) {
            current[i] += weights[i];
            if (weights[i] > 0 && (best == SCHED_NONE || current[i] > current[best]))
                best = i;
        }
        current[best] -= total;
        order[k] = best;
    }
    free(current);
}

// The order names workers; servers of weight 0 are none.
static void expect_reference(const uint16_t *weights, uint32_t n)
{
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, n, weights);
    (void)fixture_pick(&f);
    const struct sched_table *t = &f.sched->workers;
    uint32_t *expected = xmalloc(t->n_order * sizeof(*expected));
    reference_order(weights, n, expected, t->n_order);
    for (uint32_t k = 0; k < t->n_order; k++)
        assert_ptr_equal(t->servers[t->order[k]], &f.backend.servers[expected[k]]);
    free(expected);
    fixture_close(&f);
}

static void equals_the_reference_for_any_weights(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 400; round++) {
        uint16_t weights[40];
        uint32_t n = 1 + rng_below(&rng, ARRAY_LEN(weights));
        uint32_t most = 1 + rng_below(&rng, round % 2 == 0 ? 6 : 256);
        for (uint32_t i = 0; i < n; i++)
            weights[i] = (uint16_t)rng_below(&rng, most + 1);
        weights[rng_below(&rng, n)] = 1;
        expect_reference(weights, n);
    }
}

static void equals_the_reference_for_many_servers(void **state)
{
    (void)state;
    uint16_t weights[300];
    for (uint32_t i = 0; i < ARRAY_LEN(weights); i++)
        weights[i] = (uint16_t)((i * 37 % 64) * 2 + 1);
    expect_reference(weights, ARRAY_LEN(weights));
}

static void gives_a_skipped_servers_turn_to_the_next(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 3, (const uint16_t[]){5, 1, 1});
    fixture_skip(&f, 1);
    fixture_expect(&f, "aaacaaaaacaa");
    f.pick.now_ms += SUSPECT_FIRST_MS; // the skip is over
    fixture_expect(&f, "aabacaa");
    fixture_close(&f);
}

static void gives_an_avoided_servers_turn_to_the_next(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 3, NULL);
    fixture_avoid(&f, 0);
    fixture_expect(&f, "bcbc");
    fixture_avoid(&f, 2);
    fixture_expect(&f, "bb");
    fixture_close(&f);
}

static void leaves_out_servers_without_address(void **state)
{
    (void)state;
    struct fixture f;
    fixture_servers(&f, BALANCE_ROUND_ROBIN, 3, NULL);
    f.backend.servers[1].addr.len = 0;
    fixture_build(&f);
    fixture_expect(&f, "acac");
    fixture_close(&f);
}

static void keeps_the_order_when_all_are_skipped(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 3, NULL);
    for (uint32_t i = 0; i < 3; i++)
        fixture_skip(&f, i);
    fixture_expect(&f, "abcabc");
    fixture_close(&f);
}

static void finds_one_usable_server_among_very_many(void **state)
{
    (void)state;
    uint16_t weights[60];
    for (uint32_t i = 0; i < ARRAY_LEN(weights); i++)
        weights[i] = i == 33 ? 1 : 255;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, ARRAY_LEN(weights), weights);
    for (uint32_t i = 0; i < ARRAY_LEN(weights); i++)
        if (i != 33)
            fixture_skip(&f, i);
    for (int k = 0; k < 20; k++)
        assert_int_equal(fixture_pick(&f), 33);
    fixture_close(&f);
}

// ---- slow start -------------------------------------------------------------------------------

static uint32_t turns_of(const struct sched_table *t, uint32_t place)
{
    uint32_t turns = 0;
    for (uint32_t k = 0; k < t->n_order; k++)
        turns += t->order[k] == place;
    return turns;
}

// Servers of weight 1 have 99 steps to their whole share.
static void climbs_in_fine_steps(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 3, NULL);
    const struct sched_table *t = &f.sched->workers;
    for (uint32_t percent = 99; percent > 0; percent--) {
        fixture_withhold(&f, 1, percent);
        (void)fixture_pick(&f);
        uint32_t mine = turns_of(t, 1), other = turns_of(t, 0);
        assert_int_equal(mine * 100, other * (100 - percent));
        assert_int_equal(turns_of(t, 2), other);
        assert_int_equal(t->n_order, mine + 2 * other);
    }
    fixture_withhold(&f, 1, 0);
    (void)fixture_pick(&f);
    assert_int_equal(t->n_order, 3);
    fixture_close(&f);
}

static void climbs_in_proportion_to_its_weight(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 2, (const uint16_t[]){4, 2});
    fixture_withhold(&f, 0, 75); // 4 * 25 : 2 * 100 = 1 : 2
    fixture_expect(&f, "babbab");
    fixture_close(&f);
}

// ---- bounds -----------------------------------------------------------------------------------

// Shares in the round against those of the weights: off by less than a turn or, for those that
// would have less than one, exactly one.
static void expect_proportions(const struct sched_table *t)
{
    uint32_t *turns = xcalloc(t->n, sizeof(*turns)), total = 0;
    for (uint32_t i = 0; i < t->n; i++)
        total += t->shares[i];
    for (uint32_t k = 0; k < t->n_order; k++)
        turns[t->order[k]]++;
    for (uint32_t i = 0; i < t->n; i++) {
        double exact = (double)t->n_order * t->shares[i] / total;
        assert_true(turns[i] >= 1);
        assert_true(turns[i] <= exact + 1 && turns[i] >= exact * 0.9 - 1);
    }
    free(turns);
}

static void long_rounds_are_scaled_down(void **state)
{
    (void)state;
    enum { N = 1000 };
    struct fixture f;
    fixture_servers(&f, BALANCE_ROUND_ROBIN, N, NULL);
    for (uint32_t i = 0; i < N; i++)
        f.backend.servers[i].slow_start_ms = 1000;
    fixture_build(&f);
    const struct sched_table *t = &f.sched->workers;
    (void)fixture_pick(&f);
    assert_int_equal(t->n_order, N);
    fixture_withhold(&f, 5, 99); // 99,901 turns would be exact
    (void)fixture_pick(&f);
    assert_in_range(t->n_order, 60000, (1u << 16) + N);
    expect_proportions(t);
    assert_int_equal(turns_of(t, 5), 1);
    for (uint32_t i = 0; i < N; i++) // hundreds of different shares
        atomic_store(&f.board->server[i].weight, 1 + 1 + i % 256);
    fixture_withhold(&f, 6, 13);
    (void)fixture_pick(&f);
    assert_in_range(t->n_order, N, 1u << 15);
    expect_proportions(t);
    fixture_close(&f);
}

static void a_round_gives_each_of_very_many_servers_a_turn(void **state)
{
    (void)state;
    enum { N = 70000 };
    struct fixture f;
    fixture_servers(&f, BALANCE_ROUND_ROBIN, N, NULL);
    f.backend.servers[N - 1].weight = 200;
    fixture_build(&f);
    (void)fixture_pick(&f);
    assert_in_range(f.sched->workers.n_order, N, N + 300);
    assert_true(turns_of(&f.sched->workers, N - 1) >= 100);
    fixture_close(&f);
}

static void goes_on_where_it_was_after_a_change_elsewhere(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 3, NULL);
    fixture_expect(&f, "ab");
    fixture_state(&f, 1, SERVER_UP); // said again: nothing has changed
    fixture_expect(&f, "cab");
    fixture_state(&f, 1, SERVER_DOWN);
    fixture_expect(&f, "cacac");
    fixture_state(&f, 1, SERVER_UP);
    fixture_expect(&f, "bcabca");
    fixture_close(&f);
}

struct counts {
    _Atomic uint32_t picked[4];
};

static struct counts *counts_open(void)
{
    void *memory = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

static void counts_close(struct counts *c)
{
    assert_int_equal(munmap(c, sizeof(*c)), 0);
}

// Forks the workers; each picks `picks_each` times and counts by server.
static void run_workers(struct fixture *f, uint32_t picks_each, struct counts *c)
{
    pid_t children[FIXTURE_WORKERS];
    for (int w = 0; w < FIXTURE_WORKERS; w++) {
        children[w] = fork();
        assert_true(children[w] >= 0);
        if (children[w] != 0)
            continue;
        for (uint32_t k = 0; k < picks_each; k++)
            atomic_fetch_add(&c->picked[fixture_pick(f)], 1);
        _exit(0);
    }
    for (int w = 0; w < FIXTURE_WORKERS; w++) {
        int status;
        assert_int_equal(waitpid(children[w], &status, 0), children[w]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static void is_exact_over_several_processes(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 3, (const uint16_t[]){5, 1, 1});
    struct counts *c = counts_open();
    run_workers(&f, 7000, c); // 4 workers: 4,000 rounds of 7
    assert_int_equal(c->picked[0], 20000);
    assert_int_equal(c->picked[1], 4000);
    assert_int_equal(c->picked[2], 4000);
    counts_close(c);
    fixture_close(&f);
}

static void is_exact_over_several_processes_without_one_server(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 4, (const uint16_t[]){3, 2, 1, 2});
    fixture_skip(&f, 1);
    struct counts *c = counts_open();
    run_workers(&f, 6000, c); // 4,000 rounds of the 6 that are left
    assert_int_equal(c->picked[0], 12000);
    assert_int_equal(c->picked[1], 0);
    assert_int_equal(c->picked[2], 4000);
    assert_int_equal(c->picked[3], 8000);
    counts_close(c);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_nginx_for_5_1_1),
        cmocka_unit_test(takes_equal_servers_in_list_order),
        cmocka_unit_test(divides_weights_by_their_divisor),
        cmocka_unit_test(never_takes_weight_zero),
        cmocka_unit_test(equals_the_reference_for_any_weights),
        cmocka_unit_test(equals_the_reference_for_many_servers),
        cmocka_unit_test(gives_a_skipped_servers_turn_to_the_next),
        cmocka_unit_test(gives_an_avoided_servers_turn_to_the_next),
        cmocka_unit_test(leaves_out_servers_without_address),
        cmocka_unit_test(keeps_the_order_when_all_are_skipped),
        cmocka_unit_test(finds_one_usable_server_among_very_many),
        cmocka_unit_test(climbs_in_fine_steps),
        cmocka_unit_test(climbs_in_proportion_to_its_weight),
        cmocka_unit_test(long_rounds_are_scaled_down),
        cmocka_unit_test(a_round_gives_each_of_very_many_servers_a_turn),
        cmocka_unit_test(goes_on_where_it_was_after_a_change_elsewhere),
        cmocka_unit_test(is_exact_over_several_processes),
        cmocka_unit_test(is_exact_over_several_processes_without_one_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
