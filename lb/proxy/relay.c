// SPDX-License-Identifier: MIT
// The relay: two flows and their two ends. Runs in workers; called by tcp_proxy.c and, once a
// connection was upgraded, by http_proxy.c. A direction is over when its FIN has been passed on
// (conn.finished of its destination).
#include "proxy/relay.h"

// Pumps one direction. True: it goes on, `src_want` and `dst_want` say what it waits for.
static enum relay_result pump_one(struct flow *f, struct conn *src, struct conn *dst, int *src_want,
                                  int *dst_want)
{
    if (dst->finished)
        return RELAY_END;
    switch (flow_pump(f, src, dst)) {
    case FLOW_WAIT_SRC:
    case FLOW_YIELD: // the loop will say at once that there is more
        *src_want |= CONN_READ;
        return RELAY_WAIT;
    case FLOW_WAIT_DST:
        *dst_want |= CONN_WRITE;
        return RELAY_WAIT;
    case FLOW_DONE:
    case FLOW_EOF:
        if (!src->finished) // else both have ended, and the close that follows says so
            conn_finish(dst);
        return RELAY_END;
    case FLOW_SRC_ERR:
        return RELAY_CLIENT_ERR; // of the source: the caller knows which that is
    case FLOW_DST_ERR:
        return RELAY_SERVER_ERR;
    case FLOW_BAD:
    case FLOW_NO_MEMORY:
        break;
    }
    return RELAY_NO_MEMORY;
}

static enum relay_result swapped(enum relay_result r)
{
    if (r == RELAY_CLIENT_ERR)
        return RELAY_SERVER_ERR;
    return r == RELAY_SERVER_ERR ? RELAY_CLIENT_ERR : r;
}

enum relay_result relay_pump(struct flow *up, struct flow *down, struct conn *client,
                             struct conn *server, struct relay_wants *wants)
{
    *wants = (struct relay_wants){0};
    enum relay_result u = pump_one(up, client, server, &wants->client, &wants->server);
    if (u != RELAY_WAIT && u != RELAY_END)
        return u;
    enum relay_result d = swapped(pump_one(down, server, client, &wants->server, &wants->client));
    if (d != RELAY_WAIT && d != RELAY_END)
        return d;
    if (u == RELAY_END && d == RELAY_END)
        return RELAY_END;
    wants->half_closed = u == RELAY_END || d == RELAY_END;
    wants->client_slow = (wants->client & CONN_WRITE) || !(wants->server & CONN_READ);
    return RELAY_WAIT;
}
