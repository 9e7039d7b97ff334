// SPDX-License-Identifier: MIT
// From argv to one command: parse, answer help, call. Runs in the process that the user started;
// called by main.c alone.
#include "cli/cli.h"

static int answer_help(const struct cli *cli)
{
    bool all = strcmp(cli->value[FLAG_HELP], "long") == 0;
    if (cli->command != NULL)
        help_command(stdout, cli->command, all);
    else if (cli->group != NULL)
        help_group(stdout, cli->group);
    else
        help_overview(stdout, all);
    return EXIT_OK;
}

static int answer(const struct cli *cli)
{
    if (cli->given[FLAG_HELP] > 0)
        return answer_help(cli);
    if (cli->command != NULL)
        return cli->command->run(cli);
    if (cli->given[FLAG_VERSION] > 0) {
        printf("evlb %s\n", EVLB_VERSION);
        return EXIT_OK;
    }
    help_overview(stderr, false);
    return EXIT_USAGE;
}

// A full disk or a closed pipe must not look like success.
static int flush_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "evlb: cannot write the output\n");
    return status == EXIT_OK ? EXIT_FAILED : status;
}

int cli_main(int argc, char **argv)
{
    struct cli cli;
    int status = cli_parse(argc, argv, &cli, stderr);
    if (status == EXIT_OK)
        status = flush_output(answer(&cli));
    cli_free(&cli);
    return status;
}
