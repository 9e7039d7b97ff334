// SPDX-License-Identifier: MIT
// ${...} in values: forms, escapes, origins, secrets, and that a value never becomes structure.
#include "conf_test.h"

#include "conf/interpolate.h"

static const char *const env[] = {"PORT",   "8080",       "EMPTY",
                                  "",       "LIST",       "[1, 2]",
                                  "DOLLAR", "a${PORT}$$", "CREDENTIALS_DIRECTORY",
                                  "/creds", NULL};
static const struct memory_file files[] = {{"/run/secret", "s3cret\r\n"},
                                           {"/run/two", "a\n\n"},
                                           {"/run/empty", ""},
                                           {"/creds/token", "t0ken\n"},
                                           {"/creds/locked", "<unreadable>"},
                                           {NULL, NULL}};
static struct memory memory = {files, env};

struct result {
    bool fine;
    char value[128], origin[64], id[32];
    uint32_t column;
    bool secret;
};

static struct result expand(const char *text)
{
    struct arena *a = arena_new();
    struct findings f;
    struct config_source s = memory_source(&memory, "t.yaml", "");
    struct conf_file file = {.name = "t.yaml", .text = str_of(text)};
    struct node n = {.kind = NODE_SCALAR, .text = str_of(text)};
    struct result r = {0};
    n.at = (struct span){&file, 1, 1, 1, (uint32_t)strlen(text) + 1};
    findings_init(&f);
    r.fine = interpolate(a, &s, &f, &n);
    str_copy(n.value, r.value, sizeof(r.value));
    str_copy(str_of(n.origin), r.origin, sizeof(r.origin));
    r.secret = n.secret;
    if (f.count > 0) {
        str_copy(str_of(f.items[0].id), r.id, sizeof(r.id));
        r.column = f.items[0].column;
    }
    assert_int_equal(f.errors, r.fine ? 0 : 1);
    assert_true(interpolate(a, &s, &f, &n) == r.fine); // once only
    assert_int_equal(f.errors, r.fine ? 0 : 1);
    findings_free(&f);
    arena_free(a);
    return r;
}

static void is(const char *text, const char *expected, const char *origin)
{
    struct result r = expand(text);
    if (!r.fine || strcmp(r.value, expected) != 0 || strcmp(r.origin, origin) != 0)
        fail_msg("'%s' gives '%s' from '%s'", text, r.value, r.origin);
}

static void refused(const char *text, uint32_t column)
{
    struct result r = expand(text);
    if (r.fine || strcmp(r.id, "config.interpolation") != 0 || r.column != column)
        fail_msg("'%s': %s at %u", text, r.id, r.column);
}

static void test_variables(void **state)
{
    (void)state;
    is("plain", "plain", "");
    is("${PORT}", "8080", "env PORT");
    is(":${PORT}/x", ":8080/x", "env PORT");
    is("${PORT}${PORT}", "80808080", "env PORT");
    is("${EMPTY}", "", "env EMPTY");
    is("${NONE:-fallback}", "fallback", "");
    is("${NONE:-}", "", "");
    is("${EMPTY:-fallback}", "fallback", "");
    is("${PORT:-fallback}", "8080", "env PORT");
    is("${PORT:?message}", "8080", "env PORT");
}

static void test_dollars(void **state)
{
    (void)state;
    is("$$", "$", "");
    is("$${PORT}", "${PORT}", "");
    is("a$b", "a$b", "");
    is("a$", "a$", "");
    is("$", "$", "");
    is("$$$${PORT}", "$${PORT}", "");
    is("$$${PORT}", "$8080", "env PORT");
    is("${DOLLAR}", "a${PORT}$$", "env DOLLAR"); // what comes in is not expanded again
}

static void test_files(void **state)
{
    (void)state;
    is("${file:/run/secret}", "s3cret", "file /run/secret");
    is("${file:/run/two}", "a\n", "file /run/two");
    is("${file:/run/empty}", "", "file /run/empty");
    is("x${cred:token}", "xt0ken", "credential token");
    assert_true(expand("${file:/run/secret}").secret);
    assert_true(expand("${cred:token}").secret);
    assert_false(expand("${PORT}").secret);
}

static void test_refused(void **state)
{
    (void)state;
    refused("${NONE}", 1);
    refused("ab${NONE}", 3);
    refused("${NONE:?set it}", 1);
    refused("${EMPTY:?set it}", 1);
    refused("${", 1);
    refused("ä ${PORT", 3);
    refused("${}", 1);
    refused("${1A}", 1);
    refused("${A-B}", 1);
    refused("${A:+B}", 1);
    refused("${A:-${B}}", 1);
    refused("${file:}", 1);
    refused("${file:relative}", 1);
    refused("${file:/missing}", 1);
    refused("${cred:}", 1);
    refused("${cred:a/b}", 1);
    refused("${cred:..}", 1);
    refused("${cred:missing}", 1);
    refused("${cred:locked}", 1);
}

static void test_structure(void **state)
{
    (void)state;
    struct findings f;
    struct config_source s =
        memory_source(&memory, "t.yaml",
                      "listen: 80\nservers: [10.0.0.1:80]\nheaders: {set: {X-A: \"${LIST}\"}}\n");
    findings_init(&f);
    struct config *c = config_load(&s, &f);
    assert_non_null(c);
    assert_str(c->frontends[0].headers.request[0].value, "[1, 2]");
    arena_free(c->arena);
    findings_free(&f);
}

// What stands under keys that are ignored is not looked up.
static void test_ignored_keys(void **state)
{
    (void)state;
    struct config *c = load_fine("x-a: ${NONE}\nlisten: 80\nservers: [10.0.0.1:80]\n");
    arena_free(c->arena);
}

static void test_no_credentials(void **state)
{
    (void)state;
    assert_refused("listen: 80\nservers: [10.0.0.1:80]\nuser: ${cred:x}\n", "config.interpolation",
                   3, 7);
}

static void test_no_place(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct findings f;
    struct config_source s = memory_source(&memory, "t.yaml", "");
    struct conf_file file = {.name = "t.yaml", .text = STR("\"\\u0024{NONE}\"")};
    struct node n = {.kind = NODE_SCALAR, .text = STR("${NONE}"), .at = {&file, 1, 1, 1, 15}};
    findings_init(&f);
    assert_false(interpolate(a, &s, &f, &n)); // written with an escape: the whole value is marked
    assert_int_equal(f.items[0].end_column, 15);
    findings_free(&f);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables),      cmocka_unit_test(test_dollars),
        cmocka_unit_test(test_files),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_structure),      cmocka_unit_test(test_ignored_keys),
        cmocka_unit_test(test_no_credentials), cmocka_unit_test(test_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
