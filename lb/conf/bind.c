// SPDX-License-Identifier: MIT
// The engine that fills structs from the tree by the rows of the schema. Called by load.c after
// the files are merged.
//
//   for each row:  own key -> `defaults` (ROW_DEFAULTS) -> top level (ROW_GLOBAL) -> row->fallback
//
// Inheritance works on the tree, not on the structs: a nested map (timeout) is looked up in each of
// the three places, so "defaults" may give one timeout and a frontend another. A node with a
// finding is poisoned: whoever meets it again takes the default and stays silent.
#include "conf/bind.h"

#include <stdarg.h>
#include <stdio.h>

#include "conf/bind_health.h"
#include "conf/bind_server_tls.h"
#include "conf/interpolate.h"

static bind_fn *const binders[VALUE_TYPES] = {
    [VALUE_BOOL] = bind_bool,
    [VALUE_U32] = bind_number,
    [VALUE_U16] = bind_number,
    [VALUE_DURATION] = bind_duration,
    [VALUE_SIZE] = bind_size,
    [VALUE_ENUM] = bind_enum,
    [VALUE_FIXED] = bind_fixed,
    [VALUE_TEXT] = bind_plain_text,
    [VALUE_PATH] = bind_path,
    [VALUE_DIRECTORY] = bind_directory,
    [VALUE_ACCOUNT] = bind_account,
    [VALUE_NETS] = bind_nets,
    [VALUE_LISTEN_ADDRESS] = bind_listen_address,
    [VALUE_SERVER_ADDRESS] = bind_server_address,
    [VALUE_HOSTS] = bind_hosts,
    [VALUE_PATHS] = bind_paths,
    [VALUE_ALPN] = bind_alpn,
    [VALUE_REDIRECT] = bind_redirect,
    [VALUE_BACKEND_NAME] = bind_backend_name,
    [VALUE_HASH_ON] = bind_hash_on,
    [VALUE_HEADERS] = bind_headers,
    [VALUE_ACCESS_LOG] = bind_access_log,
    [VALUE_RETRY_ON] = bind_retry_on,
    [VALUE_IP] = bind_ip,
    [VALUE_DNS_SERVERS] = bind_dns_servers,
    [VALUE_METHOD] = bind_method,
    [VALUE_TARGET] = bind_target,
    [VALUE_LINE] = bind_line,
    [VALUE_FIELD] = bind_one_field,
    [VALUE_FIELDS] = bind_field_map,
    [VALUE_CERTS] = bind_certs,
    [VALUE_TICKET_KEYS] = bind_ticket_keys,
    [VALUE_CLIENT_CERT] = bind_client_cert,
    [VALUE_CHECK_CERT] = bind_check_cert,
    [VALUE_PEM_FILE] = bind_pem_file,
    [VALUE_SERVER_NAME] = bind_server_name,
    // include is read by include.c; `expect` of a check by bind_health.c; listen, servers, routes
    // and the sections as a whole by bind_front.c and bind_back.c
};

static void set_topic(struct binder *b, struct finding *x, const struct row *row)
{
    char path[128];
    if (b->object == NULL || row == NULL)
        return;
    schema_path(b->object, row, path, sizeof(path));
    x->topic = arena_strdup(b->findings->arena, str_of(path));
}

// The message about a secret does not quote it: what callers would say is dropped.
static struct finding *bad_secret(struct binder *b, const struct row *row, struct node *n,
                                  const char *id)
{
    bool known = row != NULL && row->type != VALUE_PLANNED;
    struct finding *x =
        diag_error(b->findings, n->at, id, "the value from %s is not valid%s%s%s", n->origin,
                   known ? " for '" : "", known ? row->key : "", known ? "'" : "");
    set_topic(b, x, row);
    FIX(b, x, "it must be %s", known ? value_kinds[row->type].how : "one that is accepted here");
    return diag_scratch(b->findings);
}

struct finding *bind_bad(struct binder *b, const struct row *row, struct node *n, const char *id,
                         const char *fmt, ...)
{
    n->poisoned = true;
    if (n->secret)
        return bad_secret(b, row, n, id);
    va_list args;
    va_start(args, fmt);
    const char *message = arena_vprintf(b->findings->arena, fmt, args);
    va_end(args);
    struct finding *x = diag_error(b->findings, n->at, id, "%s", message);
    set_topic(b, x, row);
    return x;
}

bool bind_text(struct binder *b, const struct row *row, struct node *n, struct str *text)
{
    if (n->poisoned)
        return false;
    if (n->kind != NODE_SCALAR) {
        struct finding *x =
            bind_bad(b, row, n, "config.type", "'%s' must be a single value, not %s", row->key,
                     node_kind_name(n));
        if (row->words != NULL && row->type == VALUE_ENUM)
            FIX(b, x, "one of: %s", bind_word_list(b, row));
        else
            FIX(b, x, "write %s", value_kinds[row->type].how);
        return false;
    }
    if (!interpolate(b->arena, b->source, b->findings, n))
        return false;
    *text = n->value;
    return true;
}

uint32_t bind_items(struct node **n, struct node ***items)
{
    bool list = (*n)->kind == NODE_LIST;
    *items = list ? (*n)->items : n;
    return list ? (*n)->count : 1;
}

bool bind_name(struct binder *b, struct node *key, const char *what)
{
    struct str s = key->text;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool fine = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                    c == '.' || c == '-';
        if (!fine) {
            struct finding *x = bind_bad(b, NULL, key, "config.name",
                                         "'%.*s' cannot be the name of %s", SHOW(s), what);
            FIX(b, x, "use letters, digits, '_', '.' and '-'");
            return false;
        }
    }
    if (s.len > 0 && s.len <= NAME_MAX_BYTES)
        return true;
    struct finding *x =
        bind_bad(b, NULL, key, "config.name", "the name of %s must have 1 to %d characters", what,
                 NAME_MAX_BYTES);
    FIX(b, x, s.len == 0 ? "give it a name" : "shorten it");
    return false;
}

bool bind_is_extension(const struct node *key)
{
    return str_starts(key->text, STR("x-"));
}

struct node *bind_get(const struct object *o, struct node *n, const char *key)
{
    if (n == NULL)
        return NULL;
    if (n->kind == NODE_MAP)
        return node_get(n, key);
    return o->short_key != NULL && strcmp(o->short_key, key) == 0 && !node_is_empty(n) ? n : NULL;
}

// ---- keys -------------------------------------------------------------------------------------

void bind_report_unknown(struct binder *b, struct finding *x, const struct foreign_word *w,
                         const struct suggestion *s)
{
    if (w != NULL) {
        FIX(b, x, "%s", w->here);
        NOTE(b, x, "in %s '%s' means: %s", w->from, w->word, w->meaning);
    } else if (s->best.p != NULL) {
        FIX(b, x, "did you mean '%.*s'?", STR_FMT(s->best));
    }
}

static void offer_rows(struct suggestion *s, const struct object *o)
{
    for (size_t i = 0; i < o->n_rows; i++) {
        if (o->rows[i].type != VALUE_PLANNED)
            suggest_offer(s, str_of(o->rows[i].key));
    }
}

// "one of: a, b, c"
static void note_keys(struct binder *b, struct finding *x, const struct object *o)
{
    struct arena *a = b->findings->arena;
    const char *list = "";
    for (size_t i = 0; i < o->n_rows; i++) {
        if (o->rows[i].type != VALUE_PLANNED)
            list = arena_printf(a, "%s%s%s", list, list[0] != '\0' ? ", " : "", o->rows[i].key);
    }
    NOTE(b, x, "one of: %s", list);
}

// An object that has a row of this name, for "belongs to": one of a frontend or backend rather than
// `defaults` or the top level.
static const struct object *elsewhere(struct str key)
{
    const struct object *general = NULL;
    for (const struct object *const *o = schema_objects; *o != NULL; o++) {
        const struct row *row = schema_row(*o, key);
        if (row == NULL || row->type == VALUE_PLANNED)
            continue;
        if (strchr((*o)->path, '*') != NULL)
            return *o;
        if (general == NULL)
            general = *o;
    }
    return general;
}

// At the top level: a map or list under a name of the user's own belongs one level down.
static bool report_own_name(struct binder *b, struct finding *x, const struct node *value)
{
    if (value->kind == NODE_SCALAR)
        return false;
    bool front = value->kind == NODE_MAP && node_get(value, "listen") != NULL;
    FIX(b, x, "is it a %s? then move it below '%s'", front ? "frontend" : "backend",
        front ? "frontends" : "backends");
    return true;
}

// "tls: {ca: ...}", for keys that stand one level too high. NULL: there is no such level.
static const char *one_level_down(struct binder *b, struct str key,
                                  const struct object *const objects[3])
{
    const char *text = NULL;
    for (size_t k = 0; k < 3 && objects[k] != NULL; k++) {
        for (size_t i = 0; i < objects[k]->n_rows; i++) {
            const struct row *row = &objects[k]->rows[i];
            const struct row *inner =
                row->type == VALUE_OBJECT ? schema_row(row->object, key) : NULL;
            if (inner != NULL && inner->type != VALUE_PLANNED)
                text = arena_printf(b->findings->arena, "%s%s%s: {%.*s: ...}",
                                    text != NULL ? text : "", text != NULL ? " or " : "", row->key,
                                    SHOW(key));
        }
    }
    return text;
}

static void report_unknown_key(struct binder *b, const struct entry *e,
                               const struct object *const objects[3])
{
    struct node *key = e->key;
    const struct object *o = objects[0], *other = elsewhere(key->text);
    const struct foreign_word *w = foreign_find(key->text, o->id);
    if (w == NULL)
        w = foreign_find(key->text, NULL);
    if (w != NULL && other != NULL && !str_caseeq(key->text, str_of(w->word)))
        w = NULL; // one of ours, in another place
    bool top = o->path[0] == '\0';
    struct finding *x = bind_bad(b, NULL, key, "config.unknown-key", "unknown key '%.*s' %s %s",
                                 SHOW(key->text), top ? "at" : "in", o->title);
    if (!top)
        x->topic = o->path;
    // "server" is a word of HAProxy, but in a timeout it is one of ours in the wrong place
    struct suggestion s = suggest_begin(key->text);
    for (size_t i = 0; i < 3 && objects[i] != NULL; i++)
        offer_rows(&s, objects[i]);
    if (s.best.p != NULL && foreign_same(s.best, key->text))
        w = NULL; // one of ours, spelled otherwise
    const char *down = one_level_down(b, key->text, objects);
    if (w != NULL && (other == NULL || strstr(o->path, "timeout") == NULL)) {
        bind_report_unknown(b, x, w, &s);
        return;
    }
    if (other == &object_server && o != &object_server)
        FIX(b, x, "'%.*s' belongs to a server; for all of them: server-defaults: {%.*s: ...}",
            SHOW(key->text), SHOW(key->text));
    else if (down != NULL)
        FIX(b, x, "write %s", down);
    else if (other != NULL)
        FIX(b, x, "'%.*s' belongs to %s", SHOW(key->text), other->title);
    else if (s.best.p != NULL || !top || !report_own_name(b, x, e->value))
        bind_report_unknown(b, x, NULL, &s);
    if ((s.best.p == NULL || other != NULL) && down == NULL)
        note_keys(b, x, o);
}

static void report_planned(struct binder *b, struct node *key, const struct row *row)
{
    struct finding *x =
        bind_bad(b, row, key, "config.planned", "'%s' is not in this version", row->key);
    x->topic = NULL;
    FIX(b, x, "leave it out: it is planned for a later one");
    NOTE(b, x, "%s: %s", row->key, row->doc);
}

void bind_check_keys(struct binder *b, struct node *map, const struct object *const objects[3])
{
    for (uint32_t i = 0; map != NULL && map->kind == NODE_MAP && i < map->count; i++) {
        struct node *key = map->entries[i].key;
        const struct row *row = NULL;
        for (size_t k = 0; k < 3 && objects[k] != NULL && row == NULL; k++)
            row = schema_row(objects[k], key->text);
        if (key->poisoned || bind_is_extension(key))
            continue;
        if (row == NULL)
            report_unknown_key(b, &map->entries[i], objects);
        else if (row->type == VALUE_PLANNED)
            report_planned(b, key, row);
    }
}

// ---- objects ----------------------------------------------------------------------------------

const struct bound *bind_origin(const struct binder *b, const struct object *o, const void *target)
{
    const void *const key[2] = {o, target};
    return map_get(&b->bounds, (struct str){(const char *)key, sizeof(key)});
}

static struct bound *remember(struct binder *b, const struct object *o, const void *target)
{
    const void **key = arena_alloc(b->arena, 2 * sizeof(*key));
    struct bound *bound = arena_alloc(b->arena, sizeof(*bound));
    key[0] = o;
    key[1] = target;
    *bound = (struct bound){o, target, arena_alloc(b->arena, o->n_rows * sizeof(*bound->from))};
    map_put(&b->bounds, (struct str){(const char *)key, 2 * sizeof(*key)}, bound);
    return bound;
}

static struct node *usable(struct node *n)
{
    return n != NULL && !n->poisoned ? n : NULL;
}

bool bind_is_of_clients(const struct binder *b, const struct node *backend)
{
    return backend == b->tree && node_get(b->tree, "listen") != NULL;
}

// In the short form the top level is frontend and backend too, but max-connections means the
// process there, and headers are those of the frontend alone: `add` must not act twice. So is tls.
static bool is_not_ours(const struct binder *b, const struct row *row, const struct chain *c)
{
    if (c->own != b->tree || b->object == &object_root)
        return false;
    if ((row->type == VALUE_HEADERS || row->object == &object_server_tls) &&
        b->object == &object_backend)
        return bind_is_of_clients(b, c->own);
    return schema_row(&object_root, str_of(row->key)) != NULL && (row->flags & ROW_GLOBAL) == 0;
}

static struct node *find_value(const struct binder *b, const struct row *row, const struct chain *c)
{
    const struct object *o = b->object;
    struct node *n = is_not_ours(b, row, c) ? NULL : usable(bind_get(o, c->own, row->key));
    if (n == NULL && (row->flags & ROW_DEFAULTS) != 0)
        n = usable(bind_get(o, c->defaults, row->key));
    if (n == NULL && (row->flags & ROW_GLOBAL) != 0)
        n = usable(bind_get(o, c->global, row->key));
    return n;
}

static bool needs_items(enum value_type type)
{
    return type == VALUE_LISTENS || type == VALUE_SERVERS || type == VALUE_ROUTES ||
           type == VALUE_HOSTS || type == VALUE_PATHS || type == VALUE_ALPN || type == VALUE_CERTS;
}

static bool is_filled(struct binder *b, const struct row *row, struct node *n)
{
    bool no_items = n->kind != NODE_SCALAR && n->count == 0 && needs_items(row->type);
    if (!node_is_empty(n) && !no_items)
        return true;
    struct finding *x = bind_bad(b, row, n, "config.empty", "'%s' has no value", row->key);
    FIX(b, x, "give it one, or remove the line");
    if (row->example != NULL)
        NOTE(b, x, "example: %s: %s", row->key, row->example);
    return false;
}

static void bind_nested(struct binder *b, const struct row *row, const struct chain *c,
                        void *target)
{
    const struct object *o = row->object;
    struct chain inner = {.at = c->at};
    inner.own = usable(c->own != NULL ? node_get(c->own, row->key) : NULL);
    if (is_not_ours(b, row, c))
        inner.own = NULL;
    inner.shared = c->own == b->tree && (row->flags & ROW_GLOBAL) != 0;
    if ((row->flags & ROW_DEFAULTS) != 0)
        inner.defaults = usable(node_get(c->defaults, row->key));
    if ((row->flags & ROW_GLOBAL) != 0)
        inner.global = usable(node_get(c->global, row->key));
    if (inner.own != NULL && !is_filled(b, row, inner.own))
        inner.own = NULL;
    if (inner.own != NULL && inner.own->kind != NODE_MAP && o->short_key == NULL) {
        struct finding *x = bind_bad(b, row, inner.own, "config.type", "'%s' must be a map, not %s",
                                     row->key, node_kind_name(inner.own));
        FIX(b, x, "write %s: %s", row->key, row->example);
        inner.own = NULL;
    }
    if (inner.own == NULL && (row->flags & ROW_ABSENT) != 0)
        return;
    if ((row->flags & ROW_POINTER) != 0 && b->object == &object_server) {
        ((struct server *)target)->tls = bind_server_tls(b, target, c);
        return;
    }
    bool scratch = (row->flags & (ROW_SCRATCH | ROW_POINTER)) != 0;
    void *slot = scratch ? arena_alloc(b->arena, o->size) : (char *)target + row->offset;
    if (o == &object_health)
        bind_health(b, &inner, slot);
    else if (o == &object_tls)
        bind_tls(b, &inner, slot);
    else
        bind_object(b, o, &inner, slot);
}

static void bind_default(struct binder *b, const struct row *row, void *target)
{
    struct node n = {.kind = NODE_SCALAR, .plain = true, .expanded = true};
    if (row->fallback == NULL || binders[row->type] == NULL)
        return;
    n.text = n.value = str_of(row->fallback);
    binders[row->type](b, row, &n, target);
}

static void report_missing(struct binder *b, const struct row *row, const struct chain *c)
{
    struct finding *x = diag_error(b->findings, c->at, "config.missing", "%s needs '%s'",
                                   b->object->title, row->key);
    set_topic(b, x, row);
    FIX(b, x, "add %s: %s", row->key, row->example);
}

static void bind_row(struct binder *b, const struct row *row, const struct chain *c, void *target,
                     struct node **from)
{
    if (row->type == VALUE_OBJECT) {
        bind_nested(b, row, c, target);
        return;
    }
    struct node *n = find_value(b, row, c);
    bool said = bind_get(b->object, c->own, row->key) != NULL;
    if (n != NULL && is_filled(b, row, n) && binders[row->type] != NULL)
        binders[row->type](b, row, n, target);
    if (n != NULL && !n->poisoned)
        *from = n;
    else
        bind_default(b, row, target);
    if (!said && n == NULL && (row->flags & ROW_REQUIRED) != 0)
        report_missing(b, row, c);
}

void bind_object(struct binder *b, const struct object *o, const struct chain *c, void *target)
{
    const struct object *outer = b->object;
    const struct object *const objects[3] = {o, NULL, NULL};
    struct bound *bound = remember(b, o, target);
    if (c->own != b->tree && !c->shared) // the top level is checked with the short form in mind
        bind_check_keys(b, c->own, objects);
    for (size_t i = 0; i < o->n_rows; i++) {
        b->object = o;
        if (o->rows[i].type != VALUE_PLANNED)
            bind_row(b, &o->rows[i], c, target, &bound->from[i]);
    }
    b->object = outer;
}

struct chain bind_chain(const struct binder *b, struct node *own, struct span at)
{
    return (struct chain){
        .own = own, .defaults = node_get(b->tree, "defaults"), .global = b->tree, .at = at};
}

// The short form: `listen` or `servers` at the top level.
static bool has_short_form(const struct binder *b)
{
    return node_get(b->tree, "listen") != NULL || node_get(b->tree, "servers") != NULL;
}

static void report_homeless(struct binder *b, struct node *key, const struct object *o)
{
    struct finding *x = bind_bad(
        b, schema_row(o, key->text), key, "config.place",
        "'%.*s' at the top level belongs to the short form (listen, servers)", SHOW(key->text));
    FIX(b, x, "move it into %s", o->title);
}

// `backend: {app: [...]}`, which is the name of one backend here.
static void check_singular(struct binder *b)
{
    struct entry *e = node_entry(b->tree, STR("backend"));
    if (e == NULL || e->key->poisoned || e->value->kind == NODE_SCALAR)
        return;
    struct finding *x = bind_bad(b, NULL, e->key, "config.unknown-key",
                                 "'backend' at the top level names one backend");
    FIX(b, x, "did you mean 'backends'?");
    e->value->poisoned = true;
}

static void check_top_level(struct binder *b)
{
    const struct object *const all[3] = {&object_root, &object_frontend, &object_backend};
    check_singular(b);
    bind_check_keys(b, b->tree, all);
    if (has_short_form(b))
        return;
    for (uint32_t i = 0; i < b->tree->count; i++) {
        struct node *key = b->tree->entries[i].key;
        if (key->poisoned || schema_row(&object_root, key->text) != NULL)
            continue;
        if (schema_row(&object_frontend, key->text) != NULL)
            report_homeless(b, key, &object_frontend);
        else if (schema_row(&object_backend, key->text) != NULL)
            report_homeless(b, key, &object_backend);
    }
}

void bind_all(struct binder *b)
{
    struct chain c = {.own = b->tree, .at = b->tree->at};
    check_top_level(b);
    bind_object(b, &object_root, &c, b->root);
    b->root->config.shutdown_ms = b->root->timeout.shutdown;
    bind_backends(b);
    bind_frontends(b);
}
