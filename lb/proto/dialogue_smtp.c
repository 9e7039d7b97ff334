// SPDX-License-Identifier: MIT
// The health check of mail servers (RFC 5321). Runs in control, called by checks.c. No mail is
// begun; QUIT at the end, so that the server logs no lost connection.
//
//   GREETING --220--> HELLO (EHLO sent) --250--> passed, QUIT
//
// Invariant: an answer may have several lines ("250-..." and at last "250 ..."); each is looked at
// as it comes and none is kept.
#include "proto/dialogue.h"

#define ANSWER_LINE_MAX 2048 // RFC 5321 allows 512

enum phase { GREETING, HELLO };

static enum dialogue_step leave(enum dialogue_step verdict, struct buf *out)
{
    bool said = buf_append(out, "QUIT\r\n", 6);
    (void)said; // a farewell: the verdict stands without it
    return verdict;
}

static enum dialogue_step greet(struct dialogue_smtp *d, struct buf *out, char *reason)
{
    d->phase = HELLO;
    if (buf_append(out, "EHLO ", 5) && buf_append(out, d->helo.p, d->helo.len) &&
        buf_append(out, "\r\n", 2))
        return DIALOGUE_MORE;
    return dialogue_fail(reason, "out of memory");
}

static bool is_reply(struct str line)
{
    return line.len >= 3 && is_digit(line.p[0]) && is_digit(line.p[1]) && is_digit(line.p[2]) &&
           (line.len == 3 || line.p[3] == ' ' || line.p[3] == '-');
}

// One line without its end.
static enum dialogue_step on_line(struct dialogue_smtp *d, struct str line, struct buf *out,
                                  char *reason)
{
    struct str wanted = d->phase == GREETING ? STR("220") : STR("250");
    if (!is_reply(line))
        return dialogue_fail(reason, "not an SMTP server, or a malformed answer");
    if (!str_starts(line, wanted))
        return leave(dialogue_fail(reason, "%.*s", STR_FMT(line)), out);
    if (line.len > 3 && line.p[3] == '-')
        return DIALOGUE_MORE;
    return d->phase == GREETING ? greet(d, out, reason) : leave(DIALOGUE_PASSED, out);
}

static enum dialogue_step step(struct dialogue *base, struct str in, bool eof, size_t *used,
                               struct buf *out, char reason[DIALOGUE_REASON])
{
    struct dialogue_smtp *d = container_of(base, struct dialogue_smtp, base);
    enum dialogue_step result = DIALOGUE_MORE;
    for (*used = 0; result == DIALOGUE_MORE;) {
        struct str rest = {in.p + *used, in.len - *used};
        size_t n = str_find(rest, '\n');
        if (n > ANSWER_LINE_MAX)
            return dialogue_fail(reason, "not an SMTP server, or a malformed answer");
        if (n == rest.len)
            return eof ? dialogue_fail(reason, "closed before %s",
                                       d->phase == GREETING ? "its greeting" : "its answer to EHLO")
                       : DIALOGUE_MORE;
        *used += n + 1;
        struct str line = {rest.p, n > 0 && rest.p[n - 1] == '\r' ? n - 1 : n};
        result = on_line(d, line, out, reason);
    }
    return result;
}

void dialogue_smtp_init(struct dialogue_smtp *d)
{
    d->base.step = step;
    d->phase = GREETING;
}
