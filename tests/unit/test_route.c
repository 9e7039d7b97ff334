// SPDX-License-Identifier: MIT
// Routes: which one takes a request, and where a redirect sends.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/route.h"

#define HOSTS(...)                                                                                 \
    .hosts = (const struct host_pattern[]){__VA_ARGS__},                                           \
    .n_hosts = ARRAY_LEN(((const struct host_pattern[]){__VA_ARGS__}))
#define PATHS(...)                                                                                 \
    .paths = (const struct str[]){__VA_ARGS__},                                                    \
    .n_paths = ARRAY_LEN(((const struct str[]){__VA_ARGS__}))
#define NAME(text)                                                                                 \
    {                                                                                              \
        STR(text), false                                                                           \
    }
#define BELOW(text)                                                                                \
    {                                                                                              \
        STR(text), true                                                                            \
    }

// The number of the route that takes the request, -1 for none.
static int find(const struct route *routes, uint32_t n, const char *host, const char *path)
{
    struct frontend f = {.routes = routes, .n_routes = n};
    const struct route *r =
        route_find(&f, &(struct route_facts){.host = str_of(host), .path = str_of(path)});
    return r != NULL ? (int)(r - routes) : -1;
}

// Whether a connection with these facts is taken by a route with these conditions.
static bool tls_fits(struct tls_conditions over, struct route_tls_facts facts, bool tls)
{
    const struct route r = {.over = over};
    const struct frontend f = {.routes = &r, .n_routes = 1};
    return route_find(&f, &(struct route_facts){.over = facts, .tls = tls}) != NULL;
}

static void conditions_of_tls(void **state)
{
    (void)state;
    static const struct host_pattern sni = BELOW(".a.test");
    const struct route_tls_facts facts = {.version = ROUTE_TLS_1_3,
                                          .sni = STR("x.a.test"),
                                          .cipher = STR("C"),
                                          .subject = STR("CN=ops,O=Example"),
                                          .client_cert = true};
    struct route_tls_facts other = {.version = ROUTE_TLS_1_2, .resumed = true};
    const struct tls_conditions each[] = {
        {.snis = &sni, .n_snis = 1},
        {.subject = STR("CN=ops,O=Example")},
        {.subject = STR("CN=ops,*")},
        {.subject = STR("*,O=Example")},
        {.subject = STR("*")},
        {.cipher = STR("C")},
        {.cert = ROUTE_CERT_VERIFIED},
        {.version = ROUTE_TLS_1_3},
        {.resumed = ROUTE_RESUMED_FALSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(each); i++) {
        const struct route r = {.over = each[i]};
        assert_true(route_looks_at_tls(&r));
        assert_true(tls_fits(each[i], facts, true));
        assert_false(tls_fits(each[i], other, true));
        assert_false(tls_fits(each[i], (struct route_tls_facts){0}, false));
    }
    assert_true(tls_fits((struct tls_conditions){.cert = ROUTE_CERT_NONE}, other, true));
    assert_true(tls_fits((struct tls_conditions){.cert = ROUTE_CERT_NONE},
                         (struct route_tls_facts){0}, false));
    assert_false(tls_fits((struct tls_conditions){.cert = ROUTE_CERT_NONE}, facts, true));
    assert_false(tls_fits((struct tls_conditions){.subject = STR("CN=ops")}, facts, true));
    assert_false(tls_fits((struct tls_conditions){.subject = STR("O=Example*")}, facts, true));
    assert_true(tls_fits((struct tls_conditions){0}, facts, true));
    other.client_cert = true; // without a subject
    assert_false(tls_fits((struct tls_conditions){.subject = STR("CN=*")}, other, true));
}

static bool host_fits(struct host_pattern pattern, const char *host)
{
    const struct route r = {.hosts = &pattern, .n_hosts = 1};
    return find(&r, 1, host, "/") == 0;
}

static bool path_fits(struct str prefix, const char *path)
{
    const struct route r = {.paths = &prefix, .n_paths = 1};
    return find(&r, 1, "", path) == 0;
}

static void a_route_without_conditions_takes_everything(void **state)
{
    (void)state;
    const struct route r = {.action = ROUTE_BACKEND};
    assert_int_equal(find(&r, 1, "", "/"), 0);
    assert_int_equal(find(&r, 1, "any.example.com", "/x"), 0);
    assert_int_equal(find(&r, 1, "any.example.com", "*"), 0);
    assert_int_equal(find(&r, 0, "any.example.com", "/x"), -1);
}

// What a TLS client asks for: the number of the route that takes its connection.
static int find_hello(const struct route *routes, uint32_t n, const char *host, const char *alpn)
{
    struct frontend f = {.routes = routes, .n_routes = n};
    const struct str offered[] = {STR("x"), str_of(alpn)};
    const struct route *r = route_of_hello(
        &f, &(struct route_facts){.host = str_of(host), .alpn = offered, .n_alpn = 2});
    return r != NULL ? (int)(r - routes) : -1;
}

static void passthrough_is_decided_by_the_hello(void **state)
{
    (void)state;
    const struct str h2 = STR("h2");
    const struct route routes[] = {
        {PATHS(STR("/api"))}, // needs a request
        {HOSTS(NAME("a.b")), .alpns = &h2, .n_alpns = 1, .tls = ROUTE_PASSTHROUGH},
        {HOSTS(NAME("a.b"), NAME("c.d"))},
        {HOSTS(BELOW(".d")), .tls = ROUTE_PASSTHROUGH},
        {.action = ROUTE_REDIRECT, .redirect = STR("https")},
        {.alpns = &h2, .n_alpns = 1},
    };
    assert_int_equal(find_hello(routes, 6, "a.b", "h2"), 1);
    assert_int_equal(find_hello(routes, 6, "a.b", "http/1.1"), 2);
    assert_int_equal(find_hello(routes, 6, "c.d", "h2"), 2);
    assert_int_equal(find_hello(routes, 6, "x.d", "http/1.1"), 3);
    assert_int_equal(find_hello(routes, 6, "", "h2"), 5);
    assert_int_equal(find_hello(routes, 6, "", "http/1.1"), -1);
    // requests never go there
    assert_int_equal(find(routes, 6, "a.b", "/x"), 2);
    assert_int_equal(find(routes, 6, "x.d", "/api/x"), 0);
    assert_int_equal(find(routes, 4, "x.d", "/x"), -1);
    struct frontend f = {.routes = routes, .n_routes = 1};
    assert_false(route_needs_hello(&f));
    assert_false(route_has_passthrough(&f));
    f.n_routes = 2;
    assert_true(route_needs_hello(&f));
    assert_true(route_has_passthrough(&f));
}

// Where TLS may still end, nothing is known of it; where none does, there will be no certificate.
static void what_only_tls_that_ends_here_can_tell(void **state)
{
    (void)state;
    const struct route routes[] = {
        {HOSTS(NAME("a.b")), .over = {.cert = ROUTE_CERT_VERIFIED}},
        {HOSTS(NAME("a.b")), .over = {.cert = ROUTE_CERT_NONE}},
        {.over = {.version = ROUTE_TLS_1_3}},
        {.tls = ROUTE_PASSTHROUGH},
    };
    const struct frontend f = {.routes = routes, .n_routes = ARRAY_LEN(routes)};
    const struct route_facts plain = {.host = STR("a.b")}, tls = {.host = STR("a.b"), .tls = true};
    assert_ptr_equal(route_of_hello(&f, &plain), &routes[1]);
    assert_ptr_equal(route_of_hello(&f, &tls), &routes[3]);
    assert_ptr_equal(route_of_hello(&f, &(struct route_facts){0}), &routes[3]);
}

static void https_redirects_never_take_what_came_over_tls(void **state)
{
    (void)state;
    const struct route routes[] = {
        {.action = ROUTE_REDIRECT, .redirect = STR("https")},
        {.action = ROUTE_REDIRECT, .redirect = STR("https://other.example.com/"), PATHS(STR("/o"))},
        {.action = ROUTE_BACKEND},
    };
    struct frontend f = {.routes = routes, .n_routes = 3};
    struct route_facts facts = {.host = STR("a.b"), .path = STR("/o")};
    assert_ptr_equal(route_find(&f, &facts), &routes[0]);
    facts.secure = true;
    assert_ptr_equal(route_find(&f, &facts), &routes[1]);
    facts.path = STR("/p");
    assert_ptr_equal(route_find(&f, &facts), &routes[2]);
    f.n_routes = 1;
    assert_null(route_find(&f, &facts));
    // to a proxy over TLS that says the client spoke plainly to it
    facts = (struct route_facts){.host = STR("a.b"), .path = STR("/o"), .tls = true};
    assert_ptr_equal(route_find(&f, &facts), &routes[0]);
}

static void hosts_are_matched_whole(void **state)
{
    (void)state;
    const struct host_pattern shop = NAME("shop.example.com");
    assert_true(host_fits(shop, "shop.example.com"));
    assert_false(host_fits(shop, "www.shop.example.com"));
    assert_false(host_fits(shop, "shop.example.com.evil.org"));
    assert_false(host_fits(shop, "hop.example.com"));
    assert_false(host_fits(shop, ""));
}

static void wildcards_take_one_or_more_labels(void **state)
{
    (void)state;
    const struct host_pattern any = BELOW(".example.com");
    assert_true(host_fits(any, "a.example.com"));
    assert_true(host_fits(any, "a.b.example.com"));
    assert_false(host_fits(any, "example.com"));
    assert_false(host_fits(any, ".example.com"));
    assert_false(host_fits(any, "..example.com"));
    assert_false(host_fits(any, "aexample.com"));
    assert_false(host_fits(any, "a.example.com.org"));
    assert_false(host_fits(any, ""));
}

static void prefixes_end_at_a_segment_border(void **state)
{
    (void)state;
    assert_true(path_fits(STR("/api"), "/api"));
    assert_true(path_fits(STR("/api"), "/api/x"));
    assert_true(path_fits(STR("/api"), "/api/"));
    assert_false(path_fits(STR("/api"), "/apix"));
    assert_false(path_fits(STR("/api"), "/ap"));
    assert_true(path_fits(STR("/api/"), "/api/"));
    assert_true(path_fits(STR("/api/"), "/api/x/y"));
    assert_false(path_fits(STR("/api/"), "/api"));
    assert_true(path_fits(STR("/"), "/"));
    assert_true(path_fits(STR("/"), "/x"));
    assert_false(path_fits(STR("/"), "*"));
    assert_false(path_fits(STR("/api"), "/API"));
}

static void any_of_the_hosts_and_any_of_the_paths(void **state)
{
    (void)state;
    const struct route r = {HOSTS(NAME("a.org"), BELOW(".b.org")), PATHS(STR("/x"), STR("/y/"))};
    assert_int_equal(find(&r, 1, "a.org", "/x"), 0);
    assert_int_equal(find(&r, 1, "www.b.org", "/y/1"), 0);
    assert_int_equal(find(&r, 1, "b.org", "/x"), -1);
    assert_int_equal(find(&r, 1, "a.org", "/z"), -1);
    assert_int_equal(find(&r, 1, "", "/x"), -1);
}

static void the_first_match_wins(void **state)
{
    (void)state;
    const struct route routes[] = {
        {HOSTS(NAME("a.org")), PATHS(STR("/admin"))},
        {PATHS(STR("/admin")), .action = ROUTE_DENY, .status = 403},
        {HOSTS(BELOW(".org"))},
        {HOSTS(NAME("a.org"))},
    };
    assert_int_equal(find(routes, 4, "a.org", "/admin/x"), 0);
    assert_int_equal(find(routes, 4, "b.org", "/admin/x"), 1);
    assert_int_equal(find(routes, 4, "a.org", "/"), 2);
    assert_int_equal(find(routes, 4, "a.com", "/"), -1);
}

static bool needs(bool (*question)(const struct frontend *), struct route last)
{
    const struct route routes[] = {{.action = ROUTE_DENY}, last};
    return question(&(struct frontend){.routes = routes, .n_routes = 2});
}

static void says_what_it_looks_at(void **state)
{
    (void)state;
    const struct route plain = {.action = ROUTE_BACKEND};
    const struct route host = {HOSTS(NAME("a.org"))}, path = {PATHS(STR("/a"))};
    const struct route https = {.action = ROUTE_REDIRECT, .redirect = STR("https")};
    const struct route away = {.action = ROUTE_REDIRECT, .redirect = STR("https://b.org/")};
    assert_false(needs(route_needs_host, plain));
    assert_true(needs(route_needs_host, host));
    assert_false(needs(route_needs_host, path));
    assert_true(needs(route_needs_host, https)); // its Location holds the host
    assert_false(needs(route_needs_host, away));
    assert_false(needs(route_needs_path, plain));
    assert_false(needs(route_needs_path, host));
    assert_true(needs(route_needs_path, path));
}

// ---- Location ---------------------------------------------------------------------------------

static void expect_location_of(const struct route *r, const char *host, const char *target,
                               const char *expected)
{
    char out[256], small[256];
    size_t n = route_location(r, str_of(host), str_of(target), out, sizeof(out) - 1);
    out[n] = 0;
    assert_string_equal(out, expected);
    for (size_t size = 0; size < n; size++) // what does not fit is not cut
        assert_int_equal(route_location(r, str_of(host), str_of(target), small, size), 0);
    if (n > 0)
        assert_int_equal(route_location(r, str_of(host), str_of(target), small, n), n);
}

static void expect_https(const char *host, const char *target, const char *expected)
{
    expect_location_of(&(struct route){.action = ROUTE_REDIRECT, .redirect = STR("https")}, host,
                       target, expected);
}

static void https_may_have_a_port(void **state)
{
    (void)state;
    struct route r = {.action = ROUTE_REDIRECT, .redirect = STR("https:8443")};
    assert_true(route_is_to_https(&r));
    expect_location_of(&r, "a.org", "/x?y", "https://a.org:8443/x?y");
    expect_location_of(&r, "[::1]", "/", "https://[::1]:8443/");
    r.redirect = STR("https:443");
    expect_location_of(&r, "a.org", "/x", "https://a.org/x");
    r.redirect = STR("https://b.org/");
    assert_false(route_is_to_https(&r));
}

static void expect_location(const char *path, const char *redirect, const char *target,
                            const char *expected)
{
    struct str prefix = str_of(path);
    struct route r = {.action = ROUTE_REDIRECT, .redirect = str_of(redirect)};
    r.paths = &prefix;
    r.n_paths = prefix.len > 0;
    expect_location_of(&r, "h.org", target, expected);
}

static void https_keeps_host_and_target(void **state)
{
    (void)state;
    expect_https("a.org", "/", "https://a.org/");
    expect_https("a.org", "", "https://a.org/");
    expect_https("a.org", "/x/y?z=1&w", "https://a.org/x/y?z=1&w");
    expect_https("a.org", "//b.org/", "https://a.org//b.org/");
    expect_https("10.0.0.1", "/", "https://10.0.0.1/");
    expect_https("::1", "/x", "https://[::1]/x");
    expect_https("[::1]", "/x", "https://[::1]/x");
}

static void https_needs_a_sound_host(void **state)
{
    (void)state;
    expect_https("", "/", "");
    expect_https("a.org/b", "/", "");
    expect_https("a.org\\b", "/", "");
    expect_https("b.org@a.org", "/", "");
    expect_https("a.org?", "/", "");
    expect_https("a.org#", "/", "");
    expect_https("a.org\r\nX: 1", "/", "");
    expect_https("a .org", "/", "");
    expect_https("a\x80.org", "/", "");
}

static void a_url_with_slash_gets_the_rest(void **state)
{
    (void)state;
    const char *new = "https://www.example.com/new/";
    expect_location("/old/", new, "/old/", "https://www.example.com/new/");
    expect_location("/old/", new, "/old/a/b?c=d", "https://www.example.com/new/a/b?c=d");
    expect_location("/old/", new, "/old/?c", "https://www.example.com/new/?c");
    expect_location("/old", new, "/old", "https://www.example.com/new/");
    expect_location("/old", new, "/old/a", "https://www.example.com/new/a");
    expect_location("/old", new, "/old?c=/old", "https://www.example.com/new/?c=/old");
    expect_location("", new, "/a/b?c", "https://www.example.com/new/a/b?c");
    expect_location("", new, "", "https://www.example.com/new/");
    expect_location("/", "/new/", "/a%20b", "/new/a%20b");
}

static void a_url_without_slash_stands_alone(void **state)
{
    (void)state;
    expect_location("/old/", "https://b.org/new", "/old/a?b", "https://b.org/new");
    expect_location("", "/login?next=home", "/old/a?b", "/login?next=home");
}

static void the_first_matching_prefix_is_cut(void **state)
{
    (void)state;
    const struct route r = {PATHS(STR("/a/b/"), STR("/a/")), .action = ROUTE_REDIRECT,
                            .redirect = STR("/n/")};
    expect_location_of(&r, "", "/a/b/c", "/n/c");
    expect_location_of(&r, "", "/a/x", "/n/x");
}

// Matched in normal form only: what stands behind the prefix cannot be told from the bytes.
static void an_odd_target_gets_the_url_alone(void **state)
{
    (void)state;
    expect_location("/old/", "/new/", "//old/a", "/new/");
    expect_location("/old/", "/new/", "/x/../old/a", "/new/");
    expect_location("/old/", "/new/", "/%6fld/a", "/new/");
}

static void a_client_cannot_choose_the_host(void **state)
{
    (void)state;
    expect_location("", "/", "//evil.org/", "/evil.org/");
    expect_location("/old/", "/", "/old//evil.org", "/evil.org");
    expect_location("/old/", "/", "/old///evil.org", "/evil.org");
    expect_location("/old/", "/", "/old/\\evil.org", "/%5Cevil.org");
    expect_location("/old/", "/", "/old//\\/evil.org", "/%5C/evil.org");
    expect_location("", "https://a.org/", "/@evil.org", "https://a.org/@evil.org");
}

static void nothing_ends_the_header_line(void **state)
{
    (void)state;
    expect_https("a.org", "/\r\nSet-Cookie: x=1", "");
    expect_https("a.org", "/\nx", "");
    expect_https("a.org", "/a b", "");
    expect_https("a.org", "/\tx", "");
    expect_https("a.org", "/\x7f", "");
    expect_location("", "/new/", "/a\r", "");
    expect_location("", "/new\r\n/", "/a", "");
    const struct route https = {.action = ROUTE_REDIRECT, .redirect = STR("https")};
    char out[64];
    assert_int_equal(route_location(&https, STR("a.org"), STR("/a\0b"), out, sizeof(out)), 0);
    assert_int_equal(route_location(&https, STR("a\0.org"), STR("/a"), out, sizeof(out)), 0);
}

static void a_target_must_be_a_path(void **state)
{
    (void)state;
    expect_https("a.org", "*", "");
    expect_https("a.org", "b.org:443", "");
    expect_https("a.org", "@b.org/", "");
}

static void what_no_uri_may_hold_is_encoded(void **state)
{
    (void)state;
    expect_https("a.org", "/\xc3\xa4?\xc3\x9f", "https://a.org/%C3%A4?%C3%9F");
    expect_https("a.org", "/\"<>\\^`{|}#", "https://a.org/%22%3C%3E%5C%5E%60%7B%7C%7D%23");
    expect_https("a.org", "/%41-._~!$&'()*+,;=:@[]", "https://a.org/%41-._~!$&'()*+,;=:@[]");
    expect_location("", "/n\xc3\xa4u/", "/a", "/n%C3%A4u/a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_without_conditions_takes_everything),
        cmocka_unit_test(passthrough_is_decided_by_the_hello),
        cmocka_unit_test(what_only_tls_that_ends_here_can_tell),
        cmocka_unit_test(https_redirects_never_take_what_came_over_tls),
        cmocka_unit_test(hosts_are_matched_whole),
        cmocka_unit_test(wildcards_take_one_or_more_labels),
        cmocka_unit_test(prefixes_end_at_a_segment_border),
        cmocka_unit_test(any_of_the_hosts_and_any_of_the_paths),
        cmocka_unit_test(the_first_match_wins),
        cmocka_unit_test(says_what_it_looks_at),
        cmocka_unit_test(https_keeps_host_and_target),
        cmocka_unit_test(https_needs_a_sound_host),
        cmocka_unit_test(a_url_with_slash_gets_the_rest),
        cmocka_unit_test(a_url_without_slash_stands_alone),
        cmocka_unit_test(the_first_matching_prefix_is_cut),
        cmocka_unit_test(https_may_have_a_port),
        cmocka_unit_test(an_odd_target_gets_the_url_alone),
        cmocka_unit_test(a_client_cannot_choose_the_host),
        cmocka_unit_test(conditions_of_tls),
        cmocka_unit_test(nothing_ends_the_header_line),
        cmocka_unit_test(a_target_must_be_a_path),
        cmocka_unit_test(what_no_uri_may_hold_is_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
