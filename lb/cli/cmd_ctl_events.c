// SPDX-License-Identifier: MIT
// `evlb ctl events`: what has happened, one line each; with -f also what comes, until evlb or the
// reader of the output ends.
#include <time.h>

#include "cli/ctl_client.h"
#include "cli/source.h"

// "2026-11-21T08:18:52Z admin app/a: drain: done (uid 1000)". What servers and backends do is a
// sentence that names them.
static void print_event(const struct json_value *e)
{
    char when[32];
    struct tm tm;
    time_t seconds = (time_t)(json_get_u64(e, "at_ms") / 1000);
    struct str kind = json_get_text(e, "kind"), object = json_get_text(e, "object");
    struct str text = json_get_text(e, "text");
    if (!str_eq(kind, STR("admin")))
        object = STR_NONE;
    gmtime_r(&seconds, &tm);
    (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
    printf("%s %.*s%s%.*s: %.*s\n", when, STR_FMT(kind), object.len > 0 ? " " : "", STR_FMT(object),
           STR_FMT(text));
}

static bool on_data(void *ctx, struct str data)
{
    const struct ctl *ctl = ctx;
    if (cli_wants_json(ctl->cli)) {
        ctl_print_lines(data);
    } else {
        struct arena *a = arena_new(); // of this event: the feed may go on for years
        const struct json_value *e = json_read(a, data);
        if (e != NULL)
            print_event(e);
        arena_free(a);
    }
    return fflush(stdout) == 0;
}

static int list(struct ctl *ctl)
{
    struct ctl_answer answer;
    int status = ctl_get(ctl, "/v1/events?follow=false", &answer);
    if (status != EXIT_OK)
        return status;
    if (cli_wants_json(ctl->cli))
        return ctl_print(&answer);
    JSON_EACH(e, json_get(answer.json, "events"))
    {
        print_event(e);
    }
    return EXIT_OK;
}

static int show(struct ctl *ctl)
{
    if (ctl->cli->given[FLAG_FOLLOW] == 0)
        return list(ctl);
    return ctl_follow(ctl, "/v1/events", on_data, ctl);
}

int cmd_ctl_events(const struct cli *cli)
{
    return ctl_run(cli, show);
}
