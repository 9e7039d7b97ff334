// SPDX-License-Identifier: MIT
// The health checks that know no protocol: `tcp` (nothing is sent, nothing expected: the connection
// is the answer) and `send-expect`. Runs in control, called by checks.c.
// Invariant: nothing that a server sent gets into a reason; reasons stand in logs and in JSON.
#include "proto/dialogue.h"

// What is expected may be bytes of any kind; a reason is text.
static void put_readable(struct str text, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len && n + 1 < size; i++)
        out[n++] = text.p[i] >= ' ' && text.p[i] <= '~' ? text.p[i] : '.';
    out[n] = '\0';
}

static enum dialogue_step failed(const struct dialogue_text *d, char reason[DIALOGUE_REASON])
{
    char expected[64];
    put_readable(d->expect, expected, sizeof(expected));
    if (d->answered)
        snprintf(reason, DIALOGUE_REASON, "answer does not hold '%s'", expected);
    else
        snprintf(reason, DIALOGUE_REASON, "closed without an answer");
    return DIALOGUE_FAILED;
}

static enum dialogue_step step(struct dialogue *base, struct str in, bool eof, size_t *used,
                               struct buf *out, char reason[DIALOGUE_REASON])
{
    struct dialogue_text *d = container_of(base, struct dialogue_text, base);
    *used = in.len;
    if (!d->sent) {
        d->sent = true;
        if (!buf_append(out, d->send.p, d->send.len)) {
            snprintf(reason, DIALOGUE_REASON, "what is to be sent is too long");
            return DIALOGUE_FAILED;
        }
    }
    d->answered |= in.len > 0;
    if (search_feed(&d->search, in))
        return DIALOGUE_PASSED;
    return eof ? failed(d, reason) : DIALOGUE_MORE;
}

void dialogue_text_init(struct dialogue_text *d)
{
    d->base.step = step;
    d->sent = d->answered = false;
    d->search = (struct search){.want = d->expect};
}
