// SPDX-License-Identifier: MIT
// Recording a load and playing it again. The supervisor records, children play; `evlb diff` records
// in the user's process and control plays.
//
//   "evlb bundle 3\n" | root | text? | overlay | entries: n, (kind key result value)* | slots
//
// Everything is a 32-bit number or a string (length, bytes, NUL), in the order of this machine: a
// bundle never leaves it. A path that is asked for twice is read once: the second answer comes from
// the recording, so that recording and playing cannot differ.
// Invariants: playing opens nothing and asks nothing; bytes that are no bundle are refused,
// whatever they hold (the reader never goes beyond them).
#include "conf/bundle.h"

#include <errno.h>

#include "base/pem.h"

static const char magic[] = "evlb bundle 3\n";

#define NO_BUNDLE "it is no bundle of this version"
#define ERROR_MASK 0xFFFFu // no errno is larger

enum entry_kind {
    ENTRY_FILE = 1,
    ENTRY_GLOB,
    ENTRY_ENV,
    ENTRY_DIR,  // of a directory of certificates
    ENTRY_LIVE, // and what enum live_kind says
    ENTRY_SECRET = ENTRY_LIVE + LIVE_SECRET
};

struct bundle {
    struct buf entries;
    uint32_t n;
    bool full; // out of memory once: never written
    const struct config_source *from;
};

// ---- bytes ------------------------------------------------------------------------------------

static void put_number(struct bundle *b, struct buf *out, uint32_t n)
{
    b->full |= !buf_append(out, &n, sizeof(n));
}

static void put_text(struct bundle *b, struct buf *out, struct str s)
{
    put_number(b, out, (uint32_t)s.len);
    if (s.len > 0)
        b->full |= !buf_append(out, s.p, s.len);
    b->full |= !buf_append(out, "", 1);
}

// Reads forward; once something does not fit, everything is empty.
struct reader {
    const char *at, *end;
    bool bad;
};

static uint32_t get_number(struct reader *r)
{
    uint32_t n = 0;
    if (r->bad || (size_t)(r->end - r->at) < sizeof(n)) {
        r->bad = true;
        return 0;
    }
    memcpy(&n, r->at, sizeof(n));
    r->at += sizeof(n);
    return n;
}

static struct str get_text(struct reader *r)
{
    uint32_t len = get_number(r);
    if (r->bad || (size_t)(r->end - r->at) <= len || r->at[len] != '\0') {
        r->bad = true;
        return STR("");
    }
    struct str s = {r->at, len};
    r->at += len + 1;
    return s;
}

struct entry {
    uint32_t kind;
    struct str key;
    int result;        // 0 or -errno; of the environment: 1 when it is not set
    struct str *texts; // one, or the paths of a pattern
    uint32_t n_texts;
};

// The texts are left out when `a` is NULL.
static bool get_entry(struct reader *r, struct arena *a, struct entry *e)
{
    *e = (struct entry){.kind = get_number(r)};
    e->key = get_text(r);
    e->result = -(int)(get_number(r) & ERROR_MASK);
    e->n_texts = get_number(r);
    if (r->bad || e->n_texts > (size_t)(r->end - r->at))
        return false;
    if (a != NULL)
        e->texts = arena_alloc(a, e->n_texts * sizeof(*e->texts) + 1);
    for (uint32_t i = 0; i < e->n_texts; i++) {
        struct str s = get_text(r);
        if (a != NULL)
            e->texts[i] = s;
    }
    return !r->bad;
}

// The entry of this kind and key among `n`. False: there is none.
static bool find_entry(struct reader r, uint32_t n, uint32_t kind, struct str key, struct arena *a,
                       struct entry *e)
{
    for (uint32_t i = 0; i < n; i++) {
        struct reader here = r;
        if (!get_entry(&r, NULL, e))
            return false;
        if (e->kind == kind && str_eq(e->key, key))
            return get_entry(&here, a, e);
    }
    return false;
}

// ---- playing ----------------------------------------------------------------------------------

// What the functions of a playing source work on.
struct player {
    struct reader entries; // at the first one
    uint32_t n;
    struct arena *arena;
};

static int play_text(const struct player *p, uint32_t kind, const char *path, struct arena *a,
                     struct str *content)
{
    struct entry e;
    if (!find_entry(p->entries, p->n, kind, str_of(path), a, &e) || e.n_texts != 1)
        return -ENOENT;
    *content = arena_str(a, e.texts[0]);
    return e.result;
}

static int play_file(void *ctx, const char *path, struct arena *a, struct str *content)
{
    return play_text(ctx, ENTRY_FILE, path, a, content);
}

static int play_live(void *ctx, const char *path, enum live_kind kind, struct arena *a,
                     struct str *content)
{
    return play_text(ctx, ENTRY_LIVE + kind, path, a, content);
}

static int play_paths(const struct player *p, uint32_t kind, const char *key, struct arena *a,
                      const char ***paths, size_t *n)
{
    struct entry e;
    *n = 0;
    if (!find_entry(p->entries, p->n, kind, str_of(key), a, &e))
        return -ENOENT;
    *paths = arena_alloc(a, e.n_texts * sizeof(**paths) + 1);
    for (; *n < e.n_texts; ++*n)
        (*paths)[*n] = arena_strdup(a, e.texts[*n]);
    return e.result;
}

static int play_glob(void *ctx, const char *pattern, struct arena *a, const char ***paths,
                     size_t *n)
{
    return play_paths(ctx, ENTRY_GLOB, pattern, a, paths, n);
}

static int play_list_live(void *ctx, const char *dir, struct arena *a, const char ***paths,
                          size_t *n)
{
    return play_paths(ctx, ENTRY_DIR, dir, a, paths, n);
}

static const char *play_env(void *ctx, const char *name)
{
    const struct player *p = ctx;
    struct entry e;
    if (!find_entry(p->entries, p->n, ENTRY_ENV, str_of(name), p->arena, &e) || e.result != 0)
        return NULL;
    return e.n_texts == 1 ? arena_strdup(p->arena, e.texts[0]) : NULL;
}

static struct config_source play(struct player *p)
{
    return (struct config_source){.ctx = p,
                                  .read_file = play_file,
                                  .read_live = play_live,
                                  .glob = play_glob,
                                  .list_live = play_list_live,
                                  .env = play_env};
}

// Reads up to the slots; `r` stands there afterwards.
static bool read_source(struct reader *r, struct arena *a, struct config_source *out)
{
    size_t head = sizeof(magic) - 1;
    if ((size_t)(r->end - r->at) < head || memcmp(r->at, magic, head) != 0)
        return false;
    r->at += head;
    struct player *p = arena_alloc(a, sizeof(*p));
    *out = play(p);
    out->root = arena_strdup(a, get_text(r));
    bool has_text = get_number(r) != 0;
    struct str text = get_text(r);
    if (has_text)
        out->text = arena_str(a, text);
    out->overlay = arena_str(a, get_text(r));
    *p = (struct player){.n = get_number(r), .arena = a};
    p->entries = *r;
    struct entry e;
    for (uint32_t i = 0; i < p->n; i++) {
        if (!get_entry(r, NULL, &e))
            return false;
    }
    return !r->bad;
}

// ---- recording --------------------------------------------------------------------------------

static void note(struct bundle *b, uint32_t kind, const char *key, int result,
                 const struct str *texts, size_t n)
{
    put_number(b, &b->entries, kind);
    put_text(b, &b->entries, str_of(key));
    put_number(b, &b->entries, (uint32_t)-result);
    put_number(b, &b->entries, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        put_text(b, &b->entries, texts[i]);
    b->n++;
}

// What was noted so far, as a player.
static struct player noted(const struct bundle *b)
{
    const char *begin = b->entries.base != NULL ? buf_head(&b->entries) : "";
    return (struct player){{begin, begin + buf_len(&b->entries), false}, b->n, NULL};
}

static bool is_noted(const struct player *p, uint32_t kind, const char *key)
{
    struct entry e;
    return find_entry(p->entries, p->n, kind, str_of(key), NULL, &e);
}

static int record_text(struct bundle *b, uint32_t kind, const char *path, struct arena *a,
                       struct str *content)
{
    const struct config_source *s = b->from;
    struct player before = noted(b);
    if (is_noted(&before, kind, path))
        return play_text(&before, kind, path, a, content);
    int r = kind == ENTRY_FILE ? s->read_file(s->ctx, path, a, content)
                               : s->read_live(s->ctx, path, kind - ENTRY_LIVE, a, content);
    struct str text = r == 0 ? *content : STR("");
    note(b, kind, path, r, &text, 1);
    return r;
}

static int record_file(void *ctx, const char *path, struct arena *a, struct str *content)
{
    struct bundle *b = ctx;
    return record_text(b, ENTRY_FILE, path, a, content);
}

static int record_live(void *ctx, const char *path, enum live_kind kind, struct arena *a,
                       struct str *content)
{
    struct bundle *b = ctx;
    return record_text(b, ENTRY_LIVE + kind, path, a, content);
}

static int record_paths(struct bundle *b, uint32_t kind, const char *key, struct arena *a,
                        const char ***paths, size_t *n)
{
    const struct config_source *s = b->from;
    struct player before = noted(b);
    if (is_noted(&before, kind, key))
        return play_paths(&before, kind, key, a, paths, n);
    int r = kind == ENTRY_GLOB ? s->glob(s->ctx, key, a, paths, n)
                               : s->list_live(s->ctx, key, a, paths, n);
    struct str *texts = arena_alloc(a, *n * sizeof(*texts) + 1);
    for (size_t i = 0; i < *n; i++)
        texts[i] = str_of((*paths)[i]);
    note(b, kind, key, r, texts, *n);
    return r;
}

static int record_glob(void *ctx, const char *pattern, struct arena *a, const char ***paths,
                       size_t *n)
{
    return record_paths(ctx, ENTRY_GLOB, pattern, a, paths, n);
}

static int record_list_live(void *ctx, const char *dir, struct arena *a, const char ***paths,
                            size_t *n)
{
    return record_paths(ctx, ENTRY_DIR, dir, a, paths, n);
}

// The environment of a process does not change while it loads: nothing to look up first.
static const char *record_env(void *ctx, const char *name)
{
    struct bundle *b = ctx;
    const char *value = b->from->env(b->from->ctx, name);
    struct str text = str_of(value != NULL ? value : "");
    struct player before = noted(b);
    if (!is_noted(&before, ENTRY_ENV, name))
        note(b, ENTRY_ENV, name, value != NULL ? 0 : -1, &text, 1);
    return value;
}

struct bundle *bundle_new(void)
{
    return xcalloc(1, sizeof(struct bundle));
}

void bundle_free(struct bundle *b)
{
    if (b != NULL && b->entries.base != NULL)
        explicit_bzero(buf_head(&b->entries), buf_len(&b->entries));
    if (b != NULL)
        buf_release(&b->entries);
    free(b);
}

struct config_source bundle_record(struct bundle *b, const struct config_source *from)
{
    struct config_source s = *from;
    b->from = from;
    s.ctx = b;
    s.read_file = record_file;
    s.read_live = record_live;
    s.glob = record_glob;
    s.list_live = record_list_live;
    s.env = record_env;
    return s;
}

struct config_source bundle_replay(const struct bundle *b, const struct config_source *of,
                                   struct arena *a)
{
    struct player *p = arena_alloc(a, sizeof(*p));
    *p = noted(b);
    p->arena = a;
    struct config_source s = play(p);
    s.root = of->root;
    s.text = of->text;
    s.overlay = of->overlay;
    return s;
}

void bundle_each_live(const struct bundle *b, void (*each)(void *ctx, const char *path), void *ctx)
{
    struct reader r = noted(b).entries;
    struct entry e;
    for (uint32_t i = 0; i < b->n && get_entry(&r, NULL, &e); i++) {
        if (e.kind >= ENTRY_LIVE)
            each(ctx, e.key.p);
    }
}

bool bundle_same(const struct bundle *a, const struct bundle *b)
{
    size_t n = buf_len(&a->entries);
    return !a->full && !b->full && n == buf_len(&b->entries) &&
           (n == 0 || memcmp(buf_head(&a->entries), buf_head(&b->entries), n) == 0);
}

// ---- slots ------------------------------------------------------------------------------------

// Calls `each` with every number that a bundle carries beside the files, in one order.
typedef void visit_number(void *ctx, uint32_t *number);

static void visit_numbers(struct config *c, visit_number *each, void *ctx)
{
    for (uint32_t i = 0; i < c->n_servers; i++)
        each(ctx, &c->servers[i].index);
    for (uint32_t i = 0; i < c->n_backends; i++)
        each(ctx, &c->backends[i].index);
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        struct frontend *f = &c->frontends[i];
        each(ctx, &f->index);
        for (uint32_t k = 0; k < f->n_listens; k++)
            each(ctx, &f->listens[k].number);
    }
}

struct writer {
    struct bundle *b;
    struct buf *out;
};

static void write_number(void *ctx, uint32_t *number)
{
    const struct writer *w = ctx;
    put_number(w->b, w->out, *number);
}

static void read_number(void *ctx, uint32_t *number)
{
    *number = get_number(ctx);
}

static void write_entries(struct bundle *b, struct buf *out)
{
    if (b->n > 0)
        b->full |= !buf_append(out, buf_head(&b->entries), buf_len(&b->entries));
}

// Of a secret control learns whether it may be a certificate: so are those of a directory counted.
static struct str public_text(const struct entry *e, struct str text)
{
    if (e->kind != ENTRY_SECRET)
        return text;
    return text.len == 0 || pem_has_certificate(text) ? STR("") : STR("\n");
}

// The same without what is secret.
static void write_public_entries(struct bundle *b, struct buf *out)
{
    struct reader r = noted(b).entries;
    struct arena *a = arena_new();
    struct entry e;
    for (uint32_t i = 0; i < b->n; i++) {
        if (!get_entry(&r, a, &e))
            break;
        put_number(b, out, e.kind);
        put_text(b, out, e.key);
        put_number(b, out, (uint32_t)-e.result);
        put_number(b, out, e.n_texts);
        for (uint32_t k = 0; k < e.n_texts; k++)
            put_text(b, out, public_text(&e, e.texts[k]));
    }
    arena_free(a);
}

bool bundle_write(struct bundle *b, const struct config_source *source, struct config *config,
                  enum bundle_for reader, struct buf *out)
{
    struct writer w = {b, out};
    b->full |= !buf_append(out, magic, sizeof(magic) - 1);
    put_text(b, out, str_of(source->root));
    put_number(b, out, source->text.p != NULL);
    put_text(b, out, source->text);
    put_text(b, out, source->overlay);
    put_number(b, out, b->n);
    if (reader == BUNDLE_FOR_WORKERS)
        write_entries(b, out);
    else
        write_public_entries(b, out);
    visit_numbers(config, write_number, &w);
    return !b->full;
}

static struct config *load_source(const struct config_source *source, char why[BUNDLE_WHY])
{
    struct findings f;
    findings_init(&f);
    struct config *config = config_load(source, &f);
    if (config == NULL && f.count > 0)
        (void)str_copy(str_of(f.items[0].message), why, BUNDLE_WHY);
    findings_free(&f);
    return config;
}

struct config *bundle_load_over(struct str bytes, struct str overlay, char why[BUNDLE_WHY])
{
    struct reader r = {.at = bytes.p, .end = bytes.p + bytes.len};
    struct arena *a = arena_new();
    struct config_source source;
    struct config *config = NULL;
    (void)str_copy(STR(NO_BUNDLE), why, BUNDLE_WHY);
    if (read_source(&r, a, &source)) {
        source.overlay = overlay;
        config = load_source(&source, why);
    }
    arena_free(a);
    return config;
}

struct config *bundle_load(struct str bytes, char why[BUNDLE_WHY])
{
    struct reader r = {.at = bytes.p, .end = bytes.p + bytes.len};
    struct arena *a = arena_new();
    struct config_source source;
    (void)str_copy(STR(NO_BUNDLE), why, BUNDLE_WHY);
    struct config *config = read_source(&r, a, &source) ? load_source(&source, why) : NULL;
    if (config != NULL) {
        visit_numbers(config, read_number, &r);
        if (r.bad || r.at != r.end) {
            arena_free(config->arena);
            config = NULL;
        }
    }
    arena_free(a);
    return config;
}
