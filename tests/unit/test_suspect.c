// SPDX-License-Identifier: MIT
// Passive health: the length of skips, who ends them, and what concurrent workers may do.
#include "sched_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

// Until when a pick has to look at suspects.
static uint64_t hint(const struct fixture *f)
{
    return atomic_load(&f->board->cursor[0].skips_until_ms);
}

// Fails as the kind says; the bits that the caller is told.
static unsigned failed(struct fixture *f, uint32_t i, enum suspect_kind kind, uint64_t now_ms)
{
    return suspect_failed(f->board, &f->backend.servers[i], kind, now_ms);
}

static unsigned refuse(struct fixture *f, uint32_t i, uint64_t now_ms)
{
    return failed(f, i, SUSPECT_CONNECT, now_ms);
}

static unsigned no_answer(struct fixture *f, uint32_t i, uint64_t now_ms)
{
    return failed(f, i, SUSPECT_ANSWER, now_ms);
}

// `passive.errors` so high that only single failures count.
static void open_calm(struct fixture *f, uint32_t n)
{
    fixture_open(f, BALANCE_FIRST, n, NULL);
    f->backend.passive.errors = UINT32_MAX;
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

// ---- connects that fail -----------------------------------------------------------------------

static void skips_1_2_4_to_30_seconds(void **state)
{
    (void)state;
    struct fixture f;
    const uint64_t expected[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    uint64_t now = 5;
    open_calm(&f, 2);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_int_equal(refuse(&f, 1, now), SUSPECT_SKIPPED);
        assert_true(suspect_skipped(f.board, 1, now));
        assert_true(suspect_skipped(f.board, 1, now + expected[i] - 1));
        assert_false(suspect_skipped(f.board, 1, now + expected[i]));
        assert_false(suspect_skipped(f.board, 0, now));
        assert_int_equal(hint(&f), now + expected[i]);
        now += expected[i];
    }
    fixture_close(&f);
}

static void failures_during_a_skip_change_nothing(void **state)
{
    (void)state;
    struct fixture f;
    open_calm(&f, 2);
    assert_int_equal(refuse(&f, 0, 100), SUSPECT_SKIPPED);
    for (uint64_t now = 100; now < 1100; now += 50)
        assert_int_equal(refuse(&f, 0, now), 0);
    assert_false(suspect_skipped(f.board, 0, 1100));
    assert_int_equal(refuse(&f, 0, 1100), SUSPECT_SKIPPED);
    assert_true(suspect_skipped(f.board, 0, 3099));
    assert_false(suspect_skipped(f.board, 0, 3100)); // the second length, not a later one
    fixture_close(&f);
}

static void a_success_ends_it_and_the_row(void **state)
{
    (void)state;
    struct fixture f;
    const struct server *s;
    open_calm(&f, 2);
    s = &f.backend.servers[0];
    assert_int_equal(refuse(&f, 0, 0), SUSPECT_SKIPPED);
    assert_int_equal(refuse(&f, 0, 1000), SUSPECT_SKIPPED);
    assert_true(suspect_succeeded(f.board, s));
    assert_false(suspect_skipped(f.board, 0, 1001));
    assert_false(suspect_succeeded(f.board, s)); // said once
    assert_int_equal(refuse(&f, 0, 5000), SUSPECT_SKIPPED);
    assert_false(suspect_skipped(f.board, 0, 6000)); // 1 s again
    fixture_close(&f);
}

static void the_hint_is_never_below_a_skip(void **state)
{
    (void)state;
    struct fixture f;
    open_calm(&f, 4);
    assert_int_equal(refuse(&f, 0, 1000), SUSPECT_SKIPPED);
    assert_int_equal(refuse(&f, 0, 2000), SUSPECT_SKIPPED);
    assert_int_equal(refuse(&f, 2, 2000), SUSPECT_SKIPPED);
    assert_int_equal(hint(&f), 4000); // of the first one, not the 3000 of the second
    assert_true(suspect_succeeded(f.board, &f.backend.servers[0]));
    assert_int_equal(hint(&f), 4000);
    fixture_close(&f);
}

// ---- failures in a row, with checks -----------------------------------------------------------

static void asks_for_a_check_after_errors_in_a_row(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 2, NULL);
    _Atomic uint32_t *wanted = &f.board->suspect[0].wants_check;
    assert_int_equal(no_answer(&f, 0, 100), 0); // one lost answer says nothing yet
    assert_int_equal(no_answer(&f, 0, 100), 0);
    assert_int_equal(atomic_load(wanted), 0);
    assert_int_equal(no_answer(&f, 0, 100), SUSPECT_CHECK | SUSPECT_SKIPPED);
    assert_int_equal(atomic_load(wanted), 1);
    assert_true(suspect_skipped(f.board, 0, 1099));
    assert_false(suspect_skipped(f.board, 0, 1100)); // the check decides: a short time
    assert_int_equal(no_answer(&f, 0, 200), 0);
    fixture_close(&f);
}

static void counts_both_kinds_of_failure(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 2, NULL);
    assert_int_equal(no_answer(&f, 0, 100), 0);
    assert_int_equal(refuse(&f, 0, 100), SUSPECT_SKIPPED);
    assert_int_equal(no_answer(&f, 0, 100), SUSPECT_CHECK);
    fixture_close(&f);
}

static void a_success_between_them_begins_the_row_anew(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 2, NULL);
    for (int k = 0; k < 20; k++) {
        assert_int_equal(no_answer(&f, 0, 100), 0);
        assert_int_equal(no_answer(&f, 0, 100), 0);
        assert_false(suspect_succeeded(f.board, &f.backend.servers[0])); // no skip to end
    }
    fixture_close(&f);
}

// Control clears the word when it has looked; one that died before is asked again.
static void asks_again_every_so_many_errors(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 1, NULL);
    unsigned asked = 0;
    for (int k = 0; k < 30; k++)
        asked += no_answer(&f, 0, 100) == SUSPECT_CHECK;
    assert_int_equal(asked, 1); // not taken yet: once is enough
    for (int k = 0; k < 30; k++) {
        atomic_store(&f.board->suspect[0].wants_check, 0);
        asked += no_answer(&f, 0, 100) == SUSPECT_CHECK;
    }
    assert_int_equal(asked, 1 + 10);
    fixture_close(&f);
}

// ---- without checks ---------------------------------------------------------------------------

static void ejects_for_longer_each_time(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t now = 1000;
    fixture_open(&f, BALANCE_FIRST, 2, NULL);
    f.backend.health.type = HEALTH_OFF;
    assert_int_equal(no_answer(&f, 0, now), 0);
    assert_int_equal(no_answer(&f, 0, now), 0);
    for (uint32_t k = 1; k <= 40; k++) {
        uint64_t length = MIN_OF(k * 10000u, SUSPECT_EJECT_LONGEST_MS);
        assert_int_equal(no_answer(&f, 0, now), SUSPECT_SKIPPED); // nobody to ask for a check
        assert_int_equal(no_answer(&f, 0, now + length - 1), 0);
        assert_true(suspect_skipped(f.board, 0, now + length - 1));
        now += length;
        assert_false(suspect_skipped(f.board, 0, now)); // tried again: one failure is enough
    }
    assert_int_equal(atomic_load(&f.board->suspect[0].wants_check), 0);
    assert_true(suspect_succeeded(f.board, &f.backend.servers[0]));
    assert_int_equal(no_answer(&f, 0, now), 0);
    assert_int_equal(no_answer(&f, 0, now), 0);
    assert_int_equal(no_answer(&f, 0, now), SUSPECT_SKIPPED);
    assert_false(suspect_skipped(f.board, 0, now + 10000)); // the first length
    fixture_close(&f);
}

// Refused at once by many requests in flight: 1 s with the first of them, 10 s with the third.
static void an_ejection_lengthens_a_short_skip(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 2, NULL);
    f.backend.health.type = HEALTH_OFF;
    assert_int_equal(refuse(&f, 0, 1000), SUSPECT_SKIPPED);
    assert_int_equal(refuse(&f, 0, 1000), 0);
    assert_int_equal(refuse(&f, 0, 1000), SUSPECT_SKIPPED);
    assert_true(suspect_skipped(f.board, 0, 10999));
    assert_false(suspect_skipped(f.board, 0, 11000));
    assert_int_equal(refuse(&f, 0, 1000), 0);
    assert_int_equal(hint(&f), 11000);
    fixture_close(&f);
}

static void passive_off_sees_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, BALANCE_FIRST, 2, NULL);
    f.backend.passive.on = false;
    for (int k = 0; k < 10; k++)
        assert_int_equal(refuse(&f, 0, 1000) + no_answer(&f, 0, 1000), 0);
    assert_false(suspect_skipped(f.board, 0, 1000));
    assert_int_equal(hint(&f), 0);
    fixture_close(&f);
}

// ---- not too many -----------------------------------------------------------------------------

// So many of n servers fail; how many of them are skipped.
static uint32_t skipped_of(struct fixture *f, uint32_t failing)
{
    uint32_t skipped = 0;
    for (uint32_t i = 0; i < failing; i++)
        skipped += refuse(f, i, 1000) == SUSPECT_SKIPPED;
    for (uint32_t i = 0; i < failing; i++) // again: no way around it
        assert_int_equal(refuse(f, i, 1000) & SUSPECT_SKIPPED, 0);
    return skipped;
}

static void skips_half_of_a_tier_at_most(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 9; n++) {
        struct fixture f;
        open_calm(&f, n);
        assert_int_equal(skipped_of(&f, n), n / 2);
        fixture_close(&f);
    }
}

static void counts_usable_servers_of_the_same_tier(void **state)
{
    (void)state;
    struct fixture f;
    open_calm(&f, 6);
    f.backend.servers[4].tier = f.backend.servers[5].tier = 2;
    assert_int_equal(refuse(&f, 4, 1000), SUSPECT_SKIPPED);
    assert_int_equal(refuse(&f, 5, 1000), 0);
    fixture_state(&f, 3, SERVER_DOWN); // a, b, c are left: one of them
    assert_int_equal(refuse(&f, 0, 1000), SUSPECT_SKIPPED);
    assert_int_equal(refuse(&f, 1, 1000), 0);
    assert_int_equal(refuse(&f, 1, 2000), SUSPECT_SKIPPED); // a's time is over
    fixture_state(&f, 3, SERVER_UP);
    assert_int_equal(refuse(&f, 0, 2000), SUSPECT_SKIPPED);
    assert_int_equal(refuse(&f, 2, 2000), 0);
    fixture_close(&f);
}

struct tally {
    _Atomic uint32_t began, ended;
};

static void fail_for_a_while(struct fixture *f, struct tally *t)
{
    for (uint64_t now = 0; now < 100000; now++)
        if (refuse(f, 0, now) == SUSPECT_SKIPPED)
            atomic_fetch_add(&t->began, 1);
}

static void fail_and_succeed(struct fixture *f, struct tally *t)
{
    for (uint64_t now = 0; now < 100000; now++) {
        if (refuse(f, 0, now) == SUSPECT_SKIPPED)
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
    open_calm(&f, 2);
    struct tally *t = tally_open();
    in_workers(&f, t, fail_for_a_while);
    assert_int_equal(atomic_load(&t->began), 8);
    assert_int_equal(atomic_load(&f.board->suspect[0].failures), 8);
    assert_int_equal(munmap(t, sizeof(*t)), 0);
    fixture_close(&f);
}

static void every_beginning_has_one_end(void **state)
{
    (void)state;
    struct fixture f;
    open_calm(&f, 2);
    struct tally *t = tally_open();
    in_workers(&f, t, fail_and_succeed);
    if (suspect_succeeded(f.board, &f.backend.servers[0]))
        atomic_fetch_add(&t->ended, 1);
    assert_true(atomic_load(&t->began) >= 100000);
    // a skip may be followed by another without a success between them, never the other way round
    assert_true(atomic_load(&t->ended) <= atomic_load(&t->began));
    assert_int_equal(munmap(t, sizeof(*t)), 0);
    fixture_close(&f);
}

// Four workers find all four servers failing at the same moment, again and again.
static void fail_everywhere(struct fixture *f, struct tally *t)
{
    for (uint64_t now = 1000; now < 3000; now++) {
        for (uint32_t i = 0; i < 4; i++) {
            if (refuse(f, i, now) == SUSPECT_SKIPPED)
                atomic_fetch_add(&t->began, 1);
            if (now % 64 == 0 && suspect_succeeded(f->board, &f->backend.servers[i]))
                atomic_fetch_add(&t->ended, 1);
        }
    }
}

static void concurrent_workers_leave_half(void **state)
{
    (void)state;
    struct fixture f;
    open_calm(&f, 4);
    struct tally *t = tally_open();
    in_workers(&f, t, fail_everywhere);
    uint32_t skipped = 0;
    for (uint32_t i = 0; i < 4; i++) {
        skipped += suspect_skipped(f.board, i, 2999);
        assert_true(atomic_load(&f.board->suspect[i].skip_until_ms) <= hint(&f));
    }
    assert_true(atomic_load(&t->began) > 0);
    assert_in_range(skipped, 0, 2);
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
        cmocka_unit_test(the_hint_is_never_below_a_skip),
        cmocka_unit_test(asks_for_a_check_after_errors_in_a_row),
        cmocka_unit_test(counts_both_kinds_of_failure),
        cmocka_unit_test(a_success_between_them_begins_the_row_anew),
        cmocka_unit_test(asks_again_every_so_many_errors),
        cmocka_unit_test(ejects_for_longer_each_time),
        cmocka_unit_test(an_ejection_lengthens_a_short_skip),
        cmocka_unit_test(passive_off_sees_nothing),
        cmocka_unit_test(skips_half_of_a_tier_at_most),
        cmocka_unit_test(counts_usable_servers_of_the_same_tier),
        cmocka_unit_test(concurrent_failures_count_once_per_skip),
        cmocka_unit_test(every_beginning_has_one_end),
        cmocka_unit_test(concurrent_workers_leave_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
