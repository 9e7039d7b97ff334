// SPDX-License-Identifier: MIT
// `evlb ctl server`: what an administrator does with one server. Drain, maint, ready and weight are
// a PATCH, add and remove are carried out like a reload. With --wait the status is asked again and
// again until the server has nothing in progress any more (or, with ready, is up).
#include <time.h>

#include "cli/ctl_client.h"
#include "cli/source.h"

#define WAIT_MS 60000
#define LOOK_MS 100
#define CHANGE_SECONDS 60

// The command line.
struct change {
    struct ctl *ctl;
    struct str backend, server;
    const char *value; // the third operand, or NULL
    const char *target;
    uint64_t wait_ms; // 0: not to wait
};

static bool number_or_none(const char *text)
{
    uint64_t value;
    return text == NULL || str_to_u64(str_of(text), &value);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void look_again(void)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    (void)nanosleep(&pause, NULL);
}

static int timed_out(const struct change *c, const char *what)
{
    fprintf(stderr, "evlb: %.*s/%.*s %s after %llu s\n", STR_FMT(c->backend), STR_FMT(c->server),
            what, (unsigned long long)c->wait_ms / 1000);
    return EXIT_TIMED_OUT;
}

// Until nothing is in progress at the server. One that has been removed is not in the status any
// more: then it has nothing that could be waited for.
static int wait_for_idle(struct change *c)
{
    uint64_t end_ms = now_ms() + c->wait_ms;
    struct ctl_answer answer;
    for (;;) {
        int status = ctl_get(c->ctl, c->target, &answer);
        uint64_t n = json_get_u64(answer.json, "in_flight");
        if (status != EXIT_OK)
            return status;
        if (n == 0)
            return EXIT_OK;
        if (now_ms() >= end_ms)
            return timed_out(
                c, arena_printf(c->ctl->arena, "still has %llu in flight", (unsigned long long)n));
        look_again();
    }
}

static int wait_for_up(struct change *c)
{
    uint64_t end_ms = now_ms() + c->wait_ms;
    struct ctl_answer answer;
    for (;;) {
        int status = ctl_get(c->ctl, c->target, &answer);
        struct str state = json_get_text(answer.json, "state");
        if (status != EXIT_OK || str_eq(state, STR("up")))
            return status;
        if (now_ms() >= end_ms)
            return timed_out(c, arena_printf(c->ctl->arena, "is still %.*s", STR_FMT(state)));
        look_again();
    }
}

// "app/a: drain, 3 in flight"
static int say(const struct change *c, const struct ctl_answer *answer)
{
    if (cli_wants_json(c->ctl->cli))
        return ctl_print(answer);
    struct str state = json_get_text(answer->json, "state");
    printf("%.*s/%.*s: %.*s, weight %llu, %llu in flight\n", STR_FMT(c->backend),
           STR_FMT(c->server), STR_FMT(state),
           (unsigned long long)json_get_u64(answer->json, "weight"),
           (unsigned long long)json_get_u64(answer->json, "in_flight"));
    return EXIT_OK;
}

static int patch(struct change *c, const struct ctl_member *members, size_t n,
                 int (*wait)(struct change *c))
{
    struct ctl_answer answer;
    const struct ctl_request r = {
        .method = "PATCH", .target = c->target, .body = ctl_body(c->ctl->arena, members, n)};
    int status = ctl_ask(c->ctl, &r, &answer);
    if (status == EXIT_OK && c->wait_ms > 0) {
        status = wait(c);
        if (status == EXIT_OK)
            status = ctl_get(c->ctl, c->target, &answer);
    }
    return status == EXIT_OK ? say(c, &answer) : status;
}

static int change_admin(struct change *c, const char *admin)
{
    const struct cli *cli = c->ctl->cli;
    const struct ctl_member members[] = {{"admin", str_of(admin), false},
                                         {"for", str_of(cli->value[FLAG_FOR]), false},
                                         {"reason", str_of(cli->value[FLAG_REASON]), false}};
    if (c->value != NULL)
        return ctl_usage(cli, "one word too many");
    return patch(c, members, ARRAY_LEN(members),
                 strcmp(admin, "ready") == 0 ? wait_for_up : wait_for_idle);
}

static int drain(struct change *c)
{
    return change_admin(c, "drain");
}

static int maint(struct change *c)
{
    return change_admin(c, "maint");
}

static int ready(struct change *c)
{
    return change_admin(c, "ready");
}

static int weigh(struct change *c)
{
    const struct cli *cli = c->ctl->cli;
    bool usual = c->value != NULL && strcmp(c->value, "default") == 0;
    if (c->value == NULL || (!usual && !number_or_none(c->value)))
        return ctl_usage(cli, "'weight' needs a number from 0 to 256, or 'default'");
    const struct ctl_member members[] = {{"weight", usual ? STR("null") : str_of(c->value), true},
                                         {"reason", str_of(cli->value[FLAG_REASON]), false}};
    c->wait_ms = 0;
    return patch(c, members, ARRAY_LEN(members), wait_for_idle);
}

// ---- adding and removing ------------------------------------------------------------------------

// The server in one line; and all lines, when the files had changes as well, which are in force
// now.
static int ask_for(struct change *c, const struct ctl_request *r, const char *done)
{
    struct ctl_answer answer;
    int status = ctl_ask(c->ctl, r, &answer);
    if (status != EXIT_OK)
        return status;
    if (cli_wants_json(c->ctl->cli))
        return ctl_print(&answer);
    struct str text = json_get_text(answer.json, "text"), more = text;
    (void)str_cut(&more, '\n');
    printf("%.*s/%.*s: %s\n", STR_FMT(c->backend), STR_FMT(c->server), done);
    if (more.len > 0)
        ctl_print_lines(text);
    return EXIT_OK;
}

static int add(struct change *c)
{
    const struct cli *cli = c->ctl->cli;
    if (c->value == NULL)
        return ctl_usage(cli, "'add' needs an address: add app/c 10.0.0.13:8080");
    if (!number_or_none(cli->value[FLAG_WEIGHT]) || !number_or_none(cli->value[FLAG_TIER]) ||
        !number_or_none(cli->value[FLAG_MAX_CONNECTIONS]))
        return ctl_usage(cli, "--weight, --tier and --max-connections are whole numbers");
    const struct ctl_member members[] = {
        {"name", c->server, false},
        {"address", str_of(c->value), false},
        {"weight", str_of(cli->value[FLAG_WEIGHT]), true},
        {"tier", str_of(cli->value[FLAG_TIER]), true},
        {"max_connections", str_of(cli->value[FLAG_MAX_CONNECTIONS]), true},
        {"reason", str_of(cli->value[FLAG_REASON]), false}};
    const struct ctl_request r = {
        .method = "POST",
        .target = arena_printf(c->ctl->arena, "/v1/servers/%.*s", STR_FMT(c->backend)),
        .body = ctl_body(c->ctl->arena, members, ARRAY_LEN(members)),
        .seconds = CHANGE_SECONDS};
    return ask_for(c, &r, arena_printf(c->ctl->arena, "added, %s", c->value));
}

// With --wait it is drained first: once it is out of the configuration nobody counts what it has
// in progress any more.
static int drain_first(struct change *c)
{
    struct ctl_answer answer;
    const struct ctl_member member = {"admin", STR("drain"), false};
    const struct ctl_request r = {
        .method = "PATCH", .target = c->target, .body = ctl_body(c->ctl->arena, &member, 1)};
    int status = ctl_ask(c->ctl, &r, &answer);
    return status == EXIT_OK ? wait_for_idle(c) : status;
}

static int drop(struct change *c)
{
    const struct ctl_request r = {
        .method = "DELETE", .target = c->target, .seconds = CHANGE_SECONDS};
    if (c->value != NULL)
        return ctl_usage(c->ctl->cli, "one word too many");
    int status = c->wait_ms > 0 ? drain_first(c) : EXIT_OK;
    return status == EXIT_OK ? ask_for(c, &r, "removed") : status;
}

// ---- the command --------------------------------------------------------------------------------

static const struct {
    const char *verb;
    int (*run)(struct change *c);
} verbs[] = {{"drain", drain},  {"maint", maint}, {"ready", ready},
             {"weight", weigh}, {"add", add},     {"remove", drop}};

static int change(struct ctl *ctl)
{
    const struct cli *cli = ctl->cli;
    struct change c = {.ctl = ctl, .value = cli->n_operands > 2 ? cli->operands[2] : NULL};
    if (cli->n_operands < 2)
        return ctl_usage(cli, "'ctl server' needs a verb and BACKEND/SERVER");
    if (!ctl_split(str_of(cli->operands[1]), &c.backend, &c.server) || c.server.p == NULL)
        return ctl_usage(cli, "a server is named as BACKEND/SERVER: app/a");
    if (cli->given[FLAG_WAIT] > 0 && !ctl_duration(cli, FLAG_WAIT, WAIT_MS, &c.wait_ms))
        return EXIT_USAGE;
    c.target =
        arena_printf(ctl->arena, "/v1/servers/%.*s/%.*s", STR_FMT(c.backend), STR_FMT(c.server));
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(verbs[i].verb, cli->operands[0]) == 0)
            return verbs[i].run(&c);
    }
    return ctl_usage(cli, "the verb is one of: drain maint ready weight add remove");
}

int cmd_ctl_server(const struct cli *cli)
{
    return ctl_run(cli, change);
}
