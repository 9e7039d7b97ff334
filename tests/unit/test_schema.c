// SPDX-License-Identifier: MIT
// The table of keys: every row by itself. Limits (min - 1, min, max, max + 1), words, examples,
// planned keys, and that rows are complete.
#include "conf_test.h"

#include "conf/schema.h"
#include "conf/units.h"

// Where an object stands in a file; "%s" takes "key: value".
static const struct place {
    const struct object *object;
    const char *format;
} places[] = {
    {&object_root, "%s\nfrontends: {f: {listen: 80, backend: b}}\nbackends: {b: [10.0.0.1:80]}\n"},
    {&object_timeouts, "listen: 80\nservers: [10.0.0.1:80]\ntimeout: {%s}\n"},
    {&object_limits, "listen: 80\nservers: [10.0.0.1:80]\nlimits: {%s}\n"},
    {&object_defaults, "listen: 80\nservers: [10.0.0.1:80]\ndefaults: {%s}\n"},
    {&object_timeouts_defaults, "listen: 80\nservers: [10.0.0.1:80]\ndefaults: {timeout: {%s}}\n"},
    {&object_frontend,
     "frontends: {f: {%s}}\nbackends: {app: [10.0.0.1:80], api: [10.0.0.1:80]}\n"},
    {&object_listen, "listen: {%s}\nservers: [10.0.0.1:80]\n"},
    {&object_tls,
     "frontends: {f: {listen: 80, backend: b, tls: {%s}}}\nbackends: {b: [10.0.0.1:80]}\n"},
    {&object_frontend_limit, "listen: 80\nservers: [10.0.0.1:80]\nlimit: {%s}\n"},
    {&object_acme, "listen: 80\nservers: [10.0.0.1:80]\nacme: {%s}\n"},
    {&object_hsts, "listen: 80\nservers: [10.0.0.1:80]\nhsts: {%s}\n"},
    {&object_route, "listen: 80\nroutes: {%s}\nbackends: {app: [10.0.0.1:80]}\n"},
    {&object_timeouts_frontend,
     "frontends: {f: {listen: 80, backend: b, timeout: {%s}}}\nbackends: {b: [10.0.0.1:80]}\n"},
    {&object_backend, "listen: 80\nbackend: b\nbackends: {b: {%s}}\n"},
    {&object_server, "listen: 80\nservers: {a: {%s}}\n"},
    {&object_server_defaults, "listen: 80\nservers: [10.0.0.1:80]\nserver-defaults: {%s}\n"},
    {&object_server_tls, "listen: 80\nservers: {a: {address: 10.0.0.1:80, tls: {%s}}}\n"},
    {&object_hash, "listen: 80\nservers: [10.0.0.1:80]\nbalance: hash\nhash: {%s}\n"},
    {&object_timeouts_backend,
     "listen: 80\nbackend: b\nbackends: {b: {servers: [10.0.0.1:80], timeout: {%s}}}\n"},
    {&object_headers, "listen: 80\nservers: [10.0.0.1:80]\nheaders: {%s}\n"},
    {&object_header_ops, "listen: 80\nservers: [10.0.0.1:80]\nheaders: {request: {%s}}\n"},
    {&object_log, "listen: 80\nservers: [10.0.0.1:80]\nlog: {%s}\n"},
    {&object_access, "listen: 80\nservers: [10.0.0.1:80]\nlog: {access: {%s}}\n"},
    {&object_health, "listen: 80\nservers: [10.0.0.1:80]\nhealth: {%s}\n"},
    {&object_passive, "listen: 80\nservers: [10.0.0.1:80]\npassive: {%s}\n"},
    {&object_dns, "listen: 80\nservers: [10.0.0.1:80]\ndns: {%s}\n"},
    {&object_tickets, "listen: 80\nservers: [10.0.0.1:80]\ntickets: {%s}\n"},
    {&object_admin, "listen: 80\nservers: [10.0.0.1:80]\nadmin: {%s}\n"},
};

static const char *format_of(const struct object *o)
{
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (places[i].object == o)
            return places[i].format;
    }
    fail_msg("no place for object '%s'", o->path);
    return NULL;
}

// The ids of the errors of a file in which `row` has that value, as "id id ".
static char *errors_with(struct arena *a, const struct object *o, const char *key,
                         const char *value)
{
    struct findings f;
    struct memory memory = {NULL, NULL};
    char *pair = arena_printf(a, "%s: %s", key, value), *at, *ids = arena_printf(a, "%s", "");
    const char *format = format_of(o);
    at = strstr(format, "%s");
    char *text = arena_printf(a, "%.*s%s%s", (int)(at - format), format, pair, at + 2);
    struct config_source s = memory_source(&memory, "t.yaml", text);
    findings_init(&f);
    struct config *c = config_load(&s, &f);
    for (size_t i = 0; i < f.count; i++) {
        if (f.items[i].severity == SEVERITY_ERROR)
            ids = arena_printf(a, "%s%s ", ids, f.items[i].id);
    }
    assert_true((c == NULL) == (ids[0] != '\0'));
    if (c != NULL)
        arena_free(c->arena);
    findings_free(&f);
    return ids;
}

#define EACH_ROW(o, row)                                                                           \
    for (const struct object *const *o = schema_objects; *o != NULL; o++)                          \
        for (const struct row *row = (*o)->rows; row < (*o)->rows + (*o)->n_rows; row++)

static bool has_limits(const struct row *row)
{
    return row->type == VALUE_U32 || row->type == VALUE_U16 || row->type == VALUE_DURATION ||
           row->type == VALUE_SIZE;
}

static const char *number(struct arena *a, const struct row *row, uint64_t value)
{
    const char *unit = row->type == VALUE_DURATION ? "ms" : row->type == VALUE_SIZE ? "B" : "";
    return arena_printf(a, "%llu%s", (unsigned long long)value, unit);
}

static void check_limit(struct arena *a, const struct object *o, const struct row *row,
                        uint64_t value)
{
    const char *text = number(a, row, value), *ids = errors_with(a, o, row->key, text);
    bool refused = strstr(ids, "config.range") != NULL;
    if (refused != (value < row->min || value > row->max))
        fail_msg("%s.%s: %s: '%s'", o->path, row->key, text, ids);
}

static void test_limits(void **state)
{
    (void)state;
    uint32_t rows = 0;
    EACH_ROW(o, row)
    {
        struct arena *a = arena_new();
        if (has_limits(row)) {
            assert_true(row->min < row->max);
            if (row->min > 0)
                check_limit(a, *o, row, row->min - 1);
            check_limit(a, *o, row, row->min);
            check_limit(a, *o, row, row->max);
            check_limit(a, *o, row, row->max + 1);
            rows++;
        }
        arena_free(a);
    }
    assert_true(rows > 30);
}

static void test_words(void **state)
{
    (void)state;
    EACH_ROW(o, row)
    {
        struct arena *a = arena_new();
        for (const char *const *w = row->words; w != NULL && *w != NULL; w++) {
            const char *ids = errors_with(a, *o, row->key, *w);
            if (strstr(ids, "config.enum") != NULL)
                fail_msg("%s.%s: %s: '%s'", (*o)->path, row->key, *w, ids);
            ids = errors_with(a, *o, row->key, arena_printf(a, "%sx", *w));
            if (strstr(ids, "config.enum") == NULL)
                fail_msg("%s.%s: %sx: '%s'", (*o)->path, row->key, *w, ids);
        }
        arena_free(a);
    }
}

// What a single key cannot bring along.
static bool is_about_others(const char *ids)
{
    static const char *const about_others[] = {
        "config.missing ", "config.ref ",           "config.hash ",     "config.accept-proxy ",
        "config.route ",   "config.include ",       "config.health ",   "config.duplicate ",
        "config.mode ",    "config.interpolation ", "tls.certificate ", "tls.tickets "};
    while (ids[0] != '\0') {
        size_t i = 0;
        while (i < ARRAY_LEN(about_others) &&
               strncmp(ids, about_others[i], strlen(about_others[i])) != 0)
            i++;
        if (i == ARRAY_LEN(about_others))
            return false;
        ids += strlen(about_others[i]);
    }
    return true;
}

static void test_examples(void **state)
{
    (void)state;
    EACH_ROW(o, row)
    {
        struct arena *a = arena_new();
        if (row->type != VALUE_PLANNED) {
            const char *ids = errors_with(a, *o, row->key, row->example);
            if (!is_about_others(ids))
                fail_msg("%s.%s: %s: '%s'", (*o)->path, row->key, row->example, ids);
        }
        arena_free(a);
    }
}

static void test_defaults_are_valid(void **state)
{
    (void)state;
    EACH_ROW(o, row)
    {
        struct arena *a = arena_new();
        if (row->fallback != NULL && !is_about_others(errors_with(a, *o, row->key, row->fallback)))
            fail_msg("%s.%s: default %s", (*o)->path, row->key, row->fallback);
        arena_free(a);
    }
}

static void test_planned(void **state)
{
    (void)state;
    uint32_t rows = 0;
    EACH_ROW(o, row)
    {
        struct arena *a = arena_new();
        if (row->type == VALUE_PLANNED) {
            if (strstr(errors_with(a, *o, row->key, "x"), "config.planned") == NULL)
                fail_msg("%s.%s is not refused as planned", (*o)->path, row->key);
            rows++;
        }
        arena_free(a);
    }
    assert_true(rows > 20);
}

static void test_rows_are_complete(void **state)
{
    (void)state;
    EACH_ROW(o, row)
    {
        bool nested = row->type == VALUE_OBJECT || row->type == VALUE_HEADERS;
        if (row->doc == NULL || strlen(row->doc) < 10)
            fail_msg("%s.%s has no documentation", (*o)->path, row->key);
        if (row->type != VALUE_PLANNED && (row->since == NULL || row->example == NULL))
            fail_msg("%s.%s has no since or example", (*o)->path, row->key);
        if (nested && row->object == NULL)
            fail_msg("%s.%s has no object", (*o)->path, row->key);
        if (schema_row(*o, str_of(row->key)) != row)
            fail_msg("%s.%s is there twice", (*o)->path, row->key);
    }
}

// A file without anything optional has exactly the defaults of the rows.
static void test_default_values(void **state)
{
    (void)state;
    struct config *c = load_fine("listen: 80\nservers: [10.0.0.1:80]\n");
    const struct frontend *f = &c->frontends[0];
    const struct backend *b = &c->backends[0];
    assert_int_equal(f->mode, MODE_HTTP);
    assert_int_equal(f->timeout.client, 30000);
    assert_int_equal(f->timeout.request, 10000);
    assert_int_equal(f->timeout.keep_alive, 60000);
    assert_int_equal(f->timeout.tunnel, 3600000);
    assert_int_equal(f->timeout.client_fin, 5000);
    assert_int_equal(f->limits.head_bytes, 32768);
    assert_int_equal(f->limits.fields, 100);
    assert_int_equal(f->limits.uri_bytes, 8192);
    assert_int_equal(f->max_connections, 0);
    assert_int_equal(b->balance, BALANCE_ROUND_ROBIN);
    assert_int_equal(b->timeout.connect, 5000);
    assert_int_equal(b->timeout.server, 30000);
    assert_int_equal(b->timeout.server_fin, 5000);
    assert_int_equal(b->timeout.idle, 50000);
    assert_int_equal(b->retries, 3);
    assert_int_equal(b->reuse, REUSE_SAFE);
    assert_int_equal(b->send_proxy, PROXY_NONE);
    assert_int_equal(b->servers[0].weight, 1);
    assert_int_equal(b->timeout.queue, 10000);
    assert_int_equal(b->retry_on, RETRY_ON_CONNECT_FAILURE);
    assert_int_equal(b->failover, FAILOVER_ACTIVE_ACTIVE);
    assert_int_equal(b->failback, FAILBACK_AUTO);
    assert_int_equal(b->failback_after_ms, 0);
    assert_int_equal(b->on_server_down, SERVER_DOWN_KEEP);
    assert_int_equal(b->max_queue, 1024);
    assert_int_equal(b->min_idle, 0);
    assert_int_equal(b->resolve, RESOLVE_FIRST);
    assert_true(b->passive.on);
    assert_int_equal(b->passive.errors, 3);
    assert_int_equal(b->passive.eject_ms, 10000);
    assert_int_equal(b->servers[0].tier, 1);
    assert_int_equal(b->servers[0].max_connections, 0);
    assert_int_equal(b->servers[0].slow_start_ms, 0);
    assert_int_equal(c->dns.n_servers, 0);
    assert_int_equal(c->dns.min_ttl_ms, 1000);
    assert_int_equal(c->dns.max_ttl_ms, 300000);
    assert_int_equal(c->dns.timeout_ms, 2000);
    assert_int_equal(c->shutdown_ms, 30000);
    assert_int_equal(c->workers, 0);
    assert_int_equal(c->max_connections, 0);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_false(c->access_log);
    assert_int_equal(c->admin_socket.len, 0);
    arena_free(c->arena);
}

static void test_paths(void **state)
{
    (void)state;
    char path[64];
    schema_path(&object_backend, schema_row(&object_backend, STR("balance")), path, sizeof(path));
    assert_string_equal(path, "backends.*.balance");
    schema_path(&object_root, schema_row(&object_root, STR("workers")), path, sizeof(path));
    assert_string_equal(path, "workers");
    assert_true(schema_path_is("backends.*.balance", STR("balance")));
    assert_true(schema_path_is("backends.*.balance", STR("backends.app.balance")));
    assert_true(schema_path_is("backends.*.balance", STR("backends.*.balance")));
    assert_false(schema_path_is("backends.*.balance", STR("frontends.app.balance")));
    assert_false(schema_path_is("backends.*.balance", STR("backends..balance")));
    assert_false(schema_path_is("backends.*.balance", STR("x.backends.*.balance")));
    assert_false(schema_path_is("backends.*.balance", STR("")));
    assert_false(schema_path_is("balance", STR("alance")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_words),
        cmocka_unit_test(test_examples),       cmocka_unit_test(test_defaults_are_valid),
        cmocka_unit_test(test_planned),        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_default_values), cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
