// SPDX-License-Identifier: MIT
// The list of findings. Filled by every phase of the loader, in whatever order they run; brought
// into the order of the files at the end. Runs in commands and in the supervisor.
//
// Invariants: all texts are copies in the arena of the list, so that a finding outlives the tree
// and the files it talks about; `errors` and `warnings` count every finding, kept or not.
#include "conf/diag.h"

#include <stdarg.h>

#define CLIP_BYTES 60u
#define EXCERPT_BYTES 4096u

void findings_init(struct findings *f)
{
    *f = (struct findings){.arena = arena_new()};
}

void findings_free(struct findings *f)
{
    arena_free(f->arena);
    *f = (struct findings){0};
}

struct str diag_clip(struct str s)
{
    if (s.len <= CLIP_BYTES)
        return s;
    size_t n = CLIP_BYTES;
    while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--;
    return (struct str){s.p, n};
}

// The length of the line break at `i` as YAML counts them (LF, CR, CRLF, NEL, LS, PS), or 0.
static size_t break_length(struct str t, size_t i)
{
    const unsigned char *p = (const unsigned char *)t.p + i;
    size_t left = t.len - i;
    if (p[0] == '\n')
        return 1;
    if (p[0] == '\r')
        return left > 1 && p[1] == '\n' ? 2 : 1;
    if (left > 1 && p[0] == 0xC2 && p[1] == 0x85)
        return 2;
    if (left > 2 && p[0] == 0xE2 && p[1] == 0x80 && (p[2] == 0xA8 || p[2] == 0xA9))
        return 3;
    return 0;
}

struct str diag_line(struct str text, uint32_t line)
{
    size_t start = 0;
    uint32_t now = 1;
    for (size_t i = 0; i < text.len;) {
        size_t n = break_length(text, i);
        if (n > 0 && now == line)
            return (struct str){text.p + start, i - start};
        if (n > 0) {
            now++;
            start = i + n;
        }
        i += n > 0 ? n : 1;
    }
    return now == line ? (struct str){text.p + start, text.len - start} : STR_NONE;
}

struct span diag_span(const struct config *c, const struct conf_mark *m)
{
    const struct conf_file *f = c->files;
    while (f != NULL && f->name != m->file)
        f = f->next;
    if (f == NULL && m->file != NULL) { // "evlb ctl"
        struct conf_file *other = arena_alloc(c->arena, sizeof(*other));
        other->name = m->file;
        f = other;
    }
    return (struct span){f, m->line, m->column, m->line, m->end_column};
}

static bool known_already(const struct findings *f, const struct span *at, const char *id)
{
    if (at->line == 0)
        return false;
    for (size_t i = 0; i < f->count; i++) {
        const struct finding *x = &f->items[i];
        if (x->line == at->line && x->column == at->column && x->order == at->file->order &&
            strcmp(x->id, id) == 0)
            return true;
    }
    return false;
}

static void fill_place(struct findings *f, struct finding *x, const struct span *at)
{
    if (at->file == NULL)
        return;
    x->file = arena_strdup(f->arena, str_of(at->file->name));
    x->order = at->file->order;
    if (at->line == 0)
        return;
    x->line = at->line;
    x->column = at->column;
    x->end_column = at->end_line == at->line ? at->end_column : at->column + 1;
    if (x->end_column <= x->column)
        x->end_column = x->column + 1;
    struct str line = diag_line(at->file->text, at->line);
    line.len = MIN_OF(line.len, EXCERPT_BYTES);
    x->excerpt = arena_strdup(f->arena, line);
}

struct finding *diag_scratch(struct findings *f)
{
    return arena_alloc(f->arena, sizeof(struct finding));
}

static struct finding *add(struct findings *f, enum severity severity, const struct span *at,
                           const char *id)
{
    if (known_already(f, at, id))
        return diag_scratch(f);
    if (severity == SEVERITY_ERROR)
        f->errors++;
    else
        f->warnings++;
    if (f->count >= FINDINGS_MAX) {
        f->dropped++;
        return diag_scratch(f);
    }
    if (f->items == NULL) // all at once: pointers to findings stay valid
        f->items = arena_alloc(f->arena, FINDINGS_MAX * sizeof(*f->items));
    struct finding *x = &f->items[f->count++];
    x->severity = severity;
    x->id = id;
    x->file = "";
    fill_place(f, x, at);
    return x;
}

struct finding *diag_error(struct findings *f, struct span at, const char *id, const char *fmt, ...)
{
    struct finding *x = add(f, SEVERITY_ERROR, &at, id);
    va_list args;
    va_start(args, fmt);
    x->message = arena_vprintf(f->arena, fmt, args);
    va_end(args);
    return x;
}

struct finding *diag_warning(struct findings *f, struct span at, const char *id, const char *fmt,
                             ...)
{
    struct finding *x = add(f, SEVERITY_WARNING, &at, id);
    va_list args;
    va_start(args, fmt);
    x->message = arena_vprintf(f->arena, fmt, args);
    va_end(args);
    return x;
}

void diag_fix(struct findings *f, struct finding *x, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    x->fix = arena_vprintf(f->arena, fmt, args);
    va_end(args);
}

void diag_note(struct findings *f, struct finding *x, const char *fmt, ...)
{
    for (size_t i = 0; i < FINDING_NOTES_MAX; i++) {
        if (x->notes[i] != NULL)
            continue;
        va_list args;
        va_start(args, fmt);
        x->notes[i] = arena_vprintf(f->arena, fmt, args);
        va_end(args);
        return;
    }
}

static bool comes_after(const struct finding *a, const struct finding *b)
{
    if (a->order != b->order)
        return a->order > b->order;
    if (a->line != b->line)
        return a->line > b->line;
    return a->column > b->column;
}

// Insertion sort: stable, and there are at most FINDINGS_MAX.
void diag_sort(struct findings *f)
{
    for (size_t i = 1; i < f->count; i++) {
        struct finding x = f->items[i];
        size_t at = i;
        for (; at > 0 && comes_after(&f->items[at - 1], &x); at--)
            f->items[at] = f->items[at - 1];
        f->items[at] = x;
    }
}
