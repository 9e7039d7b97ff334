// SPDX-License-Identifier: MIT
// Picking, claiming and retrying. Runs in workers; called by http_proxy.c and tcp_proxy.c.
// Invariant: server != NULL exactly while one unit of that server's gauge is held.
#include "proxy/attempt.h"

#include "base/log.h"
#include "base/panic.h"
#include "core/suspect.h"

#define RETRY_BUDGET_MIN 3u
#define RETRY_BUDGET_SHARE 5u // a fifth of what is in progress

void attempt_claim(struct attempt *a, struct worker *w, const struct server *s)
{
    a->server = a->last = s;
    board_claim(w->board, w->id, board_server_slot(s->index));
}

bool attempt_pick(struct attempt *a, struct worker *w)
{
    struct pick p = {.now_ms = w->loop.now_ms,
                     .key = a->key,
                     .has_key = a->has_key,
                     .n_avoid = a->n_avoid,
                     .rng = &w->rng};
    lb_assert(a->server == NULL);
    if (a->n_avoid > 0)
        memcpy(p.avoid, a->avoid, sizeof(p.avoid));
    const struct server *s;
    if (sched_pick(a->generation->schedulers[a->backend->index], w->board, &p, &s) != PICK_OK)
        return false;
    if (a->n_avoid > 0 && s->index != a->avoid[a->n_avoid - 1])
        w->count->backends[a->backend->index][BACKEND_REDISPATCHES]++;
    attempt_claim(a, w, s);
    return true;
}

void attempt_leave(struct attempt *a, struct worker *w)
{
    if (a->server == NULL)
        return;
    board_release(w->board, w->id, board_server_slot(a->server->index));
    if (a->n_avoid < PICK_AVOID_MAX)
        a->avoid[a->n_avoid++] = a->server->index;
    a->server = NULL;
}

void attempt_refused(struct attempt *a, struct worker *w)
{
    const struct server *s = a->server;
    w->count->servers[s->index][SERVER_CONNECT_FAILURES]++;
    if (suspect_failed(w->board, s, w->loop.now_ms))
        log_warning("server %s/%s: connection failed; skipping it for a while", s->backend->name.p,
                    s->name.p);
    panic_note("server refused", s->index, a->retries);
    attempt_leave(a, w);
}

void attempt_connected(struct attempt *a, struct worker *w)
{
    const struct server *s = a->server;
    if (suspect_succeeded(w->board, s))
        log_info("server %s/%s: connections work again", s->backend->name.p, s->name.p);
}

bool attempt_may_retry(struct attempt *a, struct worker *w, enum end_cause why)
{
    bool charged = why != END_SERVER_REFUSED;
    uint32_t budget = MAX_OF(w->exchanges / RETRY_BUDGET_SHARE, RETRY_BUDGET_MIN);
    if (a->retries >= a->backend->retries)
        return false;
    if (charged && !a->retrying && w->retrying >= budget)
        return false;
    if (charged && !a->retrying) {
        a->retrying = true;
        w->retrying++;
    }
    a->retries++;
    w->count->backends[a->backend->index][BACKEND_RETRIES]++;
    return true;
}

void attempt_end(struct attempt *a, struct worker *w)
{
    if (a->server != NULL)
        board_release(w->board, w->id, board_server_slot(a->server->index));
    a->server = NULL;
    if (a->retrying)
        w->retrying--;
    a->retrying = false;
}
