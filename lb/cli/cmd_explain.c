// SPDX-License-Identifier: MIT
// `evlb explain`: the whole effective configuration, one key, why a request ended as it did, or who
// would serve a request. Sends nothing and changes nothing.
#include "cli/explain.h"
#include "cli/source.h"

static int explain_all(const struct cli *cli)
{
    struct config_source source = config_source_files(cli_config_path(cli));
    struct findings findings;
    findings_init(&findings);
    bool good = config_explain(&source, &findings, stdout);
    if (!good)
        findings_print(&findings, stderr, FINDINGS_TEXT, cli_colour(stderr));
    findings_free(&findings);
    return good ? EXIT_OK : EXIT_FAILED;
}

static int complain(const char *what)
{
    fprintf(stderr, "evlb: %s; see 'evlb explain --help'\n", what);
    return EXIT_USAGE;
}

static int complain_of_flag(const char *name)
{
    fprintf(stderr, "evlb: --%s belongs to 'explain route URL'\n", name);
    return EXIT_USAGE;
}

static int explain_word(const struct cli *cli, const char *word)
{
    if (explain_is_end(word))
        return explain_end(cli, word);
    if (cli_wants_json(cli))
        return complain("a key is explained as text only");
    return config_explain_key(word, stdout) ? EXIT_OK : EXIT_FAILED;
}

int cmd_explain(const struct cli *cli)
{
    bool route = cli->n_operands > 0 && strcmp(cli->operands[0], "route") == 0;
    if (route && cli->n_operands < 2)
        return complain("'explain route' needs a URL");
    if (route)
        return explain_route(cli, cli->operands[1]);
    for (int id = FLAG_HEADER; id <= FLAG_CLIENT_SUBJECT; id++)
        if (cli->given[id] > 0)
            return complain_of_flag(cli_flags[id].name);
    if (cli->n_operands > 1)
        return complain("one KEY or CAUSE at a time");
    if (cli->n_operands == 1)
        return explain_word(cli, cli->operands[0]);
    if (cli_wants_json(cli))
        return complain("the configuration is explained as text only");
    return explain_all(cli);
}
