// SPDX-License-Identifier: MIT
// Frontends: where they listen and their addresses. Routes are in bind_route.c. Called by
// bind_all() after the backends.
//
// Invariant: every frontend of the result has at least one route (the load fails otherwise); its
// shortcut (`backend`, `redirect`) is the last one.
#include "conf/bind.h"

#include <stdio.h>

#include "conf/address.h"
#include "conf/bind_route.h"

// ---- listen -----------------------------------------------------------------------------------

static void report_listen(struct binder *b, const struct row *row, struct node *n,
                          enum address_result r, const struct address *a)
{
    struct str s = n->value;
    struct finding *x = bind_bad(b, row, n, "config.address", "cannot listen on '%.*s'", SHOW(s));
    switch (r) {
    case ADDRESS_NO_PORT:
        FIX(b, x, "add a port: %.*s:80, or write the port alone", SHOW(s));
        break;
    case ADDRESS_BAD_PORT:
        FIX(b, x, "a port is a number from 1 to 65535");
        break;
    case ADDRESS_BARE_IPV6:
        FIX(b, x, "write IPv6 addresses in brackets and quotes: \"[::1]:80\"");
        break;
    case ADDRESS_BAD_UNIX:
        FIX(b, x, "write unix:/PATH, at most 107 bytes");
        break;
    case ADDRESS_URL:
        FIX(b, x, "write it without scheme and path: 80 or 10.0.0.1:80");
        break;
    case ADDRESS_WORDS:
        FIX(b, x, "write the address alone, or {address: ..., accept-proxy: true}");
        break;
    case ADDRESS_NAME:
        FIX(b, x, "write a number, not a name: %s:%u",
            str_eq(a->host, STR("localhost")) ? "127.0.0.1" : "10.0.0.1", a->port);
        break;
    case ADDRESS_OK:
    case ADDRESS_PORT_ONLY:
    case ADDRESS_BAD_HOST:
    case ADDRESS_BAD_SRV:
        FIX(b, x, "write 80, 10.0.0.1:80, \"[::1]:80\" or unix:/PATH");
        break;
    }
}

void bind_listen_address(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct listen_draft *d = target;
    struct address a;
    struct str s;
    if (!bind_text(b, row, n, &s))
        return;
    enum address_result r = address_parse_listen(s, &a);
    if (r != ADDRESS_OK) {
        report_listen(b, row, n, r, &a);
        return;
    }
    d->listen.addr = a.addr;
    d->listen.v6_only = a.addr.sa.sa_family == AF_INET6 && !a.bare;
    d->listen.mark = node_mark(n);
}

static bool bind_listen(struct binder *b, struct node *own, const struct frontend_draft *f,
                        struct listen *out)
{
    struct listen_draft d = {.listen.mark = node_mark(own)};
    struct chain c = {.own = own, .at = own->at};
    if (own->kind == NODE_LIST || node_is_empty(own)) {
        struct finding *x =
            bind_bad(b, schema_row(&object_frontend, STR("listen")), own, "config.type",
                     "'listen' must be an address or a map, not %s", node_kind_name(own));
        FIX(b, x, "write 80, 10.0.0.1:80 or {address: 80, accept-proxy: true}");
        return false;
    }
    bind_object(b, &object_listen, &c, &d);
    if (node_get(own, "accept-proxy") == NULL)
        d.listen.accept_proxy = f->accept_proxy;
    if (node_get(own, "tls") == NULL)
        d.listen.tls = f->frontend.tls;
    *out = d.listen;
    return d.listen.addr.len > 0;
}

static void bind_listens(struct binder *b, struct frontend_draft *f, struct node *n)
{
    struct node **items;
    if (n == NULL || n->poisoned)
        return;
    uint32_t count = bind_items(&n, &items), kept = 0;
    struct listen *listens = arena_alloc(b->arena, count * sizeof(*listens));
    for (uint32_t i = 0; i < count; i++)
        kept += bind_listen(b, items[i], f, &listens[kept]);
    f->frontend.listens = listens;
    f->frontend.n_listens = kept;
}

// ---- frontends --------------------------------------------------------------------------------

// The value of Strict-Transport-Security (RFC 6797 section 6.1), once for all answers.
static void write_hsts(struct binder *b, struct hsts *h)
{
    if (bind_origin(b, &object_hsts, h) != NULL)
        h->value = str_of(arena_printf(b->arena, "max-age=%u%s%s", h->max_age_s,
                                       h->subdomains ? "; includeSubDomains" : "",
                                       h->preload ? "; preload" : ""));
}

static void bind_frontend(struct binder *b, struct str name, struct node *key, struct node *own)
{
    struct config *c = &b->root->config;
    struct frontend_draft *d = &b->drafts[c->n_frontends];
    struct chain chain = bind_chain(b, own, key->at);
    const struct object *outer = b->object;
    d->frontend.name = name;
    d->frontend.index = c->n_frontends;
    d->frontend.mark = node_mark(key);
    bind_object(b, &object_frontend, &chain, d);
    write_hsts(b, &d->frontend.hsts);
    b->object = &object_frontend;
    bind_listens(b, d, node_get(own, "listen"));
    bind_routes(b, d, own, key->at);
    b->object = outer;
    b->frontends[c->n_frontends] = own;
    struct frontend *f = &c->frontends[c->n_frontends++];
    *f = d->frontend;
    map_put(&c->frontend_by_name, f->name, f);
}

static void report_shape(struct binder *b, struct entry *e)
{
    struct str name = e->key->text;
    bool address = e->value->kind == NODE_SCALAR && e->value->text.len > 0;
    struct finding *x =
        bind_bad(b, NULL, e->value, "config.type", "frontend '%.*s' must be a map, not %s",
                 SHOW(name), node_kind_name(e->value));
    x->topic = "frontends";
    if (address)
        FIX(b, x, "write %.*s: {listen: %.*s, backend: NAME}", SHOW(name), SHOW(e->value->text));
    else
        FIX(b, x, "write %.*s: {listen: 80, backend: NAME}", SHOW(name));
}

static bool usable_frontend(struct binder *b, struct entry *e)
{
    if (bind_is_extension(e->key) || !bind_name(b, e->key, "a frontend"))
        return false;
    if (e->value->kind == NODE_MAP)
        return true;
    report_shape(b, e);
    return false;
}

static struct node *frontend_section(struct binder *b)
{
    struct node *n = node_get(b->tree, "frontends");
    if (n == NULL || n->poisoned || n->kind == NODE_MAP)
        return n != NULL && !n->poisoned ? n : NULL;
    const struct row *row = schema_row(&object_root, STR("frontends"));
    struct finding *x = bind_bad(b, row, n, "config.type",
                                 "'frontends' must be a map of names, not %s", node_kind_name(n));
    FIX(b, x, "write frontends: %s", row->example);
    x->topic = "frontends";
    return NULL;
}

static void bind_section(struct binder *b, struct node *section, struct entry *short_form)
{
    for (uint32_t i = 0; section != NULL && i < section->count; i++) {
        struct entry *e = &section->entries[i];
        if (short_form != NULL && str_eq(e->key->text, STR("default"))) {
            struct finding *x =
                bind_bad(b, NULL, e->key, "config.duplicate",
                         "frontend 'default' exists already: the short form makes it");
            FIX(b, x, "give this one another name");
            NOTE(b, x, "the short form is at %s:%u", short_form->key->at.file->name,
                 short_form->key->at.line);
        } else if (usable_frontend(b, e)) {
            bind_frontend(b, e->key->text, e->key, e->value);
        }
    }
}

static void report_no_frontend(struct binder *b)
{
    if (b->incomplete || b->findings->errors > 0)
        return;
    struct finding *x = diag_error(b->findings, b->tree->at, "config.missing",
                                   "there is no frontend: nothing to listen on");
    x->topic = "frontends";
    FIX(b, x, "add listen: 80 and servers: [10.0.0.1:8080], or a frontends section");
}

void bind_frontends(struct binder *b)
{
    struct config *c = &b->root->config;
    struct node *section = frontend_section(b);
    struct entry *short_form = node_entry(b->tree, STR("listen"));
    uint32_t count = (section != NULL ? section->count : 0) + 1;
    c->frontends = arena_alloc(b->arena, count * sizeof(*c->frontends));
    b->frontends = arena_alloc(b->arena, count * sizeof(*b->frontends));
    b->drafts = arena_alloc(b->arena, count * sizeof(*b->drafts));
    c->frontend_by_name.arena = b->arena;
    if (short_form != NULL)
        bind_frontend(b, STR("default"), short_form->key, b->tree);
    bind_section(b, section, short_form);
    if (c->n_frontends == 0)
        report_no_frontend(b);
}
