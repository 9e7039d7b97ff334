/* SPDX-License-Identifier: MIT */
/*
 * The counters behind /control/count, one set per listener, and their JSON form.
 *
 * The table of X-Id values proves that a balancer delivers a POST once: a test sends ids, then
 * reads how often each arrived. It is a hash table with open addressing that only grows; the
 * figures of one run are small, so it stops taking new ids at ID_LIMIT and says so in the JSON.
 */
#include "counters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_LIMIT 200000

void counters_method(struct counters *k, struct slice method)
{
    for (size_t i = 0; i < METHOD_MAX; i++) {
        bool last = i == METHOD_MAX - 1;
        if (k->methods[i].name[0] == '\0') {
            struct slice name = last || method.len > 23 ? slice_of("other") : method;
            memcpy(k->methods[i].name, name.ptr, name.len);
            k->methods[i].name[name.len] = '\0';
        }
        if (last || slice_is(method, k->methods[i].name) ||
            (method.len > 23 && strcmp(k->methods[i].name, "other") == 0)) {
            k->methods[i].count++;
            return;
        }
    }
}

static struct id_entry *id_slot(struct id_entry *table, size_t room, struct slice id)
{
    size_t at = crc32_add(0, id.ptr, id.len) & (room - 1);
    while (table[at].id && !slice_is(id, table[at].id))
        at = (at + 1) & (room - 1);
    return &table[at];
}

static void ids_grow(struct counters *k)
{
    size_t room = k->id_room ? k->id_room * 2 : 64;
    struct id_entry *table = calloc(room, sizeof(*table));
    if (!table)
        abort();
    for (size_t i = 0; i < k->id_room; i++) {
        if (k->ids[i].id)
            *id_slot(table, room, slice_of(k->ids[i].id)) = k->ids[i];
    }
    free(k->ids);
    k->ids = table;
    k->id_room = room;
}

void counters_id(struct counters *k, struct slice id)
{
    if (k->id_count * 2 >= k->id_room)
        ids_grow(k);
    struct id_entry *slot = id_slot(k->ids, k->id_room, id);
    if (!slot->id) {
        if (k->id_count >= ID_LIMIT)
            return;
        slot->id = strndup(id.ptr, id.len);
        if (!slot->id)
            abort();
        k->id_count++;
    }
    slot->count++;
}

void counters_bad(struct counters *k, const char *reason)
{
    k->bad_requests++;
    snprintf(k->last_bad, sizeof(k->last_bad), "%s", reason);
}

static void json_text(struct buf *out, const char *text)
{
    buf_add_text(out, "\"");
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c >= 0x7F || c == '"' || c == '\\')
            buf_addf(out, "\\u%04x", (unsigned)c);
        else
            buf_add(out, p, 1);
    }
    buf_add_text(out, "\"");
}

static void json_numbers(const struct counters *k, struct buf *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"connections", k->connections},
        {"open", k->open},
        {"check_connections", k->check_connections},
        {"control_connections", k->control_connections},
        {"requests", k->requests},
        {"checks", k->checks},
        {"controls", k->controls},
        {"active", k->active},
        {"max_active", k->max_active},
        {"responses", k->responses},
        {"bad_requests", k->bad_requests},
        {"truncated_requests", k->truncated_requests},
        {"early_fins", k->early_fins},
        {"broken", k->broken},
        {"body_bytes", k->body_bytes},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        buf_addf(out, ", \"%s\": %" PRIu64, rows[i].name, rows[i].value);
}

void counters_json(const struct counters *k, const char *name, struct buf *out)
{
    buf_add_text(out, "{\"name\": ");
    json_text(out, name);
    json_numbers(k, out);
    buf_add_text(out, ", \"last_bad\": ");
    json_text(out, k->last_bad);
    buf_add_text(out, ", \"methods\": {");
    const char *comma = "";
    for (size_t i = 0; i < METHOD_MAX && k->methods[i].name[0]; i++, comma = ", ") {
        buf_add_text(out, comma);
        json_text(out, k->methods[i].name);
        buf_addf(out, ": %" PRIu64, k->methods[i].count);
    }
    buf_addf(out, "}, \"ids_full\": %s, \"ids\": {", k->id_count >= ID_LIMIT ? "true" : "false");
    comma = "";
    for (size_t i = 0; i < k->id_room; i++) {
        if (!k->ids[i].id)
            continue;
        buf_add_text(out, comma);
        json_text(out, k->ids[i].id);
        buf_addf(out, ": %" PRIu64, k->ids[i].count);
        comma = ", ";
    }
    buf_add_text(out, "}}");
}

void counters_free(struct counters *k)
{
    for (size_t i = 0; i < k->id_room; i++)
        free(k->ids[i].id);
    free(k->ids);
    *k = (struct counters){0};
}

void counters_reset(struct counters *k)
{
    uint64_t open = k->open, active = k->active;
    counters_free(k);
    k->open = open;
    k->active = active;
    k->max_active = active;
}
