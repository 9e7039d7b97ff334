// SPDX-License-Identifier: MIT
// Servers added and removed at run time: the text of lines, and what a load makes of it.
#include "conf_test.h"

#include "conf/overlay.h"

static void test_parse(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct overlay o;
    const char *why = NULL;
    struct str text = STR("add app/c 10.0.0.13:80 weight=2 tier=3 max-connections=100\n"
                          "remove app/a\n"
                          "add app/x/y unix:/run/x.sock");
    assert_true(overlay_parse(text, a, &o, &why));
    assert_int_equal(o.n, 3);
    assert_false(o.entries[0].removes);
    assert_str(o.entries[0].backend, "app");
    assert_str(o.entries[0].server, "c");
    assert_str(o.entries[0].address, "10.0.0.13:80");
    assert_str(o.entries[0].weight, "2");
    assert_str(o.entries[0].tier, "3");
    assert_str(o.entries[0].max_connections, "100");
    assert_true(o.entries[1].removes);
    assert_str(o.entries[1].server, "a");
    assert_str(o.entries[2].server, "x/y");
    assert_int_equal(o.entries[2].weight.len, 0);
    assert_true(overlay_parse(STR_NONE, a, &o, &why));
    assert_int_equal(o.n, 0);
    assert_true(overlay_parse(STR("\n\n"), a, &o, &why));
    assert_int_equal(o.n, 0);
    arena_free(a);
}

static void test_parse_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"put app/a x", "line 1: neither 'add' nor 'remove'"},
        {"remove app/a\nadd app 10.0.0.1:80", "line 2: not BACKEND/SERVER"},
        {"add /a 10.0.0.1:80", "line 1: not BACKEND/SERVER"},
        {"add app/ 10.0.0.1:80", "line 1: not BACKEND/SERVER"},
        {"add app/a", "line 1: no address"},
        {"add app/a  weight=1", "line 1: no address"},
        {"add app/a 10.0.0.1:80 height=1", "line 1: not weight=, tier= or max-connections="},
        {"add app/a 10.0.0.1:80 weight=", "line 1: not weight=, tier= or max-connections="},
        {"add app/a 10.0.0.1:80 ", "line 1: not weight=, tier= or max-connections="},
        {"remove app/a now", "line 1: something behind the server"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena *a = arena_new();
        struct overlay o;
        const char *why = NULL;
        assert_false(overlay_parse(str_of(cases[i].text), a, &o, &why));
        assert_string_equal(why, cases[i].why);
        arena_free(a);
    }
}

static const struct overlay_entry add_c = {
    .backend = {"app", 3}, .server = {"c", 1}, .address = {"10.0.0.3:80", 11}, .tier = {"2", 1}};
static const struct overlay_entry remove_c = {
    .removes = true, .backend = {"app", 3}, .server = {"c", 1}};

static void assert_added(struct arena *a, const char *text, const struct overlay_entry *e,
                         const char *expected)
{
    struct str out;
    assert_true(overlay_add(str_of(text), e, a, &out));
    assert_str(out, expected);
}

#define ADD_C "add app/c 10.0.0.3:80 tier=2\n"

static void test_add(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    assert_added(a, "", &add_c, ADD_C);
    assert_added(a, "remove b/c\n", &add_c, "remove b/c\n" ADD_C);
    assert_added(a, "add app/c 1.1.1.1:1 weight=9\nremove b/c\n", &add_c, "remove b/c\n" ADD_C);
    assert_added(a, "remove app/c\n", &add_c, "remove app/c\n" ADD_C);
    assert_added(a, "", &remove_c, "remove app/c\n");
    assert_added(a, "remove app/c\n", &remove_c, "remove app/c\n");
    assert_added(a, ADD_C "add app/d x:1\n", &remove_c, "add app/d x:1\n");
    assert_added(a, "remove app/c\n" ADD_C, &remove_c, "remove app/c\n");
    arena_free(a);
}

static void test_add_faults(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct str out;
    struct overlay_entry e = add_c;
    assert_false(overlay_add(STR("rubbish"), &e, a, &out));
    e.address = STR("10.0.0.1:80\nremove app/a");
    assert_false(overlay_add(STR(""), &e, a, &out));
    e.address = STR_NONE;
    assert_false(overlay_add(STR(""), &e, a, &out));
    e = add_c;
    e.weight = STR("1 tier=2");
    assert_false(overlay_add(STR(""), &e, a, &out));
    e = remove_c;
    e.server = STR("a b");
    assert_false(overlay_add(STR(""), &e, a, &out));
    e = remove_c;
    e.backend = STR("a/b");
    assert_false(overlay_add(STR(""), &e, a, &out));
    arena_free(a);
}

// ---- loading ----------------------------------------------------------------------------------

static struct config *load_over(const char *text, const char *overlay, struct findings *f)
{
    struct memory none = {NULL, NULL};
    struct config_source s = memory_source(&none, "t.yaml", text);
    s.overlay = str_of(overlay);
    findings_init(f);
    return config_load(&s, f);
}

// The names of the servers of all backends ("a b"), and what is left of the overlay.
static void assert_over(const char *text, const char *overlay, const char *names, const char *left)
{
    struct findings f;
    char have[256] = "";
    struct config *c = load_over(text, overlay, &f);
    if (c == NULL)
        findings_print(&f, stderr, FINDINGS_TEXT, false);
    assert_non_null(c);
    for (uint32_t i = 0; i < c->n_servers; i++) {
        size_t n = strlen(have);
        snprintf(have + n, sizeof(have) - n, "%s%.*s%s", n > 0 ? " " : "",
                 STR_FMT(c->servers[i].name), c->servers[i].added ? "+" : "");
        assert_int_equal(c->servers[i].index, i);
    }
    assert_string_equal(have, names);
    assert_str(c->overlay, left);
    findings_free(&f);
    arena_free(c->arena);
}

#define FILE_TEXT                                                                                  \
    "listen: 80\nroutes: [{path: /b, backend: b}, {backend: app}]\n"                               \
    "backends:\n"                                                                                  \
    "  app: {servers: {a: 10.0.0.1:80, c: 10.0.0.9:80}, server-defaults: {weight: 7}}\n"           \
    "  b: [10.0.0.3:80, 10.0.0.4:80]\n"

static void test_load(void **state)
{
    (void)state;
    assert_over(FILE_TEXT, "", "a c s1 s2", "");
    assert_over(FILE_TEXT, "add app/d 10.0.0.5:80\n", "a c d+ s1 s2", "add app/d 10.0.0.5:80\n");
    assert_over(FILE_TEXT, "remove b/s1\n", "a c s2", "remove b/s1\n");
    assert_over(FILE_TEXT, "remove app/a\nadd app/a 10.0.0.7:80\n", "c a+ s1 s2",
                "remove app/a\nadd app/a 10.0.0.7:80\n");
    assert_over(FILE_TEXT, "remove b/s1\nremove b/s2\n", "a c", "remove b/s1\nremove b/s2\n");
}

static void test_overtaken(void **state)
{
    (void)state;
    assert_over(FILE_TEXT, "add app/c 10.0.0.5:80\n", "a c s1 s2", "");
    assert_over(FILE_TEXT, "remove app/x\nadd nowhere/a 10.0.0.5:80\nremove nowhere/b\n",
                "a c s1 s2", "");
    assert_over(FILE_TEXT, "remove app/x\nadd app/d 10.0.0.5:80 tier=2\n", "a c d+ s1 s2",
                "add app/d 10.0.0.5:80 tier=2\n");
}

static void test_settings(void **state)
{
    (void)state;
    struct findings f;
    struct config *c = load_over(FILE_TEXT,
                                 "add app/d 10.0.0.5:80\n"
                                 "add app/e e.internal:81 weight=3 tier=2 max-connections=5\n",
                                 &f);
    assert_non_null(c);
    const struct backend *app = map_get(&c->backend_by_name, STR("app"));
    const struct server *d = &app->servers[2], *e = &app->servers[3];
    assert_int_equal(app->n_servers, 4);
    assert_int_equal(d->weight, 7);
    assert_int_equal(d->tier, 1);
    assert_int_equal(ip_port(&d->addr.ip), 80);
    assert_ptr_equal(d->backend, app);
    assert_string_equal(d->mark.file, "evlb ctl");
    assert_int_equal(d->mark.line, 0);
    assert_str(e->host, "e.internal");
    assert_int_equal(e->weight, 3);
    assert_int_equal(e->tier, 2);
    assert_int_equal(e->max_connections, 5);
    findings_free(&f);
    arena_free(c->arena);
}

// Names with several addresses are added and removed as one.
static void test_places(void **state)
{
    (void)state;
    static const char *const text =
        "listen: 80\nresolve: all\nservers: {a: x:80, b: 10.0.0.1:80}\n";
    assert_over(text, "remove default/a\nadd default/c srv:_h._tcp.x\n",
                "b c.1+ c.2+ c.3+ c.4+ c.5+ c.6+ c.7+ c.8+",
                "remove default/a\nadd default/c srv:_h._tcp.x\n");
    assert_over(text, "add default/a 10.0.0.2:80\n", "a.1 a.2 a.3 a.4 a.5 a.6 a.7 a.8 b", "");
}

static void assert_bad_overlay(const char *overlay, const char *expected)
{
    struct findings f;
    char *printed = NULL;
    assert_null(load_over(FILE_TEXT, overlay, &f));
    WRITTEN(printed, findings_print(&f, out, FINDINGS_GCC, false));
    assert_string_equal(printed, expected);
    free(printed);
    findings_free(&f);
}

static void test_bad(void **state)
{
    (void)state;
    assert_bad_overlay("add app/d 10.0.0.5\n",
                       "evlb ctl: error: server '10.0.0.5' has no port [config.address]\n");
    assert_bad_overlay("add app/d 10.0.0.5:80 weight=900\n",
                       "evlb ctl: error: 'weight' is 900, which is too large [config.range]\n");
    assert_bad_overlay("add app/d! 10.0.0.5:80\n",
                       "evlb ctl: error: 'd!' cannot be the name of a server [config.name]\n");
    assert_bad_overlay("rubbish\n",
                       "error: evlb ctl: line 1: neither 'add' nor 'remove' [config.overlay]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),    cmocka_unit_test(test_parse_faults),
        cmocka_unit_test(test_add),      cmocka_unit_test(test_add_faults),
        cmocka_unit_test(test_load),     cmocka_unit_test(test_overtaken),
        cmocka_unit_test(test_settings), cmocka_unit_test(test_places),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
