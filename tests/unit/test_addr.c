// SPDX-License-Identifier: MIT
// Addresses and prefixes: parsing, printing, comparing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/addr.h"

static void assert_round_trip(const char *host, uint16_t port, const char *want)
{
    struct addr a;
    char text[ADDR_TEXT];
    assert_true(addr_parse_ip(str_of(host), port, &a));
    assert_int_equal(addr_format(&a, text), strlen(want));
    assert_string_equal(text, want);
    assert_int_equal(ip_port(&a.ip), port);
    assert_int_equal(a.len, ip_len(&a.ip));
}

static void test_text(void **state)
{
    (void)state;
    assert_round_trip("10.0.0.1", 80, "10.0.0.1:80");
    assert_round_trip("2001:DB8:0::1", 65535, "[2001:db8::1]:65535");
    static const char *const bad[] = {"",      "10.0.0", "10.0.0.256", "010.0.0.1",
                                      "[::1]", "::1%lo", "a.b",        " 10.0.0.1",
                                      "1:2",   "::g",    "1.2.3.4:80"};
    struct addr a;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(addr_parse_ip(str_of(bad[i]), 1, &a));
}

static void test_unix(void **state)
{
    (void)state;
    struct addr a, b;
    char path[200], text[ADDR_TEXT];
    assert_true(addr_parse_unix(STR("/run/x.sock"), &a));
    (void)addr_format(&a, text);
    assert_string_equal(text, "unix:/run/x.sock");
    assert_false(addr_parse_unix(STR(""), &b));
    memset(path, 'x', sizeof(path));
    assert_true(addr_parse_unix((struct str){path, 107}, &b));
    assert_false(addr_parse_unix((struct str){path, 108}, &b));
    assert_true(addr_parse_unix(STR("/run/x.sock"), &b));
    assert_true(addr_eq(&a, &b));
    assert_true(addr_parse_unix(STR("/run/y.sock"), &b));
    assert_false(addr_eq(&a, &b));
    const void *bytes;
    assert_int_equal(ip_bytes(&a.ip, &bytes), 0);
    assert_int_equal(ip_port(&a.ip), 0);
}

static void test_mapped(void **state)
{
    (void)state;
    struct addr v4, mapped;
    char text[ADDR_TEXT];
    const void *x, *y;
    assert_true(addr_parse_ip(STR("1.2.3.4"), 5, &v4));
    assert_true(addr_parse_ip(STR("::ffff:1.2.3.4"), 5, &mapped));
    (void)ip_format(&mapped.ip, text);
    assert_string_equal(text, "1.2.3.4");
    assert_int_equal(ip_bytes(&v4.ip, &x), 4);
    assert_int_equal(ip_bytes(&mapped.ip, &y), 4);
    assert_memory_equal(x, y, 4);
    assert_false(addr_eq(&v4, &mapped)); // not the same socket address
}

static bool inside(const char *net, const char *host)
{
    struct cidr c;
    struct addr a;
    assert_true(cidr_parse(str_of(net), &c));
    assert_true(addr_parse_ip(str_of(host), 0, &a));
    return cidr_contains(&c, &a.ip);
}

static void test_prefixes(void **state)
{
    (void)state;
    assert_true(inside("10.0.0.0/8", "10.255.0.1"));
    assert_false(inside("10.0.0.0/8", "11.0.0.1"));
    assert_true(inside("10.0.0.128/25", "10.0.0.200"));
    assert_false(inside("10.0.0.128/25", "10.0.0.127"));
    assert_true(inside("10.0.0.1", "10.0.0.1"));
    assert_false(inside("10.0.0.1", "10.0.0.2"));
    assert_true(inside("0.0.0.0/0", "8.8.8.8"));
    assert_false(inside("0.0.0.0/0", "::1"));
    assert_true(inside("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_true(inside("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_true(inside("fe80::/10", "febf::1"));
    assert_false(inside("fe80::/10", "fec0::1"));
    static const char *const bad[] = {"10.0.0.0/33", "::/129", "10.0.0.0/",
                                      "10.0.0.0/-1", "/8",     "a/8"};
    struct cidr c;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(cidr_parse(str_of(bad[i]), &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
