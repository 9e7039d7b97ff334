// SPDX-License-Identifier: MIT
// See hello.h. Runs in workers; called by handshake.c, which reads the hello, and by tcp_proxy.c,
// which sends it on.
#include "proxy/hello.h"

#include "base/pool.h"

static struct pool notes = POOL("hello notes", struct hello_note, 32);

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
