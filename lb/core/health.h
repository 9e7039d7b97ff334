// SPDX-License-Identifier: MIT
// Health of one server from the results of its checks, and its way back to its full share: pure
// functions of time. Control keeps one struct health_track per server.
//
//          first failure after the start              `fall` failures in a row
//   fresh ------------------------------> DOWN <---------------------------------- UP
//     '---- first success ----------> UP    '--------- `rise` successes in a row --'
#ifndef EVLB_HEALTH_H
#define EVLB_HEALTH_H

#include "conf/config.h"

struct health_track {
    bool up;
    bool fresh;           // no result since the start or since the address changed
    uint32_t row;         // results in a row that speak against the state
    uint64_t up_since_ms; // 0: since the start (no slow start then)
};

enum health_change { HEALTH_SAME, HEALTH_WENT_DOWN, HEALTH_CAME_UP };

// A server starts up, and its first failed check takes it down.
void health_start(struct health_track *t);
// One result. Local failures (no descriptor, no route at all, DNS) are no results.
enum health_change health_result(struct health_track *t, const struct health *h, bool passed,
                                 uint64_t now_ms) MUST_CHECK;
// How long until the next check: `every` while healthy, `every-down` while down, a quarter of
// `every` while results speak against the state. `draw` (any 32 random bits) spreads it by +-10 %.
uint32_t health_next_ms(const struct health_track *t, const struct health *h, uint32_t draw);
// When the i-th of n checks of a process begins: spread over `every`.
uint32_t health_first_ms(const struct health *h, uint32_t i, uint32_t n);

// Percent of its weight that a server which came up at `since_ms` is still denied: from 99 down to
// 0 in even steps over slow_start_ms. *next_ms: when it changes again (UINT64_MAX: never).
uint32_t slow_start_withheld(uint64_t since_ms, uint32_t slow_start_ms, uint64_t now_ms,
                             uint64_t *next_ms);

#endif
