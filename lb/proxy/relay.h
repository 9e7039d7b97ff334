// SPDX-License-Identifier: MIT
// Bytes both ways between client and server until both have ended: layer 4, and tunnels after an
// upgrade. Each direction ends by itself: a FIN is passed on in that direction only.
#ifndef EVLB_RELAY_H
#define EVLB_RELAY_H

#include "io/flow.h"

enum relay_result {
    RELAY_WAIT,       // *client_wants and *server_wants say for what
    RELAY_END,        // both directions ended in order
    RELAY_CLIENT_ERR, // the client's connection broke
    RELAY_SERVER_ERR,
    RELAY_NO_MEMORY,
};

struct relay_wants {
    int client, server; // CONN_READ | CONN_WRITE
    bool half_closed;   // one direction has ended
    bool client_slow;   // what we wait for is the client, not the server
};

// `up` is client to server. Moves what can be moved.
enum relay_result relay_pump(struct flow *up, struct flow *down, struct conn *client,
                             struct conn *server, struct relay_wants *wants) MUST_CHECK;

#endif
