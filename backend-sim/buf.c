/* SPDX-License-Identifier: MIT */
/*
 * The one byte queue of the simulator: socket input, socket output, kept request bodies and text
 * under construction.
 *
 * Taking from the front only moves an offset; the content slides back to the start when more room
 * is asked for. A simulator in a test has no use for running on without memory, so growing aborts
 * where a balancer would refuse the one session.
 */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *buf_reserve(struct buf *b, size_t more)
{
    if (b->room - b->start - b->len >= more && b->data)
        return b->data + b->start + b->len;
    if (b->start) {
        memmove(b->data, b->data + b->start, b->len);
        b->start = 0;
    }
    if (b->room - b->len < more || !b->data) {
        size_t room = b->room ? b->room : 256;
        while (room - b->len < more)
            room *= 2;
        char *data = realloc(b->data, room);
        if (!data)
            abort();
        b->data = data;
        b->room = room;
    }
    return b->data + b->len;
}

void buf_added(struct buf *b, size_t len)
{
    b->len += len;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(buf_reserve(b, len), data, len);
    buf_added(b, len);
}

void buf_add_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.ptr, s.len);
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (need <= 0)
        return;
    char *to = buf_reserve(b, (size_t)need + 1);
    va_start(args, format);
    vsnprintf(to, (size_t)need + 1, format, args);
    va_end(args);
    buf_added(b, (size_t)need);
}

void buf_take(struct buf *b, size_t len)
{
    b->start += len;
    b->len -= len;
    if (b->len == 0)
        b->start = 0;
}

void buf_clear(struct buf *b)
{
    b->start = 0;
    b->len = 0;
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

const char *buf_head(const struct buf *b)
{
    return b->data ? b->data + b->start : "";
}

struct slice buf_slice(const struct buf *b)
{
    return (struct slice){buf_head(b), b->len};
}
