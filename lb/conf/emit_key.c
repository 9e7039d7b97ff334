// SPDX-License-Identifier: MIT
// `evlb explain KEY`: what the rows say about one key, wherever it may stand. Also the list of all
// keys for shell completion. Rows that come from one macro share their sentence; they are shown
// once, with all their places.
#include <stdio.h>

#include "conf/emit.h"
#include "conf/load.h"
#include "conf/suggest.h"

#define PATH_BYTES 128
#define LINE_WIDTH 80

// The next row at or behind (*o, *i) whose path `asked` names.
static const struct row *next_match(struct str asked, size_t *o, size_t *i, char path[PATH_BYTES])
{
    for (; schema_objects[*o] != NULL; ++*o, *i = 0) {
        for (; *i < schema_objects[*o]->n_rows; ++*i) {
            const struct row *row = &schema_objects[*o]->rows[*i];
            schema_path(schema_objects[*o], row, path, PATH_BYTES);
            if (schema_path_is(path, asked))
                return row;
        }
    }
    return NULL;
}

static bool shown_before(struct str asked, const struct row *row)
{
    size_t o = 0, i = 0;
    char path[PATH_BYTES];
    const struct row *r;
    while ((r = next_match(asked, &o, &i, path)) != NULL && r != row) {
        if (strcmp(r->doc, row->doc) == 0)
            return true;
        i++;
    }
    return false;
}

static void put_paths(struct str asked, const struct row *row, FILE *out)
{
    size_t o = 0, i = 0;
    char path[PATH_BYTES];
    for (const struct row *r; (r = next_match(asked, &o, &i, path)) != NULL; i++) {
        if (strcmp(r->doc, row->doc) == 0)
            fprintf(out, "%s\n", path);
    }
}

static void put_doc(const char *doc, FILE *out)
{
    for (struct str rest = str_of(doc); rest.p != NULL;) {
        struct str line = str_wrap(&rest, LINE_WIDTH - 2);
        fprintf(out, "  %.*s\n", STR_FMT(line));
    }
}

// "  keys:     a b c", wrapped
static void put_keys(const struct object *o, FILE *out)
{
    struct arena *a = arena_new();
    const char *text = "";
    for (size_t i = 0; i < o->n_rows; i++) {
        if (!emit_is_planned(&o->rows[i]))
            text = arena_printf(a, "%s%s%s", text, text[0] != '\0' ? " " : "", o->rows[i].key);
    }
    struct str rest = str_of(text);
    for (const char *lead = "keys:"; rest.p != NULL; lead = "") {
        struct str line = str_wrap(&rest, LINE_WIDTH - 12);
        fprintf(out, "  %-9s %.*s\n", lead, STR_FMT(line));
    }
    arena_free(a);
}

static void put_row(struct str asked, const struct object *o, const struct row *row, FILE *out)
{
    struct arena *a = arena_new();
    const char *inherits = emit_inherits(o, row);
    put_paths(asked, row, out);
    put_doc(row->doc, out);
    if (emit_is_planned(row)) {
        fputs("  planned, not in this version yet\n\n", out);
        arena_free(a);
        return;
    }
    fprintf(out, "  type:     %s\n", emit_kind(a, row));
    if (row->object != NULL)
        put_keys(row->object, out);
    if (row->fallback != NULL)
        fprintf(out, "  default:  %s\n", row->fallback);
    if ((row->flags & ROW_REQUIRED) != 0)
        fputs("  required\n", out);
    if (inherits != NULL)
        fprintf(out, "  from:     %s, when not said here\n", inherits);
    if ((row->flags & ROW_HTTP) != 0)
        fputs("  only in mode http\n", out);
    if ((row->flags & ROW_RESTART) != 0)
        fputs("  a change needs a restart\n", out);
    fprintf(out, "  since:    %s\n  example:  %s: %s\n\n", row->since, row->key, row->example);
    arena_free(a);
}

static void put_object(const struct object *o, FILE *out)
{
    fprintf(out, "%s\n", o->path[0] != '\0' ? o->path : "the top level");
    put_doc(o->doc, out);
    put_keys(o, out);
    fputc('\n', out);
}

static uint32_t count_dots(struct str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += s.p[i] == '.';
    return n;
}

// Objects are named by their whole path: a tail of one is "*", which would fit everything.
static bool put_objects(struct str asked, FILE *out)
{
    bool found = false;
    for (size_t o = 0; schema_objects[o] != NULL; o++) {
        const struct object *object = schema_objects[o];
        bool whole = count_dots(str_of(object->path)) == count_dots(asked);
        if (object->path[0] != '\0' && whole && schema_path_is(object->path, asked)) {
            put_object(object, out);
            found = true;
        }
    }
    return found;
}

static bool has_word(const struct row *row, struct str word)
{
    for (const char *const *w = row->words; w != NULL && *w != NULL; w++) {
        if (str_eq(word, str_of(*w)))
            return true;
    }
    return false;
}

static const struct row *first_with_word(struct str key, struct str word)
{
    for (size_t o = 0; schema_objects[o] != NULL; o++) {
        const struct row *row = schema_row(schema_objects[o], key);
        if (row != NULL && has_word(row, word))
            return row;
    }
    return NULL;
}

// The keys that take the word as a value, each name once.
static bool put_keys_of(struct str word, FILE *out)
{
    bool found = false;
    for (size_t o = 0; schema_objects[o] != NULL; o++) {
        for (size_t i = 0; i < schema_objects[o]->n_rows; i++) {
            const struct row *row = &schema_objects[o]->rows[i];
            if (row != first_with_word(str_of(row->key), word))
                continue;
            fprintf(out, "'%.*s' is a value of '%s': see evlb explain %s\n", STR_FMT(word),
                    row->key, row->key);
            found = true;
        }
    }
    return found;
}

// A place of a foreign word as `evlb explain` knows it: objects by their path, keys as they are.
static struct str place_of(const struct foreign_word *w)
{
    struct str rest = str_of(w->where), place = str_cut(&rest, ' ');
    for (size_t o = 0; schema_objects[o] != NULL; o++) {
        if (str_eq(str_of(schema_objects[o]->id), place))
            return str_of(schema_objects[o]->path);
    }
    return place;
}

// What a word of other programs is here: all meanings of it.
static void put_foreign(struct str word, FILE *out)
{
    struct arena *a = arena_new();
    for (const struct foreign_word *w = NULL; (w = foreign_next(word, w)) != NULL;) {
        put_doc(arena_printf(a, "in %s: %s", w->from, w->meaning), out);
        if (w->where != NULL)
            put_doc(arena_printf(a, "%s; see evlb explain %.*s", w->here, STR_FMT(place_of(w))),
                    out);
        else
            put_doc(w->here, out);
    }
    arena_free(a);
}

static void put_unknown(struct str asked, FILE *out)
{
    struct str last = asked;
    while (str_find(last, '.') < last.len)
        (void)str_cut(&last, '.');
    struct suggestion s = suggest_begin(last);
    for (size_t o = 0; schema_objects[o] != NULL; o++) {
        for (size_t i = 0; i < schema_objects[o]->n_rows; i++)
            suggest_offer(&s, str_of(schema_objects[o]->rows[i].key));
    }
    fprintf(out, "there is no key '%.*s'", SHOW(asked));
    if (foreign_next(last, NULL) == NULL && s.best.p != NULL)
        fprintf(out, "; did you mean '%.*s'?", STR_FMT(s.best));
    fputc('\n', out);
    put_foreign(last, out);
}

bool config_explain_key(const char *key, FILE *out)
{
    struct str asked = str_of(key);
    size_t o = 0, i = 0;
    char path[PATH_BYTES];
    bool found = false;
    for (const struct row *row; (row = next_match(asked, &o, &i, path)) != NULL; i++) {
        found = true;
        if (!shown_before(asked, row))
            put_row(asked, schema_objects[o], row, out);
    }
    found = put_objects(asked, out) || found;
    found = found || put_keys_of(asked, out);
    if (!found)
        put_unknown(asked, out);
    return found;
}

void config_list_keys(FILE *out)
{
    char path[PATH_BYTES];
    for (size_t o = 0; schema_objects[o] != NULL; o++) {
        for (size_t i = 0; i < schema_objects[o]->n_rows; i++) {
            if (emit_is_planned(&schema_objects[o]->rows[i]))
                continue;
            schema_path(schema_objects[o], &schema_objects[o]->rows[i], path, sizeof(path));
            fprintf(out, "%s\n", path);
        }
    }
}
