// SPDX-License-Identifier: MIT
// The last phase of a load: what rows cannot say. Sets the mode of backends from the frontends that
// use them; what concerns one backend alone is in verify_back.c. Works on bound values, some of
// which may be wrong already (then the load fails anyway); so nothing here may rely on more than a
// NULL check.
#include "conf/verify.h"

#include <stdio.h>

#include "conf/units.h"
#include "conf/words.h"

#define SHADOW_ROUTES_MAX 1000u // beyond it routes are not compared with each other (quadratic)

struct span verify_span(const struct verifier *v, const struct conf_mark *m)
{
    const struct conf_file *f = v->files;
    while (f != NULL && f->name != m->file)
        f = f->next;
    if (f == NULL && m->file != NULL) { // "evlb ctl"
        struct conf_file *other = arena_alloc(v->b->arena, sizeof(*other));
        other->name = m->file;
        f = other;
    }
    return (struct span){f, m->line, m->column, m->line, m->end_column};
}

// ---- modes ------------------------------------------------------------------------------------

struct use {
    const struct frontend *frontend; // the first that uses the backend
    struct conf_mark mark;
};

static void report_two_modes(struct verifier *v, const struct frontend *f, const struct route *r,
                             const struct use *first)
{
    struct finding *x =
        diag_error(v->b->findings, verify_span(v, &r->mark), "config.mode",
                   "backend '%.*s' is used in mode %s here and in mode %s by frontend '%.*s'",
                   SHOW(r->backend->name), mode_words[f->mode], mode_words[first->frontend->mode],
                   SHOW(first->frontend->name));
    FIX(v->b, x, "give each mode a backend of its own (the other use is at %s:%u)",
        first->mark.file, first->mark.line);
}

static void report_own_mode(struct verifier *v, const struct frontend *f, const struct route *r)
{
    struct finding *x =
        diag_error(v->b->findings, verify_span(v, &r->mark), "config.mode",
                   "frontend '%.*s' is in mode %s, its backend '%.*s' in mode %s", SHOW(f->name),
                   mode_words[f->mode], SHOW(r->backend->name), mode_words[r->backend->mode]);
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
    if (says_mode(v, r->backend)) {
        if (r->backend->mode != f->mode)
            report_own_mode(v, f, r);
    } else if (u->frontend != NULL && u->frontend->mode != f->mode) {
        report_two_modes(v, f, r, u);
    } else {
        r->backend->mode = f->mode;
    }
    if (u->frontend == NULL)
        *u = (struct use){f, r->mark};
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

static void verify_listen_tls(struct verifier *v, const struct listen *l)
{
    if (l->tls.n_certs == 0 || !l->accept_proxy)
        return;
    struct finding *x =
        diag_error(v->b->findings, verify_span(v, &l->mark), "config.planned",
                   "'accept-proxy' together with 'tls' is planned but not in this version yet");
    FIX(v->b, x, "remove one of the two for now");
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
            verify_listen_tls(v, &f->listens[k]);
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

// ---- routes -----------------------------------------------------------------------------------

static bool host_covers(const struct host_pattern *a, const struct host_pattern *b)
{
    if (a->wildcard)
        return b->name.len > a->name.len || (b->wildcard && b->name.len == a->name.len)
                   ? str_ends(b->name, a->name)
                   : false;
    return !b->wildcard && str_eq(a->name, b->name);
}

static bool path_covers(struct str a, struct str b)
{
    if (!str_starts(b, a))
        return false;
    return a.len == b.len || a.p[a.len - 1] == '/' || b.p[a.len] == '/';
}

static bool hosts_cover(const struct route *a, const struct route *b)
{
    if (a->n_hosts == 0)
        return true;
    for (uint32_t i = 0; i < b->n_hosts; i++) {
        uint32_t k = 0;
        while (k < a->n_hosts && !host_covers(&a->hosts[k], &b->hosts[i]))
            k++;
        if (k == a->n_hosts)
            return false;
    }
    return b->n_hosts > 0;
}

static bool paths_cover(const struct route *a, const struct route *b)
{
    if (a->n_paths == 0)
        return true;
    for (uint32_t i = 0; i < b->n_paths; i++) {
        uint32_t k = 0;
        while (k < a->n_paths && !path_covers(a->paths[k], b->paths[i]))
            k++;
        if (k == a->n_paths)
            return false;
    }
    return b->n_paths > 0;
}

// How requests come to a frontend: what a trusted proxy says of its client counts.
static bool may_come_secure(const struct frontend *f)
{
    bool any = f->n_trusted > 0;
    for (uint32_t i = 0; i < f->n_listens; i++)
        any = any || f->listens[i].tls.n_certs > 0;
    return any;
}

static bool may_come_plain(const struct frontend *f)
{
    bool any = f->n_trusted > 0;
    for (uint32_t i = 0; i < f->n_listens; i++)
        any = any || f->listens[i].tls.n_certs == 0;
    return any;
}

static bool takes_everything(const struct frontend *f, const struct route *r)
{
    return r->n_hosts == 0 && r->n_paths == 0 && !(route_is_to_https(r) && may_come_secure(f));
}

// Whether `a` takes all that `b` would.
static bool route_covers(const struct frontend *f, const struct route *a, const struct route *b)
{
    if (route_is_to_https(a) && !route_is_to_https(b) && may_come_secure(f))
        return false;
    return hosts_cover(a, b) && paths_cover(a, b);
}

static void verify_https_redirects(struct verifier *v, const struct frontend *f)
{
    const struct route *r = NULL;
    bool others = false, plain = may_come_plain(f);
    for (uint32_t i = 0; i < f->n_routes; i++) {
        if (route_is_to_https(&f->routes[i]))
            r = &f->routes[i];
        else
            others = true;
    }
    if (r == NULL || f->n_listens == 0 || (plain && (others || !may_come_secure(f))))
        return;
    const char *what = plain ? "what comes over TLS leads nowhere: it is answered with 404"
                             : "this redirect is never taken: everything comes over TLS here";
    struct finding *x =
        diag_warning(v->b->findings, verify_span(v, &r->mark), "lint.redirect", "%s", what);
    if (plain || !others)
        FIX(v->b, x, "add backend: NAME%s", plain ? "" : ", and remove it");
    else
        FIX(v->b, x, "add the address that it is for: listen: [80, ...]");
}

#define PRELOAD_S 31536000u // what the lists of browsers ask for, as they stand

static void verify_hsts(struct verifier *v, const struct frontend *f)
{
    const struct hsts *h = &f->hsts;
    const struct entry *e = node_entry(v->b->frontends[f->index], STR("hsts"));
    struct finding *x = NULL;
    if (e == NULL || h->value.len == 0)
        return;
    if (!may_come_secure(f)) {
        x = diag_warning(v->b->findings, e->key->at, "lint.hsts",
                         "hsts is never sent: nothing comes over TLS here");
        FIX(v->b, x, "add tls to the frontend or to one of its addresses");
    } else if (h->preload && (!h->subdomains || h->max_age_s < PRELOAD_S)) {
        x = diag_warning(v->b->findings, e->key->at, "lint.hsts",
                         "preload lists ask for subdomains and a year or more");
        FIX(v->b, x, "write {max-age: 1y, subdomains: true, preload: true}, or no preload");
    }
}

static void warn_unreachable(struct verifier *v, const struct route *r, const struct route *by)
{
    bool all = by->n_hosts == 0 && by->n_paths == 0;
    struct finding *x = diag_warning(v->b->findings, verify_span(v, &r->mark), "lint.unreachable",
                                     "this route is never reached: the one in line %u %s",
                                     by->mark.line, all ? "takes everything" : "takes all of it");
    FIX(v->b, x,
        route_is_to_https(by) ? "write {redirect: https} as a route behind it"
                              : "move it up, or remove it");
}

// How many conditions a comparison would go through: it is quadratic.
static bool is_comparable(const struct frontend *f)
{
    uint64_t conditions = f->n_routes;
    for (uint32_t i = 0; i < f->n_routes; i++)
        conditions += f->routes[i].n_hosts + f->routes[i].n_paths;
    return conditions <= SHADOW_ROUTES_MAX;
}

static void verify_routes(struct verifier *v)
{
    if (v->b->findings->errors > 0)
        return; // a condition that is wrong would look like one that takes everything
    for (uint32_t i = 0; i < v->config->n_frontends; i++) {
        const struct frontend *f = &v->config->frontends[i];
        bool all = is_comparable(f);
        verify_https_redirects(v, f);
        verify_hsts(v, f);
        const struct route *last_of_all = NULL;
        for (uint32_t k = 0; k < f->n_routes; k++) {
            const struct route *r = &f->routes[k], *by = last_of_all;
            for (uint32_t j = 0; all && by == NULL && j < k; j++) {
                if (route_covers(f, &f->routes[j], r))
                    by = &f->routes[j];
            }
            if (by != NULL)
                warn_unreachable(v, r, by);
            else if (takes_everything(f, r))
                last_of_all = r;
        }
    }
}

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

static void verify_machine(struct verifier *v)
{
    verify_account(v, "user", SOURCE_USER, v->config->user);
    verify_account(v, "group", SOURCE_GROUP, v->config->group);
    verify_log_directory(v);
}

void verify(struct binder *b, const struct conf_file *files)
{
    struct verifier v = {b, files, &b->root->config};
    verify_modes(&v);
    verify_tcp(&v);
    verify_listens(&v);
    verify_accept_proxy(&v);
    verify_routes(&v);
    verify_limits(&v);
    verify_dns(&v);
    verify_backends(&v);
    verify_machine(&v);
}
