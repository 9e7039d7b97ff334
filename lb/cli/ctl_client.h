// SPDX-License-Identifier: MIT
// Asking a running evlb over its control socket.
#ifndef EVLB_CLI_CTL_CLIENT_H
#define EVLB_CLI_CTL_CLIENT_H

#include "base/arena.h"
#include "base/str.h"
#include "cli/cli.h"

struct ctl_answer {
    uint16_t status; // HTTP
    struct str body;
};

// Where the socket is: --socket, else $EVLB_SOCKET, else admin.socket of --config, else the usual
// place. EXIT_OK or the exit status after a complaint on standard error.
int ctl_socket_path(const struct cli *cli, struct arena *a, const char **path) MUST_CHECK;
// GET `target`; the answer in `a`. EXIT_OK or EXIT_UNREACHABLE after a complaint.
int ctl_get(const char *socket_path, const char *target, struct arena *a,
            struct ctl_answer *out) MUST_CHECK;

#endif
