/* SPDX-License-Identifier: MIT */
#ifndef SIM_BAD_H
#define SIM_BAD_H

#include "buf.h"

#include <stdio.h>

/* A malformed or treacherous response, named in `bad=NAME`. */
struct bad_response {
    const char *name;
    const char *bytes; /* up to len; holds NUL bytes */
    size_t len;
    void (*make)(struct buf *out); /* instead of bytes, for the large ones */
    bool close;                    /* FIN behind it; otherwise the connection stays */
    const char *help;
};

const struct bad_response *bad_find(struct slice name); /* NULL: no such one */
void bad_write(const struct bad_response *bad, struct buf *out);
void bad_print_list(FILE *out); /* NAME TAB sentence, one per line */

#endif
