/* SPDX-License-Identifier: MIT */
#ifndef SIM_BUF_H
#define SIM_BUF_H

#include "text.h"

/* A growing byte queue: append at the end, take from the front. All zero is an empty one. */
struct buf {
    char *data;   /* owned; NULL while nothing was ever stored */
    size_t start; /* offset of the first byte not yet taken */
    size_t len;   /* bytes held */
    size_t room;  /* allocated */
};

/* At least `more` writable bytes behind the content; ends the process when memory is out. */
char *buf_reserve(struct buf *b, size_t more);
void buf_added(struct buf *b, size_t len); /* after writing into buf_reserve() */
void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_text(struct buf *b, const char *text);
void buf_add_slice(struct buf *b, struct slice s);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_take(struct buf *b, size_t len);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_free(struct buf *b);
const char *buf_head(const struct buf *b);
struct slice buf_slice(const struct buf *b);

#endif
