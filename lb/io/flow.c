// SPDX-License-Identifier: MIT
// flow_pump(): see flow.h for the picture. Runs in workers. Bounded by construction: one buffer of
// 16 KiB, in bulk 32 (or one pipe) per direction; the source is not read while the buffer is full,
// and nothing is read or written without `ready` saying that it is worth a system call.
//
// Bulk is spliced: once SPLICE_AFTER bytes have passed and at least SPLICE_MIN more may pass
// unseen, bytes go socket -> pipe -> socket inside the kernel.
#include "io/flow.h"

#include <errno.h>

#include "io/splice.h"

// Per call, or a little more, so that one transfer cannot hold a turn.
#define FLOW_BYTES (256u * 1024)
#define FLOW_ROUNDS 8 // recv + send

void flow_init(struct flow *f)
{
    memset(f, 0, sizeof(*f));
    f->pipe[0] = f->pipe[1] = -1;
    f->splice_at = SPLICE_AFTER;
}

void flow_release(struct flow *f)
{
    buf_release(&f->first);
    buf_release(&f->buf);
    splice_end(f);
}

size_t flow_unsent(const struct flow *f)
{
    return (size_t)buf_len(&f->first) + (f->ready - f->sent);
}

void flow_taken(struct flow *f, size_t n)
{
    f->passed += n;
    uint32_t first = buf_len(&f->first);
    if (first > 0) {
        uint32_t part = (uint32_t)MIN_OF(n, (size_t)first);
        buf_consume(&f->first, part);
        n -= part;
        if (buf_len(&f->first) == 0)
            buf_release(&f->first);
    }
    f->sent += (uint32_t)n;
    lb_assert(f->sent <= f->ready);
    if (f->keep || f->sent == 0)
        return;
    buf_consume(&f->buf, f->sent);
    f->ready -= f->sent;
    f->sent = 0;
}

// Puts the rewritten bytes together again after a scan that deleted some.
static void close_gap(struct buf *b, uint32_t at, uint32_t in, uint32_t out)
{
    if (in == out)
        return;
    char *start = buf_head(b) + at;
    memmove(start + out, start + in, buf_len(b) - at - in);
    b->tail -= in - out;
}

bool flow_scan_buffer(struct flow *f)
{
    uint32_t n = buf_len(&f->buf) - f->ready;
    if (f->bad)
        return false;
    if (f->done || n == 0)
        return true;
    if (f->scanner == NULL) {
        f->ready += n;
        return true;
    }
    size_t in, out;
    f->bad = !f->scanner->scan(f->scan_ctx, buf_head(&f->buf) + f->ready, n, &in, &out, &f->done);
    if (f->bad)
        return false;
    close_gap(&f->buf, f->ready, (uint32_t)in, (uint32_t)out);
    f->ready += (uint32_t)out;
    return true;
}

enum io flow_fill(struct flow *f, struct conn *src, uint32_t most)
{
    struct buf *b = &f->buf;
    if (b->base != NULL && buf_room(b) == 0)
        buf_compact(b);
    bool full = b->base != NULL && buf_room(b) == 0;
    if (full && b->cap >= most)
        return IO_OK;
    if (full      ? !buf_grow(b, MIN_OF(b->cap * 2, most))
        : f->bulk ? !buf_attach_bulk(b)
                  : !buf_attach(b)) {
        src->error = ENOMEM;
        return IO_ERR;
    }
    size_t got = 0, room = buf_room(b);
    enum io r = conn_recv(src, buf_tail(b), room, &got);
    b->tail += (uint32_t)got;
    if (room >= BUF_BYTES)
        f->bulk = got >= BUF_BYTES;
    if (r != IO_OK && r != IO_AGAIN) {
        f->src_eof = true;
        f->src_broken = r == IO_ERR;
    }
    if (buf_len(b) == 0)
        buf_release(b);
    return r;
}

enum io flow_flush(struct flow *f, struct conn *dst)
{
    while (flow_unsent(f) > 0) {
        if (!(dst->ready & CONN_WRITE))
            return IO_AGAIN;
        struct iovec iov[2];
        int n = 0;
        if (buf_len(&f->first) > 0)
            iov[n++] = (struct iovec){buf_head(&f->first), buf_len(&f->first)};
        if (f->ready > f->sent)
            iov[n++] = (struct iovec){buf_head(&f->buf) + f->sent, f->ready - f->sent};
        size_t sent;
        enum io r = conn_sendv(dst, iov, n, &sent);
        if (r != IO_OK)
            return r;
        flow_taken(f, sent);
    }
    return IO_OK;
}

// Makes room: a kept buffer that is full and wholly sent cannot be replayed any more.
static void give_up_keeping(struct flow *f)
{
    bool full = f->buf.base != NULL && buf_len(&f->buf) == f->buf.cap;
    if (f->keep && full && f->sent == f->ready) {
        f->keep = false;
        buf_consume(&f->buf, f->sent);
        f->ready -= f->sent;
        f->sent = 0;
    }
}

// After everything ready was sent and the message is not complete.
static enum flow_result source_state(const struct flow *f)
{
    if (f->src_broken)
        return FLOW_SRC_ERR;
    return f->src_eof ? FLOW_EOF : FLOW_WAIT_SRC;
}

// Passes on what is in the buffer. FLOW_YIELD: there is room for more, and the source has some.
static enum flow_result empty_buffer(struct flow *f, const struct conn *src, struct conn *dst)
{
    if (!flow_scan_buffer(f))
        return FLOW_BAD;
    enum io out = flow_flush(f, dst);
    if (out != IO_OK)
        return out == IO_AGAIN ? FLOW_WAIT_DST : FLOW_DST_ERR;
    if (f->done)
        return FLOW_DONE;
    if (buf_len(&f->buf) == 0)
        buf_release(&f->buf);
    give_up_keeping(f);
    return f->src_eof || !(src->ready & CONN_READ) ? source_state(f) : FLOW_YIELD;
}

enum flow_result flow_pump(struct flow *f, struct conn *src, struct conn *dst)
{
    uint64_t enough = f->passed + FLOW_BYTES;
    for (int round = 1;; round++) {
        bool spliced = splice_wanted(f, src, dst);
        enum flow_result r = spliced ? splice_pump(f, src, dst) : empty_buffer(f, src, dst);
        if (r != FLOW_YIELD)
            return r;
        bool had_turn = f->passed >= enough || round >= FLOW_ROUNDS;
        if (had_turn && !f->done && (src->ready & CONN_READ))
            return FLOW_YIELD;
        if (!spliced && flow_fill(f, src, 0) == IO_ERR && !f->src_eof)
            return FLOW_NO_MEMORY;
    }
}
