// SPDX-License-Identifier: MIT
// Backends. Called by bind_all() before the frontends, whose routes refer to them. Their servers
// are in bind_server.c.
//
// Invariant: a backend that is wrong keeps its place, so that what refers to it is judged as usual
// (the load fails anyway).
#include "conf/bind.h"

#include <stdio.h>

#include "conf/bind_server.h"
#include "conf/words.h"

// ---- hash -------------------------------------------------------------------------------------

static void report_hash_on(struct binder *b, const struct row *row, struct node *n, struct str word)
{
    const struct foreign_word *foreign = foreign_find(word, "on");
    struct suggestion s = suggest_begin(word);
    struct finding *x =
        bind_bad(b, row, n, "config.enum", "unknown hash key '%.*s'", SHOW(n->value));
    for (const char *const *w = hash_on_words; *w != NULL; w++)
        suggest_offer(&s, str_of(*w));
    bind_report_unknown(b, x, foreign, &s);
    NOTE(b, x, "one of: client, path, uri, header NAME, cookie NAME");
}

void bind_hash_on(struct binder *b, const struct row *row, struct node *n, void *target)
{
    static const char *const plain[] = {
        [HASH_CLIENT] = "client", [HASH_PATH] = "path", [HASH_URI] = "uri"};
    struct backend *backend = target;
    struct str s;
    if (!bind_text(b, row, n, &s))
        return;
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        if (str_eq(s, str_of(plain[i]))) {
            backend->hash_on = (enum hash_on)i;
            return;
        }
    }
    struct str name = s, word = str_cut(&name, ' ');
    bool header = str_eq(word, STR("header"));
    if (!header && !str_eq(word, STR("cookie"))) {
        report_hash_on(b, row, n, word);
        return;
    }
    name = str_trim(name);
    if (!bind_is_token(name)) {
        struct finding *x =
            bind_bad(b, row, n, "config.hash", "hash on: which %.*s?", STR_FMT(word));
        FIX(b, x, "write its name behind it: %s", header ? "header X-User" : "cookie session");
        return;
    }
    backend->hash_on = header ? HASH_HEADER : HASH_COOKIE;
    backend->hash_name = arena_str(b->arena, name);
}

// ---- backends ---------------------------------------------------------------------------------

static void bind_backend(struct binder *b, struct str name, struct node *key, struct node *own)
{
    struct config *c = &b->root->config;
    struct backend *backend = &c->backends[c->n_backends];
    struct chain chain = bind_chain(b, own, key->at);
    backend->name = name;
    backend->index = c->n_backends;
    backend->mark = node_mark(key);
    b->backends[c->n_backends++] = own;
    bind_object(b, &object_backend, &chain, backend);
    map_put(&c->backend_by_name, backend->name, backend);
}

// A section of named objects, or NULL when there is none or it is no map.
static struct node *section(struct binder *b, const char *key)
{
    struct node *n = node_get(b->tree, key);
    if (n == NULL || n->poisoned)
        return NULL;
    if (n->kind == NODE_MAP)
        return n;
    const struct row *row = schema_row(&object_root, str_of(key));
    struct finding *x = bind_bad(b, row, n, "config.type", "'%s' must be a map of names, not %s",
                                 key, node_kind_name(n));
    x->topic = key;
    FIX(b, x, "write %s: %s", key, row->example);
    return NULL;
}

static bool usable_backend(struct binder *b, struct entry *e)
{
    if (bind_is_extension(e->key) || !bind_name(b, e->key, "a backend"))
        return false;
    if (!node_is_empty(e->value))
        return true;
    struct finding *x = bind_bad(b, NULL, e->value, "config.empty", "backend '%.*s' has no servers",
                                 SHOW(e->key->text));
    FIX(b, x, "write %.*s: [10.0.0.1:80]", SHOW(e->key->text));
    return false;
}

static void report_default_twice(struct binder *b, struct node *key, struct node *list,
                                 const char *what)
{
    struct finding *x = diag_error(b->findings, key->at, "config.duplicate",
                                   "%s 'default' exists already: the short form makes it", what);
    FIX(b, x, "give this one another name");
    NOTE(b, x, "the short form is at %s:%u", list->at.file->name, list->at.line);
}

void bind_backends(struct binder *b)
{
    struct config *c = &b->root->config;
    struct node *backends = section(b, "backends");
    struct entry *short_form = node_entry(b->tree, STR("servers"));
    uint32_t count = (backends != NULL ? backends->count : 0) + 1;
    c->backends = arena_alloc(b->arena, count * sizeof(*c->backends));
    b->backends = arena_alloc(b->arena, count * sizeof(*b->backends));
    c->backend_by_name.arena = b->arena;
    if (short_form != NULL)
        bind_backend(b, STR("default"), short_form->key, b->tree);
    for (uint32_t i = 0; backends != NULL && i < backends->count; i++) {
        struct entry *e = &backends->entries[i];
        if (short_form != NULL && str_eq(e->key->text, STR("default")))
            report_default_twice(b, e->key, short_form->key, "backend");
        else if (usable_backend(b, e))
            bind_backend(b, e->key->text, e->key, e->value);
    }
    bind_servers(b);
}
