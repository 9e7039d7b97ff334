// SPDX-License-Identifier: MIT
// The supervisor's life. Called by `evlb run`; may be root; the only process that binds and forks.
//
//   set up: user, limits, shared memory, listeners, log, admin socket
//
//   STARTING --all ready--> RUNNING --TERM, INT, USR1--> DRAINING --all workers gone--+
//       |                      |                           | time over, second TERM   |
//       |                      +----------QUIT----------> CUTTING --all workers gone--+
//       +--a worker cannot start--------------------------> ^                         v
//                                                       end <-- FLUSHING <-- ENDING (control)
//
// While RUNNING it reloads (reload.c), replaces workers (replace.c) and does what control asks for
// (requests.c): each of them is a turn of the loop and never waits.
//
// Workers end first, so that the status can be asked until then; then control; then the logger,
// which ends by itself when the last producer is gone.
//
// Invariants: signals arrive by a descriptor only, one at a time, so nothing here can be
// interrupted half way; every phase but RUNNING and a DRAINING without limit has a deadline, at
// which those that are still there are killed.
#include "process/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"
#include "io/loop.h"
#include "process/access_file.h"
#include "process/admin_socket.h"
#include "process/cert_watch.h"
#include "process/certificates.h"
#include "process/handover.h"
#include "process/inherited.h"
#include "process/notify.h"
#include "process/reload.h"
#include "process/requests.h"
#include "process/sanitizer.h"
#include "process/service.h"
#include "process/tickets.h"
#include "process/title.h"
#include "process/tree.h"
#include "process/upgrade.h"

#define DRAIN_GRACE_MS 2000u // beyond timeout.shutdown: workers end by themselves
#define STOP_GRACE_MS 1000u  // between MSG_STOP and SIGKILL
#define FLUSH_MS 2000u       // for the logger's last lines
#define NAMES_MS 5000u       // how long a start waits for name servers
#define NEVER UINT64_MAX

enum phase {
    PHASE_STARTING,
    PHASE_RUNNING,
    PHASE_DRAINING, // workers finish what they have
    PHASE_CUTTING,  // workers were told to stop now
    PHASE_ENDING,   // workers are gone, control is told to stop
    PHASE_FLUSHING, // the logger writes the rest
    PHASE_OVER,
};

struct supervisor {
    struct tree tree;
    enum phase phase;
    bool deadline_drain;  // TERM or INT was seen: another one means now
    uint64_t deadline_ms; // of the phase; NEVER: none
    int status;
};

// ---- phases -----------------------------------------------------------------------------------

static void enter(struct supervisor *s, enum phase phase, uint64_t deadline_ms)
{
    s->phase = phase;
    s->deadline_ms = deadline_ms;
    panic_note("supervisor phase", phase, 0);
}

static void log_ready(const struct supervisor *s)
{
    const struct config *c = s->tree.config;
    const struct limits *l = &s->tree.limits;
    char listens[512] = "", address[ADDR_TEXT];
    size_t at = 0;
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        for (uint32_t k = 0; k < c->frontends[i].n_listens && at < sizeof(listens); k++) {
            (void)addr_format(&c->frontends[i].listens[k].addr, address);
            int n = snprintf(listens + at, sizeof(listens) - at, "%s%s (%.*s)", at > 0 ? ", " : "",
                             address, STR_FMT(c->frontends[i].name));
            at += n > 0 ? (size_t)n : 0;
        }
    }
    log_info("evlb %s is ready: %u workers; listening on %s; at most %u connections, %u open "
             "files per process",
             EVLB_VERSION, l->workers, listens, l->max_connections, l->open_files);
}

static void begin_running(struct supervisor *s)
{
    enter(s, PHASE_RUNNING, NEVER);
    atomic_store(&s->tree.shared->table->state, (uint32_t)SERVICE_RUNNING);
    log_ready(s);
    upgrade_tell_ready();
    notify_ready();
}

// What every way to the end has in common: no more replacements, no more connections.
static void begin_leaving(struct supervisor *s)
{
    children_unwant(&s->tree, CHILD_WORKER);
    reload_stop(s->tree.reload);
    listeners_close(s->tree.listeners);
    atomic_store(&s->tree.shared->table->state, (uint32_t)SERVICE_DRAINING);
    if (!s->tree.handed_over)
        notify_stopping();
}

static void begin_cutting(struct supervisor *s, uint64_t now_ms)
{
    children_tell(&s->tree, CHILD_WORKER, MSG_STOP, 0);
    begin_leaving(s);
    enter(s, PHASE_CUTTING, now_ms + STOP_GRACE_MS);
}

// `ms` until the rest is cut; 0: no limit.
static void begin_draining(struct supervisor *s, uint32_t ms, uint64_t now_ms)
{
    notify_extend_ms(ms + DRAIN_GRACE_MS);
    children_tell(&s->tree, CHILD_WORKER, MSG_DRAIN, ms);
    begin_leaving(s);
    enter(s, PHASE_DRAINING, ms > 0 ? now_ms + ms + DRAIN_GRACE_MS : NEVER);
}

static void begin_ending(struct supervisor *s, uint64_t now_ms)
{
    children_unwant(&s->tree, CHILD_CONTROL);
    children_tell(&s->tree, CHILD_CONTROL, MSG_STOP, 0);
    enter(s, PHASE_ENDING, now_ms + STOP_GRACE_MS);
}

static void begin_flushing(struct supervisor *s, uint64_t now_ms)
{
    log_info("stopped");
    children_unwant(&s->tree, CHILD_LOGGER);
    (void)close(s->tree.log_pipe[1]); // the last producer: the logger sees the end of its pipe
    s->tree.log_pipe[1] = -1;
    ring_wake(&s->tree.shared->supervisor_log);
    enter(s, PHASE_FLUSHING, now_ms + FLUSH_MS);
}

static void on_deadline(struct supervisor *s, uint64_t now_ms)
{
    s->deadline_ms = NEVER;
    switch (s->phase) {
    case PHASE_DRAINING:
        log_warning("the time for a graceful stop is over");
        begin_cutting(s, now_ms);
        break;
    case PHASE_CUTTING:
        children_cut(&s->tree, CHILD_WORKER);
        break;
    case PHASE_ENDING:
        children_cut(&s->tree, CHILD_CONTROL);
        break;
    case PHASE_FLUSHING:
        children_cut(&s->tree, CHILD_LOGGER);
        break;
    case PHASE_STARTING:
    case PHASE_RUNNING:
    case PHASE_OVER:
        break;
    }
}

// Moves on when what the phase waits for has happened.
static void advance(struct supervisor *s, uint64_t now_ms)
{
    struct tree *t = &s->tree;
    if (s->phase == PHASE_STARTING && t->first_status != 0) {
        s->status = t->first_status == SUPERVISOR_SYSTEM ? SUPERVISOR_SYSTEM : SUPERVISOR_FAILED;
        log_error("a worker cannot start; stopping");
        begin_cutting(s, now_ms);
    }
    if (s->phase == PHASE_STARTING && children_ready(t, CHILD_WORKER))
        begin_running(s);
    if ((s->phase == PHASE_DRAINING || s->phase == PHASE_CUTTING) &&
        children_running(t, CHILD_WORKER) == 0)
        begin_ending(s, now_ms);
    if (s->phase == PHASE_ENDING && children_running(t, CHILD_CONTROL) == 0)
        begin_flushing(s, now_ms);
    if (s->phase == PHASE_FLUSHING && children_running(t, CHILD_LOGGER) == 0)
        enter(s, PHASE_OVER, NEVER);
}

// ---- signals ----------------------------------------------------------------------------------

static void on_terminate(struct supervisor *s, uint64_t now_ms)
{
    uint32_t ms = s->tree.config->shutdown_ms;
    if (s->phase > PHASE_DRAINING)
        return; // already as quick as it gets
    if (s->deadline_drain || ms == 0) {
        log_info("stopping now");
        begin_cutting(s, now_ms);
        return;
    }
    log_info("stopping: open connections have %u.%03u s to end", ms / 1000, ms % 1000);
    s->deadline_drain = true;
    begin_draining(s, ms, now_ms);
}

static void on_signal(struct supervisor *s, uint32_t signo, uint64_t now_ms)
{
    switch (signo) {
    case SIGCHLD:
        children_reap(&s->tree, now_ms);
        break;
    case SIGTERM:
    case SIGINT:
        on_terminate(s, now_ms);
        break;
    case SIGUSR1:
        if (s->phase >= PHASE_DRAINING)
            break;
        log_info("stopping when all open connections have ended");
        begin_draining(s, 0, now_ms);
        break;
    case SIGQUIT:
        if (s->phase > PHASE_DRAINING)
            break;
        log_info("stopping now");
        begin_cutting(s, now_ms);
        break;
    default: // HUP, USR2
        reload_signal(s->tree.reload, RELOAD_FILES);
        break;
    }
}

static void read_signals(struct supervisor *s, uint64_t now_ms)
{
    struct signalfd_siginfo info;
    while (read(s->tree.signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        on_signal(s, info.ssi_signo, now_ms);
}

static bool open_signals(struct tree *t)
{
    static const int ours[] = {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGQUIT, SIGHUP};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        (void)signal(ours[i], SIG_DFL); // an ignored one would not arrive (nohup, shells' "&")
        sigaddset(&set, ours[i]);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return false;
    t->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return t->signal_fd >= 0;
}

// ---- the loop ---------------------------------------------------------------------------------

static int timeout_ms(const struct supervisor *s, uint64_t now_ms)
{
    const struct tree *t = &s->tree;
    uint64_t next = MIN_OF(children_next_start_ms(t), s->deadline_ms);
    next = MIN_OF(next, MIN_OF(requests_next_ms(t->requests), handover_next_ms(t->handover)));
    if (s->phase == PHASE_RUNNING) {
        next = MIN_OF(next, MIN_OF(reload_next_ms(t->reload), replace_next_ms(t)));
        next = MIN_OF(next, cert_watch_next_ms(t->cert_watch));
    }
    next = MIN_OF(next, MIN_OF(service_next_ms(), tickets_next_ms(t)));
    if (next == NEVER)
        return -1;
    return next > now_ms ? (int)MIN_OF(next - now_ms, 60000) : 0;
}

static void wait_and_hear(struct supervisor *s, struct pollfd *p)
{
    struct tree *t = &s->tree;
    p[0] = (struct pollfd){.fd = t->signal_fd, .events = POLLIN};
    for (uint32_t i = 0; i < t->n_children; i++)
        p[1 + i] =
            (struct pollfd){.fd = t->children[i].channel, .events = child_events(&t->children[i])};
    struct pollfd *new_one = &p[1 + t->n_children];
    *new_one = (struct pollfd){.fd = handover_fd(t->handover), .events = POLLIN};
    if (poll(p, t->n_children + 2, timeout_ms(s, clock_monotonic_ms())) <= 0)
        return;
    for (uint32_t i = 0; i < t->n_children; i++) {
        if (p[1 + i].revents != 0)
            child_listen(t, &t->children[i]);
    }
    if (p[0].revents != 0)
        read_signals(s, clock_monotonic_ms());
    if (new_one->revents != 0 && handover_hear(t->handover) && s->phase < PHASE_DRAINING)
        begin_draining(s, MAX_OF(t->config->shutdown_ms, 1), clock_monotonic_ms());
}

static void turn(struct supervisor *s, uint64_t now_ms)
{
    struct tree *t = &s->tree;
    tickets_turn(t, now_ms);
    if (now_ms >= s->deadline_ms)
        on_deadline(s, now_ms);
    requests_turn(t->requests, now_ms);
    handover_turn(t->handover, now_ms);
    if (s->phase == PHASE_RUNNING) {
        cert_watch_turn(t->cert_watch, now_ms);
        reload_turn(t->reload, now_ms);
        replace_turn(t, now_ms);
    }
    children_start_due(t, now_ms);
    service_turn(t, now_ms);
}

static void serve(struct supervisor *s)
{
    struct pollfd *p = xcalloc(s->tree.n_children + 2, sizeof(*p));
    while (s->phase != PHASE_OVER) {
        turn(s, clock_monotonic_ms());
        wait_and_hear(s, p);
        advance(s, clock_monotonic_ms());
    }
    free(p);
}

// ---- setting up -------------------------------------------------------------------------------

static void put_line(void *ctx, const char *line, size_t len)
{
    (void)ring_put(ctx, line, len); // what does not fit is counted in the ring
}

// Descriptors 0, 1 and 2 exist, so that no socket becomes "standard error".
static bool open_standard(struct tree *t)
{
    do {
        t->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (t->null_fd >= 0 && t->null_fd <= STDERR_FILENO);
    return t->null_fd >= 0;
}

static bool open_access_log(struct tree *t)
{
    int error = access_file_open(t->config, &t->access_fd);
    if (error < 0)
        log_error("cannot open the access log %s: %s", t->config->access_log_path.p,
                  strerror(-error));
    return error == 0;
}

// One error per address that cannot be bound.
static bool bind_listeners(struct tree *t)
{
    struct buf why = {0};
    t->listeners = listeners_new(t->limits.workers);
    bool fine = listeners_prepare(t->listeners, t->config, &why);
    for (struct str rest = {buf_head(&why), buf_len(&why)}; rest.len > 0;) {
        const char *end = memchr(rest.p, '\n', rest.len);
        log_error("%.*s", (int)(end - rest.p), rest.p);
        rest = str_from(end + 1, rest.p + rest.len);
    }
    buf_release(&why);
    if (fine)
        listeners_commit(t->listeners);
    return fine;
}

static bool find_user(struct tree *t)
{
    char why[256];
    switch (privileges_resolve(t->config->user, t->config->group, &t->who, why, sizeof(why))) {
    case PRIVILEGES_OK:
        break;
    case PRIVILEGES_IGNORED:
        log_warning("%s", why);
        break;
    case PRIVILEGES_UNKNOWN:
        log_error("%s", why);
        return false;
    }
    if (geteuid() == 0 && t->who.uid == 0)
        log_warning("everything runs as root: give a `user:` to drop privileges");
    return true;
}

static bool make_shared(struct tree *t, struct str inherited)
{
    const char *why;
    t->shared = shared_new(t->config, t->limits.workers);
    if (t->shared == NULL) {
        log_error("no memory or no descriptors: %s", strerror(errno));
        return false;
    }
    struct process_table *table = t->shared->table;
    table->supervisor_pid = (int32_t)t->supervisor;
    table->started_ms = clock_monotonic_ms();
    table->started_wall_ms = clock_wall_ms();
    table->max_connections = t->limits.max_connections;
    atomic_store(&table->generation, t->generation);
    atomic_store(&table->loaded_wall_ms, table->started_wall_ms);
    t->slots = slots_new(t->shared->board);
    bool fits = slots_assign(t->slots, t->config, t->generation, &why);
    lb_assert(fits); // the board was made for it
    inherited_apply(inherited, t->config, t->shared->board);
    tickets_begin(t, inherited);
    channel_text_done(inherited); // no child is to have it
    return true;
}

// Servers whose addresses control has to find out.
static bool has_names(const struct config *c)
{
    for (uint32_t i = 0; i < c->n_servers; i++) {
        if (c->servers[i].addr.len == 0)
            return true;
    }
    return false;
}

// Sockets that were handed over and are in no `listen:`.
static void close_unwanted(void)
{
    uint32_t n = activation_close_rest();
    if (n > 0)
        log_warning("%u sockets were handed over that no frontend listens on; they are closed", n);
}

static enum supervisor_status set_up(struct tree *t, const struct supervisor_options *options)
{
    if (!open_standard(t))
        return SUPERVISOR_SYSTEM;
    if (!find_user(t))
        return SUPERVISOR_CONFIG;
    t->limits = limits_find(t->config);
    if (!make_shared(t, options->inherited))
        return SUPERVISOR_SYSTEM;
    if (!bind_listeners(t) || !open_access_log(t))
        return SUPERVISOR_SYSTEM;
    t->admin_fd = admin_socket_open(t->config, &t->who);
    close_unwanted();
    if (pipe2(t->log_pipe, O_NONBLOCK | O_CLOEXEC) < 0 || !open_signals(t)) {
        log_error("no descriptors: %s", strerror(errno));
        return SUPERVISOR_SYSTEM;
    }
    t->reload = reload_new(t, options);
    t->requests = requests_new(t);
    t->cert_watch = cert_watch_new(t);
    children_init(t);
    if (has_names(t->config))
        children_hold_workers(t, clock_monotonic_ms() + NAMES_MS);
    return SUPERVISOR_STOPPED;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static void tear_down(struct tree *t)
{
    log_set_sink(NULL, NULL);
    listeners_free(t->listeners);
    if (t->admin_fd >= 0 && !t->handed_over)
        admin_socket_remove(t->config);
    close_fd(t->admin_fd);
    close_fd(t->access_fd);
    close_fd(t->signal_fd);
    close_fd(t->log_pipe[0]);
    close_fd(t->log_pipe[1]);
    close_fd(t->null_fd);
    children_free(t);
    requests_free(t->requests);
    cert_watch_free(t->cert_watch);
    reload_free(t->reload);
    handover_free(t->handover);
    slots_free(t->slots);
    shared_free(t->shared);
    bundle_free(t->recording);
    arena_free(t->config->arena);
}

int supervisor_run(const struct supervisor_options *options)
{
    struct supervisor s = {.deadline_ms = NEVER};
    struct tree *t = &s.tree;
    t->config = options->config;
    t->recording = options->recording;
    t->generation = 1;
    t->supervisor = getpid();
    t->null_fd = t->access_fd = t->admin_fd = t->signal_fd = -1;
    t->log_pipe[0] = t->log_pipe[1] = -1;
    log_set_level(options->config->log_level);
    log_set_process("supervisor");
    panic_set_process("supervisor");
    if (!EVLB_SANITIZER)
        panic_catch_signals();
    notify_init();
    t->handover = handover_new(t, options->argc, options->argv);
    title_init(options->argc, options->argv);
    s.status = set_up(t, options);
    if (s.status == SUPERVISOR_STOPPED) {
        log_set_sink(put_line, &t->shared->supervisor_log);
        serve(&s);
        if (t->faults > 0)
            s.status = SUPERVISOR_FAILED;
    }
    tear_down(t);
    return s.status;
}
