// SPDX-License-Identifier: MIT
// What has happened: the last 1,000 events of this control process, each one sentence with a
// number. Numbers only grow, also over a control process that was replaced (the first one is the
// wall clock at its start), so that a reader can ask for what came after the last one it saw.
#ifndef EVLB_EVENTS_H
#define EVLB_EVENTS_H

#include "base/str.h"

#define EVENTS_KEPT 1000u

// X(id, name)
#define EVENT_KINDS(X)                                                                             \
    X(SERVER, "server")   /* a server's state changed */                                           \
    X(BACKEND, "backend") /* other servers of it work now */                                       \
    X(RELOAD, "reload")   /* a configuration came into force */                                    \
    X(ADMIN, "admin")     /* somebody asked for a change over the control socket */

#define X(id, name) EVENT_##id,
enum event_kind { EVENT_KINDS(X) EVENT_KIND_COUNT };
#undef X

struct event {
    uint64_t id;
    int64_t wall_ms;
    enum event_kind kind;
    char object[144]; // "app/a", "app"; empty: evlb as a whole
    char text[256];
};

struct events;

// NULL: out of memory.
struct events *events_new(int64_t wall_ms) MUST_CHECK;
void events_free(struct events *e);
// `on_event` is called behind each addition from now on; NULL: nobody.
void events_listen(struct events *e, void (*on_event)(void *ctx), void *ctx);

void events_add(struct events *e, enum event_kind kind, int64_t wall_ms, struct str object,
                struct str text);
// The oldest one that is kept with a number above `since`; NULL: none.
const struct event *events_after(const struct events *e, uint64_t since);
const char *event_kind_name(enum event_kind kind);

#endif
