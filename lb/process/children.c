// SPDX-License-Identifier: MIT
// Starting, hearing and burying children. Runs in the supervisor, called by its loop.
//
// A child that dies is replaced at once. One that keeps dying young is replaced after a pause that
// doubles, so that a fault in every start cannot eat the machine; meanwhile its listening sockets
// stay open here and connections wait in their queues.
//
// Invariants: a child has a channel exactly while it runs or until it closed its end; messages to
// it arrive in the order in which they were sent, also when they had to wait; what a dead worker
// held on the board is taken back before its replacement is forked; a child works with the
// configuration that was in force when it was forked until it is told of another.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "io/loop.h"
#include "process/handover.h"
#include "process/reload.h"
#include "process/requests.h"
#include "process/tree.h"

#define YOUNG_MS 10000u      // dying earlier than this counts as quick
#define QUICK_DEATHS_FREE 2u // so many in a row are replaced at once
#define PAUSE_FIRST_MS 100u
#define PAUSE_LONGEST_MS 5000u

// A message that waits for room in the channel.
struct packet {
    struct list node; // in child->outbox
    struct message message;
    int fds[CHANNEL_FDS_MAX]; // our copies
};

// ---- the table --------------------------------------------------------------------------------

static void init_child(struct child *c, enum child_kind kind, struct process_entry *entry,
                       struct ring *log)
{
    c->kind = kind;
    c->channel = -1;
    list_init(&c->outbox);
    c->wanted = true;
    c->entry = entry;
    c->log = log;
    c->start_ms = 1; // at once
}

static void name_child(struct child *c, const char *kind)
{
    if (c->kind == CHILD_WORKER)
        (void)snprintf(c->title, sizeof(c->title), "evlb: %s %u", kind, c->id);
    else
        (void)snprintf(c->title, sizeof(c->title), "evlb: %s", kind);
    c->name = c->title + strlen("evlb: ");
}

void children_init(struct tree *t)
{
    struct shared *s = t->shared;
    t->n_children = 2 + s->seats;
    t->children = xcalloc(t->n_children, sizeof(*t->children));
    init_child(&t->children[0], CHILD_LOGGER, &s->table->logger, NULL);
    name_child(&t->children[0], "logger");
    init_child(&t->children[1], CHILD_CONTROL, &s->table->control, &s->control_log);
    name_child(&t->children[1], "control");
    for (uint32_t i = 0; i < s->seats; i++) {
        struct child *c = &t->children[2 + i];
        c->id = c->row = i;
        init_child(c, CHILD_WORKER, &s->table->worker[i], &s->worker_log[i]);
        name_child(c, "worker");
        if (i < t->limits.workers)
            continue;
        c->wanted = false; // the free seat
        c->start_ms = 0;
    }
}

void children_hold_workers(struct tree *t, uint64_t until_ms)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        struct child *c = &t->children[i];
        if (c->kind == CHILD_WORKER && c->started_ms == 0 && c->start_ms != 0)
            c->start_ms = until_ms;
    }
}

// ---- starting ---------------------------------------------------------------------------------

static void set_state(struct child *c, enum process_state state)
{
    atomic_store(&c->entry->pid, (int32_t)c->pid);
    atomic_store(&c->entry->started_ms, c->started_ms);
    atomic_store(&c->entry->state, (uint32_t)state);
}

static pid_t fork_child(const struct tree *t, const struct child *c, const int channel[2])
{
    (void)fflush(NULL); // nothing buffered may be written twice
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    (void)close(channel[0]);
    child_main(t, c, channel[1]);
}

static void start_child(const struct tree *t, struct child *c, uint64_t now_ms)
{
    int channel[2];
    c->start_ms = 0;
    c->ready = c->cut = false;
    c->taken = c->oldest = t->generation;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, channel) < 0) {
        log_error("cannot start %s: %s", c->name, strerror(errno));
        c->start_ms = now_ms + 1000;
        return;
    }
    pid_t pid = fork_child(t, c, channel);
    int error = errno;
    (void)close(channel[1]);
    if (pid < 0) {
        log_error("cannot start %s: %s", c->name, strerror(error));
        (void)close(channel[0]);
        c->start_ms = now_ms + 1000;
        return;
    }
    c->pid = pid;
    c->channel = channel[0];
    c->started_ms = now_ms;
    set_state(c, PROCESS_STARTING);
}

void children_start_due(struct tree *t, uint64_t now_ms)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        struct child *c = &t->children[i];
        if (c->start_ms != 0 && c->start_ms <= now_ms)
            start_child(t, c, now_ms);
    }
}

uint64_t children_next_start_ms(const struct tree *t)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < t->n_children; i++) {
        uint64_t start_ms = t->children[i].start_ms;
        if (start_ms != 0 && start_ms < next)
            next = start_ms;
    }
    return next;
}

// ---- telling ----------------------------------------------------------------------------------

static void free_packet(struct packet *p)
{
    for (uint32_t i = 0; i < p->message.n_fds; i++) {
        if (p->fds[i] >= 0)
            (void)close(p->fds[i]);
    }
    free(p);
}

static void close_channel(struct child *c)
{
    for (struct list *node; (node = list_pop_first(&c->outbox)) != NULL;)
        free_packet(list_entry(node, struct packet, node));
    if (c->channel >= 0)
        (void)close(c->channel);
    c->channel = -1;
}

static bool put_aside(struct child *c, const struct message *m, const int *fds)
{
    struct packet *p = xcalloc(1, sizeof(*p));
    bool fine = true;
    p->message = *m;
    for (uint32_t i = 0; i < m->n_fds; i++)
        fine = (p->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0)) >= 0 && fine;
    if (fine)
        list_append(&c->outbox, &p->node);
    else
        free_packet(p);
    return fine;
}

bool child_tell(struct child *c, const struct message *m, const int *fds)
{
    if (c->channel < 0)
        return false;
    int error = list_empty(&c->outbox) ? channel_send(c->channel, m, fds) : -EAGAIN;
    if (error == -EAGAIN)
        return put_aside(c, m, fds);
    if (error < 0)
        log_debug("%s cannot be told anything any more: %s", c->name, strerror(-error));
    return error == 0;
}

static void flush(struct child *c)
{
    while (c->channel >= 0 && !list_empty(&c->outbox)) {
        struct packet *p = list_entry(c->outbox.next, struct packet, node);
        if (channel_send(c->channel, &p->message, p->fds) == -EAGAIN)
            return;
        list_remove(&p->node); // sent, or the other side is gone
        free_packet(p);
    }
}

void control_answer(struct tree *t, uint32_t request, uint32_t status, const char *text)
{
    struct message m = {.type = MSG_ANSWER, .request = request, .status = status};
    int fd = text[0] != '\0' ? channel_text(str_of(text)) : -1;
    m.n_fds = fd >= 0;
    for (uint32_t i = 0; i < t->n_children; i++) {
        if (t->children[i].kind == CHILD_CONTROL)
            (void)child_tell(&t->children[i], &m, &fd);
    }
    if (fd >= 0)
        (void)close(fd);
}

void children_tell(struct tree *t, enum child_kind kind, uint32_t message, uint32_t arg)
{
    const struct message m = {.type = message, .arg = arg};
    for (uint32_t i = 0; i < t->n_children; i++) {
        if (t->children[i].kind == kind)
            (void)child_tell(&t->children[i], &m, NULL);
    }
}

// ---- hearing ----------------------------------------------------------------------------------

short child_events(const struct child *c)
{
    return (short)(list_empty(&c->outbox) ? POLLIN : POLLIN | POLLOUT);
}

static void hear(struct tree *t, struct child *c, const struct message *m, const int *fds)
{
    switch (m->type) {
    case MSG_READY:
        c->ready = true;
        set_state(c, PROCESS_READY);
        log_debug("%s (pid %d) is ready", c->name, (int)c->pid);
        if (c->kind == CHILD_CONTROL)
            children_hold_workers(t, 1);
        break;
    case MSG_TAKEN:
        reload_taken(t->reload, c, m->arg, m->status);
        break;
    case MSG_RELEASED:
        c->oldest = MAX_OF(c->oldest, MIN_OF(m->arg, t->generation));
        break;
    default:
        requests_hear(t->requests, c, m, fds);
        break;
    }
}

void child_listen(struct tree *t, struct child *c)
{
    struct message m;
    int fds[CHANNEL_FDS_MAX];
    flush(c);
    if (c->channel < 0)
        return;
    int result = channel_receive(c->channel, &m, fds);
    if (result == 0)
        return;
    if (result == -EMFILE) {
        log_error("no descriptor is free for what %s sends", c->name);
        m.status = 1; // an answer without its text
    } else if (result < 0) {
        close_channel(c); // it is ending; SIGCHLD tells the rest
        return;
    }
    hear(t, c, &m, fds);
    for (uint32_t i = 0; i < m.n_fds; i++)
        (void)close(fds[i]);
}

// ---- all of a kind ----------------------------------------------------------------------------

void children_unwant(struct tree *t, enum child_kind kind)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        struct child *c = &t->children[i];
        if (c->kind != kind)
            continue;
        c->wanted = false;
        c->start_ms = 0;
        if (c->pid == 0)
            set_state(c, PROCESS_ABSENT);
    }
}

void children_cut(struct tree *t, enum child_kind kind)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        if (t->children[i].kind == kind)
            child_cut(&t->children[i]);
    }
}

void child_cut(struct child *c)
{
    if (c->pid == 0)
        return;
    c->cut = true;
    (void)kill(c->pid, SIGKILL);
}

uint32_t children_running(const struct tree *t, enum child_kind kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n_children; i++)
        n += t->children[i].kind == kind && t->children[i].pid != 0;
    return n;
}

bool children_ready(const struct tree *t, enum child_kind kind)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        const struct child *c = &t->children[i];
        if (c->kind == kind && c->wanted && (c->pid == 0 || !c->ready))
            return false;
    }
    return true;
}

// ---- burying ----------------------------------------------------------------------------------

static void describe_end(int status, char out[96])
{
    if (WIFSIGNALED(status))
        (void)snprintf(out, 96, "was killed by signal %d (%s)", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    else
        (void)snprintf(out, 96, "ended with status %d", WEXITSTATUS(status));
}

// How many connections the worker held, by its share of the process's gauge.
static uint32_t connections_held(const struct board *b, uint32_t worker)
{
    return atomic_load(board_share(b, worker, board_process_slot(b)));
}

static void reclaim(struct tree *t, const struct child *c)
{
    if (c->log != NULL)
        ring_wake(c->log); // it may have died between a line and its call to the logger
    if (c->kind != CHILD_WORKER)
        return;
    ring_wake(&t->shared->access_log[c->id]);
    uint32_t connections = connections_held(t->shared->board, c->id);
    uint32_t claims = board_reclaim(t->shared->board, c->id);
    if (claims > 0)
        log_warning("%s held %u connections, which are cut (%u claims taken back)", c->name,
                    connections, claims);
}

static uint64_t pause_ms(struct child *c, uint64_t lived_ms)
{
    c->quick_deaths = lived_ms < YOUNG_MS ? c->quick_deaths + 1 : 0;
    if (c->quick_deaths <= QUICK_DEATHS_FREE)
        return 0;
    uint32_t doublings = MIN_OF(c->quick_deaths - QUICK_DEATHS_FREE - 1, 16);
    return MIN_OF(PAUSE_FIRST_MS << doublings, PAUSE_LONGEST_MS);
}

static void plan_replacement(struct child *c, uint64_t now_ms, const char *end)
{
    uint64_t lived_ms = now_ms - c->started_ms, pause = pause_ms(c, lived_ms);
    log_error("%s (pid %d) %s after %llu.%03llu s; its replacement starts in %llu ms", c->name,
              (int)c->pid, end, (unsigned long long)lived_ms / 1000,
              (unsigned long long)lived_ms % 1000, (unsigned long long)pause);
    c->start_ms = now_ms + pause;
    atomic_fetch_add(&c->entry->restarts, 1);
}

static void bury(struct tree *t, struct child *c, int status, uint64_t now_ms)
{
    char end[96];
    describe_end(status, end);
    close_channel(c);
    if (!c->ready && c->kind == CHILD_WORKER && WIFEXITED(status) && t->first_status == 0)
        t->first_status = WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1;
    if (c->wanted) {
        plan_replacement(c, now_ms, end);
    } else if (status != 0 && !c->cut) {
        log_error("%s (pid %d) %s", c->name, (int)c->pid, end);
        t->faults++;
    }
    if (c->leaving)
        log_info("%s (pid %d) has left", c->name, (int)c->pid);
    c->pid = 0;
    c->ready = c->renew = c->leaving = false;
    set_state(c, c->wanted ? PROCESS_WAITING : PROCESS_ABSENT);
    reclaim(t, c);
    replace_ended(t, c);
    requests_forget(t->requests, c);
}

void children_reap(struct tree *t, uint64_t now_ms)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (uint32_t i = 0; i < t->n_children; i++) {
            if (t->children[i].pid == pid)
                bury(t, &t->children[i], status, now_ms);
        }
        handover_reaped(t->handover, (int32_t)pid);
    }
}

void children_free(struct tree *t)
{
    for (uint32_t i = 0; i < t->n_children; i++)
        close_channel(&t->children[i]);
    free(t->children);
}
