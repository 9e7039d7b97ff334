// SPDX-License-Identifier: MIT
// The command line of evlb: one row per flag and one per command (commands.c) drive parsing, help,
// shell completion and did-you-mean.
#ifndef EVLB_CLI_H
#define EVLB_CLI_H

#include "base/base.h"

// Exit statuses; the same numbers stand in evlb(1).
enum cli_exit {
    EXIT_OK = 0,
    EXIT_FAILED = 1,          // check: invalid; run: runtime failure; ctl: refused
    EXIT_USAGE = 2,           // also: a file that cannot be read
    EXIT_WARNINGS = 3,        // check --strict: valid, with warnings
    EXIT_NO_OBJECT = 4,       // ctl: no such object
    EXIT_UNREACHABLE = 5,     // ctl: the daemon does not answer
    EXIT_CONFIG_INVALID = 78, // run: sysexits' EX_CONFIG
    EXIT_TIMED_OUT = 124,     // ctl --wait: as timeout(1)
};

enum flag_id {
    FLAG_CONFIG,
    FLAG_SOCKET,
    FLAG_FORMAT,
    FLAG_QUIET,
    FLAG_VERBOSE,
    FLAG_HELP,
    FLAG_LISTEN,
    FLAG_TO,
    FLAG_MODE,
    FLAG_STRICT,
    FLAG_HEADER,
    FLAG_FRONTEND,
    FLAG_ALPN,
    FLAG_TLS_VERSION,
    FLAG_TLS_CIPHER,
    FLAG_TLS_RESUMED,
    FLAG_CLIENT_SUBJECT,
    FLAG_JSON,
    FLAG_VERSION,
    FLAG_WAIT,
    FLAG_FOR,
    FLAG_REASON,
    FLAG_WEIGHT,
    FLAG_TIER,
    FLAG_MAX_CONNECTIONS,
    FLAG_FOLLOW,
    FLAG_LIMIT,
    FLAG_COUNT
};

#define FLAG_BIT(id) (1u << (id))

struct cli_flag {
    const char *name;  // without the dashes
    char letter;       // 0: none
    const char *value; // what its value is called, "[TIME]" when it may be left out; NULL: it has
                       // none
    const char *words; // the values it can take, separated by spaces, or NULL
    const char *help;
};

enum command_kind {
    COMMAND_SHOWN,
    COMMAND_HIDDEN,  // for the build and for packagers; not in the overview
    COMMAND_PLANNED, // known by name only, so that the answer is better than "unknown"
};

struct cli {
    const struct cli_command *command;
    const char *group; // first word of commands of two ("ctl"), when no second was given
    const char *value[FLAG_COUNT]; // of the last one given, NULL: none
    uint32_t given[FLAG_COUNT];    // how often
    const char **to;               // --to, in order
    const char **headers;          // -H, in order
    const char **operands;
    uint32_t n_to, n_headers, n_operands;
    int argc; // as main() got them
    char **argv;
};

struct cli_command {
    const char *name;     // "check", "ctl status"
    const char *operands; // as usage shows them, "" for none
    uint32_t max_operands;
    uint32_t flags; // FLAG_BITs it takes; FLAG_HELP goes without saying
    enum command_kind kind;
    int (*run)(const struct cli *cli);
    const char *formats; // what --format takes here, the first is the default; NULL: no --format
    const char *summary; // one line
    const char *details; // what --help says more, lines of at most 80 columns
};

extern const struct cli_flag cli_flags[FLAG_COUNT];
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

// Parses and runs. Returns the exit status of the process.
int cli_main(int argc, char **argv) MUST_CHECK;

// ---- parse.c ----
// Reads a command line into `out`; complaints go to `err`. EXIT_OK: `out` is filled (command is
// NULL when only flags were given). The caller frees with cli_free() in either case.
int cli_parse(int argc, char **argv, struct cli *out, FILE *err) MUST_CHECK;
void cli_free(struct cli *cli);
// True when `word` is one of the space-separated `words`.
bool cli_word_in(const char *words, const char *word);

// ---- help.c ----
void help_overview(FILE *out, bool all);
// The commands whose first word is `group`.
void help_group(FILE *out, const char *group);
void help_command(FILE *out, const struct cli_command *command, bool all);

// ---- the commands, one cmd_*.c each ----
int cmd_run(const struct cli *cli) MUST_CHECK;
int cmd_check(const struct cli *cli) MUST_CHECK;
int cmd_explain(const struct cli *cli) MUST_CHECK;
int cmd_schema(const struct cli *cli) MUST_CHECK;
int cmd_reference(const struct cli *cli) MUST_CHECK;
int cmd_man_page(const struct cli *cli) MUST_CHECK;
int cmd_init(const struct cli *cli) MUST_CHECK;
int cmd_version(const struct cli *cli) MUST_CHECK;
int cmd_completion(const struct cli *cli) MUST_CHECK;
int cmd_healthcheck(const struct cli *cli) MUST_CHECK;
int cmd_diff(const struct cli *cli) MUST_CHECK;
int cmd_ctl_status(const struct cli *cli) MUST_CHECK;
int cmd_ctl_show(const struct cli *cli) MUST_CHECK;
int cmd_ctl_server(const struct cli *cli) MUST_CHECK;
int cmd_ctl_backend(const struct cli *cli) MUST_CHECK;
int cmd_ctl_sessions(const struct cli *cli) MUST_CHECK;
int cmd_ctl_events(const struct cli *cli) MUST_CHECK;
int cmd_ctl_certs(const struct cli *cli) MUST_CHECK;
int cmd_ctl_reload(const struct cli *cli) MUST_CHECK;
int cmd_ctl_upgrade(const struct cli *cli) MUST_CHECK;
int cmd_ctl_worker(const struct cli *cli) MUST_CHECK;
int cmd_ctl_log(const struct cli *cli) MUST_CHECK;

#endif
