/* SPDX-License-Identifier: MIT */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct listener;
struct options;

/* The process: made by main, handed down by pointer. */
struct sim {
    struct ev_loop *loop;
    const struct options *opt;
    struct listener *listeners; /* array */
    size_t listener_count;
    struct conn *conns;     /* all open ones */
    struct conn *graveyard; /* closed in this turn of the loop, freed before the next */
    uint64_t last_conn_id;
    int spare_fd; /* given up to refuse a connection when descriptors run out */
};

#endif
