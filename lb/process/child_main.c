// SPDX-License-Identifier: MIT
// What a child does between its fork and its work: take its name, its log, close everything that
// is not its own, give up privileges, and run. Called by children.c in the new process; never
// returns.
//
// Signals: children ignore those that are meant for the supervisor (a Ctrl-C reaches all of them);
// they are told over their channel. When the supervisor dies, control and workers are killed by
// the kernel at once: a worker that lived on would hold the port against the next start. The
// logger stays until its pipe ends, to write the last lines.
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"
#include "conf/bundle.h"
#include "control/control.h"
#include "io/channel.h"
#include "process/certificates.h"
#include "process/logger.h"
#include "process/sandbox.h"
#include "process/sanitizer.h"
#include "process/title.h"
#include "process/tree.h"
#include "proxy/worker.h"

#define STATUS_SYSTEM 71 // EX_OSERR

// Where this process's log lines go; log.h wants one pointer.
struct child_log {
    struct ring *ring;
    uint64_t *dropped; // counter on the board, or NULL
};

static void put_line(void *ctx, const char *line, size_t len)
{
    const struct child_log *log = ctx;
    if (!ring_put(log->ring, line, len) && log->dropped != NULL)
        ++*log->dropped;
}

static void begin_log(const struct tree *t, const struct child *c)
{
    static struct child_log log; // for the life of the process
    log_set_process(c->name);
    panic_set_process(c->name);
    log.ring = c->log;
    if (c->kind == CHILD_WORKER)
        log.dropped = &t->shared->board->counters[c->id].worker[WORKER_LOG_DROPPED];
    log_set_sink(c->log != NULL ? put_line : NULL, &log);
}

static void begin_signals(void)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
    sigset_t none;
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (!EVLB_SANITIZER) // it has handlers of its own that tell more
        panic_catch_signals();
}

// ---- descriptors ------------------------------------------------------------------------------

static int compare_fds(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

// Closes all descriptors from 3 on but those of the list (which gets sorted; may hold -1).
static void close_others(int *keep, size_t n)
{
    unsigned from = 3;
    qsort(keep, n, sizeof(*keep), compare_fds);
    for (size_t i = 0; i < n; i++) {
        if (keep[i] < (int)from)
            continue;
        if (keep[i] > (int)from)
            (void)close_range(from, (unsigned)keep[i] - 1, 0);
        from = (unsigned)keep[i] + 1;
    }
    (void)close_range(from, ~0u, 0);
}

// The sockets of a worker: one per listen, frontends in order, their listens in order. Returns how
// many.
static uint32_t listen_fds(const struct tree *t, const struct child *c, int *fds)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->config->n_frontends; i++) {
        const struct frontend *f = &t->config->frontends[i];
        for (uint32_t k = 0; k < f->n_listens; k++)
            fds[n++] = listener_fd(t->listeners, f->listens[k].number, c->row);
    }
    return n;
}

static void begin_descriptors(const struct tree *t, const struct child *c, int channel)
{
    uint32_t n = 0, seats = t->shared->seats;
    int *keep = xcalloc(listeners_count(t->config) + seats + 5, sizeof(*keep));
    keep[n++] = channel;
    keep[n++] = t->shared->control_wake;
    for (uint32_t i = 0; i < seats; i++)
        keep[n++] = t->shared->worker_wake[i];
    keep[n++] = t->shared->wake_fd;
    if (c->kind == CHILD_LOGGER) {
        keep[n++] = t->log_pipe[0];
        keep[n++] = t->access_fd;
    } else {
        (void)dup2(t->log_pipe[1], STDERR_FILENO);
    }
    if (c->kind == CHILD_CONTROL)
        keep[n++] = t->admin_fd;
    if (c->kind == CHILD_WORKER)
        n += listen_fds(t, c, keep + n);
    (void)dup2(t->null_fd, STDIN_FILENO);
    (void)dup2(t->null_fd, STDOUT_FILENO);
    close_others(keep, n);
    free(keep);
}

// ---- privileges -------------------------------------------------------------------------------

static void begin_privileges(const struct tree *t, const struct child *c)
{
    int error = privileges_drop(&t->who);
    if (error < 0) {
        log_error("cannot give up privileges (become user %u, group %u): %s", (unsigned)t->who.uid,
                  (unsigned)t->who.gid, strerror(-error));
        exit(STATUS_SYSTEM);
    }
    if (c->kind == CHILD_LOGGER)
        return;
    // after the change of user, which resets it
    if (prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L) < 0 || getppid() != t->supervisor)
        exit(STATUS_SYSTEM);
}

// EVLB_SANDBOX=off is for tools that must open files in a worker (valgrind, gcov).
static void begin_sandbox(void)
{
    const char *wish = getenv("EVLB_SANDBOX");
    if (wish != NULL && strcmp(wish, "off") == 0) {
        log_warning("EVLB_SANDBOX=off: the worker runs without its sandbox");
        return;
    }
    if (sandbox_enter() == SANDBOX_REFUSED)
        log_warning("this kernel takes no seccomp filter: the worker runs without its sandbox");
}

// ---- the work ---------------------------------------------------------------------------------

static int run_worker(const struct tree *t, const struct child *c, int channel)
{
    struct shared *s = t->shared;
    int *fds = xcalloc(listeners_count(t->config), sizeof(*fds));
    (void)listen_fds(t, c, fds);
    const struct worker_setup setup = {
        .config = t->config,
        .generation = t->generation,
        .board = s->board,
        .id = c->id,
        .listen_fds = fds,
        .channel_fd = channel,
        .wake_fds = s->worker_wake,
        .control_wake_fd = s->control_wake,
        .access_log = &s->access_log[c->id],
        .max_connections = t->limits.max_connections,
        .tickets = s->tickets,
    };
    begin_sandbox();
    int status = worker_run(&setup);
    free(fds);
    return status;
}

static int run_control(const struct tree *t, int channel)
{
    const struct control_setup setup = {
        .config = t->config,
        .board = t->shared->board,
        .table = t->shared->table,
        .channel_fd = channel,
        .wake_fds = t->shared->worker_wake,
        .control_wake_fd = t->shared->control_wake,
        .admin_fd = t->admin_fd,
    };
    return control_run(&setup);
}

static int run_logger(const struct tree *t, int channel)
{
    const struct message ready = {.type = MSG_READY};
    if (send(channel, &ready, sizeof(ready), MSG_NOSIGNAL) < 0)
        return STATUS_SYSTEM;
    const struct logger_setup setup = {
        .shared = t->shared,
        .pipe_fd = t->log_pipe[0],
        .access_fd = t->access_fd,
        .channel_fd = channel,
    };
    return logger_run(&setup);
}

void child_main(const struct tree *t, const struct child *c, int channel)
{
    title_set(c->title);
    begin_signals();
    begin_log(t, c);
    begin_descriptors(t, c, channel);
    begin_privileges(t, c);
    bundle_free(t->recording);
    if (c->kind != CHILD_WORKER) {
        certificates_forget(t->config);
        shared_forget_tickets(t->shared);
    }
    switch (c->kind) {
    case CHILD_WORKER:
        exit(run_worker(t, c, channel));
    case CHILD_CONTROL:
        exit(run_control(t, channel));
    case CHILD_LOGGER:
        exit(run_logger(t, channel));
    }
    exit(STATUS_SYSTEM);
}
