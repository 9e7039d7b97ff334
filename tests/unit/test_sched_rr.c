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
    assert_int_equal(f.sched->n_order, 4);
    fixture_expect(&f, "abcdabcd");
    fixture_close(&f);
}

static void divides_weights_by_their_divisor(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 4, (const uint16_t[]){100, 0, 50, 50});
    assert_int_equal(f.sched->n_order, 4);
    fixture_expect(&f, "acdaacda");
    fixture_close(&f);
}

static void never_takes_weight_zero(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 3, (const uint16_t[]){0, 1, 0});
    fixture_expect(&f, "bbbb");
    fixture_suspect(&f, 1);
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

static void expect_reference(const uint16_t *weights, uint32_t n)
{
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, n, weights);
    size_t bytes = f.sched->n_order * sizeof(uint32_t);
    uint32_t *expected = xmalloc(bytes);
    reference_order(weights, n, expected, f.sched->n_order);
    assert_memory_equal(expected, f.sched->order, bytes);
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
        weights[i] = (uint16_t)((i * 37 % 128) * 2 + 1);
    expect_reference(weights, ARRAY_LEN(weights));
}

static void gives_a_skipped_servers_turn_to_the_next(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_ROUND_ROBIN, 3, (const uint16_t[]){5, 1, 1});
    fixture_suspect(&f, 1);
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
        fixture_suspect(&f, i);
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
    fixture_servers(&f, BALANCE_ROUND_ROBIN, ARRAY_LEN(weights), weights);
    for (uint32_t i = 0; i < ARRAY_LEN(weights); i++)
        if (i != 33)
            f.backend.servers[i].addr.len = 0;
    fixture_build(&f);
    for (int k = 0; k < 20; k++)
        assert_int_equal(fixture_pick(&f), 33);
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
    fixture_suspect(&f, 1);
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
        cmocka_unit_test(is_exact_over_several_processes),
        cmocka_unit_test(is_exact_over_several_processes_without_one_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
