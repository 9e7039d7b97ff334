// SPDX-License-Identifier: MIT
// The transport in memory. Part of the simulation; the worker calls it through struct transport as
// it calls the plain one. A peer is found by its descriptor. It does what the kernel does:
// - recv gives what there is, then EOF after a FIN or ECONNRESET after a reset;
// - send takes as much as the window has room for; before a connect is done it takes nothing, and
//   after a reset it fails; a peer that has closed altogether takes one write and then resets;
// - close with unread input resets.
// Invariant: peer->conn is the worker's connection from open to close.
#include <errno.h>

#include "io/tls.h"
#include "proxy/generation.h"
#include "sim.h"

#define FD_BASE 100000 // no real descriptor: a system call on one fails

static struct sim *world; // the one simulation of this process

struct sim_peer *sim_peer_at(int fd)
{
    return fd >= FD_BASE && fd < FD_BASE + SIM_PEERS ? &world->peers[fd - FD_BASE] : NULL;
}

struct loop *sim_loop(void)
{
    return &world->w.loop;
}

static struct sim_peer *peer_of(const struct conn *c)
{
    struct sim_peer *p = sim_peer_at(c->watcher.fd);
    assert_true(p != NULL && p->used);
    return p;
}

static int number_of(const struct sim_peer *p)
{
    return (int)(p - world->peers);
}

void sim_bytes_add(struct sim_bytes *b, const void *bytes, size_t n)
{
    if (b->n + n + 1 > b->cap) {
        b->cap = (b->n + n + 1) * 2;
        b->p = xrealloc(b->p, b->cap);
    }
    if (n > 0)
        memcpy(b->p + b->n, bytes, n);
    b->n += n;
    b->p[b->n] = '\0';
}

int sim_open(struct sim *t, int peer, int server)
{
    struct sim_peer *p = &t->peers[peer];
    world = t;
    assert_true(peer < SIM_PEERS && !p->used);
    *p = (struct sim_peer){.used = true,
                           .server = server,
                           .read_most = t->read_most,
                           .write_most = t->write_most,
                           .window = t->window,
                           .since_ms = t->w.loop.now_ms};
    sim_bytes_add(&p->out, "", 0);
    return FD_BASE + peer;
}

// The slot of the server that has this address in any configuration that is in use.
static uint32_t server_with(const struct worker *w, const struct addr *to)
{
    struct addr addr;
    for (const struct generation *g = w->now; g != NULL; g = g->older) {
        for (uint32_t i = 0; i < g->config->n_servers; i++) {
            sched_address(w->board, &g->config->servers[i], &addr);
            if (addr_eq(&addr, to))
                return g->config->servers[i].index;
        }
    }
    fail_msg("a connection to nowhere");
    return 0;
}

int sim_dial(struct worker *w, const struct addr *to, bool has_data)
{
    (void)has_data;
    struct sim *t = container_of(w, struct sim, w);
    uint32_t s = server_with(w, to);
    if (t->dial[s] == DIAL_REFUSE_NOW)
        return -ECONNREFUSED;
    if (t->dial[s] == DIAL_EXHAUSTED)
        return -EMFILE;
    int peer = SERVER_N(t->n_dials++);
    int fd = sim_open(t, peer, (int)s);
    t->peers[peer].connecting = true;
    if (tls_clients_at(w->now->clients, s) != NULL)
        sim_tls_server(t, &t->peers[peer]);
    t->moved++;
    return fd;
}

int sim_events(const struct sim_peer *p)
{
    int events = 0;
    if (p->error != 0)
        return CONN_READ | CONN_WRITE;
    if (p->connecting)
        return 0;
    if (p->in_taken < p->in.n || p->in_fin)
        events |= CONN_READ;
    if (p->window > 0)
        events |= CONN_WRITE;
    return events;
}

static void break_off(struct sim_peer *p, int error)
{
    p->error = error;
    p->gone = true;
    p->in_taken = p->in.n;
    p->in_fin = true;
}

// What the fault of this call does to the connection. True: the call ends with *r.
static bool faulted(struct sim_peer *p, size_t *most, enum io *r, struct conn *c)
{
    switch (sim_fault_now(world, number_of(p))) {
    case FAULT_AGAIN:
        *r = IO_AGAIN;
        return true;
    case FAULT_SHORT:
        *most = MIN_OF(*most, 1u);
        return false;
    case FAULT_RESET:
        break_off(p, ECONNRESET);
        c->error = ECONNRESET;
        *r = IO_ERR;
        return true;
    case FAULT_EOF: // the peer died: what is still under way is lost
        p->in_taken = p->in.n;
        p->in_fin = p->gone = true;
        return false;
    case FAULT_NONE:
    case FAULT_NO_MEMORY:
    case FAULT_COUNT:
        break;
    }
    return false;
}

static enum io mem_recv(struct conn *c, void *to, size_t size, size_t *got)
{
    struct sim_peer *p = peer_of(c);
    size_t most = MIN_OF(size, p->in.n - p->in_taken);
    enum io r;
    *got = 0;
    assert_true(size > 0);
    if (faulted(p, &most, &r, c))
        return r;
    most = MIN_OF(most, p->in.n - p->in_taken);
    if (most == 0 && p->error != 0) {
        c->error = p->error;
        world->moved++;
        return IO_ERR;
    }
    if (most == 0) {
        if (p->in_fin && !p->eof_seen)
            world->moved++;
        p->eof_seen = p->in_fin;
        return p->in_fin ? IO_EOF : IO_AGAIN;
    }
    if (p->read_most > 0)
        most = MIN_OF(most, p->read_most);
    memcpy(to, p->in.p + p->in_taken, most);
    p->in_taken += most;
    world->moved += most;
    *got = most;
    return IO_OK;
}

static enum io mem_sendv(struct conn *c, const struct iovec *iov, int n, size_t total, size_t *sent)
{
    struct sim_peer *p = peer_of(c);
    size_t most = p->window;
    enum io r;
    *sent = 0;
    assert_true(n > 0 && total > 0 && !c->finished);
    if (faulted(p, &most, &r, c))
        return r;
    if (p->error != 0) {
        c->error = EPIPE;
        return IO_ERR;
    }
    if (p->connecting || most == 0)
        return IO_AGAIN;
    if (p->write_most > 0)
        most = MIN_OF(most, p->write_most);
    for (int i = 0; i < n && most > 0; i++) {
        size_t part = MIN_OF(iov[i].iov_len, most);
        if (!p->gone && p->tls != NULL)
            sim_tls_got(p, iov[i].iov_base, part);
        else if (!p->gone)
            sim_bytes_add(&p->out, iov[i].iov_base, part);
        most -= part;
        *sent += part;
    }
    if (p->window != SIZE_MAX)
        p->window -= *sent;
    world->moved += *sent;
    if (p->gone)
        p->error = ECONNRESET; // the answer to bytes that nobody wants
    return IO_OK;
}

static enum io mem_peek(struct conn *c)
{
    struct sim_peer *p = peer_of(c);
    size_t most = 1;
    enum io r;
    if (faulted(p, &most, &r, c))
        return r;
    if (p->in_taken < p->in.n)
        return IO_OK;
    if (p->error != 0) {
        c->error = p->error;
        return IO_ERR;
    }
    return p->in_fin ? IO_EOF : IO_AGAIN;
}

static int mem_pending_error(struct conn *c)
{
    struct sim_peer *p = peer_of(c);
    size_t most = 1;
    enum io r = IO_OK;
    if (faulted(p, &most, &r, c))
        return r == IO_ERR ? ECONNRESET : EINPROGRESS;
    if (p->error != 0)
        return p->error;
    return p->connecting ? EINPROGRESS : 0;
}

static bool mem_broken(struct conn *c)
{
    struct sim_peer *p = peer_of(c);
    size_t most = 1;
    enum io r;
    return faulted(p, &most, &r, c) ? r == IO_ERR : p->error != 0;
}

static void mem_finish(struct conn *c)
{
    struct sim_peer *p = peer_of(c);
    assert_false(p->connecting);
    if (p->state == SIM_OPEN)
        p->state = SIM_FIN;
    world->moved++;
}

static void mem_watch(struct conn *c, struct loop *l, int events)
{
    (void)l;
    c->watched = (uint8_t)events;
    peer_of(c)->watched = events;
    peer_of(c)->conn = c;
}

static void mem_close(struct conn *c, struct loop *l, bool reset)
{
    (void)l;
    struct sim_peer *p = peer_of(c);
    bool unread = p->in_taken < p->in.n;
    p->state = reset || unread ? SIM_RST : MAX_OF(p->state, SIM_FIN);
    p->conn = NULL;
    p->watched = 0;
    world->moved++;
}

const struct transport transport_mem = {
    .name = "mem",
    .recv = mem_recv,
    .sendv = mem_sendv,
    .peek = mem_peek,
    .pending_error = mem_pending_error,
    .broken = mem_broken,
    .finish = mem_finish,
    .watch = mem_watch,
    .close = mem_close,
};
