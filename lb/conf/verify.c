// SPDX-License-Identifier: MIT
// The last phase of a load: what rows cannot say. Sets the mode of backends from the frontends that
// use them; what concerns one backend alone is in verify_back.c. Works on bound values, some of
// which may be wrong already (then the load fails anyway); so nothing here may rely on more than a
// NULL check.
#include "conf/verify.h"

#include <stdio.h>

#include "conf/units.h"
#include "conf/words.h"

struct span verify_span(const struct verifier *v, const struct conf_mark *m)
{
    return diag_span(v->config, m);
}

// ---- modes ------------------------------------------------------------------------------------

struct use {
    const struct frontend *frontend; // the first that uses the backend
    enum mode mode;
    struct conf_mark mark;
};

// In which mode its backend works.
static enum mode route_mode(const struct frontend *f, const struct route *r)
{
    return r->tls == ROUTE_PASSTHROUGH ? MODE_TCP : f->mode;
}

static void report_two_modes(struct verifier *v, const struct frontend *f, const struct route *r,
                             const struct use *first)
{
    struct finding *x =
        diag_error(v->b->findings, verify_span(v, &r->mark), "config.mode",
                   "backend '%.*s' is used in mode %s here and in mode %s by frontend '%.*s'",
                   SHOW(r->backend->name), mode_words[route_mode(f, r)], mode_words[first->mode],
                   SHOW(first->frontend->name));
    FIX(v->b, x, "give each mode a backend of its own (the other use is at %s:%u)",
        first->mark.file, first->mark.line);
}

static void report_own_mode(struct verifier *v, const struct frontend *f, const struct route *r)
{
    bool passthrough = r->tls == ROUTE_PASSTHROUGH;
    struct finding *x = diag_error(v->b->findings, verify_span(v, &r->mark), "config.mode",
                                   "%s '%.*s' is in mode %s, its backend '%.*s' in mode %s",
                                   passthrough ? "what is passed through by frontend" : "frontend",
                                   SHOW(f->name), mode_words[route_mode(f, r)],
                                   SHOW(r->backend->name), mode_words[r->backend->mode]);
    FIX(v->b, x, "make both the same; the backend need not say it");
    NOTE(v->b, x, "the backend is at %s:%u", r->backend->mark.file, r->backend->mark.line);
}

static bool says_mode(const struct verifier *v, const struct backend *backend)
{
    return bind_get(&object_backend, v->b->backends[backend->index], "mode") != NULL;
}

static void use_backend(struct verifier *v, const struct frontend *f, const struct route *r,
                        struct use *uses)
{
    struct use *u = &uses[r->backend->index];
    enum mode mode = route_mode(f, r);
    if (says_mode(v, r->backend)) {
        if (r->backend->mode != mode)
            report_own_mode(v, f, r);
    } else if (u->frontend != NULL && u->mode != mode) {
        report_two_modes(v, f, r, u);
    } else {
        r->backend->mode = mode;
    }
    if (u->frontend == NULL)
        *u = (struct use){f, mode, r->mark};
}

static void warn_unused(struct verifier *v, const struct use *uses)
{
    if (v->b->incomplete || v->b->unresolved || v->b->findings->errors > 0)
        return;
    for (uint32_t i = 0; i < v->config->n_backends; i++) {
        const struct backend *backend = &v->config->backends[i];
        if (uses[i].frontend != NULL)
            continue;
        struct finding *x =
            diag_warning(v->b->findings, verify_span(v, &backend->mark), "lint.unused",
                         "no frontend uses backend '%.*s'", SHOW(backend->name));
        FIX(v->b, x, "name it in a frontend or route, or remove it");
    }
}

static void verify_modes(struct verifier *v)
{
    struct config *c = v->config;
    struct use *uses = arena_alloc(v->b->arena, (c->n_backends + 1) * sizeof(*uses));
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        const struct frontend *f = &c->frontends[i];
        for (uint32_t k = 0; k < f->n_routes; k++) {
            if (f->routes[k].backend != NULL)
                use_backend(v, f, &f->routes[k], uses);
        }
    }
    warn_unused(v, uses);
}

static void report_http_only(struct verifier *v, struct node *key, const char *where,
                             struct str name)
{
    if (key->poisoned)
        return;
    key->poisoned = true;
    struct finding *x = diag_error(v->b->findings, key->at, "config.mode",
                                   "'%.*s' needs mode http, but %s '%.*s' is in mode tcp",
                                   SHOW(key->text), where, SHOW(name));
    FIX(v->b, x, "remove it, or write mode: http");
}

// Keys of `own` that mean nothing in mode tcp.
static void refuse_http_keys(struct verifier *v, const struct object *o, struct node *own,
                             const char *where, struct str name)
{
    for (size_t i = 0; i < o->n_rows; i++) {
        const struct row *row = &o->rows[i];
        struct entry *e = node_entry(own, str_of(row->key));
        bool for_all = own == v->b->tree && (row->flags & ROW_GLOBAL) != 0;
        if (e == NULL || for_all || row->type == VALUE_PLANNED)
            continue;
        if ((row->flags & ROW_HTTP) != 0)
            report_http_only(v, e->key, where, name);
        else if (row->type == VALUE_OBJECT)
            refuse_http_keys(v, row->object, e->value, where, name);
    }
}

static void verify_tcp(struct verifier *v)
{
    struct config *c = v->config;
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        if (c->frontends[i].mode == MODE_TCP)
            refuse_http_keys(v, &object_frontend, v->b->frontends[i], "frontend",
                             c->frontends[i].name);
        verify_route_keys(v, &c->frontends[i]);
    }
    for (uint32_t i = 0; i < c->n_backends; i++) {
        const struct backend *backend = &c->backends[i];
        if (backend->mode == MODE_TCP)
            refuse_http_keys(v, &object_backend, v->b->backends[i], "backend", backend->name);
    }
}

// ---- listen -----------------------------------------------------------------------------------

static bool is_any(const struct listen *l)
{
    const void *bytes;
    static const char zeros[16];
    size_t n = ip_bytes(&l->addr.ip, &bytes);
    return n > 0 && memcmp(bytes, zeros, n) == 0;
}

// Whether both would receive the same connections.
static bool same_address(const struct listen *a, const struct listen *b)
{
    if (a->addr.len == 0 || b->addr.len == 0)
        return false;
    if (addr_eq(&a->addr, &b->addr))
        return true;
    if (a->addr.sa.sa_family == AF_UNIX || b->addr.sa.sa_family == AF_UNIX ||
        ip_port(&a->addr.ip) != ip_port(&b->addr.ip))
        return false;
    // "80" is [::]:80 for both families, and collides with 0.0.0.0:80
    bool both = (a->addr.sa.sa_family == AF_INET6 && !a->v6_only) ||
                (b->addr.sa.sa_family == AF_INET6 && !b->v6_only);
    return both && is_any(a) && is_any(b);
}

static void report_same_listen(struct verifier *v, const struct listen *l,
                               const struct listen *first, const struct frontend *owner)
{
    char text[ADDR_TEXT];
    addr_format(&first->addr, text);
    struct finding *x =
        diag_error(v->b->findings, verify_span(v, &l->mark), "config.listen",
                   "frontend '%.*s' listens on %s already", SHOW(owner->name), text);
    FIX(v->b, x, "use another port, or put both into one frontend with routes");
    NOTE(v->b, x, "the first is at %s:%u:%u", first->mark.file, first->mark.line,
         first->mark.column);
}

static void warn_same_listen(struct verifier *v, const struct listen *l, const struct listen *first)
{
    struct finding *x = diag_warning(v->b->findings, verify_span(v, &l->mark),
                                     "lint.duplicate-listen", "this frontend listens here already");
    FIX(v->b, x, "remove it%s",
        first->addr.sa.sa_family == AF_INET6 && !first->v6_only
            ? ": a bare port is all addresses, IPv4 and IPv6"
            : "");
}

// Drops what an earlier entry of the same frontend has; an overlap between frontends is an error.
struct listen_at {
    const struct listen *listen;
    const struct frontend *frontend;
    struct listen_at *next; // of the same port
};

static struct str port_key(struct arena *a, const struct listen *l)
{
    if (l->addr.sa.sa_family == AF_UNIX)
        return str_of(l->addr.un.sun_path);
    return str_of(arena_printf(a, "%u", ip_port(&l->addr.ip)));
}

// True when the listen is to be kept.
static bool check_listen(struct verifier *v, struct map *seen, const struct frontend *f,
                         const struct listen *l)
{
    struct str key = port_key(v->b->arena, l);
    struct listen_at *first = map_get(seen, key), *at = first;
    while (at != NULL && !same_address(at->listen, l))
        at = at->next;
    if (at != NULL && at->frontend == f) {
        warn_same_listen(v, l, at->listen);
        return false;
    }
    if (at != NULL)
        report_same_listen(v, l, at->listen, at->frontend);
    struct listen_at *mine = arena_alloc(v->b->arena, sizeof(*mine));
    *mine = (struct listen_at){l, f, first};
    map_put(seen, key, mine);
    return true;
}

static void verify_listens(struct verifier *v)
{
    struct map seen = {.arena = v->b->arena};
    for (uint32_t i = 0; i < v->config->n_frontends; i++) {
        struct frontend *f = &v->config->frontends[i];
        struct listen *kept = arena_alloc(v->b->arena, (f->n_listens + 1) * sizeof(*kept));
        uint32_t n = 0;
        for (uint32_t k = 0; k < f->n_listens; k++) {
            if (check_listen(v, &seen, f, &f->listens[k]))
                kept[n++] = f->listens[k];
        }
        f->listens = kept;
        f->n_listens = n;
    }
}

static void verify_accept_proxy(struct verifier *v)
{
    for (uint32_t i = 0; i < v->config->n_frontends; i++) {
        const struct frontend *f = &v->config->frontends[i];
        for (uint32_t k = 0; k < f->n_listens && f->n_trusted == 0; k++) {
            const struct listen *l = &f->listens[k];
            if (!l->accept_proxy || l->addr.sa.sa_family == AF_UNIX)
                continue;
            struct finding *x =
                diag_error(v->b->findings, verify_span(v, &l->mark), "config.accept-proxy",
                           "accept-proxy without trusted-proxies refuses every connection");
            FIX(v->b, x, "add trusted-proxies: [ADDRESS] of the balancer in front");
            x->topic = "trusted-proxies";
            break;
        }
    }
}

// ---- the rest ----------------------------------------------------------------------------------

static void verify_limits(struct verifier *v)
{
    for (uint32_t i = 0; i < v->config->n_frontends; i++) {
        const struct frontend *f = &v->config->frontends[i];
        if (f->mode != MODE_HTTP || f->limits.uri_bytes < f->limits.head_bytes)
            continue;
        struct finding *x =
            diag_error(v->b->findings, verify_span(v, &f->mark), "config.limits",
                       "limits of frontend '%.*s': uri is not below head", SHOW(f->name));
        FIX(v->b, x, "the head holds the uri: make head larger or uri smaller");
        x->topic = "limits.head";
    }
}

static void verify_dns(struct verifier *v)
{
    const struct dns *dns = &v->config->dns;
    if (dns->min_ttl_ms <= dns->max_ttl_ms)
        return;
    struct node *own = node_get(v->b->tree, "dns");
    struct entry *min = node_entry(own, STR("min-ttl")), *max = node_entry(own, STR("max-ttl"));
    struct finding *x = diag_error(v->b->findings, (min != NULL ? min : max)->key->at, "config.dns",
                                   "'min-ttl' (%s) is above 'max-ttl' (%s)",
                                   duration_text(v->b->arena, dns->min_ttl_ms),
                                   duration_text(v->b->arena, dns->max_ttl_ms));
    FIX(v->b, x, "make min-ttl smaller or max-ttl larger");
    x->topic = "dns.max-ttl";
}

// ---- the machine ------------------------------------------------------------------------------

static struct node *bound_from(const struct verifier *v, const struct object *o, const char *key)
{
    const struct bound *bound = bind_origin(v->b, o, v->b->root);
    return bound->from[schema_row(o, str_of(key)) - o->rows];
}

static bool is_missing(const struct verifier *v, const struct node *from, enum source_thing thing,
                       struct str name)
{
    const struct config_source *s = v->b->source;
    bool number = name.len > 0 && is_digit(name.p[0]); // of an account: need not have a name
    if (s->exists == NULL || from == NULL || name.len == 0 || number)
        return false;
    return !s->exists(s->ctx, thing, arena_strdup(v->b->arena, name));
}

static void verify_account(struct verifier *v, const char *key, enum source_thing thing,
                           struct str name)
{
    const struct node *from = bound_from(v, &object_root, key);
    if (!is_missing(v, from, thing, name))
        return;
    struct finding *x = diag_warning(v->b->findings, from->at, "lint.account",
                                     "this machine has no %s '%.*s'", key, SHOW(name));
    FIX(v->b, x, "create it before evlb is started as root");
}

static void verify_log_directory(struct verifier *v)
{
    struct str path = v->config->access_log_path, directory = path;
    const struct node *from = bound_from(v, &object_log, "access");
    while (directory.len > 1 && directory.p[directory.len - 1] != '/')
        directory.len--;
    if (!is_missing(v, from, SOURCE_DIRECTORY, directory))
        return;
    struct finding *x = diag_warning(v->b->findings, from->at, "lint.directory",
                                     "this machine has no directory '%.*s'", SHOW(directory));
    FIX(v->b, x, "create it before evlb is started");
}

static void verify_webroots(struct verifier *v)
{
    const struct node *last = NULL; // one that several frontends have from the top level
    for (uint32_t i = 0; i < v->config->n_frontends; i++) {
        const struct frontend *f = &v->config->frontends[i];
        const struct bound *bound = bind_origin(v->b, &object_acme, &v->b->drafts[i].frontend.acme);
        const struct node *from = bound != NULL ? bound->from[0] : NULL;
        if (from == last || !is_missing(v, from, SOURCE_DIRECTORY, f->acme.webroot))
            continue;
        last = from;
        struct finding *x =
            diag_warning(v->b->findings, from->at, "lint.directory",
                         "this machine has no directory '%.*s'", SHOW(f->acme.webroot));
        FIX(v->b, x, "create it; nothing is answered from it until then");
    }
}

static void verify_machine(struct verifier *v)
{
    verify_webroots(v);
    verify_account(v, "user", SOURCE_USER, v->config->user);
    verify_account(v, "group", SOURCE_GROUP, v->config->group);
    verify_log_directory(v);
}

void verify(struct binder *b)
{
    struct verifier v = {b, &b->root->config};
    verify_modes(&v);
    verify_tcp(&v);
    verify_listens(&v);
    verify_accept_proxy(&v);
    verify_routes(&v);
    verify_limits(&v);
    verify_dns(&v);
    verify_backends(&v);
    verify_tls(&v);
    verify_machine(&v);
}
