// SPDX-License-Identifier: MIT
// The state of all servers as the control process decides it: the one place that writes state,
// standby, weight, withheld share and address to the board. Checks, DNS and administrators report
// here; failover and slow start are applied here; everything that changed is told to the workers
// (epoch, wake-up) and to the event feed.
//
//   checks ------- servers_checked() --.
//   resolver ----- servers_resolved() --> track (health, admin, address) -> state -> failover
//   admin API ---- servers_admin() ----'                                        '-> board, events
//   real traffic - board suspects ----'
#ifndef EVLB_SERVERS_H
#define EVLB_SERVERS_H

#include "base/buf.h"
#include "conf/config.h"
#include "core/board.h"
#include "core/failover.h"
#include "core/health.h"
#include "io/loop.h"

#define CHECK_HISTORY 20
#define CHECK_REASON 96
#define STATE_REASON 176 // that of a check, and how many there were

struct check_result {
    uint64_t at_ms; // CLOCK_MONOTONIC; 0: none yet
    int64_t wall_ms;
    uint32_t latency_ms;
    enum check_verdict {
        CHECK_PASSED,
        CHECK_FAILED,
        CHECK_LOCAL, // our own fault (no descriptor, no route at all): no verdict on the server
    } verdict;
    char reason[CHECK_REASON]; // "connection refused", "status 503, expected 200-399"
};

// What control knows of one server.
struct server_track {
    const struct server *server;
    struct health_track health;
    struct check_result history[CHECK_HISTORY]; // a ring: the last one is at (n - 1) % size
    uint64_t n_results;
    enum server_state state;
    char reason[STATE_REASON];       // of the state, in words; may be empty
    int64_t since_wall_ms;           // of the state; 0: since the start
    char admin_reason[BOARD_REASON]; // what the administrator said
    bool resolved;                   // has an address
    bool suspected;                  // by real traffic: the next check decides alone
    bool local;                      // it could not be checked the last time
    uint32_t address_epoch; // grows when address, state by admin or configuration changes: a check
                            // that began before has no say
    // of its lines in the log, so that a server which comes and goes does not fill it
    uint64_t lines_since_ms;
    uint32_t lines, lines_left_out;
};

struct backend_track {
    const struct backend *backend;
    struct failover_track failover;
    enum failover_reason reason;
    int64_t switched_wall_ms; // when the working server or tier changed; 0: never
};

struct servers;

// Takes over what the board says (a control process that was replaced goes on where the last one
// was). `wake_fds`: one eventfd per worker, written after every change; `on_change` is called for
// each server whose state changed and for each backend whose working server or tier did (server
// NULL then), with a sentence.
typedef void servers_on_change(void *ctx, const struct backend *b, const struct server *s,
                               const char *sentence);
struct servers *servers_new(struct loop *loop, struct board *board, const struct config *config,
                            const int *wake_fds, servers_on_change *on_change,
                            void *ctx) MUST_CHECK;
void servers_free(struct servers *s);
// A new configuration: tracks of the slots that live on are kept, also what an administrator said,
// unless the file changed that very value. The old one must live until this returns.
void servers_reconfigure(struct servers *s, const struct config *config);

// NULL: nothing of that slot is in the configuration.
struct server_track *servers_track(struct servers *s, uint32_t slot);
struct backend_track *servers_backend(struct servers *s, uint32_t slot);
const struct config *servers_config(const struct servers *s);

// Real traffic suspects the server: its next check decides alone.
void servers_suspected(struct servers *s, uint32_t slot);
// The result of a check that began when track->address_epoch was `epoch`; a stale one is dropped.
void servers_checked(struct servers *s, uint32_t slot, uint32_t epoch,
                     const struct check_result *result);
// What DNS says of one place; addr NULL: nothing (any more). `weight`: of SRV, 0: keep.
void servers_resolved(struct servers *s, uint32_t slot, const struct addr *addr, uint32_t weight);

// What an administrator wants; returns NULL or why not. `until_ms` 0: until he says otherwise. A
// server that leaves maintenance begins as at a start: up, and its first check decides.
const char *servers_admin(struct servers *s, uint32_t slot, enum server_admin admin,
                          uint64_t until_ms, struct str reason);
const char *servers_weight(struct servers *s, uint32_t slot, uint32_t weight, struct str reason);
const char *servers_weight_as_configured(struct servers *s, uint32_t slot);
const char *servers_switch(struct servers *s, uint32_t backend, uint32_t place, struct str reason);

const char *server_state_name(enum server_state state);

#endif
