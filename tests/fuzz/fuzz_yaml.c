// SPDX-License-Identifier: MIT
// The whole loader on any bytes: no crash, no leak, no finding without a sentence; a file is
// refused exactly when there is an error; and what loads is explained as a file that loads again.
#include <errno.h>

#include "conf/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_file(void *ctx, const char *path, struct arena *a, struct str *content)
{
    if (strcmp(path, "self.yaml") == 0)
        *content = *(struct str *)ctx;
    else if (strcmp(path, "a.yaml") == 0)
        *content = arena_str(a, STR("backends: {inc: [10.0.0.1:80]}\n"));
    else
        return -ENOENT;
    return 0;
}

static int find_files(void *ctx, const char *pattern, struct arena *a, const char ***paths,
                      size_t *n)
{
    (void)ctx;
    *paths = arena_alloc(a, sizeof(**paths));
    (*paths)[0] = strlen(pattern) % 2 == 0 ? "a.yaml" : "self.yaml";
    *n = 1;
    return 0;
}

#define CERT "-----BEGIN CERTIFICATE-----\nMAAwAAMBAA==\n-----END CERTIFICATE-----\n"
#define KEY "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"

static int read_live(void *ctx, const char *path, enum live_kind kind, struct arena *a,
                     struct str *content)
{
    static const char *const files[][2] = {{"x.pem", CERT KEY},  {"x.pem.ocsp", "\x30"},
                                           {"y.crt", CERT},      {"y.key", KEY},
                                           {"z.pem", ""},        {"certs/a.pem", CERT},
                                           {"certs/b.pem", KEY}, {"/etc/ssl/cert.pem", CERT}};
    (void)ctx, (void)kind;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (strcmp(path, files[i][0]) == 0) {
            *content = arena_str(a, str_of(files[i][1]));
            return 0;
        }
    }
    return strcmp(path, "certs") == 0 || strcmp(path, "none") == 0 ? -EISDIR : -ENOENT;
}

static int list_live(void *ctx, const char *dir, struct arena *a, const char ***paths, size_t *n)
{
    (void)ctx;
    *n = 0;
    if (strcmp(dir, "certs") != 0)
        return strcmp(dir, "none") == 0 ? -EACCES : 0;
    *paths = arena_alloc(a, 2 * sizeof(**paths));
    (*paths)[(*n)++] = "certs/a.pem";
    (*paths)[(*n)++] = "certs/b.pem";
    return 0;
}

static const char *get_env(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "PORT") == 0 ? "8080" : strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static void print_all(const struct findings *f)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    lb_assert(out != NULL);
    for (int format = FINDINGS_TEXT; format <= FINDINGS_GITHUB; format++)
        findings_print(f, out, (enum findings_format)format, format % 2 == 0);
    fclose(out);
    free(text);
}

static char *explain(const struct config_source *s)
{
    struct findings f;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    lb_assert(out != NULL);
    findings_init(&f);
    lb_assert(config_explain(s, &f, out));
    fclose(out);
    findings_free(&f);
    return text;
}

static void load_again(const struct config_source *first)
{
    struct findings f;
    char *text = explain(first);
    struct config_source s = *first;
    s.text = str_of(text);
    findings_init(&f);
    struct config *c = config_load(&s, &f);
    if (c == NULL)
        findings_print(&f, stderr, FINDINGS_TEXT, false);
    lb_assert(c != NULL);
    arena_free(c->arena);
    findings_free(&f);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct findings f;
    struct str text = {(const char *)data, size};
    struct config_source s = {.root = "t.yaml",
                              .text = text,
                              .ctx = &text,
                              .read_file = read_file,
                              .read_live = read_live,
                              .glob = find_files,
                              .list_live = list_live,
                              .env = get_env};
    if (size == 0)
        return 0;
    findings_init(&f);
    struct config *c = config_load(&s, &f);
    lb_assert((c == NULL) == (f.errors > 0));
    print_all(&f);
    if (c != NULL) {
        arena_free(c->arena);
        load_again(&s);
    }
    findings_free(&f);
    return 0;
}
