// SPDX-License-Identifier: MIT
// Durations and sizes: what is read, what is refused and why, what is guessed, what is written.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf/units.h"

static void assert_duration(const char *text, enum unit_result expected, uint64_t ms)
{
    uint64_t value = 0;
    if (duration_parse(str_of(text), &value) != expected || (expected == UNIT_OK && value != ms))
        fail_msg("duration '%s': %llu", text, (unsigned long long)value);
}

static void assert_size(const char *text, enum unit_result expected, uint64_t bytes)
{
    uint64_t value = 0;
    if (size_parse(str_of(text), &value) != expected || (expected == UNIT_OK && value != bytes))
        fail_msg("size '%s': %llu", text, (unsigned long long)value);
}

static void test_durations(void **state)
{
    (void)state;
    assert_duration("0", UNIT_OK, 0);
    assert_duration("500ms", UNIT_OK, 500);
    assert_duration("5s", UNIT_OK, 5000);
    assert_duration("2m", UNIT_OK, 120000);
    assert_duration("1h", UNIT_OK, 3600000);
    assert_duration("1d", UNIT_OK, 86400000);
    assert_duration("1w", UNIT_OK, 604800000);
    assert_duration("1y", UNIT_OK, 31536000000);
    assert_duration("1y2w3d", UNIT_OK, 31536000000 + 17 * 86400000ull);
    assert_duration("1h30m", UNIT_OK, 5400000);
    assert_duration("1d2h3m4s5ms", UNIT_OK, 93784005);
    assert_duration("010s", UNIT_OK, 10000);
}

static void test_refused_durations(void **state)
{
    (void)state;
    assert_duration("", UNIT_BAD, 0);
    assert_duration("s", UNIT_BAD, 0);
    assert_duration("-5s", UNIT_BAD, 0);
    assert_duration("5", UNIT_BARE, 0);
    assert_duration("1h5", UNIT_BARE, 0);
    assert_duration("00", UNIT_BARE, 0);
    assert_duration("5 s", UNIT_SPACE, 0);
    assert_duration("1.5s", UNIT_FRACTION, 0);
    assert_duration("5S", UNIT_UNKNOWN, 0);
    assert_duration("5sec", UNIT_UNKNOWN, 0);
    assert_duration("30m1h", UNIT_UNKNOWN, 0);
    assert_duration("1s1s", UNIT_UNKNOWN, 0);
    assert_duration("18446744073709551616s", UNIT_HUGE, 0);
    assert_duration("18446744073709551615s", UNIT_HUGE, 0);
    assert_duration("213503982334d18446744073709551615ms", UNIT_HUGE, 0);
}

static void test_sizes(void **state)
{
    (void)state;
    assert_size("0", UNIT_OK, 0);
    assert_size("512B", UNIT_OK, 512);
    assert_size("16k", UNIT_OK, 16384);
    assert_size("16K", UNIT_OK, 16384);
    assert_size("16KiB", UNIT_OK, 16384);
    assert_size("16kB", UNIT_OK, 16000);
    assert_size("1m", UNIT_OK, 1048576);
    assert_size("1MiB", UNIT_OK, 1048576);
    assert_size("1MB", UNIT_OK, 1000000);
    assert_size("2G", UNIT_OK, 2147483648);
    assert_size("2GB", UNIT_OK, 2000000000);
    assert_size("512", UNIT_BARE, 0);
    assert_size("16kb", UNIT_UNKNOWN, 0);
    assert_size("1k1B", UNIT_UNKNOWN, 0);
    assert_size("1.5k", UNIT_FRACTION, 0);
}

static void assert_guess(const char *text, bool size, bool expected, uint64_t value)
{
    uint64_t got = 0;
    bool found = size ? size_guess(str_of(text), &got) : duration_guess(str_of(text), false, &got);
    if (found != expected || (expected && got != value))
        fail_msg("guess '%s': %llu", text, (unsigned long long)got);
}

static void test_guesses(void **state)
{
    (void)state;
    assert_guess("20", false, true, 20000);
    assert_guess("999", false, true, 999000);
    assert_guess("1000", false, true, 1000);
    assert_guess("5000", false, true, 5000);
    assert_guess("20 s", false, true, 20000);
    assert_guess("20sec", false, true, 20000);
    assert_guess("5 Minutes", false, true, 300000);
    assert_guess("1.5s", false, true, 1500);
    assert_guess("1 year", false, true, 31536000000);
    assert_guess("2 weeks", false, true, 1209600000);
    assert_guess("32kb", true, true, 32768);
    assert_guess("1.5 MB", true, true, 1572864);
    assert_guess("4096", true, true, 4096);
    assert_guess("0", false, false, 0);
    assert_guess("many", false, false, 0);
    assert_guess("5 parsecs", false, false, 0);
    assert_guess("99999999999s", false, false, 0);
}

// What browsers and resolvers count in seconds is never milliseconds.
static void test_guesses_in_seconds(void **state)
{
    (void)state;
    uint64_t ms = 0;
    assert_true(duration_guess(STR("31536000"), true, &ms));
    assert_int_equal(ms, 31536000000);
    assert_true(duration_guess(STR("1000"), true, &ms));
    assert_int_equal(ms, 1000000);
    assert_true(duration_guess(STR("5000 ms"), true, &ms));
    assert_int_equal(ms, 5000);
    assert_false(duration_guess(STR("0"), true, &ms));
}

static void test_counts(void **state)
{
    (void)state;
    uint64_t count = 0;
    assert_true(count_guess(STR("10k"), &count));
    assert_int_equal(count, 10000);
    assert_true(count_guess(STR("2M"), &count));
    assert_int_equal(count, 2000000);
    assert_true(count_guess(STR("1.5K"), &count));
    assert_int_equal(count, 1500);
    assert_false(count_guess(STR("10"), &count));
    assert_false(count_guess(STR("10s"), &count));
}

static void test_texts(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    static const struct {
        uint64_t value;
        const char *duration, *size;
    } cases[] = {{0, "0", "0"},
                 {1, "1ms", "1B"},
                 {1500, "1500ms", "1500B"},
                 {5000, "5s", "5000B"},
                 {90000, "90s", "90000B"},
                 {3600000, "1h", "3600000B"},
                 {86400000, "1d", "84375KiB"},
                 {32768, "32768ms", "32KiB"},
                 {1048576, "1048576ms", "1MiB"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t back;
        assert_string_equal(duration_text(a, cases[i].value), cases[i].duration);
        assert_string_equal(size_text(a, cases[i].value), cases[i].size);
        assert_int_equal(duration_parse(str_of(cases[i].duration), &back), UNIT_OK);
        assert_int_equal(back, cases[i].value);
        assert_int_equal(size_parse(str_of(cases[i].size), &back), UNIT_OK);
        assert_int_equal(back, cases[i].value);
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_refused_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_guesses_in_seconds),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
