// SPDX-License-Identifier: MIT
// Printing a JSON document that was built with base/json.h: the answers of commands asked for
// --format=json.
#include "cli/json_out.h"

#include "cli/cli.h"

int json_print(struct json *j)
{
    bool failed = j->failed;
    if (failed)
        fprintf(stderr, "evlb: out of memory\n");
    else
        printf("%.*s\n", (int)buf_len(j->out), buf_head(j->out));
    buf_release(j->out);
    return failed ? EXIT_FAILED : EXIT_OK;
}
