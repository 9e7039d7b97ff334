// SPDX-License-Identifier: MIT
// Several files: patterns, directories, merging by name, cycles, depth, what cannot be read.
#include "conf_test.h"

static struct findings findings;

static struct config *load(const struct memory_file *files, const char *root)
{
    struct memory memory = {files, NULL};
    struct config_source s = memory_source(&memory, root, NULL);
    findings_free(&findings);
    findings_init(&findings);
    return config_load(&s, &findings);
}

static int end(void **state)
{
    (void)state;
    findings_free(&findings);
    return 0;
}

static void assert_loads(struct config *c, uint32_t frontends, uint32_t backends)
{
    if (c == NULL)
        findings_print(&findings, stderr, FINDINGS_TEXT, false);
    assert_non_null(c);
    assert_int_equal(findings.count, 0);
    assert_int_equal(c->n_frontends, frontends);
    assert_int_equal(c->n_backends, backends);
    arena_free(c->arena);
}

static void assert_finding(const struct config *c, const char *id, const char *file,
                           const char *text)
{
    assert_null(c);
    for (size_t i = 0; i < findings.count; i++) {
        const struct finding *x = &findings.items[i];
        if (strcmp(x->id, id) == 0 && strcmp(x->file, file) == 0 &&
            strstr(x->message, text) != NULL)
            return;
    }
    findings_print(&findings, stderr, FINDINGS_TEXT, false);
    fail_msg("no %s in %s", id, file);
}

#define MAIN(include) "include: " include "\nfrontends: {web: {listen: 80, backend: a}}\n"
#define A "backends: {a: [10.0.0.1:80]}\n"

static void test_relative(void **state)
{
    (void)state;
    const struct memory_file files[] = {
        {"/etc/evlb/evlb.yaml", MAIN("conf.d/a.yaml")},
        {"/etc/evlb/conf.d/a.yaml", "include: [more/b.yaml, /abs/c.yaml]\n" A},
        {"/etc/evlb/conf.d/more/b.yaml", "frontends: {b: {listen: 81, backend: a}}\n"},
        {"/abs/c.yaml", "frontends: {c: {listen: 82, backend: a}}\n"},
        {NULL, NULL}};
    assert_loads(load(files, "/etc/evlb/evlb.yaml"), 3, 1);
}

static void test_patterns(void **state)
{
    (void)state;
    const struct memory_file files[] = {{"m.yaml", MAIN("[c/*.yaml, c/b.yaml]")},
                                        {"c/a.yaml", A},
                                        {"c/b.yaml", "frontends: {b: {listen: 81, backend: a}}\n"},
                                        {NULL, NULL}};
    assert_loads(load(files, "m.yaml"), 2, 1);
}

static void test_directory(void **state)
{
    (void)state;
    const struct memory_file files[] = {
        {"d", "<directory>"},
        {"d/", "<directory>"},
        {"d/10.yaml", "version: 1\nfrontends: {web: {listen: 80, backend: a}}\n"},
        {"d/20.yaml", "version: 1\nx-a: 1\n" A},
        {"d/notes.txt", "no yaml"},
        {NULL, NULL}};
    assert_loads(load(files, "d"), 1, 1);
    assert_loads(load(files, "d/"), 1, 1);
}

static void test_empty_directory(void **state)
{
    (void)state;
    const struct memory_file files[] = {{"d", "<directory>"}, {NULL, NULL}};
    assert_finding(load(files, "d"), "config.include", "", "'d' holds no *.yaml file");
    const struct memory_file locked[] = {{"secret", "<directory>"}, {NULL, NULL}};
    assert_finding(load(locked, "secret"), "config.include", "",
                   "cannot be read: Permission denied");
}

static void test_unreadable(void **state)
{
    (void)state;
    const struct memory_file files[] = {{"m.yaml", MAIN("[gone.yaml, locked.yaml, secret/*.yaml]")},
                                        {"locked.yaml", "<unreadable>"},
                                        {NULL, NULL}};
    struct config *c = load(files, "m.yaml");
    assert_finding(c, "config.include", "m.yaml", "'gone.yaml' cannot be read: No such file");
    assert_finding(c, "config.include", "m.yaml",
                   "'locked.yaml' cannot be read: Permission denied");
    assert_finding(c, "config.include", "m.yaml",
                   "'secret/*.yaml' cannot be read: Permission denied");
    assert_int_equal(findings.errors, 3); // backend 'a' may stand in what is missing
    assert_finding(load(files, "nothing.yaml"), "config.include", "",
                   "'nothing.yaml' cannot be read");
}

static void test_twice(void **state)
{
    (void)state;
    const struct memory_file files[] = {
        {"m.yaml", "log: info\n" MAIN("c.yaml") A},
        {"c.yaml",
         "frontends: {web: {listen: 81, backend: a}}\nbackends: {a: [10.0.0.2:80]}\nlog: debug\n"},
        {NULL, NULL}};
    struct config *c = load(files, "m.yaml");
    assert_finding(c, "config.duplicate", "c.yaml", "'web' is given twice");
    assert_finding(c, "config.duplicate", "c.yaml", "'a' is given twice");
    assert_finding(c, "config.duplicate", "c.yaml", "'log' is given twice");
    assert_int_equal(findings.errors, 3);
    assert_non_null(strstr(findings.items[0].fix, "m.yaml:3:13"));
}

static void test_cycles(void **state)
{
    (void)state;
    const struct memory_file files[] = {{"m.yaml", MAIN("a.yaml") A},
                                        {"a.yaml", "include: b.yaml\n"},
                                        {"b.yaml", "include: [a.yaml]\n"},
                                        {"self.yaml", MAIN("[\"*.yaml\"]") A},
                                        {NULL, NULL}};
    assert_finding(load(files, "m.yaml"), "config.include", "b.yaml", "'a.yaml' includes itself");
    assert_finding(load(files, "self.yaml"), "config.include", "self.yaml",
                   "'self.yaml' includes itself");
}

static void test_depth(void **state)
{
    (void)state;
    struct memory_file files[12];
    char names[11][32], texts[11][160];
    for (int i = 0; i < 11; i++) {
        snprintf(names[i], sizeof(names[i]), "%d.yaml", i);
        snprintf(texts[i], sizeof(texts[i]), i < 10 ? "include: %d.yaml\n" : "x-a: %d\n", i + 1);
        files[i] = (struct memory_file){names[i], texts[i]};
    }
    files[11] = (struct memory_file){NULL, NULL};
    assert_finding(load(files, "0.yaml"), "config.include", "8.yaml", "more than 8 levels");
    snprintf(texts[2], sizeof(texts[2]), "include: 3.yaml\nlisten: 80\nservers: [10.0.0.1:80]\n");
    assert_loads(load(files, "2.yaml"), 1, 1);
}

static void test_bad_include(void **state)
{
    (void)state;
    const struct memory_file files[] = {{"m.yaml", MAIN("[[a], {b: c}, \"\", \"${NONE}\"]") A},
                                        {"broken.yaml", "a: [\n"},
                                        {"list.yaml", MAIN("[broken.yaml, broken2.yaml]")},
                                        {"broken2.yaml", "- a\n"},
                                        {NULL, NULL}};
    struct config *c = load(files, "m.yaml");
    assert_finding(c, "config.type", "m.yaml", "'include' must be a path");
    assert_finding(c, "config.interpolation", "m.yaml", "NONE is not set");
    assert_int_equal(findings.errors, 4);
    c = load(files, "list.yaml");
    assert_finding(c, "yaml.syntax", "broken.yaml", "");
    assert_finding(c, "config.type", "broken2.yaml", "a configuration is a map");
    assert_int_equal(findings.errors, 2);
}

static void test_byte_order_mark(void **state)
{
    (void)state;
    const struct memory_file files[] = {
        {"m.yaml", "\xEF\xBB\xBFlisten: 80\nservers: [10.0.0.1:80]\n"}, {NULL, NULL}};
    assert_loads(load(files, "m.yaml"), 1, 1);
}

static int read_huge(void *ctx, const char *path, struct arena *a, struct str *content)
{
    (void)ctx;
    (void)path;
    size_t n = (16u << 20) + 1;
    char *text = arena_alloc(a, n + 1);
    memset(text, '#', n);
    *content = (struct str){text, n};
    return 0;
}

static void test_huge_file(void **state)
{
    (void)state;
    struct memory memory = {NULL, NULL};
    struct config_source s = memory_source(&memory, "-", NULL);
    s.read_file = read_huge;
    findings_free(&findings);
    findings_init(&findings);
    assert_finding(config_load(&s, &findings), "config.include", "", "'-' is larger than 16 MiB");
}

static void test_stdin_name(void **state)
{
    (void)state;
    const struct memory_file files[] = {{"-", "listen: 80\nservers: [10.0.0.1]\n"}, {NULL, NULL}};
    assert_finding(load(files, "-"), "config.address", "<stdin>", "has no port");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, end)
    const struct CMUnitTest tests[] = {
        TEST(test_relative),        TEST(test_patterns),   TEST(test_directory),
        TEST(test_empty_directory), TEST(test_unreadable), TEST(test_twice),
        TEST(test_cycles),          TEST(test_depth),      TEST(test_bad_include),
        TEST(test_byte_order_mark), TEST(test_huge_file),  TEST(test_stdin_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
