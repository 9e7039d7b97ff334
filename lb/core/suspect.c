// SPDX-License-Identifier: MIT
// Passive health: what failures of real traffic say about a server. Called by workers behind every
// connect and answer, by control behind checks; the schedulers read the result. Time is a
// parameter.
//
//   fine --connect fails--> skipped 1 s --expires--> tried by traffic --fails--> 2 s, 4 s, ... 30 s
//    ^ '---`errors` failures in a row---> suspect: checked by control, or ejected 10 s, 20 s, ...
//    |                                       |
//    '------------- success -----------------'
//
// Invariants: skip_until_ms is 0 when the server is fine; only the process whose compare-and-swap
// began a skip counts it, so `failures` counts skips in a row; no skip ends behind skips_until_ms
// of the backend (it is raised first, and never lowered), whenever a worker is killed. A skip that
// would be one too many in its tier is taken back by who began it, so two workers at once leave at
// most too few.
#include "core/suspect.h"

#include "core/sched.h"

static uint64_t skip_ms(uint32_t failures)
{
    // 1 s << 5 is the first that is above the longest
    return failures < 5 ? (uint64_t)SUSPECT_FIRST_MS << failures : SUSPECT_LONGEST_MS;
}

static uint64_t eject_ms(const struct passive *p, uint32_t ejections)
{
    return MIN_OF((uint64_t)p->eject_ms * (ejections + 1), SUSPECT_EJECT_LONGEST_MS);
}

// Whether less than half of the tier is skipped, the server itself left out.
static bool tier_has_room(const struct board *b, const struct server *s, uint64_t now_ms)
{
    uint32_t usable = 0, skipped = 0;
    for (uint32_t i = 0; i < s->backend->n_servers; i++) {
        const struct server *other = &s->backend->servers[i];
        if (other->tier != s->tier || !sched_usable(b, other))
            continue;
        usable++;
        skipped += other != s && suspect_skipped(b, other->index, now_ms);
    }
    return (skipped + 1) * 2 <= usable;
}

static void raise_to(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t now = atomic_load(word);
    while (now < value && !atomic_compare_exchange_weak(word, &now, value))
        continue;
}

// Moves the end of a skip from `until` to `next`. False: another process was faster, or the tier
// has no room; then all is as it was.
static bool put_skip(struct board *b, const struct server *s, uint64_t until, uint64_t next,
                     uint64_t now_ms)
{
    _Atomic uint64_t *skip_until = &b->suspect[s->index].skip_until_ms;
    uint64_t mine = next;
    if (!tier_has_room(b, s, now_ms))
        return false;
    raise_to(&b->cursor[s->backend->index].skips_until_ms, next);
    if (!atomic_compare_exchange_strong(skip_until, &until, next))
        return false;
    if (tier_has_room(b, s, now_ms))
        return true;
    (void)atomic_compare_exchange_strong(skip_until, &mine, until); // unless a success cleared it
    return false;
}

static bool begin_skip(struct board *b, const struct server *s, bool eject, bool lengthen,
                       uint64_t now_ms)
{
    struct board_suspect *suspect = &b->suspect[s->index];
    _Atomic uint32_t *count = eject ? &suspect->ejections : &suspect->failures;
    uint64_t until = atomic_load(&suspect->skip_until_ms);
    uint32_t before = atomic_load(count);
    uint64_t next = now_ms + (eject ? eject_ms(&s->backend->passive, before) : skip_ms(before));
    if (next <= until || (until > now_ms && !lengthen))
        return false;
    if (!put_skip(b, s, until, next, now_ms))
        return false;
    atomic_fetch_add(count, 1);
    return true;
}

unsigned suspect_failed(struct board *b, const struct server *s, enum suspect_kind kind,
                        uint64_t now_ms)
{
    const struct passive *passive = &s->backend->passive;
    struct board_suspect *suspect = &b->suspect[s->index];
    bool checked = s->backend->health.type != HEALTH_OFF;
    if (!passive->on)
        return 0;
    uint32_t errors = atomic_fetch_add(&suspect->errors, 1) + 1;
    bool reached = errors == passive->errors, is_suspect = errors >= passive->errors;
    unsigned news = 0;
    // said again from time to time: whoever was to look may have been killed
    if (checked && errors % passive->errors == 0 && atomic_exchange(&suspect->wants_check, 1) == 0)
        news |= SUSPECT_CHECK;
    bool eject = is_suspect && !checked;
    if ((is_suspect || kind == SUSPECT_CONNECT) &&
        begin_skip(b, s, eject, eject && reached, now_ms))
        news |= SUSPECT_SKIPPED;
    return news;
}

bool suspect_succeeded(struct board *b, const struct server *s)
{
    struct board_suspect *suspect = &b->suspect[s->index];
    if (LIKELY(atomic_load_explicit(&suspect->errors, memory_order_relaxed) == 0 &&
               atomic_load_explicit(&suspect->skip_until_ms, memory_order_relaxed) == 0))
        return false;
    // counts first: a failure right behind the clearing begins with the shortest skip
    atomic_store(&suspect->errors, 0);
    atomic_store(&suspect->failures, 0);
    atomic_store(&suspect->ejections, 0);
    return atomic_exchange(&suspect->skip_until_ms, 0) != 0; // or another worker was faster
}

bool suspect_skipped(const struct board *b, uint32_t server, uint64_t now_ms)
{
    return atomic_load_explicit(&b->suspect[server].skip_until_ms, memory_order_relaxed) > now_ms;
}
