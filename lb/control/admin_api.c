// SPDX-License-Identifier: MIT
// The admin API: from method and path to the handler that answers, and what all handlers share.
// Runs in control; called by admin.c for each request and for each answer of the supervisor.
//
//   GET    reads; HEAD is answered like GET without the body
//   others change something: each is said in one line of the log and one event, with who and why
//
// Who may connect is decided by the mode of the socket file; everybody who can may also write.
// Invariants: only reads shared memory (changes go through servers.h and asks.h); a body is read
// strictly, a member that is not known is refused and never ignored.
#include "control/admin_api.h"

#include <stdarg.h>

#include "base/log.h"
#include "control/admin_parts.h"

#define BODY_MAX (64u << 10)
#define BUNDLE_MAX (16u << 20)

// One '*' stands for one part of the path that is not empty.
// clang-format off
static const struct resource {
    const char *method, *path;
    admin_handler *handler;
} resources[] = {
    {"GET",    "/v1/status",             admin_get_status},
    {"GET",    "/v1/ready",              admin_get_ready},
    {"GET",    "/v1/workers",            admin_get_workers},
    {"GET",    "/v1/frontends",          admin_get_frontends},
    {"GET",    "/v1/backends",           admin_get_backends},
    {"GET",    "/v1/backends/*",         admin_get_backend},
    {"GET",    "/v1/servers/*/*",        admin_get_server},
    {"GET",    "/v1/sessions",           admin_get_sessions},
    {"GET",    "/v1/events",             admin_get_events},
    {"GET",    "/v1/certs",              admin_get_certs},
    {"POST",   "/v1/certs/reload",       admin_post_certs_reload},
    {"PATCH",  "/v1/servers/*/*",        admin_patch_server},
    {"POST",   "/v1/servers/*",          admin_post_server},
    {"DELETE", "/v1/servers/*/*",        admin_delete_server},
    {"POST",   "/v1/backends/*/switch",  admin_post_switch},
    {"POST",   "/v1/reload",             admin_post_reload},
    {"POST",   "/v1/plan",               admin_post_plan},
    {"POST",   "/v1/workers/*/restart",  admin_post_restart},
    {"POST",   "/v1/upgrade",            admin_post_upgrade},
    {"PUT",    "/v1/log/level",          admin_put_log_level},
    {"POST",   "/v1/log/reopen",         admin_post_log_reopen},
};
// clang-format on

// ---- refusals -----------------------------------------------------------------------------------

static bool put_error(struct admin_call *c, uint16_t status, const char *id, struct str message)
{
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    json_object(&j, "error");
    json_u64(&j, "status", status);
    json_text(&j, "id", str_of(id));
    json_text(&j, "message", message);
    json_object_end(&j);
    json_object_end(&j);
    return !j.failed && buf_append(c->out, "\n", 1);
}

uint16_t admin_refuse(struct admin_call *c, uint16_t status, const char *id, const char *fmt, ...)
{
    char text[16384]; // the findings of a reload
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    struct str message = {text, n < 0 ? 0 : MIN_OF((size_t)n, sizeof(text) - 1)};
    struct str rest = message;
    (void)str_copy(str_cut(&rest, '\n'), c->outcome, sizeof(c->outcome));
    return put_error(c, status, id, message) ? status : (uint16_t)ADMIN_NO_MEMORY;
}

uint16_t admin_refuse_body(struct admin_call *c, const char *why)
{
    return admin_refuse(c, 400, "bad-body", "%s", why);
}

uint16_t admin_done(struct admin_call *c, struct json *j)
{
    return !j->failed && buf_append(c->out, "\n", 1) ? 200 : (uint16_t)ADMIN_NO_MEMORY;
}

uint16_t admin_done_alone(struct admin_call *c)
{
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    json_bool(&j, "done", true);
    json_object_end(&j);
    return admin_done(c, &j);
}

// ---- what a request says ------------------------------------------------------------------------

struct str admin_query(const struct admin_call *c, const char *key)
{
    struct str rest = c->query;
    while (rest.p != NULL) {
        struct str value = str_cut(&rest, '&'), name = str_cut(&value, '=');
        if (str_eq(name, str_of(key)))
            return value.p != NULL ? value : STR("");
    }
    return STR_NONE;
}

static struct admin_field *find_field(struct admin_field *fields, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(name, str_of(fields[i].name)))
            return &fields[i];
    }
    return NULL;
}

bool admin_fields(struct admin_call *c, struct admin_field *fields, size_t n, const char **why)
{
    const struct json_value *root = json_read(c->arena, c->body);
    *why = "the body must be a JSON object";
    if (root == NULL || root->kind != JSON_OBJECT)
        return false;
    JSON_EACH(member, root)
    {
        struct admin_field *field = find_field(fields, n, member->key);
        if (field == NULL || field->value != NULL) {
            *why = arena_printf(c->arena, "'%.*s' is %s here", (int)MIN_OF(member->key.len, 40),
                                member->key.p, field == NULL ? "not known" : "given twice");
            return false;
        }
        field->value = member;
    }
    return true;
}

bool admin_field_text(const struct admin_field *f, struct str *text)
{
    *text = STR("");
    if (f->value == NULL)
        return true;
    *text = f->value->text;
    return f->value->kind == JSON_TEXT;
}

void admin_deed(struct admin_call *c, struct str object, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(c->deed, sizeof(c->deed), fmt, args);
    va_end(args);
    (void)str_copy(object, c->object, sizeof(c->object));
}

// ---- asking the supervisor ----------------------------------------------------------------------

// Done with the text that came, or refused with it.
static uint16_t answered(const struct admin_view *v, struct admin_call *c,
                         const struct ask_answer *answer)
{
    (void)v;
    if (answer == NULL)
        return admin_refuse(c, 504, "no-answer", "the supervisor has not answered in time");
    struct str text = answer->text;
    while (text.len > 0 && text.p[text.len - 1] == '\n')
        text.len--;
    if (answer->status != 0)
        return admin_refuse(c, 409, "refused", "%.*s", STR_FMT(text));
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    json_bool(&j, "done", true);
    json_text(&j, "text", text);
    json_object_end(&j);
    return admin_done(c, &j);
}

uint16_t admin_ask(const struct admin_view *v, struct admin_call *c, enum ask what, uint32_t value,
                   struct str text)
{
    int result = asks_ask(v->asks, &c->waiter, what, value, text);
    if (result != 0)
        return admin_refuse(c, 503, "no-supervisor", "the supervisor cannot be asked: %s",
                            strerror(-result));
    c->resume = answered;
    return ADMIN_LATER;
}

static uint16_t pass_on(const struct admin_view *v, struct admin_call *c,
                        const struct ask_answer *answer)
{
    if (answer == NULL || answer->status != 0)
        return answered(v, c, answer);
    bool fine = buf_append(c->out, answer->text.p, answer->text.len);
    return fine ? 200 : (uint16_t)ADMIN_NO_MEMORY;
}

uint16_t admin_ask_json(const struct admin_view *v, struct admin_call *c, enum ask what)
{
    uint16_t result = admin_ask(v, c, what, 0, STR_NONE);
    if (result == ADMIN_LATER)
        c->resume = pass_on;
    return result;
}

// ---- the audit ----------------------------------------------------------------------------------

static void audit(const struct admin_view *v, const struct admin_call *c)
{
    bool done = c->outcome[0] == '\0';
    char text[800];
    (void)snprintf(text, sizeof(text), "%s%s%s: %s%s (uid %u, pid %u%s%s)", c->object,
                   c->object[0] != '\0' ? ": " : "", c->deed,
                   done ? "done" : "refused: ", c->outcome, (unsigned)c->uid, (unsigned)c->pid,
                   c->reason[0] != '\0' ? "; " : "", c->reason);
    log_info("admin: %s", text);
    const char *why = done ? c->reason : c->outcome;
    (void)snprintf(text, sizeof(text), "%s: %s%s%s (uid %u)", c->deed, done ? "done" : "refused",
                   why[0] != '\0' ? ": " : "", why, (unsigned)c->uid);
    events_add(v->events, EVENT_ADMIN, clock_wall_ms(), str_of(c->object), str_of(text));
}

static uint16_t finish(const struct admin_view *v, struct admin_call *c, uint16_t result)
{
    if (result >= 200 && c->deed[0] != '\0')
        audit(v, c);
    return result;
}

// ---- from the path to the handler ---------------------------------------------------------------

// True when the path has the parts of the pattern; what stands for '*' goes into c->arg.
static bool path_fits(const char *pattern, struct admin_call *c)
{
    struct str wanted = str_of(pattern), given = c->path;
    size_t n = 0;
    while (wanted.p != NULL && given.p != NULL) {
        struct str part = str_cut(&wanted, '/'), have = str_cut(&given, '/');
        bool open = str_eq(part, STR("*"));
        if (open ? have.len == 0 : !str_eq(part, have))
            return false;
        if (open)
            c->arg[n++] = have;
    }
    return wanted.p == NULL && given.p == NULL;
}

static bool method_fits(const struct resource *r, struct str method)
{
    return str_eq(method, str_of(r->method)) ||
           (str_eq(method, STR("HEAD")) && strcmp(r->method, "GET") == 0);
}

static uint16_t not_allowed(struct admin_call *c)
{
    char *allow = arena_strdup(c->arena, STR(""));
    for (size_t i = 0; i < ARRAY_LEN(resources); i++) {
        const struct resource *r = &resources[i];
        if (path_fits(r->path, c))
            allow = arena_printf(c->arena, "%s%s%s", allow, allow[0] != '\0' ? ", " : "",
                                 strcmp(r->method, "GET") == 0 ? "GET, HEAD" : r->method);
    }
    (void)str_copy(str_of(allow), c->allow, sizeof(c->allow));
    return admin_refuse(c, 405, "method-not-allowed", "use one of: %s", c->allow);
}

static uint16_t call_handler(const struct admin_view *v, struct admin_call *c)
{
    bool known = false;
    if (!str_eq(c->method, STR("GET")) && !str_eq(c->method, STR("HEAD")))
        admin_deed(c, STR(""), "%.*s %.*s", STR_FMT(c->method), STR_FMT(c->path));
    for (size_t i = 0; i < ARRAY_LEN(resources); i++) {
        if (!path_fits(resources[i].path, c))
            continue;
        known = true;
        if (method_fits(&resources[i], c->method))
            return resources[i].handler(v, c);
    }
    if (known)
        return not_allowed(c);
    return admin_refuse(c, 404, "not-found", "there is no %.*s; see docs/admin-api.md",
                        (int)MIN_OF(c->path.len, 80), c->path.p);
}

uint32_t admin_api_body_max(struct str path)
{
    return str_eq(path, STR("/v1/plan")) ? BUNDLE_MAX : BODY_MAX;
}

uint16_t admin_api_answer(const struct admin_view *v, struct admin_call *c)
{
    c->arena = arena_new();
    if (c->arena == NULL)
        return ADMIN_NO_MEMORY;
    uint16_t result = call_handler(v, c);
    arena_free(c->arena);
    c->arena = NULL;
    return finish(v, c, result);
}

uint16_t admin_api_resume(const struct admin_view *v, struct admin_call *c,
                          const struct ask_answer *answer)
{
    return finish(v, c, c->resume(v, c, answer));
}
