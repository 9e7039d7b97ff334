/* SPDX-License-Identifier: MIT */
/*
 * backend-sim: a scriptable origin server for the tests and benchmarks of a load balancer.
 *
 * One process, one libev loop, any number of listeners. The query of a request chooses the
 * behaviour (plan.c), malformed responses come from a table (bad.c), other modes speak plain TCP
 * (tcp_modes.c), and --bench replaces the loop by one that only counts empty lines (bench.c).
 * It shares no code with the balancer: it is a second reading of HTTP.
 */
#include "bench.h"
#include "conn.h"
#include "listener.h"
#include "options.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

struct signals {
    ev_signal term, interrupt, user;
    ev_prepare turn_end;
};

static void on_stop(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void on_user(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop;
    (void)events;
    struct sim *sim = w->data;
    for (size_t i = 0; i < sim->listener_count; i++)
        sim->listeners[i].healthy = !sim->listeners[i].healthy;
}

static void on_turn_end(struct ev_loop *loop, ev_prepare *w, int events)
{
    (void)loop;
    (void)events;
    conn_free_dead(w->data);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void signals_start(struct sim *sim, struct signals *s)
{
    ev_signal_init(&s->term, on_stop, SIGTERM);
    ev_signal_init(&s->interrupt, on_stop, SIGINT);
    ev_signal_init(&s->user, on_user, SIGUSR1);
    ev_prepare_init(&s->turn_end, on_turn_end);
    s->user.data = sim;
    s->turn_end.data = sim;
    ev_signal_start(sim->loop, &s->term);
    ev_signal_start(sim->loop, &s->interrupt);
    ev_signal_start(sim->loop, &s->user);
    ev_prepare_start(sim->loop, &s->turn_end);
}

static int run_loop(struct sim *sim)
{
    struct signals signals;
    sim->loop = ev_loop_new(EVFLAG_AUTO);
    if (!sim->loop)
        return 1;
    signals_start(sim, &signals);
    listeners_start(sim);
    listeners_print(sim);
    ev_run(sim->loop, 0);
    conn_close_all(sim);
    ev_loop_destroy(sim->loop);
    return 0;
}

int main(int argc, char **argv)
{
    struct options opt;
    struct sim sim = {.opt = &opt, .spare_fd = -1};
    switch (options_read(argc, argv, &opt)) {
    case OPTIONS_DONE:
        return 0;
    case OPTIONS_WRONG:
        return 2;
    case OPTIONS_RUN:
        break;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    int status = 1;
    if (listeners_open(&sim))
        status = opt.bench ? bench_run(&sim) : run_loop(&sim);
    listeners_close(&sim);
    return status;
}
