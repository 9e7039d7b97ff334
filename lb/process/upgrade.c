// SPDX-License-Identifier: MIT
// Handing over to a new binary. Runs in the old supervisor (upgrade_begin, upgrade_result) and in
// the new one (upgrade_tell_ready).
//
// Invariant: between fork and exec nothing is done that the old process could notice: it goes on as
// if nothing had happened when any step fails.
#include "process/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "process/inherited.h"
#include "process/notify.h"

#define FIRST_FD 3 // of those handed over: the sockets, and behind them
enum more { MORE_READY, MORE_INHERITED, MORE_FDS };
#define READY_FD "EVLB_READY_FD"
#define STATUS_SYSTEM 71

const char *upgrade_program(void)
{
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n <= 0)
        return NULL;
    path[n] = '\0';
    return path;
}

static void set_number(const char *name, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    (void)setenv(name, text, 1);
}

// Puts fds[i] at FIRST_FD + i, open over the exec. First all of them out of the way, so that none
// is overwritten before it is moved.
static bool place_fds(const int *fds, uint32_t n)
{
    int *moved = xcalloc(n, sizeof(*moved));
    for (uint32_t i = 0; i < n; i++) {
        moved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_FD + (int)n);
        if (moved[i] < 0)
            return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (dup2(moved[i], FIRST_FD + (int)i) < 0)
            return false;
    }
    free(moved);
    return true;
}

static void become_new(const char *program, char *const *argv, const int *fds,
                       uint32_t n_sockets) NORETURN;

static void become_new(const char *program, char *const *argv, const int *fds, uint32_t n_sockets)
{
    int64_t more = FIRST_FD + (int64_t)n_sockets;
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (place_fds(fds, n_sockets + MORE_FDS)) {
        set_number("LISTEN_FDS", n_sockets);
        set_number("LISTEN_PID", getpid());
        set_number(READY_FD, more + MORE_READY);
        set_number(INHERITED_FD, more + MORE_INHERITED);
        notify_environment();
        (void)execv(program, argv);
    }
    _exit(STATUS_SYSTEM);
}

int upgrade_begin(struct upgrade *u, const char *program, char *const *argv, const int *sockets,
                  uint32_t n_sockets, int inherited)
{
    int ready[2];
    if (access(program, X_OK) < 0 || pipe2(ready, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    int *fds = xcalloc((size_t)n_sockets + MORE_FDS, sizeof(*fds));
    if (n_sockets > 0)
        memcpy(fds, sockets, n_sockets * sizeof(*fds));
    fds[n_sockets + MORE_READY] = ready[1];
    fds[n_sockets + MORE_INHERITED] = inherited;
    (void)fflush(NULL);
    pid_t pid = fork();
    int error = errno;
    if (pid == 0)
        become_new(program, argv, fds, n_sockets);
    free(fds);
    (void)close(ready[1]);
    if (pid < 0) {
        (void)close(ready[0]);
        return -error;
    }
    *u = (struct upgrade){pid, ready[0]};
    return 0;
}

void upgrade_end(struct upgrade *u)
{
    if (u->ready_fd >= 0)
        (void)close(u->ready_fd);
    u->ready_fd = -1;
}

enum upgrade_result upgrade_result(struct upgrade *u)
{
    char byte;
    ssize_t n = read(u->ready_fd, &byte, 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return UPGRADE_WAITING;
    upgrade_end(u);
    return n == 1 ? UPGRADE_READY : UPGRADE_FAILED;
}

void upgrade_tell_ready(void)
{
    const char *text = getenv(READY_FD);
    uint64_t fd = 0;
    if (text == NULL || !str_to_u64(str_of(text), &fd) || fd > 1u << 20)
        return;
    if (write((int)fd, "r", 1) != 1)
        log_debug("the old process does not wait for us: %s", strerror(errno));
    (void)close((int)fd);
}
