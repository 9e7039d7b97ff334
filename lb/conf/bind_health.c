// SPDX-License-Identifier: MIT
// The `health` section of backends and `defaults`: its short forms, the kinds of values that only
// it has, and what the rows cannot say. Called by the engine in place of bind_object().
//
// A short form (`tcp`, `GET /healthz`) is rewritten in the tree into the map that it stands for, so
// that inheritance and origins work as for the long form. A type that is not given follows from the
// keys that are; when they leave it open it is HEALTH_TYPES until verify.c knows the mode of the
// backend. Keys of `defaults` that belong to another type are not looked at.
#include "conf/bind_health.h"

#include <stdio.h>

#include "conf/interpolate.h"
#include "conf/words.h"

#define HTTP (1u << HEALTH_HTTP)
#define TEXT (1u << HEALTH_SEND_EXPECT)
#define MYSQL (1u << HEALTH_MYSQL)
#define POSTGRES (1u << HEALTH_POSTGRES)
#define REDIS (1u << HEALTH_REDIS)
#define SMTP (1u << HEALTH_SMTP)

// What belongs to some types only.
// clang-format off
static const struct { const char *key; uint32_t types; } special[] = {
    {"method", HTTP}, {"path", HTTP}, {"host", HTTP}, {"headers", HTTP}, {"expect-body", HTTP},
    {"expect-header", HTTP}, {"expect", HTTP | TEXT | MYSQL | POSTGRES | REDIS}, {"send", TEXT},
    {"user", MYSQL | POSTGRES | REDIS}, {"password", MYSQL | POSTGRES | REDIS},
    {"database", POSTGRES}, {"max-lag", MYSQL}, {"helo", SMTP},
};
// clang-format on

static uint32_t types_of(struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(special); i++) {
        if (str_eq(key, str_of(special[i].key)))
            return special[i].types;
    }
    return UINT32_MAX;
}

bool health_has_key(enum health_type type, struct str key)
{
    return (types_of(key) >> type & 1) != 0;
}

static const struct row *row_of(const char *key)
{
    return schema_row(&object_health, str_of(key));
}

// ---- short forms ------------------------------------------------------------------------------

static struct entry part(struct binder *b, const struct node *n, const char *key, struct str value)
{
    struct entry e = {.key = arena_alloc(b->arena, sizeof(*e.key)),
                      .value = arena_alloc(b->arena, sizeof(*e.value))};
    *e.key = (struct node){.kind = NODE_SCALAR, .plain = true, .expanded = true, .at = n->at};
    *e.value = *n;
    e.key->text = e.key->value = str_of(key);
    e.value->text = e.value->value = arena_str(b->arena, value);
    return e;
}

// Turns "GET /healthz" or a word into a map. NULL: it is neither (there is a finding).
static struct node *expand(struct binder *b, struct node *n)
{
    if (n == NULL || n->kind == NODE_MAP)
        return n;
    if (n->kind == NODE_LIST) {
        struct finding *x = bind_bad(b, row_of("type"), n, "config.type",
                                     "'health' must be a word or a map, not a list");
        FIX(b, x, "write tcp, GET /healthz or {type: http, path: /healthz}");
        return NULL;
    }
    if (!interpolate(b->arena, b->source, b->findings, n))
        return NULL;
    struct str path = n->value, first = str_cut(&path, ' ');
    if (path.p == NULL && str_starts(first, STR("/"))) {
        struct finding *x = bind_bad(b, row_of("type"), n, "config.health",
                                     "'%.*s' is not a type of check", SHOW(first));
        FIX(b, x, "did you mean 'GET %.*s'?", SHOW(first));
        return NULL;
    }
    struct entry *entries = arena_alloc(b->arena, 3 * sizeof(*entries));
    uint32_t count = 0;
    if (path.p == NULL) {
        entries[count++] = part(b, n, "type", first);
    } else {
        entries[count++] = part(b, n, "type", STR("http"));
        entries[count++] = part(b, n, "method", first);
        entries[count++] = part(b, n, "path", str_trim(path));
    }
    n->kind = NODE_MAP;
    n->entries = entries;
    n->count = count;
    return n;
}

// ---- the type ---------------------------------------------------------------------------------

static enum health_type type_of_keys(const struct node *map)
{
    static const enum health_type clear[] = {HEALTH_HTTP, HEALTH_SEND_EXPECT, HEALTH_SMTP};
    for (uint32_t i = 0; i < map->count; i++) {
        uint32_t types = types_of(map->entries[i].key->text);
        for (size_t k = 0; k < ARRAY_LEN(clear); k++) {
            if (types == 1u << clear[k])
                return clear[k];
        }
    }
    return HEALTH_TYPES;
}

// What a map says, or what its keys belong to; HEALTH_TYPES: open.
static enum health_type type_of(const struct node *map)
{
    const struct node *n = node_get(map, "type");
    if (map == NULL || map->kind != NODE_MAP)
        return HEALTH_TYPES;
    if (n == NULL)
        return type_of_keys(map);
    for (uint32_t i = 0; n->kind == NODE_SCALAR && i < HEALTH_TYPES; i++) {
        if (str_eq(n->value, str_of(health_type_words[i])))
            return (enum health_type)i;
    }
    return HEALTH_TYPES;
}

// "mysql, postgres or redis"
static const char *types_text(struct arena *a, uint32_t types)
{
    const char *text = "";
    for (uint32_t i = 0; i < HEALTH_TYPES; i++) {
        if ((types >> i & 1) == 0)
            continue;
        bool last = types >> i == 1;
        text = arena_printf(a, "%s%s%s", text,
                            text[0] == '\0' ? ""
                            : last          ? " or "
                                            : ", ",
                            health_type_words[i]);
    }
    return text;
}

// Keys that the type does not use.
static void check_keys(struct binder *b, struct node *own, enum health_type type)
{
    for (uint32_t i = 0; i < own->count; i++) {
        struct node *key = own->entries[i].key;
        uint32_t types = types_of(key->text);
        if (types == UINT32_MAX || key->poisoned || own->entries[i].value->poisoned)
            continue;
        struct finding *x;
        const struct row *row = schema_row(&object_health, key->text);
        if (type == HEALTH_TYPES) {
            x = bind_bad(b, row, key, "config.health", "'%.*s' of which type of check?",
                         SHOW(key->text));
            FIX(b, x, "add type: %s", types_text(b->findings->arena, types));
        } else if ((types >> type & 1) == 0) {
            x = bind_bad(b, row, key, "config.health", "'%.*s' has no meaning with type: %s",
                         SHOW(key->text), health_type_words[type]);
            FIX(b, x, "remove it, or write type: %s", types_text(b->findings->arena, types));
        }
    }
}

// ---- expect -----------------------------------------------------------------------------------

static bool parse_statuses(struct str s, struct status_range *out)
{
    uint64_t from, to;
    struct str rest = s, first = str_trim(str_cut(&rest, '-'));
    if (!str_to_u64(first, &from))
        return false;
    to = from;
    if (rest.p != NULL && !str_to_u64(str_trim(rest), &to))
        return false;
    if (from < 100 || to > 599 || from > to)
        return false;
    *out = (struct status_range){(uint16_t)from, (uint16_t)to};
    return true;
}

static void report_statuses(struct binder *b, struct node *n)
{
    struct str s = n->value;
    struct finding *x = bind_bad(b, row_of("expect"), n, "config.health",
                                 "'%.*s' is no status or range of them", SHOW(s));
    if (s.len == 3 && is_digit(s.p[0]) && ascii_lower(s.p[1]) == 'x' && ascii_lower(s.p[2]) == 'x')
        FIX(b, x, "did you mean %c00-%c99?", s.p[0], s.p[0]);
    else if (str_find(s, ',') < s.len)
        FIX(b, x, "write a list: [%.*s]", SHOW(s));
    else
        FIX(b, x, "write 200, 200-399 or [200, 204, 300-399]; statuses go from 100 to 599");
}

static bool is_scalar(struct binder *b, struct node *n)
{
    if (n->kind == NODE_SCALAR)
        return true;
    struct finding *x =
        bind_bad(b, row_of("expect"), n, "config.type", "a status cannot be %s", node_kind_name(n));
    FIX(b, x, "write 200, 200-399 or [200, 204]");
    return false;
}

static void bind_statuses(struct binder *b, struct node *n, struct health *h)
{
    struct node **items;
    uint32_t count = bind_items(&n, &items), kept = 0;
    struct status_range *ranges = arena_alloc(b->arena, (count + 1) * sizeof(*ranges));
    for (uint32_t i = 0; i < count; i++) {
        struct str s;
        if (!is_scalar(b, items[i]) || !bind_text(b, row_of("expect"), items[i], &s))
            continue;
        if (parse_statuses(s, &ranges[kept]))
            kept++;
        else
            report_statuses(b, items[i]);
    }
    if (count == 0) {
        struct finding *x = bind_bad(b, row_of("expect"), n, "config.empty", "'expect' is empty");
        FIX(b, x, "write 200-399, or remove the line");
    }
    h->statuses = ranges;
    h->n_statuses = kept;
}

static void bind_role(struct binder *b, struct node *n, struct health *h)
{
    struct row row = *row_of("expect");
    row.type = VALUE_ENUM;
    row.words = role_words;
    row.offset = offsetof(struct health, role);
    bind_enum(b, &row, n, h);
}

static void bind_expect(struct binder *b, struct node *n, struct health *h)
{
    struct str s;
    if (h->type == HEALTH_HTTP)
        bind_statuses(b, n, h);
    else if (h->type != HEALTH_SEND_EXPECT)
        bind_role(b, n, h);
    else if (bind_text(b, row_of("expect"), n, &s))
        h->expect = s;
}

// ---- the whole --------------------------------------------------------------------------------

static void need(struct binder *b, struct node *own, enum health_type type, const char *key)
{
    const struct row *row = row_of(key);
    struct entry *e = node_entry(own, str_of(key));
    if (own == NULL || own->poisoned || (e != NULL && e->value->poisoned))
        return; // in `defaults`, which is bound by itself, or said already
    struct node *at = node_get(own, "type") != NULL ? node_get(own, "type") : own;
    struct finding *x = bind_bad(b, row, at, "config.health", "a check of type %s needs '%s'",
                                 health_type_words[type], key);
    const char *example = type == HEALTH_SEND_EXPECT ? "PONG" : row->example;
    if (own->count == 1 && at != own)
        FIX(b, x, "write {type: %s, %s: %s}", health_type_words[type], key, example);
    else
        FIX(b, x, "add %s: %s", key, example);
}

static void check_needs(struct binder *b, struct node *own, const struct health *h)
{
    if (h->type == HEALTH_SEND_EXPECT && h->expect.len == 0)
        need(b, own, h->type, "expect");
    if ((h->type == HEALTH_MYSQL || h->type == HEALTH_POSTGRES) && h->user.len == 0)
        need(b, own, h->type, "user");
}

// What the rows leave open: the type, what follows from it, and what contradicts it.
static void complete(struct binder *b, const struct chain *c, struct health *h)
{
    static const struct status_range fine = {200, 399};
    enum health_type own = type_of(c->own), inherited = type_of(c->defaults);
    bool mine = node_get(c->own, "expect") != NULL;
    struct node *expect = node_get(mine ? c->own : c->defaults, "expect");
    struct node *type = node_get(c->own, "type");
    h->type = own != HEALTH_TYPES ? own : inherited;
    if (h->every_down_ms == 0)
        h->every_down_ms = h->every_ms;
    bool wrong = type != NULL && own == HEALTH_TYPES; // bad enough; `off` may keep its keys
    if (c->own != NULL && !wrong && h->type != HEALTH_OFF)
        check_keys(b, c->own, h->type);
    if (expect != NULL && !expect->poisoned && (mine || h->type == inherited) &&
        h->type != HEALTH_TYPES && health_has_key(h->type, STR("expect")))
        bind_expect(b, expect, h);
    else
        bind_origin(b, &object_health, h)->from[row_of("expect") - object_health.rows] = NULL;
    if (h->n_statuses == 0) {
        h->statuses = &fine;
        h->n_statuses = 1;
    }
    check_needs(b, c->own, h);
}

void bind_health(struct binder *b, struct chain *c, struct health *h)
{
    const struct object *outer = b->object;
    b->object = &object_health;
    c->own = expand(b, c->own);
    c->defaults = expand(b, c->defaults);
    bind_object(b, &object_health, c, h);
    complete(b, c, h);
    b->object = outer;
}

// ---- kinds of values --------------------------------------------------------------------------

void bind_method(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s;
    size_t i = 0;
    if (!bind_text(b, row, n, &s))
        return;
    while (i < s.len && s.p[i] >= 'A' && s.p[i] <= 'Z')
        i++;
    if (i == s.len && s.len > 0 && s.len <= 16) {
        *SLOT_OF(struct str, row, target) = s;
        return;
    }
    struct finding *x =
        bind_bad(b, row, n, "config.health", "'%.*s' is not a request method", SHOW(s));
    FIX(b, x, "write GET, HEAD or OPTIONS, in capitals");
}

void bind_target(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s;
    size_t i = 0;
    if (!bind_text(b, row, n, &s))
        return;
    while (i < s.len && s.p[i] > ' ' && s.p[i] < 0x7F && s.p[i] != '#')
        i++;
    if (i == s.len && s.len > 0 && s.p[0] == '/') {
        *SLOT_OF(struct str, row, target) = s;
        return;
    }
    struct finding *x =
        bind_bad(b, row, n, "config.health", "'%.*s' is not the path of a request", SHOW(s));
    if (memmem(s.p, s.len, "://", s.len < 3 ? 0 : 3) != NULL && s.len >= 3)
        FIX(b, x, "write it without scheme and host, which is a key of its own");
    else if (i < s.len && s.p[i] == ' ')
        FIX(b, x, "leave out '%.*s'", SHOW(str_trim(str_from(s.p + i, s.p + s.len))));
    else if (i < s.len)
        FIX(b, x, "write byte 0x%02x percent-encoded: %%%02X", (unsigned char)s.p[i],
            (unsigned char)s.p[i]);
    else
        FIX(b, x, "begin it with '/'");
}

void bind_line(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s;
    if (bind_text(b, row, n, &s) && bind_is_line(b, row, n, s))
        *SLOT_OF(struct str, row, target) = s;
}

static bool is_host(struct binder *b, const struct row *row, struct node *name)
{
    if (!str_caseeq(name->text, STR("Host")))
        return false;
    struct finding *x =
        bind_bad(b, row, name, "config.health", "'Host' is written from a key of its own");
    FIX(b, x, "write host: www.example.com");
    return true;
}

static void report_no_map(struct binder *b, const struct row *row, struct node *n)
{
    struct finding *x = bind_bad(b, row, n, "config.type", "'%s' must be a map, not %s", row->key,
                                 node_kind_name(n));
    FIX(b, x, "write %s: %s", row->key, row->example);
}

void bind_field_map(struct binder *b, const struct row *row, struct node *n, void *target)
{
    if (n->kind != NODE_MAP) {
        report_no_map(b, row, n);
        return;
    }
    struct field_pair *pairs = arena_alloc(b->arena, (n->count + 1) * sizeof(*pairs));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        struct node *name = n->entries[i].key, *value = n->entries[i].value;
        struct str s;
        if (name->poisoned || !bind_is_field_name(b, row, name, name->text) ||
            is_host(b, row, name) || !bind_text(b, row, value, &s) ||
            !bind_is_line(b, row, value, s))
            continue;
        pairs[kept++] = (struct field_pair){name->text, str_trim(s)};
    }
    *SLOT_OF(const struct field_pair *, row, target) = pairs;
    *COUNT_OF(row, target) = kept;
}

void bind_one_field(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str value;
    if (!bind_text(b, row, n, &value) || !bind_is_line(b, row, n, value))
        return;
    struct str name = str_cut(&value, ':');
    if (bind_is_field_name(b, row, n, name))
        *SLOT_OF(struct field_pair, row, target) = (struct field_pair){name, str_trim(value)};
}
