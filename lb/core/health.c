// SPDX-License-Identifier: MIT
// From check results to up and down: `fall` and `rise` count results in a row, and the very first
// result after a start decides alone. Runs in control, called by control/servers.c for each result
// and by the checker for its timers; time and randomness are parameters.
// Invariants: a result that agrees with the state ends every row against it; `row` is below `fall`
// or `rise` between two calls; an interval is never 0, so no check runs without a pause.
#include "core/health.h"

#define TRANSITION_SHARE 4u     // of `every`
#define SLOW_START_STEPS 100u   // at most
#define SLOW_START_STEP_MS 100u // at least: each step has all workers build their tables anew
#define SLOW_START_WITHHELD 99u // percent, at first

void health_start(struct health_track *t)
{
    *t = (struct health_track){.up = true, .fresh = true};
}

static uint32_t results_needed(const struct health_track *t, const struct health *h)
{
    if (t->fresh)
        return 1;
    return t->up ? h->fall : h->rise;
}

enum health_change health_result(struct health_track *t, const struct health *h, bool passed,
                                 uint64_t now_ms)
{
    uint32_t needed = results_needed(t, h);
    t->fresh = false;
    if (passed == t->up) {
        t->row = 0;
        return HEALTH_SAME;
    }
    if (++t->row < needed)
        return HEALTH_SAME;
    t->row = 0;
    t->up = passed;
    if (!passed)
        return HEALTH_WENT_DOWN;
    t->up_since_ms = now_ms;
    return HEALTH_CAME_UP;
}

static uint32_t interval_ms(const struct health_track *t, const struct health *h)
{
    uint32_t settled = t->up ? h->every_ms : h->every_down_ms;
    return t->row == 0 ? settled : MIN_OF(settled, h->every_ms / TRANSITION_SHARE);
}

uint32_t health_next_ms(const struct health_track *t, const struct health *h, uint32_t draw)
{
    uint32_t ms = MAX_OF(interval_ms(t, h), 1u);
    uint32_t tenth = ms / 10;
    return ms - tenth + (uint32_t)(((2 * (uint64_t)tenth + 1) * draw) >> 32);
}

uint32_t health_first_ms(const struct health *h, uint32_t i, uint32_t n)
{
    return n == 0 ? 0 : (uint32_t)((uint64_t)h->every_ms * (i % n) / n);
}

uint32_t slow_start_withheld(uint64_t since_ms, uint32_t slow_start_ms, uint64_t now_ms,
                             uint64_t *next_ms)
{
    uint64_t elapsed = now_ms > since_ms ? now_ms - since_ms : 0;
    *next_ms = UINT64_MAX;
    if (since_ms == 0 || elapsed >= slow_start_ms)
        return 0;
    uint32_t step = MAX_OF(slow_start_ms / SLOW_START_STEPS, SLOW_START_STEP_MS);
    uint64_t reached = elapsed / step * step;
    *next_ms = since_ms + MIN_OF(reached + step, (uint64_t)slow_start_ms);
    return SLOW_START_WITHHELD - (uint32_t)(SLOW_START_WITHHELD * reached / slow_start_ms);
}
