// SPDX-License-Identifier: MIT
// See hello.h. Runs in workers; called by tcp_proxy.c for listeners in plain text whose routes look
// at names, and for connections that passthrough.c hands over.
//
// Invariant: not a byte of what the client sent is changed or taken away: it goes to the server
// from the same buffer.
#include "proxy/hello.h"

#include "base/pool.h"

static struct pool notes = POOL("hello notes", struct hello_note, 32);

enum hello_read hello_read(struct flow *in, struct conn *client, char *scratch,
                           struct client_hello *out)
{
    for (;;) {
        uint32_t n = buf_len(&in->buf);
        struct str seen = {n > 0 ? buf_head(&in->buf) : NULL, n};
        *out = (struct client_hello){0};
        switch (client_hello_parse(seen, scratch, out)) {
        case HELLO_DONE:
        case HELLO_NOT_TLS:
            return HELLO_READ_DONE;
        case HELLO_BAD:
            return HELLO_READ_BAD;
        case HELLO_MORE:
            break;
        }
        if (in->src_eof)
            return HELLO_READ_EOF;
        if (!(client->ready & CONN_READ))
            return HELLO_READ_WAIT;
        if (flow_fill(in, client, CLIENT_HELLO_MAX) == IO_ERR && !in->src_eof)
            return HELLO_READ_NO_MEMORY;
    }
}

void hello_answer(struct conn *client, enum hello_alert alert)
{
    // a record of its own, of TLS 1.2 as all before the keys; fatal
    const char record[] = {21, 3, 3, 0, 2, 2, (char)alert};
    const struct iovec iov = {(void *)(uintptr_t)record, sizeof(record)};
    size_t sent;
    if (conn_sendv(client, &iov, 1, &sent) != IO_OK)
        client->ready &= (uint8_t)~CONN_WRITE;
}

struct hello_note *hello_note_new(const struct client_hello *h)
{
    struct hello_note *note = pool_get_zeroed(&notes);
    if (note == NULL)
        return NULL;
    char *at = note->text, *end = note->text + sizeof(note->text);
    if (h->sni.len > 0)
        memcpy(at, h->sni.p, h->sni.len);
    note->sni = (struct str){at, h->sni.len};
    at += h->sni.len;
    note->alpn = (struct str){at, 0};
    for (uint32_t i = 0; i < h->n_alpn; i++) {
        struct str name = h->alpn[i];
        if ((size_t)(end - at) < name.len + 1)
            break;
        if (i > 0)
            *at++ = ',';
        memcpy(at, name.p, name.len);
        at += name.len;
        note->alpn.len = (size_t)(at - note->alpn.p);
    }
    return note;
}

void hello_note_free(struct hello_note *n)
{
    pool_put(&notes, n);
}
