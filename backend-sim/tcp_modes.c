/* SPDX-License-Identifier: MIT */
/*
 * The modes without HTTP: --mode tcp-echo, tcp-greet, tcp-sink, tcp-source, tcp-name.
 *
 * echo and greet pass a FIN on behind the last byte; greet speaks first, as database servers do.
 * sink reads to the FIN and then answers "bytes=N crc32=HEX\n" on the other half of the
 * connection: only a balancer that passes half-closes on lets the answer through. source sends
 * --size bytes of the pattern and its FIN, and swallows what comes. name says who it is and ends.
 *
 * Called by conn.c after every event; a pump waits while the output queue is full, so a slow peer
 * costs bounded memory.
 */
#include "tcp_modes.h"

#include "answer.h"

#include <inttypes.h>
#include <stdlib.h>

struct tally {
    uint64_t bytes;
    uint32_t crc;
    bool answered;
};

static bool start_tally(struct conn *c)
{
    c->state = calloc(1, sizeof(struct tally));
    return c->state != NULL;
}

static void release_tally(struct conn *c)
{
    free(c->state);
    c->state = NULL;
}

/* Input that is left over has output in front of it, whose end calls the pump again. */
void tcp_echo_pump(struct conn *c)
{
    bool sent = conn_flush(c);
    while (sent && c->in.len) {
        size_t len = c->in.len < CONN_OUT_LIMIT ? c->in.len : CONN_OUT_LIMIT;
        buf_add(&c->out, buf_head(&c->in), len);
        buf_take(&c->in, len);
        sent = conn_flush(c);
    }
    if (sent && c->eof)
        conn_linger(c);
}

static bool start_greet(struct conn *c)
{
    buf_addf(&c->out, "%s ready\n", c->listener->name);
    conn_flush(c);
    return start_tally(c);
}

static void drive_sink(struct conn *c)
{
    struct tally *t = c->state;
    t->bytes += c->in.len;
    t->crc = crc32_add(t->crc, buf_head(&c->in), c->in.len);
    c->listener->count.body_bytes += c->in.len;
    buf_clear(&c->in);
    if (!c->eof)
        return;
    if (!t->answered)
        buf_addf(&c->out, "bytes=%" PRIu64 " crc32=%08x\n", t->bytes, t->crc);
    t->answered = true;
    if (conn_flush(c))
        conn_linger(c);
}

static void drive_source(struct conn *c)
{
    struct tally *t = c->state;
    uint64_t size = c->sim->opt->size_bytes;
    buf_clear(&c->in);
    while (t->bytes < size && !c->broken) {
        if (c->out.len >= CONN_OUT_LIMIT && !conn_flush(c) && c->out.len >= CONN_OUT_LIMIT)
            return;
        struct slice piece = pattern_at(t->bytes);
        if (piece.len > size - t->bytes)
            piece.len = (size_t)(size - t->bytes);
        buf_add_slice(&c->out, piece);
        t->bytes += piece.len;
    }
    if (conn_flush(c))
        conn_linger(c);
}

static void drive_name(struct conn *c)
{
    struct tally *t = c->state;
    if (!t->answered)
        buf_addf(&c->out, "%s\n", c->listener->name);
    t->answered = true;
    buf_clear(&c->in);
    if (conn_flush(c))
        conn_linger(c);
}

const struct conn_ops *tcp_ops(enum mode mode)
{
    static const struct conn_ops table[] = {
        [MODE_TCP_ECHO] = {start_tally, tcp_echo_pump, release_tally},
        [MODE_TCP_GREET] = {start_greet, tcp_echo_pump, release_tally},
        [MODE_TCP_SINK] = {start_tally, drive_sink, release_tally},
        [MODE_TCP_SOURCE] = {start_tally, drive_source, release_tally},
        [MODE_TCP_NAME] = {start_tally, drive_name, release_tally},
    };
    return &table[mode];
}
