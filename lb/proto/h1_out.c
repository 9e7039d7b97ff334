// SPDX-License-Identifier: MIT
// Puts an HTTP/1 head together for one writev(2). Runs in workers, filled by the forwarding code
// for each request and response. Invariants: entries are not empty, `total` is their sum, nothing
// is written outside iov[] and scratch[]; what does not fit sets `overflow` and is left out.
#include "proto/h1_out.h"

void h1_out_reset(struct h1_out *o)
{
    o->n = 0;
    o->used = 0;
    o->overflow = false;
    o->total = 0;
}

void h1_out_slice(struct h1_out *o, struct str bytes)
{
    if (bytes.len == 0)
        return;
    if (o->n > 0) {
        struct iovec *last = &o->iov[o->n - 1];
        if ((const char *)last->iov_base + last->iov_len == bytes.p) {
            last->iov_len += bytes.len;
            o->total += bytes.len;
            return;
        }
    }
    if (UNLIKELY(o->n == H1_OUT_VECTORS)) {
        o->overflow = true;
        return;
    }
    // iovec has no const form; writev() only reads
    o->iov[o->n++] = (struct iovec){(void *)(uintptr_t)bytes.p, bytes.len};
    o->total += bytes.len;
}

void h1_out_copy(struct h1_out *o, struct str bytes)
{
    if (bytes.len == 0)
        return;
    if (UNLIKELY(bytes.len > sizeof(o->scratch) - o->used)) {
        o->overflow = true;
        return;
    }
    char *at = o->scratch + o->used;
    memcpy(at, bytes.p, bytes.len);
    o->used += (uint32_t)bytes.len;
    h1_out_slice(o, (struct str){at, bytes.len});
}

void h1_out_number(struct h1_out *o, uint64_t value)
{
    char text[20];
    h1_out_copy(o, (struct str){text, u64_to_text(value, text)});
}

void h1_out_field(struct h1_out *o, struct str name, struct str value)
{
    h1_out_copy(o, name);
    h1_out_copy(o, STR(": "));
    h1_out_copy(o, value);
    h1_out_copy(o, STR("\r\n"));
}

void h1_out_line(struct h1_out *o, const struct http_field *f)
{
    if (f->rewrite)
        h1_out_field(o, f->name, f->value);
    else
        h1_out_slice(o, f->line);
}
