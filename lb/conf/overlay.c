// SPDX-License-Identifier: MIT
// The text of servers that were added and removed at run time: read, written, extended. Pure.
// Called by the binder (bind_server.c) for every load, by the supervisor and the admin interface
// when a server is added or removed. Whether an address is one is for the binder to judge, as it is
// for files.
#include "conf/overlay.h"

struct option {
    struct str name;
    size_t offset; // of its value in the entry
};

static const struct option options[] = {
    {{"weight", 6}, offsetof(struct overlay_entry, weight)},
    {{"tier", 4}, offsetof(struct overlay_entry, tier)},
    {{"max-connections", 15}, offsetof(struct overlay_entry, max_connections)},
};

static struct str *value_of(struct overlay_entry *e, const struct option *o)
{
    return (struct str *)(void *)((char *)e + o->offset);
}

// A word of a line: something visible, without spaces.
static bool is_word(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7F)
            return false;
    }
    return s.len > 0;
}

// ---- reading ----------------------------------------------------------------------------------

static bool parse_option(struct str word, struct overlay_entry *e)
{
    struct str value = word, name = str_cut(&value, '=');
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (!str_eq(name, options[i].name))
            continue;
        *value_of(e, &options[i]) = value;
        return is_word(value);
    }
    return false;
}

static const char *parse_line(struct str line, struct overlay_entry *e)
{
    struct str rest = line, verb = str_cut(&rest, ' '), name = str_cut(&rest, ' ');
    e->removes = str_eq(verb, STR("remove"));
    if (!e->removes && !str_eq(verb, STR("add")))
        return "neither 'add' nor 'remove'";
    e->backend = str_cut(&name, '/');
    e->server = name;
    if (!is_word(e->backend) || !is_word(e->server))
        return "not BACKEND/SERVER";
    if (e->removes)
        return rest.p == NULL ? NULL : "something behind the server";
    e->address = str_cut(&rest, ' ');
    if (!is_word(e->address))
        return "no address";
    while (rest.p != NULL) {
        if (!parse_option(str_cut(&rest, ' '), e))
            return "not weight=, tier= or max-connections=";
    }
    return NULL;
}

static uint32_t count_lines(struct str text)
{
    uint32_t n = 1;
    for (size_t i = 0; i < text.len; i++)
        n += text.p[i] == '\n';
    return n;
}

bool overlay_parse(struct str text, struct arena *a, struct overlay *out, const char **why)
{
    struct overlay_entry *entries = arena_alloc(a, count_lines(text) * sizeof(*entries));
    *out = (struct overlay){.entries = entries};
    for (uint32_t line = 1; text.p != NULL; line++) {
        struct str s = str_cut(&text, '\n');
        if (s.len == 0)
            continue;
        const char *fault = parse_line(s, &entries[out->n++]);
        if (fault != NULL) {
            *why = arena_printf(a, "line %u: %s", line, fault);
            return false;
        }
    }
    return true;
}

// ---- writing ----------------------------------------------------------------------------------

static const char *line_of(struct overlay_entry e, struct arena *a)
{
    if (e.removes)
        return arena_printf(a, "remove %.*s/%.*s\n", STR_FMT(e.backend), STR_FMT(e.server));
    const char *line = arena_printf(a, "add %.*s/%.*s %.*s", STR_FMT(e.backend), STR_FMT(e.server),
                                    STR_FMT(e.address));
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        struct str value = *value_of(&e, &options[i]);
        if (value.len > 0)
            line = arena_printf(a, "%s %.*s=%.*s", line, STR_FMT(options[i].name), STR_FMT(value));
    }
    return arena_printf(a, "%s\n", line);
}

struct str overlay_text(const struct overlay *o, const bool *kept, struct arena *a)
{
    const char **lines = arena_alloc(a, (o->n + 1) * sizeof(*lines));
    size_t size = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        lines[i] = kept == NULL || kept[i] ? line_of(o->entries[i], a) : "";
        size += strlen(lines[i]);
    }
    char *text = arena_alloc(a, size + 1), *end = text;
    for (uint32_t i = 0; i < o->n; i++) {
        size_t n = strlen(lines[i]);
        memcpy(end, lines[i], n);
        end += n;
    }
    return (struct str){text, size};
}

// ---- extending --------------------------------------------------------------------------------

static bool is_writable(struct overlay_entry e)
{
    bool fine =
        is_word(e.backend) && is_word(e.server) && str_find(e.backend, '/') == e.backend.len;
    if (e.removes)
        return fine;
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        struct str value = *value_of(&e, &options[i]);
        fine = fine && (value.len == 0 || is_word(value));
    }
    return fine && is_word(e.address);
}

//   lines so far     + add        + remove
//   (none)           add          remove
//   add              add          (none)
//   remove           remove, add  remove
//   remove, add      remove, add  remove
bool overlay_add(struct str text, const struct overlay_entry *entry, struct arena *a,
                 struct str *out)
{
    struct overlay o;
    const char *why;
    if (!is_writable(*entry) || !overlay_parse(text, a, &o, &why))
        return false;
    struct overlay_entry *entries = arena_alloc(a, (o.n + 1) * sizeof(*entries));
    bool append = true;
    uint32_t n = 0;
    for (uint32_t i = 0; i < o.n; i++) {
        const struct overlay_entry *e = &o.entries[i];
        bool same = str_eq(e->backend, entry->backend) && str_eq(e->server, entry->server);
        if (!same || e->removes)
            entries[n++] = *e;
        if (same && entry->removes)
            append = false; // was only added, or is removed already
    }
    if (append)
        entries[n++] = *entry;
    *out = overlay_text(&(struct overlay){entries, n}, NULL, a);
    return true;
}
