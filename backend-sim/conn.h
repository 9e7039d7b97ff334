/* SPDX-License-Identifier: MIT */
#ifndef SIM_CONN_H
#define SIM_CONN_H

#include "buf.h"
#include "listener.h"
#include "proxy_header.h"

#define CONN_IN_LIMIT (256U * 1024U)
#define CONN_OUT_LIMIT (256U * 1024U) /* producers stop while `out` holds that much */

struct conn;

/* What a mode does with a connection. `drive` is called after every event (bytes came, bytes went,
 * a timer fired, the peer ended) and does as much as can be done; events only leave their mark in
 * the struct. The hooks may close the connection; it stays readable until the loop turn ends. */
struct conn_ops {
    bool (*start)(struct conn *c); /* false: no memory, the connection is closed */
    void (*drive)(struct conn *c);
    void (*release)(struct conn *c); /* just before the end; frees c->state */
};

enum conn_end { CONN_OPEN, CONN_LINGER, CONN_RESET };

struct conn {
    struct listener *listener;
    struct sim *sim;
    struct conn *next, *prev; /* in sim.conns; next alone: in sim.graveyard */
    const struct conn_ops *ops;
    void *state; /* belongs to the mode */
    uint64_t id; /* 1, 2, ... over all listeners */
    int fd;      /* -1 once closed */
    ev_io readable, writable;
    ev_timer timer;     /* the mode's: one thing is waited for at a time */
    ev_timer read_tick; /* the next allowance of read_rate */
    ev_timer send_tick; /* the next piece of send_piece */
    struct buf in, out;
    size_t in_limit;    /* reading stops while `in` holds that much */
    uint64_t read_rate; /* bytes per second, 0 = no limit */
    size_t send_piece;  /* at most that many bytes per send, 0 = no limit */
    double send_gap_s;  /* between two pieces */
    struct proxy_info proxy;
    enum conn_end end;
    unsigned reset_tries;
    bool proxy_pending; /* its header has still to come */
    bool started;
    bool uncounted;   /* a check or control connection: taken out of counters.open */
    bool timer_fired; /* set by the timer, cleared by conn_timer() */
    bool eof;         /* the peer has ended its side */
    bool broken;      /* reset or write error */
    bool rate_used;   /* read_rate: nothing more before the next tick */
    bool piece_sent;  /* send_piece: the same */
};

void conn_open(struct listener *ls, int fd);
void conn_close(struct conn *c);      /* at once; unread input makes the kernel send a reset */
void conn_linger(struct conn *c);     /* FIN behind the output, then swallow input for a while */
void conn_reset(struct conn *c);      /* RST, once the peer's kernel has what was written */
void conn_drop_reset(struct conn *c); /* RST now */
bool conn_flush(struct conn *c);      /* true when `out` is empty */
void conn_timer(struct conn *c, double seconds);             /* < 0 stops it; clears timer_fired */
void conn_read_slowly(struct conn *c, uint64_t bytes_per_s); /* 0: at full speed */
void conn_free_dead(struct sim *sim);
void conn_close_all(struct sim *sim);

#endif
