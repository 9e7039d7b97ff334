// SPDX-License-Identifier: MIT
// The standard dialogues without faults: at full speed, and with every read and every write cut to
// one byte or to a small window.
#include "dialogues.h"

static void play_all(const struct run *r)
{
    for (size_t i = 0; i < n_dialogues; i++)
        assert_true(dialogue_run(&dialogues[i], r));
}

static void test_plain(void **state)
{
    (void)state;
    play_all(&(struct run){0});
}

static void test_one_byte_reads(void **state)
{
    (void)state;
    play_all(&(struct run){.read_most = 1});
}

static void test_one_byte_writes(void **state)
{
    (void)state;
    play_all(&(struct run){.write_most = 1});
}

static void test_one_byte_both(void **state)
{
    (void)state;
    play_all(&(struct run){.read_most = 1, .write_most = 1});
}

static void test_small_window(void **state)
{
    (void)state;
    play_all(&(struct run){.refill = 1});
    play_all(&(struct run){.refill = 7});
    play_all(&(struct run){.read_most = 3, .refill = 100});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIALOGUE_TEST(test_plain),           DIALOGUE_TEST(test_one_byte_reads),
        DIALOGUE_TEST(test_one_byte_writes), DIALOGUE_TEST(test_one_byte_both),
        DIALOGUE_TEST(test_small_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
