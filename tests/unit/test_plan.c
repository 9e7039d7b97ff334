// SPDX-License-Identifier: MIT
#include "conf/plan.h"

#include "conf/schema.h"
#include "conf_test.h"

#define BASE                                                                                       \
    "frontends:\n"                                                                                 \
    "  web: {listen: [80, 81], backend: app}\n"                                                    \
    "  old: {listen: 9000, backend: app}\n"                                                        \
    "backends:\n"                                                                                  \
    "  app: {servers: {a: 10.0.0.1:80, b: 10.0.0.2:80}}\n"                                         \
    "  gone: {servers: {x: 10.0.0.9:80}}\n"                                                        \
    "workers: 2\n"

static struct config *load(const char *yaml)
{
    struct findings f;
    struct config *c = load_text(yaml, &f);
    if (c == NULL)
        findings_print(&f, stderr, FINDINGS_TEXT, false);
    assert_non_null(c);
    findings_free(&f);
    return c;
}

static void expect(const char *from, const char *to, const char *expected)
{
    struct config *a = load(from), *b = load(to);
    struct arena *arena = arena_new();
    struct plan p = plan_make(a, b, arena);
    assert_string_equal(plan_text(&p, arena), expected);
    arena_free(arena);
    arena_free(a->arena);
    arena_free(b->arena);
}

static void nothing_changes(void **state)
{
    (void)state;
    expect(BASE, BASE, "  no changes\n");
}

static void names_what_comes_goes_and_changes(void **state)
{
    (void)state;
    expect(BASE,
           "frontends:\n"
           "  web: {listen: [80, 82], backend: app, timeout: {client: 5s}}\n"
           "  new: {listen: 9001, backend: more}\n"
           "backends:\n"
           "  app:\n"
           "    balance: least-conn\n"
           "    servers: {b: {address: 10.0.0.2:80, weight: 5}, a: 10.0.0.7:80, c: 10.0.0.3:80}\n"
           "  more: {servers: {y: 10.0.0.8:80}}\n"
           "workers: 3\n",
           "  - frontend old\n"
           "  - listener [::]:9000 (old)\n"
           "  ~ frontend web: timeout.client 30s -> 5s\n"
           "  - listener [::]:81 (web)\n"
           "  + listener [::]:82 (web)\n"
           "  + frontend new\n"
           "  + listener [::]:9001 (new)\n"
           "  - backend gone\n"
           "  ~ backend app: balance round-robin -> least-conn\n"
           "  ~ server app/b: weight 1 -> 5\n"
           "  ~ server app/a: address 10.0.0.1:80 -> 10.0.0.7:80\n"
           "  + server app/c (10.0.0.3:80)\n"
           "  + backend more\n"
           "  ! settings: workers 2 -> 3 (takes a restart)\n");
}

static void sees_what_lists_hold(void **state)
{
    (void)state;
#define LISTS(route, remove, nets)                                                                 \
    "frontends:\n  web:\n    listen: 80\n    trusted-proxies: [" nets "]\n"                        \
    "    headers: {response: {remove: [" remove "]}}\n"                                            \
    "    routes: [{path: " route ", deny: 403}, {backend: app}]\n"                                 \
    "backends:\n  app: {servers: {a: 10.0.0.1:80}}\n"
    expect(LISTS("/x", "Server", "10.0.0.0/8"), LISTS("/x", "Server", "10.0.0.0/8"),
           "  no changes\n");
    expect(LISTS("/x", "Server", "10.0.0.0/8"), LISTS("/y", "Server", "10.0.0.0/8"),
           "  ~ frontend web: routes changed\n");
    expect(LISTS("/x", "Server", "10.0.0.0/8"), LISTS("/x", "X-A", "10.0.0.0/9"),
           "  ~ frontend web: trusted-proxies [\"10.0.0.0/8\"] -> [\"10.0.0.0/9\"], headers "
           "changed\n");
}

static void sees_values_of_every_kind(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"failover: active-passive", "failover active-active -> active-passive"},
        {"failback: manual", "failback auto -> manual"},
        {"max-queue: 5", "max-queue 1024 -> 5"},
        {"on-server-down: close", "on-server-down keep -> close"},
        {"retry-on: [503]", "retry-on [connect-failure] -> [connect-failure, 503]"},
        {"health: {path: /x, every: 3s}",
         "health.type off -> http, health.every 2s -> 3s, health.every-down 2s -> 3s, "
         "health.path / -> /x"},
        {"dns: {servers: 10.0.0.53}", "dns.servers changed"},
        {"trusted-proxies: 10.0.0.1", "trusted-proxies [] -> [\"10.0.0.1/32\"]"},
        {"balance: hash", "balance round-robin -> hash"},
        {"passive: {errors: 9}", "passive.errors 3 -> 9"},
        {"timeout: {connect: 1s}", "timeout.connect 5s -> 1s"},
        {"headers: {request: {set: {X-A: b}}}", "headers changed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct arena *arena = arena_new();
        struct config *a = load("listen: 80\nservers: [10.0.0.1:80]\n");
        struct config *b =
            load(arena_printf(arena, "listen: 80\nservers: [10.0.0.1:80]\n%s\n", changes[i][0]));
        struct plan p = plan_make(a, b, arena);
        assert_int_equal(p.n, 1);
        assert_string_equal(p.items[0].what, changes[i][1]);
        assert_int_equal(p.items[0].sign, PLAN_CHANGE);
        arena_free(arena);
        arena_free(a->arena);
        arena_free(b->arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changes),
        cmocka_unit_test(names_what_comes_goes_and_changes),
        cmocka_unit_test(sees_what_lists_hold),
        cmocka_unit_test(sees_values_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
