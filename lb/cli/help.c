// SPDX-License-Identifier: MIT
// Help, written from the tables of commands.c: "-h" fits one screen (80 x 24), "--help" says all.
// Run by the process that was asked for it; prints and nothing else.
#include "cli/cli.h"

#define NAME_WIDTH 14

static const char planned[] = "\nPlanned, not in this version yet:\n";

static void print_flag(FILE *out, enum flag_id id, const struct cli_command *command)
{
    const struct cli_flag *f = &cli_flags[id];
    char left[64], letter[8] = "    ";
    if (f->letter != 0)
        (void)snprintf(letter, sizeof(letter), "-%c, ", f->letter);
    (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, f->name, f->value != NULL ? " " : "",
                   f->value != NULL ? f->value : "");
    fprintf(out, "  %-26s %s\n", left, f->help);
    if (id == FLAG_FORMAT && command != NULL && command->formats != NULL)
        fprintf(out, "  %-26s one of: %s\n", "", command->formats);
}

static bool in_group(const struct cli_command *c, const char *group)
{
    size_t len = strlen(group);
    return strncmp(c->name, group, len) == 0 && c->name[len] == ' ';
}

// Those of one group ("ctl"), or all when it is NULL; below a title when there are any.
static void print_commands(FILE *out, enum command_kind kind, const char *group, const char *title)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        if (c->kind != kind || (group != NULL && !in_group(c, group)))
            continue;
        fprintf(out, "%s  %-*s %s\n", title, NAME_WIDTH, c->name, c->summary);
        title = "";
    }
}

// All that are no `ctl`, and that there are such: on one screen.
static void print_short(FILE *out)
{
    bool said = false;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        if (c->kind != COMMAND_SHOWN || (said && in_group(c, "ctl")))
            continue;
        said |= in_group(c, "ctl");
        fprintf(out, "  %-*s %s\n", NAME_WIDTH, in_group(c, "ctl") ? "ctl" : c->name,
                in_group(c, "ctl") ? "ask or change a running evlb: evlb ctl --help" : c->summary);
    }
}

void help_overview(FILE *out, bool all)
{
    fprintf(out,
            "evlb %s: a layer 4 and layer 7 load balancer\n\n"
            "usage: evlb COMMAND [flags]\n\n",
            EVLB_VERSION);
    if (all)
        print_commands(out, COMMAND_SHOWN, NULL, "");
    else
        print_short(out);
    fprintf(out, "\nFlags that most commands take:\n");
    for (int id = FLAG_CONFIG; id <= FLAG_HELP; id++)
        print_flag(out, (enum flag_id)id, NULL);
    fprintf(out, "\nTry: evlb run --listen 8080 --to 127.0.0.1:9001 --to 127.0.0.1:9002\n");
    if (!all)
        return;
    print_commands(out, COMMAND_PLANNED, NULL, planned);
    fprintf(out, "\n'evlb COMMAND --help' says more about one. The configuration is described in\n"
                 "evlb.yaml(5) and by 'evlb explain KEY'.\n\n"
                 "Environment:\n"
                 "  EVLB_CONFIG   the configuration when there is no --config\n"
                 "  EVLB_SOCKET   the control socket when there is no --socket\n"
                 "  NO_COLOR      no colours, even on a terminal\n\n"
                 "Exit status: 0 ok, 1 failed or invalid, 2 usage, 3 warnings (check --strict),\n"
                 "  4 no such object, 5 evlb does not answer, 71 cannot bind, 78 configuration\n"
                 "  invalid (run), 124 not done in time (ctl --wait)\n");
}

void help_group(FILE *out, const char *group)
{
    fprintf(out, "usage: evlb %s COMMAND [flags]\n\n", group);
    print_commands(out, COMMAND_SHOWN, group, "");
    print_commands(out, COMMAND_PLANNED, group, planned);
    fprintf(out, "\n'evlb %s COMMAND --help' says more about one.\n", group);
}

void help_command(FILE *out, const struct cli_command *command, bool all)
{
    fprintf(out, "evlb %s: %s\n\nusage: evlb %s%s%s%s\n", command->name, command->summary,
            command->name, command->operands[0] != '\0' ? " " : "", command->operands,
            command->flags != 0 ? " [flags]" : "");
    if (command->flags != 0)
        fprintf(out, "\n");
    for (int id = 0; id < FLAG_COUNT; id++) {
        if ((command->flags & FLAG_BIT(id)) != 0)
            print_flag(out, (enum flag_id)id, command);
    }
    if (all && command->details != NULL)
        fprintf(out, "\n%s\n", command->details);
}
