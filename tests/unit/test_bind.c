// SPDX-License-Identifier: MIT
// From YAML to struct config: shapes, short forms, inheritance, routes, headers. What is refused is
// in tests/data/bad (test_diag.c).
#include "conf_test.h"

static const struct frontend *frontend(const struct config *c, const char *name)
{
    const struct frontend *f = map_get(&c->frontend_by_name, str_of(name));
    assert_non_null(f);
    return f;
}

static const struct backend *backend(const struct config *c, const char *name)
{
    const struct backend *b = map_get(&c->backend_by_name, str_of(name));
    assert_non_null(b);
    return b;
}

static void assert_addr(const struct addr *a, const char *expected)
{
    char text[ADDR_TEXT];
    addr_format(a, text);
    assert_string_equal(text, expected);
}

static void test_short_form(void **state)
{
    (void)state;
    struct config *c = load_fine("listen: 8080\nservers:\n  - 10.0.0.1:80\n  - app:81\n");
    const struct frontend *f = frontend(c, "default");
    const struct backend *b = backend(c, "default");
    assert_int_equal(c->n_frontends, 1);
    assert_int_equal(c->n_backends, 1);
    assert_int_equal(c->n_servers, 2);
    assert_addr(&f->listens[0].addr, "[::]:8080");
    assert_false(f->listens[0].v6_only);
    assert_int_equal(f->n_routes, 1);
    assert_ptr_equal(f->routes[0].backend, b);
    assert_str(b->servers[0].name, "s1");
    assert_addr(&b->servers[0].addr, "10.0.0.1:80");
    assert_str(b->servers[1].name, "s2");
    assert_str(b->servers[1].host, "app");
    assert_int_equal(b->servers[1].port, 81);
    assert_int_equal(b->servers[1].addr.len, 0);
    assert_int_equal(b->servers[1].mark.line, 4);
    assert_int_equal(b->servers[1].mark.column, 5);
    arena_free(c->arena);
}

static void test_short_form_keys(void **state)
{
    (void)state;
    struct config *c =
        load_fine("listen: 80\nservers: 10.0.0.1:80\nbalance: hash\nhash: header X-User\n"
                  "mode: http\nretries: 1\nreuse: never\nsend-proxy: v1\n"
                  "server-defaults: {weight: 7}\ntimeout: {connect: 1s, client: 2s}\n"
                  "limits: {fields: 9}\nroutes: {path: /x, deny: 403}\n");
    const struct frontend *f = frontend(c, "default");
    const struct backend *b = backend(c, "default");
    assert_int_equal(b->balance, BALANCE_HASH);
    assert_int_equal(b->hash_on, HASH_HEADER);
    assert_str(b->hash_name, "X-User");
    assert_int_equal(b->retries, 1);
    assert_int_equal(b->reuse, REUSE_NEVER);
    assert_int_equal(b->send_proxy, PROXY_V1);
    assert_int_equal(b->servers[0].weight, 7);
    assert_int_equal(b->timeout.connect, 1000);
    assert_int_equal(f->timeout.client, 2000);
    assert_int_equal(f->limits.fields, 9);
    assert_int_equal(f->n_routes, 2);
    assert_int_equal(f->routes[0].action, ROUTE_DENY);
    assert_int_equal(f->routes[0].status, 403);
    assert_ptr_equal(f->routes[1].backend, b);
    arena_free(c->arena);
}

static void test_tcp(void **state)
{
    (void)state;
    struct config *c = load_fine("frontends: {db: {listen: 3310, mode: tcp, backend: db}}\n"
                                 "backends: {db: [10.0.0.1:9000]}\n");
    assert_int_equal(frontend(c, "db")->mode, MODE_TCP);
    assert_int_equal(backend(c, "db")->mode, MODE_TCP);
    arena_free(c->arena);
    c = load_fine("listen: 3310\nmode: tcp\nservers: [10.0.0.1:9000]\nbalance: hash\nhash: client\n"
                  "limits: {head: 64KiB}\n");
    assert_int_equal(backend(c, "default")->mode, MODE_TCP);
    arena_free(c->arena);
    c = load_fine("defaults: {mode: tcp}\nlisten: 3310\nservers: [10.0.0.1:9000]\n");
    assert_int_equal(frontend(c, "default")->mode, MODE_TCP);
    assert_int_equal(backend(c, "default")->mode, MODE_TCP);
    arena_free(c->arena);
}

// Own value, then defaults, then the top level, then the row's default: key by key.
static void test_inheritance(void **state)
{
    (void)state;
    struct config *c = load_fine(
        "timeout: {connect: 1s, server: 1m, client: 11s}\n"
        "limits: {head: 16KiB, fields: 50}\n"
        "trusted-proxies: 10.0.0.0/8\n"
        "defaults: {balance: first, retries: 9, timeout: {connect: 2s}, limits: {fields: 60}}\n"
        "frontends:\n"
        "  a: {listen: 80, backend: a, timeout: {request: 3s}, limits: {uri: 100B}}\n"
        "  b: {listen: 81, backend: b, trusted-proxies: []}\n"
        "backends:\n"
        "  a: {servers: [10.0.0.1:80], timeout: {server: 3m}, balance: random}\n"
        "  b: [10.0.0.2:80]\n");
    const struct frontend *fa = frontend(c, "a"), *fb = frontend(c, "b");
    const struct backend *ba = backend(c, "a"), *bb = backend(c, "b");
    assert_int_equal(ba->timeout.connect, 2000);
    assert_int_equal(ba->timeout.server, 180000);
    assert_int_equal(bb->timeout.server, 60000);
    assert_int_equal(ba->balance, BALANCE_RANDOM);
    assert_int_equal(bb->balance, BALANCE_FIRST);
    assert_int_equal(bb->retries, 9);
    assert_int_equal(fa->timeout.client, 11000);
    assert_int_equal(fa->timeout.request, 3000);
    assert_int_equal(fb->timeout.request, 10000);
    assert_int_equal(fa->limits.head_bytes, 16384);
    assert_int_equal(fa->limits.fields, 60);
    assert_int_equal(fa->limits.uri_bytes, 100);
    assert_int_equal(fa->n_trusted, 1);
    assert_int_equal(fb->n_trusted, 0);
    arena_free(c->arena);
}

static void test_inherited_hash(void **state)
{
    (void)state;
    struct config *c = load_fine(
        "defaults: {balance: hash, hash: cookie sid}\nlisten: 80\nservers: [10.0.0.1:80]\n");
    assert_int_equal(backend(c, "default")->hash_on, HASH_COOKIE);
    assert_str(backend(c, "default")->hash_name, "sid");
    arena_free(c->arena);
}

static void test_listens(void **state)
{
    (void)state;
    struct config *c =
        load_fine("frontends:\n  f:\n    listen: [80, \"[::1]:81\", 127.0.0.1:82, \"unix:/run/x\", "
                  "{address: 83, accept-proxy: false}]\n"
                  "    accept-proxy: true\n    trusted-proxies: 10.0.0.1\n    backend: b\n"
                  "backends: {b: 10.0.0.1:80}\n");
    const struct frontend *f = frontend(c, "f");
    assert_int_equal(f->n_listens, 5);
    assert_true(f->listens[0].accept_proxy);
    assert_false(f->listens[0].v6_only);
    assert_true(f->listens[1].v6_only);
    assert_false(f->listens[2].v6_only);
    assert_addr(&f->listens[3].addr, "unix:/run/x");
    assert_false(f->listens[4].accept_proxy);
    assert_int_equal(f->listens[1].mark.line, 3);
    arena_free(c->arena);
}

static void test_servers_map(void **state)
{
    (void)state;
    struct config *c =
        load_fine("frontends: {f: {listen: 80, routes: [{path: /x, backend: y}, {backend: x}]}}\n"
                  "backends:\n"
                  "  x-anchor: {ignored: true}\n"
                  "  x: {servers: {a: 10.0.0.1:80, b: {address: \"[::1]:81\", weight: 0}}, "
                  "server-defaults: {weight: 5}}\n"
                  "  y: {servers: {c: \"unix:/run/y\"}}\n");
    const struct backend *x = backend(c, "x"), *y = backend(c, "y");
    assert_int_equal(c->n_backends, 2);
    assert_int_equal(c->n_servers, 3);
    assert_str(x->servers[0].name, "a");
    assert_int_equal(x->servers[0].weight, 5);
    assert_int_equal(x->servers[1].weight, 0);
    assert_str(x->servers[1].host, "::1");
    assert_addr(&y->servers[0].addr, "unix:/run/y");
    for (uint32_t i = 0; i < c->n_servers; i++)
        assert_int_equal(c->servers[i].index, i);
    assert_ptr_equal(x->servers, &c->servers[0]);
    assert_ptr_equal(y->servers, &c->servers[2]);
    assert_ptr_equal(y->servers[0].backend, y);
    arena_free(c->arena);
}

static void test_routes(void **state)
{
    (void)state;
    struct config *c =
        load_fine("frontends:\n  f:\n    listen: 80\n    backend: b\n    routes:\n"
                  "      - {host: [Shop.Example.COM., \"*.Example.com\", \"[::1]\"], path: [/a, "
                  "/b%20c/], backend: b}\n"
                  "      - {path: /old/, redirect: \"https://x.example/new/\", status: 301}\n"
                  "      - {path: /other, redirect: /new}\n"
                  "      - {host: a.b, redirect: https}\n"
                  "      - {path: /no, deny: 451}\n"
                  "backends: {b: 10.0.0.1:80}\n");
    const struct frontend *f = frontend(c, "f");
    const struct route *r = f->routes;
    assert_int_equal(f->n_routes, 6);
    assert_int_equal(r[0].n_hosts, 3);
    assert_str(r[0].hosts[0].name, "shop.example.com");
    assert_false(r[0].hosts[0].wildcard);
    assert_str(r[0].hosts[1].name, ".example.com");
    assert_true(r[0].hosts[1].wildcard);
    assert_str(r[0].hosts[2].name, "[::1]");
    assert_str(r[0].paths[1], "/b%20c/");
    assert_int_equal(r[1].action, ROUTE_REDIRECT);
    assert_str(r[1].redirect, "https://x.example/new/");
    assert_int_equal(r[1].status, 301);
    assert_int_equal(r[2].status, 302);
    assert_int_equal(r[3].status, 308);
    assert_int_equal(r[4].action, ROUTE_DENY);
    assert_int_equal(r[4].status, 451);
    assert_int_equal(r[5].action, ROUTE_BACKEND);
    assert_int_equal(r[5].n_hosts + r[5].n_paths, 0);
    arena_free(c->arena);
}

static void test_redirect_shortcut(void **state)
{
    (void)state;
    struct config *c = load_fine("frontends: {a: {listen: 80, redirect: https}, b: {listen: 81, "
                                 "redirect: \"http://x.example/\"}}\n");
    assert_int_equal(frontend(c, "a")->routes[0].action, ROUTE_REDIRECT);
    assert_str(frontend(c, "a")->routes[0].redirect, "https");
    assert_int_equal(frontend(c, "a")->routes[0].status, 308);
    assert_int_equal(frontend(c, "b")->routes[0].status, 302);
    arena_free(c->arena);
}

static void test_hsts(void **state)
{
    (void)state;
    struct config *c = load_fine(
        "trusted-proxies: 10.0.0.9\n"
        "frontends:\n"
        "  a: {listen: 80, backend: b, hsts: 1y}\n"
        "  c: {listen: 81, backend: b, hsts: {max-age: 1y1s, subdomains: true, preload: true}}\n"
        "  d: {listen: 82, backend: b, hsts: 0}\n"
        "  e: {listen: 83, backend: b}\n"
        "backends: {b: 10.0.0.1:80}\n");
    assert_str(frontend(c, "a")->hsts.value, "max-age=31536000");
    assert_str(frontend(c, "c")->hsts.value, "max-age=31536001; includeSubDomains; preload");
    assert_str(frontend(c, "d")->hsts.value, "max-age=0");
    assert_int_equal(frontend(c, "e")->hsts.value.len, 0);
    arena_free(c->arena);
    assert_refused("listen: 80\nservers: a:80\nhsts: true\n", "config.unit", 3, 7);
    assert_refused("listen: 80\nservers: a:80\nhsts: 31536000\n", "config.unit", 3, 7);
    assert_refused("listen: 80\nmode: tcp\nservers: a:80\nhsts: 1y\n", "config.mode", 4, 1);
}

// To https before all routes, to anything else behind them; https may have a backend beside it.
static void test_places_of_shortcuts(void **state)
{
    (void)state;
    struct config *c =
        load_fine("frontends:\n"
                  "  a: {listen: 80, trusted-proxies: 10.0.0.1, redirect: https, backend: b,\n"
                  "      routes: {path: /x, deny: 403}}\n"
                  "  c: {listen: 81, redirect: /new, routes: {path: /x, deny: 403}}\n"
                  "backends: {b: 10.0.0.1:80}\n");
    const struct route *a = frontend(c, "a")->routes, *other = frontend(c, "c")->routes;
    assert_int_equal(frontend(c, "a")->n_routes, 3);
    assert_true(route_is_to_https(&a[0]));
    assert_int_equal(a[1].action, ROUTE_DENY);
    assert_int_equal(a[2].action, ROUTE_BACKEND);
    assert_int_equal(frontend(c, "c")->n_routes, 2);
    assert_int_equal(other[0].action, ROUTE_DENY);
    assert_str(other[1].redirect, "/new");
    arena_free(c->arena);
    c = load_fine("listen: 80\ntrusted-proxies: 10.0.0.1\nredirect: https\nservers: "
                  "10.0.0.2:80\n");
    assert_int_equal(frontend(c, "default")->n_routes, 2);
    assert_str(frontend(c, "default")->routes[1].backend->name, "default");
    arena_free(c->arena);
}

static void assert_op(const struct header_op *op, enum header_action action, const char *name,
                      const char *value)
{
    assert_int_equal(op->action, action);
    assert_str(op->name, name);
    assert_str(op->value, value);
}

static void test_headers(void **state)
{
    (void)state;
    struct config *c =
        load_fine("listen: 80\nservers: [10.0.0.1:80]\nheaders:\n"
                  "  remove: X-Old\n"
                  "  set: {X-Env: \" prod \", X-Many: [a, b]}\n"
                  "  request: {add: {Via: 1.1 evlb}, set: {Host: internal}}\n"
                  "  response: {remove: [Server, X-Powered-By], add: {Set-Cookie: [a=b, c=d]}}\n");
    const struct header_ops *h = &frontend(c, "default")->headers;
    assert_int_equal(h->n_request, 6);
    assert_op(&h->request[0], HEADER_REMOVE, "X-Old", "");
    assert_op(&h->request[1], HEADER_SET, "X-Env", "prod");
    assert_op(&h->request[2], HEADER_SET, "X-Many", "a");
    assert_op(&h->request[3], HEADER_ADD, "X-Many", "b");
    assert_op(&h->request[4], HEADER_ADD, "Via", "1.1 evlb");
    assert_op(&h->request[5], HEADER_SET, "Host", "internal");
    assert_int_equal(h->n_response, 4);
    assert_op(&h->response[1], HEADER_REMOVE, "X-Powered-By", "");
    assert_op(&h->response[3], HEADER_ADD, "Set-Cookie", "c=d");
    arena_free(c->arena);
}

// In the short form the headers are those of the frontend alone: `add` must not act twice.
static void test_headers_once(void **state)
{
    (void)state;
    struct config *c = load_fine("listen: 80\nservers: [10.0.0.1:80]\nheaders: {add: {Via: x}}\n");
    assert_int_equal(
        frontend(c, "default")->headers.n_request + backend(c, "default")->headers.n_request, 1);
    arena_free(c->arena);
}

static void test_process(void **state)
{
    (void)state;
    struct config *c =
        load_fine("listen: 80\nservers: [10.0.0.1:80]\nworkers: 3\nuser: www-data\ngroup: 33\n"
                  "max-connections: 77\ntimeout: {shutdown: 0}\nadmin: {socket: /run/x.sock}\n"
                  "log: {level: debug, access: /var/log/a.log}\n");
    assert_int_equal(c->workers, 3);
    assert_str(c->user, "www-data");
    assert_str(c->group, "33");
    assert_int_equal(c->max_connections, 77);
    assert_int_equal(frontend(c, "default")->max_connections, 0);
    assert_int_equal(c->shutdown_ms, 0);
    assert_str(c->admin_socket, "/run/x.sock");
    assert_int_equal(c->log_level, LOG_DEBUG);
    assert_true(c->access_log);
    assert_str(c->access_log_path, "/var/log/a.log");
    arena_free(c->arena);
}

static void assert_access(const char *value, bool on, const char *path)
{
    struct arena *a = arena_new();
    struct config *c = load_fine(
        arena_printf(a, "listen: 80\nservers: [10.0.0.1:80]\nlog: {access: %s}\n", value));
    assert_true(c->access_log == on);
    assert_str(c->access_log_path, path);
    arena_free(c->arena);
    arena_free(a);
}

static void test_access_log(void **state)
{
    (void)state;
    assert_access("true", true, "");
    assert_access("false", false, "");
    assert_access("stderr", true, "");
    assert_access("{to: stderr}", true, "");
    assert_access("{to: /x}", true, "/x");
    assert_access("{}", true, "");
    struct config *c = load_fine("listen: 80\nservers: [10.0.0.1:80]\nlog: warning\n");
    assert_int_equal(c->log_level, LOG_WARNING);
    arena_free(c->arena);
}

// A wrong value that many objects inherit is said once, and the others are still judged.
static void test_poisoned_once(void **state)
{
    (void)state;
    struct findings f;
    assert_null(
        load_text("defaults: {timeout: {server: 5}, balance: bad}\n"
                  "frontends: {f: {listen: 80, routes: [{path: /x, backend: a}, {backend: b}]}}\n"
                  "backends: {a: [10.0.0.1:80], b: {servers: [10.0.0.1], retries: x}}\n",
                  &f));
    assert_int_equal(f.errors, 4);
    findings_free(&f);
}

// A secret that is not valid is not quoted.
static void test_secret_in_message(void **state)
{
    (void)state;
    static const struct memory_file files[] = {{"/secret", "hunter2 !\n"}, {NULL, NULL}};
    struct memory memory = {files, NULL};
    struct config_source s =
        memory_source(&memory, "t.yaml",
                      "listen: 80\nservers: [\"${file:/secret}\"]\nuser: ${file:/secret}\n"
                      "timeout: {server: \"${file:/secret}\"}\nbalance: ${file:/secret}\n"
                      "headers: {remove: [\"${file:/secret}\"]}\n"
                      "routes: {path: \"${file:/secret}\", backend: \"${file:/secret}\"}\n");
    struct findings f;
    char *text = NULL;
    findings_init(&f);
    assert_null(config_load(&s, &f));
    WRITTEN(text, findings_print(&f, out, FINDINGS_TEXT, false));
    assert_int_equal(f.errors, 7);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "the value from file /secret is not valid for 'user'"));
    free(text);
    findings_free(&f);
}

static void test_large(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    char *text = xmalloc(1 << 20);
    size_t n = (size_t)snprintf(text, 64, "frontends:\n");
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(
            text + n, 128, "  f%d: {listen: %d, backend: b, timeout: {client: 1m}}\n", i, 1000 + i);
    n += (size_t)snprintf(text + n, 64, "backends:\n  b:\n    servers:\n");
    for (int i = 0; i < 1000; i++)
        n += (size_t)snprintf(text + n, 128, "      s%d: {address: 10.0.%d.%d:80, weight: 2}\n", i,
                              i / 250, i % 250 + 1);
    struct config *c = load_fine(text);
    assert_int_equal(c->n_servers, 1000);
    assert_int_equal(c->n_frontends, 200);
    arena_free(c->arena);
    free(text);
    arena_free(a);
}

// ---- many certificates

static int read_crowd(void *ctx, const char *path, enum live_kind kind, struct arena *a,
                      struct str *content)
{
    (void)ctx, (void)kind;
    *content = arena_str(a, STR("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"));
    bool is_one = str_ends(str_of(path), STR(".pem")) && strcmp(path, "dir/fullchain.pem") != 0;
    return strcmp(path, "dir") == 0 ? -EISDIR : is_one ? 0 : -ENOENT;
}

static int list_crowd(void *ctx, const char *dir, struct arena *a, const char ***paths, size_t *n)
{
    *n = *(size_t *)ctx;
    *paths = arena_alloc(a, (*n + 1) * sizeof(**paths));
    for (size_t i = 0; i < *n; i++)
        (*paths)[i] = arena_printf(a, "%s/%zu.pem", dir, i);
    return 0;
}

static struct config *load_crowd(size_t n, struct findings *f)
{
    struct memory none = {NULL, NULL};
    struct config_source s =
        memory_source(&none, "t.yaml", "listen: 443\ntls: dir/\nservers: [a:1]\n");
    s.ctx = &n;
    s.read_live = read_crowd;
    s.list_live = list_crowd;
    findings_init(f);
    return config_load(&s, f);
}

static void test_more_certificates_than_can_be(void **state)
{
    (void)state;
    struct findings f;
    struct config *c = load_crowd(10000, &f);
    assert_non_null(c);
    assert_int_equal(c->frontends[0].listens[0].tls.n_certs, 10000);
    arena_free(c->arena);
    findings_free(&f);
    assert_null(load_crowd(10003, &f));
    assert_int_equal(f.errors, 1);
    assert_string_equal(f.items[0].message, "there are more than 10000 certificates");
    assert_int_equal(f.items[0].line, 2);
    findings_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_certificates_than_can_be),
        cmocka_unit_test(test_short_form),
        cmocka_unit_test(test_short_form_keys),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_inherited_hash),
        cmocka_unit_test(test_listens),
        cmocka_unit_test(test_servers_map),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_redirect_shortcut),
        cmocka_unit_test(test_places_of_shortcuts),
        cmocka_unit_test(test_hsts),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_headers_once),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_access_log),
        cmocka_unit_test(test_poisoned_once),
        cmocka_unit_test(test_secret_in_message),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
