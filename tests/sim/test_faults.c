// SPDX-License-Identifier: MIT
// Every standard dialogue with a fault at every call of the transport, one run per call.
#include "dialogues.h"

#define CALLS_MAX 20000

static void play_all(enum sim_fault fault, size_t read_most, size_t write_most, uint64_t step)
{
    for (size_t i = 0; i < n_dialogues; i++) {
        struct run r = {.fault = fault, .read_most = read_most, .write_most = write_most};
        for (r.fault_at = 1; r.fault_at < CALLS_MAX; r.fault_at += step) {
            if (!dialogue_run(&dialogues[i], &r))
                break;
        }
        assert_true(r.fault_at < CALLS_MAX);
    }
}

static void play_some(enum sim_fault fault, uint64_t step)
{
    for (size_t i = 0; i < n_dialogues; i++) {
        struct run r = {.fault = fault, .read_most = 5, .write_most = 11};
        for (r.fault_at = 1; r.fault_at < 300; r.fault_at += step) {
            if (!dialogue_run(&dialogues[i], &r))
                break;
        }
    }
}

static void test_again(void **state)
{
    (void)state;
    play_all(FAULT_AGAIN, 0, 0, 1);
}

static void test_short(void **state)
{
    (void)state;
    play_all(FAULT_SHORT, 0, 0, 1);
}

static void test_reset(void **state)
{
    (void)state;
    play_all(FAULT_RESET, 0, 0, 1);
}

static void test_eof(void **state)
{
    (void)state;
    play_all(FAULT_EOF, 0, 0, 1);
}

static void test_no_memory(void **state)
{
    (void)state;
    play_all(FAULT_NO_MEMORY, 0, 0, 1);
    play_some(FAULT_NO_MEMORY, 5);
}

// Byte by byte there are too many calls to fail each: every 7th, every 11th.
static void test_byte_by_byte(void **state)
{
    (void)state;
    play_some(FAULT_RESET, 7);
    play_some(FAULT_EOF, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIALOGUE_TEST(test_again), DIALOGUE_TEST(test_short),     DIALOGUE_TEST(test_reset),
        DIALOGUE_TEST(test_eof),   DIALOGUE_TEST(test_no_memory), DIALOGUE_TEST(test_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
