// SPDX-License-Identifier: MIT
// The keys of failover, health, limits and names: what each form of them comes to. What is refused
// is in tests/data/bad (test_diag.c).
#include "conf_test.h"

#define TWO "servers: [10.0.0.1:80, 10.0.0.2:80]\n"

static struct config *with(const char *more)
{
    struct arena *a = arena_new();
    struct config *c = load_fine(arena_printf(a, "listen: 80\n" TWO "%s", more));
    arena_free(a);
    return c;
}

static const struct backend *named(const struct config *c, const char *name)
{
    const struct backend *b = map_get(&c->backend_by_name, str_of(name));
    assert_non_null(b);
    return b;
}

static void assert_statuses(const struct health *h, uint16_t from, uint16_t to)
{
    assert_int_equal(h->n_statuses, 1);
    assert_int_equal(h->statuses[0].from, from);
    assert_int_equal(h->statuses[0].to, to);
}

static void test_short_forms(void **state)
{
    (void)state;
    struct config *c = with("health: GET /healthz?x=1\n");
    const struct health *h = &c->backends[0].health;
    assert_int_equal(h->type, HEALTH_HTTP);
    assert_str(h->method, "GET");
    assert_str(h->path, "/healthz?x=1");
    assert_statuses(h, 200, 399);
    assert_int_equal(h->every_ms, 2000);
    assert_int_equal(h->every_down_ms, 2000);
    assert_int_equal(h->timeout_ms, 2000);
    assert_int_equal(h->fall, 3);
    assert_int_equal(h->rise, 2);
    assert_int_equal(h->port, 0);
    assert_int_equal(h->address.len, 0);
    assert_int_equal(h->host.len, 0);
    assert_int_equal(h->header.name.len, 0);
    arena_free(c->arena);
    static const struct {
        const char *text;
        enum health_type type;
    } words[] = {{"health: off\n", HEALTH_OFF},   {"health: tcp\n", HEALTH_TCP},
                 {"health: http\n", HEALTH_HTTP}, {"health: redis\n", HEALTH_REDIS},
                 {"health: smtp\n", HEALTH_SMTP}, {"health: HEAD /\n", HEALTH_HTTP}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        c = with(words[i].text);
        assert_int_equal(c->backends[0].health.type, words[i].type);
        assert_str(c->backends[0].health.path, "/");
        arena_free(c->arena);
    }
}

static void test_long_http(void **state)
{
    (void)state;
    struct config *c = with("health:\n"
                            "  path: /h\n  host: a.b\n  headers: {X-A: 1, X-B: \"2 3\"}\n"
                            "  expect: [204, 300-399]\n  expect-body: ready\n"
                            "  expect-header: \"X-State:  ok: fine \"\n"
                            "  every: 1s\n  timeout: 3s\n  port: 81\n  address: \"[::1]\"\n");
    const struct health *h = &c->backends[0].health;
    assert_int_equal(h->type, HEALTH_HTTP);
    assert_str(h->method, "GET");
    assert_str(h->path, "/h");
    assert_str(h->host, "a.b");
    assert_int_equal(h->n_headers, 2);
    assert_str(h->headers[1].name, "X-B");
    assert_str(h->headers[1].value, "2 3");
    assert_int_equal(h->n_statuses, 2);
    assert_int_equal(h->statuses[0].from, 204);
    assert_int_equal(h->statuses[0].to, 204);
    assert_int_equal(h->statuses[1].to, 399);
    assert_str(h->body, "ready");
    assert_str(h->header.name, "X-State");
    assert_str(h->header.value, "ok: fine");
    assert_int_equal(h->every_ms, 1000);
    assert_int_equal(h->every_down_ms, 1000);
    assert_int_equal(h->timeout_ms, 3000);
    assert_int_equal(h->port, 81);
    assert_int_equal(h->address.sa.sa_family, AF_INET6);
    arena_free(c->arena);
}

static void test_other_types(void **state)
{
    (void)state;
    struct config *c = with("health: {type: mysql, user: u, password: p, expect: replica, "
                            "max-lag: 10s}\n");
    const struct health *h = &c->backends[0].health;
    assert_int_equal(h->type, HEALTH_MYSQL);
    assert_str(h->user, "u");
    assert_str(h->password, "p");
    assert_int_equal(h->role, ROLE_REPLICA);
    assert_int_equal(h->max_lag_ms, 10000);
    arena_free(c->arena);
    c = with("health: {type: postgres, user: u, database: d, expect: writable}\n");
    assert_int_equal(c->backends[0].health.role, ROLE_WRITABLE);
    assert_str(c->backends[0].health.database, "d");
    arena_free(c->arena);
    c = with("health: {send: \"PING\\r\\n\", expect: \"+PONG\"}\n");
    assert_int_equal(c->backends[0].health.type, HEALTH_SEND_EXPECT);
    assert_str(c->backends[0].health.send, "PING\r\n");
    assert_str(c->backends[0].health.expect, "+PONG");
    arena_free(c->arena);
    c = with("health: {helo: a.b}\n");
    assert_int_equal(c->backends[0].health.type, HEALTH_SMTP);
    assert_str(c->backends[0].health.helo, "a.b");
    arena_free(c->arena);
    c = with("health: {type: redis}\n");
    assert_int_equal(c->backends[0].health.role, ROLE_ANY);
    arena_free(c->arena);
}

// A check that is switched off may keep what it would do.
static void test_off(void **state)
{
    (void)state;
    struct config *c = with("health: {type: off, path: /h, expect: 200}\n");
    assert_int_equal(c->backends[0].health.type, HEALTH_OFF);
    arena_free(c->arena);
}

// Each key by itself: a section of a backend changes those it names. The type counts as named when
// its own keys are; then what `defaults` expects of another type does not hold.
static void test_inheritance(void **state)
{
    (void)state;
    struct config *c = load_fine(
        "defaults: {health: {path: /d, expect: 204, every: 7s}, timeout: {check: 900ms}}\n"
        "listen: 80\n"
        "routes: [{path: /a, backend: a}, {path: /b, backend: b}, {path: /c, backend: c}, "
        "{path: /d, backend: d}]\n"
        "backends:\n"
        "  a: [10.0.0.1:80]\n"
        "  b: {servers: [10.0.0.1:80], health: {path: /b, fall: 9}}\n"
        "  c: {servers: [10.0.0.1:80], health: redis, timeout: {check: 1s}}\n"
        "  d: {servers: [10.0.0.1:80], health: off}\n");
    const struct health *a = &named(c, "a")->health, *b = &named(c, "b")->health;
    const struct health *r = &named(c, "c")->health, *off = &named(c, "d")->health;
    assert_int_equal(a->type, HEALTH_HTTP);
    assert_str(a->path, "/d");
    assert_statuses(a, 204, 204);
    assert_int_equal(a->timeout_ms, 900);
    assert_str(b->path, "/b");
    assert_statuses(b, 204, 204);
    assert_int_equal(b->every_ms, 7000);
    assert_int_equal(b->every_down_ms, 7000);
    assert_int_equal(b->fall, 9);
    assert_int_equal(r->type, HEALTH_REDIS);
    assert_int_equal(r->role, ROLE_ANY);
    assert_int_equal(r->every_ms, 7000);
    assert_int_equal(r->timeout_ms, 1000);
    assert_int_equal(off->type, HEALTH_OFF);
    arena_free(c->arena);
}

static enum health_type default_type(const char *text)
{
    struct config *c = load_fine(text);
    enum health_type type = c->backends[0].health.type;
    assert_int_equal(c->backends[0].health.timeout_ms, 2000);
    arena_free(c->arena);
    return type;
}

static void test_default_type(void **state)
{
    (void)state;
    assert_int_equal(default_type("listen: 80\n" TWO), HEALTH_TCP);
    assert_int_equal(default_type("listen: 80\nservers: [10.0.0.1:80]\n"), HEALTH_OFF);
    assert_int_equal(default_type("listen: 80\nmode: tcp\n" TWO), HEALTH_OFF);
    assert_int_equal(default_type("listen: 80\nhealth: {every: 5s}\n" TWO), HEALTH_TCP);
    assert_int_equal(default_type("listen: 80\nresolve: all\nservers: [a:80]\n"), HEALTH_TCP);
}

static void test_failover(void **state)
{
    (void)state;
    struct config *c = with("failover: active-passive\nfailback: manual\n"
                            "on-server-down: close\n");
    const struct backend *b = &c->backends[0];
    assert_int_equal(b->failover, FAILOVER_ACTIVE_PASSIVE);
    assert_int_equal(b->failback, FAILBACK_MANUAL);
    assert_int_equal(b->on_server_down, SERVER_DOWN_CLOSE);
    arena_free(c->arena);
    c = load_fine("defaults: {failover: active-passive, failback-after: 1s}\nlisten: 80\n" TWO);
    assert_int_equal(c->backends[0].failover, FAILOVER_ACTIVE_PASSIVE);
    assert_int_equal(c->backends[0].failback_after_ms, 1000);
    arena_free(c->arena);
}

static void test_retry_on(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t bits;
    } cases[] = {
        {"retry-on: timeout\n", RETRY_ON_CONNECT_FAILURE | RETRY_ON_TIMEOUT},
        {"retry-on: [502, 504]\n", RETRY_ON_CONNECT_FAILURE | RETRY_ON_502 | RETRY_ON_504},
        {"retry-on: [connect-failure, empty-response, 503]\n",
         RETRY_ON_CONNECT_FAILURE | RETRY_ON_EMPTY_RESPONSE | RETRY_ON_503},
        {"retry-on: []\n", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *c = with(cases[i].text);
        assert_int_equal(c->backends[0].retry_on, cases[i].bits);
        arena_free(c->arena);
    }
}

static void test_passive(void **state)
{
    (void)state;
    struct config *c = with("passive: false\n");
    assert_false(c->backends[0].passive.on);
    arena_free(c->arena);
    c = with("passive: {errors: 7, eject: 1m}\n");
    assert_true(c->backends[0].passive.on);
    assert_int_equal(c->backends[0].passive.errors, 7);
    assert_int_equal(c->backends[0].passive.eject_ms, 60000);
    arena_free(c->arena);
}

static void test_server_keys(void **state)
{
    (void)state;
    struct config *c = load_fine(
        "defaults: {server-defaults: {slow-start: 10s, max-connections: 50}}\n"
        "listen: 80\nserver-defaults: {max-connections: 100}\n"
        "servers:\n  a: 10.0.0.1:80\n"
        "  b: {address: 10.0.0.2:80, tier: 2, max-connections: unlimited, slow-start: 0}\n");
    const struct server *a = &c->servers[0], *b = &c->servers[1];
    assert_int_equal(a->tier, 1);
    assert_int_equal(a->max_connections, 100);
    assert_int_equal(a->slow_start_ms, 10000);
    assert_int_equal(b->tier, 2);
    assert_int_equal(b->max_connections, 0);
    assert_int_equal(b->slow_start_ms, 0);
    assert_int_equal(a->n_places, 1);
    assert_false(a->added);
    arena_free(c->arena);
}

static void test_places(void **state)
{
    (void)state;
    struct config *c = load_fine("listen: 80\nresolve: all\n"
                                 "servers:\n  a: {address: app.internal:80, tier: 2}\n"
                                 "  b: 10.0.0.1:80\n  c: srv:_http._tcp.app.internal\n");
    const struct backend *b = &c->backends[0];
    assert_int_equal(b->n_servers, 17);
    assert_int_equal(c->n_servers, 17);
    for (uint32_t i = 0; i < c->n_servers; i++) {
        assert_int_equal(c->servers[i].index, i);
        assert_ptr_equal(c->servers[i].backend, b);
    }
    assert_str(b->servers[0].name, "a.1");
    assert_str(b->servers[7].name, "a.8");
    assert_int_equal(b->servers[7].place, 7);
    assert_int_equal(b->servers[7].n_places, 8);
    assert_int_equal(b->servers[7].tier, 2);
    assert_int_equal(b->servers[7].port, 80);
    assert_str(b->servers[8].name, "b");
    assert_int_equal(b->servers[8].n_places, 1);
    assert_str(b->servers[9].name, "c.1");
    assert_str(b->servers[9].host, "_http._tcp.app.internal");
    assert_true(b->servers[16].srv);
    assert_int_equal(b->servers[16].port, 0);
    arena_free(c->arena);
    c = load_fine("listen: 80\nservers: [app.internal:80, srv:_h._tcp.a]\n");
    assert_int_equal(c->n_servers, 9);
    assert_str(c->servers[0].name, "s1");
    assert_int_equal(c->servers[0].n_places, 1);
    assert_str(c->servers[1].name, "s2.1");
    arena_free(c->arena);
}

static void test_dns(void **state)
{
    (void)state;
    char text[ADDR_TEXT];
    struct config *c = with("dns: {servers: [10.0.0.53, \"[::1]:5353\", \"fd00::53\"], "
                            "min-ttl: 2s, max-ttl: 1m, timeout: 1s}\n");
    assert_int_equal(c->dns.n_servers, 3);
    addr_format(&c->dns.servers[0], text);
    assert_string_equal(text, "10.0.0.53:53");
    addr_format(&c->dns.servers[1], text);
    assert_string_equal(text, "[::1]:5353");
    addr_format(&c->dns.servers[2], text);
    assert_string_equal(text, "[fd00::53]:53");
    assert_int_equal(c->dns.min_ttl_ms, 2000);
    assert_int_equal(c->dns.max_ttl_ms, 60000);
    assert_int_equal(c->dns.timeout_ms, 1000);
    arena_free(c->arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_forms),  cmocka_unit_test(test_long_http),
        cmocka_unit_test(test_other_types),  cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_default_type), cmocka_unit_test(test_failover),
        cmocka_unit_test(test_retry_on),     cmocka_unit_test(test_passive),
        cmocka_unit_test(test_server_keys),  cmocka_unit_test(test_places),
        cmocka_unit_test(test_dns),          cmocka_unit_test(test_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
