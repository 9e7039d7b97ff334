// SPDX-License-Identifier: MIT
// Which configuration a command is about, and loading it.
#ifndef EVLB_CLI_SOURCE_H
#define EVLB_CLI_SOURCE_H

#include "cli/cli.h"
#include "conf/load.h"

#define CONFIG_DEFAULT_PATH "/etc/evlb/evlb.yaml"

// --config, else $EVLB_CONFIG, else CONFIG_DEFAULT_PATH.
const char *cli_config_path(const struct cli *cli);
// The configuration that the flags name, --listen and --to included; nothing in it points into
// argv: what is made from flags lies in `arena`. EXIT_USAGE after a complaint on standard error
// when the flags contradict each other.
int cli_source(const struct cli *cli, struct arena *arena, struct config_source *out) MUST_CHECK;

// --socket, else the admin.socket of the file that the command line names (empty: none), else
// $EVLB_SOCKET, else NULL.
const char *cli_socket(const struct cli *cli, struct str of_named_file);

// Whether to colour what goes to `out`: a terminal, and NO_COLOR (no-color.org) is not set.
bool cli_colour(FILE *out);
bool cli_wants_json(const struct cli *cli);
// "evlb.yaml:7" in `a`; "a default" when it stands nowhere.
const char *cli_mark(struct arena *a, struct conf_mark mark);
// 1 frontend, 2 frontends.
const char *cli_plural(uint32_t n);

#endif
