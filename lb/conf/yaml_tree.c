// SPDX-License-Identifier: MIT
// libyaml's events -> a tree of nodes. Used by the loader for every file. This file and
// yaml_error.c are the only ones that know libyaml.
//
// libyaml has no cap on depth, and aliases can stand for far more than the bytes of a file, so the
// caps are here: depth, nodes (aliases counted with all they stand for), number of aliases. An
// anchor is known only when its node is complete: the tree has no cycles, but nodes may be shared.
#include "conf/yaml_tree.h"

#include <yaml.h>

#include "base/map.h"
#include "conf/yaml_error.h"

struct builder {
    struct arena *arena;
    struct findings *findings;
    const struct conf_file *file;
    struct yaml_budget *budget;
    yaml_parser_t parser;
    struct map anchors; // name -> complete node
    uint32_t depth;
    bool failed;
};

static struct node *build(struct builder *b, const yaml_event_t *event);

static struct span span_of(const struct builder *b, const yaml_event_t *e)
{
    return (struct span){b->file, (uint32_t)e->start_mark.line + 1,
                         (uint32_t)e->start_mark.column + 1, (uint32_t)e->end_mark.line + 1,
                         (uint32_t)e->end_mark.column + 1};
}

static struct finding *fail(struct builder *b, struct span at, const char *id, const char *message)
{
    b->failed = true;
    return diag_error(b->findings, at, id, "%s", message);
}

static void fail_limit(struct builder *b, struct span at, const char *message)
{
    struct finding *x = fail(b, at, "yaml.limit", message);
    diag_fix(b->findings, x, "split it into several balancers");
}

// False after a syntax error; then the finding is there.
static bool next_event(struct builder *b, yaml_event_t *event)
{
    if (yaml_parser_parse(&b->parser, event))
        return true;
    b->failed = true;
    yaml_report_error(&b->parser, b->file, b->findings);
    return false;
}

static struct node *new_node(struct builder *b, enum node_kind kind, const yaml_event_t *event)
{
    struct node *n = arena_alloc(b->arena, sizeof(*n));
    n->kind = kind;
    n->at = span_of(b, event);
    n->weight = 1;
    if (++b->budget->nodes > YAML_NODES_MAX)
        fail_limit(b, n->at, "more than 1000000 values in one configuration");
    return n;
}

static const char *anchor_of(const yaml_event_t *e)
{
    yaml_char_t *anchor = NULL;
    if (e->type == YAML_SCALAR_EVENT)
        anchor = e->data.scalar.anchor;
    else if (e->type == YAML_SEQUENCE_START_EVENT)
        anchor = e->data.sequence_start.anchor;
    else if (e->type == YAML_MAPPING_START_EVENT)
        anchor = e->data.mapping_start.anchor;
    return (const char *)anchor;
}

static const char *tag_of(const yaml_event_t *e)
{
    yaml_char_t *tag = NULL;
    if (e->type == YAML_SCALAR_EVENT)
        tag = e->data.scalar.tag;
    else if (e->type == YAML_SEQUENCE_START_EVENT)
        tag = e->data.sequence_start.tag;
    else if (e->type == YAML_MAPPING_START_EVENT)
        tag = e->data.mapping_start.tag;
    return (const char *)tag;
}

static struct node *build_alias(struct builder *b, const yaml_event_t *event)
{
    struct str name = str_of((const char *)event->data.alias.anchor);
    struct node *n = map_get(&b->anchors, name);
    if (n == NULL) {
        b->failed = true;
        struct finding *x = diag_error(b->findings, span_of(b, event), "yaml.alias",
                                       "there is no anchor '&%.*s' above this line", SHOW(name));
        diag_fix(b->findings, x, "a text that begins with '*' must stand in quotes");
        return NULL;
    }
    b->budget->nodes += n->weight;
    if (++b->budget->aliases > YAML_ALIASES_MAX || b->budget->nodes > YAML_NODES_MAX)
        fail_limit(b, span_of(b, event),
                   "the aliases stand for too many values (10000 aliases, 1000000 values at most)");
    return n;
}

static struct node *build_scalar(struct builder *b, const yaml_event_t *event)
{
    struct node *n = new_node(b, NODE_SCALAR, event);
    struct str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    n->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    n->text = arena_str(b->arena, text);
    return n;
}

// Takes the next event as a node. Sets *end instead when it is the event `last`.
static struct node *build_next(struct builder *b, yaml_event_type_t last, bool *end)
{
    yaml_event_t event;
    if (!next_event(b, &event))
        return NULL;
    *end = event.type == last;
    struct node *n = *end ? NULL : build(b, &event);
    yaml_event_delete(&event);
    return b->failed ? NULL : n;
}

static void close_span(struct node *n, const struct node *last)
{
    n->at.end_line = last != NULL ? last->at.end_line : n->at.line;
    n->at.end_column = last != NULL ? last->at.end_column : n->at.column + 1;
}

static struct node *build_list(struct builder *b, const yaml_event_t *event)
{
    struct node *n = new_node(b, NODE_LIST, event), *item = NULL;
    size_t cap = 0;
    for (bool end = false; !b->failed;) {
        struct node *next = build_next(b, YAML_SEQUENCE_END_EVENT, &end);
        if (end || next == NULL)
            break;
        item = next;
        n->items = arena_grow(b->arena, n->items, n->count, &cap, sizeof(*n->items));
        n->items[n->count++] = item;
        n->weight += item->weight;
    }
    close_span(n, item);
    return n;
}

static bool check_key(struct builder *b, const struct node *key)
{
    if (key->kind != NODE_SCALAR) {
        struct finding *x =
            fail(b, key->at, "yaml.key", "a key must be a word, not a map or a list");
        diag_fix(b->findings, x, "write 'key: value'");
        return false;
    }
    if (key->plain && str_eq(key->text, STR("<<"))) {
        struct finding *x = fail(b, key->at, "yaml.merge", "merge keys ('<<') are not supported");
        diag_fix(b->findings, x,
                 "use 'defaults' or 'server-defaults', or an alias for a whole value");
        return false;
    }
    return true;
}

static void report_duplicate(struct builder *b, const struct node *key, const struct node *before)
{
    struct finding *x = diag_error(b->findings, key->at, "config.duplicate",
                                   "'%.*s' is given twice", SHOW(key->text));
    diag_fix(b->findings, x, "keep one of the two (the first is in line %u)", before->at.line);
}

static struct node *build_map(struct builder *b, const yaml_event_t *event)
{
    struct node *n = new_node(b, NODE_MAP, event), *last = NULL;
    struct map seen = {.arena = b->arena};
    size_t cap = 0;
    for (bool end = false; !b->failed;) {
        struct node *key = build_next(b, YAML_MAPPING_END_EVENT, &end);
        if (end || key == NULL || !check_key(b, key))
            break;
        struct node *value = build_next(b, YAML_NO_EVENT, &end);
        if (value == NULL)
            break;
        last = value;
        n->weight += key->weight + value->weight;
        struct node *before = map_get(&seen, key->text);
        if (before != NULL) {
            report_duplicate(b, key, before);
            continue;
        }
        map_put(&seen, key->text, key);
        n->entries = arena_grow(b->arena, n->entries, n->count, &cap, sizeof(*n->entries));
        n->entries[n->count++] = (struct entry){key, value};
    }
    close_span(n, last);
    return n;
}

// Tags that say what the schema knows anyway are let through.
static bool tag_is_harmless(const char *tag)
{
    static const char *const harmless[] = {"!",
                                           "tag:yaml.org,2002:str",
                                           "tag:yaml.org,2002:int",
                                           "tag:yaml.org,2002:bool",
                                           "tag:yaml.org,2002:seq",
                                           "tag:yaml.org,2002:map"};
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
        if (strcmp(tag, harmless[i]) == 0)
            return true;
    }
    return false;
}

static struct node *build_deeper(struct builder *b, const yaml_event_t *event)
{
    if (b->depth >= YAML_DEPTH_MAX) {
        struct finding *x =
            fail(b, span_of(b, event), "yaml.limit", "nested deeper than 64 levels");
        diag_fix(b->findings, x, "no key needs more than 8");
        return NULL;
    }
    b->depth++;
    struct node *n =
        event->type == YAML_SEQUENCE_START_EVENT ? build_list(b, event) : build_map(b, event);
    b->depth--;
    return n;
}

static struct node *build(struct builder *b, const yaml_event_t *event)
{
    const char *anchor = anchor_of(event), *tag = tag_of(event);
    if (event->type == YAML_ALIAS_EVENT)
        return build_alias(b, event);
    if (tag != NULL && !tag_is_harmless(tag)) {
        struct finding *x = fail(b, span_of(b, event), "yaml.tag", "YAML tags are not used here");
        diag_fix(b->findings, x, "leave the word that begins with '!' away, or quote the text");
        return NULL;
    }
    struct node *n =
        event->type == YAML_SCALAR_EVENT ? build_scalar(b, event) : build_deeper(b, event);
    if (anchor != NULL && n != NULL && !b->failed)
        map_put(&b->anchors, arena_str(b->arena, str_of(anchor)), n);
    return n;
}

static struct node *empty_map(struct builder *b)
{
    struct node *n = arena_alloc(b->arena, sizeof(*n));
    n->kind = NODE_MAP;
    n->at = (struct span){b->file, 0, 0, 0, 0};
    n->weight = 1;
    return n;
}

// Stream start, then one document, then stream end.
static struct node *build_stream(struct builder *b)
{
    struct node *root = NULL;
    yaml_event_t event;
    for (bool end = false; !end && !b->failed;) {
        if (!next_event(b, &event))
            return NULL;
        end = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && root != NULL) {
            struct finding *x = fail(b, span_of(b, &event), "yaml.documents",
                                     "a second document ('---') in the same file");
            diag_fix(b->findings, x, "put it into a file of its own and use 'include'");
        } else if (event.type == YAML_DOCUMENT_START_EVENT) {
            root = build_next(b, YAML_NO_EVENT, &end);
        }
        yaml_event_delete(&event);
    }
    return root != NULL ? root : empty_map(b);
}

static bool encoding_is_utf8(struct builder *b)
{
    struct str t = b->file->text;
    if (!str_starts(t, STR("\xFF\xFE")) && !str_starts(t, STR("\xFE\xFF")))
        return true;
    struct finding *x = fail(b, (struct span){.file = b->file}, "yaml.encoding",
                             "the file is in UTF-16, not in UTF-8");
    diag_fix(b->findings, x, "save it as UTF-8");
    return false;
}

struct node *yaml_parse(struct arena *a, const struct conf_file *file, struct yaml_budget *budget,
                        struct findings *f)
{
    struct builder b = {.arena = a, .findings = f, .file = file, .budget = budget};
    b.anchors.arena = a;
    if (!encoding_is_utf8(&b))
        return NULL;
    lb_assert(yaml_parser_initialize(&b.parser)); // fails only without memory
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)file->text.p, file->text.len);
    struct node *root = build_stream(&b);
    yaml_parser_delete(&b.parser);
    return b.failed ? NULL : root;
}

struct entry *node_entry(const struct node *map, struct str key)
{
    if (map == NULL || map->kind != NODE_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->count; i++) {
        if (str_eq(map->entries[i].key->text, key))
            return &map->entries[i];
    }
    return NULL;
}

struct node *node_get(const struct node *map, const char *key)
{
    struct entry *e = node_entry(map, str_of(key));
    return e != NULL ? e->value : NULL;
}

const char *node_kind_name(const struct node *n)
{
    if (node_is_empty(n))
        return "nothing";
    return n->kind == NODE_MAP ? "a map" : n->kind == NODE_LIST ? "a list" : "a single value";
}

bool node_is_empty(const struct node *n)
{
    return n->kind == NODE_SCALAR && n->plain && n->text.len == 0;
}

struct conf_mark node_mark(const struct node *n)
{
    const struct span *s = &n->at;
    return (struct conf_mark){s->file != NULL ? s->file->name : NULL, s->line, s->column,
                              s->end_line == s->line ? s->end_column : s->column + 1};
}
