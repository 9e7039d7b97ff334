// SPDX-License-Identifier: MIT
// The line of `systemctl status`, and the sign of life that systemd's watchdog waits for. Called by
// the supervisor's loop in every turn; without a service manager it is never due.
#include "process/service.h"

#include "process/notify.h"

#define STATUS_MS 5000u

static struct {
    uint64_t status_ms, alive_ms; // when they are due; 0: not begun
    uint64_t requests;            // at the last status
} service;

static uint64_t count_requests(const struct tree *t)
{
    const struct board *b = t->shared->board;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t->config->n_frontends; i++) {
        uint32_t slot = t->config->frontends[i].index;
        for (uint32_t w = 0; w < b->dim.workers; w++)
            sum += __atomic_load_n(&b->counters[w].frontends[slot].n[FRONTEND_REQUESTS],
                                   __ATOMIC_RELAXED);
    }
    return sum;
}

static void say_status(const struct tree *t)
{
    uint32_t up = 0, down = 0;
    for (uint32_t i = 0; i < t->config->n_servers; i++) {
        const struct server *s = &t->config->servers[i];
        uint32_t state = atomic_load(&t->shared->board->server[s->index].state);
        up += state == SERVER_UP || state == SERVER_STARTING;
        down += state == SERVER_DOWN || (state == SERVER_UNRESOLVED && s->place == 0);
    }
    uint64_t requests = count_requests(t), fresh = requests - service.requests;
    service.requests = requests;
    notify_status("%u servers up, %u down; %llu req/s", up, down,
                  (unsigned long long)(fresh * 1000 / STATUS_MS));
}

void service_turn(const struct tree *t, uint64_t now_ms)
{
    if (!notify_is_on())
        return;
    if (now_ms >= service.status_ms) {
        service.status_ms = now_ms + STATUS_MS;
        say_status(t);
    }
    if (notify_watchdog_ms() > 0 && now_ms >= service.alive_ms) {
        service.alive_ms = now_ms + notify_watchdog_ms();
        notify_alive();
    }
}

uint64_t service_next_ms(void)
{
    if (!notify_is_on())
        return UINT64_MAX;
    return notify_watchdog_ms() > 0 ? MIN_OF(service.status_ms, service.alive_ms)
                                    : service.status_ms;
}
