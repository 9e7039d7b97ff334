// SPDX-License-Identifier: MIT
// The logger: drains all log rings into standard error and the access log. Run by the supervisor's
// child (process/child_main.c); replaced when it dies, and nothing is lost then, because the rings
// and their positions lie in shared memory.
//
//   rings (operational) --+
//   pipe (fd 2 of all) ---+--> output: standard error
//   rings (access) -----------> output: file, or standard error too
//
// The supervisor may hand over another file for access lines at any time (a reload, a rotation).
//
// An output that takes nothing (a stuck reader, a full disk) holds up only itself: its rings fill,
// their producers drop and count, and when it takes bytes again one line says how many were lost.
//
// It sleeps on an eventfd, but only after a look at all rings that found nothing; while there is
// traffic it looks every ROUND_MS instead, and while an output is stuck every STUCK_MS, so that
// producers make no system call for it.
#include "process/logger.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/channel.h"
#include "io/loop.h"

#define ROUND_MS 10
#define STUCK_MS 50
#define RETRY_MS 250         // after an error such as a full disk
#define LAST_WORDS_MS 1000   // how long to wait for a stuck output when all producers have gone
#define DROPPED_LINE_MS 1000 // at most one line per ring in this time
#define FILE_CHUNK (256u * 1024)
#define PIPE_CHUNK 4096u // PIPE_BUF: what poll() promises to take without blocking

struct output {
    int fd;
    size_t chunk;      // the most to write at once
    bool blocked;      // took nothing when asked last
    uint64_t retry_ms; // after an error; 0: no error
};

struct source {
    struct ring *ring;
    bool is_access;
    const char *what; // "log lines"
    const char *who;  // "worker"
    uint32_t id;      // of the worker
    uint64_t last_dropped_line_ms;
};

struct logger {
    const struct logger_setup *setup;
    struct output error, access; // access.fd -1: access lines go to `error`
    int channel_fd;              // -1: none, or its other end is gone
    struct source *sources;
    uint32_t n_sources;
    bool unreported; // lines were dropped and nothing has been said of it yet
    bool producers_gone;
    uint64_t last_words_ms; // when to give up; set with producers_gone
};

// ---- outputs ----------------------------------------------------------------------------------

static struct output output_of(int fd)
{
    struct stat st;
    bool is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    return (struct output){.fd = fd, .chunk = is_file ? FILE_CHUNK : PIPE_CHUNK};
}

// True when a write of at most `chunk` bytes will not block now.
static bool output_ready(struct output *o, uint64_t now_ms)
{
    struct pollfd p = {.fd = o->fd, .events = POLLOUT};
    if (o->retry_ms > now_ms)
        return false;
    o->retry_ms = 0;
    o->blocked = poll(&p, 1, 0) < 1;
    return !o->blocked;
}

// How many of the bytes were taken (0: try again later). A reader that is gone takes everything.
static size_t output_write(struct output *o, const struct iovec *pieces, int n, uint64_t now_ms)
{
    size_t all = 0;
    for (int i = 0; i < n; i++)
        all += pieces[i].iov_len;
    ssize_t written = writev(o->fd, pieces, n);
    if (written >= 0)
        return (size_t)written;
    if (errno == EINTR || errno == EAGAIN)
        return 0;
    if (errno == EPIPE || errno == EBADF)
        return all;
    o->retry_ms = now_ms + RETRY_MS;
    return 0;
}

// ---- rings ------------------------------------------------------------------------------------

// Shortens the pieces to `most` bytes, at a line end when there is one. Returns their length.
static size_t cut(struct iovec piece[2], size_t most)
{
    if (piece[0].iov_len + piece[1].iov_len <= most)
        return piece[0].iov_len + piece[1].iov_len;
    for (int i = 1; i >= 0; i--) {
        size_t before = i == 1 ? piece[0].iov_len : 0;
        size_t n = MIN_OF(piece[i].iov_len, most > before ? most - before : 0);
        const char *end = n > 0 ? memrchr(piece[i].iov_base, '\n', n) : NULL;
        piece[i].iov_len = 0;
        if (end != NULL || (i == 0 && n > 0)) {
            piece[i].iov_len = end != NULL ? (size_t)(end - (char *)piece[i].iov_base) + 1 : n;
            return before + piece[i].iov_len;
        }
    }
    return 0;
}

static void report_dropped(struct logger *l, struct source *s, uint64_t now_ms)
{
    if (!ring_has_dropped(s->ring))
        return;
    if (now_ms - s->last_dropped_line_ms < DROPPED_LINE_MS || !output_ready(&l->error, now_ms)) {
        l->unreported = true;
        return;
    }
    s->last_dropped_line_ms = now_ms;
    log_warning("%llu %s of %s %u were dropped: they came faster than they could be written",
                (unsigned long long)ring_take_dropped(s->ring), s->what, s->who, s->id);
}

// Writes what is there. Returns true when something was written.
static bool drain_source(struct logger *l, struct source *s, uint64_t now_ms)
{
    struct output *o = s->is_access && l->access.fd >= 0 ? &l->access : &l->error;
    struct iovec piece[2];
    size_t budget = s->ring->size, done = 0;
    while (done < budget && ring_peek(s->ring, piece) > 0 && output_ready(o, now_ms)) {
        size_t n = cut(piece, o->chunk);
        size_t written = output_write(o, piece, piece[1].iov_len > 0 ? 2 : 1, now_ms);
        ring_consume(s->ring, written);
        done += written;
        if (written < n)
            break;
    }
    if (ring_empty(s->ring))
        report_dropped(l, s, now_ms);
    return done > 0;
}

// What children wrote to descriptor 2: as it is.
static bool drain_pipe(struct logger *l, uint64_t now_ms)
{
    char bytes[PIPE_CHUNK];
    bool moved = false;
    while (output_ready(&l->error, now_ms)) {
        ssize_t n = read(l->setup->pipe_fd, bytes, sizeof(bytes));
        if (n <= 0)
            break;
        const struct iovec piece = {bytes, (size_t)n};
        (void)output_write(&l->error, &piece, 1, now_ms);
        moved = true;
    }
    return moved;
}

static bool drain_all(struct logger *l, uint64_t now_ms)
{
    l->unreported = false;
    bool moved = drain_pipe(l, now_ms);
    for (uint32_t i = 0; i < l->n_sources; i++)
        moved = drain_source(l, &l->sources[i], now_ms) || moved;
    return moved;
}

static bool nothing_left(const struct logger *l)
{
    for (uint32_t i = 0; i < l->n_sources; i++) {
        if (!ring_empty(l->sources[i].ring))
            return false;
    }
    return true;
}

// ---- what the supervisor says -----------------------------------------------------------------

static void change_access(struct logger *l, int fd)
{
    if (l->access.fd >= 0)
        (void)close(l->access.fd);
    l->access = fd >= 0 ? output_of(fd) : (struct output){.fd = -1};
}

static void hear(struct logger *l)
{
    struct message m;
    int fds[CHANNEL_FDS_MAX], result = channel_receive(l->channel_fd, &m, fds);
    if (result == -EMFILE) // the lines go where they went
        log_error("no descriptor is free for the access log: it stays where it was");
    else if (result < 0)
        l->channel_fd = -1; // the end of the pipe says when to go
    if (result <= 0)
        return;
    if (m.type == MSG_LOG_LEVEL)
        log_set_level((enum log_level)m.arg);
    if (m.type == MSG_ACCESS_LOG)
        change_access(l, m.n_fds > 0 ? fds[0] : -1);
}

// ---- sleeping ---------------------------------------------------------------------------------

static bool is_stuck(const struct output *o)
{
    return o->fd >= 0 && (o->blocked || o->retry_ms != 0);
}

// Until there is something to do, at most `ms` (< 0: as long as it takes).
static void wait_for_work(struct logger *l, int ms)
{
    uint64_t count;
    struct pollfd p[5] = {
        {.fd = l->setup->shared->wake_fd, .events = POLLIN},
        {.fd = l->producers_gone ? -1 : l->setup->pipe_fd,
         .events = is_stuck(&l->error) ? 0 : POLLIN}, // its end is told in any case
        {.fd = l->error.blocked ? l->error.fd : -1, .events = POLLOUT},
        {.fd = l->access.blocked ? l->access.fd : -1, .events = POLLOUT},
        {.fd = l->channel_fd, .events = POLLIN},
    };
    int n = poll(p, ARRAY_LEN(p), ms);
    if (n <= 0)
        return;
    if (p[1].revents & POLLHUP) {
        l->producers_gone = true;
        l->last_words_ms = clock_monotonic_ms() + LAST_WORDS_MS;
    }
    if (p[4].revents != 0)
        hear(l);
    if (p[0].revents != 0 && read(p[0].fd, &count, sizeof(count)) < 0)
        return; // the count was taken already
}

// One turn: write what there is, then wait. False: it is time to go.
static bool turn(struct logger *l)
{
    uint64_t now_ms = clock_monotonic_ms();
    bool moved = drain_all(l, now_ms);
    if (l->producers_gone && (nothing_left(l) || now_ms >= l->last_words_ms))
        return false;
    if (is_stuck(&l->error) || is_stuck(&l->access)) {
        wait_for_work(l, STUCK_MS);
        return true;
    }
    if (moved || l->producers_gone) {
        wait_for_work(l, ROUND_MS);
        return true;
    }
    ring_sleep_begin(l->setup->shared->sleep);
    if (!drain_all(l, now_ms))
        wait_for_work(l, l->unreported ? DROPPED_LINE_MS : -1);
    ring_sleep_end(l->setup->shared->sleep);
    return true;
}

// ---- start ------------------------------------------------------------------------------------

static void add_sources(struct logger *l)
{
    struct shared *s = l->setup->shared;
    uint32_t n = 0;
    l->sources = xcalloc(2 + 2 * (size_t)s->seats, sizeof(*l->sources));
    l->sources[n++] = (struct source){&s->supervisor_log, false, "log lines", "supervisor", 0, 0};
    l->sources[n++] = (struct source){&s->control_log, false, "log lines", "control", 0, 0};
    for (uint32_t i = 0; i < s->seats; i++) {
        l->sources[n++] = (struct source){&s->worker_log[i], false, "log lines", "worker", i, 0};
        l->sources[n++] =
            (struct source){&s->access_log[i], true, "access log lines", "worker", i, 0};
    }
    l->n_sources = n;
}

int logger_run(const struct logger_setup *setup)
{
    struct logger l = {.setup = setup,
                       .error = output_of(STDERR_FILENO),
                       .access = {.fd = -1},
                       .channel_fd = setup->channel_fd};
    change_access(&l, setup->access_fd);
    add_sources(&l);
    while (turn(&l))
        continue;
    free(l.sources);
    return 0;
}
