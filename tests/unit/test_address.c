// SPDX-License-Identifier: MIT
// Addresses of listeners and servers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf/address.h"

static void listen_is(const char *text, enum address_result expected, const char *formatted)
{
    struct address a;
    char out[ADDR_TEXT] = "";
    enum address_result r = address_parse_listen(str_of(text), &a);
    if (r == ADDRESS_OK)
        addr_format(&a.addr, out);
    if (r != expected || (r == ADDRESS_OK && strcmp(out, formatted) != 0))
        fail_msg("listen '%s': %d %s", text, r, out);
}

static void server_is(const char *text, enum address_result expected, const char *host,
                      uint16_t port)
{
    struct address a;
    enum address_result r = address_parse_server(str_of(text), &a);
    if (r != expected)
        fail_msg("server '%s': %d", text, r);
    if (r == ADDRESS_OK && (!str_eq(a.host, str_of(host)) || a.port != port))
        fail_msg("server '%s': '%.*s' %u", text, STR_FMT(a.host), a.port);
}

static void test_listen(void **state)
{
    (void)state;
    struct address a;
    listen_is("80", ADDRESS_OK, "[::]:80");
    listen_is(":80", ADDRESS_OK, "[::]:80");
    listen_is("*:80", ADDRESS_OK, "[::]:80");
    listen_is("10.0.0.1:80", ADDRESS_OK, "10.0.0.1:80");
    listen_is("0.0.0.0:80", ADDRESS_OK, "0.0.0.0:80");
    listen_is("[::1]:80", ADDRESS_OK, "[::1]:80");
    listen_is("unix:/run/x.sock", ADDRESS_OK, "unix:/run/x.sock");
    assert_int_equal(address_parse_listen(STR("80"), &a), ADDRESS_OK);
    assert_true(a.bare);
    assert_int_equal(address_parse_listen(STR("[::]:80"), &a), ADDRESS_OK);
    assert_false(a.bare);
}

static void test_refused_listen(void **state)
{
    (void)state;
    listen_is("", ADDRESS_BAD_PORT, NULL);
    listen_is("0", ADDRESS_BAD_PORT, NULL);
    listen_is("65536", ADDRESS_BAD_PORT, NULL);
    listen_is("10.0.0.1", ADDRESS_NO_PORT, NULL);
    listen_is("[::1]", ADDRESS_NO_PORT, NULL);
    listen_is("localhost:80", ADDRESS_NAME, NULL);
    listen_is("::1:80", ADDRESS_BARE_IPV6, NULL);
    listen_is("http://x:80", ADDRESS_URL, NULL);
    listen_is("80 ssl", ADDRESS_WORDS, NULL);
    listen_is("unix:", ADDRESS_BAD_UNIX, NULL);
    listen_is("unix:x", ADDRESS_BAD_UNIX, NULL);
    listen_is("[::1:80", ADDRESS_BAD_HOST, NULL);
    listen_is("[::1]80", ADDRESS_BAD_PORT, NULL);
    listen_is("[x::1]:80", ADDRESS_BAD_HOST, NULL);
    listen_is("10.0.0.1:080000", ADDRESS_BAD_PORT, NULL);
}

static void test_servers(void **state)
{
    (void)state;
    struct address a;
    server_is("10.0.0.1:80", ADDRESS_OK, "10.0.0.1", 80);
    server_is("[::1]:65535", ADDRESS_OK, "::1", 65535);
    server_is("app.internal:8080", ADDRESS_OK, "app.internal", 8080);
    server_is("app_1:1", ADDRESS_OK, "app_1", 1);
    server_is("app.internal.:80", ADDRESS_OK, "app.internal.", 80);
    server_is("unix:/run/x.sock", ADDRESS_OK, "", 0);
    assert_int_equal(address_parse_server(STR("app:80"), &a), ADDRESS_OK);
    assert_int_equal(a.addr.len, 0);
    assert_int_equal(address_parse_server(STR("127.0.0.1:80"), &a), ADDRESS_OK);
    assert_true(a.addr.len > 0);
}

static void test_refused_servers(void **state)
{
    (void)state;
    server_is("", ADDRESS_BAD_HOST, NULL, 0);
    server_is("10.0.0.1", ADDRESS_NO_PORT, NULL, 0);
    server_is("[::1]", ADDRESS_NO_PORT, NULL, 0);
    server_is("app", ADDRESS_NO_PORT, NULL, 0);
    server_is("8080", ADDRESS_PORT_ONLY, NULL, 0);
    server_is(":8080", ADDRESS_PORT_ONLY, NULL, 0);
    server_is("300.1.1.1:80", ADDRESS_BAD_HOST, NULL, 0);
    server_is("a b:80", ADDRESS_WORDS, NULL, 0);
    server_is("a!:80", ADDRESS_BAD_HOST, NULL, 0);
    server_is("10.0.0.1:http", ADDRESS_BAD_PORT, NULL, 0);
    server_is("https://a", ADDRESS_URL, NULL, 0);
}

static void test_host_names(void **state)
{
    (void)state;
    char label[65];
    memset(label, 'a', sizeof(label));
    assert_true(address_is_host_name(STR("a")));
    assert_true(address_is_host_name(STR("a-b.c_d.example.")));
    assert_true(address_is_host_name((struct str){label, 63}));
    assert_false(address_is_host_name((struct str){label, 64}));
    assert_false(address_is_host_name(STR("")));
    assert_false(address_is_host_name(STR(".")));
    assert_false(address_is_host_name(STR("a..b")));
    assert_false(address_is_host_name(STR("-a")));
    assert_false(address_is_host_name(STR("a-.b")));
    assert_false(address_is_host_name(STR("1.2.3.4")));
    assert_false(address_is_host_name(STR("a/b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen),     cmocka_unit_test(test_refused_listen),
        cmocka_unit_test(test_servers),    cmocka_unit_test(test_refused_servers),
        cmocka_unit_test(test_host_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
