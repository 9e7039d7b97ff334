// SPDX-License-Identifier: MIT
// Who says what about servers: checks, DNS, administrators, a new configuration. Runs in control;
// each function notes what it was told and has servers_settle.c decide what follows.
//
// Control may be killed at any moment: all that must not be forgotten stands on the board (state,
// since when, what checks and administrators said, who works), and servers_new() takes it from
// there. Reasons of states and results of checks are not worth that and begin anew.
// Invariants: there is an entry for each server and backend of the configuration and for no other
// slot; every function that may have changed the board ends in servers_wake().
#include "control/servers.h"

#include "base/log.h"
#include "control/servers_inside.h"
#include "core/sched.h"
#include "core/suspect.h"

#define WEIGHT_MAX 256u

// ---- entries ----------------------------------------------------------------------------------

// A name that nobody has resolved since the start may still have the configuration's address.
static bool has_address(const struct servers *s, const struct server *server)
{
    struct addr addr;
    board_addr_read(s->board, server->index, &addr);
    bool written = atomic_load(&servers_words(s, server->index)->addr_version) != 0;
    return addr.len > 0 || (!written && server->addr.len > 0);
}

static struct server_entry *resume_server(struct servers *s, const struct server *server)
{
    struct server_entry *e = xcalloc(1, sizeof(*e));
    struct server_track *t = &e->track;
    struct board_server *w = servers_words(s, server->index);
    uint64_t since_ms = atomic_load(&w->since_ms), now_ms = clock_monotonic_ms();
    t->server = server;
    t->state = atomic_load(&w->state);
    if (since_ms > 0)
        t->since_wall_ms = clock_wall_ms() - (int64_t)(now_ms - MIN_OF(since_ms, now_ms));
    health_start(&t->health);
    uint32_t checked = atomic_load(&w->checked);
    if (server->backend->health.type != HEALTH_OFF && checked != CHECKED_NEVER)
        t->health = (struct health_track){.up = checked == CHECKED_UP};
    w->admin_reason[sizeof(w->admin_reason) - 1] = '\0'; // we may have been killed while writing it
    memcpy(t->admin_reason, w->admin_reason, sizeof(t->admin_reason));
    t->resolved = has_address(s, server);
    return e;
}

// The same server in a new configuration: what the file changed replaces what was said of it.
static void keep_server(struct servers *s, struct server_entry *e, const struct server *server)
{
    struct server_track *t = &e->track;
    bool was_checked = t->server->backend->health.type != HEALTH_OFF;
    bool is_checked = server->backend->health.type != HEALTH_OFF;
    if (t->server->weight != server->weight)
        (void)servers_put(&servers_words(s, server->index)->weight, 0);
    t->server = server;
    if (was_checked != is_checked)
        servers_check_anew(s, t);
    t->resolved = has_address(s, server);
    t->address_epoch++;
}

static void on_time(struct timer *t)
{
    struct backend_entry *b = container_of(t, struct backend_entry, timer);
    servers_settle(b->owner, b, NULL, "");
    servers_wake(b->owner);
}

static void begin_backend(struct servers *s, const struct backend *backend)
{
    struct backend_entry *b = s->backend[backend->index];
    if (b == NULL) {
        b = s->backend[backend->index] = xcalloc(1, sizeof(*b));
        b->owner = s;
        timer_init(&b->timer, on_time);
    }
    b->track.backend = backend;
    b->track.failover = failover_resume(backend, s->board);
    b->told = b->track.failover.active;
    b->changed = true; // whoever was before us may have died before the epoch was raised
}

static void begin_servers(struct servers *s, const struct config *config)
{
    for (uint32_t i = 0; i < config->n_servers; i++) {
        const struct server *server = &config->servers[i];
        struct server_entry **e = &s->server[server->index];
        if (*e == NULL)
            *e = resume_server(s, server);
        else
            keep_server(s, *e, server);
        (*e)->kept = true;
    }
}

static void forget_server(struct servers *s, uint32_t slot)
{
    struct server_entry *e = s->server[slot];
    if (e == NULL)
        return;
    s->n_local -= e->track.local;
    free(e);
    s->server[slot] = NULL;
}

static void forget_backend(struct servers *s, uint32_t slot)
{
    struct backend_entry *b = s->backend[slot];
    if (b == NULL)
        return;
    timer_clear(&b->timer);
    free(b);
    s->backend[slot] = NULL;
}

// Entries of the old configuration that are not in the new one. A slot may have a new owner.
static void forget_old(struct servers *s, const struct config *config)
{
    bool *kept = xcalloc(s->board->dim.backends + 1, sizeof(*kept));
    for (uint32_t i = 0; i < config->n_backends; i++)
        kept[config->backends[i].index] = true;
    for (uint32_t i = 0; i < s->board->dim.backends; i++) {
        if (!kept[i])
            forget_backend(s, i);
    }
    free(kept);
    for (uint32_t i = 0; i < s->board->dim.servers; i++) {
        if (s->server[i] != NULL && !s->server[i]->kept)
            forget_server(s, i);
    }
}

static void make_room(struct servers *s, const struct config *config)
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < config->n_backends; i++)
        most = MAX_OF(most, config->backends[i].n_servers);
    s->candidates = xrealloc(s->candidates, most * sizeof(*s->candidates));
    s->works = xrealloc(s->works, most * sizeof(*s->works));
}

// ---- life -------------------------------------------------------------------------------------

struct servers *servers_new(struct loop *loop, struct board *board, const struct config *config,
                            const int *wake_fds, servers_on_change *on_change, void *ctx)
{
    struct servers *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->board = board;
    s->wake_fds = wake_fds;
    s->on_change = on_change;
    s->ctx = ctx;
    s->server = xcalloc(board->dim.servers + 1, sizeof(struct server_entry *));
    s->backend = xcalloc(board->dim.backends + 1, sizeof(struct backend_entry *));
    servers_reconfigure(s, config);
    return s;
}

void servers_free(struct servers *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->board->dim.servers; i++)
        forget_server(s, i);
    for (uint32_t i = 0; i < s->board->dim.backends; i++)
        forget_backend(s, i);
    free(s->server);
    free(s->backend);
    free(s->candidates);
    free(s->works);
    free(s);
}

void servers_reconfigure(struct servers *s, const struct config *config)
{
    for (uint32_t i = 0; i < s->board->dim.servers; i++) {
        if (s->server[i] != NULL)
            s->server[i]->kept = false;
    }
    begin_servers(s, config);
    forget_old(s, config);
    make_room(s, config);
    s->config = config;
    for (uint32_t i = 0; i < config->n_backends; i++) {
        begin_backend(s, &config->backends[i]);
        servers_settle(s, s->backend[config->backends[i].index], NULL, "");
    }
    servers_wake(s);
}

static struct server_entry *entry(const struct servers *s, uint32_t slot)
{
    return slot < s->board->dim.servers ? s->server[slot] : NULL;
}

struct server_track *servers_track(struct servers *s, uint32_t slot)
{
    struct server_entry *e = entry(s, slot);
    return e != NULL ? &e->track : NULL;
}

struct backend_track *servers_backend(struct servers *s, uint32_t slot)
{
    struct backend_entry *b = slot < s->board->dim.backends ? s->backend[slot] : NULL;
    return b != NULL ? &b->track : NULL;
}

const struct config *servers_config(const struct servers *s)
{
    return s->config;
}

static void learned(struct servers *s, const struct server_entry *e, const char *why)
{
    servers_settle(s, s->backend[e->track.server->backend->index], e, why);
    servers_wake(s);
}

// ---- checks -----------------------------------------------------------------------------------

// True when the result is none about the server. Said once, however many servers it concerns.
static bool judge_local(struct servers *s, struct server_track *t, const struct check_result *r)
{
    bool local = r->verdict == CHECK_LOCAL;
    if (local == t->local)
        return local;
    t->local = local;
    s->n_local = local ? s->n_local + 1 : s->n_local - 1;
    if (local && s->n_local == 1)
        log_warning("server %s/%s cannot be checked: %s; states stay as they are",
                    t->server->backend->name.p, t->server->name.p, r->reason);
    else if (!local && s->n_local == 0)
        log_info("all servers can be checked again");
    return local;
}

static void explain(const struct server_track *t, const struct check_result *r, uint32_t results,
                    char out[STATE_REASON])
{
    bool passed = r->verdict == CHECK_PASSED;
    char counted[64];
    snprintf(counted, sizeof(counted), "%s%u %s check%s, last took %u ms",
             t->suspected ? "failing traffic and " : "", results, passed ? "passed" : "failed",
             results == 1 ? "" : "s", r->latency_ms);
    if (passed)
        str_copy(str_of(counted), out, STATE_REASON);
    else
        snprintf(out, STATE_REASON, "%s (%s)", r->reason, counted);
}

void servers_suspected(struct servers *s, uint32_t slot)
{
    struct server_entry *e = entry(s, slot);
    if (e != NULL)
        e->track.suspected = true;
}

void servers_checked(struct servers *s, uint32_t slot, uint32_t epoch,
                     const struct check_result *result)
{
    struct server_entry *e = entry(s, slot);
    if (e == NULL || e->track.address_epoch != epoch)
        return;
    struct server_track *t = &e->track;
    const struct health *h = &t->server->backend->health;
    t->history[t->n_results++ % CHECK_HISTORY] = *result;
    if (judge_local(s, t, result))
        return;
    bool passed = result->verdict == CHECK_PASSED;
    uint32_t results = t->health.row + 1;
    if (t->suspected && t->health.up && !passed)
        t->health.row = MAX_OF(t->health.row, h->fall - 1);
    enum health_change change = health_result(&t->health, h, passed, s->loop->now_ms);
    (void)servers_put(&servers_words(s, slot)->checked, t->health.up ? CHECKED_UP : CHECKED_DOWN);
    if (passed && (t->suspected || change == HEALTH_CAME_UP))
        (void)suspect_succeeded(s->board, t->server);
    char why[STATE_REASON];
    explain(t, result, results, why);
    t->suspected = false;
    if (change != HEALTH_SAME)
        learned(s, e, why);
}

// ---- addresses --------------------------------------------------------------------------------

void servers_resolved(struct servers *s, uint32_t slot, const struct addr *addr, uint32_t weight)
{
    static const struct addr none = {.len = 0};
    struct server_entry *e = entry(s, slot);
    if (e == NULL)
        return;
    struct server_track *t = &e->track;
    struct board_server *w = servers_words(s, slot);
    struct addr before;
    board_addr_read(s->board, slot, &before);
    bool moved =
        !addr_eq(&before, addr != NULL ? addr : &none) || atomic_load(&w->addr_version) == 0;
    bool weighed = weight > 0 && servers_put(&w->weight, 1 + MIN_OF(weight, WEIGHT_MAX));
    if (!moved && !weighed)
        return;
    if (moved) {
        board_addr_write(s->board, slot, addr != NULL ? addr : &none);
        t->resolved = addr != NULL;
        servers_check_anew(s, t); // another machine perhaps
    }
    s->backend[t->server->backend->index]->changed = true;
    learned(s, e, "");
}

// ---- administrators ---------------------------------------------------------------------------

static const char no_server[] = "there is no such server";

const char *servers_admin(struct servers *s, uint32_t slot, enum server_admin admin,
                          uint64_t until_ms, struct str reason)
{
    struct server_entry *e = entry(s, slot);
    if (e == NULL)
        return no_server;
    struct server_track *t = &e->track;
    struct board_server *w = servers_words(s, slot);
    bool was_maint = atomic_load(&w->admin) == ADMIN_MAINT;
    if (was_maint != (admin == ADMIN_MAINT))
        servers_check_anew(s, t);
    atomic_store(&w->admin, admin);
    atomic_store(&w->admin_until_ms, admin == ADMIN_READY ? 0 : until_ms);
    str_copy(admin == ADMIN_READY ? STR("") : reason, t->admin_reason, sizeof(t->admin_reason));
    memcpy(w->admin_reason, t->admin_reason, sizeof(w->admin_reason));
    char why[STATE_REASON];
    str_copy(reason, why, sizeof(why));
    learned(s, e, why);
    return NULL;
}

static void weigh(struct servers *s, struct server_entry *e, uint32_t word, struct str reason)
{
    char why[STATE_REASON];
    const struct server *server = e->track.server;
    struct backend_entry *b = s->backend[server->backend->index];
    if (!servers_put(&servers_words(s, server->index)->weight, word))
        return;
    b->changed = true;
    str_copy(reason.len > 0 ? reason : STR("its weight was changed"), why, sizeof(why));
    learned(s, e, why);
}

const char *servers_weight(struct servers *s, uint32_t slot, uint32_t weight, struct str reason)
{
    struct server_entry *e = entry(s, slot);
    if (e == NULL)
        return no_server;
    if (weight > WEIGHT_MAX)
        return "the weight must be from 0 to 256";
    weigh(s, e, 1 + weight, reason);
    return NULL;
}

const char *servers_weight_as_configured(struct servers *s, uint32_t slot)
{
    struct server_entry *e = entry(s, slot);
    if (e == NULL)
        return no_server;
    weigh(s, e, 0, STR_NONE);
    return NULL;
}

const char *servers_switch(struct servers *s, uint32_t backend, uint32_t place, struct str reason)
{
    struct backend_track *t = servers_backend(s, backend);
    if (t == NULL)
        return "there is no such backend";
    if (place >= t->backend->n_servers)
        return no_server;
    if (!failover_can_switch(t->backend))
        return "its servers all work at once (failover: active-active): drain the others, or set "
               "failover: active-passive";
    servers_look(s, t->backend);
    if (!failover_switch(t->backend, &t->failover, s->candidates, place))
        return "that server is not usable now";
    char why[STATE_REASON];
    str_copy(reason.len > 0 ? reason : STR("switched by an administrator"), why, sizeof(why));
    servers_settle(s, s->backend[backend], NULL, why);
    servers_wake(s);
    return NULL;
}
