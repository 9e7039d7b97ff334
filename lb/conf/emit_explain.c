// SPDX-License-Identifier: MIT
// `evlb explain`: the effective configuration as YAML, each value with where it came from. What is
// printed loads again and means the same (a test does that), but for secrets, which are masked.
//
//   backends:
//     app:
//       balance: round-robin                # default
//       servers:
//         s1: {address: 10.0.0.11:8080, weight: 1}   # evlb.yaml:3
#include <stdarg.h>
#include <stdio.h>

#include "conf/bind_health.h"
#include "conf/emit.h"
#include "conf/loader.h"
#include "conf/words.h"

#define COMMENT_COLUMN 44
#define COLUMNS 80

struct writer {
    FILE *out;
    struct arena *arena;
    const struct loaded *l;
    int indent;
};

static bool is_flow(const char *text)
{
    text += strspn(text, " ");
    const char *before = str_starts(str_of(text), STR("- ")) ? text : strstr(text, ": ");
    return before != NULL && (before[2] == '{' || before[2] == '[');
}

// Behind the last comma of a flow mapping that stands within `room` characters, or behind the first
// one; the end of the text when all of it has room, or there is no such comma.
static const char *end_of_line(const char *text, size_t room)
{
    const char *best = NULL, *p = text;
    bool quoted = false;
    for (; *p != '\0' && (best == NULL || (size_t)(p - text) < room); p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (quoted && *p == '\\')
            p++; // what it escapes is passed over
        else if (!quoted && p[0] == ',' && p[1] == ' ')
            best = p + 1;
    }
    return *p == '\0' && (size_t)(p - text) <= room ? p : best != NULL ? best : p;
}

// A flow mapping that is too long goes on below, further in. Returns the columns used in the last
// line.
static int put_text(struct writer *w, const char *text)
{
    bool flow = is_flow(text);
    int indent = w->indent;
    for (const char *end;; text = end + 1, indent = w->indent + 4) {
        end = flow ? end_of_line(text, (size_t)(COLUMNS - indent)) : text + strlen(text);
        int used = fprintf(w->out, "%*s%.*s", indent, "", (int)(end - text), text);
        if (*end == '\0')
            return used;
        fputc('\n', w->out);
    }
}

// One line: "key: value" and, aligned, the comment.
static void put(struct writer *w, const char *comment, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void put(struct writer *w, const char *comment, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *text = arena_vprintf(w->arena, fmt, args);
    va_end(args);
    int used = put_text(w, text);
    if (comment != NULL)
        fprintf(w->out, "%*s# %s", used < COMMENT_COLUMN ? COMMENT_COLUMN - used : 1, "", comment);
    fputc('\n', w->out);
}

static const char *origin_of_mark(struct writer *w, const struct conf_mark *m)
{
    return m->line == 0 ? m->file : arena_printf(w->arena, "%s:%u", m->file, m->line);
}

static const char *origin_of(struct writer *w, const struct node *n)
{
    if (n == NULL)
        return "default";
    if (n->origin != NULL)
        return n->origin;
    const struct conf_mark mark = node_mark(n);
    return origin_of_mark(w, &mark);
}

// The value of a simple row, or NULL when there is nothing to show. Numbers as they were written.
static const char *value_text(struct writer *w, const struct row *row, const void *target,
                              const struct node *from)
{
    bool number = row->type == VALUE_DURATION || row->type == VALUE_SIZE;
    if (from != NULL && from->secret)
        return EMIT_SECRET;
    if (from == NULL && (number || row->type == VALUE_U32))
        return row->fallback;
    return number ? emit_scalar(w->arena, from->value) : emit_value(w->arena, row, target);
}

static void put_object(struct writer *w, const struct object *o, const void *target,
                       enum mode mode);

static const struct node *from_of(struct writer *w, const struct object *o, const void *target,
                                  const char *key)
{
    const struct bound *bound = bind_origin(&w->l->binder, o, target);
    const struct row *row = schema_row(o, str_of(key));
    return bound != NULL && row != NULL ? bound->from[row - o->rows] : NULL;
}

// ---- health -----------------------------------------------------------------------------------

static const char *statuses_text(struct writer *w, const struct health *h)
{
    const char *list = "";
    for (uint32_t i = 0; i < h->n_statuses; i++) {
        const struct status_range *r = &h->statuses[i];
        list = r->from == r->to
                   ? arena_printf(w->arena, "%s%s%u", list, i > 0 ? ", " : "", r->from)
                   : arena_printf(w->arena, "%s%s%u-%u", list, i > 0 ? ", " : "", r->from, r->to);
    }
    return h->n_statuses > 1 ? arena_printf(w->arena, "[%s]", list) : list;
}

static const char *expect_text(struct writer *w, const struct health *h)
{
    if (h->type == HEALTH_HTTP)
        return statuses_text(w, h);
    if (h->type == HEALTH_SEND_EXPECT)
        return emit_scalar(w->arena, h->expect);
    return role_words[h->role];
}

// From what the type follows where it was not said.
static const char *why_type(const struct backend *backend)
{
    const struct health *h = &backend->health;
    if (h->type == HEALTH_TLS && h->tls != HEALTH_TLS_ON)
        return "default (mode http, several servers with tls)";
    if (h->type != HEALTH_TCP)
        return "as its keys say";
    return health_lacks_cert(backend) ? "default (tls needs a client-cert for checks)"
                                      : "default (mode http, several servers)";
}

// What was not said, but follows from something else: the value, and from what.
static const char *derived_text(struct writer *w, const struct row *row,
                                const struct backend *backend, const char **why)
{
    const struct health *h = &backend->health;
    *why = "default";
    if (row->words == health_tls_words)
        return NULL;
    if (row->type == VALUE_ENUM)
        *why = why_type(backend);
    else if (row->type == VALUE_DURATION && row->fallback == NULL)
        *why = strcmp(row->key, "timeout") == 0 ? "timeout.check" : "as every";
    else
        return row->type == VALUE_U16 ? NULL : value_text(w, row, h, NULL);
    return row->type == VALUE_ENUM ? row->words[h->type] : emit_value(w->arena, row, h);
}

static void put_health(struct writer *w, const struct backend *backend)
{
    const struct health *h = &backend->health;
    const struct bound *bound = bind_origin(&w->l->binder, &object_health, h);
    if (h->type == HEALTH_OFF) {
        const struct node *from = bound->from[0];
        put(w, from != NULL ? origin_of(w, from) : "default (mode tcp, or one server)",
            "health: off");
        return;
    }
    put(w, NULL, "health:");
    w->indent += 2;
    for (size_t i = 0; i < object_health.n_rows; i++) {
        const struct row *row = &object_health.rows[i];
        const struct node *from = bound->from[i];
        const char *why = NULL, *text;
        if (!health_has_key(h->type, str_of(row->key)))
            continue;
        if (row->type == VALUE_EXPECT)
            text = expect_text(w, h);
        else
            text = from != NULL ? value_text(w, row, h, from) : derived_text(w, row, backend, &why);
        if (text != NULL)
            put(w, why != NULL ? why : origin_of(w, from), "%s: %s", row->key, text);
    }
    w->indent -= 2;
}

static bool has_values(struct writer *w, const struct object *o, const void *target)
{
    const struct bound *bound = bind_origin(&w->l->binder, o, target);
    for (size_t i = 0; bound != NULL && i < o->n_rows; i++) {
        if (o->rows[i].type == VALUE_OBJECT ||
            value_text(w, &o->rows[i], target, bound->from[i]) != NULL)
            return true;
    }
    return false; // not bound: ROW_ABSENT
}

static void put_nested(struct writer *w, const struct row *row, const void *target, enum mode mode)
{
    if (row->object == &object_health) {
        put_health(w, target);
        return;
    }
    if (!has_values(w, row->object, (const char *)target + row->offset))
        return;
    put(w, NULL, "%s:", row->key);
    w->indent += 2;
    put_object(w, row->object, (const char *)target + row->offset, mode);
    w->indent -= 2;
}

// The rows of an object that have a simple value; nested maps below their key.
static void put_object(struct writer *w, const struct object *o, const void *target, enum mode mode)
{
    const struct bound *bound = bind_origin(&w->l->binder, o, target);
    for (size_t i = 0; bound != NULL && i < o->n_rows; i++) {
        const struct row *row = &o->rows[i];
        if ((mode == MODE_TCP && (row->flags & ROW_HTTP) != 0) ||
            !emit_acts(w->arena, o, row, target))
            continue;
        if (row->type == VALUE_OBJECT && (row->flags & ROW_SCRATCH) == 0 &&
            row->object != &object_hash) {
            put_nested(w, row, target, mode);
            continue;
        }
        const char *text = value_text(w, row, target, bound->from[i]);
        bool derived = row->fallback == NULL && bound->from[i] == NULL && row->type == VALUE_ENUM;
        if (text != NULL)
            put(w, derived ? "as the frontends use it" : origin_of(w, bound->from[i]), "%s: %s",
                row->key, text);
    }
}

// ---- headers ----------------------------------------------------------------------------------

static const char *const action_words[] = {"set", "add", "remove"};

static const char *op_value(struct writer *w, const struct header_op *op)
{
    return op->secret ? EMIT_SECRET : emit_scalar(w->arena, op->value);
}

static void put_removals(struct writer *w, const struct header_op *ops, uint32_t n)
{
    const char *list = "";
    for (uint32_t i = 0; i < n; i++) {
        if (ops[i].action == HEADER_REMOVE)
            list = arena_printf(w->arena, "%s%s%s", list, list[0] != '\0' ? ", " : "",
                                emit_scalar(w->arena, ops[i].name));
    }
    put(w, NULL, "remove: [%s]", list);
}

static bool was_named(const struct header_op *ops, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++) {
        if (ops[k].action == ops[i].action && str_caseeq(ops[k].name, ops[i].name))
            return true;
    }
    return false;
}

// "set" or "add" of one side: names with a value, or a list of values.
static void put_fields(struct writer *w, const struct header_op *ops, uint32_t n,
                       enum header_action action)
{
    put(w, NULL, "%s:", action_words[action]);
    w->indent += 2;
    for (uint32_t i = 0; i < n; i++) {
        if (ops[i].action != action || was_named(ops, i))
            continue;
        const char *values = op_value(w, &ops[i]);
        uint32_t more = 0;
        for (uint32_t k = i + 1; k < n; k++) {
            if (ops[k].action == action && str_caseeq(ops[k].name, ops[i].name)) {
                values = arena_printf(w->arena, "%s, %s", values, op_value(w, &ops[k]));
                more++;
            }
        }
        put(w, NULL, more > 0 ? "%s: [%s]" : "%s: %s", emit_scalar(w->arena, ops[i].name), values);
    }
    w->indent -= 2;
}

static void put_side(struct writer *w, const char *side, const struct header_op *ops, uint32_t n)
{
    bool seen[3] = {false, false, false};
    if (n == 0)
        return;
    put(w, NULL, "%s:", side);
    w->indent += 2;
    for (uint32_t i = 0; i < n; i++) {
        if (seen[ops[i].action])
            continue;
        seen[ops[i].action] = true;
        if (ops[i].action == HEADER_REMOVE)
            put_removals(w, ops, n);
        else
            put_fields(w, ops, n, ops[i].action);
    }
    w->indent -= 2;
}

static void put_headers(struct writer *w, const struct header_ops *h, const struct node *from)
{
    if (h->n_request + h->n_response == 0)
        return;
    put(w, origin_of(w, from), "headers:");
    w->indent += 2;
    put_side(w, "request", h->request, h->n_request);
    put_side(w, "response", h->response, h->n_response);
    w->indent -= 2;
}

// ---- frontends --------------------------------------------------------------------------------

static const char *listen_text(struct writer *w, const struct frontend *f, const struct listen *l)
{
    char address[ADDR_TEXT];
    const void *bytes;
    static const char zeros[16];
    addr_format(&l->addr, address);
    bool bare = l->addr.sa.sa_family == AF_INET6 && !l->v6_only &&
                ip_bytes(&l->addr.ip, &bytes) == sizeof(zeros) &&
                memcmp(bytes, zeros, sizeof(zeros)) == 0;
    const char *text = bare ? arena_printf(w->arena, "%u", ip_port(&l->addr.ip))
                            : emit_scalar(w->arena, str_of(address));
    bool own_tls = l->tls.n_certs > 0 && l->tls.certs != f->tls.certs;
    if (!l->accept_proxy && !own_tls)
        return text;
    return arena_printf(
        w->arena, "{address: %s%s%s}", text, l->accept_proxy ? ", accept-proxy: true" : "",
        own_tls ? arena_printf(w->arena, ", tls: %s", emit_map(w->arena, &object_tls, &l->tls))
                : "");
}

static const char *join_hosts(struct writer *w, const char *key, const struct host_pattern *hosts,
                              uint32_t n)
{
    const char *list = "";
    for (uint32_t i = 0; i < n; i++) {
        struct str name = str_of(
            arena_printf(w->arena, "%s%.*s", hosts[i].wildcard ? "*" : "", STR_FMT(hosts[i].name)));
        list =
            arena_printf(w->arena, "%s%s%s", list, i > 0 ? ", " : "", emit_scalar(w->arena, name));
    }
    return n > 0 ? arena_printf(w->arena, "%s: [%s], ", key, list) : "";
}

// The conditions of one value each.
static const char *join_tls(struct writer *w, const struct route *r)
{
    const char *text = join_hosts(w, "sni", r->over.snis, r->over.n_snis);
    for (size_t i = 0; i < object_route.n_rows; i++) {
        const struct row *row = &object_route.rows[i];
        bool ours = row->offset >= offsetof(struct route, over) &&
                    row->offset < offsetof(struct route, over) + sizeof(r->over);
        const char *value = ours ? emit_value(w->arena, row, r) : NULL;
        if (value != NULL && (row->fallback == NULL || strcmp(value, row->fallback) != 0))
            text = arena_printf(w->arena, "%s%s: %s, ", text, row->key, value);
    }
    return text;
}

static const char *join(struct writer *w, const char *key, const struct str *items, uint32_t n)
{
    const char *list = "";
    for (uint32_t i = 0; i < n; i++)
        list = arena_printf(w->arena, "%s%s%s", list, i > 0 ? ", " : "",
                            emit_scalar(w->arena, items[i]));
    return n > 0 ? arena_printf(w->arena, "%s: [%s], ", key, list) : "";
}

static const char *action_text(struct writer *w, const struct route *r)
{
    if (r->action == ROUTE_BACKEND)
        return arena_printf(w->arena, "backend: %.*s", STR_FMT(r->backend->name));
    if (r->action == ROUTE_DENY)
        return arena_printf(w->arena, "deny: %u", r->status);
    return arena_printf(w->arena, "redirect: %s, status: %u", emit_scalar(w->arena, r->redirect),
                        r->status);
}

static void put_routes(struct writer *w, const struct frontend *f)
{
    const struct route *only = f->n_routes == 1 ? &f->routes[0] : NULL;
    if (only != NULL && only->action == ROUTE_BACKEND && only->tls == ROUTE_TERMINATE &&
        only->n_hosts + only->n_paths + only->n_alpns == 0 && !route_looks_at_tls(only)) {
        put(w, origin_of_mark(w, &only->mark), "%s", action_text(w, only));
        return;
    }
    put(w, NULL, "routes:");
    for (uint32_t i = 0; i < f->n_routes; i++) {
        const struct route *r = &f->routes[i];
        put(w, origin_of_mark(w, &r->mark), "  - {%s%s%s%s%s%s}",
            join_hosts(w, "host", r->hosts, r->n_hosts), join(w, "path", r->paths, r->n_paths),
            join(w, "alpn", r->alpns, r->n_alpns), join_tls(w, r),
            r->tls == ROUTE_PASSTHROUGH ? "tls: passthrough, " : "", action_text(w, r));
    }
}

static void put_frontend(struct writer *w, const struct frontend *f)
{
    const struct frontend_draft *d = &w->l->binder.drafts[f->index];
    put(w, NULL, "%.*s:", STR_FMT(f->name));
    w->indent += 2;
    put(w, NULL, "listen:");
    for (uint32_t i = 0; i < f->n_listens; i++)
        put(w, origin_of_mark(w, &f->listens[i].mark), "  - %s", listen_text(w, f, &f->listens[i]));
    put_object(w, &object_frontend, d, f->mode);
    put_headers(w, &f->headers, from_of(w, &object_frontend, d, "headers"));
    put_routes(w, f);
    w->indent -= 2;
}

// ---- backends ---------------------------------------------------------------------------------

// "weight: 1, tier: 1" and what else is set. Adds to *origin where each comes from, when that is
// not the line of the server itself.
static const char *server_settings(struct writer *w, const struct server *s, const char **origin)
{
    const struct bound *bound = bind_origin(&w->l->binder, &object_server, s);
    const char *text = "";
    for (size_t i = 0; i < object_server.n_rows; i++) {
        const struct row *row = &object_server.rows[i];
        const struct node *from = bound->from[i];
        bool always =
            row->type == VALUE_U16 || row->type == VALUE_OBJECT || strcmp(row->key, "tier") == 0;
        const char *value = value_text(w, row, s, from);
        if (value == NULL || row->type == VALUE_SERVER_ADDRESS || (from == NULL && !always))
            continue;
        text = arena_printf(w->arena, "%s, %s: %s", text, row->key, value);
        const char *place = from != NULL ? origin_of(w, from) : NULL;
        if (row->type == VALUE_OBJECT)
            place = origin_of_mark(w, &s->tls->mark);
        if (place != NULL && strstr(*origin, place) == NULL)
            *origin = arena_printf(w->arena, "%s, %s: %s", *origin, row->key, place);
    }
    return text;
}

static void put_server(struct writer *w, const struct server *s)
{
    const char *origin = origin_of_mark(w, &s->mark);
    const char *settings = server_settings(w, s, &origin);
    struct str name = server_base_name(s);
    put(w, origin, "  %.*s: {address: %s%s}", STR_FMT(name),
        emit_scalar(w->arena, str_of(server_address_text(w->arena, s))), settings);
}

static const char *hash_text(struct writer *w, const struct backend *backend)
{
    const char *word = hash_on_words[backend->hash_on];
    if (backend->hash_name.len == 0)
        return word;
    struct str text = str_of(arena_printf(w->arena, "%s %.*s", word, STR_FMT(backend->hash_name)));
    return emit_scalar(w->arena, text);
}

static void put_backend(struct writer *w, const struct backend *backend)
{
    put(w, NULL, "%.*s:", STR_FMT(backend->name));
    w->indent += 2;
    put_object(w, &object_backend, backend, backend->mode);
    if (backend->balance == BALANCE_HASH)
        put(w, origin_of(w, from_of(w, &object_hash, backend, "on")),
            "hash: {on: %s, method: consistent}", hash_text(w, backend));
    put_headers(w, &backend->headers, from_of(w, &object_backend, backend, "headers"));
    put(w, NULL, "servers:");
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        if (backend->servers[i].place == 0)
            put_server(w, &backend->servers[i]);
    }
    w->indent -= 2;
}

// ---- the whole --------------------------------------------------------------------------------

static void put_log(struct writer *w, const struct root *r)
{
    const struct config *c = &r->config;
    put(w, NULL, "log:");
    w->indent += 2;
    put_object(w, &object_log, r, MODE_HTTP);
    put(w, origin_of(w, from_of(w, &object_log, r, "access")), "access: %s",
        !c->access_log                ? "false"
        : c->access_log_path.len == 0 ? "true"
                                      : emit_scalar(w->arena, c->access_log_path));
    w->indent -= 2;
}

static void put_root(struct writer *w, const struct root *r)
{
    static const char *const keys[] = {"version", "workers", "max-connections", "user", "group"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct row *row = schema_row(&object_root, str_of(keys[i]));
        const struct node *from = from_of(w, &object_root, r, keys[i]);
        const char *text = value_text(w, row, r, from);
        if (text != NULL)
            put(w, origin_of(w, from), "%s: %s", row->key, text);
    }
    const struct node *shutdown = from_of(w, &object_timeouts, &r->timeout, "shutdown");
    const struct row *row = schema_row(&object_timeouts, STR("shutdown"));
    put(w, origin_of(w, shutdown), "timeout: {shutdown: %s}",
        value_text(w, row, &r->timeout, shutdown));
    put_nested(w, schema_row(&object_root, STR("dns")), r, MODE_HTTP);
    put_nested(w, schema_row(&object_root, STR("tickets")), r, MODE_HTTP);
    put_log(w, r);
    if (r->config.admin_socket.len > 0)
        put_nested(w, schema_row(&object_root, STR("admin")), r, MODE_HTTP);
}

static void put_all(struct writer *w)
{
    const struct root *r = w->l->binder.root;
    const struct config *c = &r->config;
    put_root(w, r);
    put(w, NULL, "frontends:");
    w->indent = 2;
    for (uint32_t i = 0; i < c->n_frontends; i++)
        put_frontend(w, &c->frontends[i]);
    w->indent = 0;
    if (c->n_backends > 0)
        put(w, NULL, "backends:");
    w->indent = 2;
    for (uint32_t i = 0; i < c->n_backends; i++)
        put_backend(w, &c->backends[i]);
}

bool config_explain(const struct config_source *source, struct findings *f, FILE *out)
{
    struct loaded l;
    if (!load_all(source, f, &l))
        return false;
    struct writer w = {.out = out, .arena = l.binder.arena, .l = &l};
    put_all(&w);
    arena_free(l.binder.arena);
    return true;
}
