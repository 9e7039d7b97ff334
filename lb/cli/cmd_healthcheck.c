// SPDX-License-Identifier: MIT
// `evlb healthcheck`: whether the evlb of this machine takes connections, as an exit status, for
// those who ask every second (keepalived, containers, BIRD). GET /v1/ready over the control socket.
#include "cli/ctl_client.h"

static int check(struct ctl *ctl)
{
    struct ctl_answer answer;
    ctl->quiet = ctl->cli->given[FLAG_VERBOSE] == 0;
    return ctl_get(ctl, "/v1/ready", &answer) == EXIT_OK ? EXIT_OK : EXIT_FAILED;
}

int cmd_healthcheck(const struct cli *cli)
{
    int status = ctl_run(cli, check);
    return status == EXIT_OK || status == EXIT_USAGE ? status : EXIT_FAILED;
}
