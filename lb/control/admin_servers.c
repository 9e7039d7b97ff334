// SPDX-License-Identifier: MIT
// Servers in the admin API: their state with its reason, their checks, and what administrators do
// with them: drain, maintenance, weight. Runs in control. All changes go through servers.h, which
// puts them on the board at once.
#include "conf/suggest.h"
#include "conf/units.h"
#include "control/admin_parts.h"
#include "core/sched.h"
#include "core/suspect.h"

// The server that the path names.
const struct server *admin_find_server(const struct admin_view *v, struct admin_call *c,
                                       uint16_t *status)
{
    const struct backend *b = admin_find_backend(v, c, c->arg[0], status);
    if (b == NULL)
        return NULL;
    struct str name = c->arg[1];
    struct suggestion s = suggest_begin(name);
    for (uint32_t i = 0; i < b->n_servers; i++) {
        if (str_eq(b->servers[i].name, name))
            return &b->servers[i];
        suggest_offer(&s, b->servers[i].name);
    }
    *status = admin_refuse(c, 404, "not-found", "backend '%.*s' has no server '%.*s'%s%.*s%s",
                           STR_FMT(b->name), (int)MIN_OF(name.len, 64), name.p,
                           s.best.p != NULL ? "; did you mean '" : "", STR_FMT(s.best),
                           s.best.p != NULL ? "'?" : "");
    return NULL;
}

// ---- reading ------------------------------------------------------------------------------------

static uint32_t weight_in_force(const struct admin_view *v, const struct server *s)
{
    uint32_t word = atomic_load(&v->board->server[s->index].weight);
    return word > 0 ? word - 1 : s->weight;
}

// As the board says, and what real traffic has shown of one that is up.
static const char *state_name(const struct admin_view *v, const struct server *s)
{
    enum server_state state = (enum server_state)atomic_load(&v->board->server[s->index].state);
    if (state == SERVER_UP && suspect_skipped(v->board, s->index, v->now_ms))
        return "skipped";
    return server_state_name(state);
}

static const char *role(const struct admin_view *v, const struct server *s)
{
    if (!sched_usable(v->board, s))
        return NULL;
    return atomic_load(&v->board->server[s->index].standby) != 0 ? "standby" : "working";
}

static void put_admin(const struct admin_view *v, struct json *j, const struct server *s)
{
    static const char *const names[] = {
        [ADMIN_READY] = "ready", [ADMIN_DRAIN] = "drain", [ADMIN_MAINT] = "maint"};
    const struct board_server *word = &v->board->server[s->index];
    const struct server_track *t = servers_track(v->servers, s->index);
    uint32_t admin = atomic_load(&word->admin);
    uint64_t until_ms = atomic_load(&word->admin_until_ms);
    json_object(j, "admin");
    json_text(j, "state", str_of(names[MIN_OF(admin, ADMIN_MAINT)]));
    admin_put_text_or_null(j, "reason", str_of(t != NULL ? t->admin_reason : NULL));
    admin_put_u64_or_null(j, "ends_in_ms", until_ms > v->now_ms ? until_ms - v->now_ms : 0);
    json_bool(j, "weight", atomic_load(&word->weight) > 0);
    json_object_end(j);
}

static void put_check(struct json *j, const char *key, const struct check_result *r)
{
    static const char *const verdicts[] = {
        [CHECK_PASSED] = "passed", [CHECK_FAILED] = "failed", [CHECK_LOCAL] = "local"};
    json_object(j, key);
    json_u64(j, "at_ms", (uint64_t)r->wall_ms);
    json_text(j, "result", str_of(verdicts[r->verdict]));
    json_u64(j, "latency_ms", r->latency_ms);
    admin_put_text_or_null(j, "reason", str_of(r->reason));
    json_object_end(j);
}

static const struct check_result *check_at(const struct server_track *t, uint64_t back)
{
    return &t->history[(t->n_results - 1 - back) % CHECK_HISTORY];
}

static void put_state(const struct admin_view *v, struct json *j, const struct server *s)
{
    const struct server_track *t = servers_track(v->servers, s->index);
    json_text(j, "state", str_of(state_name(v, s)));
    admin_put_text_or_null(j, "role", str_of(role(v, s)));
    admin_put_text_or_null(j, "reason", str_of(t != NULL ? t->reason : NULL));
    admin_put_u64_or_null(j, "since_ms", t != NULL ? (uint64_t)t->since_wall_ms : 0);
    put_admin(v, j, s);
    if (t != NULL && t->n_results > 0)
        put_check(j, "check", check_at(t, 0));
    else
        json_null(j, "check");
}

static void put_traffic(const struct admin_view *v, struct json *j, const struct server *s)
{
    const struct board_suspect *suspect = &v->board->suspect[s->index];
    uint64_t skip_until = atomic_load(&suspect->skip_until_ms);
    json_u64(j, "skipped_for_ms", skip_until > v->now_ms ? skip_until - v->now_ms : 0);
    json_u64(j, "failures_in_a_row", atomic_load(&suspect->failures));
    json_u64(j, "in_flight", board_total(v->board, board_server_slot(s->index)));
    admin_put_server_sums(v, j, s->index);
}

static void put_members(const struct admin_view *v, struct json *j, const struct server *s)
{
    struct addr in_force;
    sched_address(v->board, s, &in_force);
    json_text(j, "name", s->name);
    admin_put_address(j, "address", &in_force);
    json_text(j, "host", s->host);
    json_u64(j, "port", s->port);
    json_u64(j, "weight", weight_in_force(v, s));
    json_u64(j, "weight_configured", s->weight);
    json_u64(j, "withheld_percent", atomic_load(&v->board->server[s->index].withheld));
    json_u64(j, "tier", s->tier);
    admin_put_u64_or_null(j, "max_connections", s->max_connections);
    json_bool(j, "added", s->added);
    put_state(v, j, s);
    put_traffic(v, j, s);
}

void admin_put_server(const struct admin_view *v, struct json *j, const struct server *s)
{
    json_object(j, NULL);
    put_members(v, j, s);
    json_object_end(j);
}

// One server with its last checks, the newest first.
uint16_t admin_get_server(const struct admin_view *v, struct admin_call *c)
{
    uint16_t status;
    const struct server *s = admin_find_server(v, c, &status);
    if (s == NULL)
        return status;
    const struct server_track *t = servers_track(v->servers, s->index);
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    json_text(&j, "backend", s->backend->name);
    put_members(v, &j, s);
    json_array(&j, "checks");
    for (uint64_t i = 0; t != NULL && i < MIN_OF(t->n_results, CHECK_HISTORY); i++)
        put_check(&j, NULL, check_at(t, i));
    json_array_end(&j);
    json_object_end(&j);
    return admin_done(c, &j);
}

// ---- state and weight ---------------------------------------------------------------------------

// What a PATCH asks for.
struct patch {
    bool has_admin, has_weight, default_weight;
    enum server_admin admin;
    uint64_t for_ms; // 0: until somebody says otherwise
    uint64_t weight;
    struct str for_text, reason;
};

static const char *read_admin(struct patch *p, const struct admin_field *admin,
                              const struct admin_field *how_long)
{
    struct str word;
    p->has_admin = admin->value != NULL;
    if (!admin_field_text(admin, &word) || !admin_field_text(how_long, &p->for_text))
        return "'admin' and 'for' are texts";
    if (p->has_admin && str_eq(word, STR("drain")))
        p->admin = ADMIN_DRAIN;
    else if (p->has_admin && str_eq(word, STR("maint")))
        p->admin = ADMIN_MAINT;
    else if (p->has_admin && !str_eq(word, STR("ready")))
        return "'admin' is one of: drain, maint, ready";
    if (how_long->value == NULL)
        return NULL;
    if (p->admin == ADMIN_READY)
        return "'for' goes with drain or maint";
    if (duration_parse(p->for_text, &p->for_ms) != UNIT_OK || p->for_ms == 0)
        return "'for' is a duration as in 10m or 1h30m";
    return NULL;
}

static const char *read_weight(struct patch *p, const struct admin_field *weight)
{
    if (weight->value == NULL)
        return NULL;
    p->has_weight = true;
    p->default_weight = weight->value->kind == JSON_NULL;
    if (p->default_weight)
        return NULL;
    bool good = weight->value->kind == JSON_NUMBER && str_to_u64(weight->value->text, &p->weight);
    return good && p->weight <= ADMIN_WEIGHT_MAX ? NULL
                                                 : "'weight' is 0 to 256, or null: as configured";
}

static const char *read_patch(struct admin_call *c, struct patch *p)
{
    const char *why;
    struct admin_field fields[] = {
        {.name = "admin"}, {.name = "for"}, {.name = "weight"}, {.name = "reason"}};
    if (!admin_fields(c, fields, ARRAY_LEN(fields), &why))
        return why;
    why = read_admin(p, &fields[0], &fields[1]);
    if (why == NULL)
        why = read_weight(p, &fields[2]);
    if (why == NULL && !admin_field_text(&fields[3], &p->reason))
        why = "'reason' is a text";
    if (why == NULL && !p->has_admin && !p->has_weight)
        why = "there is nothing to change: 'admin' or 'weight' is needed";
    return why;
}

static void describe_patch(struct admin_call *c, const struct server *s, const struct patch *p)
{
    static const char *const names[] = {
        [ADMIN_READY] = "ready", [ADMIN_DRAIN] = "drain", [ADMIN_MAINT] = "maint"};
    const char *object =
        arena_printf(c->arena, "%.*s/%.*s", STR_FMT(s->backend->name), STR_FMT(s->name));
    const char *weight = !p->has_weight ? ""
                         : p->default_weight
                             ? "weight as configured"
                             : arena_printf(c->arena, "weight %u", (unsigned)p->weight);
    admin_deed(c, str_of(object), "%s%s%.*s%s%s", p->has_admin ? names[p->admin] : "",
               p->for_ms > 0 ? " for " : "", STR_FMT(p->for_text),
               p->has_admin && p->has_weight ? ", " : "", weight);
    (void)str_copy(p->reason, c->reason, sizeof(c->reason));
}

static const char *apply_patch(const struct admin_view *v, const struct server *s,
                               const struct patch *p)
{
    const char *why = NULL;
    if (p->has_admin)
        why = servers_admin(v->servers, s->index, p->admin,
                            p->for_ms > 0 ? v->now_ms + p->for_ms : 0, p->reason);
    if (why != NULL || !p->has_weight)
        return why;
    if (p->default_weight)
        return servers_weight_as_configured(v->servers, s->index);
    return servers_weight(v->servers, s->index, (uint32_t)p->weight, p->reason);
}

// {"admin":"drain","for":"10m","weight":5,"reason":"..."}
uint16_t admin_patch_server(const struct admin_view *v, struct admin_call *c)
{
    uint16_t status;
    struct patch p = {0};
    const struct server *s = admin_find_server(v, c, &status);
    if (s == NULL)
        return status;
    const char *why = read_patch(c, &p);
    if (why != NULL)
        return admin_refuse_body(c, why);
    describe_patch(c, s, &p);
    why = apply_patch(v, s, &p);
    if (why != NULL)
        return admin_refuse(c, 409, "refused", "%s", why);
    struct json j = {.out = c->out};
    admin_put_server(v, &j, s);
    return admin_done(c, &j);
}
