// SPDX-License-Identifier: MIT
// Whole conversations for the tests of proto/dialogue_*.c. A dialogue does not know when the server
// says something, so all that a server says is one stream of bytes, heard in pieces of every size.
#ifndef EVLB_TEST_DIALOGUE_SCRIPT_H
#define EVLB_TEST_DIALOGUE_SCRIPT_H

#include "dialogue_talk.h"

#define SCRIPT_PIECES_MAX 80 // larger ones: the whole at once

// What is tested: `init` makes it as new again.
struct script {
    struct dialogue *d;
    void (*init)(void);
};

// The verdict on the stream in pieces of `step`, with the end of the connection behind it.
static inline enum dialogue_step script_verdict(const struct script *s, struct str stream,
                                                size_t step, char reason[DIALOGUE_REASON])
{
    struct talk *t = xmalloc(sizeof(*t));
    s->init();
    talk_begin(t, s->d);
    talk_hear(t, stream, step);
    talk_close(t);
    enum dialogue_step result = t->result;
    memcpy(reason, t->reason, DIALOGUE_REASON);
    talk_end(t);
    free(t);
    return result;
}

static inline size_t script_next(size_t step, struct str stream)
{
    return step < SCRIPT_PIECES_MAX || step >= stream.len ? step + 1 : stream.len;
}

// The verdict comes with the last byte of the stream and not before.
static inline void script_passes(const struct script *s, struct str stream)
{
    char reason[DIALOGUE_REASON];
    for (size_t step = 1; step <= stream.len; step = script_next(step, stream)) {
        if (script_verdict(s, stream, step, reason) != DIALOGUE_PASSED)
            fail_msg("in pieces of %zu: %s", step, reason);
    }
    for (size_t cut = 0; cut < stream.len; cut++) {
        struct str begin = {stream.p, cut};
        assert_int_equal(script_verdict(s, begin, MAX_OF(cut, (size_t)1), reason), DIALOGUE_FAILED);
        if (strncmp(reason, "closed", 6) != 0)
            fail_msg("cut at %zu: %s", cut, reason);
    }
}

static inline void script_fails(const struct script *s, struct str stream, const char *why)
{
    char reason[DIALOGUE_REASON];
    for (size_t step = 1; step <= MAX_OF(stream.len, (size_t)1); step = script_next(step, stream)) {
        assert_int_equal(script_verdict(s, stream, step, reason), DIALOGUE_FAILED);
        assert_string_equal(reason, why);
    }
}

// What it sends last in answer to the whole stream; the stream may end before the verdict.
static inline void script_sends(const struct script *s, struct str stream, const void *bytes,
                                size_t n)
{
    struct talk *t = xmalloc(sizeof(*t));
    s->init();
    talk_begin(t, s->d);
    talk_hear(t, stream, MAX_OF(stream.len, (size_t)1));
    assert_true(buf_len(&t->out) >= n);
    assert_memory_equal(buf_tail(&t->out) - n, bytes, n);
    talk_end(t);
    free(t);
}

#define SCRIPT_SENDS(s, stream, literal) script_sends(s, stream, literal, sizeof(literal) - 1)

#endif
