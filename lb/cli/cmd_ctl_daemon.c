// SPDX-License-Identifier: MIT
// `evlb ctl reload`, `ctl upgrade`, `ctl worker`, `ctl log` and `ctl backend`: one request each,
// and what came of it. The supervisor carries most of them out; docs/admin-api.md has the requests.
#include "cli/ctl_client.h"
#include "cli/source.h"

#define RELOAD_SECONDS 60

// Sends it and says `done` (or the text of the answer, when there is one).
static int request(struct ctl *ctl, const struct ctl_request *r, const char *done)
{
    struct ctl_answer answer;
    int status = ctl_ask(ctl, r, &answer);
    if (status != EXIT_OK)
        return status;
    if (cli_wants_json(ctl->cli))
        return ctl_print(&answer);
    struct str text = json_get_text(answer.json, "text");
    ctl_print_lines(text.len > 0 ? text : str_of(done));
    return EXIT_OK;
}

static int reload(struct ctl *ctl)
{
    uint64_t ms;
    if (!ctl_duration(ctl->cli, FLAG_WAIT, RELOAD_SECONDS * 1000, &ms))
        return EXIT_USAGE;
    const struct ctl_request r = {
        .method = "POST", .target = "/v1/reload", .seconds = (uint32_t)((ms + 999) / 1000)};
    int status = request(ctl, &r, "no changes");
    return status == EXIT_UNREACHABLE && ctl->timed_out ? EXIT_TIMED_OUT : status;
}

static int upgrade(struct ctl *ctl)
{
    const struct ctl_request r = {
        .method = "POST", .target = "/v1/upgrade", .seconds = RELOAD_SECONDS};
    return request(ctl, &r, "the new process serves");
}

static int restart_worker(struct ctl *ctl)
{
    const struct cli *cli = ctl->cli;
    uint64_t id;
    if (cli->n_operands != 2 || strcmp(cli->operands[0], "restart") != 0)
        return ctl_usage(cli, "'ctl worker' needs: restart N");
    if (!str_to_u64(str_of(cli->operands[1]), &id))
        return ctl_usage(cli, "workers have the numbers 0, 1, ...");
    const struct ctl_request r = {
        .method = "POST",
        .target = arena_printf(ctl->arena, "/v1/workers/%llu/restart", (unsigned long long)id),
        .seconds = RELOAD_SECONDS};
    return request(ctl, &r, "its replacement serves");
}

static int log_level(struct ctl *ctl, const char *level)
{
    const struct ctl_member member = {"level", str_of(level), false};
    const struct ctl_request r = {
        .method = "PUT", .target = "/v1/log/level", .body = ctl_body(ctl->arena, &member, 1)};
    return request(ctl, &r, arena_printf(ctl->arena, "log level %s", level));
}

static int change_log(struct ctl *ctl)
{
    const struct cli *cli = ctl->cli;
    const struct ctl_request reopen = {.method = "POST", .target = "/v1/log/reopen"};
    if (cli->n_operands == 2 && strcmp(cli->operands[0], "level") == 0)
        return log_level(ctl, cli->operands[1]);
    if (cli->n_operands == 1 && strcmp(cli->operands[0], "reopen") == 0)
        return request(ctl, &reopen, "reopened");
    return ctl_usage(cli, "'ctl log' needs: level LEVEL, or reopen");
}

static int switch_backend(struct ctl *ctl)
{
    const struct cli *cli = ctl->cli;
    struct str backend, none;
    if (cli->n_operands != 3 || strcmp(cli->operands[0], "switch") != 0)
        return ctl_usage(cli, "'ctl backend' needs: switch BACKEND SERVER");
    if (!ctl_split(str_of(cli->operands[1]), &backend, &none) || none.p != NULL)
        return ctl_usage(cli, "a backend has a name of letters, digits, '_', '.' and '-'");
    const struct ctl_member members[] = {{"server", str_of(cli->operands[2]), false},
                                         {"reason", str_of(cli->value[FLAG_REASON]), false}};
    const struct ctl_request r = {
        .method = "POST",
        .target = arena_printf(ctl->arena, "/v1/backends/%.*s/switch", STR_FMT(backend)),
        .body = ctl_body(ctl->arena, members, ARRAY_LEN(members))};
    return request(ctl, &r,
                   arena_printf(ctl->arena, "%.*s: %s works", STR_FMT(backend), cli->operands[2]));
}

int cmd_ctl_reload(const struct cli *cli)
{
    return ctl_run(cli, reload);
}

int cmd_ctl_upgrade(const struct cli *cli)
{
    return ctl_run(cli, upgrade);
}

int cmd_ctl_worker(const struct cli *cli)
{
    return ctl_run(cli, restart_worker);
}

int cmd_ctl_log(const struct cli *cli)
{
    return ctl_run(cli, change_log);
}

int cmd_ctl_backend(const struct cli *cli)
{
    return ctl_run(cli, switch_backend);
}
