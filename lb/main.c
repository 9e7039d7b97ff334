// SPDX-License-Identifier: MIT
// Entry point: the command line goes to cli/, whose answer is the exit status. Nothing else.
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
