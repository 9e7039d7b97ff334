// SPDX-License-Identifier: MIT
// A ring of events. Runs in control: servers.c, reloads and the admin API add, the admin API reads.
// Nobody is waited for: readers keep the number of the last event they saw and come back for more;
// who is too slow finds a gap.
// Invariant: the event with number n stands at n % EVENTS_KEPT, for the last EVENTS_KEPT numbers
// from `first` on.
#include "control/events.h"

struct events {
    void (*on_event)(void *ctx);
    void *ctx;
    uint64_t first, next; // numbers: of the first one ever, and of the one to come
    struct event kept[EVENTS_KEPT];
};

struct events *events_new(int64_t wall_ms)
{
    struct events *e = calloc(1, sizeof(*e));
    if (e != NULL)
        e->first = e->next = wall_ms > 0 ? (uint64_t)wall_ms : 1;
    return e;
}

void events_listen(struct events *e, void (*on_event)(void *ctx), void *ctx)
{
    e->on_event = on_event;
    e->ctx = ctx;
}

void events_free(struct events *e)
{
    free(e);
}

void events_add(struct events *e, enum event_kind kind, int64_t wall_ms, struct str object,
                struct str text)
{
    struct event *event = &e->kept[e->next % EVENTS_KEPT];
    event->id = e->next++;
    event->wall_ms = wall_ms;
    event->kind = kind;
    (void)str_copy(object, event->object, sizeof(event->object));
    (void)str_copy(text, event->text, sizeof(event->text));
    if (e->on_event != NULL)
        e->on_event(e->ctx);
}

const struct event *events_after(const struct events *e, uint64_t since)
{
    uint64_t oldest = e->next - MIN_OF(e->next - e->first, EVENTS_KEPT);
    uint64_t wanted = MAX_OF(since + 1, oldest);
    return since < UINT64_MAX && wanted < e->next ? &e->kept[wanted % EVENTS_KEPT] : NULL;
}

const char *event_kind_name(enum event_kind kind)
{
#define X(id, name) [EVENT_##id] = name,
    static const char *const names[] = {EVENT_KINDS(X)};
#undef X
    return names[kind];
}
