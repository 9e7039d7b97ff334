// SPDX-License-Identifier: MIT
// Routes: conditions (host, path, alpn) and one action (backend, redirect, deny). Called for each
// frontend. References to backends are resolved here, because the backends are bound before.
//
// Invariants: hosts are lower case without port or trailing dot; paths are in the normal form that
// requests are matched in (one that is not would never match, so it is refused).
#include "conf/bind_route.h"

#include <stdio.h>

#include "conf/address.h"

#define ALPN_NAME_MAX 255u

// ---- hosts ------------------------------------------------------------------------------------

static void report_host(struct binder *b, const struct row *row, struct node *n)
{
    struct str s = n->value, rest = s, host = str_cut(&rest, ':');
    struct finding *x = bind_bad(b, row, n, "config.host", "'%.*s' is not a host name", SHOW(s));
    if (str_eq(s, STR("*")))
        FIX(b, x, "leave '%s' away: a route without it takes every %s", row->key,
            strcmp(row->key, "sni") == 0 ? "name" : "host");
    else if (memmem(s.p, s.len, "://", 3) != NULL)
        FIX(b, x, "write the name alone: shop.example.com");
    else if (rest.p != NULL && address_is_host_name(host))
        FIX(b, x, "write it without port: %.*s", SHOW(host));
    else if (str_find(s, '*') < s.len)
        FIX(b, x, "a '*' stands in front alone: \"*.example.com\"");
    else
        FIX(b, x, "use letters, digits, '-' and '.' (names in other scripts as xn--...)");
}

static bool is_ip_host(struct str s)
{
    struct addr a;
    if (s.len > 2 && s.p[0] == '[' && s.p[s.len - 1] == ']')
        return addr_parse_ip((struct str){s.p + 1, s.len - 2}, 0, &a);
    return str_find(s, ':') == s.len && addr_parse_ip(s, 0, &a);
}

static bool read_host(struct binder *b, const struct row *row, struct node *n,
                      struct host_pattern *out)
{
    struct str s;
    if (!bind_text(b, row, n, &s))
        return false;
    out->wildcard = str_starts(s, STR("*."));
    struct str name = out->wildcard ? (struct str){s.p + 2, s.len - 2} : s;
    if (!address_is_host_name(name) && (out->wildcard || !is_ip_host(name))) {
        report_host(b, row, n);
        return false;
    }
    if (str_ends(name, STR(".")))
        name.len--;
    char *lower = arena_printf(b->arena, "%s%.*s", out->wildcard ? "." : "", STR_FMT(name));
    for (char *p = lower; *p != '\0'; p++)
        *p = ascii_lower(*p);
    out->name = str_of(lower);
    return true;
}

void bind_hosts(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct node **items;
    uint32_t count = bind_items(&n, &items), kept = 0;
    struct host_pattern *hosts = arena_alloc(b->arena, count * sizeof(*hosts));
    for (uint32_t i = 0; i < count; i++)
        kept += read_host(b, row, items[i], &hosts[kept]);
    *SLOT_OF(const struct host_pattern *, row, target) = hosts;
    *COUNT_OF(row, target) = kept;
}

// ---- paths ------------------------------------------------------------------------------------

static int hex_value(char c)
{
    return is_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_unreserved(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c > 0 && strchr("-._~", c) != NULL);
}

// "%C3" in upper case, and not of a character that needs no escape.
static bool is_normal_escape(struct str s, size_t i)
{
    int high = i + 2 < s.len ? hex_value(s.p[i + 1]) : -1,
        low = i + 2 < s.len ? hex_value(s.p[i + 2]) : -1;
    return high >= 0 && low >= 0 && !is_unreserved(high * 16 + low);
}

// What is wrong with a path, or NULL.
static const char *path_fault(struct str s)
{
    if (s.len == 0 || s.p[0] != '/')
        return "begin it with '/'";
    if (s.p[s.len - 1] == '*')
        return "leave the '*' away: a path stands for all below it";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '?' || c == '#')
            return "write the path alone, without query";
        if (c <= ' ' || c >= 0x7F)
            return "write other characters as %XX";
        if (c == ';' || str_starts((struct str){s.p + i, s.len - i}, STR("%3B")))
            return "end it before the ';': requests are matched without parameters";
        if (str_starts((struct str){s.p + i, s.len - i}, STR("%2F")))
            return "write '/': requests are matched with %2F as '/'";
        if (c == '%' && !is_normal_escape(s, i))
            return "write %XX in upper case, and letters and digits plainly";
        if (c == '/' && i + 1 < s.len && s.p[i + 1] == '/')
            return "write one '/': requests are matched with '//' folded";
    }
    return NULL;
}

static bool has_dot_segment(struct str s)
{
    for (struct str rest = s; rest.p != NULL;) {
        struct str segment = str_cut(&rest, '/');
        if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
            return true;
    }
    return false;
}

static bool read_path(struct binder *b, const struct row *row, struct node *n, struct str *out)
{
    struct str s;
    if (!bind_text(b, row, n, &s))
        return false;
    const char *fault = path_fault(s);
    if (fault == NULL && has_dot_segment(s))
        fault = "write it without '.' and '..': requests are matched with these resolved";
    if (fault == NULL) {
        *out = s;
        return true;
    }
    struct finding *x =
        bind_bad(b, row, n, "config.path", "'%.*s' would never match a path", SHOW(s));
    FIX(b, x, "%s", fault);
    return false;
}

void bind_paths(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct node **items;
    uint32_t count = bind_items(&n, &items), kept = 0;
    struct str *paths = arena_alloc(b->arena, count * sizeof(*paths));
    for (uint32_t i = 0; i < count; i++)
        kept += read_path(b, row, items[i], &paths[kept]);
    *SLOT_OF(const struct str *, row, target) = paths;
    *COUNT_OF(row, target) = kept;
}

// ---- protocols --------------------------------------------------------------------------------

void bind_alpn(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct node **items;
    uint32_t count = bind_items(&n, &items), kept = 0;
    struct str *names = arena_alloc(b->arena, count * sizeof(*names));
    for (uint32_t i = 0; i < count; i++) {
        struct str s;
        if (!bind_text(b, row, items[i], &s))
            continue;
        if (s.len > 0 && s.len <= ALPN_NAME_MAX) {
            names[kept++] = s;
            continue;
        }
        struct finding *x = bind_bad(b, row, items[i], "config.value",
                                     "the name of a protocol has 1 to %u bytes", ALPN_NAME_MAX);
        FIX(b, x, "write h2 or http/1.1");
    }
    *SLOT_OF(const struct str *, row, target) = names;
    *COUNT_OF(row, target) = kept;
}

// ---- actions ----------------------------------------------------------------------------------

// "https:8443"
static bool is_https_port(struct str s)
{
    uint64_t port;
    struct str text = {s.p + 6, s.len - MIN_OF(s.len, 6u)};
    return redirect_is_to_https(s) && text.len > 0 && str_to_u64(text, &port) && port > 0 &&
           port <= UINT16_MAX && text.p[0] != '0';
}

void bind_redirect(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s;
    if (!bind_text(b, row, n, &s))
        return;
    bool known = str_eq(s, STR("https")) || is_https_port(s) || (s.len > 0 && s.p[0] == '/') ||
                 (str_starts(s, STR("http://")) && s.len > 7) ||
                 (str_starts(s, STR("https://")) && s.len > 8);
    for (size_t i = 0; i < s.len; i++)
        known = known && (unsigned char)s.p[i] > ' ' && (unsigned char)s.p[i] < 0x7F;
    if (known) {
        *SLOT_OF(struct str, row, target) = s;
        return;
    }
    struct finding *x =
        bind_bad(b, row, n, "config.redirect", "cannot redirect to '%.*s'", SHOW(s));
    if (s.len > 0 && address_is_host_name(s) && str_find(s, '.') < s.len)
        FIX(b, x, "did you mean https://%.*s/?", SHOW(s));
    else if (redirect_is_to_https(s))
        FIX(b, x, "write https:8443, with a port from 1 to 65535");
    else
        FIX(b, x, "write https, a URL (https://www.example.com/) or a path that begins with '/'");
}

void bind_backend_name(struct binder *b, const struct row *row, struct node *n, void *target)
{
    bind_plain_text(b, row, n, target);
}

static void report_no_backend(struct binder *b, const struct row *row, struct node *n,
                              struct str frontend)
{
    struct config *c = &b->root->config;
    struct suggestion s = suggest_begin(n->value);
    struct finding *x = bind_bad(b, row, n, "config.ref",
                                 "frontend '%.*s' points to backend '%.*s', which does not exist",
                                 SHOW(frontend), SHOW(n->value));
    for (uint32_t i = 0; i < c->n_backends; i++)
        suggest_offer(&s, c->backends[i].name);
    x->topic = "backends";
    const struct backend *near = s.best.p != NULL ? map_get(&c->backend_by_name, s.best) : NULL;
    if (str_starts(n->value, STR("x-")))
        FIX(b, x, "rename it: what begins with 'x-' is ignored");
    else if (near != NULL)
        FIX(b, x, "did you mean '%.*s'? (defined at %s:%u:%u)", STR_FMT(s.best), near->mark.file,
            near->mark.line, near->mark.column);
    else
        FIX(b, x, "add it below 'backends': %.*s: [10.0.0.1:8080]", SHOW(n->value));
}

static struct backend *resolve(struct binder *b, const struct row *row, struct node *n,
                               struct str frontend)
{
    struct backend *backend = map_get(&b->root->config.backend_by_name, n->value);
    b->unresolved = b->unresolved || backend == NULL;
    if (backend == NULL && !b->incomplete && !n->poisoned)
        report_no_backend(b, row, n, frontend);
    return backend;
}

static bool is_redirect_status(uint32_t s)
{
    return s == 301 || s == 302 || s == 303 || s == 307 || s == 308;
}

static void finish_redirect(struct binder *b, struct route_draft *d, struct node *own)
{
    struct node *status = node_get(own, "status");
    uint64_t value;
    d->route.action = ROUTE_REDIRECT;
    if (status == NULL && redirect_is_to_https(d->route.redirect) &&
        str_to_u64(STR(REDIRECT_HTTPS_STATUS), &value))
        d->route.status = (uint16_t)value;
    if (status == NULL || status->poisoned || is_redirect_status(d->route.status))
        return;
    struct finding *x =
        bind_bad(b, schema_row(&object_route, STR("status")), status, "config.status",
                 "%u is not the status of a redirect", d->route.status);
    FIX(b, x, "one of 301, 302, 303, 307, 308");
}

struct action {
    const char *key;
    struct node *node;
};

static uint32_t find_actions(struct node *own, struct action out[3])
{
    static const char *const keys[] = {"backend", "redirect", "deny"};
    uint32_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct node *node = node_get(own, keys[i]);
        if (node != NULL)
            out[n++] = (struct action){keys[i], node};
    }
    return n;
}

static bool has_poisoned_key(const struct node *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        if (map->entries[i].key->poisoned)
            return true;
    }
    return false;
}

// Exactly one action, or a finding.
static bool pick_action(struct binder *b, struct node *own, struct action *out)
{
    struct action found[3];
    uint32_t n = find_actions(own, found);
    if (n == 0 && has_poisoned_key(own))
        return false;
    if (n == 0) {
        struct finding *x = bind_bad(b, NULL, own, "config.route", "this route does nothing");
        FIX(b, x, "add one of backend: NAME, redirect: URL, deny: 403");
        x->topic = object_route.path;
        return false;
    }
    if (n > 1) {
        struct finding *x =
            bind_bad(b, NULL, found[1].node, "config.route", "a route has one action: '%s' or '%s'",
                     found[0].key, found[1].key);
        FIX(b, x, "remove one of the two");
        x->topic = object_route.path;
        return false;
    }
    *out = found[0];
    return true;
}

static void finish_route(struct binder *b, struct route_draft *d, struct node *own,
                         struct str frontend)
{
    struct action action;
    if (!pick_action(b, own, &action) || action.node->poisoned)
        return;
    d->route.mark = node_mark(action.node);
    const struct row *row = schema_row(&object_route, str_of(action.key));
    if (action.key[0] == 'b') {
        d->route.action = ROUTE_BACKEND;
        d->route.backend = resolve(b, row, action.node, frontend);
    } else if (action.key[0] == 'r') {
        finish_redirect(b, d, own);
    } else {
        d->route.action = ROUTE_DENY;
    }
    struct node *status = node_get(own, "status");
    if (action.key[0] != 'r' && status != NULL) {
        struct finding *x = bind_bad(b, schema_row(&object_route, STR("status")), status,
                                     "config.route", "'status' belongs to a redirect");
        FIX(b, x, action.key[0] == 'd' ? "write deny: STATUS" : "remove it");
    }
    if (d->route.action != ROUTE_REDIRECT)
        d->route.status = d->route.action == ROUTE_DENY ? d->deny : 0;
}

static void bind_route(struct binder *b, struct node *own, struct str frontend, struct route *out)
{
    struct route_draft *d = arena_alloc(b->arena, sizeof(*d));
    struct chain c = {.own = own, .at = own->at};
    d->route.mark = node_mark(own);
    if (own->kind != NODE_MAP) {
        struct finding *x =
            bind_bad(b, schema_row(&object_frontend, STR("routes")), own, "config.type",
                     "a route must be a map, not %s", node_kind_name(own));
        FIX(b, x, "write {path: /api/, backend: NAME}");
        return;
    }
    bind_object(b, &object_route, &c, d);
    finish_route(b, d, own, frontend);
    *out = d->route;
}

// The keys of the frontend itself that say where everything goes; one of them at most.
static struct node *find_shortcut(struct binder *b, const struct frontend_draft *f,
                                  struct node *own)
{
    bool https = redirect_is_to_https(f->shortcut.route.redirect);
    const struct action all[] = {
        {"backend", node_get(own, "backend")},
        {"redirect", https ? NULL : node_get(own, "redirect")},
        {"servers", own == b->tree ? node_get(b->tree, "servers") : NULL},
    };
    const struct action *first = NULL;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i].node == NULL)
            continue;
        if (first != NULL) {
            b->unresolved = true;
            struct finding *x = bind_bad(b, NULL, first->node, "config.route", "'%s' beside '%s'",
                                         first->key, all[i].key);
            FIX(b, x, "remove one of the two");
            break;
        }
        first = &all[i];
    }
    return first != NULL ? first->node : NULL;
}

static void bind_redirect_shortcut(const struct frontend_draft *f, struct node *n,
                                   struct route *out)
{
    struct str to = f->shortcut.route.redirect;
    const struct row *row = schema_row(&object_route, STR("status"));
    uint64_t status = 0;
    *out = (struct route){.action = ROUTE_REDIRECT, .redirect = to, .mark = node_mark(n)};
    lb_assert(str_to_u64(str_of(route_is_to_https(out) ? REDIRECT_HTTPS_STATUS : row->fallback),
                         &status));
    out->status = (uint16_t)status;
}

// `redirect: https` of the frontend stands before all routes: else one of them would serve in plain
// text what is meant to go over TLS.
static bool bind_https_shortcut(const struct frontend_draft *f, struct node *own, struct route *out)
{
    if (!redirect_is_to_https(f->shortcut.route.redirect))
        return false;
    bind_redirect_shortcut(f, node_get(own, "redirect"), out);
    return true;
}

// `backend` or `redirect` of the frontend itself, or the servers of the short form: behind all
// routes.
static bool bind_shortcut(struct binder *b, struct frontend_draft *f, struct node *own,
                          struct route *out)
{
    struct node *n = find_shortcut(b, f, own);
    if (n == NULL)
        return false;
    *out = (struct route){.action = ROUTE_BACKEND, .mark = node_mark(n)};
    if (n == node_get(own, "redirect"))
        bind_redirect_shortcut(f, n, out);
    else if (n != node_get(own, "backend"))
        out->backend = map_get(&b->root->config.backend_by_name, STR("default"));
    else if (!n->poisoned)
        out->backend =
            resolve(b, schema_row(&object_frontend, STR("backend")), n, f->frontend.name);
    return true;
}

void bind_routes(struct binder *b, struct frontend_draft *f, struct node *own, struct span at)
{
    struct node *list = node_get(own, "routes"), **items = NULL;
    bool usable = list != NULL && !list->poisoned;
    uint32_t count = usable ? bind_items(&list, &items) : 0;
    uint32_t n = 0;
    struct route *routes = arena_alloc(b->arena, (count + 2) * sizeof(*routes));
    n += bind_https_shortcut(f, own, &routes[n]);
    for (uint32_t i = 0; i < count; i++)
        bind_route(b, items[i], f->frontend.name, &routes[n++]);
    n += bind_shortcut(b, f, own, &routes[n]);
    f->frontend.routes = routes;
    f->frontend.n_routes = n;
    if (n > 0 || list != NULL || has_poisoned_key(own))
        return;
    struct finding *x = diag_error(b->findings, at, "config.missing",
                                   "frontend '%.*s' leads nowhere", SHOW(f->frontend.name));
    FIX(b, x, "add backend: NAME, routes: [...] or redirect: https");
    x->topic = object_frontend.path;
}
