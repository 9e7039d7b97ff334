// SPDX-License-Identifier: MIT
// From what is known of a backend's servers to the words on the board. Runs in control, called by
// servers.c after every input and by a timer per backend.
//
//   admin, address, checks, weight --> state --> failover --> standby --> epoch, wake-up, report
//                                        ^ slow start: a share that grows by itself
//
// Invariants: no word of board_server is written elsewhere but for the administrator's own (they
// are inputs) and addresses; the epoch of a backend grows after its words were written, so that a
// worker which saw the new epoch sees them all.
#include <unistd.h>

#include "control/servers_inside.h"
#include "core/sched.h"

void servers_check_anew(struct servers *s, struct server_track *t)
{
    health_start(&t->health);
    t->address_epoch++;
    (void)servers_put(&servers_words(s, t->server->index)->checked, CHECKED_NEVER);
}

static enum server_state state_of(const struct servers *s, const struct server_track *t)
{
    uint32_t admin = atomic_load(&servers_words(s, t->server->index)->admin);
    if (admin == ADMIN_MAINT)
        return SERVER_MAINT;
    if (!t->resolved)
        return SERVER_UNRESOLVED;
    if (!t->health.up)
        return SERVER_DOWN;
    if (admin == ADMIN_DRAIN || sched_weight(s->board, t->server) == 0)
        return SERVER_DRAIN;
    return SERVER_UP;
}

// What an administrator wanted for a while. True when that is over.
static bool expire_admin(struct servers *s, struct server_track *t, uint64_t *next_ms)
{
    struct board_server *w = servers_words(s, t->server->index);
    uint64_t until = atomic_load(&w->admin_until_ms);
    if (until == 0)
        return false;
    if (until > s->loop->now_ms) {
        *next_ms = MIN_OF(*next_ms, until);
        return false;
    }
    if (atomic_load(&w->admin) == ADMIN_MAINT)
        servers_check_anew(s, t);
    atomic_store(&w->admin, ADMIN_READY);
    atomic_store(&w->admin_until_ms, 0);
    w->admin_reason[0] = t->admin_reason[0] = '\0';
    return true;
}

static void settle_server(struct servers *s, struct backend_entry *b, struct server_entry *e,
                          const char *why, uint64_t *next_ms)
{
    struct server_track *t = &e->track;
    struct board_server *w = servers_words(s, t->server->index);
    if (expire_admin(s, t, next_ms))
        why = "the time for which it was asked is over";
    enum server_state state = state_of(s, t);
    bool turned =
        state != t->state && !(server_state_usable(state) && server_state_usable(t->state));
    if (turned) {
        atomic_store(&w->since_ms, s->loop->now_ms);
        t->since_wall_ms = clock_wall_ms();
        str_copy(str_of(why), t->reason, sizeof(t->reason));
    }
    uint64_t step_ms = UINT64_MAX;
    uint32_t withheld = 0;
    if (state == SERVER_UP)
        withheld = slow_start_withheld(atomic_load(&w->since_ms), t->server->slow_start_ms,
                                       s->loop->now_ms, &step_ms);
    t->state = withheld > 0 ? SERVER_STARTING : state;
    *next_ms = MIN_OF(*next_ms, step_ms);
    b->changed |= servers_put(&w->state, t->state);
    b->changed |= servers_put(&w->withheld, withheld);
    e->turned = turned && e->settled;
    e->settled = true;
}

void servers_look(struct servers *s, const struct backend *b)
{
    for (uint32_t i = 0; i < b->n_servers; i++) {
        const struct server *server = &b->servers[i];
        s->candidates[i] = (struct failover_server){
            .usable = sched_usable(s->board, server),
            .up_since_ms = atomic_load(&servers_words(s, server->index)->since_ms),
        };
    }
}

static void settle_failover(struct servers *s, struct backend_entry *b, uint64_t *next_ms)
{
    const struct backend *backend = b->track.backend;
    servers_look(s, backend);
    struct failover_result r =
        failover_decide(backend, &b->track.failover, s->candidates, s->works, s->loop->now_ms);
    b->track.reason = r.reason;
    *next_ms = MIN_OF(*next_ms, r.look_again_ms);
    for (uint32_t i = 0; i < backend->n_servers; i++)
        b->changed |=
            servers_put(&servers_words(s, backend->servers[i].index)->standby, s->works[i] ? 0 : 1);
    atomic_store(&s->board->cursor[backend->index].switched, b->track.failover.switched);
}

void servers_settle(struct servers *s, struct backend_entry *b, const struct server_entry *cause,
                    const char *why)
{
    const struct backend *backend = b->track.backend;
    uint64_t next_ms = UINT64_MAX;
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        struct server_entry *e = s->server[backend->servers[i].index];
        settle_server(s, b, e, e == cause ? why : "", &next_ms);
    }
    settle_failover(s, b, &next_ms);
    if (b->changed) {
        atomic_fetch_add(&s->board->cursor[backend->index].epoch, 1);
        b->changed = false;
        s->changed = true;
    }
    timer_clear(&b->timer);
    if (next_ms != UINT64_MAX)
        timer_set(&s->loop->wheel, &b->timer, next_ms);
    servers_report(s, b, why);
}

void servers_wake(struct servers *s)
{
    const uint64_t one = 1;
    if (!s->changed)
        return;
    s->changed = false;
    for (uint32_t i = 0; i < s->board->dim.workers; i++) {
        // the only failure is a count that is full: then it is awake already
        if (write(s->wake_fds[i], &one, sizeof(one)) < 0)
            continue;
    }
}
