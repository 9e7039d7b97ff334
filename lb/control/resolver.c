// SPDX-License-Identifier: MIT
// The names of servers. Runs in control; control.c owns it.
//
// One watch per name of the configuration: it has as many places as the server has (1, or 8 with
// `resolve: all`), and each place is a server with a slot of its own. What is known lives on the
// board, so a control process that was replaced, and a reload, go on with it.
//
//   ask --OK-----> fill places, ask again after the TTL
//       --NONE---> third time in a row: empty places; ask again after min-ttl
//       --FAILED-> keep; ask again after min-ttl, 2, 4, ... x, at most max-ttl
//
// Invariant: a watch has at most one lookup under way; a watch that goes away while one is under
// way leaves by `orphan` and frees itself with the answer.
#include "control/resolver.h"

#include "base/log.h"
#include "core/places.h"
#include "io/dns.h"

#define NONE_BELIEVED 3           // "no such name", so often in a row
#define FAILURES_UNTIL_RENEWED 8u // then c-ares reads its configuration again
#define WEIGHT_MAX 256u

struct watch {
    struct list node;
    struct resolver *r; // NULL: orphan
    const struct server *first;
    uint32_t n_places;
    struct place places[PLACES_MAX];
    struct timer timer;
    uint32_t nones, failures; // in a row
    bool asking, answered;
    bool said; // the failure has been logged
};

struct resolver {
    struct loop *loop;
    struct servers *servers;
    const struct board *board;
    const struct config *config;
    struct dns_client *dns; // NULL: could not be made; tried again
    struct list watches;
    uint32_t failures; // of all names, in a row
    bool renewing;     // lookups end because we end them
};

// ---- places -----------------------------------------------------------------------------------

static void report_places(struct watch *w, const struct place *before)
{
    for (uint32_t i = 0; i < w->n_places; i++) {
        const struct place *now = &w->places[i];
        bool same = now->addr.len == before[i].addr.len && now->weight == before[i].weight &&
                    (now->addr.len == 0 || addr_eq(&now->addr, &before[i].addr));
        if (!same)
            servers_resolved(w->r->servers, w->first[i].index,
                             now->addr.len > 0 ? &now->addr : NULL, now->weight);
    }
}

static void fill(struct watch *w, const struct place *found, uint32_t n)
{
    struct place before[PLACES_MAX];
    memcpy(before, w->places, sizeof(before));
    if (places_fill(w->places, w->n_places, found, n) > 0)
        report_places(w, before);
}

// SRV weights go up to 65535, ours to 256: the largest becomes 256.
static uint16_t scaled(uint16_t weight, uint16_t largest)
{
    if (weight == 0 || largest <= WEIGHT_MAX)
        return weight;
    return (uint16_t)MAX_OF((uint32_t)weight * WEIGHT_MAX / largest, 1u);
}

static void fill_from(struct watch *w, const struct dns_answer *a)
{
    struct place found[DNS_ADDRS_MAX];
    uint16_t largest = 0;
    for (uint32_t i = 0; i < a->n; i++)
        largest = MAX_OF(largest, a->weights[i]);
    for (uint32_t i = 0; i < a->n; i++)
        found[i] = (struct place){a->addrs[i], scaled(a->weights[i], largest)};
    fill(w, found, a->n);
}

// ---- asking -----------------------------------------------------------------------------------

static uint32_t retry_ms(const struct watch *w)
{
    const struct dns *s = &w->r->config->dns;
    uint32_t ms = s->min_ttl_ms;
    for (uint32_t i = 1; i < w->failures && ms < s->max_ttl_ms; i++)
        ms *= 2;
    return MIN_OF(ms, s->max_ttl_ms);
}

static void say_failed(struct watch *w, const struct dns_answer *a)
{
    bool has_address = w->places[0].addr.len > 0;
    if (w->said)
        return;
    w->said = true;
    log_warning("server %.*s/%.*s: %.*s does not resolve: %s; %s", STR_FMT(w->first->backend->name),
                STR_FMT(w->first->name), STR_FMT(w->first->host), a->error,
                has_address ? "its last address stays" : "it gets no traffic until then");
}

// Returns when to ask again, ms.
static uint32_t take_answer(struct watch *w, const struct dns_answer *a)
{
    const struct dns *s = &w->r->config->dns;
    switch (a->status) {
    case DNS_OK:
        w->nones = w->failures = 0;
        w->said = false;
        fill_from(w, a);
        return MIN_OF(MAX_OF(a->ttl_ms, s->min_ttl_ms), s->max_ttl_ms);
    case DNS_NONE:
        w->failures = 0;
        if (++w->nones >= NONE_BELIEVED)
            fill(w, NULL, 0);
        say_failed(w, a);
        return s->min_ttl_ms;
    case DNS_FAILED:
        break;
    }
    w->failures++;
    say_failed(w, a);
    return retry_ms(w);
}

static void renew(struct resolver *r)
{
    const char *error;
    const struct dns *s = &r->config->dns;
    r->renewing = true;
    dns_free(r->dns);
    r->renewing = false;
    r->failures = 0;
    r->dns = dns_new(r->loop, s->servers, s->n_servers, s->timeout_ms, &error);
    if (r->dns == NULL)
        log_error("no names can be resolved: %s", error);
}

static void on_answer(void *ctx, const struct dns_answer *a)
{
    struct watch *w = ctx;
    struct resolver *r = w->r;
    if (r == NULL) {
        free(w);
        return;
    }
    w->asking = false;
    if (r->renewing) { // says nothing about the name
        timer_set(&r->loop->wheel, &w->timer, r->loop->now_ms + r->config->dns.min_ttl_ms);
        return;
    }
    w->answered = true;
    r->failures = a->status == DNS_FAILED ? r->failures + 1 : 0;
    timer_set(&r->loop->wheel, &w->timer, r->loop->now_ms + take_answer(w, a));
}

// Asks now, or tries later when there is nobody to ask.
static void ask(struct watch *w)
{
    struct resolver *r = w->r;
    const struct server *s = w->first;
    timer_clear(&w->timer);
    if (r->dns == NULL || r->failures >= FAILURES_UNTIL_RENEWED)
        renew(r);
    if (r->dns == NULL) {
        w->answered = true;
        timer_set(&r->loop->wheel, &w->timer, r->loop->now_ms + r->config->dns.max_ttl_ms);
        return;
    }
    w->asking = true;
    dns_lookup(r->dns, s->host, s->port, s->srv, on_answer, w);
}

static void on_due(struct timer *t)
{
    ask(container_of(t, struct watch, timer));
}

// ---- watches ----------------------------------------------------------------------------------

static struct watch *find_watch(struct list *watches, const struct server *s)
{
    LIST_EACH(node, watches)
    {
        struct watch *w = list_entry(node, struct watch, node);
        if (w->first->index == s->index)
            return w;
    }
    return NULL;
}

// What is known already, from the board.
static void recall(struct watch *w, const struct board *board)
{
    for (uint32_t i = 0; i < w->n_places; i++) {
        board_addr_read(board, w->first[i].index, &w->places[i].addr);
        w->answered = w->answered || w->places[i].addr.len > 0;
    }
}

static uint32_t places_of(const struct server *s)
{
    return MIN_OF(MAX_OF((uint32_t)s->n_places, 1u), PLACES_MAX);
}

static void add_watch(struct resolver *r, const struct server *s)
{
    struct watch *w = xcalloc(1, sizeof(*w));
    w->r = r;
    w->first = s;
    w->n_places = places_of(s);
    timer_init(&w->timer, on_due);
    list_append(&r->watches, &w->node);
    recall(w, r->board);
    ask(w);
}

static void drop_watch(struct watch *w)
{
    list_remove(&w->node);
    timer_clear(&w->timer);
    w->r = NULL;
    if (!w->asking)
        free(w);
}

static bool is_named(const struct server *s)
{
    return s->host.len > 0 && s->addr.len == 0 && s->place == 0;
}

static bool same_servers(const struct dns *a, const struct dns *b)
{
    bool same = a->n_servers == b->n_servers && a->timeout_ms == b->timeout_ms;
    for (uint32_t i = 0; i < a->n_servers && same; i++)
        same = addr_eq(&a->servers[i], &b->servers[i]);
    return same;
}

// Other name servers may have other answers.
static void ask_all_anew(struct resolver *r)
{
    renew(r);
    LIST_EACH(node, &r->watches)
    {
        ask(list_entry(node, struct watch, node));
    }
}

void resolver_reconfigure(struct resolver *r, const struct config *config)
{
    bool same = same_servers(&r->config->dns, &config->dns);
    struct list before;
    list_init(&before);
    list_splice(&before, &r->watches);
    r->config = config;
    for (uint32_t i = 0; i < config->n_servers; i++) {
        const struct server *s = &config->servers[i];
        if (!is_named(s))
            continue;
        struct watch *w = find_watch(&before, s);
        if (w == NULL || w->n_places != places_of(s)) {
            add_watch(r, s);
            continue;
        }
        w->first = s;
        list_remove(&w->node);
        list_append(&r->watches, &w->node);
    }
    while (!list_empty(&before))
        drop_watch(list_entry(before.next, struct watch, node));
    if (!same)
        ask_all_anew(r);
}

struct resolver *resolver_new(struct loop *loop, struct servers *servers, const struct board *board,
                              const struct config *config)
{
    struct resolver *r = xcalloc(1, sizeof(*r));
    r->loop = loop;
    r->servers = servers;
    r->board = board;
    r->config = config;
    list_init(&r->watches);
    renew(r);
    resolver_reconfigure(r, config);
    return r;
}

void resolver_free(struct resolver *r)
{
    if (r == NULL)
        return;
    dns_free(r->dns);
    while (!list_empty(&r->watches))
        drop_watch(list_entry(r->watches.next, struct watch, node));
    free(r);
}

bool resolver_settled(const struct resolver *r)
{
    LIST_EACH(node, &r->watches)
    {
        if (!list_entry(node, struct watch, node)->answered)
            return false;
    }
    return true;
}
