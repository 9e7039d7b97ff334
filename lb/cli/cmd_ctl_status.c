// SPDX-License-Identifier: MIT
// `evlb ctl status`: what a running evlb is doing, from GET /v1/status (docs/admin-api.md): as a
// table of at most 80 columns, or as it came with --format=json.
#include "cli/ctl_client.h"
#include "cli/ctl_text.h"
#include "cli/source.h"

static void print_summary(struct arena *a, const struct json_value *status)
{
    struct str version = json_get_text(status, "version"), state = json_get_text(status, "state");
    printf("evlb %.*s %.*s, pid %llu, up %s, %llu of %llu connections, configuration %llu\n",
           STR_FMT(version), STR_FMT(state), (unsigned long long)json_get_u64(status, "pid"),
           table_duration(a, json_get_u64(status, "uptime_ms")),
           (unsigned long long)json_get_u64(status, "connections_current"),
           (unsigned long long)json_get_u64(status, "max_connections"),
           (unsigned long long)json_get_u64(status, "generation"));
}

// Only workers count what happens to clients.
static void add_counter(struct table *t, const struct json_value *counters, const char *name)
{
    if (counters != NULL)
        table_count(t, json_get_u64(counters, name));
    else
        table_cell(t, "-");
}

static void add_process(struct table *t, const char *name, const struct json_value *p)
{
    struct str state = json_get_text(p, "state");
    const struct json_value *counters = json_get(p, "counters");
    table_cell(t, "%s", name);
    table_cell(t, "%.*s", STR_FMT(state));
    table_cell(t, "%llu", (unsigned long long)json_get_u64(p, "pid"));
    table_cell(t, "%s", table_duration(t->arena, json_get_u64(p, "uptime_ms")));
    table_count(t, json_get_u64(p, "restarts"));
    add_counter(t, counters, "accept_errors");
    add_counter(t, counters, "refused_sessions");
    add_counter(t, counters, "log_dropped");
}

static void print_processes(struct arena *a, const struct json_value *status)
{
    static const char *const heads[] = {"PROCESS",   ">STATE",         ">PID",     ">UP",
                                        ">RESTARTS", ">ACCEPT ERRORS", ">REFUSED", ">LOG DROPPED"};
    struct table t = {.arena = a, .heads = heads, .columns = ARRAY_LEN(heads)};
    JSON_EACH(w, json_get(status, "workers"))
    {
        unsigned long long id = json_get_u64(w, "id");
        if (str_eq(json_get_text(w, "state"), STR("absent")))
            continue; // a place that is free: a replacement took another one
        add_process(&t, arena_printf(a, "worker %llu", id), w);
    }
    add_process(&t, "control", json_get(status, "control"));
    add_process(&t, "logger", json_get(status, "logger"));
    table_print(&t, stdout, TABLE_WIDTH);
}

static const char *joined_listens(struct arena *a, const struct json_value *frontend)
{
    const char *text = "";
    JSON_EACH(address, json_get(frontend, "listen"))
    {
        text =
            arena_printf(a, "%s%s%.*s", text, text[0] != '\0' ? "," : "", STR_FMT(address->text));
    }
    return text;
}

static void print_frontends(struct arena *a, const struct json_value *status)
{
    static const char *const heads[] = {"FRONTEND",  "MODE", "LISTEN", ">NOW",
                                        ">REQUESTS", ">2xx", ">4xx",   ">5xx"};
    struct table t = {.arena = a, .heads = heads, .columns = ARRAY_LEN(heads)};
    JSON_EACH(f, json_get(status, "frontends"))
    {
        struct str name = json_get_text(f, "name"), mode = json_get_text(f, "mode");
        bool tcp = str_eq(mode, STR("tcp"));
        const struct json_value *answers = json_get(f, "answers");
        table_cell(&t, "%.*s", STR_FMT(name));
        table_cell(&t, "%.*s", STR_FMT(mode));
        table_cell(&t, "%s", joined_listens(a, f));
        table_count(&t, json_get_u64(f, "connections_current"));
        table_count(&t, json_get_u64(json_get(f, "counters"), tcp ? "connections" : "requests"));
        table_count(&t, json_get_u64(answers, "2xx"));
        table_count(&t, json_get_u64(answers, "4xx"));
        table_count(&t, json_get_u64(answers, "5xx"));
    }
    table_print(&t, stdout, TABLE_WIDTH);
}

static void add_server(struct table *t, struct str backend, const struct json_value *s)
{
    const struct json_value *counters = json_get(s, "counters");
    struct str name = json_get_text(s, "name");
    table_cell(t, "%.*s/%.*s", STR_FMT(backend), STR_FMT(name));
    table_cell(t, "%s", ctl_address(t->arena, s));
    table_cell(t, "%s", ctl_state(t->arena, s));
    table_count(t, json_get_u64(s, "weight"));
    table_count(t, json_get_u64(s, "in_flight"));
    table_count(t, json_get_u64(counters, "requests"));
    table_count(t, ctl_failures(s));
}

static void print_servers(struct arena *a, const struct json_value *status)
{
    static const char *const heads[] = {"BACKEND/SERVER", "ADDRESS",   "STATE",  ">WEIGHT",
                                        ">NOW",           ">REQUESTS", ">FAILED"};
    struct table t = {.arena = a, .heads = heads, .columns = ARRAY_LEN(heads)};
    JSON_EACH(b, json_get(status, "backends"))
    {
        JSON_EACH(s, json_get(b, "servers"))
        {
            add_server(&t, json_get_text(b, "name"), s);
        }
    }
    table_print(&t, stdout, TABLE_WIDTH);
}

#define NOTE_WIDTH 39 // longer names are cut; reasons are wrapped

// What is left for reasons beside the names.
static size_t why_width(const struct json_value *status)
{
    size_t longest = 0;
    JSON_EACH(b, json_get(status, "backends"))
    {
        size_t backend = json_get_text(b, "name").len;
        longest = MAX_OF(longest, backend);
        JSON_EACH(s, json_get(b, "servers"))
        {
            longest = MAX_OF(longest, backend + 1 + json_get_text(s, "name").len);
        }
    }
    return TABLE_WIDTH - 2 - MIN_OF(longest, NOTE_WIDTH);
}

static void add_why(struct table *t, const char *object, const char *why, size_t width)
{
    for (struct str rest = str_of(why); rest.p != NULL; object = "") {
        struct str line = str_wrap(&rest, width);
        table_cell(t, "%s", object);
        table_cell(t, "%.*s", STR_FMT(line));
    }
}

// What is not as it should be, and why: nothing when all is well.
static void print_reasons(struct arena *a, const struct json_value *status)
{
    static const char *const heads[] = {"NOTE", "WHY"};
    struct table t = {.arena = a, .heads = heads, .columns = ARRAY_LEN(heads)};
    size_t width = why_width(status);
    JSON_EACH(b, json_get(status, "backends"))
    {
        struct str backend = json_get_text(b, "name"), reason = json_get_text(b, "reason");
        if (!ctl_first_choice_works(b))
            add_why(&t, arena_strdup(a, backend),
                    arena_printf(a, "working: %s: %.*s", ctl_working_since(a, b), STR_FMT(reason)),
                    width);
        JSON_EACH(s, json_get(b, "servers"))
        {
            struct str name = json_get_text(s, "name");
            add_why(&t, arena_printf(a, "%.*s/%.*s", STR_FMT(backend), STR_FMT(name)),
                    ctl_server_why(a, s), width);
        }
    }
    if (t.count == 0)
        return;
    table_print(&t, stdout, TABLE_WIDTH);
    printf("\n");
}

static int print_text(struct ctl *ctl, const struct json_value *status)
{
    struct arena *a = ctl->arena;
    if (status->kind != JSON_OBJECT) {
        fprintf(stderr, "evlb: the answer at %s is not a status\n", ctl->path);
        return EXIT_UNREACHABLE;
    }
    print_summary(a, status);
    printf("\n");
    print_frontends(a, status);
    printf("\n");
    ctl_print_backends(a, json_get(status, "backends"));
    printf("\n");
    print_servers(a, status);
    printf("\n");
    print_reasons(a, status);
    print_processes(a, status);
    return EXIT_OK;
}

static int show_status(struct ctl *ctl)
{
    struct ctl_answer answer;
    int status = ctl_get(ctl, "/v1/status", &answer);
    if (status != EXIT_OK)
        return status;
    return cli_wants_json(ctl->cli) ? ctl_print(&answer) : print_text(ctl, answer.json);
}

int cmd_ctl_status(const struct cli *cli)
{
    return ctl_run(cli, show_status);
}
