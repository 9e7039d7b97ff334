// SPDX-License-Identifier: MIT
// splice(2) for large transfers. Runs in workers. Pipes are kept for the next transfer, a few per
// process; without one (no descriptors left) the transfer goes on through its buffer.
// Invariant: a pipe that is put back is empty.
#include "io/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SPLICE_MIN 65536u // fewer bytes to come than this are not worth a pipe
#define PIPE_BYTES (256 * 1024)
#define PIPES_MAX 64u // in use at a time; others go on through their buffers
#define PIPES_KEPT 16

static int kept[PIPES_KEPT][2];
static int n_kept;
static unsigned n_used;

static bool take_pipe(struct flow *f)
{
    if (n_used >= PIPES_MAX)
        return false;
    if (n_kept > 0) {
        n_kept--;
        memcpy(f->pipe, kept[n_kept], sizeof(f->pipe));
        n_used++;
        return true;
    }
    if (pipe2(f->pipe, O_NONBLOCK | O_CLOEXEC) < 0) {
        f->pipe[0] = f->pipe[1] = -1;
        return false;
    }
    n_used++;
    (void)fcntl(f->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
    if (fcntl(f->pipe[1], F_GETPIPE_SZ) >= (int)SPLICE_MIN)
        return true;
    splice_end(f); // a user's share of pipe memory is used up: 8 KiB at a time would be no gain
    return false;
}

void splice_end(struct flow *f)
{
    if (f->pipe[0] < 0)
        return;
    n_used--;
    if (f->piped == 0 && n_kept < PIPES_KEPT && fcntl(f->pipe[1], F_GETPIPE_SZ) >= PIPE_BYTES) {
        memcpy(kept[n_kept++], f->pipe, sizeof(f->pipe));
    } else {
        (void)close(f->pipe[0]);
        (void)close(f->pipe[1]);
    }
    f->pipe[0] = f->pipe[1] = -1;
    f->piped = 0;
}

static uint64_t unseen(const struct flow *f)
{
    if (f->done)
        return 0;
    return f->scanner != NULL ? f->scanner->opaque(f->scan_ctx) : UINT64_MAX;
}

bool splice_wanted(const struct flow *f, const struct conn *src, const struct conn *dst)
{
    if (f->piped > 0)
        return true;
    return f->passed >= f->splice_at && !f->src_eof && buf_len(&f->buf) == 0 &&
           buf_len(&f->first) == 0 && src->transport == &transport_plain &&
           dst->transport == &transport_plain && unseen(f) >= SPLICE_MIN;
}

// Socket -> pipe. IO_EOF and IO_ERR as for recv.
static enum io fill_pipe(struct flow *f, struct conn *src)
{
    size_t most = (size_t)MIN_OF(unseen(f), (uint64_t)PIPE_BYTES);
    ssize_t n =
        splice(src->watcher.fd, NULL, f->pipe[1], NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0) {
        f->piped += (uint32_t)n;
        if (f->scanner != NULL)
            f->scanner->skip(f->scan_ctx, (uint64_t)n);
        return IO_OK;
    }
    if (n == 0)
        return IO_EOF;
    if (errno == EAGAIN || errno == EINTR) {
        src->ready &= (uint8_t)~CONN_READ;
        return IO_AGAIN;
    }
    src->error = errno;
    return IO_ERR;
}

// Pipe -> socket. IO_OK: the pipe is empty.
static enum io empty_pipe(struct flow *f, struct conn *dst)
{
    while (f->piped > 0) {
        if (!(dst->ready & CONN_WRITE))
            return IO_AGAIN;
        ssize_t n = splice(f->pipe[0], NULL, dst->watcher.fd, NULL, f->piped,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            dst->ready &= (uint8_t)~CONN_WRITE;
            return IO_AGAIN;
        }
        if (n <= 0) {
            dst->error = n < 0 ? errno : EPIPE;
            return IO_ERR;
        }
        f->piped -= (uint32_t)n;
        f->passed += (uint64_t)n;
    }
    return IO_OK;
}

// A message of known length may end with a spliced byte: then no scan is left to find its end.
static void note_end(struct flow *f)
{
    size_t in, out;
    if (f->scanner != NULL)
        (void)f->scanner->scan(f->scan_ctx, NULL, 0, &in, &out, &f->done);
}

enum flow_result splice_pump(struct flow *f, struct conn *src, struct conn *dst)
{
    if (f->pipe[0] < 0 && !take_pipe(f)) {
        f->splice_at = f->passed + SPLICE_AFTER; // none to be had: ask again later
        return FLOW_YIELD;
    }
    enum io in = IO_AGAIN;
    if (f->piped == 0 && (src->ready & CONN_READ) && unseen(f) > 0)
        in = fill_pipe(f, src);
    if (in == IO_EOF || in == IO_ERR) {
        f->src_eof = true;
        f->src_broken = in == IO_ERR;
        splice_end(f);
        return in == IO_EOF ? FLOW_EOF : FLOW_SRC_ERR;
    }
    enum io out = empty_pipe(f, dst);
    if (out != IO_OK)
        return out == IO_AGAIN ? FLOW_WAIT_DST : FLOW_DST_ERR;
    if (unseen(f) < SPLICE_MIN) {
        splice_end(f); // the rest, and whatever follows it, goes through the buffer
        note_end(f);
    }
    bool starved = in == IO_AGAIN && !f->done && !(src->ready & CONN_READ);
    return starved ? FLOW_WAIT_SRC : FLOW_YIELD;
}
