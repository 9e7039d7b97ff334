/* SPDX-License-Identifier: MIT */
#ifndef SIM_LISTENER_H
#define SIM_LISTENER_H

#include "counters.h"
#include "options.h"
#include "sim.h"

#include <sys/socket.h>
#include <sys/un.h>

#define LISTENERS_MAX 20000
#define ADDRESS_BYTES 128

union any_address {
    struct sockaddr any;
    struct sockaddr_storage storage;
    struct sockaddr_un local;
};

struct listener {
    struct sim *sim;
    char *name;                  /* owned */
    char address[ADDRESS_BYTES]; /* as printed; with the real port */
    union any_address bound;
    socklen_t bound_len;
    int fd; /* -1 while switched off by /control/listen */
    ev_io readable;
    ev_timer resume; /* accepting again after EMFILE or --accept-delay */
    bool delay_over; /* the delay of --accept-delay has passed for the waiting ones */
    bool healthy;
    struct counters count;
    struct buf defaults; /* behaviour of every request, as a query */
};

/* Opens all addresses of the options, in their order; the message goes to stderr. */
bool listeners_open(struct sim *sim);
void listeners_print(const struct sim *sim);
void listeners_start(struct sim *sim); /* accept on the loop */
void listeners_close(struct sim *sim);
bool listener_switch(struct listener *ls, bool on); /* refuse connections, or take them again */
struct listener *listener_find(struct sim *sim, struct slice name);

/* A listening socket; >= 0, or -errno. For --bench: `reuse_port` for one socket per worker. */
int listener_socket(union any_address *address, socklen_t *len, const struct options *opt,
                    bool reuse_port);

#endif
