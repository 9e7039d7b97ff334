// SPDX-License-Identifier: MIT
// Two configurations side by side, by the rows of the schema: a new key is part of the plan by
// itself. Run by the supervisor at a reload and by control for `evlb diff`.
// Invariants: pure; a value that the reader may not see (a secret) is only said to have changed;
// rows that are bound to be checked and not kept (`defaults`, ROW_SCRATCH) are no changes: what
// they mean for an object shows at the object.
#include "conf/plan.h"

#include "conf/emit.h"
#include "conf/schema.h"
#include "conf/words.h"

struct planner {
    struct arena *arena;
    struct plan_item *items;
    size_t n, cap;
    const char *what; // of the object being compared: "weight 1 -> 5, ..."
    bool restart;     // one of its changes needs a restart
};

static void add_item(struct planner *p, enum plan_sign sign, const char *object, const char *what)
{
    p->items = arena_grow(p->arena, p->items, p->n, &p->cap, sizeof(*p->items));
    p->items[p->n++] = (struct plan_item){sign, object, what};
}

// One more thing that has changed about the object.
static void say(struct planner *p, const char *what)
{
    p->what = p->what[0] == '\0' ? what : arena_printf(p->arena, "%s, %s", p->what, what);
}

static void begin(struct planner *p)
{
    p->what = "";
    p->restart = false;
}

static void end(struct planner *p, const char *object)
{
    if (p->what[0] != '\0')
        add_item(p, p->restart ? PLAN_RESTART : PLAN_CHANGE, object, p->what);
}

// ---- values -----------------------------------------------------------------------------------

#define READ(type, row, target)                                                                    \
    (*(type const *)(const void *)((const char *)(target) + (row)->offset))
#define READ_COUNT(row, target)                                                                    \
    (*(const uint32_t *)(const void *)((const char *)(target) + (row)->count_offset))

static bool same_pair(const struct field_pair *a, const struct field_pair *b)
{
    return str_eq(a->name, b->name) && str_eq(a->value, b->value);
}

static bool same_fields(const struct row *row, const void *a, const void *b)
{
    const struct field_pair *x = READ(const struct field_pair *, row, a);
    const struct field_pair *y = READ(const struct field_pair *, row, b);
    uint32_t n = READ_COUNT(row, a);
    bool same = n == READ_COUNT(row, b);
    for (uint32_t i = 0; same && i < n; i++)
        same = same_pair(&x[i], &y[i]);
    return same;
}

static bool same_host(const union ip_addr *a, const union ip_addr *b)
{
    const void *x, *y;
    size_t n = ip_bytes(a, &x);
    return a->sa.sa_family == b->sa.sa_family && n == ip_bytes(b, &y) && memcmp(x, y, n) == 0;
}

static bool same_nets(const struct row *row, const void *a, const void *b)
{
    const struct cidr *x = READ(const struct cidr *, row, a),
                      *y = READ(const struct cidr *, row, b);
    uint32_t n = READ_COUNT(row, a);
    bool same = n == READ_COUNT(row, b);
    for (uint32_t i = 0; same && i < n; i++)
        same = x[i].bits == y[i].bits && same_host(&x[i].ip, &y[i].ip);
    return same;
}

static bool same_addresses(const struct row *row, const void *a, const void *b)
{
    const struct addr *x = READ(const struct addr *, row, a),
                      *y = READ(const struct addr *, row, b);
    uint32_t n = READ_COUNT(row, a);
    bool same = n == READ_COUNT(row, b);
    for (uint32_t i = 0; same && i < n; i++)
        same = addr_eq(&x[i], &y[i]);
    return same;
}

static bool same_ops(const struct header_op *a, uint32_t n_a, const struct header_op *b,
                     uint32_t n_b)
{
    bool same = n_a == n_b;
    for (uint32_t i = 0; same && i < n_a; i++)
        same = a[i].action == b[i].action && str_eq(a[i].name, b[i].name) &&
               str_eq(a[i].value, b[i].value);
    return same;
}

static bool same_headers(const struct header_ops *a, const struct header_ops *b)
{
    return same_ops(a->request, a->n_request, b->request, b->n_request) &&
           same_ops(a->response, a->n_response, b->response, b->n_response);
}

// What `expect` of a health check means for its type.
static bool same_expectation(const struct health *a, const struct health *b)
{
    bool same =
        str_eq(a->expect, b->expect) && a->role == b->role && a->n_statuses == b->n_statuses;
    for (uint32_t i = 0; same && i < a->n_statuses; i++)
        same = a->statuses[i].from == b->statuses[i].from && a->statuses[i].to == b->statuses[i].to;
    return same;
}

static bool same_hash(const struct backend *a, const struct backend *b)
{
    return a->hash_on == b->hash_on && str_eq(a->hash_name, b->hash_name);
}

static bool same_server_address(const struct server *a, const struct server *b)
{
    if (a->host.len > 0 || b->host.len > 0)
        return str_eq(a->host, b->host) && a->port == b->port && a->srv == b->srv;
    return addr_eq(&a->addr, &b->addr);
}

static bool same_access_log(const struct config *a, const struct config *b)
{
    return a->access_log == b->access_log && str_eq(a->access_log_path, b->access_log_path);
}

static bool same_pem(const struct pem_pair *a, const struct pem_pair *b)
{
    return strcmp(a->file, b->file) == 0 && str_eq(a->chain, b->chain) && str_eq(a->key, b->key) &&
           str_eq(a->ocsp, b->ocsp);
}

static bool same_certs(const struct tls *a, const struct tls *b)
{
    bool same = a->n_certs == b->n_certs;
    for (uint32_t i = 0; same && i < a->n_certs; i++)
        same = same_pem(&a->certs[i].pem, &b->certs[i].pem);
    return same;
}

static bool same_ticket_keys(const struct tickets *a, const struct tickets *b)
{
    return str_eq(a->keys_file, b->keys_file) && str_eq(a->keys, b->keys);
}

static bool same_file(const struct pem_file *a, const struct pem_file *b)
{
    bool same_name =
        a->file == b->file || (a->file != NULL && b->file != NULL && strcmp(a->file, b->file) == 0);
    return same_name && str_eq(a->bytes, b->bytes);
}

static bool same_cert(const struct certificate *a, const struct certificate *b)
{
    return a == b || (a != NULL && b != NULL && same_pem(&a->pem, &b->pem));
}

static bool same_names(const struct str *a, uint32_t n_a, const struct str *b, uint32_t n_b)
{
    bool same = n_a == n_b;
    for (uint32_t i = 0; same && i < n_a; i++)
        same = str_eq(a[i], b[i]);
    return same;
}

static bool same_value(const struct row *row, const void *a, const void *b)
{
    switch (row->type) {
    case VALUE_BOOL:
        return READ(bool, row, a) == READ(bool, row, b);
    case VALUE_U16:
        return READ(uint16_t, row, a) == READ(uint16_t, row, b);
    case VALUE_U32:
    case VALUE_DURATION:
    case VALUE_SIZE:
    case VALUE_ENUM:
    case VALUE_RETRY_ON:
        return READ(uint32_t, row, a) == READ(uint32_t, row, b);
    case VALUE_TEXT:
    case VALUE_PATH:
    case VALUE_DIRECTORY:
    case VALUE_ACCOUNT:
    case VALUE_METHOD:
    case VALUE_TARGET:
    case VALUE_LINE:
    case VALUE_SERVER_NAME:
        return str_eq(READ(struct str, row, a), READ(struct str, row, b));
    case VALUE_NETS:
        return same_nets(row, a, b);
    case VALUE_IP:
        return addr_eq(&READ(struct addr, row, a), &READ(struct addr, row, b));
    case VALUE_DNS_SERVERS:
        return same_addresses(row, a, b);
    case VALUE_FIELD:
        return same_pair(&READ(struct field_pair, row, a), &READ(struct field_pair, row, b));
    case VALUE_FIELDS:
        return same_fields(row, a, b);
    case VALUE_CERTS:
        return same_certs(a, b);
    case VALUE_TICKET_KEYS:
        return same_ticket_keys(a, b);
    case VALUE_CLIENT_CERT:
    case VALUE_CHECK_CERT:
        return same_cert(READ(const struct certificate *, row, a),
                         READ(const struct certificate *, row, b));
    case VALUE_PEM_FILE:
        return same_file(&READ(struct pem_file, row, a), &READ(struct pem_file, row, b));
    case VALUE_ALPN:
        return same_names(READ(const struct str *, row, a), READ_COUNT(row, a),
                          READ(const struct str *, row, b), READ_COUNT(row, b));
    case VALUE_EXPECT:
        return same_expectation(a, b);
    case VALUE_HEADERS:
        return same_headers(&READ(struct header_ops, row, a), &READ(struct header_ops, row, b));
    case VALUE_HASH_ON:
        return same_hash(a, b);
    case VALUE_SERVER_ADDRESS:
        return same_server_address(a, b);
    case VALUE_ACCESS_LOG:
        return same_access_log(a, b);
    case VALUE_FIXED: // one word only
    case VALUE_OBJECT:
    case VALUE_LISTENS: // these are objects of their own in the plan
    case VALUE_LISTEN_ADDRESS:
    case VALUE_SERVERS:
    case VALUE_ROUTES:
    case VALUE_HOSTS:
    case VALUE_PATHS:
    case VALUE_REDIRECT:
    case VALUE_BACKEND_NAME:
    case VALUE_FIELD_NAMES:
    case VALUE_FRONTENDS:
    case VALUE_BACKENDS:
    case VALUE_INCLUDE:
    case VALUE_PLANNED:
    case VALUE_TYPES:
        break;
    }
    return true;
}

// The value of a row in words; NULL: too much for a line, or a secret.
static const char *value_text(struct arena *a, const struct row *row, const void *target)
{
    if ((row->flags & ROW_SECRET) != 0)
        return NULL;
    if (row->type == VALUE_CERTS || row->type == VALUE_TICKET_KEYS ||
        row->type == VALUE_CLIENT_CERT || row->type == VALUE_CHECK_CERT ||
        row->type == VALUE_PEM_FILE)
        return NULL; // the same files may have changed
    if (row->type == VALUE_SERVER_ADDRESS)
        return server_address_text(a, target);
    return emit_value(a, row, target);
}

static void say_changed(struct planner *p, const struct row *row, const char *prefix, const void *a,
                        const void *b)
{
    const char *from = value_text(p->arena, row, a), *to = value_text(p->arena, row, b);
    p->restart |= (row->flags & ROW_RESTART) != 0;
    if (from != NULL && to != NULL)
        say(p, arena_printf(p->arena, "%s%s %s -> %s", prefix, row->key, from, to));
    else
        say(p, arena_printf(p->arena, "%s%s changed", prefix, row->key));
}

static void compare_rows(struct planner *p, const struct object *o, const char *prefix,
                         const void *a, const void *b, size_t size);

static void compare_behind(struct planner *p, const struct row *row, const char *prefix,
                           const void *a, const void *b)
{
    const void *x = READ(const void *, row, a), *y = READ(const void *, row, b);
    if (x != NULL && y != NULL)
        compare_rows(p, row->object, arena_printf(p->arena, "%s%s.", prefix, row->key), x, y,
                     row->object->size);
    else if (x != y)
        say(p, arena_printf(p->arena, "%s%s %s", prefix, row->key,
                            x != NULL ? "on -> off" : "off -> on"));
}

// All rows of an object whose place is within the first `size` bytes of the target.
static void compare_rows(struct planner *p, const struct object *o, const char *prefix,
                         const void *a, const void *b, size_t size)
{
    for (size_t i = 0; i < o->n_rows; i++) {
        const struct row *row = &o->rows[i];
        if (row->offset >= size || (row->flags & ROW_SCRATCH) != 0)
            continue;
        if ((row->flags & ROW_POINTER) != 0)
            compare_behind(p, row, prefix, a, b);
        else if (row->type == VALUE_OBJECT)
            compare_rows(p, row->object, arena_printf(p->arena, "%s%s.", prefix, row->key),
                         (const char *)a + row->offset, (const char *)b + row->offset,
                         size - row->offset);
        else if (!same_value(row, a, b))
            say_changed(p, row, prefix, a, b);
    }
}

// ---- frontends --------------------------------------------------------------------------------

static bool same_hosts(const struct host_pattern *a, uint32_t n_a, const struct host_pattern *b,
                       uint32_t n_b)
{
    bool same = n_a == n_b;
    for (uint32_t i = 0; same && i < n_a; i++)
        same = a[i].wildcard == b[i].wildcard && str_eq(a[i].name, b[i].name);
    return same;
}

static bool same_tls_conditions(const struct tls_conditions *a, const struct tls_conditions *b)
{
    return same_hosts(a->snis, a->n_snis, b->snis, b->n_snis) && str_eq(a->subject, b->subject) &&
           str_eq(a->cipher, b->cipher) && a->cert == b->cert && a->version == b->version &&
           a->resumed == b->resumed;
}

static bool same_route(const struct route *a, const struct route *b)
{
    bool same = a->action == b->action && a->status == b->status &&
                same_hosts(a->hosts, a->n_hosts, b->hosts, b->n_hosts) && a->tls == b->tls &&
                str_eq(a->redirect, b->redirect) && same_tls_conditions(&a->over, &b->over) &&
                same_names(a->paths, a->n_paths, b->paths, b->n_paths) &&
                same_names(a->alpns, a->n_alpns, b->alpns, b->n_alpns);
    if (same && a->action == ROUTE_BACKEND)
        same = str_eq(a->backend->name, b->backend->name);
    return same;
}

static void compare_routes(struct planner *p, const struct frontend *a, const struct frontend *b)
{
    bool same = a->n_routes == b->n_routes;
    for (uint32_t i = 0; same && i < a->n_routes; i++)
        same = same_route(&a->routes[i], &b->routes[i]);
    if (!same)
        say(p, "routes changed");
}

static const struct listen *find_listen(const struct frontend *f, const struct listen *l)
{
    for (uint32_t i = 0; f != NULL && i < f->n_listens; i++) {
        if (addr_eq(&f->listens[i].addr, &l->addr))
            return &f->listens[i];
    }
    return NULL;
}

static const char *listen_name(struct arena *a, const struct frontend *f, const struct listen *l)
{
    char address[ADDR_TEXT];
    (void)addr_format(&l->addr, address);
    return arena_printf(a, "listener %s (%.*s)", address, STR_FMT(f->name));
}

// The listeners of `f` that `other` does not have.
static void list_listens(struct planner *p, enum plan_sign sign, const struct frontend *f,
                         const struct frontend *other)
{
    for (uint32_t i = 0; i < f->n_listens; i++) {
        if (find_listen(other, &f->listens[i]) == NULL)
            add_item(p, sign, listen_name(p->arena, f, &f->listens[i]), "");
    }
}

// That of the frontend shows at the frontend.
static void compare_listen_tls(struct planner *p, const struct frontend *f,
                               const struct listen *old, const struct listen *l)
{
    if (old->tls.n_certs + l->tls.n_certs == 0 || l->tls.certs == f->tls.certs)
        return;
    begin(p);
    compare_rows(p, &object_tls, "tls.", &old->tls, &l->tls, sizeof(l->tls));
    end(p, listen_name(p->arena, f, l));
}

static void compare_listens(struct planner *p, const struct frontend *a, const struct frontend *b)
{
    for (uint32_t i = 0; i < b->n_listens; i++) {
        const struct listen *old = find_listen(a, &b->listens[i]);
        if (old != NULL)
            compare_listen_tls(p, b, old, &b->listens[i]);
        if (old != NULL && old->accept_proxy != b->listens[i].accept_proxy)
            add_item(p, PLAN_CHANGE, listen_name(p->arena, b, &b->listens[i]),
                     b->listens[i].accept_proxy ? "accept-proxy false -> true"
                                                : "accept-proxy true -> false");
    }
}

static const char *frontend_name(struct arena *a, const struct frontend *f)
{
    return arena_printf(a, "frontend %.*s", STR_FMT(f->name));
}

static void compare_frontends(struct planner *p, const struct frontend *a, const struct frontend *b)
{
    begin(p);
    compare_rows(p, &object_frontend, "", a, b, sizeof(*a));
    compare_routes(p, a, b);
    end(p, frontend_name(p->arena, b));
    list_listens(p, PLAN_REMOVE, a, b);
    list_listens(p, PLAN_ADD, b, a);
    compare_listens(p, a, b);
}

static void plan_frontends(struct planner *p, const struct config *from, const struct config *to)
{
    for (uint32_t i = 0; i < from->n_frontends; i++) {
        const struct frontend *f = &from->frontends[i];
        if (map_get(&to->frontend_by_name, f->name) != NULL)
            continue;
        add_item(p, PLAN_REMOVE, frontend_name(p->arena, f), "");
        list_listens(p, PLAN_REMOVE, f, NULL);
    }
    for (uint32_t i = 0; i < to->n_frontends; i++) {
        const struct frontend *f = &to->frontends[i];
        const struct frontend *old = map_get(&from->frontend_by_name, f->name);
        if (old != NULL) {
            compare_frontends(p, old, f);
            continue;
        }
        add_item(p, PLAN_ADD, frontend_name(p->arena, f), "");
        list_listens(p, PLAN_ADD, f, NULL);
    }
}

// ---- backends ---------------------------------------------------------------------------------

static const struct server *find_server(const struct backend *b, struct str name)
{
    for (uint32_t i = 0; i < b->n_servers; i++) {
        if (str_eq(b->servers[i].name, name))
            return &b->servers[i];
    }
    return NULL;
}

static const char *server_name(struct arena *a, const struct server *s)
{
    return arena_printf(a, "server %.*s/%.*s", STR_FMT(s->backend->name), STR_FMT(s->name));
}

static const char *server_name_and_address(struct arena *a, const struct server *s)
{
    return arena_printf(a, "%s (%s)", server_name(a, s), server_address_text(a, s));
}

static const char *backend_name(struct arena *a, const struct backend *b)
{
    return arena_printf(a, "backend %.*s", STR_FMT(b->name));
}

static void compare_backends(struct planner *p, const struct backend *a, const struct backend *b)
{
    begin(p);
    compare_rows(p, &object_backend, "", a, b, sizeof(*a));
    end(p, backend_name(p->arena, b));
    for (uint32_t i = 0; i < a->n_servers; i++) {
        if (find_server(b, a->servers[i].name) == NULL)
            add_item(p, PLAN_REMOVE, server_name_and_address(p->arena, &a->servers[i]), "");
    }
    for (uint32_t i = 0; i < b->n_servers; i++) {
        const struct server *s = &b->servers[i], *old = find_server(a, s->name);
        if (old == NULL) {
            add_item(p, PLAN_ADD, server_name_and_address(p->arena, s), "");
            continue;
        }
        begin(p);
        compare_rows(p, &object_server, "", old, s, sizeof(*s));
        end(p, server_name(p->arena, s));
    }
}

static void plan_backends(struct planner *p, const struct config *from, const struct config *to)
{
    for (uint32_t i = 0; i < from->n_backends; i++) {
        if (map_get(&to->backend_by_name, from->backends[i].name) == NULL)
            add_item(p, PLAN_REMOVE, backend_name(p->arena, &from->backends[i]), "");
    }
    for (uint32_t i = 0; i < to->n_backends; i++) {
        const struct backend *b = &to->backends[i];
        const struct backend *old = map_get(&from->backend_by_name, b->name);
        if (old != NULL)
            compare_backends(p, old, b);
        else
            add_item(p, PLAN_ADD, backend_name(p->arena, b), "");
    }
}

// ---- the rest ---------------------------------------------------------------------------------

// What stands in no file of the configuration; empty: nobody is verified by it.
static struct str system_authorities(const struct config *c)
{
    for (uint32_t i = 0; i < c->n_servers; i++) {
        const struct server_tls *tls = c->servers[i].tls;
        if (tls != NULL && tls->ca.file == NULL && tls->terms.verify)
            return tls->terms.ca;
    }
    return STR_NONE;
}

// Top-level rows one by one, so that what needs a restart stands apart from what does not.
static void plan_top(struct planner *p, const struct config *from, const struct config *to)
{
    for (size_t i = 0; i < object_root.n_rows; i++) {
        struct object one = object_root;
        one.rows += i;
        one.n_rows = 1;
        begin(p);
        compare_rows(p, &one, "", from, to, sizeof(*from));
        end(p, "settings");
    }
    begin(p);
    if (from->shutdown_ms != to->shutdown_ms)
        say(p, "timeout.shutdown changed");
    struct str old = system_authorities(from), now = system_authorities(to);
    if (old.len > 0 && now.len > 0 && !str_eq(old, now))
        say(p, "the system's authorities changed");
    end(p, "settings");
}

struct plan plan_make(const struct config *from, const struct config *to, struct arena *a)
{
    struct planner p = {.arena = a};
    plan_frontends(&p, from, to);
    plan_backends(&p, from, to);
    plan_top(&p, from, to);
    return (struct plan){p.items, (uint32_t)p.n};
}

const char *plan_text(const struct plan *p, struct arena *a)
{
    const char *text = "";
    for (uint32_t i = 0; i < p->n; i++) {
        const struct plan_item *item = &p->items[i];
        text = arena_printf(a, "%s  %c %s%s%s%s\n", text, (char)item->sign, item->object,
                            item->what[0] != '\0' ? ": " : "", item->what,
                            item->sign == PLAN_RESTART ? " (takes a restart)" : "");
    }
    return p->n > 0 ? text : "  no changes\n";
}
