// SPDX-License-Identifier: MIT
// What the last phase accepts and warns about; what it refuses is in tests/data/bad (test_diag.c).
#include "conf_test.h"

// Loads what must load; site.pem is there.
static struct config *load_with_cert(const char *text, struct findings *f)
{
    const struct memory_file files[] = {{"site.pem", "-----BEGIN CERTIFICATE-----"}, {NULL, NULL}};
    struct memory memory = {files, NULL};
    struct config_source source = memory_source(&memory, "t.yaml", text);
    findings_init(f);
    struct config *c = config_load(&source, f);
    if (c == NULL)
        findings_print(f, stderr, FINDINGS_TEXT, false);
    assert_non_null(c);
    return c;
}

// The ids of all warnings of a file that loads, in order.
static void assert_warnings(const char *text, const char *expected)
{
    struct findings f;
    char ids[512] = "";
    struct config *c = load_with_cert(text, &f);
    for (size_t i = 0; i < f.count; i++) {
        size_t n = strlen(ids);
        snprintf(ids + n, sizeof(ids) - n, "%s:%u ", f.items[i].id, f.items[i].line);
    }
    assert_string_equal(ids, expected);
    findings_free(&f);
    arena_free(c->arena);
}

#define ROUTES(list) "listen: 80\nroutes:\n" list "backends: {b: [10.0.0.1:80]}\n"

static void test_reachable(void **state)
{
    (void)state;
    assert_warnings(
        ROUTES("  - {path: /a, backend: b}\n  - {path: /b, backend: b}\n  - {backend: b}\n"), "");
    assert_warnings(ROUTES("  - {path: /a/b, backend: b}\n  - {path: /a, backend: b}\n"), "");
    assert_warnings(ROUTES("  - {path: /api, backend: b}\n  - {path: /apix, backend: b}\n"), "");
    assert_warnings(ROUTES("  - {path: /api/, backend: b}\n  - {path: /api, backend: b}\n"), "");
    assert_warnings(ROUTES("  - {host: a.b, backend: b}\n  - {host: \"*.a.b\", backend: b}\n"), "");
    assert_warnings(ROUTES("  - {host: \"*.a.b\", backend: b}\n  - {host: a.b, backend: b}\n"), "");
    assert_warnings(ROUTES("  - {host: a.b, path: /x, backend: b}\n  - {path: /x, backend: b}\n"),
                    "");
    assert_warnings(ROUTES("  - {host: a.b, path: /x, backend: b}\n  - {host: a.b, backend: b}\n"),
                    "");
    assert_warnings(
        ROUTES("  - {host: [a.b, c.d], deny: 403}\n  - {host: [a.b, e.f], backend: b}\n"), "");
}

static void test_unreachable(void **state)
{
    (void)state;
    assert_warnings(ROUTES("  - {backend: b}\n  - {path: /a, backend: b}\n"),
                    "lint.unreachable:4 ");
    assert_warnings(ROUTES("  - {path: /, backend: b}\n  - {path: /a, backend: b}\n"),
                    "lint.unreachable:4 ");
    assert_warnings(ROUTES("  - {path: /a, backend: b}\n  - {path: [/a/b, /a], backend: b}\n"),
                    "lint.unreachable:4 ");
    assert_warnings(ROUTES("  - {path: /a/, backend: b}\n  - {path: /a/b, backend: b}\n"),
                    "lint.unreachable:4 ");
    assert_warnings(
        ROUTES("  - {host: \"*.b\", backend: b}\n  - {host: x.a.b, path: /x, backend: b}\n"),
        "lint.unreachable:4 ");
    assert_warnings(
        ROUTES("  - {host: \"*.b\", backend: b}\n  - {host: [\"*.b\", \"*.a.b\"], backend: b}\n"),
        "lint.unreachable:4 ");
    assert_warnings("listen: 80\nservers: [10.0.0.1:80]\nroutes: {redirect: https}\n",
                    "lint.unreachable:2 ");
}

#define WITH_TLS(keys)                                                                             \
    "listen: [80, {address: 443, tls: site.pem}]\n" keys "backends: {b: [10.0.0.1:80]}\n"
#define TLS_ONLY(keys) "listen: 443\ntls: site.pem\n" keys "backends: {b: [10.0.0.1:80]}\n"

// A redirect to https takes only what did not come over TLS.
static void test_redirect_to_https(void **state)
{
    (void)state;
    assert_warnings(WITH_TLS("redirect: https\nbackend: b\n"), "");
    assert_warnings(WITH_TLS("routes: [{redirect: https}, {backend: b}]\n"), "");
    assert_warnings(WITH_TLS("routes: [{redirect: https}, {redirect: https}, {backend: b}]\n"),
                    "lint.unreachable:2 ");
    assert_warnings(WITH_TLS("routes: [{backend: b}, {redirect: https}]\n"), "lint.unreachable:2 ");
    assert_warnings(WITH_TLS("redirect: https\n") "x-used: 1\n", "lint.redirect:2 lint.unused:3 ");
    assert_warnings(TLS_ONLY("redirect: https\nbackend: b\n"), "lint.redirect:3 ");
    assert_warnings(TLS_ONLY("routes: {redirect: https}\n"), "lint.redirect:3 lint.unused:4 ");
    // before the routes, which nothing reaches when nothing comes over TLS
    assert_warnings("listen: 80\nredirect: https\nroutes: {path: /x, deny: 403}\n",
                    "lint.unreachable:3 ");
    // a trusted proxy may say that its client spoke TLS, or that it did not
    assert_warnings("listen: 80\ntrusted-proxies: 10.0.0.9\nredirect: https\n"
                    "servers: 10.0.0.1:80\n",
                    "");
    assert_warnings(TLS_ONLY("trusted-proxies: 10.0.0.9\nredirect: https\nbackend: b\n"), "");
}

static void test_hsts(void **state)
{
    (void)state;
    assert_warnings(WITH_TLS("hsts: 1y\nbackend: b\n"), "");
    assert_warnings(WITH_TLS("hsts: {max-age: 2y, subdomains: true, preload: true}\nbackend: b\n"),
                    "");
    assert_warnings(WITH_TLS("hsts: {subdomains: true, preload: true}\nbackend: b\n"), "");
    assert_warnings(WITH_TLS("hsts: {preload: true}\nbackend: b\n"), "lint.hsts:2 ");
    assert_warnings(
        WITH_TLS("hsts: {max-age: 364d, subdomains: true, preload: true}\nbackend: b\n"),
        "lint.hsts:2 ");
    assert_warnings("listen: 80\nhsts: 1y\nservers: 10.0.0.1:80\n", "lint.hsts:2 ");
    assert_warnings("listen: 80\nhsts: 1y\ntrusted-proxies: 10.0.0.9\nservers: 10.0.0.1:80\n", "");
}

#define RAW(list) "listen: 443\nmode: tcp\nroutes: [" list "]\nbackends: {b: [10.0.0.1:80]}\n"
#define MIXED(listen, list)                                                                        \
    "frontends:\n  f:\n    listen: " listen "\n    routes:\n" list                                 \
    "backends: {b: [10.0.0.1:80], raw: [10.0.0.2:443]}\n"
#define SECURE "{address: 443, tls: site.pem}"
#define BOTH "[80, {address: 443, tls: site.pem}]"
#define PASS(host) "      - {" host "tls: passthrough, backend: raw}\n"
#define SERVE(what) "      - {" what "backend: b}\n"

static void test_routes_of_tls(void **state)
{
    (void)state;
    assert_warnings(RAW("{alpn: h2, backend: b}, {host: a.b, backend: b}, {backend: b}"), "");
    assert_warnings(RAW("{alpn: [h2, x], backend: b}, {host: a.b, alpn: x, backend: b}"),
                    "lint.unreachable:3 ");
    assert_warnings(RAW("{alpn: h2, backend: b}, {alpn: [h2, x], backend: b}"), "");
    assert_warnings(RAW("{host: \"*.b\", backend: b}, {host: a.b, alpn: h2, deny: 403}"),
                    "lint.unreachable:3 ");
    assert_warnings(MIXED(SECURE, PASS("host: a.b, ") SERVE("")), "");
    // the first wins
    assert_warnings(MIXED(SECURE, SERVE("host: \"*.b\", ") PASS("host: a.b, ") SERVE("")),
                    "lint.unreachable:6 ");
    assert_warnings(MIXED(SECURE, PASS("host: a.b, ") SERVE("host: a.b, ") SERVE("")),
                    "lint.unreachable:6 ");
    // but for what looks at requests, which there are none of before TLS has ended
    assert_warnings(MIXED(SECURE, SERVE("host: a.b, path: /x, ") PASS("host: a.b, ") SERVE("")),
                    "lint.unreachable:5 ");
    assert_warnings(MIXED(SECURE, SERVE("path: /x, ") PASS("host: a.b, ") SERVE("")), "");
    // in plain text only the others take something
    assert_warnings(MIXED(BOTH, PASS("host: a.b, ") SERVE("host: a.b, ") SERVE("")), "");
    assert_warnings(MIXED(BOTH, PASS("") SERVE("host: a.b, ") SERVE("")), "");
    assert_warnings(MIXED(SECURE, PASS("") SERVE("")), "lint.unreachable:6 ");
}

static void test_modes_of_passthrough(void **state)
{
    (void)state;
    struct findings f;
    struct config *c = load_with_cert(MIXED(BOTH, PASS("host: a.b, ") SERVE("")), &f);
    assert_int_equal(c->backends[0].mode, MODE_HTTP);
    assert_int_equal(c->backends[1].mode, MODE_TCP);
    findings_free(&f);
    arena_free(c->arena);
}

// Long lists are not compared pairwise, but what is behind a catch-all is still seen.
static void test_many_routes(void **state)
{
    (void)state;
    char *text = xmalloc(200000);
    size_t n = (size_t)snprintf(text, 64, "listen: 80\nroutes:\n");
    for (int i = 0; i < 1200; i++)
        n += (size_t)snprintf(text + n, 64, "  - {path: /same, backend: b}\n");
    n += (size_t)snprintf(
        text + n, 128,
        "  - {backend: b}\n  - {path: /x, backend: b}\nbackends: {b: [10.0.0.1:80]}\n");
    assert_warnings(text, "lint.unreachable:1204 ");
    free(text);
}

static void test_listens(void **state)
{
    (void)state;
    assert_warnings("listen: [80, 81, \"10.0.0.1:80\", \"[::1]:80\", \"unix:/a\", "
                    "\"unix:/b\"]\nservers: [10.0.0.1:80]\n",
                    "");
    assert_warnings("listen: [\"0.0.0.0:80\", \"[::]:80\"]\nservers: [10.0.0.1:80]\n", "");
    assert_warnings("listen: [80, \"80\"]\nservers: [10.0.0.1:80]\n", "lint.duplicate-listen:1 ");
    assert_warnings("listen: [\"unix:/a\", \"unix:/a\"]\nservers: [10.0.0.1:80]\n",
                    "lint.duplicate-listen:1 ");
    struct findings f;
    struct config *c = load_text("listen: [80, \"[::]:80\", 81]\nservers: [10.0.0.1:80]\n", &f);
    assert_non_null(c);
    assert_int_equal(c->frontends[0].n_listens, 2);
    findings_free(&f);
    arena_free(c->arena);
}

static void test_servers(void **state)
{
    (void)state;
    assert_warnings(
        "listen: 80\nservers:\n  - 10.0.0.1:80\n  - 10.0.0.1:81\n  - a:80\n  - b:80\n  - unix:/a\n",
        "");
    assert_warnings("listen: 80\nservers:\n  - unix:/a\n  - unix:/a\n",
                    "lint.duplicate-address:4 ");
    assert_warnings("listen: 80\nservers:\n  - {address: 10.0.0.1:80, weight: 0}\n",
                    "lint.weight:2 ");
}

static void test_modes(void **state)
{
    (void)state;
    struct config *c = load_fine("frontends:\n  a: {listen: 80, mode: tcp, backend: x}\n  b: "
                                 "{listen: 81, mode: tcp, backend: x}\n"
                                 "backends: {x: {mode: tcp, servers: [10.0.0.1:80]}}\n");
    assert_int_equal(c->backends[0].mode, MODE_TCP);
    arena_free(c->arena);
    assert_warnings(
        "listen: 80\nservers: [10.0.0.1:80]\nbackends: {x: {mode: tcp, servers: [10.0.0.1:80]}}\n",
        "lint.unused:3 ");
    assert_refused(
        "frontends:\n  a: {listen: 80, mode: tcp, backend: x}\n  b: {listen: 81, backend: x}\n"
        "backends: {x: [10.0.0.1:80]}\n",
        "config.mode", 3, 28);
}

static void test_accept_proxy(void **state)
{
    (void)state;
    assert_refused("listen: {address: 80, accept-proxy: true}\nservers: [10.0.0.1:80]\n",
                   "config.accept-proxy", 1, 19);
    assert_warnings("listen: {address: \"unix:/a\", accept-proxy: true}\nservers: [10.0.0.1:80]\n",
                    "");
}

// Limits of the head are those of HTTP: mode tcp has none to contradict.
static void test_limits(void **state)
{
    (void)state;
    assert_refused("listen: 80\nservers: [10.0.0.1:80]\nlimits: {head: 4KiB}\n", "config.limits", 1,
                   1);
    assert_warnings("listen: 80\nmode: tcp\nservers: [10.0.0.1:80]\nlimits: {head: 4KiB}\n", "");
}

// ---- what the machine has ---------------------------------------------------------------------

static bool has(void *ctx, enum source_thing thing, const char *name)
{
    (void)ctx;
    return thing == SOURCE_DIRECTORY ? strcmp(name, "/var/log/") == 0 : strcmp(name, "www") == 0;
}

static uint32_t missing(const char *text, const char *sentence)
{
    struct memory none = {NULL, NULL};
    struct config_source s = memory_source(&none, "t.yaml", text);
    struct findings f;
    s.exists = has;
    findings_init(&f);
    struct config *c = config_load(&s, &f);
    assert_non_null(c);
    if (f.count > 0)
        assert_string_equal(f.items[0].message, sentence);
    uint32_t warnings = f.warnings;
    findings_free(&f);
    arena_free(c->arena);
    return warnings;
}

#define WITH(line) "listen: 80\nservers: [10.0.0.1:80]\n" line "\n"

static void test_machine(void **state)
{
    (void)state;
    assert_int_equal(missing(WITH(""), ""), 0);
    assert_int_equal(missing(WITH("user: www"), ""), 0);
    assert_int_equal(missing(WITH("user: 1234"), ""), 0);
    assert_int_equal(missing(WITH("user: evlb"), "this machine has no user 'evlb'"), 1);
    assert_int_equal(missing(WITH("group: evlb"), "this machine has no group 'evlb'"), 1);
    assert_int_equal(missing(WITH("log: {access: /var/log/a.log}"), ""), 0);
    assert_int_equal(missing(WITH("log: {access: true}"), ""), 0);
    assert_int_equal(missing(WITH("log: {access: {to: /var/log/evlb/a.log}}"),
                             "this machine has no directory '/var/log/evlb/'"),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reachable),
        cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_many_routes),
        cmocka_unit_test(test_redirect_to_https),
        cmocka_unit_test(test_hsts),
        cmocka_unit_test(test_listens),
        cmocka_unit_test(test_servers),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_accept_proxy),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_machine),
        cmocka_unit_test(test_routes_of_tls),
        cmocka_unit_test(test_modes_of_passthrough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
