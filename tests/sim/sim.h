// SPDX-License-Identifier: MIT
// A worker without sockets: the real state machines of proxy/ over a transport in memory and a
// clock that is moved by hand. A test reads like a dialogue:
//
//   struct sim *t = sim_new("mode: tcp\nservers: [10.0.0.1:80]\n");
//   sim_send(t, CLIENT, "hello");
//   sim_expect(t, SERVER, "hello", SIM_OPEN);
//   sim_fin(t, CLIENT);
//   sim_expect(t, SERVER, "", SIM_FIN);
//   sim_expect_end(t, END_OK);
//   sim_free(t);
//
//   CLIENT  --in-->  worker  --out-->  SERVER      (in: towards the worker; out: away from it)
//
// Peers do what the test says; what they get is what sim_expect() looks at. The loop delivers
// events as epoll does: level-triggered, and only those that the worker watches. It fails the test
// when the worker is woken again and again and does nothing (a busy loop).
#ifndef EVLB_SIM_H
#define EVLB_SIM_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "conf/load.h"
#include "core/end.h"
#include "io/channel.h"
#include "proxy/worker_state.h"

#define SIM_SLOTS 32
#define SIM_PEERS 128
#define SIM_WORKERS 2          // on the board; the second one does what the test says
#define CLIENT_N(i) (i)        // the i-th client connection
#define SERVER_N(i) (64 + (i)) // the i-th connection that was made to any server
#define CLIENT CLIENT_N(0)
#define SERVER SERVER_N(0)

enum sim_dial {
    DIAL_OK,         // accepted in the next turn
    DIAL_HANG,       // nothing happens until sim_accept() or sim_reset()
    DIAL_REFUSE,     // refused in the next turn
    DIAL_REFUSE_NOW, // connect(2) itself fails
    DIAL_EXHAUSTED,  // no descriptor
};

// How a peer sees its connection.
enum sim_state {
    SIM_OPEN,
    SIM_FIN, // the worker has ended its direction, or closed
    SIM_RST, // a reset came
};

struct sim_bytes {
    char *p;
    size_t n, cap;
};

struct sim_peer {
    bool used;
    struct conn *conn; // the worker's end; NULL once it has closed
    int watched;       // events that the worker asked for
    bool connecting;
    int error;  // errno that the next call gets
    int server; // slot of the server; -1: a client
    struct sim_bytes in, out;
    size_t in_taken, out_taken; // read by the worker; looked at by the test
    bool in_fin, gone;          // the peer has ended its direction; has closed altogether
    bool eof_seen;
    size_t read_most, write_most; // per call; 0: no limit
    size_t window;                // bytes that the peer still takes; SIZE_MAX: no limit
    struct sim_tls *tls;          // sim_tls.c; NULL: it speaks plainly
    int fed;                      // events that the loop was fed with
    bool close_resets;
    enum sim_state state;
    uint64_t since_ms; // of the connection
};

enum sim_fault {
    FAULT_NONE,
    FAULT_AGAIN,     // nothing now, though there was
    FAULT_SHORT,     // one byte
    FAULT_RESET,     // the connection is reset
    FAULT_EOF,       // the peer has died: it ends in order, but what is under way is lost
    FAULT_NO_MEMORY, // of the n-th malloc(), not of a call of the transport
    FAULT_COUNT
};

// Which names have which slots: of servers, backends, frontends, listens.
struct sim_slots {
    char name[2 * SIM_SLOTS][96];
    uint32_t n;
};

struct sim {
    struct worker w;
    struct config *config; // the first one
    struct board *board;
    struct worker_setup setup;
    int wake_fds[SIM_WORKERS];
    struct sim_peer peers[SIM_PEERS];
    int n_clients, n_dials;
    size_t buffers; // in use when it began: more than none only when a test before it has failed
    enum sim_dial dial[SIM_SLOTS];        // by server slot
    size_t read_most, write_most, window; // for connections still to be made
    size_t refill;  // peers take so many bytes more in every turn; 0: only what sim_window() says
    uint64_t calls; // of the transport
    uint64_t moved; // grows whenever something was moved
    uint64_t fault_at; // the call that fails; 0: none
    enum sim_fault fault;
    bool faulted;                           // it was reached
    int fault_peer;                         // whose call it was; -1: none
    uint64_t ends[END_COUNT];               // as the last sim_expect_end() saw them
    void (*serve)(struct sim *t, int peer); // called for server connections in every turn
    void (*drive)(struct sim *t);           // called in every turn: the client's part
    struct ring log;
    struct ring_shared *log_memory;
    struct sim_slots slots[4];
    bool tls12;  // the highest version of peers that speak TLS
    int channel; // the supervisor's end; -1: nothing was reloaded yet
    uint32_t generation, released;
    int arenas; // when it began
};

// Where its addresses and servers have `tls`, peers speak it; any file x.pem is their certificate
// with its key, x.crt the authority that has signed it (for sim.test).
struct sim *sim_new(const char *yaml) MUST_CHECK;
// Closes what is left and checks that nothing leaked.
void sim_free(struct sim *t);
// Checks what sim_free() checks, but that idle server connections and sessions may live.
void sim_expect_quiet(struct sim *t);

// A new client connection; returns its number. sim_send() to a client that is not there makes one.
int sim_connect(struct sim *t);
int sim_connect_to(struct sim *t, struct listener *l);
// The listener that is configured with this number, or NULL.
struct listener *sim_listener(struct sim *t, uint32_t number);
void sim_send(struct sim *t, int peer, const char *text);
void sim_send_bytes(struct sim *t, int peer, const void *bytes, size_t n);
void sim_fin(struct sim *t, int peer);   // ends the peer's direction
void sim_close(struct sim *t, int peer); // close(2): FIN, and a reset for what comes after it
void sim_reset(struct sim *t, int peer);
void sim_accept(struct sim *t, int peer);              // of DIAL_HANG
void sim_window(struct sim *t, int peer, size_t more); // lets the peer take so many more bytes

// Runs until nothing happens any more.
void sim_run(struct sim *t);
// Lets time pass, timers fire in order.
void sim_advance(struct sim *t, uint64_t ms);
void sim_drain(struct sim *t, uint32_t ms);

// Sends a new configuration as the supervisor does, with sockets for its new addresses. Returns the
// status that the worker answers with.
uint32_t sim_reload(struct sim *t, const char *yaml) MUST_CHECK;
// The same in pieces: the memfd of a bundle; one message, and the status of what it answered
// (UINT32_MAX: nothing); a socket that listens.
int sim_bundle(struct sim *t, const char *yaml, struct config **config) MUST_CHECK;
uint32_t sim_tell(struct sim *t, const struct message *m, const int *fds);
// The worker has a supervisor to ask, which is the test. What it asks about a challenge next:
// returns the number of the question, and its text; 0: nothing.
void sim_channel(struct sim *t);
uint32_t sim_asked(struct sim *t, char text[256]);
int sim_listen(void);
// The oldest generation in use, as the worker has told; how many there are; how many arenas.
uint32_t sim_released(struct sim *t);
int sim_generations(const struct sim *t);
int sim_arenas(void);

// What came to the peer since it was last looked at is exactly `text`, and its connection is in
// that state.
#define sim_expect(t, peer, text, state) sim_expect_(t, peer, text, state, __FILE__, __LINE__)
// The same, but `text` is only part of it. Takes all.
#define sim_expect_part(t, peer, text, state)                                                      \
    sim_expect_part_(t, peer, text, state, __FILE__, __LINE__)
#define sim_expect_state(t, peer, state) sim_expect_state_(t, peer, state, __FILE__, __LINE__)
// Exactly one exchange has ended since the last look, with that cause; END_COUNT: none.
#define sim_expect_end(t, cause) sim_expect_ends_(t, cause, 1, __FILE__, __LINE__)
#define sim_expect_ends(t, cause, n) sim_expect_ends_(t, cause, n, __FILE__, __LINE__)
void sim_expect_(struct sim *t, int peer, const char *text, enum sim_state state, const char *file,
                 int line);
void sim_expect_part_(struct sim *t, int peer, const char *text, enum sim_state state,
                      const char *file, int line);
void sim_expect_state_(struct sim *t, int peer, enum sim_state state, const char *file, int line);
void sim_expect_ends_(struct sim *t, enum end_cause cause, uint64_t n, const char *file, int line);
// What came since the last look, as a string; it is taken.
const char *sim_take(struct sim *t, int peer);
uint64_t sim_ends(const struct sim *t);
const uint64_t *sim_server_counters(const struct sim *t, uint32_t server);

// Turns the access log on; sim_log_take() gives the lines written since, as a string.
void sim_log(struct sim *t);
const char *sim_log_take(struct sim *t);

// Whether that worker has been woken since the last look.
bool sim_woken(struct sim *t, uint32_t worker);

// The n-th call of the transport (of malloc, for FAULT_NO_MEMORY) from now on behaves so.
void sim_fault_at(struct sim *t, uint64_t n, enum sim_fault fault);

// ---- between the files of the harness
extern const struct transport transport_mem;
struct config *sim_config(const char *yaml);
struct config_source sim_source(const char *yaml, char *text, size_t size);
void sim_assign_slots(struct sim *t, struct config *c);
void sim_close_channel(struct sim *t);
void sim_bytes_add(struct sim_bytes *b, const void *bytes, size_t n);
int sim_dial(struct worker *w, const struct addr *to, bool has_data);
int sim_open(struct sim *t, int peer, int server); // returns its descriptor
int sim_events(const struct sim_peer *p);          // what epoll would report
enum sim_fault sim_fault_now(struct sim *t, int peer);
struct sim_peer *sim_peer_at(int fd); // NULL: no descriptor of the simulation
struct loop *sim_loop(void);
void sim_tls_source(struct config_source *s);
const struct tls_tickets *sim_tls_tickets(void);
void sim_tls_client(struct sim *t, struct sim_peer *p);
void sim_tls_server(struct sim *t, struct sim_peer *p);
void sim_tls_free(struct sim_peer *p);
// The peer sends and takes what it can. True: something was moved.
bool sim_tls_pump(struct sim_peer *p);
void sim_tls_say(struct sim_peer *p, const void *bytes, size_t n);
// The peer ends its direction, or closes, behind what it still has to say.
void sim_tls_end(struct sim_peer *p, bool close);
void sim_tls_got(struct sim_peer *p, const void *bytes, size_t n); // from the worker
// Sets how many mallocs are left until one fails (0: none will); returns how many there were.
uint64_t sim_mallocs(uint64_t left);

#endif
