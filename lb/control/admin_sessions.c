// SPDX-License-Identifier: MIT
// Sessions in the admin API: each worker is asked, through the supervisor, and answers with the
// JSON of its own (proxy/sessions_dump.c), which is put together here unread. Runs in control.
// A worker that does not answer in time is left out, and `complete` says so.
#include "control/admin_parts.h"

#define SESSIONS_USUAL 1000u
#define SESSIONS_MOST 10000u

// The answer is built around what has come into c->out: {"sessions":[ ... ],"total":N,...}
static uint16_t put_end(struct admin_call *c, bool complete)
{
    struct json j = {.out = c->out, .comma = true};
    json_array_end(&j);
    json_u64(&j, "total", c->total);
    json_bool(&j, "complete", complete);
    json_object_end(&j);
    return admin_done(c, &j);
}

static uint16_t more(const struct admin_view *v, struct admin_call *c,
                     const struct ask_answer *answer)
{
    (void)v;
    if (answer == NULL)
        return put_end(c, false);
    c->missing |= answer->status != 0;
    c->total += answer->value;
    if (answer->text.len > 0) {
        if ((c->parts++ > 0 && !buf_append(c->out, ",", 1)) ||
            !buf_append(c->out, answer->text.p, answer->text.len))
            return ADMIN_NO_MEMORY;
    }
    return answer->last ? put_end(c, !c->missing) : (uint16_t)ADMIN_LATER;
}

// The limit is shared by the workers, so that the answer stays bounded however many there are.
uint16_t admin_get_sessions(const struct admin_view *v, struct admin_call *c)
{
    uint64_t limit = SESSIONS_USUAL;
    struct str text = admin_query(c, "limit");
    if (text.p != NULL && (!str_to_u64(text, &limit) || limit == 0 || limit > SESSIONS_MOST))
        return admin_refuse(c, 400, "bad-query", "limit is 1 to %u", SESSIONS_MOST);
    uint32_t workers = MAX_OF(v->table->workers, 1);
    uint32_t each = ((uint32_t)limit + workers - 1) / workers;
    int result = asks_query(v->asks, &c->waiter, QUERY_SESSIONS, each);
    if (result != 0)
        return admin_refuse(c, 503, "no-supervisor", "the supervisor cannot be asked: %s",
                            strerror(-result));
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    json_array(&j, "sessions");
    c->resume = more;
    return j.failed ? (uint16_t)ADMIN_NO_MEMORY : (uint16_t)ADMIN_LATER;
}
