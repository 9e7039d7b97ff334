// SPDX-License-Identifier: MIT
// Health checks on the wire. Runs in control, called by checks.c.
//
//   connect --> PROXY header, TLS handshake, dialogue --> over()
//
// What a running check needs (socket, dialogue) is a block from a pool, with buffers attached only
// while they hold bytes.
// Invariant: a probe ends in exactly one of finish() (its owner is told) and probe_drop() (nobody
// is), and is gone before its owner is told.
#include "control/probe.h"

#include <errno.h>

#include "base/pool.h"
#include "io/conn.h"
#include "io/sock.h"
#include "proto/proxy_hdr.h"

struct probe {
    struct loop *loop;
    struct probe_order order;
    struct conn conn;
    bool connected, secured, answered;
    bool late; // waits for nothing any more
    struct buf in, out;
    union check_dialogue dialogue;
    char host[CHECK_HOST];
};

static struct pool probes = POOL("probes", struct probe, 8);

// ---- its end ----------------------------------------------------------------------------------

void probe_drop(struct probe *p)
{
    conn_close(&p->conn, p->loop, false);
    buf_release(&p->in);
    buf_release(&p->out);
    pool_put(&probes, p);
}

static void finish(struct probe *p, enum probe_result result, int error, const char *reason)
{
    probe_over *over = p->order.over;
    void *owner = p->order.owner;
    probe_drop(p);
    over(owner, result, error, reason);
}

static void broke(struct probe *p, int error)
{
    finish(p, PROBE_BROKE, error, "");
}

static void silent(struct probe *p)
{
    char reason[DIALOGUE_REASON];
    const char *missing = "no connection";
    uint32_t ms = p->order.terms->health->timeout_ms;
    if (p->connected && conn_is_tls(&p->conn) && !p->secured)
        missing = "no end of the TLS handshake";
    else if (p->connected)
        missing = p->answered ? "no complete answer" : "no answer";
    if (ms % 1000 == 0)
        snprintf(reason, sizeof(reason), "%s within %u s", missing, ms / 1000);
    else
        snprintf(reason, sizeof(reason), "%s within %u ms", missing, ms);
    finish(p, PROBE_FAILED, 0, reason);
}

static void wait_for(struct probe *p, int events)
{
    if (p->late)
        silent(p);
    else
        conn_want(&p->conn, p->loop, events);
}

// ---- the dialogue -----------------------------------------------------------------------------

static enum dialogue_step step(struct probe *p, bool eof, char reason[DIALOGUE_REASON])
{
    struct dialogue *d = &p->dialogue.base;
    uint32_t n = buf_len(&p->in);
    struct str in = n > 0 ? (struct str){buf_head(&p->in), n} : STR("");
    size_t used = 0;
    enum dialogue_step result = d->step(d, in, eof, &used, &p->out, reason);
    lb_assert(used <= n);
    if (used < n)
        buf_consume(&p->in, (uint32_t)used);
    else
        buf_release(&p->in);
    if (result == DIALOGUE_MORE && eof) {
        snprintf(reason, DIALOGUE_REASON, "closed before its answer was complete");
        return DIALOGUE_FAILED;
    }
    return result;
}

// Sends what can be sent now. False: broken.
static bool flush(struct probe *p)
{
    while (buf_len(&p->out) > 0) {
        const struct iovec all = {buf_head(&p->out), buf_len(&p->out)};
        size_t sent = 0;
        enum io result = conn_sendv(&p->conn, &all, 1, &sent);
        if (result == IO_AGAIN)
            return true;
        if (result != IO_OK)
            return false;
        buf_consume(&p->out, (uint32_t)sent);
    }
    buf_release(&p->out);
    return true;
}

// Room for what comes next; 0 or an errno.
static int make_room(struct buf *in)
{
    if (!buf_attach(in))
        return ENOMEM;
    if (in->tail == in->cap)
        buf_compact(in);
    if (buf_room(in) == 0 && !buf_grow(in, DIALOGUE_IN_MAX))
        return ENOMEM;
    return buf_room(in) > 0 ? 0 : EMSGSIZE; // the dialogue should have found that out
}

static enum io receive(struct probe *p)
{
    size_t got = 0;
    if (!(p->conn.ready & CONN_READ))
        return IO_AGAIN;
    p->conn.error = make_room(&p->in);
    if (p->conn.error != 0)
        return IO_ERR;
    enum io result = conn_recv(&p->conn, buf_tail(&p->in), buf_room(&p->in), &got);
    p->in.tail += (uint32_t)got;
    p->answered |= got > 0;
    return result;
}

// Goes on until a verdict or until it must wait.
static void talk(struct probe *p, enum dialogue_step result, char reason[DIALOGUE_REASON])
{
    while (result == DIALOGUE_MORE) {
        enum io io = flush(p) ? receive(p) : IO_ERR;
        if (io == IO_ERR) {
            broke(p, p->conn.error);
            return;
        }
        if (io == IO_AGAIN) {
            wait_for(p, buf_len(&p->out) > 0 ? CONN_READ | CONN_WRITE : CONN_READ);
            return;
        }
        result = step(p, io == IO_EOF, reason);
    }
    (void)flush(p); // a farewell
    finish(p, result == DIALOGUE_PASSED ? PROBE_PASSED : PROBE_FAILED, 0, reason);
}

// ---- the connection ---------------------------------------------------------------------------

static void begin_talk(struct probe *p)
{
    char reason[DIALOGUE_REASON] = "";
    p->secured = true;
    talk(p, step(p, false, reason), reason);
}

static void shake_hands(struct probe *p)
{
    char reason[DIALOGUE_REASON];
    switch (tls_handshake(&p->conn)) {
    case IO_OK:
        begin_talk(p);
        return;
    case IO_AGAIN:
        wait_for(p, CONN_READ);
        return;
    case IO_EOF:
    case IO_ERR:
        break;
    }
    (void)str_copy(str_of(tls_failure(&p->conn)), reason, sizeof(reason));
    finish(p, PROBE_FAILED, 0, reason);
}

// What stands before the handshake goes out in plain text; a fresh socket takes it at once.
static void begin_tls(struct probe *p)
{
    if (!flush(p) || buf_len(&p->out) > 0)
        broke(p, p->conn.error != 0 ? p->conn.error : ENOBUFS);
    else if (!tls_attach_client(&p->conn, p->loop, p->order.tls) || !buf_attach(&p->out))
        broke(p, ENOMEM);
    else
        shake_hands(p);
}

static void on_connected(struct probe *p)
{
    char header[PROXY_OUT_MAX];
    p->connected = true;
    if (sock_met_itself(p->conn.watcher.fd, &p->order.to)) {
        broke(p, ECONNREFUSED);
        return;
    }
    if (!buf_attach(&p->out)) {
        broke(p, ENOMEM);
        return;
    }
    if (p->order.sends_proxy) {
        int version = p->order.server->backend->send_proxy == PROXY_V1 ? 1 : 2;
        size_t n = proxy_hdr_format(version, NULL, NULL, NULL, header);
        memcpy(buf_tail(&p->out), header, n);
        p->out.tail += (uint32_t)n;
    }
    if (p->order.tls != NULL)
        begin_tls(p);
    else
        begin_talk(p);
}

static void on_ready(struct conn *conn)
{
    struct probe *p = container_of(conn, struct probe, conn);
    char reason[DIALOGUE_REASON] = "";
    if (p->connected && !p->secured) {
        shake_hands(p);
        return;
    }
    if (p->connected) {
        talk(p, DIALOGUE_MORE, reason);
        return;
    }
    int error = conn_connect_state(conn);
    if (error == 0)
        on_connected(p);
    else if (error == EINPROGRESS)
        wait_for(p, CONN_READ | CONN_WRITE);
    else
        broke(p, error);
}

struct probe *probe_begin(struct loop *loop, const struct probe_order *order, int *error)
{
    struct probe *p = pool_get_zeroed(&probes);
    bool first = order->terms->speaks_first || order->sends_proxy || order->tls != NULL;
    int fd = p != NULL ? sock_connect(&order->to, first) : -ENOMEM;
    if (fd < 0) {
        if (p != NULL)
            pool_put(&probes, p);
        *error = -fd;
        return NULL;
    }
    p->loop = loop;
    p->order = *order;
    check_dialogue_init(&p->dialogue, order->terms, order->server, p->host);
    conn_init(&p->conn, &transport_plain, fd, on_ready);
    p->conn.ready = 0;
    conn_want(&p->conn, loop, CONN_READ | CONN_WRITE); // both at once: it failed
    return p;
}

void probe_late(struct probe *p)
{
    p->late = true;
    p->conn.ready = CONN_READ | CONN_WRITE;
    on_ready(&p->conn);
}
