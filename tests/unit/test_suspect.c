// SPDX-License-Identifier: MIT
// Passive health: the length of skips, who ends them, and what concurrent workers may do.
#include "sched_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

static uint32_t hint(const struct fixture *f)
{
    return atomic_load(&f->board->skipped[0]);
}

static void begins_without_suspicion(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 2, NULL);
    assert_false(suspect_skipped(f.board, 0, 0));
    assert_false(suspect_skipped(f.board, 0, 1u << 30));
    assert_false(suspect_succeeded(f.board, &f.backend.servers[0]));
    assert_int_equal(hint(&f), 0);
    fixture_close(&f);
}

static void skips_1_2_4_to_30_seconds(void **state)
{
    (void)state;
    struct fixture f;
    const uint64_t expected[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    uint64_t now = 5;
    fixture_open(&f, BALANCE_FIRST, 2, NULL);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_true(suspect_failed(f.board, &f.backend.servers[1], now));
        assert_true(suspect_skipped(f.board, 1, now));
        assert_true(suspect_skipped(f.board, 1, now + expected[i] - 1));
        assert_false(suspect_skipped(f.board, 1, now + expected[i]));
        assert_false(suspect_skipped(f.board, 0, now));
        assert_int_equal(hint(&f), 1); // one server, however often it failed
        now += expected[i];
    }
    fixture_close(&f);
}

static void failures_during_a_skip_change_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 1, NULL);
    assert_true(suspect_failed(f.board, &f.backend.servers[0], 100));
    for (uint64_t now = 100; now < 1100; now += 50)
        assert_false(suspect_failed(f.board, &f.backend.servers[0], now));
    assert_false(suspect_skipped(f.board, 0, 1100));
    assert_true(suspect_failed(f.board, &f.backend.servers[0], 1100));
    assert_true(suspect_skipped(f.board, 0, 3099));
    assert_false(suspect_skipped(f.board, 0, 3100)); // the second length, not a later one
    fixture_close(&f);
}

static void a_success_ends_it_and_the_row(void **state)
{
    (void)state;
    struct fixture f;
    const struct server *s;
    fixture_open(&f, BALANCE_FIRST, 1, NULL);
    s = &f.backend.servers[0];
    assert_true(suspect_failed(f.board, s, 0));
    assert_true(suspect_failed(f.board, s, 1000));
    assert_true(suspect_succeeded(f.board, s));
    assert_false(suspect_skipped(f.board, 0, 1001));
    assert_int_equal(hint(&f), 0);
    assert_false(suspect_succeeded(f.board, s)); // said once
    assert_true(suspect_failed(f.board, s, 5000));
    assert_false(suspect_skipped(f.board, 0, 6000)); // 1 s again
    fixture_close(&f);
}

static void a_success_after_the_skip_clears_the_hint(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 3, NULL);
    fixture_suspect(&f, 0);
    fixture_suspect(&f, 2);
    assert_int_equal(hint(&f), 2);
    f.pick.now_ms += SUSPECT_LONGEST_MS;
    assert_int_equal(hint(&f), 2);
    assert_true(suspect_succeeded(f.board, &f.backend.servers[0]));
    assert_true(suspect_succeeded(f.board, &f.backend.servers[2]));
    assert_int_equal(hint(&f), 0);
    fixture_close(&f);
}

struct tally {
    _Atomic uint32_t began, ended;
};

static void fail_for_a_while(struct fixture *f, struct tally *t)
{
    for (uint64_t now = 0; now < 100000; now++)
        if (suspect_failed(f->board, &f->backend.servers[0], now))
            atomic_fetch_add(&t->began, 1);
}

static void fail_and_succeed(struct fixture *f, struct tally *t)
{
    for (uint64_t now = 0; now < 100000; now++) {
        if (suspect_failed(f->board, &f->backend.servers[0], now))
            atomic_fetch_add(&t->began, 1);
        if (suspect_succeeded(f->board, &f->backend.servers[0]))
            atomic_fetch_add(&t->ended, 1);
    }
}

static void in_workers(struct fixture *f, struct tally *t,
                       void (*work)(struct fixture *, struct tally *))
{
    pid_t children[FIXTURE_WORKERS];
    for (int w = 0; w < FIXTURE_WORKERS; w++) {
        children[w] = fork();
        assert_true(children[w] >= 0);
        if (children[w] == 0) {
            work(f, t);
            _exit(0);
        }
    }
    for (int w = 0; w < FIXTURE_WORKERS; w++) {
        int status;
        assert_int_equal(waitpid(children[w], &status, 0), children[w]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static struct tally *tally_open(void)
{
    void *memory =
        mmap(NULL, sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

// 100 s of failures every millisecond in four workers. With clocks that run side by side there are
// skips at 0, 1, 3, 7, 15, 31, 61 and 91 s: eight of them, however many workers fail.
static void concurrent_failures_count_once_per_skip(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 1, NULL);
    struct tally *t = tally_open();
    in_workers(&f, t, fail_for_a_while);
    assert_int_equal(atomic_load(&t->began), 8);
    assert_int_equal(atomic_load(&f.board->suspect[0].failures), 8);
    assert_int_equal(hint(&f), 1);
    assert_int_equal(munmap(t, sizeof(*t)), 0);
    fixture_close(&f);
}

static void every_beginning_has_one_end(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 1, NULL);
    struct tally *t = tally_open();
    in_workers(&f, t, fail_and_succeed);
    if (suspect_succeeded(f.board, &f.backend.servers[0]))
        atomic_fetch_add(&t->ended, 1);
    assert_true(atomic_load(&t->began) >= 100000);
    // a skip may be followed by another without a success between them, never the other way round
    assert_true(atomic_load(&t->ended) <= atomic_load(&t->began));
    assert_int_equal(hint(&f), 0);
    assert_int_equal(munmap(t, sizeof(*t)), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_without_suspicion),
        cmocka_unit_test(skips_1_2_4_to_30_seconds),
        cmocka_unit_test(failures_during_a_skip_change_nothing),
        cmocka_unit_test(a_success_ends_it_and_the_row),
        cmocka_unit_test(a_success_after_the_skip_clears_the_hint),
        cmocka_unit_test(concurrent_failures_count_once_per_skip),
        cmocka_unit_test(every_beginning_has_one_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
