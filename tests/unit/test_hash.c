// SPDX-License-Identifier: MIT
// The hash must be XXH64 for ever (servers are found by it); random numbers stay in range.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"

static void test_published_values(void **state)
{
    (void)state;
    assert_true(hash_bytes("", 0, 0) == 0xEF46DB3751D8E999u);
    assert_true(hash_bytes("a", 1, 0) == 0xD24EC4F1A98C6E5Bu);
    assert_true(hash_bytes("abc", 3, 0) == 0x44BC2CF5AD770999u);
    // long enough for the four lanes
    assert_true(hash_bytes("Nobody inspects the spammish repetition", 39, 0) ==
                0xFBCEA83C8A378BF1u);
    assert_true(hash_bytes("abc", 3, 1) != hash_bytes("abc", 3, 0));
}

// Every length takes another way through the tails; one bit changed must change the result.
static void test_every_length(void **state)
{
    (void)state;
    unsigned char text[80];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)i;
    for (size_t n = 1; n <= sizeof(text); n++) {
        uint64_t before = hash_bytes(text, n, 0);
        assert_true(before != hash_bytes(text, n - 1, 0));
        for (size_t i = 0; i < n; i++) {
            text[i] ^= 0x10;
            assert_true(hash_bytes(text, n, 0) != before);
            text[i] ^= 0x10;
        }
    }
}

static void test_random(void **state)
{
    (void)state;
    enum { KINDS = 10, DRAWS = 100000 };
    struct rng r, same;
    unsigned seen[KINDS] = {0};
    rng_seed(&r, 0);
    rng_seed(&same, 0);
    for (int i = 0; i < DRAWS; i++) {
        uint32_t v = rng_below(&r, KINDS);
        assert_in_range(v, 0, KINDS - 1);
        assert_int_equal(v, rng_below(&same, KINDS));
        seen[v]++;
    }
    for (int i = 0; i < KINDS; i++)
        assert_in_range(seen[i], DRAWS / KINDS * 9 / 10, DRAWS / KINDS * 11 / 10);
    assert_int_equal(rng_below(&r, 1), 0);
    assert_true(hash_mix(1) != hash_mix(2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_values),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
