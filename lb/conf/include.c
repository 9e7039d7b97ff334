// SPDX-License-Identifier: MIT
// Reads the root (a file, a directory, standard input or a text in memory) and what it includes,
// and merges the top levels: `frontends` and `backends` name by name, everything else may be said
// in one file only. Called by load.c; all bytes come through struct config_source.
//
//   evlb.yaml -> conf.d/*.yaml -> ...     at most 8 deep; a file that includes itself is an error,
//                                         one that several patterns match is read once
#include "conf/include.h"

#include <errno.h>

#include "base/map.h"
#include "conf/interpolate.h"

// The files that are being read: each one includes the next.
struct level {
    const struct level *outer;
    const struct conf_file *file;
    uint32_t depth;
};

// `frontends` or `backends`, put together from several files.
struct section {
    struct node *node; // a copy that grows; NULL: said in one file so far
    struct map seen;   // name -> key node
    size_t cap;
};

struct merge {
    struct files *files;
    struct node *root; // grows
    size_t cap;
    struct section frontends, backends;
};

static void load_file(struct merge *m, const char *path, const struct level *outer, struct span at);

static struct conf_file *new_file(struct files *f, const char *name, struct str text)
{
    struct conf_file *file = arena_alloc(f->arena, sizeof(*file));
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = (struct str){text.p + 3, text.len - 3};
    *file = (struct conf_file){arena_strdup(f->arena, str_of(name)), text, f->count++, NULL};
    if (f->last != NULL)
        f->last->next = file;
    else
        f->first = file;
    f->last = file;
    return file;
}

// ---- merging ----------------------------------------------------------------------------------

static void report_twice(struct merge *m, const struct node *key, const struct node *before)
{
    struct finding *x = diag_error(m->files->findings, key->at, "config.duplicate",
                                   "'%.*s' is given twice", SHOW(key->text));
    diag_fix(m->files->findings, x, "keep one of the two (the first is at %s:%u:%u)",
             before->at.file->name, before->at.line, before->at.column);
}

static void add_name(struct merge *m, struct section *s, const struct entry *e)
{
    struct node *before = map_get(&s->seen, e->key->text);
    if (before == NULL) {
        map_put(&s->seen, e->key->text, e->key);
        s->node->entries = arena_grow(m->files->arena, s->node->entries, s->node->count, &s->cap,
                                      sizeof(*s->node->entries));
        s->node->entries[s->node->count++] = *e;
    } else if (!str_starts(e->key->text, STR("x-"))) {
        report_twice(m, e->key, before);
    }
}

// `into` += `from`, both maps of names.
static void merge_names(struct merge *m, struct section *s, struct entry *into,
                        const struct node *from)
{
    if (s->node == NULL) {
        const struct node *first = into->value;
        s->seen.arena = m->files->arena;
        s->node = arena_alloc(m->files->arena, sizeof(*s->node));
        *s->node = *first;
        s->node->entries = NULL;
        s->node->count = 0;
        for (uint32_t i = 0; i < first->count; i++)
            add_name(m, s, &first->entries[i]);
        into->value = s->node;
    }
    for (uint32_t i = 0; i < from->count; i++)
        add_name(m, s, &from->entries[i]);
}

static bool is_per_file(struct str key)
{
    return str_eq(key, STR("version")) || str_eq(key, STR("include")) || str_starts(key, STR("x-"));
}

// Where the names of that key are collected; NULL: it is not a section of names.
static struct section *section_of(struct merge *m, struct str key)
{
    if (str_eq(key, STR("frontends")))
        return &m->frontends;
    return str_eq(key, STR("backends")) ? &m->backends : NULL;
}

static void merge_entry(struct merge *m, struct entry *e)
{
    struct entry *before = node_entry(m->root, e->key->text);
    struct section *section = section_of(m, e->key->text);
    if (before == NULL) {
        m->root->entries = arena_grow(m->files->arena, m->root->entries, m->root->count, &m->cap,
                                      sizeof(*m->root->entries));
        m->root->entries[m->root->count++] = *e;
    } else if (section != NULL && before->value->kind == NODE_MAP && e->value->kind == NODE_MAP) {
        merge_names(m, section, before, e->value);
    } else if (!is_per_file(e->key->text)) {
        report_twice(m, e->key, before->key);
    }
}

// ---- including --------------------------------------------------------------------------------

static struct finding *fail(struct merge *m, struct span at, const char *fmt, const char *path,
                            const char *why)
{
    m->files->incomplete = true;
    const char *message = arena_printf(m->files->findings->arena, "'%s' %s%s", path, fmt, why);
    return diag_error(m->files->findings, at, "config.include", "%s", message);
}

const char *include_beside(struct arena *a, const struct conf_file *file, struct str path)
{
    const char *slash = strrchr(file->name, '/');
    if (path.p[0] == '/' || slash == NULL)
        return arena_strdup(a, path);
    return arena_printf(a, "%.*s/%.*s", (int)(slash - file->name), file->name, STR_FMT(path));
}

static bool is_being_read(const struct level *l, const char *path)
{
    for (; l != NULL; l = l->outer) {
        if (strcmp(l->file->name, path) == 0)
            return true;
    }
    return false;
}

static bool was_read(const struct files *f, const char *path)
{
    for (const struct conf_file *file = f->first; file != NULL; file = file->next) {
        if (strcmp(file->name, path) == 0)
            return true;
    }
    return false;
}

static void include_path(struct merge *m, const char *path, const struct level *l, struct span at)
{
    if (is_being_read(l, path)) {
        struct finding *x = fail(m, at, "includes itself", path, "");
        diag_fix(m->files->findings, x, "leave it out of the pattern");
    } else if (l->depth >= INCLUDE_DEPTH_MAX) {
        struct finding *x = fail(m, at, "is included more than 8 levels deep", path, "");
        diag_fix(m->files->findings, x, "include it from a file further up");
    } else if (!was_read(m->files, path)) {
        load_file(m, path, l, at);
    }
}

static void include_pattern(struct merge *m, struct node *n, const struct level *l)
{
    struct files *f = m->files;
    const char **paths = NULL;
    size_t count = 0;
    if (n->kind != NODE_SCALAR || n->text.len == 0) {
        struct finding *x = diag_error(f->findings, n->at, "config.type",
                                       "'include' must be a path or a list of paths");
        diag_fix(f->findings, x, "write include: [conf.d/*.yaml]");
        n->poisoned = true;
        return;
    }
    if (!interpolate(f->arena, f->source, f->findings, n) || n->value.len == 0)
        return;
    const char *pattern = include_beside(m->files->arena, l->file, n->value);
    if (strpbrk(pattern, "*?[") == NULL) {
        include_path(m, pattern, l, n->at);
        return;
    }
    int r = f->source->glob(f->source->ctx, pattern, f->arena, &paths, &count);
    if (r != 0)
        fail(m, n->at, "cannot be read: ", pattern, strerror(-r));
    if (r == 0 && count == 0) {
        struct finding *x =
            diag_warning(f->findings, n->at, "lint.include", "no file matches '%s'", pattern);
        diag_fix(f->findings, x, "check the path, or leave it out");
    }
    for (size_t i = 0; r == 0 && i < count; i++)
        include_path(m, paths[i], l, n->at);
}

static void include_all(struct merge *m, struct node *include, const struct level *l)
{
    if (include == NULL)
        return;
    if (include->kind != NODE_LIST) {
        include_pattern(m, include, l);
        return;
    }
    for (uint32_t i = 0; i < include->count; i++)
        include_pattern(m, include->items[i], l);
}

// ---- files ------------------------------------------------------------------------------------

static bool is_top_level(struct files *f, struct node *n, struct str text)
{
    if (n->kind == NODE_MAP)
        return true;
    struct finding *x = diag_error(f->findings, n->at, "config.type",
                                   "a configuration is a map of keys, not %s", node_kind_name(n));
    bool glued = n->kind == NODE_SCALAR && n->plain && str_find(text, ':') < text.len;
    diag_fix(f->findings, x,
             glued ? "a space is missing after the colon: write 'listen: 80'"
                   : "begin with listen: 80, or with frontends: and backends:");
    return false;
}

static void load_text(struct merge *m, const char *name, struct str text, const struct level *outer)
{
    struct files *f = m->files;
    struct level l = {outer, new_file(f, name, text), outer != NULL ? outer->depth + 1 : 0};
    struct node *top = yaml_parse(f->arena, l.file, &f->budget, f->findings);
    if (top == NULL || !is_top_level(f, top, l.file->text)) {
        f->incomplete = true;
        return;
    }
    if (m->root->at.file == NULL)
        m->root->at = top->at;
    for (uint32_t i = 0; i < top->count; i++)
        merge_entry(m, &top->entries[i]);
    include_all(m, node_get(top, "include"), &l);
}

// Whether what was read can be used; otherwise there is a finding.
static bool is_readable(struct merge *m, const char *path, int r, size_t bytes, struct span at)
{
    struct files *f = m->files;
    if (r == 0 && bytes <= FILE_BYTES_MAX)
        return true;
    struct finding *x = r == 0 ? fail(m, at, "is larger than 16 MiB", path, "")
                               : fail(m, at, "cannot be read: ", path, strerror(-r));
    if (r == -ENOENT)
        diag_fix(f->findings, x, "check the path");
    else if (r == -EACCES)
        diag_fix(f->findings, x, "check who may read it");
    return false;
}

static void load_file(struct merge *m, const char *path, const struct level *outer, struct span at)
{
    const struct config_source *s = m->files->source;
    struct str text = STR_NONE;
    int r = s->read_file(s->ctx, path, m->files->arena, &text);
    if (is_readable(m, path, r, text.len, at))
        load_text(m, path, text, outer);
}

static void load_directory(struct merge *m, const char *path)
{
    struct files *f = m->files;
    const char **paths = NULL;
    size_t count = 0, len = strlen(path);
    const char *pattern =
        arena_printf(f->arena, "%s%s*.yaml", path, len > 0 && path[len - 1] == '/' ? "" : "/");
    int r = f->source->glob(f->source->ctx, pattern, f->arena, &paths, &count);
    if (r != 0 || count == 0) {
        struct finding *x =
            fail(m, (struct span){0}, r != 0 ? "cannot be read: " : "holds no *.yaml file", path,
                 r != 0 ? strerror(-r) : "");
        diag_fix(f->findings, x, "name a file, or a directory with files that end in .yaml");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!was_read(f, paths[i]))
            load_file(m, paths[i], NULL, (struct span){0});
    }
}

static void load_root(struct merge *m)
{
    const struct config_source *s = m->files->source;
    struct str text = STR_NONE;
    if (s->text.p != NULL) {
        load_text(m, s->root, s->text, NULL);
        return;
    }
    int r = s->read_file(s->ctx, s->root, m->files->arena, &text);
    if (r == -EISDIR)
        load_directory(m, s->root);
    else if (is_readable(m, s->root, r, text.len, (struct span){0}))
        load_text(m, strcmp(s->root, "-") == 0 ? "<stdin>" : s->root, text, NULL);
}

struct node *files_load(struct files *f)
{
    struct node *root = arena_alloc(f->arena, sizeof(*root));
    struct merge m = {.files = f, .root = root};
    root->kind = NODE_MAP;
    load_root(&m);
    return f->count > 0 && !(f->incomplete && root->count == 0) ? root : NULL;
}
