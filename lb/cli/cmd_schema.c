// SPDX-License-Identifier: MIT
// `evlb schema`, and the hidden `evlb reference` and `evlb man-page`: documents made from the rows
// of the configuration's schema. Each prints to standard output and nothing else.
#include "cli/cli.h"
#include "conf/load.h"

int cmd_schema(const struct cli *cli)
{
    (void)cli;
    config_schema_json(stdout);
    return EXIT_OK;
}

int cmd_reference(const struct cli *cli)
{
    (void)cli;
    config_reference(stdout);
    return EXIT_OK;
}

int cmd_man_page(const struct cli *cli)
{
    (void)cli;
    config_man_page(stdout);
    return EXIT_OK;
}
