// SPDX-License-Identifier: MIT
// A dialogue and what a server answers, for the tests of proto/dialogue_*.c: the bytes come at once
// or cut in pieces, and the owner's part is played as control/checks.c plays it.
#ifndef EVLB_TEST_DIALOGUE_TALK_H
#define EVLB_TEST_DIALOGUE_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/dialogue.h"

struct talk {
    struct dialogue *d;
    struct buf out; // what the dialogue has sent and the test has not taken
    char in[DIALOGUE_IN_MAX];
    size_t n_in;
    enum dialogue_step result;
    char reason[DIALOGUE_REASON];
};

static inline void talk_step(struct talk *t, bool eof)
{
    size_t used = 0;
    t->result = t->d->step(t->d, (struct str){t->in, t->n_in}, eof, &used, &t->out, t->reason);
    assert_true(used <= t->n_in);
    memmove(t->in, t->in + used, t->n_in - used);
    t->n_in -= used;
}

static inline void talk_begin(struct talk *t, struct dialogue *d)
{
    memset(t, 0, sizeof(*t));
    t->d = d;
    talk_step(t, false);
}

// The server sends these bytes, in pieces of `step`; those behind a verdict do not count.
static inline void talk_hear(struct talk *t, struct str bytes, size_t step)
{
    for (size_t at = 0; at < bytes.len && t->result == DIALOGUE_MORE; at += step) {
        size_t n = MIN_OF(step, bytes.len - at);
        assert_true(t->n_in + n <= sizeof(t->in));
        memcpy(t->in + t->n_in, bytes.p + at, n);
        t->n_in += n;
        talk_step(t, false);
    }
}

static inline void talk_close(struct talk *t)
{
    if (t->result == DIALOGUE_MORE)
        talk_step(t, true);
}

// Everything that was sent since the last time, as a string.
static inline const char *talk_sent(struct talk *t)
{
    if (!buf_append(&t->out, "", 1))
        return NULL;
    t->out.tail--;
    char *text = buf_head(&t->out);
    t->out.head = t->out.tail;
    return text;
}

static inline void talk_end(struct talk *t)
{
    buf_release(&t->out);
}

#endif
