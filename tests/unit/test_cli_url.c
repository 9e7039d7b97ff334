// SPDX-License-Identifier: MIT
// The URLs that `evlb explain route` takes.
#include "cli/explain.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void accepted(void **state)
{
    (void)state;
    static const struct {
        const char *url, *scheme, *authority, *target;
        uint16_t port;
        bool explicit_port;
    } cases[] = {
        {"http://shop.example.com/x?y=1", "http", "shop.example.com", "/x?y=1", 80, false},
        {"https://shop.example.com", "https", "shop.example.com", "/", 443, false},
        {"http://a:8080/x#part", "http", "a:8080", "/x", 8080, true},
        {"tls://shop.example.com", "tls", "shop.example.com", "/", 443, false},
        {"tls://shop.example.com:8443", "tls", "shop.example.com:8443", "/", 8443, true},
        {"tcp://db:3306", "tcp", "db:3306", "/", 3306, true},
        {"shop.example.com/x", "", "shop.example.com", "/x", 0, false},
        {"a:81", "", "a:81", "/", 81, true},
        {"[::1]:81/x", "", "[::1]:81", "/x", 81, true},
        {"/x/y", "", "", "/x/y", 0, false},
        {"/go?to=http://x/", "", "", "/go?to=http://x/", 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct explained_url u;
        if (!explain_url_parse(str_of(cases[i].url), &u))
            print_error("refused: %s\n", cases[i].url);
        assert_true(explain_url_parse(str_of(cases[i].url), &u));
        assert_true(str_eq(u.scheme, str_of(cases[i].scheme)));
        assert_true(str_eq(u.authority, str_of(cases[i].authority)));
        assert_true(str_eq(u.target, str_of(cases[i].target)));
        assert_int_equal(u.port, cases[i].port);
        assert_true(u.explicit_port == cases[i].explicit_port);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "ftp://a/x",
        "http://",
        "http:///x",
        "a:99999/x",
        "http://u@a/",
        "http://a b/",
        "http://a?x",
        "http://[::1/x",
        "http://a:x/",
        "?x",
    };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct explained_url u;
        if (explain_url_parse(str_of(urls[i]), &u))
            print_error("accepted: %s\n", urls[i]);
        assert_false(explain_url_parse(str_of(urls[i]), &u));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
