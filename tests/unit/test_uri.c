// SPDX-License-Identifier: MIT
// Normal forms of paths and hosts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/uri.h"

// Runs with exactly the room that is needed, and with one byte less.
static void path_is(const char *target, const char *want)
{
    size_t n = 0, room = strlen(target);
    char *exact = malloc(room + 1);
    assert_non_null(exact);
    if (!uri_normalise(str_of(target), exact, room, &n))
        fail_msg("%s was refused", target);
    if (!str_eq((struct str){exact, n}, str_of(want)))
        fail_msg("%s became %.*s, not %s", target, (int)n, exact, want);
    char *again = malloc(n);
    assert_non_null(again);
    assert_true(uri_normalise((struct str){exact, n}, again, n, &room)); // its own normal form
    assert_int_equal(room, n);
    assert_memory_equal(again, exact, n);
    assert_false(uri_normalise((struct str){exact, n}, again, n - 1, &room));
    free(again);
    free(exact);
}

static void test_paths(void **state)
{
    (void)state;
    path_is("/", "/");
    path_is("*", "/");
    path_is("/a/b?c/../d", "/a/b");
    path_is("/?", "/");
    path_is("/%73ecret", "/secret");
    path_is("/%41%7a%2D%2e%5F%7E", "/Az-._~");
    path_is("/a%2fb%3f%c3%a9", "/a/b%3F%C3%A9");
    path_is("/secret%2Fx", "/secret/x");
    path_is("/%2F%2fa", "/a");
    path_is("/%252e%252e/a", "/%252e%252e/a");
    path_is("/a/../secret", "/secret");
    path_is("/a/%2e%2E/secret", "/secret");
    path_is("/a/.%2e/secret", "/secret");
    path_is("/a/b/../..//c/./d/.", "/c/d/");
    path_is("/a/b/..", "/a/");
    path_is("/a/..", "/");
    path_is("/..", "/");
    path_is("/../../x", "/x");
    path_is("/.", "/");
    path_is("//a///b//", "/a/b/");
    path_is("/...", "/...");
    path_is("/.a/..b/c.", "/.a/..b/c.");
    path_is("/a/.?/..", "/a/");
    path_is("/a/b@c:d!=$", "/a/b@c:d!=$");
}

// Tomcat, Jetty and others read "/admin;x" as "/admin".
static void test_parameters(void **state)
{
    (void)state;
    path_is("/a;x=1/b", "/a/b");
    path_is("/admin;", "/admin");
    path_is("/admin;x;y=%C3%A9?z", "/admin");
    path_is("/admin%3bx", "/admin");
    path_is("/admin%3Bx/y", "/admin/y");
    path_is("/x;y/../admin", "/admin");
    path_is("/;x/admin", "/admin");
    path_is("/;x", "/");
    path_is("/admin/;x", "/admin/");
    path_is("/.;x/admin", "/admin");
    path_is("/admin%253bx", "/admin%253bx");
}

// What one server reads as "/admin" is "/public/..;/admin" to another.
static void test_paths_that_servers_read_differently(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "/public/..;/admin", "/public/..;",    "/..;x=1/admin",      "/a/..%3b/b",
        "/a/%2e%2e;/b",      "/a/.%2E;x",      "/admin/;x/..",       "/admin/;x/../",
        "/admin/.;x/..",     "/admin//..",     "/admin//../b",       "//..",
        "/a/..%2fsecret",    "/a%2f../secret", "/a/x%2F..%2F../b",   "/a%2Fb/../../c",
        "/admin;x%2Fy",      "/a;%2f../b",     "/admin;x%2f%2e%2e/", "/a%3bx%2f..",
    };
    char out[100];
    size_t n;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (uri_normalise(str_of(bad[i]), out, sizeof(out), &n))
            fail_msg("%s became %.*s", bad[i], (int)n, out);
}

static void test_bad_paths(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR(""),      STR("a"),    STR("**"),   STR("http://a/"), STR("/%"),
        STR("/%4"),   STR("/%4g"), STR("/%g4"), STR("/%00"),      STR("/a%00b"),
        STR("/a\0b"), STR("/a b"), STR("/a#b"), STR("/\xc3"),     STR("/a\x7f"),
        STR("/%-1"),  STR("/%+1"), STR("/% 1"), STR("/a;%0"),     STR("/a; "),
    };
    char out[100];
    size_t n;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(uri_normalise(bad[i], out, sizeof(out), &n));
    assert_false(uri_normalise(STR("/"), out, 0, &n));
}

static void host_is(const char *authority, const char *want)
{
    char out[100];
    size_t n, need = strlen(want);
    if (!uri_host(str_of(authority), out, sizeof(out), &n))
        fail_msg("%s was refused", authority);
    if (!str_eq((struct str){out, n}, str_of(want)))
        fail_msg("%s became %.*s", authority, (int)n, out);
    char *exact = malloc(need);
    assert_non_null(exact);
    assert_true(uri_host(str_of(authority), exact, need, &n));
    assert_false(uri_host(str_of(authority), exact, need - 1, &n));
    free(exact);
}

static void test_hosts(void **state)
{
    (void)state;
    host_is("a", "a");
    host_is("WWW.Example.COM", "www.example.com");
    host_is("www.example.com:8080", "www.example.com");
    host_is("a:", "a");
    host_is("a.:65535", "a");
    host_is(".", ".");
    host_is("127.0.0.1:0", "127.0.0.1");
    host_is("a_b~c!$&'()*+;=", "a_b~c!$&'()*+;=");
    host_is("[::1]", "[::1]");
    host_is("[2001:DB8::A]:443", "[2001:db8::a]");
    host_is("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]");
    host_is("[fe80::1%25eth0]:80", "[fe80::1]");
}

static void test_bad_hosts(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR(""),
        STR(":80"),
        STR("u@a"),
        STR("a,b"),
        STR("a b"),
        STR(" a"),
        STR("a/"),
        STR("a?"),
        STR("a#"),
        STR("a\\b"),
        STR("a:b"),
        STR("a:80:80"),
        STR("a:65536"),
        STR("a:+1"),
        STR("a: 1"),
        STR("a:000080"),
        STR("a%41"),
        STR("a\0b"),
        STR("\xc3\xa9"),
        STR("a\x7f"),
        STR("::1"),
        STR("[::1"),
        STR("[]"),
        STR("[::1]x"),
        STR("[::1]80"),
        STR("[1.2.3.4]"),
        STR("[::1\0]"),
        STR("[::1%eth0]"),
        STR("[::1%25]"),
        STR("[::1%25a b]"),
        STR("[v1.a]"),
        STR("[::1]:99999"),
        STR("a[::1]"),
        STR("\"a\""),
        STR("[1111:2222:3333:4444:5555:6666:7777:8888:1111:2222:3333:4444]"),
    };
    char out[100];
    size_t n;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (uri_host(bad[i], out, sizeof(out), &n))
            fail_msg("%.*s was accepted", STR_FMT(bad[i]));
    }
    assert_false(uri_host(STR_NONE, out, sizeof(out), &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_paths_that_servers_read_differently),
        cmocka_unit_test(test_bad_paths),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_bad_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
