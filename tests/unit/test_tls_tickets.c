// SPDX-License-Identifier: MIT
// Ticket keys: which of them are taken after how many rotations, and files of them.
#include "conf_test.h"

#include "base/base64.h"
#include "io/tls_tickets.h"

static void taken_for_two_rotations(void **state)
{
    (void)state;
    struct tls_tickets t = {0};
    struct ticket_key mine, found;
    assert_true(tls_tickets_init(&t));
    assert_int_equal(tls_tickets_find(&t, NULL, &mine), 0);
    for (int age = 0; age < TICKET_KEYS; age++) {
        assert_int_equal(tls_tickets_find(&t, mine.name, &found), age);
        assert_memory_equal(&found, &mine, sizeof(mine));
        assert_true(tls_tickets_rotate(&t));
    }
    assert_int_equal(tls_tickets_find(&t, mine.name, &found), -1);
}

// A line whose key consists of that byte.
static char *line_of(struct arena *a, int byte)
{
    unsigned char key[sizeof(struct ticket_key)];
    char text[BASE64_LEN(sizeof(key))];
    memset(key, byte, sizeof(key));
    return arena_strdup(a, (struct str){text, base64_encode(key, sizeof(key), text)});
}

static bool is_of(const struct ticket_key *key, int byte)
{
    return key->name[0] == byte && key->secret[31] == byte && key->mac[31] == byte;
}

static void the_last_but_one_of_a_file_is_in_use(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    char why[TICKET_WHY_MAX];
    struct ticket_key keys[TICKET_KEYS], again[TICKET_KEYS];
    char *one = line_of(a, 1), *two = line_of(a, 2), *three = line_of(a, 3), *four = line_of(a, 4);
    char *text = arena_printf(a, "# keys\n%s\n%s\r\n\n  %s \n%s", one, two, three, four);
    assert_true(tls_tickets_read(str_of(text), keys, why));
    assert_true(is_of(&keys[0], 3) && is_of(&keys[1], 4) && is_of(&keys[2], 2));
    text = arena_printf(a, "%s\n%s\n", one, two);
    assert_true(tls_tickets_read(str_of(text), keys, why));
    assert_true(is_of(&keys[0], 1) && is_of(&keys[1], 2));
    assert_true(tls_tickets_read(str_of(text), again, why));
    assert_memory_not_equal(&keys[2], &again[2], sizeof(keys[2])); // nobody knows it
    assert_true(tls_tickets_read(str_of(one), keys, why));
    assert_true(is_of(&keys[0], 1));
    assert_memory_not_equal(&keys[1], &keys[2], sizeof(keys[1]));
    arena_free(a);
}

static void order_of_the_bytes(void **state)
{
    (void)state;
    struct ticket_key keys[TICKET_KEYS];
    unsigned char key[80];
    char text[BASE64_LEN(sizeof(key))], why[TICKET_WHY_MAX];
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (unsigned char)i;
    assert_true(
        tls_tickets_read((struct str){text, base64_encode(key, sizeof(key), text)}, keys, why));
    assert_memory_equal(keys[0].name, key, 16);
    assert_memory_equal(keys[0].secret, key + 16, 32);
    assert_memory_equal(keys[0].mac, key + 48, 32);
}

static void what_is_no_key_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "it holds no key"},
        {"# nothing\n\n", "it holds no key"},
        {"hello", "line 1 is not base64 of 80 bytes"},
        {"AAAA", "line 1 is a key of 3 bytes; 80 are needed"},
        {"#\n\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", // AES-128
         "line 3 is a key of 48 bytes; 80 are needed"},
    };
    struct ticket_key keys[TICKET_KEYS];
    char why[TICKET_WHY_MAX];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_false(tls_tickets_read(str_of(cases[i].text), keys, why));
        assert_string_equal(why, cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_for_two_rotations),
        cmocka_unit_test(the_last_but_one_of_a_file_is_in_use),
        cmocka_unit_test(order_of_the_bytes),
        cmocka_unit_test(what_is_no_key_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
