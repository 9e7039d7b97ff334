// SPDX-License-Identifier: MIT
// The old supervisor's side of an upgrade. Called by supervisor.c and requests.c.
// Invariants: one upgrade at a time; until the new process has said that it serves, nothing here
// has changed, and its end changes nothing.
#include "process/handover.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "io/loop.h"
#include "process/inherited.h"
#include "process/notify.h"
#include "process/upgrade.h"

#define SERVE_MS 30000u // until the new process must serve

struct handover {
    struct tree *tree;
    const char *program; // NULL: unknown
    char **argv;         // a copy, NULL at the end
    struct upgrade upgrade;
    uint64_t deadline_ms; // of the new process
    uint32_t request;     // 0: nobody waits for the answer any more
};

struct handover *handover_new(struct tree *t, int argc, char *const *argv)
{
    struct handover *h = xcalloc(1, sizeof(*h));
    h->tree = t;
    h->program = upgrade_program();
    h->upgrade.ready_fd = -1;
    h->argv = xcalloc((size_t)argc + 1, sizeof(*h->argv));
    for (int i = 0; i < argc; i++)
        h->argv[i] = xstrdup(argv[i]);
    return h;
}

void handover_free(struct handover *h)
{
    if (h == NULL)
        return;
    for (char **arg = h->argv; *arg != NULL; arg++)
        free(*arg);
    free(h->argv);
    free(h);
}

// All sockets that a start would bind.
static uint32_t collect(const struct tree *t, int *fds)
{
    uint32_t n = 0;
    if (t->admin_fd >= 0)
        fds[n++] = t->admin_fd;
    for (uint32_t i = 0; i < t->listeners->n; i++) {
        const struct listener_set *set = &t->listeners->sets[i];
        uint32_t sockets = set->shared ? 1 : t->listeners->rows;
        for (uint32_t k = 0; k < sockets && set->state != LISTENER_LEFT; k++)
            fds[n++] = set->fds[k];
    }
    return n;
}

// What the new process inherits, as a sealed memfd; or -errno.
static int write_inherited(const struct tree *t)
{
    struct buf text = {0};
    int fd = -ENOMEM;
    if (inherited_write(t->config, t->shared->board, t->shared->tickets, &text))
        fd = channel_text((struct str){buf_head(&text), buf_len(&text)});
    if (text.base != NULL)
        explicit_bzero(buf_head(&text), buf_len(&text)); // keys
    buf_release(&text);
    return fd;
}

// 0 or -errno.
static int start(struct handover *h)
{
    const struct tree *t = h->tree;
    int inherited = write_inherited(t);
    if (inherited < 0)
        return inherited;
    int *sockets = xcalloc(1 + (size_t)t->listeners->n * t->listeners->rows, sizeof(*sockets));
    uint32_t n = collect(t, sockets);
    int error = upgrade_begin(&h->upgrade, h->program, h->argv, sockets, n, inherited);
    free(sockets);
    (void)close(inherited);
    return error;
}

const char *handover_begin(struct handover *h, uint32_t request)
{
    const struct tree *t = h->tree;
    if (atomic_load(&t->shared->table->state) == SERVICE_DRAINING)
        return "evlb is stopping\n";
    if (h->upgrade.ready_fd >= 0)
        return "an upgrade is under way already\n";
    if (h->program == NULL)
        return "the path of the running program is not known\n";
    int error = start(h);
    if (error < 0) {
        log_error("cannot start %s: %s", h->program, strerror(-error));
        return "the program cannot be started; the log says why\n";
    }
    log_info("upgrade: %s starts as process %d", h->program, (int)h->upgrade.pid);
    h->request = request;
    h->deadline_ms = clock_monotonic_ms() + SERVE_MS;
    return NULL;
}

void handover_forget(struct handover *h)
{
    h->request = 0;
}

int handover_fd(const struct handover *h)
{
    return h->upgrade.ready_fd;
}

static void answer(const struct handover *h, uint32_t status, const char *text)
{
    if (h->request != 0)
        control_answer(h->tree, h->request, status, text);
}

// `how` it failed.
static void give_up(struct handover *h, const char *how)
{
    char text[160];
    log_error("upgrade: process %d %s; nothing has changed", (int)h->upgrade.pid, how);
    (void)snprintf(text, sizeof(text),
                   "the new process %s; the log says why. Nothing has changed\n", how);
    answer(h, 1, text);
    upgrade_end(&h->upgrade);
}

void handover_reaped(struct handover *h, int32_t pid)
{
    if (h->upgrade.ready_fd >= 0 && h->upgrade.pid == pid)
        give_up(h, "ended before it served");
}

// It has not been reaped, so its number is nobody else's; its children end with it.
void handover_turn(struct handover *h, uint64_t now_ms)
{
    if (now_ms < handover_next_ms(h))
        return;
    (void)kill(h->upgrade.pid, SIGKILL);
    give_up(h, "did not serve within 30 s and was killed");
}

uint64_t handover_next_ms(const struct handover *h)
{
    return h->upgrade.ready_fd >= 0 ? h->deadline_ms : UINT64_MAX;
}

bool handover_hear(struct handover *h)
{
    switch (upgrade_result(&h->upgrade)) {
    case UPGRADE_WAITING:
        return false;
    case UPGRADE_FAILED:
        give_up(h, "ended before it served");
        return false;
    case UPGRADE_READY:
        break;
    }
    log_info("upgrade: process %d serves; this one drains", (int)h->upgrade.pid);
    answer(h, 0, "the new process serves; the old one drains\n");
    notify_main_pid((int32_t)h->upgrade.pid);
    listeners_disown(h->tree->listeners);
    h->tree->handed_over = true;
    return true;
}
