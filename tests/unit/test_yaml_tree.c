// SPDX-License-Identifier: MIT
// The tree of a file: raw scalars, places, aliases, and the caps against hostile files.
#include "conf_test.h"

#include "conf/yaml_tree.h"

static struct arena *arena;
static struct findings findings;

static struct node *parse(const char *text)
{
    struct conf_file *file = arena_alloc(arena, sizeof(*file));
    struct yaml_budget budget = {0, 0};
    *file = (struct conf_file){"t.yaml", str_of(text), 0, NULL};
    return yaml_parse(arena, file, &budget, &findings);
}

static int begin(void **state)
{
    (void)state;
    arena = arena_new();
    findings_init(&findings);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_free(arena);
    findings_free(&findings);
    return 0;
}

static void test_raw_scalars(void **state)
{
    (void)state;
    struct node *n = parse("a: no\nb: 1:30\nc: 010\nd: \"x\\ty\"\ne: 'it''s'\nf:\ng: ~\n");
    assert_non_null(n);
    assert_int_equal(n->count, 7);
    assert_str(node_get(n, "a")->text, "no");
    assert_str(node_get(n, "b")->text, "1:30");
    assert_str(node_get(n, "c")->text, "010");
    assert_str(node_get(n, "d")->text, "x\ty");
    assert_str(node_get(n, "e")->text, "it's");
    assert_true(node_get(n, "a")->plain);
    assert_false(node_get(n, "d")->plain);
    assert_true(node_is_empty(node_get(n, "f")));
    assert_false(node_is_empty(node_get(n, "g")));
    assert_null(node_get(n, "h"));
}

static void test_places(void **state)
{
    (void)state;
    struct node *n = parse("ä: {b: [c, \"d e\"]}\n");
    struct node *list = node_get(node_get(n, "ä"), "b");
    assert_int_equal(list->at.line, 1);
    assert_int_equal(list->at.column, 8);
    assert_int_equal(list->items[1]->at.column, 12);
    assert_int_equal(list->items[1]->at.end_column, 17);
    struct conf_mark m = node_mark(list->items[1]);
    assert_string_equal(m.file, "t.yaml");
    assert_int_equal(m.line, 1);
    assert_int_equal(m.end_column, 17);
}

static void test_kinds(void **state)
{
    (void)state;
    struct node *n = parse("m: {a: 1}\nl: [1]\ns: x\ne:\n");
    assert_string_equal(node_kind_name(node_get(n, "m")), "a map");
    assert_string_equal(node_kind_name(node_get(n, "l")), "a list");
    assert_string_equal(node_kind_name(node_get(n, "s")), "a single value");
    assert_string_equal(node_kind_name(node_get(n, "e")), "nothing");
    assert_null(node_get(node_get(n, "l"), "a"));
    assert_null(node_get(NULL, "a"));
}

static void test_aliases(void **state)
{
    (void)state;
    struct node *n = parse("a: &x [1, 2]\nb: *x\nc: &x 3\nd: *x\n");
    assert_ptr_equal(node_get(n, "a"), node_get(n, "b"));
    assert_str(node_get(n, "d")->text, "3");
    assert_int_equal(node_get(n, "a")->weight, 3);
}

static void test_no_cycle(void **state)
{
    (void)state;
    assert_null(parse("a: &x [1, *x]\n"));
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].id, "yaml.alias");
}

// "Billion laughs": 12 levels of ten aliases each.
static void test_alias_explosion(void **state)
{
    (void)state;
    char text[4096] = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
    size_t len = strlen(text);
    for (int i = 1; i < 12; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "*a%d,", i - 1);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "]\n");
    }
    assert_null(parse(text));
    assert_string_equal(findings.items[0].id, "yaml.limit");
}

static void test_too_many_aliases(void **state)
{
    (void)state;
    size_t n = YAML_ALIASES_MAX + 1, len = 0;
    char *text = xmalloc(n * 4 + 64);
    len += (size_t)snprintf(text, 64, "a: &a 1\nb: [");
    for (size_t i = 0; i < n; i++) {
        memcpy(text + len, "*a, ", 4);
        len += 4;
    }
    snprintf(text + len, 16, "x]\n");
    assert_null(parse(text));
    assert_string_equal(findings.items[0].id, "yaml.limit");
    free(text);
}

static void test_too_many_nodes(void **state)
{
    (void)state;
    size_t n = YAML_NODES_MAX + 1;
    char *text = xmalloc(n * 2 + 16);
    text[0] = '[';
    for (size_t i = 0; i < n; i++)
        memcpy(text + 1 + i * 2, "1,", 2);
    snprintf(text + 1 + n * 2, 8, "1]\n");
    assert_null(parse(text));
    assert_string_equal(findings.items[0].id, "yaml.limit");
    free(text);
}

static void test_depth(void **state)
{
    (void)state;
    char text[300];
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    text[128] = '\0';
    assert_non_null(parse(text));
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    text[130] = '\0';
    assert_null(parse(text));
    assert_string_equal(findings.items[0].id, "yaml.limit");
}

static void test_duplicates(void **state)
{
    (void)state;
    struct node *n = parse("a: 1\nb: {c: 1, c: 2}\n'a': 3\n");
    assert_non_null(n);
    assert_int_equal(findings.errors, 2);
    assert_int_equal(n->count, 2);
    assert_str(node_get(n, "a")->text, "1");
}

static void test_harmless_tags(void **state)
{
    (void)state;
    struct node *n = parse("a: !!str 1\nb: !!int 2\nc: ! 3\nd: !!map {x: y}\ne: !!seq [z]\n");
    assert_non_null(n);
    assert_str(node_get(n, "b")->text, "2");
    assert_null(parse("a: !mine 1\n"));
    assert_string_equal(findings.items[0].id, "yaml.tag");
}

static void test_empty_and_documents(void **state)
{
    (void)state;
    struct node *n = parse("");
    assert_non_null(n);
    assert_int_equal(n->kind, NODE_MAP);
    assert_int_equal(n->count, 0);
    assert_non_null(parse("---\na: 1\n...\n"));
    assert_null(parse("a: 1\n---\nb: 2\n"));
    assert_string_equal(findings.items[0].id, "yaml.documents");
}

// Errors in every part of a map or list end the parse, and only once.
static void test_broken_in_depth(void **state)
{
    (void)state;
    static const char *const broken[] = {"a: [b, {c: ]",
                                         "{a: {b: *x}}",
                                         "a: {b: [*x]}",
                                         "? {a: 1}\n: b\n",
                                         "a: {? [x] : y}",
                                         "a: \"\\u00",
                                         "%YAML 3.0\n---\na: 1\n",
                                         "a: |x\n  b\n",
                                         "a: &\nb: 1\n",
                                         "a: - b\n",
                                         "- a\nb: c\n",
                                         "a: {b: 'c\n"};
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        findings_free(&findings);
        findings_init(&findings);
        if (parse(broken[i]) != NULL || findings.errors != 1)
            fail_msg("'%s': %u errors", broken[i], findings.errors);
        if (findings.items[0].fix == NULL)
            fail_msg("'%s': no help with '%s'", broken[i], findings.items[0].message);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_raw_scalars),      TEST(test_places),         TEST(test_kinds),
        TEST(test_aliases),          TEST(test_no_cycle),       TEST(test_alias_explosion),
        TEST(test_too_many_aliases), TEST(test_too_many_nodes), TEST(test_depth),
        TEST(test_duplicates),       TEST(test_harmless_tags),  TEST(test_empty_and_documents),
        TEST(test_broken_in_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
