// SPDX-License-Identifier: MIT
// The `headers` section: set, add and remove for requests and responses, in the order written.
// Called by the engine for frontends and backends.
//
// What could break the framing of a message is refused here, once: names are tokens, values hold no
// control characters, and the fields that evlb itself writes are not for others to touch.
#include "conf/bind.h"

#include <stdio.h>

struct ops {
    struct header_op *items;
    uint32_t count;
    size_t cap;
};

struct headers_draft {
    struct binder *binder;
    const struct row *row;
    struct ops request, response;
};

bool bind_is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return s.len > 0;
}

static bool is_in(struct str s, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (str_caseeq(s, str_of(*names)))
            return true;
    }
    return false;
}

static const char *const framing[] = {
    "Content-Length", "Transfer-Encoding", "Connection",     "Keep-Alive", "Proxy-Connection", "TE",
    "Trailer",        "Upgrade",           "HTTP2-Settings", NULL};
static const char *const of_responses[] = {"Server",
                                           "Set-Cookie",
                                           "Location",
                                           "ETag",
                                           "Last-Modified",
                                           "WWW-Authenticate",
                                           "Retry-After",
                                           "X-Powered-By",
                                           "X-Frame-Options",
                                           "X-Content-Type-Options",
                                           "Strict-Transport-Security",
                                           "Content-Security-Policy",
                                           "Access-Control-Allow-Origin",
                                           "Vary",
                                           "Age",
                                           NULL};

bool bind_is_field_name(struct binder *b, const struct row *row, struct node *n, struct str s)
{
    struct finding *x;
    if (!bind_is_token(s)) {
        x = bind_bad(b, row, n, "config.header-name", "'%.*s' is not the name of a header field",
                     SHOW(s));
        FIX(b, x, "use letters, digits and '-'");
        return false;
    }
    if (!is_in(s, framing))
        return true;
    x = bind_bad(b, row, n, "config.header-framing",
                 "'%.*s' frames the message and belongs to evlb", SHOW(s));
    FIX(b, x, "remove it: evlb writes it as the connection needs it");
    return false;
}

static bool check_name(struct headers_draft *d, struct node *name, struct str s,
                       enum header_action action)
{
    struct binder *b = d->binder;
    if (!bind_is_field_name(b, d->row, name, s))
        return false;
    if (!str_caseeq(s, STR("Host")) || action == HEADER_SET)
        return true;
    struct finding *x =
        bind_bad(b, d->row, name, "config.header-framing",
                 action == HEADER_ADD ? "a second 'Host' would make the request invalid"
                                      : "a request without 'Host' is invalid");
    FIX(b, x, "use set: {Host: ...}");
    return false;
}

bool bind_is_line(struct binder *b, const struct row *row, struct node *n, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c >= 0x20 || c == '\t') && c != 0x7F)
            continue;
        const char *what = c == '\r' || c == '\n' ? "a line break" : "a control character";
        struct finding *x;
        if (row->type == VALUE_LINE)
            x = bind_bad(b, row, n, "config.text", "'%s' cannot hold %s", row->key, what);
        else
            x = bind_bad(b, row, n, "config.header-value", "a header value cannot hold %s", what);
        FIX(b, x, "write it on one line");
        return false;
    }
    return true;
}

static void append(struct headers_draft *d, struct ops *ops, struct header_op op)
{
    struct arena *a = d->binder->arena;
    op.name = arena_str(a, op.name);
    op.value = arena_str(a, str_trim(op.value));
    ops->items = arena_grow(a, ops->items, ops->count, &ops->cap, sizeof(*ops->items));
    ops->items[ops->count++] = op;
}

static void warn_response_field(struct headers_draft *d, struct node *name, struct str s,
                                const char *action)
{
    if (!is_in(s, of_responses))
        return;
    struct finding *x =
        diag_warning(d->binder->findings, name->at, "lint.response-header",
                     "'%.*s' is a field of responses, but this changes requests", SHOW(s));
    FIX(d->binder, x, "did you mean headers: {response: {%s: ...}}?", action);
}

static void bind_field(struct headers_draft *d, struct ops *ops, struct entry *e,
                       enum header_action action)
{
    struct node **items;
    uint32_t n = bind_items(&e->value, &items);
    if (e->key->poisoned || !check_name(d, e->key, e->key->text, action))
        return;
    for (uint32_t i = 0; i < n; i++) {
        struct str value;
        struct row row = {.key = e->key->text.p, .type = VALUE_TEXT};
        if (!bind_text(d->binder, &row, items[i], &value) ||
            !bind_is_line(d->binder, d->row, items[i], value))
            continue;
        // `set` with a list: the first replaces, the others are added
        enum header_action first = i > 0 ? HEADER_ADD : action;
        append(d, ops, (struct header_op){first, e->key->text, value, items[i]->secret});
    }
}

static void bind_removals(struct headers_draft *d, struct ops *ops, const struct row *row,
                          struct node *n)
{
    struct node **items;
    uint32_t count = bind_items(&n, &items);
    for (uint32_t i = 0; i < count; i++) {
        struct str name;
        if (bind_text(d->binder, row, items[i], &name) &&
            check_name(d, items[i], name, HEADER_REMOVE)) {
            append(d, ops, (struct header_op){HEADER_REMOVE, name, STR_NONE, false});
            if (ops == &d->request)
                warn_response_field(d, items[i], name, row->key);
        }
    }
}

static void bind_fields(struct headers_draft *d, struct ops *ops, const struct row *row,
                        struct node *n)
{
    if (n->kind != NODE_MAP) {
        struct finding *x = bind_bad(d->binder, d->row, n, "config.type",
                                     "'%s' must be a map, not %s", row->key, node_kind_name(n));
        FIX(d->binder, x, "write %s: %s", row->key, row->example);
        return;
    }
    enum header_action action = strcmp(row->key, "set") == 0 ? HEADER_SET : HEADER_ADD;
    for (uint32_t i = 0; i < n->count; i++) {
        bind_field(d, ops, &n->entries[i], action);
        if (ops == &d->request)
            warn_response_field(d, n->entries[i].key, n->entries[i].key->text, row->key);
    }
}

static void bind_side(struct headers_draft *d, struct ops *ops, const struct object *o,
                      struct node *map)
{
    const struct object *const objects[3] = {o, NULL, NULL};
    if (map->kind != NODE_MAP) {
        struct finding *x = bind_bad(d->binder, d->row, map, "config.type",
                                     "%s must be a map, not %s", o->title, node_kind_name(map));
        FIX(d->binder, x, "write set: {NAME: VALUE} or remove: [NAME] below it");
        return;
    }
    bind_check_keys(d->binder, map, objects);
    for (uint32_t i = 0; i < map->count; i++) {
        struct entry *e = &map->entries[i];
        const struct row *row = schema_row(o, e->key->text);
        if (row == NULL || e->key->poisoned || e->value->poisoned)
            continue;
        if (row->type == VALUE_FIELDS)
            bind_fields(d, ops, row, e->value);
        else if (row->type == VALUE_FIELD_NAMES)
            bind_removals(d, ops, row, e->value);
        else
            bind_side(d, strcmp(row->key, "request") == 0 ? &d->request : &d->response, row->object,
                      e->value);
    }
}

void bind_headers(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct headers_draft d = {.binder = b, .row = row};
    bind_side(&d, &d.request, &object_headers, n);
    *SLOT_OF(struct header_ops, row, target) = (struct header_ops){
        .request = d.request.items,
        .response = d.response.items,
        .n_request = d.request.count,
        .n_response = d.response.count,
    };
}
