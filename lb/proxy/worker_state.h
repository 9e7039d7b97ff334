// SPDX-License-Identifier: MIT
// What a worker is made of: the worker, its listeners, sessions, server connections. Everything
// here belongs to one process and one loop.
//
//   listener -> session (one client connection)
//                 |- layer 4:   tcp_session  -> relay (two flows)   -> upstream (server connection)
//                 '- layer 7:   exchange     -> two flows           -> upstream, or back to
//                 idle_pool
#ifndef EVLB_WORKER_STATE_H
#define EVLB_WORKER_STATE_H

#include "base/hash.h"
#include "conf/config.h"
#include "core/sched.h"
#include "io/conn.h"
#include "proto/h1_head.h"
#include "proto/h1_out.h"
#include "proxy/worker.h"

struct early;
struct generation;
struct tls_server;
struct queue;
struct warm;
struct worker;

// What a step of tcp_proxy.c or http_proxy.c did.
enum step {
    STEP_GO,   // the state changed: run the next step
    STEP_WAIT, // nothing more can be done now
    STEP_END,  // the work is over and freed
};

// A listening socket. Stays over reloads with its connections, as long as its number and the mode
// of its frontend do; only what it points to changes.
struct listener {
    struct worker *w;
    struct generation *generation; // held: `frontend` and `listen` are its
    const struct frontend *frontend;
    const struct listen *listen;
    struct tls_server *tls; // of the generation; NULL: plain
    bool by_name;           // plain, and routes look at what TLS clients ask for
    struct list node;       // in worker->listeners; alone when gone
    ev_io watcher;
    struct timer resume; // while paused: out of descriptors, or a limit is reached
    uint32_t batch;      // connections accepted per event; follows the load
    uint32_t n_sessions; // that point here
    uint32_t handshakes; // of TLS, in progress
    struct list waiting; // for one: struct early of handshake.c
    struct list ready;   // in worker->handshakes.ready
    bool paused;
    bool gone; // not configured any more: freed with its last session
    struct grave grave;
};

// One client connection, from accept to the end. Kept small: an idle keep-alive client is this
// block and nothing else.
struct session {
    struct conn client;
    struct timer timer; // the one timeout that guards the current state
    struct list node;   // in worker->sessions; in the graveyard at the end
    struct worker *w;
    struct listener *listener;
    void *work;              // exchange or tcp_session in progress; NULL: idle
    struct early *early;     // a ClientHello that is not complete (handshake.c); NULL: nothing
    struct upstream *pinned; // idle server connection that only this client may use; mostly NULL
    union ip_addr *local;    // where the client connected to, said by a PROXY header; NULL: ask
    union ip_addr peer;      // the client, as a PROXY header said or as accepted
    uint32_t frontend;       // slot of the frontend whose gauge counts it
    uint32_t requests;       // begun on this connection
    uint32_t lingered;       // bytes thrown away while lingering
    uint64_t since_ms;       // of the current idle period
    struct grave grave;
    bool proxied;      // the PROXY header has been read, or none is wanted
    uint8_t handshake; // state of what comes before the work (handshake.c); 0: nothing does
    bool layer4;       // its work is a tcp_session: mode tcp, or TLS that is passed through
    bool lingering;    // answered; only waits for the client to close
    bool dead;         // closed; waits for the end of the turn
};

// One connection to a server. Has one holder at a time: a session's work, a session that it is
// pinned to, or the idle pool.
struct upstream {
    struct conn conn;
    struct timer timer; // ends it when idle for too long
    struct list node;   // in idle_pool.idle or .busy, or alone
    struct worker *w;
    const struct server *server; // of the holder's generation; of w->now when idle or pinned
    void *holder;                // NULL: idle
    void (*on_ready)(void *holder);
    uint32_t uses;          // exchanges begun on it
    uint32_t addr_version;  // of the server's address on the board, when it was made
    uint32_t idle_limit_ms; // how long it may stay idle
    uint64_t idle_since_ms;
    struct grave grave;

    bool down;    // the server was found down: the holder gives it up
    bool private; // never goes to another client (its PROXY header named this one)
};

struct idle_pool {
    struct list idle; // the one used last first
    struct list busy; // held by somebody; only with `on-server-down: close`
    uint32_t count;   // idle ones
};

// TLS handshakes that wait for their turn (handshake_queue.h).
struct handshakes {
    struct list ready; // struct listener: the next one first
    struct chore go_on;
    uint64_t turn_us; // of the loop, in which
    uint32_t begun;   // so many were
};

struct worker {
    struct loop loop;
    struct generation *now; // the configuration for all that begins; older ones hang on it
    struct board *board;
    struct board_counters *count; // this worker's own
    uint32_t id;
    uint32_t max_connections; // of the process tree
    struct rng rng;
    struct ring *access_log;  // NULL: off
    struct ring *access_ring; // for when it is on
    struct idle_pool *idle;   // by server slot
    uint32_t n_pools;         // of them, from the first on, that are open
    struct queue *queues;     // by backend slot
    struct warm *warm;        // by server slot
    struct timer warm_tick;
    uint32_t *epochs; // by backend slot: up to where servers that went down were cut off
    struct list queues_in_use;
    struct timer queue_tick;
    struct list listeners; // those that are configured
    struct list sockets;   // that came for the next configuration (reload.c)
    struct handshakes handshakes;
    struct list sessions;
    uint32_t n_sessions, n_upstreams;
    uint32_t retrying;  // exchanges that are in a retry now, against the budget
    uint32_t exchanges; // in progress
    bool draining;      // no new connections, no keeping of old ones
    bool drained;       // nothing waits to be accepted any more: the last session ends the process
    // The head that was parsed last, and whose it is: a step that comes right after the parsing
    // one finds it here, a later one parses again.
    struct http_head request_head, response_head;
    const void *request_head_owner;
    struct h1_out out;
    // How a connection to a server is begun: returns a descriptor or -errno. Simulations replace
    // both.
    int (*dial)(struct worker *w, const struct addr *to, bool has_data);
    const struct transport *transport;
    const struct tls_tickets *tickets; // NULL: none
    struct list challenges; // of a certificate authority, that the supervisor was asked about
    uint32_t n_challenges, last_challenge;
    ev_io channel;
    ev_io wake;          // the board has news
    const int *wake_fds; // of all workers; NULL: none
    int control_wake_fd; // -1: none
    struct timer drain_timer;
};

// Builds a worker around a loop (`ev` NULL: a simulation), without sockets.
void worker_init(struct worker *w, const struct worker_setup *setup, struct ev_loop *ev);
// Takes no new connections, closes what is idle, ends when the rest is over or after `ms` (0: no
// limit).
void worker_drain(struct worker *w, uint32_t ms);
// The board has news: servers went down, came up, have room.
void worker_look(struct worker *w);
// Tells the supervisor.
void worker_say(struct worker *w, uint32_t type, uint32_t arg, uint32_t status);
// Closes and frees all that it holds.
void worker_free(struct worker *w);

#endif
