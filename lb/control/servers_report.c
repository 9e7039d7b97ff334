// SPDX-License-Identifier: MIT
// What became of servers, in words: one line in the log per change and the same for the event feed.
// Runs in control, called by servers_settle.c.
//
//   server app/a is DOWN: connection refused (3 failed checks, last took 1 ms); app/b works now
//
// Invariant: a server has at most LINES_MAX lines a minute in the log; what was left out is counted
// in its next line. The feed gets all of them.
#include "base/log.h"
#include "control/servers_inside.h"

#define LINES_MAX 10
#define MINUTE_MS 60000u
#define SENTENCE 384

const char *server_state_name(enum server_state state)
{
    static const char *const names[SERVER_STATES] = {
        [SERVER_UP] = "up",       [SERVER_STARTING] = "starting",
        [SERVER_DOWN] = "down",   [SERVER_DRAIN] = "drain",
        [SERVER_MAINT] = "maint", [SERVER_UNRESOLVED] = "unresolved",
    };
    lb_assert((size_t)state < ARRAY_LEN(names));
    return names[state];
}

static const char *state_phrase(enum server_state state)
{
    static const char *const phrases[SERVER_STATES] = {
        [SERVER_UP] = "is UP",
        [SERVER_STARTING] = "is UP, its share grows",
        [SERVER_DOWN] = "is DOWN",
        [SERVER_DRAIN] = "drains",
        [SERVER_MAINT] = "is in maintenance",
        [SERVER_UNRESOLVED] = "has no address",
    };
    return phrases[state];
}

static bool has_tiers(const struct backend *b)
{
    for (uint32_t i = 1; i < b->n_servers; i++) {
        if (b->servers[i].tier != b->servers[0].tier)
            return true;
    }
    return false;
}

// Who works since the last report; empty when that is no news.
static void describe_working(struct backend_entry *b, char out[SENTENCE])
{
    const struct backend *backend = b->track.backend;
    uint32_t active = b->track.failover.active;
    const char *name = backend->name.p;
    out[0] = '\0';
    if (active == b->told)
        return;
    if (active == FAILOVER_NONE)
        snprintf(out, SENTENCE, "no server of %s is usable", name);
    else if (backend->failover == FAILOVER_ACTIVE_PASSIVE)
        snprintf(out, SENTENCE, "%s/%s works now", name, backend->servers[active].name.p);
    else if (has_tiers(backend))
        snprintf(out, SENTENCE, "tier %u of %s works now", active, name);
    b->told = active;
}

// A server that came back while another one keeps its work, until somebody says otherwise.
static void describe_kept(const struct backend_track *b, const struct server_track *t,
                          char out[SENTENCE])
{
    bool kept = b->reason == FAILOVER_KEPT && b->backend->failback == FAILBACK_MANUAL;
    out[0] = '\0';
    if (kept && server_state_usable(t->state))
        snprintf(out, SENTENCE, "it stands by until 'evlb ctl backend switch %s %s'",
                 b->backend->name.p, t->server->name.p);
}

// One line for the log unless there were too many lately.
static void log_server(struct servers *s, struct server_track *t, const char *sentence,
                       const char *working)
{
    char left_out[64] = "";
    if (s->loop->now_ms >= t->lines_since_ms + MINUTE_MS || t->lines_since_ms == 0) {
        if (t->lines_left_out > 0)
            snprintf(left_out, sizeof(left_out), " (%u changes before were not logged)",
                     t->lines_left_out);
        t->lines_since_ms = s->loop->now_ms;
        t->lines = t->lines_left_out = 0;
    }
    if (t->lines >= LINES_MAX) {
        t->lines_left_out++;
        return;
    }
    t->lines++;
    bool bad = t->state == SERVER_DOWN || t->state == SERVER_UNRESOLVED;
    log_line(bad ? LOG_WARNING : LOG_INFO, "%s%s%s%s", sentence, working[0] != '\0' ? "; " : "",
             working, left_out);
}

static void report_server(struct servers *s, struct server_track *t, const char *working)
{
    const struct backend *backend = t->server->backend;
    char sentence[SENTENCE];
    snprintf(sentence, sizeof(sentence), "server %s/%s %s%s%s", backend->name.p, t->server->name.p,
             state_phrase(t->state), t->reason[0] != '\0' ? ": " : "", t->reason);
    log_server(s, t, sentence, working);
    s->on_change(s->ctx, backend, t->server, sentence);
}

void servers_report(struct servers *s, struct backend_entry *b, const char *why)
{
    const struct backend *backend = b->track.backend;
    char working[SENTENCE];
    uint32_t turned = 0;
    describe_working(b, working);
    bool switched = working[0] != '\0';
    if (switched)
        b->track.switched_wall_ms = clock_wall_ms();
    for (uint32_t i = 0; i < backend->n_servers; i++)
        turned += s->server[backend->servers[i].index]->turned;
    for (uint32_t i = 0, left = turned; i < backend->n_servers && left > 0; i++) {
        struct server_entry *e = s->server[backend->servers[i].index];
        if (!e->turned)
            continue;
        e->turned = false;
        left--;
        if (!switched)
            describe_kept(&b->track, &e->track, working);
        report_server(s, &e->track, switched && left > 0 ? "" : working);
    }
    if (!switched)
        return;
    if (turned == 0)
        log_info("backend %s: %s: %s", backend->name.p, working,
                 why[0] != '\0' ? why : failover_reason_text(b->track.reason, backend->failback));
    s->on_change(s->ctx, backend, NULL, working);
}
