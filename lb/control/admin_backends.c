// SPDX-License-Identifier: MIT
// Backends in the admin API: what they are doing, which of their servers work and why, and the
// switch to another one. Runs in control.
#include "conf/suggest.h"
#include "conf/words.h"
#include "control/admin_parts.h"
#include "core/sched.h"

const struct backend *admin_find_backend(const struct admin_view *v, struct admin_call *c,
                                         struct str name, uint16_t *status)
{
    const struct config *config = v->config;
    struct suggestion s = suggest_begin(name);
    for (uint32_t i = 0; i < config->n_backends; i++) {
        if (str_eq(config->backends[i].name, name))
            return &config->backends[i];
        suggest_offer(&s, config->backends[i].name);
    }
    *status =
        admin_refuse(c, 404, "not-found", "there is no backend '%.*s'%s%.*s%s",
                     (int)MIN_OF(name.len, 64), name.p, s.best.p != NULL ? "; did you mean '" : "",
                     STR_FMT(s.best), s.best.p != NULL ? "'?" : "");
    return NULL;
}

// ---- reading ------------------------------------------------------------------------------------

static uint64_t in_flight(const struct admin_view *v, const struct backend *b)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < b->n_servers; i++)
        sum += board_total(v->board, board_server_slot(b->servers[i].index));
    return sum;
}

static bool works(const struct admin_view *v, const struct server *s)
{
    return sched_usable(v->board, s) && atomic_load(&v->board->server[s->index].standby) == 0;
}

// Which servers share the work: their names, and the tier they are in.
static void put_working(const struct admin_view *v, struct json *j, const struct backend *b)
{
    uint32_t tier = 0;
    json_array(j, "working");
    for (uint32_t i = 0; i < b->n_servers; i++) {
        const struct server *s = &b->servers[i];
        if (!works(v, s))
            continue;
        json_text(j, NULL, s->name);
        tier = tier == 0 ? s->tier : MIN_OF(tier, s->tier);
    }
    json_array_end(j);
    admin_put_u64_or_null(j, "tier", tier);
}

static void put_failover(const struct admin_view *v, struct json *j, const struct backend *b)
{
    const struct backend_track *track = servers_backend(v->servers, b->index);
    json_text(j, "failover", str_of(failover_words[b->failover]));
    put_working(v, j, b);
    admin_put_text_or_null(
        j, "reason",
        str_of(track != NULL ? failover_reason_text(track->reason, b->failback) : NULL));
    admin_put_u64_or_null(j, "switched_ms", track != NULL ? (uint64_t)track->switched_wall_ms : 0);
}

static void put_backend(const struct admin_view *v, struct json *j, const struct backend *b)
{
    json_object(j, NULL);
    json_text(j, "name", b->name);
    json_text(j, "mode", str_of(mode_words[b->mode]));
    json_text(j, "balance", str_of(balance_words[b->balance]));
    put_failover(v, j, b);
    json_u64(j, "in_flight", in_flight(v, b));
    json_u64(j, "queue_length", board_total(v->board, board_queue_slot(v->board, b->index)));
    json_u64(j, "max_queue", b->max_queue);
    admin_put_backend_sums(v, j, b->index);
    json_array(j, "servers");
    for (uint32_t i = 0; i < b->n_servers; i++)
        admin_put_server(v, j, &b->servers[i]);
    json_array_end(j);
    json_object_end(j);
}

void admin_put_backends(const struct admin_view *v, struct json *j)
{
    json_array(j, "backends");
    for (uint32_t i = 0; i < v->config->n_backends; i++)
        put_backend(v, j, &v->config->backends[i]);
    json_array_end(j);
}

uint16_t admin_get_backends(const struct admin_view *v, struct admin_call *c)
{
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    admin_put_backends(v, &j);
    json_object_end(&j);
    return admin_done(c, &j);
}

uint16_t admin_get_backend(const struct admin_view *v, struct admin_call *c)
{
    uint16_t status;
    const struct backend *b = admin_find_backend(v, c, c->arg[0], &status);
    if (b == NULL)
        return status;
    struct json j = {.out = c->out};
    put_backend(v, &j, b);
    return admin_done(c, &j);
}

// ---- switching ----------------------------------------------------------------------------------

// {"server":"b","reason":"..."}
uint16_t admin_post_switch(const struct admin_view *v, struct admin_call *c)
{
    uint16_t status;
    const char *why;
    struct str name, reason;
    struct admin_field fields[] = {{.name = "server"}, {.name = "reason"}};
    const struct backend *b = admin_find_backend(v, c, c->arg[0], &status);
    if (b == NULL)
        return status;
    if (!admin_fields(c, fields, ARRAY_LEN(fields), &why))
        return admin_refuse_body(c, why);
    if (!admin_field_text(&fields[0], &name) || !admin_field_text(&fields[1], &reason))
        return admin_refuse_body(c, "'server' and 'reason' are texts");
    c->arg[1] = name;
    const struct server *s = admin_find_server(v, c, &status);
    if (s == NULL)
        return status;
    admin_deed(c, b->name, "switch to %.*s", STR_FMT(s->name));
    (void)str_copy(reason, c->reason, sizeof(c->reason));
    why = servers_switch(v->servers, b->index, (uint32_t)(s - b->servers), reason);
    return why != NULL ? admin_refuse(c, 409, "refused", "%s", why) : admin_done_alone(c);
}
