/* SPDX-License-Identifier: MIT */
/*
 * The command line: --name value and --name=value, from one table that --help prints as well.
 */
#include "options.h"

#include "bad.h"
#include "plan.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum kind { KIND_TEXT, KIND_FLAG, KIND_NUMBER, KIND_SIZE, KIND_TIME, KIND_MODE, KIND_DONE };

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *value;
    const char *help;
};

#define AT(field) offsetof(struct options, field)
/* clang-format off */
static const struct row rows[] = {
    {"listen", KIND_TEXT, AT(listen), "LIST", "addresses: 9001, 9001-9100, 127.0.0.1:9001, [::1]:9001, unix:/path; port 0: a free one"},
    {"name", KIND_TEXT, AT(names), "LIST", "their names, in the same order; one for many is numbered; default s"},
    {"mode", KIND_MODE, AT(mode), "MODE", "http (default), tcp-echo, tcp-greet, tcp-sink, tcp-source, tcp-name"},
    {"default", KIND_TEXT, AT(defaults), "QUERY", "behaviour of every request, as in its query: 'delay=20ms&status=503'"},
    {"accept-proxy", KIND_FLAG, AT(accept_proxy), NULL, "every connection has to begin with a PROXY header, v1 or v2"},
    {"keep-alive-timeout", KIND_TIME, AT(keep_alive_timeout_s), "TIME", "closes an idle connection"},
    {"max-requests", KIND_NUMBER, AT(max_requests), "N", "closes after N requests on a connection, announced"},
    {"close-after-response", KIND_FLAG, AT(close_after_response), NULL, "closes behind each response without announcing it"},
    {"accept-delay", KIND_TIME, AT(accept_delay_s), "TIME", "connections wait in the backlog for that long"},
    {"no-accept", KIND_FLAG, AT(no_accept), NULL, "never accepts: fills the backlog (see --backlog)"},
    {"backlog", KIND_NUMBER, AT(backlog), "N", "of listen(2); default 4096"},
    {"read-rate", KIND_SIZE, AT(read_rate), "SIZE", "TCP modes: reads at most that many bytes per second"},
    {"size", KIND_SIZE, AT(size_bytes), "SIZE", "tcp-source: bytes to send (1m); --bench: body bytes (128)"},
    {"bench", KIND_FLAG, AT(bench), NULL, "full speed: one composed response to whatever comes"},
    {"workers", KIND_NUMBER, AT(workers), "N", "--bench: processes, with SO_REUSEPORT"},
    {"list-bad", KIND_DONE, 0, NULL, "prints the malformed responses and ends"},
    {"help", KIND_DONE, 0, NULL, "prints this and ends"},
};
/* clang-format on */

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct {
    const char *name;
    enum mode mode;
} modes[] = {
    {"http", MODE_HTTP},         {"tcp-echo", MODE_TCP_ECHO},     {"tcp-greet", MODE_TCP_GREET},
    {"tcp-sink", MODE_TCP_SINK}, {"tcp-source", MODE_TCP_SOURCE}, {"tcp-name", MODE_TCP_NAME}};

static void print_help(void)
{
    printf("usage: backend-sim --listen LIST [--name LIST] [options]\n\n"
           "A scriptable origin server: the query of a request chooses what it does.\n"
           "Prints 'listening NAME ADDRESS' for each address when ready. Ends on TERM and INT;\n"
           "USR1 turns the answer of /healthz over.\n\nOptions:\n");
    for (size_t i = 0; i < ROWS; i++) {
        int used = printf("  --%s %s", rows[i].name, rows[i].value ? rows[i].value : "");
        printf("%*s%s\n", used < 30 ? 30 - used : 1, "", rows[i].help);
    }
    printf("\nQuery parameters, on any path, joined by '&', values percent-decoded:\n");
    plan_print_help(stdout);
    printf("\nPaths:\n"
           "  /echo                       the exact head received, and the body, as the body\n"
           "  /echo-body                  the body received\n"
           "  /echo-raw                   as /echo, with the body as it was framed on the wire\n"
           "  /proxy                      what the PROXY header said\n"
           "  /healthz                    200 or 503\n"
           "  /control/health?state=      up, down, toggle: what /healthz answers\n"
           "  /control/count              counters as JSON\n"
           "  /control/reset              counters to zero\n"
           "  /control/default?QUERY      behaviour of every later request\n"
           "  /control/listen?state=      on, off: the listening socket\n"
           "  (control: name=NAME for another listener, all=1 for all)\n"
           "  any other                   200 and the name; a websocket upgrade becomes an echo\n");
}

static bool set_mode(enum mode *mode, struct slice value)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (slice_is(value, modes[i].name)) {
            *mode = modes[i].mode;
            return true;
        }
    }
    return false;
}

static bool set_option(struct options *o, const struct row *row, const char *value)
{
    void *at = (char *)o + row->offset;
    switch (row->kind) {
    case KIND_TEXT:
        *(const char **)at = value;
        return true;
    case KIND_FLAG:
        *(bool *)at = true;
        return true;
    case KIND_NUMBER:
        return parse_number(slice_of(value), at);
    case KIND_SIZE:
        o->size_given |= strcmp(row->name, "size") == 0;
        return parse_size(slice_of(value), at);
    case KIND_TIME:
        return parse_duration(slice_of(value), at);
    case KIND_MODE:
        return set_mode(at, slice_of(value));
    case KIND_DONE:
        break;
    }
    return true;
}

static const struct row *find_row(struct slice name)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (slice_is(name, rows[i].name))
            return &rows[i];
    }
    return NULL;
}

static enum options_result complain(const char *problem, const char *what)
{
    fprintf(stderr, "backend-sim: %s '%s' (see --help)\n", problem, what);
    return OPTIONS_WRONG;
}

/* Checks what only shows when all was read. */
static enum options_result check_all(const struct options *o)
{
    if (!o->listen)
        return complain("missing option", "--listen");
    if (o->backlog > 65535 || o->workers > 64)
        return complain("value too large for", o->workers > 64 ? "--workers" : "--backlog");
    struct plan p;
    plan_init(&p);
    bool good = plan_read(&p, slice_of(o->defaults ? o->defaults : "")) && p.ignored.len == 0;
    plan_free(&p);
    return good ? OPTIONS_RUN : complain("no behaviour", o->defaults);
}

enum options_result options_read(int argc, char **argv, struct options *out)
{
    *out = (struct options){.backlog = 4096, .size_bytes = 1024 * 1024, .workers = 1};
    for (int i = 1; i < argc; i++) {
        struct slice value = slice_of(argv[i]);
        if (!slice_starts(value, "--"))
            return complain("not an option", argv[i]);
        value = (struct slice){value.ptr + 2, value.len - 2};
        struct slice name = slice_cut(&value, '=');
        const struct row *row = find_row(name);
        if (!row)
            return complain("unknown option", argv[i]);
        const char *text = value.ptr;
        if (row->kind == KIND_DONE) {
            if (slice_is(name, "help"))
                print_help();
            else
                bad_print_list(stdout);
            return OPTIONS_DONE;
        }
        if (row->kind != KIND_FLAG && !text) {
            if (i + 1 == argc)
                return complain("no value for", argv[i]);
            text = argv[++i];
        }
        if (!set_option(out, row, text))
            return complain("bad value for", row->name);
    }
    return check_all(out);
}
