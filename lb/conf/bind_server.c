// SPDX-License-Identifier: MIT
// The servers of all backends, of the files and of the overlay. Called by bind_backends() when the
// backends themselves are bound.
//
// Invariants: config->servers is one array that never moves; the servers of a backend are
// consecutive in it, in the order of the file, then those added at run time; index = position. A
// server that is wrong keeps its place, so that what refers to it is judged as usual (the load
// fails anyway).
#include "conf/bind_server.h"

#include <stdio.h>

#include "conf/address.h"
#include "conf/overlay.h"
#include "conf/words.h"

// What stands over the files, and which of its lines still have something to say.
struct over {
    struct overlay overlay;
    bool *acts; // one per entry
};

// ---- one server -------------------------------------------------------------------------------

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
    else if (r == ADDRESS_URL && str_starts(s, STR("https:")))
        FIX(b, x, "write {address: 10.0.0.1:443, tls: true}, without scheme and path");
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

// ---- the overlay ------------------------------------------------------------------------------

static void read_overlay(struct binder *b, struct over *o)
{
    const char *why;
    if (!overlay_parse(b->source->overlay, b->arena, &o->overlay, &why)) {
        struct finding *x =
            diag_error(b->findings, (struct span){0}, "config.overlay", "evlb ctl: %s", why);
        FIX(b, x, "add or remove the server once more");
        o->overlay = (struct overlay){0};
    }
    o->acts = arena_alloc(b->arena, (o->overlay.n + 1) * sizeof(*o->acts));
}

static bool is_removed(struct over *o, const struct backend *backend, struct str name)
{
    for (uint32_t i = 0; i < o->overlay.n; i++) {
        const struct overlay_entry *e = &o->overlay.entries[i];
        if (e->removes && str_eq(e->backend, backend->name) && str_eq(e->server, name)) {
            o->acts[i] = true;
            return true;
        }
    }
    return false;
}

static bool has_server(const struct backend *backend, struct str name)
{
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        if (str_eq(server_base_name(&backend->servers[i]), name))
            return true;
    }
    return false;
}

static uint32_t room_of_overlay(const struct over *o)
{
    uint32_t room = 0;
    for (uint32_t i = 0; i < o->overlay.n; i++)
        room += o->overlay.entries[i].removes ? 0 : SERVER_PLACES;
    return room;
}

static const struct conf_file overlay_file = {.name = "evlb ctl"};

static struct node *scalar_of(struct binder *b, struct str text)
{
    struct node *n = arena_alloc(b->arena, sizeof(*n));
    *n = (struct node){.kind = NODE_SCALAR, .plain = true, .expanded = true};
    n->at.file = &overlay_file;
    n->text = n->value = arena_str(b->arena, text);
    return n;
}

static void put_pair(struct binder *b, struct node *map, const char *key, struct str value)
{
    if (value.len > 0)
        map->entries[map->count++] = (struct entry){scalar_of(b, str_of(key)), scalar_of(b, value)};
}

// A line as the map that a file would hold, so that it is judged and completed like one.
static struct node *node_of(struct binder *b, const struct overlay_entry *e)
{
    struct node *map = arena_alloc(b->arena, sizeof(*map));
    *map = (struct node){.kind = NODE_MAP, .at = {.file = &overlay_file}};
    map->entries = arena_alloc(b->arena, 4 * sizeof(*map->entries));
    put_pair(b, map, "address", e->address);
    put_pair(b, map, "weight", e->weight);
    put_pair(b, map, "tier", e->tier);
    put_pair(b, map, "max-connections", e->max_connections);
    return map;
}

static void add_from_overlay(struct binder *b, struct over *o, struct backend *backend)
{
    for (uint32_t i = 0; i < o->overlay.n; i++) {
        const struct overlay_entry *e = &o->overlay.entries[i];
        if (e->removes || !str_eq(e->backend, backend->name) || has_server(backend, e->server))
            continue;
        struct node *name = scalar_of(b, e->server);
        uint32_t first = backend->n_servers;
        o->acts[i] = true;
        if (bind_name(b, name, "a server"))
            add_server(b, backend, name->text, node_of(b, e));
        for (uint32_t k = first; k < backend->n_servers; k++)
            backend->servers[k].added = true;
    }
}

// ---- all --------------------------------------------------------------------------------------

// {address: 10.0.0.1:80, weight: 2} in place of a list of such maps.
static bool is_one_server(struct node *n)
{
    for (uint32_t i = 0; i < n->count; i++) {
        if (schema_row(&object_server, n->entries[i].key->text) == NULL)
            return false;
    }
    return n->count > 1 && node_get(n, "address") != NULL;
}

static void report_one_server(struct binder *b, struct node *n)
{
    const struct node *address = node_get(n, "address");
    struct finding *x = bind_bad(b, schema_row(&object_backend, STR("servers")), n, "config.type",
                                 "'servers' is a list, or a map of names; this is a server alone");
    FIX(b, x, "write it as a list: [{address: %.*s, ...}]", SHOW(address->text));
}

static void add_from_files(struct binder *b, struct over *o, struct backend *backend,
                           struct node *n)
{
    struct node **items;
    if (n->kind == NODE_MAP && is_one_server(n)) {
        report_one_server(b, n);
        return;
    }
    if (n->kind == NODE_MAP) {
        for (uint32_t i = 0; i < n->count; i++) {
            struct entry *e = &n->entries[i];
            if (!bind_is_extension(e->key) && bind_name(b, e->key, "a server") &&
                !is_removed(o, backend, e->key->text))
                add_server(b, backend, e->key->text, e->value);
        }
        return;
    }
    uint32_t count = bind_items(&n, &items);
    for (uint32_t i = 0; i < count; i++) {
        struct str name = str_of(arena_printf(b->arena, "s%u", i + 1));
        if (!is_removed(o, backend, name))
            add_server(b, backend, name, items[i]);
    }
}

void bind_servers(struct binder *b)
{
    struct config *c = &b->root->config;
    struct over over = {0};
    read_overlay(b, &over);
    uint32_t room = room_of_overlay(&over);
    for (uint32_t i = 0; i < c->n_backends; i++)
        room +=
            room_of_servers(&c->backends[i], bind_get(&object_backend, b->backends[i], "servers"));
    c->servers = arena_alloc(b->arena, (room + 1) * sizeof(*c->servers));
    for (uint32_t i = 0; i < c->n_backends; i++) {
        struct node *servers = bind_get(&object_backend, b->backends[i], "servers");
        c->backends[i].servers = c->servers + c->n_servers;
        if (count_servers(servers) > 0)
            add_from_files(b, &over, &c->backends[i], servers);
        add_from_overlay(b, &over, &c->backends[i]);
    }
    c->overlay = overlay_text(&over.overlay, over.acts, b->arena);
}
