// SPDX-License-Identifier: MIT
// Who works and who stands by. Runs in control, called by control/servers.c whenever a server of
// the backend or its configuration has changed, and when the time that the last decision named has
// come; failover_begin() runs in the supervisor.
//
// Both modes are one: servers form groups, exactly one group works, and the group of the smallest
// rank is the best. In active-passive each server is a group of its own.
//
//   active-active    a(1) b(1) | c(2) d(2)     rank: the tier
//   active-passive   a(1) | b(1) | c(2)        rank: the tier, then the place in the list
//
// Invariants: the group that works has a usable server whenever any server is usable; a group that
// works and stays usable loses the work only to a better one, and only with `failback: auto`.
#include "core/failover.h"

#include "core/sched.h"

#define RANK_NONE UINT64_MAX

static uint64_t rank_of(const struct backend *b, uint32_t place)
{
    uint64_t tier = (uint64_t)b->servers[place].tier << 32;
    return b->failover == FAILOVER_ACTIVE_PASSIVE ? tier | place : tier;
}

// As it stands in a track.
static uint32_t active_of(const struct backend *b, uint64_t rank)
{
    if (rank == RANK_NONE)
        return FAILOVER_NONE;
    return (uint32_t)(b->failover == FAILOVER_ACTIVE_PASSIVE ? rank : rank >> 32);
}

static bool ripe(const struct backend *b, const struct failover_server *s, uint64_t now_ms)
{
    return s->up_since_ms == 0 || now_ms >= s->up_since_ms + b->failback_after_ms;
}

// What is to be known of all groups for one decision.
struct ranks {
    uint64_t best;      // of the usable ones
    uint64_t best_ripe; // of those that have been usable for failback-after
    uint64_t current;   // RANK_NONE: the group that works is not usable
};

static struct ranks look(const struct backend *b, const struct failover_track *track,
                         const struct failover_server *servers, uint64_t now_ms)
{
    struct ranks r = {RANK_NONE, RANK_NONE, RANK_NONE};
    for (uint32_t i = 0; i < b->n_servers; i++) {
        uint64_t rank = rank_of(b, i);
        if (!servers[i].usable)
            continue;
        r.best = MIN_OF(r.best, rank);
        if (ripe(b, &servers[i], now_ms))
            r.best_ripe = MIN_OF(r.best_ripe, rank);
        if (active_of(b, rank) == track->active)
            r.current = rank;
    }
    return r;
}

static uint64_t choose(const struct backend *b, const struct failover_track *track,
                       const struct ranks *r)
{
    if (r->current == RANK_NONE)
        return r->best;
    if (track->switched || b->failback == FAILBACK_MANUAL)
        return r->current;
    return MIN_OF(r->current, r->best_ripe);
}

// When the first of those that are better than `rank` is ripe.
static uint64_t next_ripe(const struct backend *b, const struct failover_track *track,
                          const struct failover_server *servers, uint64_t rank)
{
    uint64_t when = UINT64_MAX;
    if (track->switched || b->failback == FAILBACK_MANUAL)
        return when;
    for (uint32_t i = 0; i < b->n_servers; i++)
        if (servers[i].usable && rank_of(b, i) < rank)
            when = MIN_OF(when, servers[i].up_since_ms + b->failback_after_ms);
    return when;
}

static enum failover_reason reason_of(const struct failover_track *track, const struct ranks *r,
                                      uint64_t rank)
{
    if (rank == RANK_NONE)
        return FAILOVER_NO_SERVER;
    if (track->switched)
        return FAILOVER_SWITCHED;
    return rank == r->best ? FAILOVER_FIRST : FAILOVER_KEPT;
}

struct failover_result failover_decide(const struct backend *b, struct failover_track *track,
                                       const struct failover_server *servers, bool *works,
                                       uint64_t now_ms)
{
    struct ranks r = look(b, track, servers, now_ms);
    track->switched &= r.current != RANK_NONE;
    uint64_t rank = choose(b, track, &r);
    struct failover_result result = {
        .active = active_of(b, rank),
        .look_again_ms = next_ripe(b, track, servers, rank),
        .reason = reason_of(track, &r, rank),
    };
    result.changed = result.active != track->active;
    track->active = result.active;
    for (uint32_t i = 0; i < b->n_servers; i++)
        works[i] = servers[i].usable && rank_of(b, i) == rank;
    return result;
}

bool failover_can_switch(const struct backend *b)
{
    for (uint32_t i = 1; i < b->n_servers; i++)
        if (rank_of(b, i) != rank_of(b, 0))
            return true;
    return b->n_servers == 1;
}

bool failover_switch(const struct backend *b, struct failover_track *track,
                     const struct failover_server *servers, uint32_t place)
{
    if (place >= b->n_servers || !servers[place].usable)
        return false;
    struct ranks r = look(b, track, servers, 0);
    track->active = active_of(b, rank_of(b, place));
    track->switched = rank_of(b, place) != r.best;
    return true;
}

const char *failover_reason_text(enum failover_reason reason, enum failback failback)
{
    if (reason == FAILOVER_KEPT && failback == FAILBACK_MANUAL)
        return "it works; a better one waits for evlb ctl backend switch";
    static const char *const texts[] = {
        [FAILOVER_FIRST] = "the best that is usable",
        [FAILOVER_KEPT] = "it works; a better one waits until failback-after is over",
        [FAILOVER_SWITCHED] = "switched by an administrator",
        [FAILOVER_NO_SERVER] = "no server is usable",
    };
    lb_assert((size_t)reason < ARRAY_LEN(texts));
    return texts[reason];
}

// ---- the board ----------------------------------------------------------------------------------

void failover_begin(const struct backend *b, struct board *board)
{
    uint64_t best = RANK_NONE;
    for (uint32_t i = 0; i < b->n_servers; i++)
        if (sched_usable(board, &b->servers[i]))
            best = MIN_OF(best, rank_of(b, i));
    for (uint32_t i = 0; i < b->n_servers; i++)
        atomic_store(&board->server[b->servers[i].index].standby, rank_of(b, i) != best);
}

struct failover_track failover_resume(const struct backend *b, const struct board *board)
{
    uint64_t working = RANK_NONE;
    for (uint32_t i = 0; i < b->n_servers; i++) {
        const struct server *s = &b->servers[i];
        if (sched_usable(board, s) && atomic_load(&board->server[s->index].standby) == 0)
            working = MIN_OF(working, rank_of(b, i));
    }
    return (struct failover_track){
        .active = active_of(b, working),
        .switched = atomic_load(&board->cursor[b->index].switched) != 0,
    };
}
