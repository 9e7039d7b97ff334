// SPDX-License-Identifier: MIT
// c-ares on libev. Runs in control. c-ares says which sockets it wants watched and when it wants to
// be called again; everything else (packets, retries, several servers, TCP for long answers) is its
// business.
//
//   lookup --A, AAAA--------------------------------> answer
//   lookup --SRV--> up to 16 targets --A, AAAA each--> answer
//
// Invariants: `pending` counts the calls that c-ares still owes a lookup; the lookup ends with the
// last of them, also when dns_free() ends them all.
#include "io/dns.h"

#include <ares.h>
#include <arpa/nameser.h>

#define TRIES 2
#define TTL_LONGEST_S 86400

struct watched {
    struct list node;
    struct dns_client *d;
    ev_io io;
};

struct dns_client {
    struct loop *loop;
    ares_channel channel;
    struct list watched; // the sockets of c-ares
    ev_timer timer;
    bool closing;
};

struct lookup {
    struct dns_client *d;
    dns_done *done;
    void *ctx;
    uint32_t pending;
    struct dns_answer answer;
};

// One name whose addresses are asked for on behalf of a lookup.
struct target {
    struct lookup *lookup;
    uint16_t port, weight;
};

// ---- the loop ---------------------------------------------------------------------------------

static void arm(struct dns_client *d)
{
    struct timeval tv;
    struct ev_loop *ev = d->loop->ev;
    ev_timer_stop(ev, &d->timer);
    if (d->closing || ares_timeout(d->channel, NULL, &tv) == NULL)
        return;
    ev_timer_set(&d->timer, (double)tv.tv_sec + (double)tv.tv_usec / 1e6, 0.);
    ev_timer_start(ev, &d->timer);
}

static void on_socket(struct ev_loop *ev, ev_io *io, int events)
{
    (void)ev;
    struct watched *w = io->data;
    struct dns_client *d = w->d;
    ares_process_fd(d->channel, events & EV_READ ? io->fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? io->fd : ARES_SOCKET_BAD); // `w` may be gone now
    arm(d);
}

static void on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void)ev, (void)events;
    struct dns_client *d = timer->data;
    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(d);
}

static struct watched *find_watched(struct dns_client *d, int fd)
{
    LIST_EACH(node, &d->watched)
    {
        struct watched *w = list_entry(node, struct watched, node);
        if (w->io.fd == fd)
            return w;
    }
    return NULL;
}

static void on_wish(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct dns_client *d = ctx;
    struct watched *w = find_watched(d, fd);
    int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
    if (w != NULL)
        ev_io_stop(d->loop->ev, &w->io);
    if (events == 0 && w != NULL) {
        list_remove(&w->node);
        free(w);
    }
    if (events == 0)
        return;
    if (w == NULL) {
        w = xcalloc(1, sizeof(*w));
        w->d = d;
        list_append(&d->watched, &w->node);
    }
    ev_io_init(&w->io, on_socket, fd, events);
    w->io.data = w;
    ev_io_start(d->loop->ev, &w->io);
}

// ---- life -------------------------------------------------------------------------------------

// False: *error says why.
static bool set_servers(struct dns_client *d, const struct addr *servers, uint32_t n,
                        const char **error)
{
    struct ares_addr_port_node *nodes = xcalloc(n, sizeof(*nodes));
    for (uint32_t i = 0; i < n; i++) {
        const union ip_addr *ip = &servers[i].ip;
        nodes[i].next = i + 1 < n ? &nodes[i + 1] : NULL;
        nodes[i].family = ip->sa.sa_family;
        nodes[i].udp_port = nodes[i].tcp_port = ip_port(ip);
        if (ip->sa.sa_family == AF_INET)
            nodes[i].addr.addr4 = ip->v4.sin_addr;
        else
            memcpy(&nodes[i].addr.addr6, &ip->v6.sin6_addr, sizeof(nodes[i].addr.addr6));
    }
    int r = ares_set_servers_ports(d->channel, nodes);
    free(nodes);
    *error = ares_strerror(r);
    return r == ARES_SUCCESS;
}

struct dns_client *dns_new(struct loop *loop, const struct addr *servers, uint32_t n_servers,
                           uint32_t timeout_ms, const char **error)
{
    struct dns_client *d = xcalloc(1, sizeof(*d));
    struct ares_options o = {.timeout = (int)timeout_ms,
                             .tries = TRIES,
                             .sock_state_cb = on_wish,
                             .sock_state_cb_data = d};
    d->loop = loop;
    list_init(&d->watched);
    ev_init(&d->timer, on_timer);
    d->timer.data = d;
    int r = ares_library_init(ARES_LIB_INIT_ALL);
    if (r == ARES_SUCCESS)
        r = ares_init_options(&d->channel, &o,
                              ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (r != ARES_SUCCESS) {
        *error = ares_strerror(r);
        free(d);
        return NULL;
    }
    if (n_servers > 0 && !set_servers(d, servers, n_servers, error)) {
        dns_free(d);
        return NULL;
    }
    return d;
}

void dns_free(struct dns_client *d)
{
    if (d == NULL)
        return;
    d->closing = true;
    ev_timer_stop(d->loop->ev, &d->timer);
    ares_destroy(d->channel); // closes its sockets by on_wish(), ends its queries
    lb_assert(list_empty(&d->watched));
    ares_library_cleanup();
    free(d);
}

// ---- lookups ----------------------------------------------------------------------------------

static void end_one(struct lookup *l)
{
    lb_assert(l->pending > 0);
    if (--l->pending > 0)
        return;
    if (l->answer.n > 0)
        l->answer.status = DNS_OK;
    if (l->answer.status == DNS_OK)
        l->answer.error = NULL;
    l->done(l->ctx, &l->answer);
    free(l);
}

// What a status of c-ares that is no success means. An answer "there is none" weighs less than a
// failure: another target may have been what failed.
static void note_failure(struct lookup *l, int status)
{
    bool none = status == ARES_ENODATA || status == ARES_ENOTFOUND || status == ARES_EBADNAME ||
                status == ARES_ENONAME;
    if (l->answer.status != DNS_FAILED)
        l->answer.status = none ? DNS_NONE : DNS_FAILED;
    l->answer.error = ares_strerror(status);
}

static void note_ttl(struct lookup *l, int seconds)
{
    uint32_t ms = (uint32_t)(seconds < 0 ? 0 : MIN_OF(seconds, TTL_LONGEST_S)) * 1000;
    l->answer.ttl_ms = MIN_OF(l->answer.ttl_ms, ms);
}

static void add_address(struct target *t, const struct ares_addrinfo_node *n)
{
    struct dns_answer *a = &t->lookup->answer;
    bool known = n->ai_family == AF_INET || n->ai_family == AF_INET6;
    if (a->n == DNS_ADDRS_MAX || !known || n->ai_addrlen > sizeof(a->addrs[0].ip))
        return;
    struct addr *to = &a->addrs[a->n];
    memset(to, 0, sizeof(*to));
    to->len = (socklen_t)n->ai_addrlen;
    memcpy(&to->ip, n->ai_addr, n->ai_addrlen);
    if (n->ai_family == AF_INET)
        to->ip.v4.sin_port = htons(t->port);
    else
        to->ip.v6.sin6_port = htons(t->port);
    for (uint32_t i = 0; i < a->n; i++) {
        if (addr_eq(&a->addrs[i], to))
            return;
    }
    a->weights[a->n++] = t->weight;
    note_ttl(t->lookup, n->ai_ttl);
}

static void on_addresses(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
    (void)timeouts;
    struct target *t = ctx;
    if (status == ARES_SUCCESS) {
        for (const struct ares_addrinfo_node *n = info->nodes; n != NULL; n = n->ai_next)
            add_address(t, n);
    } else {
        note_failure(t->lookup, status);
    }
    if (info != NULL)
        ares_freeaddrinfo(info);
    end_one(t->lookup);
    free(t);
}

static void ask_addresses(struct lookup *l, const char *name, uint16_t port, uint16_t weight)
{
    const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct target *t = xcalloc(1, sizeof(*t));
    *t = (struct target){l, port, weight};
    l->pending++;
    ares_getaddrinfo(l->d->channel, name, NULL, &hints, on_addresses, t);
}

static void ask_targets(struct lookup *l, const struct ares_srv_reply *records)
{
    uint16_t best = UINT16_MAX;
    uint32_t n = 0;
    for (const struct ares_srv_reply *r = records; r != NULL; r = r->next)
        best = MIN_OF(best, r->priority);
    for (const struct ares_srv_reply *r = records; r != NULL && n < DNS_ADDRS_MAX; r = r->next) {
        if (r->priority != best)
            continue;
        ask_addresses(l, r->host, r->port, MAX_OF(r->weight, (unsigned short)1));
        n++;
    }
}

static void on_services(void *ctx, int status, int timeouts, unsigned char *bytes, int len)
{
    (void)timeouts;
    struct lookup *l = ctx;
    struct ares_srv_reply *records = NULL;
    if (status == ARES_SUCCESS)
        status = ares_parse_srv_reply(bytes, len, &records);
    if (status == ARES_SUCCESS)
        ask_targets(l, records);
    else
        note_failure(l, status);
    if (records != NULL)
        ares_free_data(records);
    end_one(l);
}

void dns_lookup(struct dns_client *d, struct str name, uint16_t port, bool srv, dns_done *done,
                void *ctx)
{
    struct lookup *l = xcalloc(1, sizeof(*l));
    char text[256];
    *l = (struct lookup){.d = d, .done = done, .ctx = ctx, .pending = 1};
    l->answer.status = DNS_NONE;
    l->answer.ttl_ms = TTL_LONGEST_S * 1000u;
    l->answer.error = "it has no address";
    if (!str_copy(name, text, sizeof(text))) {
        l->answer.error = "the name is too long";
        end_one(l);
        return;
    }
    if (srv) {
        ares_query(d->channel, text, ns_c_in, ns_t_srv, on_services, l);
    } else {
        ask_addresses(l, text, port, 0);
        end_one(l);
    }
    arm(d);
}
