// SPDX-License-Identifier: MIT
// Which configuration a command is about, and small helpers that the commands share. Runs in the
// process that the user started.
#include "cli/source.h"

#include <unistd.h>

const char *cli_config_path(const struct cli *cli)
{
    if (cli->value[FLAG_CONFIG] != NULL)
        return cli->value[FLAG_CONFIG];
    const char *from_env = getenv("EVLB_CONFIG");
    return from_env != NULL && from_env[0] != '\0' ? from_env : CONFIG_DEFAULT_PATH;
}

static int complain(const char *what)
{
    fprintf(stderr, "evlb: %s; see 'evlb run --help'\n", what);
    return EXIT_USAGE;
}

// The file that stands for the flags, as a text in `arena`.
static int source_from_flags(const struct cli *cli, struct arena *arena, struct config_source *out)
{
    if (cli->given[FLAG_CONFIG] > 0)
        return complain("--config and --listen, --to or --mode exclude each other");
    if (cli->given[FLAG_LISTEN] == 0)
        return complain("--to needs a --listen");
    if (cli->given[FLAG_LISTEN] > 1)
        return complain("--listen stands for one address; several need a file");
    if (cli->n_to == 0)
        return complain("--listen needs a --to");
    struct str text = config_text_from_flags(arena, cli->value[FLAG_LISTEN], cli->to, cli->n_to);
    if (cli->value[FLAG_MODE] != NULL)
        text = str_of(arena_printf(arena, "mode: %s\n%.*s", cli->value[FLAG_MODE], STR_FMT(text)));
    *out = config_source_text("command line", text);
    return EXIT_OK;
}

int cli_source(const struct cli *cli, struct arena *arena, struct config_source *out)
{
    if (cli->given[FLAG_LISTEN] + cli->given[FLAG_TO] + cli->given[FLAG_MODE] > 0)
        return source_from_flags(cli, arena, out);
    *out = config_source_files(arena_strdup(arena, str_of(cli_config_path(cli))));
    return EXIT_OK;
}

const char *cli_socket(const struct cli *cli, struct str of_named_file)
{
    if (cli->value[FLAG_SOCKET] != NULL)
        return cli->value[FLAG_SOCKET];
    if (of_named_file.len > 0)
        return of_named_file.p;
    const char *from_env = getenv("EVLB_SOCKET");
    return from_env != NULL && from_env[0] != '\0' ? from_env : NULL;
}

bool cli_colour(FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    return (no_color == NULL || no_color[0] == '\0') && isatty(fileno(out)) == 1;
}

bool cli_wants_json(const struct cli *cli)
{
    const char *format = cli->value[FLAG_FORMAT];
    return cli->given[FLAG_JSON] > 0 || (format != NULL && strcmp(format, "json") == 0);
}

const char *cli_mark(struct arena *a, struct conf_mark mark)
{
    if (mark.line == 0)
        return "a default";
    return arena_printf(a, "%s:%u", mark.file, mark.line);
}

const char *cli_plural(uint32_t n)
{
    return n == 1 ? "" : "s";
}
