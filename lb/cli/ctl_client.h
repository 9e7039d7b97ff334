// SPDX-License-Identifier: MIT
// Asking a running evlb over its control socket.
#ifndef EVLB_CLI_CTL_CLIENT_H
#define EVLB_CLI_CTL_CLIENT_H

#include "base/arena.h"
#include "base/json_read.h"
#include "cli/cli.h"

struct ctl {
    const struct cli *cli;
    const char *path;    // of the socket
    const char *file;    // whose admin.socket that is; NULL: it comes from elsewhere
    struct arena *arena; // of all texts and answers
    bool quiet;          // no complaints: the exit status tells
    bool timed_out;      // the last answer did not come in time
};

struct ctl_request {
    const char *method, *target;
    struct str body;  // JSON, or a bundle; p NULL: none
    uint32_t seconds; // how long a silence may last; 0: 5
};

struct ctl_answer {
    uint16_t status; // HTTP
    struct str body;
    const struct json_value *json; // the same as a tree
};

// Finds the socket (--socket, else admin.socket of --config, else $EVLB_SOCKET, else the usual
// place) and runs `work`. Returns its exit status, or that of a complaint on standard error.
int ctl_run(const struct cli *cli, int (*work)(struct ctl *ctl)) MUST_CHECK;
// The same with the admin.socket of `file` (NULL: none).
int ctl_run_of(const struct cli *cli, const char *file, int (*work)(struct ctl *ctl)) MUST_CHECK;

// Asks and reads the whole answer. EXIT_OK: it is a 2xx with JSON. Else, after a complaint on
// standard error: EXIT_FAILED (refused), EXIT_NO_OBJECT (404) or EXIT_UNREACHABLE.
int ctl_ask(struct ctl *ctl, const struct ctl_request *r, struct ctl_answer *out) MUST_CHECK;
int ctl_get(struct ctl *ctl, const char *target, struct ctl_answer *out) MUST_CHECK;
// Reads a stream of events: calls `on_data` with each data line until that is false or the stream
// ends (EXIT_UNREACHABLE then).
int ctl_follow(struct ctl *ctl, const char *target, bool (*on_data)(void *ctx, struct str data),
               void *ctx) MUST_CHECK;

// One member of a request body.
struct ctl_member {
    const char *name;
    struct str value; // p NULL: it is left out
    bool bare;        // a number or null, not a text
};
// A JSON object of these, in `a`.
struct str ctl_body(struct arena *a, const struct ctl_member *members, size_t n) MUST_CHECK;

// The answer as it came, for --format=json.
int ctl_print(const struct ctl_answer *answer) MUST_CHECK;
// A text of whole lines.
void ctl_print_lines(struct str text);
int ctl_usage(const struct cli *cli, const char *complaint) MUST_CHECK;
// "app/a" into its two parts. False: it is not that, or a part has letters that no name has.
bool ctl_split(struct str object, struct str *backend, struct str *server) MUST_CHECK;
// The value of a flag as a duration in ms; `usual` when the flag has none. False after a complaint.
bool ctl_duration(const struct cli *cli, enum flag_id flag, uint64_t usual,
                  uint64_t *ms) MUST_CHECK;

#endif
