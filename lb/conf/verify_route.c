// SPDX-License-Identifier: MIT
// Routes of a frontend beside each other: keys that its mode or its TLS give no meaning to, and
// routes that are never reached. Called by verify.c.
//
// Invariant: what core/route.c would never choose is found here by the same rules; where comparing
// would cost too much, or a value is wrong already, nothing is said.
#include "conf/verify.h"

#define SHADOW_ROUTES_MAX 1000u // beyond it routes are not compared with each other (quadratic)

static bool listens_with(const struct frontend *f, bool tls)
{
    for (uint32_t i = 0; i < f->n_listens; i++)
        if ((f->listens[i].tls.mark.line > 0) == tls) // its certificates may be bad
            return true;
    return false;
}

// ---- keys -------------------------------------------------------------------------------------

static struct finding *bad_key(struct verifier *v, struct node *own, const char *key,
                               const char *why)
{
    struct entry *e = node_entry(own, str_of(key));
    if (e == NULL || e->key->poisoned || e->value->poisoned)
        return NULL;
    e->key->poisoned = true;
    return diag_error(v->b->findings, e->key->at, "config.route", "%s", why);
}

// Keys of a route that look at a request or answer one.
static void refuse_request_keys(struct verifier *v, struct node *own, const char *why,
                                const char *fix)
{
    for (size_t i = 0; i < object_route.n_rows; i++) {
        const struct row *row = &object_route.rows[i];
        if ((row->flags & ROW_HTTP) == 0)
            continue;
        struct finding *x =
            bad_key(v, own, row->key, arena_printf(v->b->arena, "'%s' %s", row->key, why));
        if (x != NULL)
            FIX(v->b, x, "%s", fix);
    }
}

// Keys of a route that look at TLS that has ended here.
static void refuse_tls_keys(struct verifier *v, struct node *own, const char *why)
{
    static const char *const keys[] = {"sni",         "client-cert", "client-subject",
                                       "tls-version", "tls-cipher",  "tls-resumed"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct finding *x =
            bad_key(v, own, keys[i],
                    arena_printf(v->b->arena, "'%s' needs TLS that ends here, %s", keys[i], why));
        if (x != NULL)
            FIX(v->b, x, "look at host (SNI) and alpn, or let TLS end here: tls: {certs: ...}");
    }
}

static void verify_passthrough(struct verifier *v, const struct frontend *f, struct node *own)
{
    static const char needs[] = "needs a request, but this route passes TLS through unread";
    struct finding *x;
    refuse_request_keys(v, own, needs, "route by host (SNI) or alpn, or remove tls: passthrough");
    refuse_tls_keys(v, own, "but this route passes it through");
    x = bad_key(v, own, "deny", "'deny' beside tls: passthrough");
    if (x != NULL)
        FIX(v->b, x, "remove one of the two");
    if (f->mode == MODE_TCP || f->n_listens == 0 || listens_with(f, true))
        return;
    x = bad_key(
        v, own, "tls",
        arena_printf(v->b->arena, "frontend '%.*s' has no TLS to pass through", SHOW(f->name)));
    if (x != NULL)
        FIX(v->b, x, "add tls: {certs: ...} to the frontend, or write mode: tcp");
}

static void verify_terminate(struct verifier *v, const struct frontend *f, struct node *own)
{
    struct finding *x = NULL;
    if (f->mode == MODE_TCP)
        refuse_request_keys(v, own, "needs mode http",
                            "in mode tcp a route looks at host (SNI) and alpn");
    if (f->mode == MODE_TCP && f->n_listens > 0 && !listens_with(f, true))
        refuse_tls_keys(v, own, "which it does not on this frontend");
    if (f->n_listens > 0 && !listens_with(f, true))
        x = bad_key(v, own, "tls",
                    arena_printf(v->b->arena, "frontend '%.*s' has no certificate to end TLS with",
                                 SHOW(f->name)));
    if (x != NULL)
        FIX(v->b, x, "add tls: {certs: ...} to the frontend, or remove it");
}

void verify_route_keys(struct verifier *v, const struct frontend *f)
{
    struct node *list = node_get(v->b->frontends[f->index], "routes"), **items;
    if (list == NULL || list->poisoned)
        return;
    uint32_t n = bind_items(&list, &items);
    for (uint32_t i = 0; i < n; i++) {
        const struct node *tls = node_get(items[i], "tls");
        if (items[i]->kind != NODE_MAP)
            continue;
        if (tls != NULL && str_eq(tls->value, STR("passthrough")))
            verify_passthrough(v, f, items[i]);
        else
            verify_terminate(v, f, items[i]);
    }
}

// ---- what is never reached --------------------------------------------------------------------

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

static bool alpns_cover(const struct route *a, const struct route *b)
{
    if (a->n_alpns == 0)
        return true;
    for (uint32_t i = 0; i < b->n_alpns; i++) {
        uint32_t k = 0;
        while (k < a->n_alpns && !str_eq(a->alpns[k], b->alpns[i]))
            k++;
        if (k == a->n_alpns)
            return false;
    }
    return b->n_alpns > 0;
}

// How requests come to a frontend: what a trusted proxy says of its client counts.
static bool may_come_secure(const struct frontend *f)
{
    return f->n_trusted > 0 || listens_with(f, true);
}

static bool may_come_plain(const struct frontend *f)
{
    return f->n_trusted > 0 || listens_with(f, false);
}

// Requests that came in plain text are left for others.
static bool takes_only_tls(const struct frontend *f, const struct route *r)
{
    return r->tls == ROUTE_PASSTHROUGH && f->mode == MODE_HTTP && listens_with(f, false);
}

static bool has_no_condition(const struct route *r)
{
    return r->n_hosts + r->n_paths + r->n_alpns == 0 && !route_looks_at_tls(r);
}

// Conservative: patterns are compared as they stand.
static bool tls_covers(const struct tls_conditions *a, const struct tls_conditions *b)
{
    return a->n_snis == 0 && (a->subject.len == 0 || str_eq(a->subject, b->subject)) &&
           (a->cipher.len == 0 || str_eq(a->cipher, b->cipher)) &&
           (a->cert == ROUTE_CERT_ANY || a->cert == b->cert) &&
           (a->version == ROUTE_TLS_ANY || a->version == b->version) &&
           (a->resumed == ROUTE_RESUMED_ANY || a->resumed == b->resumed);
}

static bool takes_everything(const struct frontend *f, const struct route *r)
{
    return has_no_condition(r) && !takes_only_tls(f, r) &&
           !(route_is_to_https(r) && may_come_secure(f));
}

// Whether `a` takes all that `b` would.
static bool route_covers(const struct frontend *f, const struct route *a, const struct route *b)
{
    if (route_is_to_https(a) && !route_is_to_https(b) && may_come_secure(f))
        return false;
    if (takes_only_tls(f, a) && b->tls == ROUTE_TERMINATE)
        return false;
    return hosts_cover(a, b) && paths_cover(a, b) && alpns_cover(a, b) &&
           tls_covers(&a->over, &b->over);
}

// Whether `a`, wherever it stands, passes through all connections on which requests for `b` could
// come: what looks at requests cannot be asked before TLS is ended.
static bool passes_before(const struct frontend *f, const struct route *a, const struct route *b)
{
    return a->tls == ROUTE_PASSTHROUGH && b->tls == ROUTE_TERMINATE && b->n_paths > 0 &&
           route_covers(f, a, b);
}

// Where clients may speak TLS, 443 before others; 0: nowhere. In mode tcp TLS may be passed on.
static uint16_t tls_port(const struct frontend *f)
{
    uint16_t found = 0;
    for (uint32_t i = 0; i < f->n_listens; i++) {
        const struct listen *l = &f->listens[i];
        uint16_t port = l->addr.sa.sa_family == AF_UNIX ? 0 : ip_port(&l->addr.ip);
        bool tls = l->tls.mark.line > 0;
        if (port == 443 ? tls || f->mode == MODE_TCP : tls && found == 0)
            found = port;
    }
    return found;
}

// Somebody in between may pass 443 on to another port; then the file says so.
static void verify_https_port(struct verifier *v, const struct frontend *f, const struct route *r)
{
    uint16_t port = tls_port(f);
    for (uint32_t i = 0; i < v->config->n_frontends; i++) {
        uint16_t other = tls_port(&v->config->frontends[i]);
        if (other == 443 || port == 0)
            port = other;
    }
    if (port == 0 || port == 443 || f->n_trusted > 0 || !str_eq(r->redirect, STR("https")))
        return;
    struct finding *x =
        diag_warning(v->b->findings, verify_span(v, &r->mark), "lint.redirect",
                     "clients are sent to port 443, where no address of this file has TLS");
    FIX(v->b, x, "write redirect: https:%u; https:443 when others pass 443 on", port);
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
    if (r != NULL && plain)
        verify_https_port(v, f, r);
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
    bool all = has_no_condition(by), secure = route_is_to_https(by) && !route_is_to_https(r);
    struct finding *x = diag_warning(v->b->findings, verify_span(v, &r->mark), "lint.unreachable",
                                     "this route is never reached: the one in line %u %s%s",
                                     by->mark.line, all ? "takes everything" : "takes all of it",
                                     secure ? ", as nothing comes over TLS here" : "");
    FIX(v->b, x,
        secure ? "add tls to an address, or write {redirect: https} as a route behind it"
               : "move it up, or remove it");
}

static bool asks_clients(const struct frontend *f)
{
    for (uint32_t i = 0; i < f->n_listens; i++)
        if (f->listens[i].tls.client_ca.file != NULL)
            return true;
    return false;
}

// True when the route can never match for what it wants of TLS.
static bool warn_no_tls(struct verifier *v, const struct frontend *f, const struct route *r)
{
    const struct tls_conditions *c = &r->over;
    bool wants_cert = c->cert == ROUTE_CERT_VERIFIED || c->subject.len > 0;
    bool wants_tls = route_looks_at_tls(r) && c->cert != ROUTE_CERT_NONE;
    const char *what = NULL, *fix = NULL;
    if (wants_tls && f->n_listens > 0 && !listens_with(f, true)) {
        what = "no TLS ends on this frontend";
        fix = "add tls: {certs: ...} to the frontend, or remove the condition";
    } else if (wants_cert && f->n_listens > 0 && !asks_clients(f)) {
        what = "clients are not asked for certificates here";
        fix = "add client-ca: FILE to the frontend's tls, or remove the condition";
    }
    if (what == NULL)
        return false;
    struct finding *x = diag_warning(v->b->findings, verify_span(v, &r->mark), "lint.unreachable",
                                     "this route is never reached: %s", what);
    FIX(v->b, x, "%s", fix);
    return true;
}

// How many conditions a comparison would go through: it is quadratic.
static bool is_comparable(const struct frontend *f)
{
    uint64_t conditions = f->n_routes;
    for (uint32_t i = 0; i < f->n_routes; i++)
        conditions += f->routes[i].n_hosts + f->routes[i].n_paths + f->routes[i].n_alpns;
    return conditions <= SHADOW_ROUTES_MAX;
}

// The route that leaves nothing for the k-th, or NULL.
static const struct route *shadow_of(const struct frontend *f, uint32_t k)
{
    const struct route *r = &f->routes[k];
    for (uint32_t j = 0; j < f->n_routes; j++) {
        const struct route *other = &f->routes[j];
        if (j < k ? route_covers(f, other, r) : j > k && passes_before(f, other, r))
            return other;
    }
    return NULL;
}

static void verify_reach(struct verifier *v, const struct frontend *f)
{
    bool all = is_comparable(f);
    const struct route *last_of_all = NULL;
    for (uint32_t k = 0; k < f->n_routes; k++) {
        const struct route *r = &f->routes[k], *by = last_of_all;
        if (by == NULL && all)
            by = shadow_of(f, k);
        if (warn_no_tls(v, f, r))
            continue;
        if (by != NULL)
            warn_unreachable(v, r, by);
        else if (takes_everything(f, r))
            last_of_all = r;
    }
}

void verify_routes(struct verifier *v)
{
    if (v->b->findings->errors > 0)
        return; // a condition that is wrong would look like one that takes everything
    for (uint32_t i = 0; i < v->config->n_frontends; i++) {
        verify_https_redirects(v, &v->config->frontends[i]);
        verify_hsts(v, &v->config->frontends[i]);
        verify_reach(v, &v->config->frontends[i]);
    }
}
