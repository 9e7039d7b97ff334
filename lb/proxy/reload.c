// SPDX-License-Identifier: MIT
// Reload in place. Runs in workers, called by worker.c for the supervisor's messages.
//
//   LISTENERS  sockets of new addresses wait in w->sockets
//   CONFIG     the bundle becomes a struct config, that a generation (generation.c); then
//              - a listener whose number is still there points to its new frontend and goes on;
//              - one whose frontend has another mode gives its socket to a new listener;
//              - one that is not there any more takes what the kernel has queued, closes, and lives
//                on for its sessions;
//              - idle sessions of listeners that are gone are closed, pinned server connections
//              move
//                to their new struct server.
//              What is in progress is not touched: it holds the generation that it began with.
//
// Invariant: all that can fail comes before anything is changed.
#include "proxy/reload.h"

#include <unistd.h>

#include "base/log.h"
#include "conf/bundle.h"
#include "proxy/generation.h"
#include "proxy/listener.h"
#include "proxy/session.h"

// ---- sockets that wait for their configuration

struct waiting_socket {
    struct list node; // in worker->sockets
    uint32_t number;
    int fd;
};

void reload_take_sockets(struct worker *w, const struct message *m, const int *fds)
{
    for (uint32_t i = 0; i < m->n_fds; i++) {
        struct waiting_socket *s = xcalloc(1, sizeof(*s));
        s->number = m->id[i];
        s->fd = fds[i];
        list_append(&w->sockets, &s->node);
    }
}

static struct waiting_socket *find_socket(struct worker *w, uint32_t number)
{
    LIST_EACH(node, &w->sockets)
    {
        struct waiting_socket *s = list_entry(node, struct waiting_socket, node);
        if (s->number == number)
            return s;
    }
    return NULL;
}

static int use_socket(struct waiting_socket *s)
{
    int fd = s->fd;
    list_remove(&s->node);
    free(s);
    return fd;
}

void reload_forget_sockets(struct worker *w)
{
    LIST_EACH(node, &w->sockets)
    {
        (void)close(use_socket(list_entry(node, struct waiting_socket, node)));
    }
}

// ---- listeners

static struct listener *find_listener(struct worker *w, uint32_t number)
{
    LIST_EACH(node, &w->listeners)
    {
        struct listener *l = list_entry(node, struct listener, node);
        if (l->listen->number == number)
            return l;
    }
    return NULL;
}

static bool have_sockets(struct worker *w, const struct frontend *f)
{
    for (uint32_t i = 0; i < f->n_listens; i++) {
        uint32_t number = f->listens[i].number;
        if (find_listener(w, number) == NULL && find_socket(w, number) == NULL)
            return false;
    }
    return true;
}

static void begin_listen(struct worker *w, const struct frontend *f, const struct listen *listen)
{
    struct listener *l = find_listener(w, listen->number);
    if (l != NULL && l->frontend->mode == f->mode) {
        listener_point(l, f, listen);
        return;
    }
    int fd = l != NULL ? listener_take_socket(l) : use_socket(find_socket(w, listen->number));
    if (l != NULL)
        listener_retire(l);
    listener_start(listener_new(w, f, listen), fd);
}

static void reload_listeners(struct worker *w)
{
    const struct config *c = w->now->config;
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        for (uint32_t k = 0; k < c->frontends[i].n_listens; k++)
            begin_listen(w, &c->frontends[i], &c->frontends[i].listens[k]);
    }
    LIST_EACH(node, &w->listeners)
    {
        struct listener *l = list_entry(node, struct listener, node);
        if (l->generation != w->now)
            listener_retire(l);
    }
}

// ---- the configuration

// NULL: why not was logged.
static struct config *load(int fd)
{
    char why[BUNDLE_WHY];
    struct str text;
    if (!channel_text_map(fd, &text)) {
        log_error("a new configuration came as something that is no sealed memory");
        return NULL;
    }
    struct config *c = bundle_load(text, why);
    if (c == NULL)
        log_error("a new configuration does not load here: %s", why);
    channel_text_done(text);
    return c;
}

static bool begin(struct worker *w, const struct config *c, uint32_t number)
{
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        if (!have_sockets(w, &c->frontends[i])) {
            log_error("configuration %u: no socket came for frontend '%s'", number,
                      c->frontends[i].name.p);
            return false;
        }
    }
    if (generation_begin(w, c, number, true))
        return true;
    log_error("configuration %u has more servers, backends or frontends than there is room for",
              number);
    return false;
}

void reload_take_config(struct worker *w, const struct message *m, const int *fds)
{
    struct generation *before = generation_hold(w->now); // sessions still point into it
    struct config *c = NULL;
    if (m->n_fds > 0 && w->draining)
        (void)close(fds[0]);
    else if (m->n_fds > 0)
        c = load(fds[0]);
    bool begun = c != NULL && begin(w, c, m->arg);
    if (begun) {
        reload_listeners(w);
        session_reload_all(w);
        w->access_log = c->access_log ? w->access_ring : NULL;
        w->max_connections = m->value > 0 ? m->value : w->max_connections;
    } else if (c != NULL) {
        arena_free(c->arena);
    }
    reload_forget_sockets(w);
    worker_say(w, MSG_TAKEN, m->arg, begun || w->draining ? 0 : 1);
    generation_drop(w, before);
}
