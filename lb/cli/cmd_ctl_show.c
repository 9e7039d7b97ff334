// SPDX-License-Identifier: MIT
// `evlb ctl show`: all backends, one backend with its servers, or one server with its last checks;
// as text of at most 80 columns, as JSON, or only the names (for shell completion).
#include "cli/ctl_client.h"
#include "cli/ctl_text.h"
#include "cli/source.h"

#define COUNT(v, key) (unsigned long long)json_get_u64(v, key)

// ---- one server ---------------------------------------------------------------------------------

static void print_admin(struct arena *a, const struct json_value *s)
{
    const struct json_value *admin = json_get(s, "admin");
    struct str state = json_get_text(admin, "state"), reason = json_get_text(admin, "reason");
    uint64_t left = json_get_u64(admin, "ends_in_ms");
    if (str_eq(state, STR("ready")) && reason.len == 0)
        return;
    ctl_print_item("administrator",
                   arena_printf(a, "%.*s%s%s%s%.*s", STR_FMT(state), left > 0 ? ", ends in " : "",
                                left > 0 ? table_duration(a, left + 999) : "",
                                reason.len > 0 ? ": " : "", STR_FMT(reason)));
}

static void print_weight(struct arena *a, const struct json_value *s)
{
    unsigned long long weight = COUNT(s, "weight"), configured = COUNT(s, "weight_configured");
    unsigned long long withheld = COUNT(s, "withheld_percent"), most = COUNT(s, "max_connections");
    const char *text = arena_printf(a, "%llu", weight);
    if (weight != configured)
        text = arena_printf(a, "%s (in the file: %llu)", text, configured);
    if (withheld > 0)
        text = arena_printf(a, "%s, %llu %% of it still withheld (slow start)", text, withheld);
    ctl_print_item("weight", text);
    text = arena_printf(a, "%llu in flight", COUNT(s, "in_flight"));
    if (most > 0)
        text = arena_printf(a, "%s of at most %llu", text, most);
    ctl_print_item("now", text);
}

static void print_counters(struct arena *a, const struct json_value *s)
{
    const struct json_value *c = json_get(s, "counters");
    ctl_print_item("so far", arena_printf(a, "%llu requests, %llu connections, %llu failures",
                                          COUNT(c, "requests"), COUNT(c, "connections"),
                                          (unsigned long long)ctl_failures(s)));
}

static void print_checks(struct arena *a, const struct json_value *s)
{
    static const char *const heads[] = {">CHECKED", "RESULT", ">LATENCY", "REASON"};
    struct table t = {.arena = a, .heads = heads, .columns = ARRAY_LEN(heads)};
    JSON_EACH(check, json_get(s, "checks"))
    {
        const char *ago = ctl_ago(a, check, "at_ms");
        struct str result = json_get_text(check, "result"), why = json_get_text(check, "reason");
        table_cell(&t, "%s ago", ago != NULL ? ago : "?");
        table_cell(&t, "%.*s", STR_FMT(result));
        table_cell(&t, "%llu ms", COUNT(check, "latency_ms"));
        table_cell(&t, "%.*s", STR_FMT(why));
    }
    if (t.count == 0)
        return;
    printf("\n");
    table_print(&t, stdout, TABLE_WIDTH);
}

static void print_server(struct arena *a, const struct json_value *s)
{
    struct str backend = json_get_text(s, "backend"), name = json_get_text(s, "name");
    struct str address = json_get_text(s, "address"), host = json_get_text(s, "host");
    const char *why = ctl_server_why(a, s);
    printf("server %.*s/%.*s: %s\n", STR_FMT(backend), STR_FMT(name), ctl_state(a, s));
    if (address.len > 0)
        ctl_print_item("address", arena_strdup(a, address));
    else
        ctl_print_item("address", arena_printf(a, "none: %.*s does not resolve", STR_FMT(host)));
    if (why != NULL)
        ctl_print_item("why", why);
    print_admin(a, s);
    ctl_print_item("tier", arena_printf(a, "%llu", COUNT(s, "tier")));
    print_weight(a, s);
    print_counters(a, s);
    print_checks(a, s);
}

// ---- one backend --------------------------------------------------------------------------------

static const char *last_check(struct arena *a, const struct json_value *s)
{
    const struct json_value *check = json_get(s, "check");
    struct str reason = json_get_text(check, "reason"), result = json_get_text(check, "result");
    if (result.len == 0)
        return "-";
    if (reason.len > 0)
        return arena_strdup(a, reason);
    return arena_printf(a, "%.*s, %llu ms", STR_FMT(result), COUNT(check, "latency_ms"));
}

static void print_servers(struct arena *a, const struct json_value *b)
{
    static const char *const heads[] = {"SERVER", "ADDRESS",   "STATE",   ">WEIGHT",
                                        ">NOW",   ">REQUESTS", ">FAILED", "LAST CHECK"};
    struct table t = {.arena = a, .heads = heads, .columns = ARRAY_LEN(heads)};
    JSON_EACH(s, json_get(b, "servers"))
    {
        struct str name = json_get_text(s, "name");
        table_cell(&t, "%.*s", STR_FMT(name));
        table_cell(&t, "%s", ctl_address(a, s));
        table_cell(&t, "%s", ctl_state(a, s));
        table_count(&t, json_get_u64(s, "weight"));
        table_count(&t, json_get_u64(s, "in_flight"));
        table_count(&t, json_get_u64(json_get(s, "counters"), "requests"));
        table_count(&t, ctl_failures(s));
        table_cell(&t, "%s", last_check(a, s));
    }
    table_print(&t, stdout, TABLE_WIDTH);
}

static void print_backend(struct arena *a, const struct json_value *b)
{
    struct str name = json_get_text(b, "name"), mode = json_get_text(b, "mode");
    struct str balance = json_get_text(b, "balance"), failover = json_get_text(b, "failover");
    struct str reason = json_get_text(b, "reason");
    const struct json_value *c = json_get(b, "counters");
    printf("backend %.*s: %.*s, %.*s, %.*s\n", STR_FMT(name), STR_FMT(mode), STR_FMT(balance),
           STR_FMT(failover));
    ctl_print_item("working",
                   arena_printf(a, "%s: %.*s", ctl_working_since(a, b), STR_FMT(reason)));
    ctl_print_item("now", arena_printf(a, "%llu in flight, %llu of at most %llu wait in the queue",
                                       COUNT(b, "in_flight"), COUNT(b, "queue_length"),
                                       COUNT(b, "max_queue")));
    ctl_print_item("so far", arena_printf(a, "%llu requests, %llu retries", COUNT(c, "requests"),
                                          COUNT(c, "retries")));
    ctl_print_item("queue so far",
                   arena_printf(a, "%llu waited, %llu of them in vain; %llu found it full",
                                COUNT(c, "queued"), COUNT(c, "queue_timeouts"),
                                COUNT(c, "queue_full")));
    printf("\n");
    print_servers(a, b);
}

// ---- the command --------------------------------------------------------------------------------

static void print_names(const struct json_value *backends)
{
    JSON_EACH(b, backends)
    {
        struct str backend = json_get_text(b, "name");
        printf("%.*s\n", STR_FMT(backend));
        JSON_EACH(s, json_get(b, "servers"))
        {
            struct str name = json_get_text(s, "name");
            printf("%.*s/%.*s\n", STR_FMT(backend), STR_FMT(name));
        }
    }
}

static int show_all(struct ctl *ctl)
{
    struct ctl_answer answer;
    const char *format = ctl->cli->value[FLAG_FORMAT];
    int status = ctl_get(ctl, "/v1/backends", &answer);
    if (status != EXIT_OK)
        return status;
    if (cli_wants_json(ctl->cli))
        return ctl_print(&answer);
    if (format != NULL && strcmp(format, "names") == 0)
        print_names(json_get(answer.json, "backends"));
    else
        ctl_print_backends(ctl->arena, json_get(answer.json, "backends"));
    return EXIT_OK;
}

static int show_one(struct ctl *ctl, struct str backend, struct str server)
{
    struct ctl_answer answer;
    struct arena *a = ctl->arena;
    const char *target = server.p != NULL ? arena_printf(a, "/v1/servers/%.*s/%.*s",
                                                         STR_FMT(backend), STR_FMT(server))
                                          : arena_printf(a, "/v1/backends/%.*s", STR_FMT(backend));
    int status = ctl_get(ctl, target, &answer);
    if (status != EXIT_OK)
        return status;
    if (cli_wants_json(ctl->cli))
        return ctl_print(&answer);
    if (server.p != NULL)
        print_server(a, answer.json);
    else
        print_backend(a, answer.json);
    return EXIT_OK;
}

static int show(struct ctl *ctl)
{
    struct str backend, server;
    if (ctl->cli->n_operands == 0)
        return show_all(ctl);
    if (!ctl_split(str_of(ctl->cli->operands[0]), &backend, &server))
        return ctl_usage(ctl->cli, "what is shown is named as BACKEND or BACKEND/SERVER");
    return show_one(ctl, backend, server);
}

int cmd_ctl_show(const struct cli *cli)
{
    return ctl_run(cli, show);
}
