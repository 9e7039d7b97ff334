// SPDX-License-Identifier: MIT
// The simulated loop around one worker. Tests call it. A turn delivers the events of every watched
// connection once, as libev does after epoll_wait, and ends with the graveyard; sim_run() makes
// turns until one delivers nothing. The clock moves only in sim_advance(), from timer to timer.
// Invariant: a turn that delivers events moves something; SPIN_TURNS in a row that do not are a
// busy loop and fail the test.
#include "sim.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "io/tls.h"
#include "proxy/listener.h"
#include "proxy/session.h"

#define SPIN_TURNS 8
#define TURNS_MAX 400000

// ---- its life

static void quiet_log(void *ctx, const char *line, size_t len)
{
    (void)ctx, (void)line, (void)len;
}

struct sim *sim_new(const char *yaml)
{
    struct sim *t = xcalloc(1, sizeof(*t));
    log_set_sink(quiet_log, NULL);
    t->arenas = sim_arenas();
    t->channel = -1;
    t->generation = t->released = 1;
    t->config = sim_config(yaml);
    sim_assign_slots(t, t->config);
    t->buffers = buf_in_use();
    struct board_dim dim = {SIM_WORKERS, SIM_SLOTS, SIM_SLOTS, SIM_SLOTS};
    size_t bytes = (board_bytes(&dim) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, bytes);
    assert_non_null(memory);
    memset(memory, 0, bytes);
    t->board = board_init(memory, &dim);
    for (int i = 0; i < SIM_WORKERS; i++)
        t->wake_fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    t->setup = (struct worker_setup){.config = t->config,
                                     .generation = 1,
                                     .board = t->board,
                                     .channel_fd = -1,
                                     .wake_fds = t->wake_fds,
                                     .control_wake_fd = -1,
                                     .tickets = sim_tls_tickets(),
                                     .max_connections = 1000};
    worker_init(&t->w, &t->setup, NULL);
    rng_seed(&t->w.rng, 1);
    t->w.dial = sim_dial;
    t->w.transport = &transport_mem;
    t->window = SIZE_MAX;
    return t;
}

void sim_expect_quiet(struct sim *t)
{
    sim_run(t);
    assert_int_equal(t->w.exchanges, 0);
    assert_int_equal(t->w.retrying, 0);
    assert_int_equal(buf_in_use(), t->buffers);
    for (uint32_t i = 0; i < t->board->dim.servers; i++)
        assert_int_equal(board_total(t->board, board_server_slot(i)), 0);
    assert_true(list_empty(&t->w.queues_in_use));
}

void sim_free(struct sim *t)
{
    sim_fault_at(t, 0, FAULT_NONE);
    sim_run(t);
    for (int i = 0; i < t->n_clients; i++)
        sim_close(t, CLIENT_N(i));
    sim_run(t);
    sim_advance(t, 10000); // lingering, FIN timeouts
    sim_expect_quiet(t);
    assert_int_equal(t->w.n_sessions, 0);
    worker_free(&t->w);
    assert_int_equal(t->w.n_upstreams, 0);
    for (uint32_t i = 0; i < board_slots(t->board); i++)
        assert_int_equal(board_total(t->board, i), 0);
    for (int i = 0; i < SIM_PEERS; i++) {
        if (t->peers[i].used)
            assert_true(t->peers[i].state != SIM_OPEN);
        sim_tls_free(&t->peers[i]);
        free(t->peers[i].in.p);
        free(t->peers[i].out.p);
    }
    for (int i = 0; i < SIM_WORKERS; i++)
        (void)close(t->wake_fds[i]);
    free(t->board);
    free(t->log_memory);
    arena_free(t->config->arena);
    assert_int_equal(sim_arenas(), t->arenas);
    sim_close_channel(t);
    free(t);
}

bool sim_woken(struct sim *t, uint32_t worker)
{
    uint64_t times;
    return read(t->wake_fds[worker], &times, sizeof(times)) == (ssize_t)sizeof(times);
}

// ---- what peers do

struct listener *sim_listener(struct sim *t, uint32_t number)
{
    LIST_EACH(node, &t->w.listeners)
    {
        struct listener *l = list_entry(node, struct listener, node);
        if (l->listen->number == number)
            return l;
    }
    return NULL;
}

int sim_connect(struct sim *t)
{
    return sim_connect_to(t, list_entry(t->w.listeners.next, struct listener, node));
}

int sim_connect_to(struct sim *t, struct listener *l)
{
    int peer = CLIENT_N(t->n_clients++);
    union ip_addr from = {.v4 = {.sin_family = AF_INET, .sin_port = htons(4000)}};
    from.v4.sin_addr.s_addr = htonl(0x7f000001u);
    board_claim(t->board, 0, board_process_slot(t->board));
    board_claim(t->board, 0, board_frontend_slot(t->board, l->frontend->index));
    int fd = sim_open(t, peer, -1);
    if (l->tls != NULL)
        sim_tls_client(t, &t->peers[peer]);
    bool begun = session_begin(l, &transport_mem, fd, &from);
    assert_true(begun || t->fault == FAULT_NO_MEMORY);
    loop_end_turn(&t->w.loop);
    return peer;
}

static struct sim_peer *peer_at(struct sim *t, int peer)
{
    if (peer < SERVER && peer == t->n_clients)
        (void)sim_connect(t);
    if (!t->peers[peer].used)
        sim_run(t);
    assert_true(t->peers[peer].used);
    return &t->peers[peer];
}

void sim_send_bytes(struct sim *t, int peer, const void *bytes, size_t n)
{
    struct sim_peer *p = peer_at(t, peer);
    assert_false(p->in_fin && p->conn != NULL && p->error == 0);
    if (p->tls != NULL)
        sim_tls_say(p, bytes, n);
    else if (p->state != SIM_RST && !p->in_fin)
        sim_bytes_add(&p->in, bytes, n);
}

void sim_send(struct sim *t, int peer, const char *text)
{
    sim_send_bytes(t, peer, text, strlen(text));
}

void sim_fin(struct sim *t, int peer)
{
    struct sim_peer *p = peer_at(t, peer);
    if (p->tls != NULL)
        sim_tls_end(p, false);
    else
        p->in_fin = true;
}

void sim_close(struct sim *t, int peer)
{
    struct sim_peer *p = peer_at(t, peer);
    if (p->tls != NULL)
        sim_tls_end(p, true);
    else
        p->in_fin = p->gone = true;
}

void sim_reset(struct sim *t, int peer)
{
    struct sim_peer *p = peer_at(t, peer);
    p->error = p->connecting ? ECONNREFUSED : ECONNRESET;
    p->connecting = false;
    p->gone = p->in_fin = true;
}

void sim_accept(struct sim *t, int peer)
{
    peer_at(t, peer)->connecting = false;
}

void sim_window(struct sim *t, int peer, size_t more)
{
    struct sim_peer *p = peer_at(t, peer);
    p->window = more == SIZE_MAX ? SIZE_MAX : p->window + more;
}

// ---- the loop

static void settle_connects(struct sim *t)
{
    for (int i = 0; i < t->n_dials; i++) {
        struct sim_peer *p = &t->peers[SERVER_N(i)];
        if (!p->connecting)
            continue;
        if (t->dial[p->server] == DIAL_REFUSE)
            p->error = ECONNREFUSED;
        if (t->dial[p->server] != DIAL_HANG)
            p->connecting = false;
    }
}

static int reported(const struct sim_peer *p)
{
    return p->conn != NULL ? (sim_events(p) & p->watched) | p->fed : 0;
}

static void deliver(struct sim *t, struct sim_peer *p)
{
    int events = reported(p);
    p->fed = 0;
    if (conn_is_tls(p->conn))
        p->conn->watcher.cb(NULL, &p->conn->watcher, events);
    else
        conn_event(p->conn, &t->w.loop, events);
}

// True when something was delivered.
static bool turn(struct sim *t)
{
    bool any = !list_empty(&t->w.loop.next);
    uint64_t calls = t->calls;
    t->w.loop.turn_us++;
    loop_begin_turn(&t->w.loop);
    for (int i = 0; i < SIM_PEERS; i++) {
        if (reported(&t->peers[i]) == 0)
            continue;
        any = true;
        deliver(t, &t->peers[i]);
    }
    loop_end_turn(&t->w.loop);
    settle_connects(t);
    for (int i = 0; i < SIM_PEERS; i++)
        any |= t->peers[i].tls != NULL && sim_tls_pump(&t->peers[i]);
    for (int i = 0; t->refill > 0 && i < SIM_PEERS; i++) {
        if (t->peers[i].window < t->refill)
            t->peers[i].window = t->refill;
    }
    for (int i = 0; t->serve != NULL && i < t->n_dials; i++)
        t->serve(t, SERVER_N(i));
    if (t->drive != NULL)
        t->drive(t);
    return any || calls != t->calls;
}

static bool anything_left(const struct sim *t)
{
    for (int i = 0; i < SIM_PEERS; i++) {
        if (reported(&t->peers[i]) != 0)
            return true;
    }
    return !list_empty(&t->w.loop.next);
}

void sim_run(struct sim *t)
{
    int spins = 0;
    for (int i = 0; i < TURNS_MAX; i++) {
        uint64_t moved = t->moved;
        bool any = turn(t);
        if (!any && !anything_left(t))
            return;
        spins = moved == t->moved ? spins + 1 : 0;
        if (spins > SPIN_TURNS)
            fail_msg("busy loop: woken %d times for nothing", spins);
    }
    fail_msg("no end after %d turns", TURNS_MAX);
}

void sim_advance(struct sim *t, uint64_t ms)
{
    struct loop *l = &t->w.loop;
    uint64_t target = l->now_ms + ms;
    sim_run(t);
    while (l->now_ms < target) {
        l->now_ms = MIN_OF(target, MAX_OF(wheel_next_ms(&l->wheel), l->now_ms + 1));
        wheel_advance(&l->wheel, l->now_ms);
        sim_run(t);
    }
}

void sim_drain(struct sim *t, uint32_t ms)
{
    worker_drain(&t->w, ms);
    loop_end_turn(&t->w.loop);
}
