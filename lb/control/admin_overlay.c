// SPDX-License-Identifier: MIT
// Servers added and removed at run time through the admin API. That changes the configuration of
// all processes, so the supervisor does it, in the way of a reload: it is asked to put one more
// line over its files (conf/overlay.h), and its answer is the answer. Runs in control.
// Invariant: nothing goes into a line that could end it or begin another word.
#include "conf/address.h"
#include "conf/overlay.h"
#include "control/admin_parts.h"

#define NAME_MAX_BYTES 64u

static bool good_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char low = ascii_lower(s.p[i]);
        if (!is_digit(low) && !(low >= 'a' && low <= 'z') && memchr("_.-", low, 3) == NULL)
            return false;
    }
    return s.len > 0 && s.len <= NAME_MAX_BYTES;
}

// A number that may be missing, as it is written in the overlay.
static bool read_number(const struct admin_field *f, uint64_t most, struct str *text)
{
    uint64_t value;
    *text = STR("");
    if (f->value == NULL)
        return true;
    *text = f->value->text;
    return f->value->kind == JSON_NUMBER && str_to_u64(*text, &value) && value <= most;
}

static const char *read_addition(struct admin_call *c, struct overlay_entry *e, struct str *reason)
{
    const char *why;
    struct address address;
    struct admin_field fields[] = {
        {.name = "name"}, {.name = "address"},         {.name = "weight"},
        {.name = "tier"}, {.name = "max_connections"}, {.name = "reason"}};
    if (!admin_fields(c, fields, ARRAY_LEN(fields), &why))
        return why;
    if (!admin_field_text(&fields[0], &e->server) || !good_name(e->server))
        return "'name' is made of letters, digits, '_', '.' and '-'";
    if (!admin_field_text(&fields[1], &e->address) ||
        address_parse_server(e->address, &address) != ADDRESS_OK)
        return "'address' is HOST:PORT, [IPV6]:PORT or unix:/PATH";
    if (!read_number(&fields[2], ADMIN_WEIGHT_MAX, &e->weight))
        return "'weight' is 0 to 256";
    if (!read_number(&fields[3], UINT32_MAX, &e->tier) ||
        !read_number(&fields[4], UINT32_MAX, &e->max_connections))
        return "'tier' and 'max_connections' are whole numbers";
    return admin_field_text(&fields[5], reason) ? NULL : "'reason' is a text";
}

static uint16_t ask_overlay(const struct admin_view *v, struct admin_call *c,
                            const struct overlay_entry *e)
{
    struct str line;
    const char *object =
        arena_printf(c->arena, "%.*s/%.*s", STR_FMT(e->backend), STR_FMT(e->server));
    admin_deed(c, str_of(object), "%s%.*s", e->removes ? "remove" : "add ", STR_FMT(e->address));
    if (!overlay_add(STR(""), e, c->arena, &line))
        return admin_refuse(c, 400, "bad-body", "this server cannot be written down");
    return admin_ask(v, c, ASK_OVERLAY, 0, line);
}

static bool has_server(const struct backend *b, struct str name)
{
    for (uint32_t i = 0; i < b->n_servers; i++) {
        if (str_eq(b->servers[i].name, name))
            return true;
    }
    return false;
}

// {"name":"c","address":"10.0.0.13:8080","weight":2,"tier":1,"max_connections":100}
uint16_t admin_post_server(const struct admin_view *v, struct admin_call *c)
{
    uint16_t status;
    struct str reason;
    const struct backend *b = admin_find_backend(v, c, c->arg[0], &status);
    if (b == NULL)
        return status;
    struct overlay_entry e = {.backend = b->name};
    const char *why = read_addition(c, &e, &reason);
    if (why != NULL)
        return admin_refuse_body(c, why);
    if (has_server(b, e.server))
        return admin_refuse(c, 409, "exists", "backend '%.*s' has a server '%.*s' already",
                            STR_FMT(b->name), STR_FMT(e.server));
    (void)str_copy(reason, c->reason, sizeof(c->reason));
    return ask_overlay(v, c, &e);
}

uint16_t admin_delete_server(const struct admin_view *v, struct admin_call *c)
{
    uint16_t status;
    const struct server *s = admin_find_server(v, c, &status);
    if (s == NULL)
        return status;
    if (s->n_places > 1)
        return admin_refuse(c, 409, "refused",
                            "'%.*s' is one of the addresses of a name: it goes when DNS says so",
                            STR_FMT(s->name));
    const struct overlay_entry e = {
        .removes = true, .backend = s->backend->name, .server = s->name};
    return ask_overlay(v, c, &e);
}
