// SPDX-License-Identifier: MIT
// The two tables that the command line is made of. A new command is one row here and one cmd_*.c;
// a new flag one row here and one FLAG_ id. Parsing (parse.c), help (help.c), completion
// (cmd_completion.c) and did-you-mean read them. Commands that other parts of evlb will bring
// stand here as planned, so that who types them learns that instead of a wrong suggestion.
#include "cli/cli.h"

// clang-format off
const struct cli_flag cli_flags[FLAG_COUNT] = {
    [FLAG_CONFIG]   = {"config", 'c', "FILE", NULL, "else $EVLB_CONFIG, else /etc/evlb/evlb.yaml"},
    [FLAG_SOCKET]   = {"socket", 0, "PATH", NULL, "else $EVLB_SOCKET, else the usual place"},
    [FLAG_FORMAT]   = {"format", 0, "FORMAT", NULL, "how the answer is written"},
    [FLAG_QUIET]    = {"quiet", 'q', NULL, NULL, "say less"},
    [FLAG_VERBOSE]  = {"verbose", 'v', NULL, NULL, "say more"},
    [FLAG_HELP]     = {"help", 'h', NULL, NULL, "-h: one screen; --help: everything"},
    [FLAG_LISTEN]   = {"listen", 0, "ADDRESS", NULL, "no file: where clients arrive (8080, 10.0.0.1:80)"},
    [FLAG_TO]       = {"to", 0, "ADDRESS", NULL, "no file: a server; may be repeated"},
    [FLAG_MODE]     = {"mode", 0, "MODE", "http tcp", "no file: http (default) or tcp"},
    [FLAG_STRICT]   = {"strict", 0, NULL, NULL, "warnings fail too (exit status 3)"},
    [FLAG_HEADER]   = {"header", 'H', "'NAME: VALUE'", NULL, "a field of the request; may be repeated"},
    [FLAG_FRONTEND] = {"frontend", 0, "NAME", NULL, "where it arrives; else found by the port"},
    [FLAG_JSON]     = {"json", 0, NULL, NULL, "the same as --format=json"},
    [FLAG_VERSION]  = {"version", 0, NULL, NULL, "the version in one line"},
};

#define CONFIG FLAG_BIT(FLAG_CONFIG)
#define SOCKET FLAG_BIT(FLAG_SOCKET)
#define FORMAT FLAG_BIT(FLAG_FORMAT)
#define VOLUME (FLAG_BIT(FLAG_QUIET) | FLAG_BIT(FLAG_VERBOSE))
#define NO_FILE (FLAG_BIT(FLAG_LISTEN) | FLAG_BIT(FLAG_TO) | FLAG_BIT(FLAG_MODE))
#define PLANNED(name, summary) {name, "", 0, 0, COMMAND_PLANNED, NULL, NULL, summary, NULL}

const struct cli_command cli_commands[] = {
    {"run", "", 0, CONFIG | SOCKET | NO_FILE | VOLUME, COMMAND_SHOWN, cmd_run, NULL,
     "serve in the foreground; log to standard error",
     "  evlb run -c evlb.yaml\n"
     "  evlb run --listen 8080 --to 10.0.0.11:80 --to 10.0.0.12:80\n"
     "\n"
     "TERM and INT stop gracefully; a second one stops at once.\n"
     "Exit status: 0 stopped, 1 failed, 2 usage, 71 cannot bind, 78 invalid file."},
    {"check", "", 0, CONFIG | FORMAT | FLAG_BIT(FLAG_QUIET) | FLAG_BIT(FLAG_STRICT), COMMAND_SHOWN, cmd_check,
     "text gcc json github",
     "say what is wrong with a configuration",
     "FILE may be a directory (its *.yaml files) or - (standard input). Opens no\n"
     "sockets and no logs: safe beside a running evlb.\n"
     "Exit status: 0 valid, 1 invalid, 2 usage or unreadable, 3 warnings (--strict)."},
    {"explain", "[KEY | CAUSE | route URL]", 2,
     CONFIG | FORMAT | FLAG_BIT(FLAG_HEADER) | FLAG_BIT(FLAG_FRONTEND), COMMAND_SHOWN, cmd_explain,
     "text json",
     "say what is in force, and why",
     "  evlb explain                  the configuration with all defaults and origins\n"
     "  evlb explain balance          one key: meaning, type, default, limits\n"
     "  evlb explain sH               why a request ended so, and what to do about it\n"
     "  evlb explain route http://shop.example.com/api/x -H 'Cookie: a=1'\n"
     "                                which frontend, route, backend and servers serve\n"
     "                                it, without sending anything\n"
     "--format=json: CAUSE and route only."},
    {"init", "[FILE]", 1, 0, COMMAND_SHOWN, cmd_init, NULL,
     "write a commented starter configuration",
     "FILE is evlb.yaml when not given, - for standard output. Never overwrites."},
    {"schema", "", 0, 0, COMMAND_SHOWN, cmd_schema, NULL,
     "print the JSON Schema of the configuration",
     "For editors: evlb schema > evlb.schema.json, and as first line of the file\n"
     "# yaml-language-server: $schema=evlb.schema.json"},
    {"ctl status", "", 0, CONFIG | SOCKET | FORMAT, COMMAND_SHOWN, cmd_ctl_status, "text json",
     "show what a running evlb is doing",
     "The socket: --socket, else $EVLB_SOCKET, else admin.socket of the file given\n"
     "with -c, else /run/evlb/ctl.sock (root) or $XDG_RUNTIME_DIR/evlb/ctl.sock.\n"
     "Exit status: 0 shown, 1 refused, 2 usage, 5 evlb does not answer."},
    {"version", "", 0, FORMAT | FLAG_BIT(FLAG_JSON), COMMAND_SHOWN, cmd_version, "text json",
     "print the version, how it was built, and its libraries", NULL},
    {"completion", "bash|zsh|fish", 1, 0, COMMAND_SHOWN, cmd_completion, NULL,
     "print a completion script for a shell",
     "  source <(evlb completion bash)\n"
     "  evlb completion zsh > \"${fpath[1]}/_evlb\"\n"
     "  evlb completion fish > ~/.config/fish/completions/evlb.fish"},
    {"reference", "", 0, 0, COMMAND_HIDDEN, cmd_reference, NULL,
     "print docs/configuration.md", NULL},
    {"man-page", "", 0, 0, COMMAND_HIDDEN, cmd_man_page, NULL,
     "print the source of evlb.yaml(5)", NULL},
    PLANNED("diff", "what a reload would change"),
    PLANNED("healthcheck", "0 when ready: for keepalived, containers, BIRD"),
    PLANNED("top", "live view"),
    PLANNED("ctl show", "one backend or server"),
    PLANNED("ctl reload", "take a changed configuration into force"),
    PLANNED("ctl server", "drain, maintain, weigh a server"),
    PLANNED("ctl backend", "switch the active server"),
    PLANNED("ctl certs", "reload certificates"),
    PLANNED("ctl events", "follow what happens"),
    PLANNED("ctl sessions", "list sessions"),
    PLANNED("ctl log", "change the log level, reopen files"),
};
// clang-format on

const size_t cli_command_count = ARRAY_LEN(cli_commands);
