// SPDX-License-Identifier: MIT
// Events in the admin API: as a stream (the default; admin.c sends what comes), or with
// `?follow=false` those that are kept, as one object. Runs in control.
#include "control/admin_parts.h"

static void put_event(struct json *j, const struct event *e)
{
    json_object(j, NULL);
    json_u64(j, "id", e->id);
    json_u64(j, "at_ms", (uint64_t)e->wall_ms);
    json_text(j, "kind", str_of(event_kind_name(e->kind)));
    admin_put_text_or_null(j, "object", str_of(e->object));
    json_text(j, "text", str_of(e->text));
    json_object_end(j);
}

bool admin_event_message(const struct event *e, struct buf *out)
{
    char head[96];
    struct json j = {.out = out};
    int n = snprintf(head, sizeof(head), "id: %llu\nevent: %s\ndata: ", (unsigned long long)e->id,
                     event_kind_name(e->kind));
    if (n < 0 || !buf_append(out, head, (size_t)n))
        return false;
    put_event(&j, e);
    return !j.failed && buf_append(out, "\n\n", 2);
}

static uint16_t list_events(const struct admin_view *v, struct admin_call *c)
{
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    json_array(&j, "events");
    for (const struct event *e; (e = events_after(v->events, c->since)) != NULL; c->since = e->id)
        put_event(&j, e);
    json_array_end(&j);
    json_object_end(&j);
    return admin_done(c, &j);
}

uint16_t admin_get_events(const struct admin_view *v, struct admin_call *c)
{
    struct str since = admin_query(c, "since"), follow = admin_query(c, "follow");
    if (since.p != NULL && !str_to_u64(since, &c->since))
        return admin_refuse(c, 400, "bad-query", "since is the id of an event");
    if (str_eq(follow, STR("false")))
        return list_events(v, c);
    if (follow.p != NULL && !str_eq(follow, STR("true")))
        return admin_refuse(c, 400, "bad-query", "follow is true or false");
    return ADMIN_FEED;
}
