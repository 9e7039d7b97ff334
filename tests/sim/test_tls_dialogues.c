// SPDX-License-Identifier: MIT
// The standard dialogues over TLS, with the client, with the servers, with both: plainly, byte by
// byte, through small windows, and with a fault at every few calls, from the first byte of the
// ClientHello on; not everything with everything, for time. What was cut must never look complete
// to anybody.
#include "dialogues.h"

#define CALLS_MAX 100000

static const struct run sides[] = {
    {.tls_client = true},
    {.tls_server = true},
    {.tls_client = true, .tls_server = true},
    {.tls_client = true, .tls_server = true, .tls12 = true},
};

// What no socket does to TLS with a server: not to take the PROXY header at once.
static bool is_too_narrow(const struct dialogue *d, const struct run *r)
{
    bool writes = r->write_most > 0 || r->refill > 0 || r->fault != FAULT_NONE;
    if (!r->tls_server)
        return false;
    return writes && d->yaml != NULL && strstr(d->yaml, "send-proxy") != NULL;
}

// Every `step`th dialogue on each side, others on each.
static void play_all(struct run how, size_t step)
{
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        how.tls_client = sides[i].tls_client;
        how.tls_server = sides[i].tls_server;
        how.tls12 = sides[i].tls12;
        for (size_t k = i % step; k < n_dialogues; k += step)
            assert_true(is_too_narrow(&dialogues[k], &how) || dialogue_run(&dialogues[k], &how));
    }
}

// Every dialogue and side, with the fault at another call each: `step` calls apart.
static void fail_all(enum sim_fault fault, size_t read_most, uint64_t step)
{
    uint64_t first = 1;
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        for (size_t k = 0; k < n_dialogues; k++) {
            struct run r = sides[i];
            r.fault = fault;
            r.read_most = read_most;
            if (is_too_narrow(&dialogues[k], &r))
                continue;
            for (r.fault_at = first; r.fault_at < CALLS_MAX; r.fault_at += step) {
                if (!dialogue_run(&dialogues[k], &r))
                    break;
            }
            assert_true(r.fault_at < CALLS_MAX);
            first = first % step + 1;
        }
    }
}

static void test_plain(void **state)
{
    (void)state;
    play_all((struct run){0}, 1);
}

static void test_one_byte_reads(void **state)
{
    (void)state;
    play_all((struct run){.read_most = 1}, 4);
}

static void test_one_byte_writes(void **state)
{
    (void)state;
    play_all((struct run){.write_most = 1}, 2);
}

static void test_small_window(void **state)
{
    (void)state;
    play_all((struct run){.refill = 7}, 4);
    play_all((struct run){.read_most = 3, .refill = 100}, 2);
}

static void test_again(void **state)
{
    (void)state;
    fail_all(FAULT_AGAIN, 0, 41);
}

static void test_short(void **state)
{
    (void)state;
    fail_all(FAULT_SHORT, 0, 41);
}

static void test_reset(void **state)
{
    (void)state;
    fail_all(FAULT_RESET, 0, 41);
}

static void test_eof(void **state)
{
    (void)state;
    fail_all(FAULT_EOF, 0, 41);
    fail_all(FAULT_EOF, 60, 211);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIALOGUE_TEST(test_plain),           DIALOGUE_TEST(test_one_byte_reads),
        DIALOGUE_TEST(test_one_byte_writes), DIALOGUE_TEST(test_small_window),
        DIALOGUE_TEST(test_again),           DIALOGUE_TEST(test_short),
        DIALOGUE_TEST(test_reset),           DIALOGUE_TEST(test_eof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
