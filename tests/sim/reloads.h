// SPDX-License-Identifier: MIT
// What the tests of a reload share: the usual configurations and the usual looks.
#ifndef EVLB_SIM_RELOADS_H
#define EVLB_SIM_RELOADS_H

#include "messages.h"
#include "proxy/generation.h"
#include "sim.h"

#define FIRST "balance: first\n"
#define BOTH FIRST TWO
#define OTHER "servers: [10.0.0.2:80]\n"

enum { SLOT_ONE, SLOT_TWO }; // of 10.0.0.1 and the server that comes second

static inline void reload(struct sim *t, const char *yaml)
{
    assert_int_equal(sim_reload(t, yaml), 0);
    assert_int_equal(t->w.now->number, t->generation);
}

// The request has come to that connection, which leads to that server.
static inline void expect_request(struct sim *t, int peer, int slot, const char *line)
{
    sim_expect_part(t, peer, line, SIM_OPEN);
    assert_int_equal(t->peers[peer].server, slot);
}

static inline void answer(struct sim *t, int client, int server)
{
    sim_send(t, server, OKAY);
    sim_expect(t, client, OKAY, SIM_OPEN);
}

// Only the newest configuration is left.
static inline void expect_one_generation(struct sim *t)
{
    assert_int_equal(sim_released(t), t->generation);
    assert_int_equal(sim_generations(t), 1);
}

static inline void open_tunnel(struct sim *t, int client, int server)
{
    sim_send(t, client, UPGRADE);
    sim_run(t);
    sim_send(t, server, SWITCH "\r\n");
    sim_expect_part(t, client, "101 ", SIM_OPEN);
    (void)sim_take(t, server);
}

static inline void expect_echo(struct sim *t, int client, int server)
{
    sim_send(t, client, "ping");
    sim_expect(t, server, "ping", SIM_OPEN);
    sim_send(t, server, "pong");
    sim_expect(t, client, "pong", SIM_OPEN);
}

#endif
