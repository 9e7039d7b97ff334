// SPDX-License-Identifier: MIT
// The two tables that the command line is made of. A new command is one row here and one cmd_*.c;
// a new flag one row here and one FLAG_ id. Parsing (parse.c), help (help.c), completion
// (cmd_completion.c) and did-you-mean read them. Commands that other parts of evlb will bring
// stand here as planned, so that who types them learns that instead of a wrong suggestion.
#include "cli/cli.h"

// clang-format off
const struct cli_flag cli_flags[FLAG_COUNT] = {
    [FLAG_CONFIG]   = {"config", 'c', "FILE", NULL, "else $EVLB_CONFIG, else /etc/evlb/evlb.yaml"},
    [FLAG_SOCKET]   = {"socket", 0, "PATH", NULL, "else of the file given, else $EVLB_SOCKET"},
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
    [FLAG_ALPN]     = {"alpn", 0, "NAMES", NULL, "what a TLS client offers: h2,http/1.1"},
    [FLAG_TLS_VERSION] = {"tls-version", 0, "VERSION", "1.2 1.3", "of the client's TLS; else 1.3"},
    [FLAG_TLS_CIPHER]  = {"tls-cipher", 0, "NAME", NULL, "of the client's TLS; else none that a route names"},
    [FLAG_TLS_RESUMED] = {"tls-resumed", 0, NULL, NULL, "the client resumes a TLS session"},
    [FLAG_CLIENT_SUBJECT] = {"client-subject", 0, "NAME", NULL, "of its certificate; else it shows none, if it may"},
    [FLAG_JSON]     = {"json", 0, NULL, NULL, "the same as --format=json"},
    [FLAG_VERSION]  = {"version", 0, NULL, NULL, "the version in one line"},
    [FLAG_WAIT]     = {"wait", 0, "[TIME]", NULL, "until it is done, at most so long (60s)"},
    [FLAG_FOR]      = {"for", 0, "TIME", NULL, "ends by itself after that (10m, 1h30m)"},
    [FLAG_REASON]   = {"reason", 0, "TEXT", NULL, "shown in status and log"},
    [FLAG_WEIGHT]   = {"weight", 0, "N", NULL, "of the server added: 0 to 256"},
    [FLAG_TIER]     = {"tier", 0, "N", NULL, "of the server added: 1 is used first"},
    [FLAG_MAX_CONNECTIONS] = {"max-connections", 0, "N", NULL, "of the server added"},
    [FLAG_FOLLOW]   = {"follow", 'f', NULL, NULL, "go on with what comes"},
    [FLAG_LIMIT]    = {"limit", 0, "N", NULL, "at most so many (1000)"},
};

#define CONFIG FLAG_BIT(FLAG_CONFIG)
#define SOCKET FLAG_BIT(FLAG_SOCKET)
#define FORMAT FLAG_BIT(FLAG_FORMAT)
#define VOLUME (FLAG_BIT(FLAG_QUIET) | FLAG_BIT(FLAG_VERBOSE))
#define NO_FILE (FLAG_BIT(FLAG_LISTEN) | FLAG_BIT(FLAG_TO) | FLAG_BIT(FLAG_MODE))
#define CTL (CONFIG | SOCKET)
#define CLIENT_TLS \
    (FLAG_BIT(FLAG_ALPN) | FLAG_BIT(FLAG_TLS_VERSION) | FLAG_BIT(FLAG_TLS_CIPHER) | \
     FLAG_BIT(FLAG_TLS_RESUMED) | FLAG_BIT(FLAG_CLIENT_SUBJECT))
#define CTL_DETAILS \
     "The socket: --socket, else admin.socket of the file given with -c, else\n" \
     "$EVLB_SOCKET, else /run/evlb/ctl.sock (root) or $XDG_RUNTIME_DIR/evlb/ctl.sock.\n" \
     "Exit status: 0 done, 1 refused, 2 usage, 4 no such object, 5 evlb does not\n" \
     "answer, 124 not done in time (--wait)."
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
     CONFIG | FORMAT | FLAG_BIT(FLAG_HEADER) | FLAG_BIT(FLAG_FRONTEND) | CLIENT_TLS, COMMAND_SHOWN, cmd_explain,
     "text json",
     "say what is in force, and why",
     "  evlb explain                  the configuration with all defaults and origins\n"
     "  evlb explain balance          one key: meaning, type, default, limits\n"
     "  evlb explain sH               why a request ended so, and what to do about it\n"
     "  evlb explain route http://shop.example.com/api/x -H 'Cookie: a=1'\n"
     "                                which frontend, route, backend and servers serve\n"
     "                                it, without sending anything\n"
     "  evlb explain route https://shop.example.com/ --client-subject CN=ops\n"
     "  evlb explain route tls://shop.example.com --alpn h2\n"
     "                                the same for a TLS client, in mode http and tcp\n"
     "--format=json: CAUSE and route only."},
    {"init", "[FILE]", 1, 0, COMMAND_SHOWN, cmd_init, NULL,
     "write a commented starter configuration",
     "FILE is evlb.yaml when not given, - for standard output. Never overwrites."},
    {"schema", "", 0, 0, COMMAND_SHOWN, cmd_schema, NULL,
     "print the JSON Schema of the configuration",
     "For editors: evlb schema > evlb.schema.json, and as first line of the file\n"
     "# yaml-language-server: $schema=evlb.schema.json"},
    {"diff", "[FILE]", 1, CONFIG | SOCKET | FORMAT, COMMAND_SHOWN, cmd_diff, "text json",
     "say what a reload with this file would change",
     "Reads FILE (else -c, else $EVLB_CONFIG, else /etc/evlb/evlb.yaml) and compares\n"
     "it with what the running evlb does: + added, - removed, ~ changed, ! needs a\n"
     "restart. Changes nothing. Servers added or removed at run time stay, as they\n"
     "would in a reload.\n"
     "Exit status: 0 no difference, 1 differences, 2 usage or invalid file, 5 evlb\n"
     "does not answer."},
    {"healthcheck", "", 0, CONFIG | SOCKET | FLAG_BIT(FLAG_VERBOSE), COMMAND_SHOWN, cmd_healthcheck, NULL,
     "exit with 0 when evlb takes connections, else 1",
     "For keepalived, containers, BIRD. Says nothing; -v says why not."},
    {"ctl status", "", 0, CTL | FORMAT, COMMAND_SHOWN, cmd_ctl_status, "text json",
     "show what a running evlb is doing", CTL_DETAILS},
    {"ctl show", "[BACKEND[/SERVER]]", 1, CTL | FORMAT, COMMAND_SHOWN, cmd_ctl_show, "text json names",
     "show backends, one of them, or one server with its checks",
     "--format=names: the names alone.\n\n" CTL_DETAILS},
    {"ctl server", "VERB BACKEND/SERVER [VALUE]", 3,
     CTL | FORMAT | FLAG_BIT(FLAG_WAIT) | FLAG_BIT(FLAG_FOR) | FLAG_BIT(FLAG_REASON) |
     FLAG_BIT(FLAG_WEIGHT) | FLAG_BIT(FLAG_TIER) | FLAG_BIT(FLAG_MAX_CONNECTIONS),
     COMMAND_SHOWN, cmd_ctl_server, "text json",
     "drain, ready, weigh, add or remove a server",
     "  drain app/a    no new work; what is in progress goes on, and so do checks\n"
     "  maint app/a    no work, no checks\n"
     "  ready app/a    works again, as its checks say\n"
     "  weight app/a 5 or `default`: as in the file\n"
     "  add app/c 10.0.0.13:8080\n"
     "  remove app/a   as soon as it has nothing in progress any more\n"
     "--wait: with drain, maint and remove until nothing is in progress there, with\n"
     "ready until it is up. --for: drain and maint end by themselves.\n"
     "What is added or removed stands over the file until evlb is restarted.\n\n" CTL_DETAILS},
    {"ctl backend", "switch BACKEND SERVER", 3, CTL | FORMAT | FLAG_BIT(FLAG_REASON), COMMAND_SHOWN,
     cmd_ctl_backend, "text json",
     "switch to another server",
     "The server (failover: active-passive) or its tier (active-active) works from\n"
     "now on, until it is not usable or the best one is chosen again.\n\n" CTL_DETAILS},
    {"ctl sessions", "", 0, CTL | FORMAT | FLAG_BIT(FLAG_LIMIT), COMMAND_SHOWN, cmd_ctl_sessions,
     "text json",
     "list what clients are doing now", CTL_DETAILS},
    {"ctl events", "", 0, CTL | FORMAT | FLAG_BIT(FLAG_FOLLOW), COMMAND_SHOWN, cmd_ctl_events,
     "text json",
     "list what has happened; -f: and what happens",
     "Servers that went down or came back, switches, reloads, changes by hand: the\n"
     "last 1,000. --format=json with -f: one object per line.\n\n" CTL_DETAILS},
    {"ctl reload", "", 0, CTL | FORMAT | FLAG_BIT(FLAG_WAIT), COMMAND_SHOWN, cmd_ctl_reload, "text json",
     "take changed files into force",
     "Prints what was changed; when the files are not valid, what is wrong with them,\n"
     "and nothing was changed. Always waits until all processes have taken the new\n"
     "configuration; --wait says how long at most.\n\n" CTL_DETAILS},
    {"ctl certs", "[reload | NAME]", 1, CTL | FORMAT, COMMAND_SHOWN, cmd_ctl_certs, "text json",
     "show certificates, or take changed ones into force",
     "  ctl certs             the certificates in force\n"
     "  ctl certs NAME        all about those with NAME in a name or file name\n"
     "  ctl certs reload      read certificates, keys, authorities, lists again\n"
     "reload leaves the rest of the configuration as it is in force, whatever the file\n"
     "says by now. A certificate that cannot be used stays as it was, and why is said:\n"
     "then the exit status is 1.\n\n" CTL_DETAILS},
    {"ctl upgrade", "", 0, CTL | FORMAT, COMMAND_SHOWN, cmd_ctl_upgrade, "text json",
     "go over to a new binary",
     "The program file that evlb was started from is started anew, with the same\n"
     "arguments and on the same sockets; when it serves, the old process finishes its\n"
     "connections and ends. One that does not serve within 30 s is killed, and nothing\n"
     "has changed. The files are read anew; states of servers, drain, maint, weight,\n"
     "switch, servers added or removed at run time go over; counters begin at 0.\n\n" CTL_DETAILS},
    {"ctl worker", "restart N", 2, CTL | FORMAT, COMMAND_SHOWN, cmd_ctl_worker, "text json",
     "replace a worker by a fresh process",
     "Its connections are finished first.\n\n" CTL_DETAILS},
    {"ctl log", "level LEVEL | reopen", 2, CTL | FORMAT, COMMAND_SHOWN, cmd_ctl_log, "text json",
     "change the log level, reopen log files",
     "LEVEL is one of: error warning info debug. reopen is for logrotate.\n\n" CTL_DETAILS},
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
    PLANNED("top", "live view"),
};
// clang-format on

const size_t cli_command_count = ARRAY_LEN(cli_commands);
