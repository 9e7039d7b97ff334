// SPDX-License-Identifier: MIT
// The health check of Redis and of what speaks its protocol (RESP 2: Valkey, KeyDB). Runs in
// control, called by checks.c.
//
//   AUTH (with a password) --+OK--> PING --+PONG--> ROLE (when one is wanted) --array--> verdict
//
// PING tells a server that loads its data set (-LOADING) or lost its master (-MASTERDOWN) from one
// that works. Each command waits for the answer to the one before, so that a reason is about that.
#include "proto/dialogue.h"

#define ANSWER_LINE_MAX 1024 // of an answer; errors may be long
#define ROLE_MAX 32          // of a role's or state's name

enum phase { START, AUTH, PING, ROLE };
enum read { READ_OK, READ_MORE, READ_BAD };

// ---- commands ---------------------------------------------------------------------------------

static bool put_line(struct buf *out, char mark, size_t n)
{
    char digits[20];
    return buf_append(out, &mark, 1) && buf_append(out, digits, u64_to_text(n, digits)) &&
           buf_append(out, "\r\n", 2);
}

static enum dialogue_step say(struct buf *out, const struct str *words, size_t n, char *reason)
{
    bool fits = put_line(out, '*', n);
    for (size_t i = 0; i < n; i++)
        fits = fits && put_line(out, '$', words[i].len) &&
               buf_append(out, words[i].p, words[i].len) && buf_append(out, "\r\n", 2);
    return fits ? DIALOGUE_MORE : dialogue_fail(reason, "out of memory");
}

static enum dialogue_step begin(struct dialogue_redis *d, struct buf *out, char *reason)
{
    const struct str login[] = {STR("AUTH"), d->user, d->password};
    const struct str old_login[] = {STR("AUTH"), d->password}; // the user `default`
    if (d->password.len > 0) {
        d->phase = AUTH;
        return d->user.len > 0 ? say(out, login, 3, reason) : say(out, old_login, 2, reason);
    }
    d->phase = PING;
    return say(out, &STR("PING"), 1, reason);
}

static enum dialogue_step malformed(char *reason)
{
    return dialogue_fail(reason, "not a Redis server, or a malformed answer");
}

// ---- answers ----------------------------------------------------------------------------------

// A line without its CRLF, cut off the beginning of `in`.
static enum read cut_line(struct str *in, struct str *line)
{
    size_t n = str_find(*in, '\n');
    if (n == in->len)
        return n > ANSWER_LINE_MAX ? READ_BAD : READ_MORE;
    if (n == 0 || n > ANSWER_LINE_MAX || in->p[n - 1] != '\r')
        return READ_BAD;
    *line = (struct str){in->p, n - 1};
    *in = (struct str){in->p + n + 1, in->len - n - 1};
    return READ_OK;
}

// One element of an array: a short text, or a number of which only its line is of interest.
static enum read cut_element(struct str *in, struct str *text)
{
    uint64_t n;
    enum read r = cut_line(in, text);
    if (r != READ_OK || (text->len > 0 && text->p[0] == ':'))
        return r;
    if (text->len < 2 || text->p[0] != '$' ||
        !str_to_u64((struct str){text->p + 1, text->len - 1}, &n) || n > ANSWER_LINE_MAX)
        return READ_BAD;
    if (in->len < n + 2)
        return READ_MORE;
    *text = (struct str){in->p, (size_t)n};
    *in = (struct str){in->p + n + 2, in->len - (size_t)n - 2};
    return memcmp(in->p - 2, "\r\n", 2) == 0 ? READ_OK : READ_BAD;
}

static enum dialogue_step judge_role(const struct dialogue_redis *d, struct str role,
                                     struct str link, char *reason)
{
    bool writable = d->role == DIALOGUE_WRITABLE;
    if (!str_eq(role, writable ? STR("master") : STR("slave")))
        return dialogue_fail(reason, "role is %.*s, expected %s", (int)MIN_OF(role.len, ROLE_MAX),
                             role.p, writable ? "master" : "slave");
    if (writable || str_eq(link, STR("connected")))
        return DIALOGUE_PASSED;
    return dialogue_fail(reason, "link to the master: %.*s", (int)MIN_OF(link.len, ROLE_MAX),
                         link.p);
}

// ROLE: "master", offset, replicas; or "slave", host, port, state of the link, offset. The rest is
// not waited for.
static enum read read_role(struct str in, struct str *role, struct str *link)
{
    struct str line;
    enum read r = cut_line(&in, &line);
    if (r == READ_OK)
        r = line.len > 1 && line.p[0] == '*' ? cut_element(&in, role) : READ_BAD;
    *link = STR_NONE;
    if (r != READ_OK || !str_eq(*role, STR("slave")))
        return r;
    for (int i = 0; i < 3 && r == READ_OK; i++) // host, port, link
        r = cut_element(&in, link);
    return r;
}

// The line that answers AUTH or PING; ROLE is answered by a line only when it is refused.
static enum dialogue_step on_line(struct dialogue_redis *d, struct str line, struct buf *out,
                                  char *reason)
{
    if (line.len > 1 && line.p[0] == '-')
        return dialogue_fail(reason, "%.*s", (int)line.len - 1, line.p + 1);
    if (d->phase == AUTH && str_eq(line, STR("+OK"))) {
        d->phase = PING;
        return say(out, &STR("PING"), 1, reason);
    }
    if (d->phase != PING || !str_eq(line, STR("+PONG")))
        return malformed(reason);
    if (d->role == DIALOGUE_ANY)
        return DIALOGUE_PASSED;
    d->phase = ROLE;
    return say(out, &STR("ROLE"), 1, reason);
}

static enum dialogue_step waiting(const struct dialogue_redis *d, bool eof, char *reason)
{
    static const char *const names[] = {
        [START] = "PING", [AUTH] = "AUTH", [PING] = "PING", [ROLE] = "ROLE"};
    return eof ? dialogue_fail(reason, "closed before its answer to %s", names[d->phase])
               : DIALOGUE_MORE;
}

static enum dialogue_step step(struct dialogue *base, struct str in, bool eof, size_t *used,
                               struct buf *out, char reason[DIALOGUE_REASON])
{
    struct dialogue_redis *d = container_of(base, struct dialogue_redis, base);
    struct str rest = in, line, role, link;
    *used = 0;
    if (d->phase == START)
        return begin(d, out, reason);
    for (;;) {
        bool array = d->phase == ROLE && rest.len > 0 && rest.p[0] == '*';
        enum read r = array ? read_role(rest, &role, &link) : cut_line(&rest, &line);
        if (r == READ_MORE)
            return waiting(d, eof, reason);
        if (r == READ_BAD)
            return malformed(reason);
        if (array)
            return judge_role(d, role, link, reason);
        enum dialogue_step result = on_line(d, line, out, reason);
        *used = (size_t)(rest.p - in.p);
        if (result != DIALOGUE_MORE)
            return result;
    }
}

void dialogue_redis_init(struct dialogue_redis *d)
{
    d->base.step = step;
    d->phase = START;
}
