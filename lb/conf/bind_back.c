// SPDX-License-Identifier: MIT
// Backends and their servers. Called by bind_all() before the frontends, whose routes refer to
// them.
//
// Invariants: config->servers is one array that never moves; the servers of a backend are
// consecutive in it, in the order of the file; index = position. A server or backend that is wrong
// keeps its place, so that what refers to it is judged as usual (the load fails anyway).
#include "conf/bind.h"

#include <stdio.h>

#include "conf/address.h"

// ---- servers ----------------------------------------------------------------------------------

// What is wrong, and what to write.
static const char *address_fault(enum address_result r)
{
    switch (r) {
    case ADDRESS_NO_PORT:
        return "has no port";
    case ADDRESS_BAD_PORT:
        return "has no valid port";
    case ADDRESS_PORT_ONLY:
        return "is a port without a host";
    case ADDRESS_BARE_IPV6:
        return "is an IPv6 address without brackets";
    case ADDRESS_BAD_UNIX:
        return "has no valid path";
    case ADDRESS_URL:
        return "is a URL";
    case ADDRESS_WORDS:
        return "has something behind the address";
    case ADDRESS_BAD_SRV:
        return "is not the name of an SRV record";
    case ADDRESS_OK:
    case ADDRESS_NAME:
    case ADDRESS_BAD_HOST:
        break;
    }
    return "is no address";
}

static void fix_address(struct binder *b, struct finding *x, struct node *n, enum address_result r,
                        const struct address *a)
{
    struct str s = n->value, rest = s, first = str_cut(&rest, ' ');
    if (r == ADDRESS_NO_PORT)
        FIX(b, x, "add a port: %.*s:80", SHOW(s));
    else if (r == ADDRESS_BAD_PORT)
        FIX(b, x, "a port is a number from 1 to 65535");
    else if (r == ADDRESS_PORT_ONLY)
        FIX(b, x, "did you mean 127.0.0.1:%u?", a->port);
    else if (r == ADDRESS_BARE_IPV6)
        FIX(b, x, "write IPv6 addresses in brackets and quotes: \"[::1]:80\"");
    else if (r == ADDRESS_BAD_UNIX)
        FIX(b, x, "write unix:/PATH, at most 107 bytes");
    else if (r == ADDRESS_URL)
        FIX(b, x, "write it without scheme and path: 10.0.0.1:80");
    else if (r == ADDRESS_WORDS && n->at.end_line > n->at.line)
        FIX(b, x, "begin each server with '- '");
    else if (r == ADDRESS_WORDS)
        FIX(b, x, "write {address: %.*s, weight: ...}", SHOW(first));
    else if (r == ADDRESS_BAD_SRV)
        FIX(b, x, "write srv:_http._tcp.example.com; the ports come from DNS");
    else
        FIX(b, x, "write 10.0.0.1:80, \"[::1]:80\", name:80 or unix:/PATH");
}

static void report_address(struct binder *b, const struct row *row, struct node *n,
                           enum address_result r, const struct address *a)
{
    struct finding *x =
        bind_bad(b, row, n, "config.address", "server '%.*s' %s", SHOW(n->value), address_fault(r));
    fix_address(b, x, n, r, a);
}

void bind_server_address(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct server *server = target;
    struct address a;
    struct str s;
    if (!bind_text(b, row, n, &s))
        return;
    enum address_result r = address_parse_server(s, &a);
    if (r != ADDRESS_OK) {
        report_address(b, row, n, r, &a);
        return;
    }
    server->addr = a.addr;
    server->host = a.host.len > 0 ? arena_str(b->arena, a.host) : STR_NONE;
    server->port = a.port;
    server->srv = a.srv;
    server->mark = node_mark(n);
}

static void bind_server(struct binder *b, struct server *server, struct node *own)
{
    struct chain c = {.own = own, .at = own->at};
    c.defaults = node_get(b->backends[server->backend->index], "server-defaults");
    c.global = node_get(node_get(b->tree, "defaults"), "server-defaults");
    server->mark = node_mark(own);
    if (own->kind == NODE_LIST) {
        struct finding *x = bind_bad(b, NULL, own, "config.type",
                                     "a server must be an address or a map, not a list");
        FIX(b, x, "write 10.0.0.1:80 or {address: 10.0.0.1:80, weight: 2}");
        return;
    }
    if (node_is_empty(own)) {
        struct finding *x = bind_bad(b, NULL, own, "config.empty", "server '%.*s' has no address",
                                     SHOW(server->name));
        FIX(b, x, "write 10.0.0.1:80");
        return;
    }
    bind_object(b, &object_server, &c, server);
}

static bool is_extension(const struct node *key)
{
    return str_starts(key->text, STR("x-"));
}

static uint32_t count_servers(struct node *n)
{
    return n == NULL || n->poisoned ? 0 : n->kind == NODE_SCALAR ? !node_is_empty(n) : n->count;
}

// How many struct servers one entry can become, before its address is read.
static uint32_t room_of(const struct backend *backend, struct node *own)
{
    const struct node *address = bind_get(&object_server, own, "address");
    bool maybe_srv = address != NULL && address->kind == NODE_SCALAR &&
                     (str_starts(address->text, STR("srv:")) ||
                      str_find(address->text, '$') < address->text.len);
    return backend->resolve == RESOLVE_ALL || maybe_srv ? SERVER_PLACES : 1;
}

static uint32_t room_of_servers(const struct backend *backend, struct node *n)
{
    uint32_t count = count_servers(n), room = 0;
    for (uint32_t i = 0; i < count; i++)
        room += room_of(backend, n->kind == NODE_MAP    ? n->entries[i].value
                                 : n->kind == NODE_LIST ? n->items[i]
                                                        : n);
    return room;
}

// A name with several addresses: the first place is bound, the others are like it.
static void add_places(struct binder *b, struct backend *backend, struct server *first)
{
    struct str name = first->name;
    if (first->host.len == 0 || first->addr.len > 0 ||
        (backend->resolve != RESOLVE_ALL && !first->srv))
        return;
    first->n_places = SERVER_PLACES;
    for (uint16_t i = 0; i < SERVER_PLACES; i++) {
        struct server *s = first + i;
        *s = *first;
        s->place = i;
        s->index = first->index + i;
        s->name = str_of(arena_printf(b->arena, "%.*s.%u", STR_FMT(name), i + 1u));
    }
    backend->n_servers += SERVER_PLACES - 1;
    b->root->config.n_servers += SERVER_PLACES - 1;
}

static void add_server(struct binder *b, struct backend *backend, struct str name, struct node *own)
{
    struct server *s = &backend->servers[backend->n_servers];
    s->name = name;
    s->index = b->root->config.n_servers++;
    s->n_places = 1;
    s->backend = backend;
    backend->n_servers++;
    bind_server(b, s, own);
    add_places(b, backend, s);
}

static void bind_servers(struct binder *b, struct backend *backend, struct node *n)
{
    struct node **items;
    backend->servers = b->root->config.servers + b->root->config.n_servers;
    if (n->kind == NODE_MAP) {
        for (uint32_t i = 0; i < n->count; i++) {
            struct entry *e = &n->entries[i];
            if (!is_extension(e->key) && bind_name(b, e->key, "a server"))
                add_server(b, backend, e->key->text, e->value);
        }
        return;
    }
    uint32_t count = bind_items(&n, &items);
    for (uint32_t i = 0; i < count; i++)
        add_server(b, backend, str_of(arena_printf(b->arena, "s%u", i + 1)), items[i]);
}

// ---- hash -------------------------------------------------------------------------------------

static void report_hash_on(struct binder *b, const struct row *row, struct node *n, struct str word)
{
    static const char *const words[] = {"client", "path", "uri", "header", "cookie"};
    const struct foreign_word *foreign = foreign_find(word, "on");
    struct suggestion s = suggest_begin(word);
    struct finding *x =
        bind_bad(b, row, n, "config.enum", "unknown hash key '%.*s'", SHOW(n->value));
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        suggest_offer(&s, str_of(words[i]));
    if (foreign != NULL) {
        FIX(b, x, "%s", foreign->here);
        NOTE(b, x, "in %s '%s' is %s", foreign->from, foreign->word, foreign->meaning);
    } else {
        bind_report_unknown(b, x, &s);
    }
    NOTE(b, x, "one of: client, path, uri, header NAME, cookie NAME");
}

static bool is_field_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] <= ' ' || s.p[i] == 0x7F || strchr("()<>@,;:\\\"/[]?={}", s.p[i]) != NULL)
            return false;
    }
    return s.len > 0;
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
    if (!is_field_name(name)) {
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
    if (is_extension(e->key) || !bind_name(b, e->key, "a backend"))
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

// When all backends are known, so that the array of servers has its final place.
static void bind_all_servers(struct binder *b)
{
    struct config *c = &b->root->config;
    uint32_t room = 0;
    for (uint32_t i = 0; i < c->n_backends; i++)
        room +=
            room_of_servers(&c->backends[i], bind_get(&object_backend, b->backends[i], "servers"));
    c->servers = arena_alloc(b->arena, (room + 1) * sizeof(*c->servers));
    for (uint32_t i = 0; i < c->n_backends; i++) {
        struct node *servers = bind_get(&object_backend, b->backends[i], "servers");
        if (count_servers(servers) > 0)
            bind_servers(b, &c->backends[i], servers);
    }
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
    bind_all_servers(b);
}
