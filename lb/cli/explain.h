// SPDX-License-Identifier: MIT
// The parts of `evlb explain` that have a file of their own.
#ifndef EVLB_CLI_EXPLAIN_H
#define EVLB_CLI_EXPLAIN_H

#include "base/str.h"
#include "cli/cli.h"

// True when `word` is the letters (sH) or the name (server-timeout-wait) of an end cause.
bool explain_is_end(const char *word);
int explain_end(const struct cli *cli, const char *word) MUST_CHECK;
// What an operator can do about one cause; never NULL. The causes are those of core/end.h.
const char *explain_end_advice(int cause);

// Who would serve a request for `url`.
int explain_route(const struct cli *cli, const char *url) MUST_CHECK;

// A URL taken apart. host is empty for "/path".
struct explained_url {
    struct str scheme;    // "http", "https", "tls", "tcp"; empty when not given
    struct str authority; // host and port as written
    uint16_t port;        // explicit, else of the scheme; 0 when neither is given
    bool explicit_port;
    struct str target; // path and query, "/" when not given; without fragment
};
bool explain_url_parse(struct str url, struct explained_url *out) MUST_CHECK;

#endif
