// SPDX-License-Identifier: MIT
// Bodies on their way through flow_pump(), and the write that sends a head together with the body
// bytes behind it. Runs in workers, called by http_proxy.c.
#include "proxy/http_body.h"

static bool scan_body(void *ctx, char *bytes, size_t n, size_t *in, size_t *out, bool *done)
{
    struct h1_body *b = ctx;
    enum http_error error;
    if (h1_body_scan(b, bytes, n, in, out, &error) == H1_BODY_BAD)
        return false;
    *done = b->done;
    return true;
}

static uint64_t body_opaque(void *ctx)
{
    uint64_t most;
    return h1_body_opaque(ctx, &most) ? most : 0;
}

static void body_skip(void *ctx, uint64_t n)
{
    h1_body_skip(ctx, n);
}

const struct flow_scanner http_body_scanner = {scan_body, body_opaque, body_skip};

enum io http_send_head(struct worker *w, struct flow *f, struct conn *dst)
{
    struct h1_out *o = &w->out;
    uint32_t body = f->ready - f->sent;
    uint32_t n = o->n;
    size_t sent = 0;
    if (buf_len(&f->first) == 0 && (dst->ready & CONN_WRITE)) {
        if (body > 0 && n < H1_OUT_VECTORS)
            o->iov[n++] = (struct iovec){buf_head(&f->buf) + f->sent, body};
        enum io r = conn_sendv(dst, o->iov, (int)n, &sent);
        if (r != IO_OK && r != IO_AGAIN)
            return r;
    }
    if (sent >= o->total) {
        f->passed += o->total;
        flow_taken(f, sent - o->total);
        return flow_unsent(f) > 0 ? IO_AGAIN : IO_OK;
    }
    f->passed += sent;
    for (uint32_t i = 0; i < o->n; i++) {
        size_t gone = MIN_OF(sent, o->iov[i].iov_len);
        if (!buf_append(&f->first, (char *)o->iov[i].iov_base + gone, o->iov[i].iov_len - gone))
            return IO_ERR;
        sent -= gone;
    }
    return IO_AGAIN;
}

enum upload http_pump_up(struct exchange *x)
{
    if (x->up.done && flow_unsent(&x->up) == 0)
        return UPLOAD_OVER;
    switch (flow_pump(&x->up, &x->s->client, &x->server->conn)) {
    case FLOW_DONE:
        return UPLOAD_OVER;
    case FLOW_WAIT_SRC:
        return UPLOAD_WAITS_CLIENT;
    case FLOW_WAIT_DST:
        return UPLOAD_WAITS_SERVER;
    case FLOW_YIELD:
        return UPLOAD_YIELD;
    case FLOW_DST_ERR:
        return UPLOAD_STUCK;
    case FLOW_BAD:
        return UPLOAD_BAD;
    case FLOW_NO_MEMORY:
        return UPLOAD_NO_MEMORY;
    case FLOW_EOF:
    case FLOW_SRC_ERR:
        break;
    }
    return UPLOAD_CLIENT_LEFT;
}

void http_upload_wants(struct exchange *x, enum upload u, int *client, int *server)
{
    // a client that asked for "100 Continue" waits for the server until that comes
    bool expects = x->expect_continue && x->up.passed <= x->head_sent_bytes;
    x->client_slow = u == UPLOAD_WAITS_CLIENT && !expects;
    if (u == UPLOAD_WAITS_CLIENT || u == UPLOAD_YIELD)
        *client |= CONN_READ;
    if (u == UPLOAD_WAITS_SERVER)
        *server |= CONN_WRITE;
}
