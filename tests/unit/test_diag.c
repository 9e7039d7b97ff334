// SPDX-License-Identifier: MIT
// Findings: the golden files of tests/data/bad (one X.yaml, one X.txt with what is printed for it),
// and the parts that they cannot show. With EVLB_UPDATE_GOLDEN set the golden files are rewritten:
// read the difference before you commit it.
#include <dirent.h>
#include <stdlib.h>

#include "conf_test.h"

#include "conf/diag.h"

#define BAD_DIR TEST_DATA_DIR "/bad"

// All files are looked at before the test fails.
static uint32_t failures;

#define COMPLAIN(...)                                                                              \
    do {                                                                                           \
        failures++;                                                                                \
        print_error(__VA_ARGS__);                                                                  \
    } while (0)

// Reads below BAD_DIR, so that messages hold no path of this machine.
static int bad_read(void *ctx, const char *path, struct arena *a, struct str *content)
{
    struct config_source *files = ctx;
    const char *whole = path[0] == '/' ? path : arena_printf(a, BAD_DIR "/%s", path);
    return files->read_file(files->ctx, whole, a, content);
}

static int bad_read_live(void *ctx, const char *path, enum live_kind kind, struct arena *a,
                         struct str *content)
{
    (void)kind;
    return bad_read(ctx, path, a, content);
}

static void name_from_bad_dir(const char **paths, size_t n)
{
    for (size_t i = 0; i < n; i++)
        paths[i] += strlen(BAD_DIR) + 1;
}

static int bad_glob(void *ctx, const char *pattern, struct arena *a, const char ***paths, size_t *n)
{
    struct config_source *files = ctx;
    int r = files->glob(files->ctx, arena_printf(a, BAD_DIR "/%s", pattern), a, paths, n);
    name_from_bad_dir(*paths, *n);
    return r;
}

static int bad_list(void *ctx, const char *dir, struct arena *a, const char ***paths, size_t *n)
{
    struct config_source *files = ctx;
    int r = files->list_live(files->ctx, arena_printf(a, BAD_DIR "/%s", dir), a, paths, n);
    name_from_bad_dir(*paths, *n);
    return r;
}

static const char *bad_env(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "LIST") == 0 ? "[80, 81]" : NULL;
}

static char *whole_file(const char *path)
{
    FILE *in = fopen(path, "r");
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    if (in == NULL)
        return text;
    text[fread(text, 1, (1 << 20) - 1, in)] = '\0';
    fclose(in);
    return text;
}

static void compare(const char *name, const char *printed)
{
    char path[512];
    snprintf(path, sizeof(path), BAD_DIR "/%.*s.txt", (int)strlen(name) - 5, name);
    if (getenv("EVLB_UPDATE_GOLDEN") != NULL) {
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        fputs(printed, out);
        fclose(out);
    }
    char *expected = whole_file(path);
    if (strcmp(expected, printed) != 0)
        COMPLAIN("%s:\n--- expected\n%s--- printed\n%s\n", name, expected, printed);
    free(expected);
}

// Every error says what to write instead, behind the caret or in a note.
static void assert_helpful(const char *name, const struct findings *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->items[i].fix == NULL && f->items[i].notes[0] == NULL)
            COMPLAIN("%s: no help with '%s'\n", name, f->items[i].message);
    }
}

static void check_bad_file(const char *name)
{
    struct config_source files = config_source_files(name), s = files;
    struct findings f;
    char *printed = NULL;
    s.ctx = &files;
    s.read_file = bad_read;
    s.read_live = bad_read_live;
    s.glob = bad_glob;
    s.list_live = bad_list;
    s.env = bad_env;
    findings_init(&f);
    struct config *c = config_load(&s, &f);
    bool warning = strncmp(name, "warn-", 5) == 0;
    if ((c != NULL) != warning || (warning && f.warnings == 0))
        COMPLAIN("%s: %u errors, %u warnings\n", name, f.errors, f.warnings);
    assert_helpful(name, &f);
    WRITTEN(printed, findings_print(&f, out, FINDINGS_TEXT, false));
    compare(name, printed);
    free(printed);
    findings_free(&f);
    if (c != NULL)
        arena_free(c->arena);
}

static void test_golden(void **state)
{
    (void)state;
    DIR *dir = opendir(BAD_DIR);
    size_t seen = 0;
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (!str_ends(str_of(e->d_name), STR(".yaml")))
            continue;
        check_bad_file(e->d_name);
        seen++;
    }
    closedir(dir);
    assert_true(seen >= 70);
    assert_int_equal(failures, 0);
}

static const char *const broken =
    "listen: 80\nservers: [10.0.0.1:80]\nbalance: \"le,ast\\n: 50%\"\n";

static void test_formats(void **state)
{
    (void)state;
    struct findings f;
    char *gcc = NULL, *github = NULL, *json = NULL, *colour = NULL;
    assert_null(load_text(broken, &f));
    WRITTEN(gcc, findings_print(&f, out, FINDINGS_GCC, false));
    assert_string_equal(gcc, "t.yaml:3:10: error: unknown balance 'le,ast?: 50%' [config.enum]\n");
    WRITTEN(github, findings_print(&f, out, FINDINGS_GITHUB, false));
    assert_string_equal(github, "::error file=t.yaml,line=3,col=10,endColumn=25,title=config.enum"
                                "::unknown balance 'le,ast%0A: 50%25'\n");
    WRITTEN(json, findings_print(&f, out, FINDINGS_JSON, false));
    assert_non_null(strstr(json, "\"message\":\"unknown balance 'le,ast\\u000a: 50%'\""));
    assert_non_null(strstr(json, "\"excerpt\":\"balance: \\\"le,ast\\\\n: 50%\\\"\""));
    assert_non_null(strstr(json, "\"line\":3,\"column\":10,\"end_column\":25"));
    assert_non_null(strstr(json, "\"errors\":1,\"warnings\":0,\"dropped\":0}"));
    WRITTEN(colour, findings_print(&f, out, FINDINGS_TEXT, true));
    assert_non_null(strstr(colour, "\033[1;31merror:\033[0m"));
    free(gcc);
    free(github);
    free(json);
    free(colour);
    findings_free(&f);
}

static void test_format_names(void **state)
{
    (void)state;
    enum findings_format format = FINDINGS_TEXT;
    assert_true(findings_format_parse("github", &format));
    assert_int_equal(format, FINDINGS_GITHUB);
    assert_true(findings_format_parse("text", &format));
    assert_int_equal(format, FINDINGS_TEXT);
    assert_false(findings_format_parse("xml", &format));
}

static void test_nothing_to_say(void **state)
{
    (void)state;
    struct findings f;
    char *text = NULL, *json = NULL;
    findings_init(&f);
    WRITTEN(text, findings_print(&f, out, FINDINGS_TEXT, false));
    assert_string_equal(text, "");
    WRITTEN(json, findings_print(&f, out, FINDINGS_JSON, false));
    assert_string_equal(json, "{\"findings\":[],\n\"errors\":0,\"warnings\":0,\"dropped\":0}\n");
    free(text);
    free(json);
    findings_free(&f);
}

static void test_cap(void **state)
{
    (void)state;
    struct findings f;
    struct conf_file file = {.name = "x", .text = STR("a\n")};
    findings_init(&f);
    for (uint32_t i = 1; i <= 60; i++) {
        struct finding *x =
            diag_error(&f, (struct span){&file, 61 - i, 1, 61 - i, 2}, "t", "%u", i);
        diag_fix(&f, x, "fix");
    }
    assert_int_equal(f.count, FINDINGS_MAX);
    assert_int_equal(f.errors, 60);
    assert_int_equal(f.dropped, 10);
    diag_sort(&f);
    for (size_t i = 1; i < f.count; i++)
        assert_true(f.items[i - 1].line < f.items[i].line);
    findings_free(&f);
}

// Notes and fixes are wrapped at 80 columns, not bytes, and never within a word; what fits exactly
// behind the caret stays there.
static void test_wrapping(void **state)
{
    (void)state;
    struct findings f;
    struct conf_file file = {.name = "x", .text = STR("key: value\n")};
    struct finding *x;
    char *text = NULL;
    findings_init(&f);
    x = diag_error(&f, (struct span){&file, 1, 1, 1, 4}, "t", "no");
    diag_fix(&f, x, "%069d", 0);
    diag_note(&f, x, "%070d \xE6\x97\xA5 %072d \xE6\x97\xA5", 0, 0);
    x = diag_error(&f, (struct span){&file, 1, 6, 1, 11}, "t", "no");
    diag_fix(&f, x, "%063d", 0);
    diag_note(&f, x, "%080d", 0);
    WRITTEN(text, findings_print(&f, out, FINDINGS_TEXT, false));
    char expected[1024];
    snprintf(expected, sizeof(expected),
             "x:1:1: error: no [t]\n   1 | key: value\n     | ^~~ %069d\n"
             "     = %070d \xE6\x97\xA5\n       %072d\n       \xE6\x97\xA5\n"
             "x:1:6: error: no [t]\n   1 | key: value\n     |      ^~~~~\n     = %063d\n"
             "     = %080d\n2 errors; nothing was changed.\n",
             0, 0, 0, 0, 0);
    assert_string_equal(text, expected);
    free(text);
    findings_free(&f);
}

// The sentence is wrapped, too, and a long line of the file is cut around what is marked; formats
// that programs read keep one line.
static void test_long_lines(void **state)
{
    (void)state;
    struct findings f;
    char line[257], *text = NULL, *gcc = NULL;
    memset(line, 'a', 100);
    memset(line + 100, 'b', 10);
    memset(line + 110, 'c', 100);
    memcpy(line + 210, "\nshort\n", 8);
    struct conf_file file = {.name = "x", .text = STR_NONE};
    file.text = str_of(line);
    findings_init(&f);
    diag_error(&f, (struct span){&file, 1, 101, 1, 111}, "t.id", "%062d two", 0);
    diag_warning(&f, (struct span){&file, 1, 201, 1, 211}, "t.id", "%070d", 0);
    diag_warning(&f, (struct span){&file, 1, 1, 1, 211}, "t.id", "all");
    diag_warning(&f, (struct span){&file, 2, 6, 2, 7}, "t.id", "behind");
    WRITTEN(text, findings_print(&f, out, FINDINGS_TEXT, false));
    char expected[2048];
    snprintf(expected, sizeof(expected),
             "x:1:101: error: %062d\n       two [t.id]\n"
             "   1 | ...%.28s%.10s%.29s...\n     | %31s^~~~~~~~~~\n"
             "x:1:201: warning: %070d\n       [t.id]\n"
             "   1 | ...%.67s\n     | %60s^~~~~~~~~~\n"
             "x:1:1: warning: all [t.id]\n   1 | %.67s...\n     | ^%.66s\n"
             "x:2:6: warning: behind [t.id]\n   2 | short\n     |      ^\n"
             "1 error, 3 warnings; nothing was changed.\n",
             0, line, line + 100, line + 110, "", 0, line + 143, "", line,
             "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~");
    assert_string_equal(text, expected);
    WRITTEN(gcc, findings_print(&f, out, FINDINGS_GCC, false));
    assert_non_null(strstr(gcc, " two [t.id]\nx:1:201: warning: 0"));
    free(text);
    free(gcc);
    findings_free(&f);
}

static void test_same_place_once(void **state)
{
    (void)state;
    struct findings f;
    struct conf_file file = {.name = "x", .text = STR("a\n")};
    struct span at = {&file, 1, 1, 1, 2};
    findings_init(&f);
    diag_error(&f, at, "a", "one");
    diag_error(&f, at, "a", "one");
    diag_error(&f, at, "b", "two");
    diag_warning(&f, at, "c", "three");
    assert_int_equal(f.count, 3);
    assert_int_equal(f.errors, 2);
    assert_int_equal(f.warnings, 1);
    findings_free(&f);
}

static void test_lines(void **state)
{
    (void)state;
    struct str text = STR("a\r\nb\rc\nd\xC2\x85"
                          "e\xE2\x80\xA8"
                          "f");
    static const char *const lines[] = {"a", "b", "c", "d", "e", "f"};
    for (uint32_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_str(diag_line(text, i + 1), lines[i]);
    assert_int_equal(diag_line(text, 7).len, 0);
    assert_int_equal(diag_line(STR(""), 1).len, 0);
}

static void test_columns(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t columns;
        size_t bytes;
    } cases[] = {{"a", 1, 1},
                 {"\xC3\xA4", 1, 2},
                 {"\xE6\x97\xA5", 2, 3},
                 {"\xCC\x81", 0, 2},
                 {"\xF0\x9F\x98\x80", 2, 4},
                 {"\xFF", 1, 1},
                 {"\xC3", 1, 1},
                 {"\xC0\x80", 1, 1},
                 {"\xED\xA0\x80", 1, 1},
                 {"\xF4\x90\x80\x80", 1, 1},
                 {"\xE6\x97z", 1, 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t bytes = 0;
        assert_int_equal(diag_char_columns(str_of(cases[i].text), &bytes), cases[i].columns);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

static void test_clip(void **state)
{
    (void)state;
    char text[80];
    memset(text, 'x', sizeof(text));
    memcpy(text + 59, "\xC3\xA4", 2);
    assert_int_equal(diag_clip((struct str){text, 80}).len, 59);
    assert_int_equal(diag_clip((struct str){text, 30}).len, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),       cmocka_unit_test(test_formats),
        cmocka_unit_test(test_format_names), cmocka_unit_test(test_nothing_to_say),
        cmocka_unit_test(test_cap),          cmocka_unit_test(test_same_place_once),
        cmocka_unit_test(test_lines),        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_clip),         cmocka_unit_test(test_wrapping),
        cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
