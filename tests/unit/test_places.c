// SPDX-License-Identifier: MIT
#include "core/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

// Places and answers as strings of letters: "ab.d" is 10.0.0.a, 10.0.0.b, an empty one, 10.0.0.d.
static uint32_t read_places(const char *letters, struct place *out)
{
    uint32_t n = 0;
    for (; letters[n] != '\0'; n++) {
        char ip[16];
        memset(&out[n], 0, sizeof(out[n]));
        (void)snprintf(ip, sizeof(ip), "10.0.0.%u", (unsigned)letters[n]);
        if (letters[n] != '.')
            assert_true(addr_parse_ip(str_of(ip), 80, &out[n].addr));
    }
    return n;
}

static void expect(const char *before, const char *found, const char *after, uint32_t changed)
{
    struct place places[PLACES_MAX], answer[PLACES_MAX], wanted[PLACES_MAX];
    uint32_t n = read_places(before, places), n_found = read_places(found, answer);
    assert_int_equal(read_places(after, wanted), n);
    assert_int_equal(places_fill(places, n, answer, n_found), changed);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(places[i].addr.len, wanted[i].addr.len);
        if (wanted[i].addr.len > 0)
            assert_true(addr_eq(&places[i].addr, &wanted[i].addr));
    }
}

static void addresses_keep_their_places(void **state)
{
    (void)state;
    expect("....", "abc", "abc.", 3);
    expect("abc.", "cba", "abc.", 0);
    expect("abc.", "cad", "adc.", 2); // b left, d took its place
    expect("abc.", "", "....", 3);
    expect("a...", "bcdef", "bcde", 5); // a left, f found no place
    expect("ab.", "abab", "ab.", 0);
    expect("...", "aab", "ab.", 2);
}

static void one_place_keeps_its_address_while_it_is_found(void **state)
{
    (void)state;
    expect(".", "ba", "b", 1);
    expect("b", "ab", "b", 0);
    expect("b", "ac", "a", 2);
    expect("a", "", ".", 1);
}

static void weights_follow_the_answer(void **state)
{
    (void)state;
    struct place places[2], answer[1];
    (void)read_places("a.", places);
    (void)read_places("a", answer);
    answer[0].weight = 7;
    assert_int_equal(places_fill(places, 2, answer, 1), 1);
    assert_int_equal(places[0].weight, 7);
    assert_int_equal(places_fill(places, 2, answer, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_keep_their_places),
        cmocka_unit_test(one_place_keeps_its_address_while_it_is_found),
        cmocka_unit_test(weights_follow_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
