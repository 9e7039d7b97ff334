// SPDX-License-Identifier: MIT
// Which servers are checked when, and what a check means. Runs in control, on its loop.
//
//   timer --> [waiting] --> probe (probe.c) --> verdict --> servers, next timer
//               more than RUNNING_MAX at a time     '-- deadline
//
// A check is a small block per server with one timer: when to begin, and the deadline while it
// runs; so that a thousand idle checks cost next to nothing.
// Invariants: a check never overlaps the one before it; as long as any check waits, as many run as
// may, or one that waited has its turn; nothing here decides about states.
#include "control/checks.h"

#include <errno.h>

#include "base/hash.h"
#include "base/log.h"
#include "control/probe.h"
#include "core/sched.h"
#include "io/sock.h"

#define RUNNING_MAX 512u

struct check {
    struct checks *owner;
    const struct server *server;
    const struct check_terms *terms;
    struct list node;       // in checks.waiting
    struct timer timer;     // when to begin; the deadline of one that runs
    struct probe *probe;    // NULL: does not run
    uint32_t address_epoch; // of the server when it began
    uint64_t began_ms;
    uint64_t unrouted_ms; // since when we have had no route to it; 0: we have
    bool again;           // asked for while it ran
    bool kept;            // is in the new configuration, too
};

struct checks {
    struct loop *loop;
    struct board *board;
    struct servers *servers;
    struct check **check; // by server slot; NULL: not checked
    struct arena *arena;  // of the terms
    struct tls_clients *tls;
    struct list waiting; // due, but too many run
    uint32_t n_running;
    uint64_t passed_ms; // when any check passed last
    struct rng rng;
};

// ---- the end of a check -----------------------------------------------------------------------

// When the next one begins: counted from the beginning of this one.
static void plan_next(struct check *k)
{
    struct checks *c = k->owner;
    const struct server_track *t = servers_track(c->servers, k->server->index);
    uint32_t draw = (uint32_t)(rng_next(&c->rng) >> 32);
    uint64_t next_ms = k->began_ms + health_next_ms(&t->health, k->terms->health, draw);
    if (k->again)
        next_ms = c->loop->now_ms;
    k->again = false;
    timer_set(&c->loop->wheel, &k->timer, MAX_OF(next_ms, c->loop->now_ms));
}

// Another one may begin. By its timer, as we may be within check_begin().
static void pass_turn_on(struct checks *c)
{
    struct list *next = c->n_running < RUNNING_MAX ? list_pop_first(&c->waiting) : NULL;
    if (next != NULL)
        timer_set(&c->loop->wheel, &list_entry(next, struct check, node)->timer, c->loop->now_ms);
}

static void check_done(struct check *k, enum check_verdict verdict, const char *reason)
{
    struct checks *c = k->owner;
    struct check_result r = {.at_ms = c->loop->now_ms,
                             .wall_ms = clock_wall_ms(),
                             .latency_ms = (uint32_t)(c->loop->now_ms - k->began_ms),
                             .verdict = verdict};
    str_copy(str_of(reason), r.reason, sizeof(r.reason));
    if (verdict == CHECK_PASSED)
        c->passed_ms = c->loop->now_ms;
    servers_checked(c->servers, k->server->index, k->address_epoch, &r);
    plan_next(k);
    pass_turn_on(c);
}

// Whether it is our fault that there is no connection. Without a route to one server it may be
// unreachable; without a route to any, our own network is gone: any check that has passed since
// tells the difference.
static bool error_is_local(struct check *k, int error)
{
    if (sock_failure(error) == SOCK_EXHAUSTED)
        return true;
    if (error != ENETUNREACH) {
        k->unrouted_ms = 0;
        return false;
    }
    if (k->unrouted_ms == 0)
        k->unrouted_ms = k->owner->loop->now_ms;
    return k->owner->passed_ms <= k->unrouted_ms;
}

static enum check_verdict explain_error(struct check *k, int error, char reason[CHECK_REASON])
{
    if (error == EAGAIN) // only unix sockets say so
        snprintf(reason, CHECK_REASON, "its accept queue is full");
    else
        snprintf(reason, CHECK_REASON, "%s", strerror(error));
    reason[0] = ascii_lower(reason[0]);
    return error_is_local(k, error) ? CHECK_LOCAL : CHECK_FAILED;
}

static void check_broke(struct check *k, int error)
{
    char reason[CHECK_REASON];
    enum check_verdict verdict = explain_error(k, error, reason);
    check_done(k, verdict, reason);
}

static void on_over(void *owner, enum probe_result result, int error, const char *reason)
{
    struct check *k = owner;
    k->probe = NULL;
    k->owner->n_running--;
    if (result == PROBE_BROKE) {
        check_broke(k, error);
        return;
    }
    k->unrouted_ms = 0;
    check_done(k, result == PROBE_PASSED ? CHECK_PASSED : CHECK_FAILED, reason);
}

// ---- the beginning of a check -----------------------------------------------------------------

// A port or address of its own is another service, which expects no header.
static bool sends_proxy(const struct check *k)
{
    const struct health *h = k->terms->health;
    return k->server->backend->send_proxy != PROXY_NONE && h->port == 0 && h->address.len == 0;
}

// A check may go to another address or port than the traffic.
static void find_target(const struct check *k, struct addr *to)
{
    const struct health *h = k->terms->health;
    sched_address(k->owner->board, k->server, to);
    uint16_t port = h->port;
    if (port == 0 && to->len > 0)
        port = ip_port(&to->ip);
    if (h->address.len > 0)
        *to = h->address;
    if (to->len == 0)
        return;
    if (to->sa.sa_family == AF_INET)
        to->ip.v4.sin_port = htons(port);
    else if (to->sa.sa_family == AF_INET6)
        to->ip.v6.sin6_port = htons(port);
}

static void check_begin(struct check *k)
{
    struct checks *c = k->owner;
    const struct server_track *t = servers_track(c->servers, k->server->index);
    struct probe_order order = {.terms = k->terms,
                                .server = k->server,
                                .sends_proxy = sends_proxy(k),
                                .tls = tls_clients_at(c->tls, k->server->index),
                                .owner = k,
                                .over = on_over};
    int error;
    k->began_ms = c->loop->now_ms;
    if (t->state == SERVER_MAINT || !t->resolved) { // checks_hurry() ends that
        plan_next(k);
        pass_turn_on(c);
        return;
    }
    if (c->n_running >= RUNNING_MAX) {
        list_append(&c->waiting, &k->node);
        return;
    }
    k->address_epoch = t->address_epoch;
    find_target(k, &order.to);
    k->probe = probe_begin(c->loop, &order, &error);
    if (k->probe == NULL) {
        check_broke(k, error);
        return;
    }
    c->n_running++;
    timer_set(&c->loop->wheel, &k->timer, c->loop->now_ms + k->terms->health->timeout_ms);
}

static void on_time(struct timer *t)
{
    struct check *k = container_of(t, struct check, timer);
    if (k->probe != NULL) {
        probe_late(k->probe); // on_over() follows
        return;
    }
    list_remove(&k->node);
    check_begin(k);
}

// ---- which servers ----------------------------------------------------------------------------

static void check_now(struct check *k)
{
    if (k->probe != NULL)
        k->again = true;
    else if (list_empty(&k->node))
        timer_set(&k->owner->loop->wheel, &k->timer, k->owner->loop->now_ms);
}

static struct check *check_of(const struct checks *c, uint32_t slot)
{
    return slot < c->board->dim.servers ? c->check[slot] : NULL;
}

void checks_hurry(struct checks *c, uint32_t slot)
{
    struct check *k = check_of(c, slot);
    if (k != NULL)
        check_now(k);
}

void checks_suspects(struct checks *c)
{
    const struct config *config = servers_config(c->servers);
    for (uint32_t i = 0; i < config->n_servers; i++) {
        uint32_t slot = config->servers[i].index;
        _Atomic uint32_t *wants = &c->board->suspect[slot].wants_check;
        if (atomic_load_explicit(wants, memory_order_relaxed) == 0 || c->check[slot] == NULL)
            continue;
        atomic_store(wants, 0);
        servers_suspected(c->servers, slot);
        check_now(c->check[slot]);
    }
}

static struct check *make_check(struct checks *c)
{
    struct check *k = xcalloc(1, sizeof(*k));
    k->owner = c;
    list_init(&k->node);
    timer_init(&k->timer, on_time);
    return k;
}

static void stop_check(struct check *k)
{
    if (k->probe != NULL) {
        probe_drop(k->probe);
        k->owner->n_running--;
    }
    k->probe = NULL;
    list_remove(&k->node);
}

static void forget_check(struct checks *c, uint32_t slot)
{
    struct check *k = c->check[slot];
    if (k == NULL)
        return;
    stop_check(k);
    timer_clear(&k->timer);
    free(k);
    c->check[slot] = NULL;
}

// The i-th of n. One that was due or ran begins again now, all others when they would have.
static void take_check(struct checks *c, const struct server *server,
                       const struct check_terms *terms, uint32_t i, uint32_t n)
{
    struct check *k = c->check[server->index];
    bool fresh = k == NULL, was_due = false;
    if (fresh) {
        k = c->check[server->index] = make_check(c);
    } else {
        was_due = k->probe != NULL || !list_empty(&k->node);
        stop_check(k);
    }
    k->server = server;
    k->terms = terms;
    k->kept = true;
    uint64_t first_ms = c->loop->now_ms + health_first_ms(terms->health, i, n);
    if (was_due)
        first_ms = c->loop->now_ms;
    else if (!fresh)
        first_ms = MIN_OF(k->timer.due_ms, c->loop->now_ms + terms->health->every_ms);
    timer_clear(&k->timer);
    timer_set(&c->loop->wheel, &k->timer, first_ms);
}

static uint32_t count_checked(const struct config *config)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < config->n_servers; i++)
        n += config->servers[i].backend->health.type != HEALTH_OFF;
    return n;
}

// What does not work here has been refused by the supervisor.
static void renew_tls(struct checks *c, const struct config *config)
{
    struct tls_clients *before = c->tls;
    char why[TLS_WHY_MAX];
    c->tls = tls_clients_new();
    for (uint32_t i = 0; i < config->n_servers; i++) {
        const struct server *s = &config->servers[i];
        struct tls_terms terms;
        if (check_dialogue_tls(s, &terms) &&
            !tls_clients_add(c->tls, before, s->index, &terms, why))
            log_error("checks of %s/%s: %s", s->backend->name.p, s->name.p, why);
    }
    tls_clients_free(before);
}

void checks_reconfigure(struct checks *c)
{
    const struct config *config = servers_config(c->servers);
    struct arena *old = c->arena;
    renew_tls(c, config);
    uint32_t n = count_checked(config), at = 0;
    c->arena = arena_new();
    for (uint32_t i = 0; i < c->board->dim.servers; i++) {
        if (c->check[i] != NULL)
            c->check[i]->kept = false;
    }
    for (uint32_t i = 0; i < config->n_backends; i++) {
        const struct backend *b = &config->backends[i];
        struct check_terms *terms = arena_alloc(c->arena, sizeof(*terms));
        *terms = check_terms_make(&b->health, c->arena);
        for (uint32_t j = 0; b->health.type != HEALTH_OFF && j < b->n_servers; j++)
            take_check(c, &b->servers[j], terms, at++, n);
    }
    for (uint32_t i = 0; i < c->board->dim.servers; i++) {
        if (c->check[i] != NULL && !c->check[i]->kept)
            forget_check(c, i);
    }
    arena_free(old);
}

struct checks *checks_new(struct loop *loop, struct board *board, struct servers *servers)
{
    struct checks *c = xcalloc(1, sizeof(*c));
    c->loop = loop;
    c->board = board;
    c->servers = servers;
    c->check = xcalloc(board->dim.servers + 1, sizeof(struct check *));
    list_init(&c->waiting);
    rng_seed(&c->rng, hash_mix(clock_monotonic_ms()));
    checks_reconfigure(c);
    checks_suspects(c);
    return c;
}

void checks_free(struct checks *c)
{
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->board->dim.servers; i++)
        forget_check(c, i);
    arena_free(c->arena);
    tls_clients_free(c->tls);
    free(c->check);
    free(c);
}
