// SPDX-License-Identifier: MIT
// What the tests of conf/ share: a source of files in memory, and loading from it.
#ifndef EVLB_CONF_TEST_H
#define EVLB_CONF_TEST_H

#include <errno.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf/load.h"

struct memory_file {
    const char *path, *text;
};

struct memory {
    const struct memory_file *files; // path NULL at the end; may be NULL
    const char *const *env;          // name, value, ..., NULL; may be NULL
};

static int memory_read(void *ctx, const char *path, struct arena *a, struct str *content)
{
    const struct memory *m = ctx;
    for (const struct memory_file *f = m->files; f != NULL && f->path != NULL; f++) {
        if (strcmp(f->path, path) != 0)
            continue;
        if (strcmp(f->text, "<directory>") == 0)
            return -EISDIR;
        if (strcmp(f->text, "<unreadable>") == 0)
            return -EACCES;
        *content = arena_str(a, str_of(f->text));
        return 0;
    }
    return -ENOENT;
}

static int memory_read_live(void *ctx, const char *path, enum live_kind kind, struct arena *a,
                            struct str *content)
{
    (void)kind;
    return memory_read(ctx, path, a, content);
}

static int memory_glob(void *ctx, const char *pattern, struct arena *a, const char ***paths,
                       size_t *n)
{
    const struct memory *m = ctx;
    size_t cap = 0;
    *n = 0;
    if (strncmp(pattern, "secret/", 7) == 0)
        return -EACCES;
    for (const struct memory_file *f = m->files; f != NULL && f->path != NULL; f++) {
        if (fnmatch(pattern, f->path, FNM_PATHNAME) != 0)
            continue;
        *paths = arena_grow(a, *paths, *n, &cap, sizeof(**paths));
        (*paths)[(*n)++] = f->path;
    }
    return 0;
}

static int memory_list(void *ctx, const char *dir, struct arena *a, const char ***paths, size_t *n)
{
    const struct memory *m = ctx;
    const struct str inside = str_of(arena_printf(a, "%s/", dir));
    size_t cap = 0;
    *n = 0;
    if (strcmp(dir, "secret") == 0)
        return -EACCES;
    for (const struct memory_file *f = m->files; f != NULL && f->path != NULL; f++) {
        struct str path = str_of(f->path);
        if (!str_starts(path, inside) ||
            !(str_ends(path, STR(".crt")) || str_ends(path, STR(".pem"))))
            continue;
        *paths = arena_grow(a, *paths, *n, &cap, sizeof(**paths));
        (*paths)[(*n)++] = f->path;
    }
    return 0;
}

static const char *memory_env(void *ctx, const char *name)
{
    const struct memory *m = ctx;
    for (const char *const *e = m->env; e != NULL && *e != NULL; e += 2) {
        if (strcmp(e[0], name) == 0)
            return e[1];
    }
    return NULL;
}

static inline struct config_source memory_source(struct memory *m, const char *root,
                                                 const char *text)
{
    return (struct config_source){.root = root,
                                  .text = text != NULL ? str_of(text) : STR_NONE,
                                  .ctx = m,
                                  .read_file = memory_read,
                                  .read_live = memory_read_live,
                                  .glob = memory_glob,
                                  .list_live = memory_list,
                                  .env = memory_env};
}

static inline struct config *load_text(const char *text, struct findings *f)
{
    struct memory none = {NULL, NULL};
    struct config_source s = memory_source(&none, "t.yaml", text);
    findings_init(f);
    return config_load(&s, f);
}

// Loads what must be fine, without any finding.
static inline struct config *load_fine(const char *text)
{
    struct findings f;
    struct config *c = load_text(text, &f);
    if (c == NULL || f.count > 0)
        findings_print(&f, stderr, FINDINGS_TEXT, false);
    assert_non_null(c);
    assert_int_equal(f.count, 0);
    findings_free(&f);
    return c;
}

static inline void assert_str(struct str s, const char *expected)
{
    if (s.len != strlen(expected) || (s.len > 0 && memcmp(s.p, expected, s.len) != 0))
        fail_msg("'%.*s' is not '%s'", STR_FMT(s), expected);
}

// Loads what must fail, and returns whether a finding with that id is at line:column.
static inline void assert_refused(const char *text, const char *id, uint32_t line, uint32_t column)
{
    struct findings f;
    struct config *c = load_text(text, &f);
    bool found = false;
    for (size_t i = 0; i < f.count; i++)
        found = found || (strcmp(f.items[i].id, id) == 0 && f.items[i].line == line &&
                          f.items[i].column == column);
    if (!found)
        findings_print(&f, stderr, FINDINGS_TEXT, false);
    assert_null(c);
    if (!found)
        fail_msg("no %s at %u:%u", id, line, column);
    findings_free(&f);
}

// What a function writes, NUL-terminated; free() it.
#define WRITTEN(text, call)                                                                        \
    do {                                                                                           \
        size_t written_size;                                                                       \
        FILE *out = open_memstream(&(text), &written_size);                                        \
        assert_non_null(out);                                                                      \
        call;                                                                                      \
        fclose(out);                                                                               \
    } while (0)

#endif
