// SPDX-License-Identifier: MIT
// `evlb ctl sessions`: what clients are doing now, from GET /v1/sessions, as a table of at most 80
// columns, or as it came with --format=json.
#include "cli/ctl_client.h"
#include "cli/source.h"
#include "cli/table.h"

static void add_session(struct table *t, const struct json_value *s)
{
    struct str client = json_get_text(s, "client"), doing = json_get_text(s, "doing");
    struct str frontend = json_get_text(s, "frontend"), backend = json_get_text(s, "backend");
    struct str server = json_get_text(s, "server");
    table_cell(t, "%.*s", STR_FMT(client));
    table_cell(t, "%.*s", STR_FMT(frontend));
    if (backend.len > 0)
        table_cell(t, "%.*s%s%.*s", STR_FMT(backend), server.len > 0 ? "/" : "", STR_FMT(server));
    else
        table_cell(t, "-");
    table_cell(t, "%.*s", STR_FMT(doing));
    table_cell(t, "%s", table_duration(t->arena, json_get_u64(s, "age_ms")));
    table_count(t, json_get_u64(s, "bytes_received"));
    table_count(t, json_get_u64(s, "bytes_sent"));
}

static void print_table(const struct ctl *ctl, const struct ctl_answer *answer)
{
    static const char *const heads[] = {"CLIENT", "FRONTEND", "SERVER", "DOING",
                                        ">FOR",   ">IN",      ">OUT"};
    struct table t = {.arena = ctl->arena, .heads = heads, .columns = ARRAY_LEN(heads)};
    uint64_t n = 0, total = json_get_u64(answer->json, "total");
    JSON_EACH(s, json_get(answer->json, "sessions"))
    {
        add_session(&t, s);
        n++;
    }
    table_print(&t, stdout, TABLE_WIDTH);
    const struct json_value *complete = json_get(answer->json, "complete");
    if (n < total)
        printf("%llu of %llu sessions; --limit shows more\n", (unsigned long long)n,
               (unsigned long long)total);
    if (complete != NULL && !complete->truth)
        printf("a worker has not answered: its sessions are missing\n");
}

static int show(struct ctl *ctl)
{
    const char *limit = ctl->cli->value[FLAG_LIMIT];
    uint64_t n = 1000;
    struct ctl_answer answer;
    if (limit != NULL && !str_to_u64(str_of(limit), &n))
        return ctl_usage(ctl->cli, "--limit is a whole number");
    const char *target = arena_printf(ctl->arena, "/v1/sessions?limit=%llu", (unsigned long long)n);
    int status = ctl_get(ctl, target, &answer);
    if (status != EXIT_OK)
        return status;
    if (cli_wants_json(ctl->cli))
        return ctl_print(&answer);
    print_table(ctl, &answer);
    return EXIT_OK;
}

int cmd_ctl_sessions(const struct cli *cli)
{
    return ctl_run(cli, show);
}
