// SPDX-License-Identifier: MIT
// TLS to servers: which of the sections that may say something about it are in force for one
// server, the files that they name, and what follows from what they leave out. Called by the
// engine for each server.
//
//   server.tls -> server-defaults.tls -> backend.tls -> defaults.server-defaults.tls
//
// The nearest section decides whether there is TLS; each key is that of the nearest that has it.
// Invariant: a file that several servers name is read once and is the same bytes for all of them,
// so that what is made of it later (io/tls_client.c) can be shared.
#include "conf/bind_server_tls.h"

#include "conf/include.h"

#define SECTIONS 4
#define NAME_BYTES_MAX 253u

// Where systems keep the authorities that they trust.
static const char *const system_files[] = {
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",             // SUSE
    "/etc/ssl/cert.pem",                  // BSD
};

// ---- files ------------------------------------------------------------------------------------

// Files of the load by kind and path.
static struct str file_key(struct binder *b, const struct row *row, const char *path)
{
    return str_of(arena_printf(b->arena, "%d:%s", (int)row->type, path));
}

// The path that a value names, as seen from its file. NULL: there is a finding.
static const char *path_of(struct binder *b, const struct row *row, struct node *n)
{
    struct str s;
    if (!bind_text(b, row, n, &s))
        return NULL;
    if (s.len > 0 && memchr(s.p, '\0', s.len) == NULL)
        return include_beside(b->arena, n->at.file, s);
    struct finding *x = bind_bad(b, row, n, "tls.certificate", "'%s' is no path", row->key);
    FIX(b, x, "name a file in PEM format");
    return NULL;
}

// It goes to control, which is not to have keys.
static bool is_public(struct binder *b, const struct row *row, struct node *n,
                      const struct pem_file *pem)
{
    if (!pem_has_key(pem->bytes))
        return true;
    struct finding *x = bind_bad(b, row, n, "tls.certificate", "'%s' holds a key", pem->file);
    FIX(b, x, "name a file without one: the process on the admin socket reads it, too");
    return false;
}

void bind_pem_file(struct binder *b, const struct row *row, struct node *n, void *target)
{
    const char *path = path_of(b, row, n);
    if (path == NULL)
        return;
    struct str key = file_key(b, row, path);
    struct pem_file *pem = map_get(&b->files, key);
    if (pem == NULL) {
        pem = arena_alloc(b->arena, sizeof(*pem));
        pem->file = path;
        int r = bind_read_live(b, path, LIVE_PUBLIC, &pem->bytes);
        if (r != 0) {
            bind_unreadable(b, row, n, "tls.certificate", path, r);
            return;
        }
        if (!is_public(b, row, n, pem))
            return;
        map_put(&b->files, key, pem);
    }
    *SLOT_OF(struct pem_file, row, target) =
        (struct pem_file){.file = pem->file, .bytes = pem->bytes, .mark = node_mark(n)};
}

static void bind_cert(struct binder *b, const struct row *row, struct node *n, void *target,
                      enum live_kind kind)
{
    const char *path = path_of(b, row, n);
    struct str key = path != NULL ? file_key(b, row, path) : STR_NONE;
    const struct certificate *cert = path != NULL ? map_get(&b->files, key) : NULL;
    if (path != NULL && cert == NULL) {
        cert = bind_one_cert(b, row, n, kind);
        if (cert != NULL)
            map_put(&b->files, key, (void *)(uintptr_t)cert);
    }
    *SLOT_OF(const struct certificate *, row, target) = cert;
}

void bind_client_cert(struct binder *b, const struct row *row, struct node *n, void *target)
{
    bind_cert(b, row, n, target, LIVE_SECRET);
}

void bind_check_cert(struct binder *b, const struct row *row, struct node *n, void *target)
{
    bind_cert(b, row, n, target, LIVE_CHECK);
}

// ---- names ------------------------------------------------------------------------------------

void bind_server_name(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s;
    struct addr ip;
    if (!bind_text(b, row, n, &s))
        return;
    char *lower = arena_strdup(b->arena, s);
    bool fine = s.len > 0 && s.len <= NAME_BYTES_MAX;
    for (size_t i = 0; fine && i < s.len; i++) {
        lower[i] = ascii_lower(lower[i]);
        fine = is_digit(lower[i]) || (lower[i] >= 'a' && lower[i] <= 'z') || lower[i] == '-' ||
               lower[i] == '.' || lower[i] == '_';
    }
    if (fine || addr_parse_ip(s, 0, &ip)) {
        *SLOT_OF(struct str, row, target) = (struct str){lower, s.len};
        return;
    }
    struct finding *x =
        bind_bad(b, row, n, "config.host", "'%.*s' is not the name of a host", SHOW(s));
    if (str_find(s, '*') < s.len)
        FIX(b, x, "write one name: a wildcard in the server's certificate covers it");
    else
        FIX(b, x, "write app.example.com or an IP address, without port");
}

// ---- the sections of one server ---------------------------------------------------------------

static struct node *word(struct binder *b, struct node *like, const char *text)
{
    struct node *n = arena_alloc(b->arena, sizeof(*n));
    *n = (struct node){.kind = NODE_SCALAR, .plain = true, .expanded = true, .at = like->at};
    n->text = n->value = str_of(text);
    return n;
}

static void add_entry(struct node *map, struct entry e)
{
    if (node_entry(map, e.key->text) == NULL)
        map->entries[map->count++] = e;
}

// Puts into `map` what a section says and nearer ones do not. That it is there means TLS.
static void add_section(struct binder *b, struct node *map, struct node *section)
{
    if (section->kind == NODE_SCALAR) {
        add_entry(map, (struct entry){word(b, section, "enabled"), section});
        return;
    }
    for (uint32_t i = 0; section->kind == NODE_MAP && i < section->count; i++)
        add_entry(map, section->entries[i]);
    add_entry(map, (struct entry){word(b, section, "enabled"), word(b, section, "true")});
}

// All sections as one map; NULL: none says anything.
static struct node *merge(struct binder *b, struct node *const sections[SECTIONS])
{
    struct node *map = arena_alloc(b->arena, sizeof(*map));
    uint32_t room = 0;
    *map = (struct node){.kind = NODE_MAP};
    for (uint32_t i = 0; i < SECTIONS; i++) {
        if (sections[i] != NULL)
            room += (sections[i]->kind == NODE_MAP ? sections[i]->count : 0) + 1;
        if (sections[i] != NULL && map->at.file == NULL)
            map->at = sections[i]->at;
    }
    map->entries = arena_alloc(b->arena, (room + 1) * sizeof(*map->entries));
    for (uint32_t i = 0; i < SECTIONS; i++) {
        if (sections[i] != NULL && !sections[i]->poisoned && !node_is_empty(sections[i]))
            add_section(b, map, sections[i]);
    }
    return map->count > 0 ? map : NULL;
}

// ---- what was left out ------------------------------------------------------------------------

static void find_system_authorities(struct binder *b, struct pem_file *out)
{
    const struct config_source *s = b->source;
    const char *named = s->env(s->ctx, "SSL_CERT_FILE");
    bool found = named != NULL && bind_read_live(b, named, LIVE_PUBLIC, &out->bytes) == 0;
    out->file = named;
    for (size_t i = 0; !found && i < ARRAY_LEN(system_files); i++) {
        out->file = system_files[i];
        found = bind_read_live(b, out->file, LIVE_PUBLIC, &out->bytes) == 0;
    }
    if (!found)
        out->file = NULL;
}

static const struct pem_file *system_authorities(struct binder *b, struct node *n)
{
    struct pem_file *pem = map_get(&b->files, STR("system"));
    if (pem != NULL)
        return pem;
    pem = arena_alloc(b->arena, sizeof(*pem));
    find_system_authorities(b, pem);
    if (!is_public(b, NULL, n, pem))
        pem->bytes = STR_NONE;
    map_put(&b->files, STR("system"), pem);
    return pem;
}

static void complete_authorities(struct binder *b, struct server_tls *tls, struct node *n)
{
    const struct pem_file *ca = tls->ca.file != NULL ? &tls->ca : system_authorities(b, n);
    struct node *own = node_get(n, "ca");
    tls->terms.ca_file = ca->file;
    tls->terms.ca = ca->bytes;
    if (ca->file != NULL || !tls->terms.verify || (own != NULL && own->poisoned))
        return;
    struct finding *x = bind_bad(b, NULL, n, "tls.certificate",
                                 "this system has no file of certificates of authorities");
    FIX(b, x, "name one with ca: FILE, or install the package ca-certificates");
}

static void complete_name(struct binder *b, struct server_tls *tls, const struct server *server,
                          struct node *n)
{
    struct str host = server->srv ? STR_NONE : server->host;
    struct node *own = node_get(n, "server-name");
    if (tls->terms.name.len > 0 || (own != NULL && own->poisoned))
        return;
    if (host.len > 0 && host.p[host.len - 1] == '.')
        host = arena_str(b->arena, (struct str){host.p, host.len - 1});
    tls->terms.name = host;
    bool known = server->host.len > 0 || server->addr.len > 0; // else its address is wrong
    if (host.len > 0 || !tls->terms.verify || !known)
        return;
    struct finding *x = bind_bad(b, NULL, n, "config.missing",
                                 "server '%.*s' has no host name that its certificate could be for",
                                 SHOW(server->name));
    FIX(b, x, "add tls: {server-name: app.example.com}, or verify: false");
}

static void complete(struct binder *b, struct server_tls *tls, const struct server *server,
                     struct node *n)
{
    tls->mark = node_mark(n);
    tls->terms.resume = true;
    complete_name(b, tls, server, n);
    if (tls->terms.verify)
        complete_authorities(b, tls, n);
    if (tls->client_cert != NULL)
        tls->terms.own = &tls->client_cert->pem;
}

const struct server_tls *bind_server_tls(struct binder *b, const struct server *server,
                                         const struct chain *c)
{
    struct node *backend = b->backends[server->backend->index];
    struct node *const sections[SECTIONS] = {
        node_get(c->own, "tls"),
        node_get(c->defaults, "tls"),
        bind_is_of_clients(b, backend) ? NULL : node_get(backend, "tls"),
        node_get(c->global, "tls"),
    };
    struct chain merged = {.own = merge(b, sections), .at = c->at};
    if (merged.own == NULL)
        return NULL;
    struct server_tls *tls = arena_alloc(b->arena, sizeof(*tls));
    bind_object(b, &object_server_tls, &merged, tls);
    if (!tls->enabled)
        return NULL;
    complete(b, tls, server, merged.own);
    return tls;
}
