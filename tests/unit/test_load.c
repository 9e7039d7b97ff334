// SPDX-License-Identifier: MIT
// The default source (real files), and the text made from the flags of `run`.
#include <unistd.h>

#include "conf_test.h"

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void test_real_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/evlb-test-XXXXXX", path[64];
    struct findings f;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/a.yaml", dir);
    write_file(path, "listen: 80\nbackend: b\n");
    snprintf(path, sizeof(path), "%s/b.yaml", dir);
    write_file(path, "backends: {b: [10.0.0.1:80]}\n");
    struct config_source s = config_source_files(dir);
    findings_init(&f);
    struct config *c = config_load(&s, &f);
    assert_non_null(c);
    assert_int_equal(c->n_backends, 1);
    arena_free(c->arena);
    remove(path);
    snprintf(path, sizeof(path), "%s/a.yaml", dir);
    remove(path);
    assert_null(config_load(&s, &f)); // an empty directory
    rmdir(dir);
    assert_null(config_load(&s, &f)); // none at all
    assert_int_equal(f.errors, 2);
    findings_free(&f);
}

static void test_source_functions(void **state)
{
    (void)state;
    struct config_source s = config_source_files("x");
    struct arena *a = arena_new();
    struct str content;
    const char **paths = NULL;
    size_t n = 1;
    assert_int_equal(s.read_file(s.ctx, "/", a, &content), -EISDIR);
    assert_int_equal(s.read_file(s.ctx, "/no/such", a, &content), -ENOENT);
    assert_int_equal(s.read_file(s.ctx, TEST_DATA_DIR "/good/everything.yaml", a, &content), 0);
    assert_true(content.len > 500);
    assert_int_equal(s.glob(s.ctx, "/no/such/*.yaml", a, &paths, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(s.glob(s.ctx, TEST_DATA_DIR "/good/*.yaml", a, &paths, &n), 0);
    assert_true(n >= 1);
    assert_int_equal(setenv("EVLB_TEST_A", "b", 1), 0);
    assert_string_equal(s.env(s.ctx, "EVLB_TEST_A"), "b");
    assert_null(s.env(s.ctx, "EVLB_TEST_NONE"));
    arena_free(a);
}

// More than one read(2), and what is larger than any configuration is cut rather than swallowed.
static void test_large_file(void **state)
{
    (void)state;
    char path[] = "/tmp/evlb-test-XXXXXX";
    struct config_source s = config_source_files(path);
    struct arena *a = arena_new();
    struct str content;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 200000), 0);
    assert_int_equal(s.read_file(s.ctx, path, a, &content), 0);
    assert_int_equal(content.len, 200000);
    assert_int_equal(ftruncate(fd, 100 << 20), 0);
    assert_int_equal(s.read_file(s.ctx, path, a, &content), 0);
    assert_true(content.len > 16u << 20 && content.len < 18u << 20);
    close(fd);
    remove(path);
    arena_free(a);
}

static void test_stdin(void **state)
{
    (void)state;
    int fds[2], saved = dup(STDIN_FILENO);
    struct findings f;
    static const char text[] = "listen: 80\nservers: [10.0.0.1:80]\n";
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], text, sizeof(text) - 1), sizeof(text) - 1);
    close(fds[1]);
    dup2(fds[0], STDIN_FILENO);
    close(fds[0]);
    struct config_source s = config_source_files("-");
    findings_init(&f);
    struct config *c = config_load(&s, &f);
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_non_null(c);
    arena_free(c->arena);
    findings_free(&f);
}

static void test_flags(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    static const char *const to[] = {"10.0.0.1:80", "[::1]:81", "app:82"};
    struct str text = config_text_from_flags(a, "127.0.0.1:8080", to, 3);
    assert_str(text, "listen: \"127.0.0.1:8080\"\nservers:\n  - \"10.0.0.1:80\"\n  - "
                     "\"[::1]:81\"\n  - \"app:82\"\n");
    struct config *c = load_fine(text.p);
    assert_int_equal(c->n_servers, 3);
    arena_free(c->arena);
    arena_free(a);
}

// Whatever is in a flag stays one value.
static void test_hostile_flags(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct findings f;
    static const char *const to[] = {"a\"]\nuser: root\n#\\${HOME}\x01"};
    struct config_source s = config_source_text("flags", config_text_from_flags(a, "80", to, 1));
    findings_init(&f);
    assert_null(config_load(&s, &f));
    assert_int_equal(f.errors, 1);
    assert_string_equal(f.items[0].id, "config.address");
    assert_non_null(strstr(f.items[0].message, "${HOME}"));
    findings_free(&f);
    arena_free(a);
}

static void test_empty_text(void **state)
{
    (void)state;
    struct findings f;
    struct config_source s = config_source_text("t.yaml", STR_NONE);
    findings_init(&f);
    assert_null(config_load(&s, &f)); // not a file of that name
    assert_string_equal(f.items[0].id, "config.missing");
    findings_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_files), cmocka_unit_test(test_source_functions),
        cmocka_unit_test(test_large_file), cmocka_unit_test(test_stdin),
        cmocka_unit_test(test_flags),      cmocka_unit_test(test_hostile_flags),
        cmocka_unit_test(test_empty_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
