// SPDX-License-Identifier: MIT
// What is made from the rows: explain, schema, reference, man page, starter; and that the examples
// of configs/ and tests/data/good load, and mean the same after explain.
#include <dirent.h>

#include "conf_test.h"

#include "conf/emit.h"

static char *explained(const char *name, const char *text)
{
    struct findings f;
    struct config_source s =
        text != NULL ? config_source_text(name, str_of(text)) : config_source_files(name);
    char *written = NULL;
    bool ok = false;
    findings_init(&f);
    WRITTEN(written, ok = config_explain(&s, &f, out));
    if (!ok || f.count > 0)
        findings_print(&f, stderr, FINDINGS_TEXT, false);
    assert_true(ok);
    findings_free(&f);
    return written;
}

// Without comments: what it means.
static void strip_comments(char *text)
{
    char *to = text;
    for (char *line = text; *line != '\0';) {
        char *end = strchr(line, '\n');
        char *hash = memmem(line, (size_t)(end - line), " # ", 3);
        char *stop = hash != NULL ? hash : end;
        while (stop > line && stop[-1] == ' ')
            stop--;
        size_t n = (size_t)(stop - line);
        memmove(to, line, n);
        to += n;
        *to++ = '\n';
        line = end + 1;
    }
    *to = '\0';
}

static void assert_round_trip(const char *path)
{
    char *once = explained(path, NULL), *twice = explained("again.yaml", once);
    strip_comments(once);
    strip_comments(twice);
    if (strcmp(once, twice) != 0)
        fail_msg("%s:\n%s---\n%s", path, once, twice);
    free(once);
    free(twice);
}

static size_t each_yaml(const char *directory)
{
    DIR *dir = opendir(directory);
    size_t n = 0;
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[512];
        if (!str_ends(str_of(e->d_name), STR(".yaml")))
            continue;
        snprintf(path, sizeof(path), "%s/%s", directory, e->d_name);
        assert_round_trip(path);
        n++;
    }
    closedir(dir);
    return n;
}

static void test_examples(void **state)
{
    (void)state;
    assert_true(each_yaml(TEST_DATA_DIR "/../../configs") >= 9);
    assert_true(each_yaml(TEST_DATA_DIR "/../../configs/split") == 1);
    assert_true(each_yaml(TEST_DATA_DIR "/good") >= 1);
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, text);
}

static void test_origins(void **state)
{
    (void)state;
    assert_int_equal(setenv("EVLB_TEST_PORT", "8088", 1), 0);
    char *text = explained("t.yaml", "timeout: {server: 20s}\n"
                                     "defaults: {retries: 1}\n"
                                     "listen: ${EVLB_TEST_PORT}\n"
                                     "servers: [10.0.0.1:80]\n"
                                     "balance: ${EVLB_TEST_NONE:-first}\n"
                                     "user: ${EVLB_TEST_PORT}\n");
    assert_has(text, "\n      server: 20s                           # t.yaml:1\n");
    assert_has(text, "\n    retries: 1                              # t.yaml:2\n");
    assert_has(text, "\n      - 8088                                # t.yaml:3\n");
    assert_has(text, "\n    balance: first                          # t.yaml:5\n");
    assert_has(text, "\nuser: 8088                                  # env EVLB_TEST_PORT\n");
    assert_has(text, "\n    reuse: safe                             # default\n");
    assert_has(text, "\n    mode: http                              # as the frontends use it\n");
    assert_has(text, "\n      s1: {address: 10.0.0.1:80, weight: 1, tier: 1} # t.yaml:4\n");
    free(text);
}

// Within 80 columns but for comments; never within quotes.
static void test_long_mappings(void **state)
{
    (void)state;
    char *text = explained(
        "t.yaml",
        "listen: 80\nservers: [10.0.0.1:80]\nroutes:\n"
        "  - {host: [a.example.com, b.example.com, c.example.com, d.example.com], path: /x, "
        "deny: 403}\n"
        "  - {path: /y, client-subject: \"CN=one, two, three, four \\\"five\\\", six, seven, "
        "eight\", "
        "deny: 403}\n");
    char *again = explained("t.yaml", text);
    assert_has(text,
               "\n      - {host: [a.example.com, b.example.com, c.example.com, d.example.com],\n"
               "        path: ");
    assert_has(text, "three, four \\\"five\\\", six, seven, eight\"");
    strip_comments(text);
    strip_comments(again);
    assert_string_equal(text, again);
    free(text);
    free(again);
}

static void test_secrets_are_masked(void **state)
{
    (void)state;
    char path[] = "/tmp/evlb-test-XXXXXX", config[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    fputs("hunter2\n", file);
    fclose(file);
    snprintf(config, sizeof(config),
             "listen: 80\nservers: [10.0.0.1:80]\nuser: ${file:%s}\nheaders: {set: {X-Key: "
             "\"${file:%s}\"}}\n",
             path, path);
    char *text = explained("t.yaml", config);
    assert_null(strstr(text, "hunter2"));
    assert_has(text, "user: \"***\"");
    assert_has(text, "X-Key: \"***\"");
    free(text);
    remove(path);
}

static void test_explain_refuses(void **state)
{
    (void)state;
    struct findings f;
    struct config_source s = config_source_text("t.yaml", STR("listen: 80\n"));
    char *text = NULL;
    bool ok = true;
    findings_init(&f);
    WRITTEN(text, ok = config_explain(&s, &f, out));
    assert_false(ok);
    assert_string_equal(text, "");
    assert_int_equal(f.errors, 1);
    findings_free(&f);
    free(text);
}

static char *key_text(const char *key, bool expected)
{
    char *text = NULL;
    bool found = false;
    WRITTEN(text, found = config_explain_key(key, out));
    assert_true(found == expected);
    return text;
}

static void assert_key(const char *key, bool expected, const char *part)
{
    char *text = key_text(key, expected);
    assert_has(text, part);
    free(text);
}

static void test_keys(void **state)
{
    (void)state;
    assert_key("balance", true, "defaults.balance\nbackends.*.balance\n  How a server is chosen");
    assert_key("backends.app.balance", true, "  default:  round-robin\n");
    assert_key("limits.head", true, "from 1KiB to 1MiB");
    assert_key("workers", true, "a change needs a restart");
    assert_key("reuse", true, "only in mode http");
    assert_key("stick", true, "planned, not in this version yet");
    assert_key("listen", true, "  required\n");
    assert_key("frontends.*.routes.*", true, "keys:     host path");
    assert_key("backends.*", true, "keys:     servers balance");
    assert_key("balanse", false, "did you mean 'balance'?");
    assert_key("backends.app.balanse", false, "did you mean 'balance'?");
    assert_key("upstream", false, "here: 'backends'");
    assert_key("leastconn", false, "here: 'least-conn'; see evlb explain balance\n");
    assert_key("backends.app.balance.leastconn", false, "here: 'least-conn'");
    assert_key("least-conn", true, "'least-conn' is a value of 'balance': see evlb explain bal");
    assert_key("first", true, "of 'balance': see evlb explain balance\n'first' is a value of 're");
    assert_key("frobnicate", false, "there is no key 'frobnicate'\n");
    assert_key("", false, "there is no key ''");
    char *text = key_text("timeout.connect", true);
    assert_null(
        strstr(strstr(text, "To establish") + 1, "To establish")); // said once for all places
    free(text);
}

// Where a word of another program is sent to, there is something.
static void test_foreign_places(void **state)
{
    (void)state;
    static const char *const words[] = {
        "ssl",     "ca-file", "crt",  "sniStrict", "uri",        "hdr",   "slave",
        "TLSv1.3", "verify",  "cert", "pgsql",     "verifyhost", "https", "includeSubDomains"};
    static const char see[] = "; see evlb explain ";
    uint32_t seen = 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        char *text = NULL;
        bool found = false; // of some there is a key, too
        WRITTEN(text, found = config_explain_key(words[i], out));
        assert_true(found || strstr(text, "there is no key") != NULL);
        for (char *at = text; (at = strstr(at, see)) != NULL; seen++) {
            char *end = strchr(at += strlen(see), '\n');
            *end = '\0';
            free(key_text(at, true));
            *end = '\n';
        }
        free(text);
    }
    assert_true(seen >= ARRAY_LEN(words));
}

static void test_list_of_keys(void **state)
{
    (void)state;
    char *text = NULL;
    WRITTEN(text, config_list_keys(out));
    assert_has(text, "backends.*.servers.*.weight\n");
    assert_has(text, "workers\n");
    assert_null(strstr(text, "stick"));
    free(text);
}

// Every topic that a finding names is one that explain knows.
static void test_topics(void **state)
{
    (void)state;
    for (const struct object *const *o = schema_objects; *o != NULL; o++) {
        char *text = (*o)->path[0] != '\0' ? key_text((*o)->path, true) : NULL;
        free(text);
    }
    free(key_text("frontends", true));
    free(key_text("trusted-proxies", true));
    free(key_text("backends.*.hash.on", true));
}

static void test_schema_document(void **state)
{
    (void)state;
    char *text = NULL;
    int depth = 0;
    WRITTEN(text, config_schema_json(out));
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"') {
            for (p++; *p != '"'; p++)
                p += *p == '\\';
        }
        depth += *p == '{' || *p == '[' ? 1 : *p == '}' || *p == ']' ? -1 : 0;
        assert_true(depth >= 0);
    }
    assert_int_equal(depth, 0);
    assert_has(text, "\"$schema\": \"https://json-schema.org/draft/2020-12/schema\"");
    assert_has(text,
               "{\"enum\": [\"round-robin\", \"least-conn\", \"random\", \"first\", \"hash\"]}");
    assert_has(text, "{\"type\": \"integer\", \"minimum\": 0, \"maximum\": 256}");
    assert_null(strstr(text, "\"stick\":")); // planned keys are not valid
    free(text);
}

static void test_reference_is_current(void **state)
{
    (void)state;
    char *text = NULL;
    WRITTEN(text, config_reference(out));
    FILE *in = fopen(TEST_DATA_DIR "/../../docs/configuration.md", "r");
    assert_non_null(in);
    size_t n = strlen(text);
    char *file = xcalloc(1, n + 2);
    size_t got = fread(file, 1, n + 1, in);
    fclose(in);
    if (got != n || strcmp(file, text) != 0)
        fail_msg("docs/configuration.md is not what config_reference() writes: write it anew");
    free(file);
    free(text);
}

static void test_man_page(void **state)
{
    (void)state;
    char *text = NULL;
    WRITTEN(text, config_man_page(out));
    assert_int_equal(strncmp(text, "evlb.yaml(5)\n\n# NAME\n", 21), 0);
    assert_has(text, "*balance*\n\t");
    free(text);
}

static void test_starter(void **state)
{
    (void)state;
    char *text = NULL;
    WRITTEN(text, config_starter(out));
    struct config *c = load_fine(text);
    assert_int_equal(c->n_servers, 2);
    arena_free(c->arena);
    // what is commented out is valid, too
    for (char *p = text; (p = strstr(p, "\n#")) != NULL; p++) {
        if (strncmp(p, "\n#timeout", 9) == 0 || strncmp(p, "\n#  ", 4) == 0 ||
            strncmp(p, "\n#log", 5) == 0)
            memmove(p + 1, p + 2, strlen(p + 2) + 1);
    }
    c = load_fine(text);
    assert_true(c->access_log);
    arena_free(c->arena);
    free(text);
}

static void test_scalars(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    assert_string_equal(emit_scalar(a, STR("10.0.0.1:80")), "10.0.0.1:80");
    assert_string_equal(emit_scalar(a, STR("")), "\"\"");
    assert_string_equal(emit_scalar(a, STR("[::1]:80")), "\"[::1]:80\"");
    assert_string_equal(emit_scalar(a, STR("-x")), "\"-x\"");
    assert_string_equal(emit_scalar(a, STR("a:")), "\"a:\"");
    assert_string_equal(emit_scalar(a, STR("a\"b\\c$d\n\x7F")), "\"a\\\"b\\\\c$$d\\x0A\\x7F\"");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_long_mappings),
        cmocka_unit_test(test_secrets_are_masked),
        cmocka_unit_test(test_explain_refuses),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_list_of_keys),
        cmocka_unit_test(test_foreign_places),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_schema_document),
        cmocka_unit_test(test_reference_is_current),
        cmocka_unit_test(test_man_page),
        cmocka_unit_test(test_starter),
        cmocka_unit_test(test_scalars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
