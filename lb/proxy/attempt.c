// SPDX-License-Identifier: MIT
// Picking, claiming and retrying. Runs in workers; called by http_proxy.c and tcp_proxy.c. Every
// claim and every release is here, so that a release can pass the room on to those who wait.
// Invariant: server != NULL exactly while one unit of that server's gauge is held.
#include "proxy/attempt.h"

#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"
#include "core/suspect.h"
#include "io/tls.h"

#define CLAIM_TRIES 8
#define RETRY_BUDGET_MIN 3u
#define RETRY_BUDGET_SHARE 5u // a fifth of what is in progress

void attempt_begin(struct attempt *a, struct generation *g)
{
    a->generation = generation_hold(g);
}

void attempt_forget(struct attempt *a, struct worker *w)
{
    generation_drop(w, a->generation);
}

// Who waits since before a reload must not wait for servers that are gone or for room that there is
// now: others wait behind it.
static void renew(struct attempt *a, struct worker *w)
{
    struct generation *now = w->now, *before = a->generation;
    const struct backend *b = now->backend_at[a->backend->index];
    if (now == before || b == NULL || b->mode != a->backend->mode)
        return;
    a->generation = generation_hold(now);
    a->backend = b;
    a->last = a->last != NULL ? now->server_at[a->last->index] : NULL;
    generation_drop(w, before);
}

bool attempt_claim(struct attempt *a, struct worker *w, const struct server *s)
{
    uint32_t slot = board_server_slot(s->index), most = sched_limit(w->board, s);
    if (most == UINT32_MAX)
        board_claim(w->board, w->id, slot);
    else if (!board_claim_below(w->board, w->id, slot, most))
        return false;
    a->server = a->last = s;
    return true;
}

static void release(struct attempt *a, struct worker *w)
{
    uint32_t backend = a->backend->index;
    board_release(w->board, w->id, board_server_slot(a->server->index));
    a->server = NULL;
    if (UNLIKELY(queue_in_use(w, backend)))
        queue_next(w, backend);
}

// Asks the scheduler until a claim holds: others may be faster.
static enum pick_result pick(struct attempt *a, struct worker *w)
{
    struct pick p = {.now_ms = w->loop.now_ms,
                     .key = a->key,
                     .has_key = a->has_key,
                     .n_avoid = a->n_avoid,
                     .rng = &w->rng};
    if (a->n_avoid > 0)
        memcpy(p.avoid, a->avoid, sizeof(p.avoid));
    for (int i = 0; i < CLAIM_TRIES; i++) {
        const struct server *s;
        enum pick_result r =
            sched_pick(a->generation->schedulers[a->backend->index], w->board, &p, &s);
        if (r != PICK_OK || attempt_claim(a, w, s))
            return r;
    }
    return PICK_FULL;
}

enum attempt_result attempt_pick(struct attempt *a, struct worker *w, void *holder,
                                 void (*on_turn)(void *holder))
{
    uint32_t backend = a->backend->index;
    struct waiter *place = &a->waiter;
    if (place->turn)
        renew(a, w);
    // one that had a server before goes first: it had its turn
    bool may_pick = place->turn || a->n_avoid > 0 || LIKELY(!queue_in_use(w, backend));
    enum pick_result r = may_pick ? pick(a, w) : PICK_FULL;
    lb_assert(r != PICK_OK || a->server != NULL);
    place->turn = false;
    if (r == PICK_FULL) {
        bool waits = place->waits || queue_join(w, a->backend, place, holder, on_turn);
        return waits ? ATTEMPT_WAITS : ATTEMPT_QUEUE_FULL;
    }
    queue_leave(w, backend, place);
    if (r == PICK_NONE)
        return ATTEMPT_NO_SERVER;
    if (a->n_avoid > 0 && a->server->index != a->avoid[a->n_avoid - 1])
        w->count->backends[backend][BACKEND_REDISPATCHES]++;
    return ATTEMPT_PICKED;
}

struct tls_client *attempt_tls(const struct attempt *a)
{
    return tls_clients_at(a->generation->clients, a->server->index);
}

void attempt_leave(struct attempt *a, struct worker *w)
{
    if (a->server == NULL)
        return;
    if (a->n_avoid < PICK_AVOID_MAX)
        a->avoid[a->n_avoid++] = a->server->index;
    release(a, w);
}

// What real traffic has shown of the claimed server.
static void suspect(const struct attempt *a, struct worker *w, enum suspect_kind kind)
{
    const struct server *s = a->server;
    const uint64_t one = 1;
    unsigned news = suspect_failed(w->board, s, kind, w->loop.now_ms);
    if (news & SUSPECT_SKIPPED)
        log_warning("server %s/%s: %s; skipping it for a while", s->backend->name.p, s->name.p,
                    kind == SUSPECT_CONNECT ? "connection failed" : "no answer again and again");
    if ((news & SUSPECT_CHECK) && w->control_wake_fd >= 0 &&
        write(w->control_wake_fd, &one, sizeof(one)) < 0)
        log_debug("control is awake already");
}

void attempt_refused(struct attempt *a, struct worker *w)
{
    w->count->servers[a->server->index][SERVER_CONNECT_FAILURES]++;
    suspect(a, w, SUSPECT_CONNECT);
    panic_note("server refused", a->server->index, a->retries);
    attempt_leave(a, w);
}

void attempt_unanswered(struct attempt *a, struct worker *w)
{
    suspect(a, w, SUSPECT_ANSWER);
}

void attempt_succeeded(struct attempt *a, struct worker *w)
{
    const struct server *s = a->server;
    if (suspect_succeeded(w->board, s))
        log_info("server %s/%s: it works again", s->backend->name.p, s->name.p);
}

bool attempt_may_retry(struct attempt *a, struct worker *w, enum end_cause why)
{
    bool died = why == END_SERVER_CLOSED_WAIT && a->retries == 0;
    bool refused = why == END_SERVER_REFUSED || why == END_SERVER_TLS || why == END_SERVER_DOWN;
    bool charged = !died && !refused;
    uint32_t budget = MAX_OF(w->exchanges / RETRY_BUDGET_SHARE, RETRY_BUDGET_MIN);
    if (a->retries >= a->backend->retries || a->backend->retry_on == 0)
        return false;
    if (charged && !a->retrying && w->retrying >= budget) {
        w->count->backends[a->backend->index][BACKEND_RETRIES_OVER_BUDGET]++;
        return false;
    }
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
        release(a, w);
    if (a->waiter.waits)
        queue_leave(w, a->backend->index, &a->waiter);
    if (a->retrying)
        w->retrying--;
    a->retrying = false;
}
