// SPDX-License-Identifier: MIT
// Every standard dialogue with a reload in each of its turns, in all of them, and together with a
// fault at every call.
#include "dialogues.h"

#define TURNS_MAX 40

static void test_dialogues(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_dialogues; i++) {
        for (int turn = 1; turn < TURNS_MAX; turn++)
            assert_true(dialogue_run(&dialogues[i], &(struct run){.reload_turn = turn}));
        assert_true(
            dialogue_run(&dialogues[i], &(struct run){.reload_turn = 1, .reload_every = 1}));
    }
}

static void test_dialogues_with_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_dialogues; i++) {
        for (int fault = FAULT_AGAIN; fault < FAULT_COUNT; fault++) {
            struct run r = {.fault = (enum sim_fault)fault};
            for (r.fault_at = 1; r.fault_at < 1000; r.fault_at++) {
                r.reload_turn = 1 + (int)(r.fault_at + i) % 4;
                r.reload_every = 3;
                if (!dialogue_run(&dialogues[i], &r))
                    break;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIALOGUE_TEST(test_dialogues),
        DIALOGUE_TEST(test_dialogues_with_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
