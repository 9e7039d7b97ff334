/* SPDX-License-Identifier: MIT */
/*
 * The behaviour grammar: the query of a request target becomes a plan.
 *
 * One row of the table below per parameter: its name, the kind of its value, where the value goes,
 * and the sentence that --help prints. docs/backend-sim.md has the same list with examples. A later
 * parameter overrides an earlier one, so a request overrides the defaults of its listener. Unknown
 * names are skipped (a test may use its own query) and reported in X-Sim-Ignored; a bad value is
 * answered with 400.
 */
#include "plan.h"

#include "bad.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_MAX (16U * 1024U * 1024U)

enum kind { KIND_FLAG, KIND_SIZE, KIND_NUMBER, KIND_TIME, KIND_CALL };

struct parameter {
    const char *name;
    enum kind kind;
    size_t offset;
    bool (*call)(struct plan *p, struct slice value);
    const char *value;
    const char *help;
};

static bool set_framing(struct plan *p, struct slice value)
{
    p->framing = slice_is(value, "chunked") ? FRAMING_CHUNKED
                 : slice_is(value, "close") ? FRAMING_CLOSE
                                            : FRAMING_LENGTH;
    return p->framing != FRAMING_LENGTH || slice_is(value, "length");
}

static bool set_early(struct plan *p, struct slice value)
{
    p->early_count = 0;
    while (value.len) {
        uint64_t status = 0;
        if (p->early_count == EARLY_MAX || !parse_number(slice_cut(&value, ','), &status) ||
            status < 100 || status > 199)
            return false;
        p->early[p->early_count++] = status;
    }
    return true;
}

static bool set_bad(struct plan *p, struct slice value)
{
    p->bad = bad_find(value);
    return p->bad != NULL;
}

/* A chunk is composed in memory, so it has a limit. */
static bool set_chunk(struct plan *p, struct slice value)
{
    return parse_size(value, &p->chunk) && p->chunk > 0 && p->chunk <= CHUNK_MAX;
}

static bool set_header(struct plan *p, struct slice value)
{
    const char *colon = memchr(value.ptr, ':', value.len);
    if (!colon)
        return false;
    struct slice name = slice_cut(&value, ':');
    buf_add_slice(&p->headers, name);
    buf_add_text(&p->headers, ": ");
    buf_add_slice(&p->headers, slice_trim(value));
    buf_add_text(&p->headers, "\r\n");
    return true;
}

static bool set_reason(struct plan *p, struct slice value)
{
    buf_clear(&p->reason);
    buf_add_slice(&p->reason, value);
    return true;
}

static bool set_read(struct plan *p, struct slice value)
{
    p->read_rate = slice_is(value, "slow") ? 1024 : 0;
    return slice_is(value, "slow") || slice_is(value, "fast");
}

static bool set_no_read(struct plan *p, struct slice value)
{
    p->reading = slice_is(value, "1")       ? READING_NOT
                 : slice_is(value, "drain") ? READING_AFTER
                                            : READING_FIRST;
    return p->reading != READING_FIRST || slice_is(value, "0");
}

static bool set_close(struct plan *p, struct slice value)
{
    p->closing = slice_is(value, "1")       ? CLOSING_ANNOUNCED
                 : slice_is(value, "quiet") ? CLOSING_QUIET
                                            : CLOSING_NO;
    return p->closing != CLOSING_NO || slice_is(value, "0");
}

static bool set_expect(struct plan *p, struct slice value)
{
    p->expecting = slice_is(value, "417")      ? EXPECT_REFUSE
                   : slice_is(value, "ignore") ? EXPECT_IGNORE
                                               : EXPECT_CONTINUE;
    return p->expecting != EXPECT_CONTINUE || slice_is(value, "100");
}

static bool set_version(struct plan *p, struct slice value)
{
    p->minor = slice_is(value, "1.0") ? 0 : 1;
    return p->minor == 0 || slice_is(value, "1.1");
}

#define AT(field) offsetof(struct plan, field), NULL
/* clang-format off */
static const struct parameter parameters[] = {
    {"status", KIND_NUMBER, AT(status), "503", "status code, 100 to 999"},
    {"reason", KIND_CALL, 0, set_reason, "TEXT", "reason phrase"},
    {"version", KIND_CALL, 0, set_version, "1.0", "version in the status line"},
    {"header", KIND_CALL, 0, set_header, "Name:value", "adds a header line; may be repeated"},
    {"size", KIND_SIZE, AT(size), "10m", "body of that many bytes of the pattern"},
    {"framing", KIND_CALL, 0, set_framing, "length|chunked|close", "how the end of the body shows"},
    {"chunk", KIND_CALL, 0, set_chunk, "16k", "bytes per chunk (or per write, see chunk-delay)"},
    {"chunk-delay", KIND_TIME, AT(chunk_delay_s), "10ms", "wait after each chunk"},
    {"trailers", KIND_FLAG, AT(trailers), "1", "trailers behind the chunks (implies chunked)"},
    {"early", KIND_CALL, 0, set_early, "100,103", "1xx responses first, any number"},
    {"delay", KIND_TIME, AT(delay_s), "200ms", "wait before the head (behind the 1xx)"},
    {"drip", KIND_SIZE, AT(drip), "1", "at most that many bytes per send"},
    {"drip-delay", KIND_TIME, AT(drip_delay_s), "1ms", "wait between two such sends"},
    {"close", KIND_CALL, 0, set_close, "1|0|quiet", "close after the response; quiet: unannounced"},
    {"cut", KIND_SIZE, AT(cut), "100", "end the connection after N bytes of the response"},
    {"cut-body", KIND_SIZE, AT(cut_body), "100", "the same, counting body bytes"},
    {"rst", KIND_FLAG, AT(rst), "1", "RST instead of FIN at the cut; alone: at once"},
    {"drop", KIND_FLAG, AT(drop), "1", "FIN without any answer"},
    {"never", KIND_FLAG, AT(never), "1", "no answer, the connection stays open"},
    {"bad", KIND_CALL, 0, set_bad, "NAME", "a malformed response, see --list-bad"},
    {"read", KIND_CALL, 0, set_read, "slow", "reads the request body at 1k per second"},
    {"read-rate", KIND_SIZE, AT(read_rate), "1k", "reads the request body at N bytes per second"},
    {"no-read", KIND_CALL, 0, set_no_read, "1|drain", "answers before the body; drain: reads it then"},
    {"expect", KIND_CALL, 0, set_expect, "417|ignore", "other answers to Expect: 100-continue"},
    {"upgrade-status", KIND_NUMBER, AT(upgrade_status), "200", "refuses an upgrade with that status"},
    {"greet", KIND_FLAG, AT(greet), "1", "sends a line right behind the 101, in the same write"},
};
/* clang-format on */

#define PARAMETERS (sizeof(parameters) / sizeof(parameters[0]))

void plan_init(struct plan *p)
{
    *p = (struct plan){.status = 200,
                       .chunk = 16384,
                       .cut = NO_CUT,
                       .cut_body = NO_CUT,
                       .minor = 1,
                       .upgrade_status = 101,
                       .drip_delay_s = 0.001};
}

void plan_free(struct plan *p)
{
    buf_free(&p->headers);
    buf_free(&p->reason);
    buf_free(&p->ignored);
}

static bool set_flag(bool *flag, struct slice value)
{
    *flag = slice_is(value, "1");
    return *flag || slice_is(value, "0");
}

static bool set_value(struct plan *p, const struct parameter *row, struct slice value)
{
    void *at = (char *)p + row->offset;
    switch (row->kind) {
    case KIND_FLAG:
        return set_flag(at, value);
    case KIND_SIZE:
        return parse_size(value, at);
    case KIND_NUMBER:
        return parse_number(value, at) && *(uint64_t *)at >= 100 && *(uint64_t *)at <= 999;
    case KIND_TIME:
        return parse_duration(value, at);
    case KIND_CALL:
        return row->call(p, value);
    }
    return false;
}

static void note_ignored(struct plan *p, struct slice name)
{
    if (p->ignored.len)
        buf_add_text(&p->ignored, ",");
    for (size_t i = 0; i < name.len; i++) {
        if (is_token_char((unsigned char)name.ptr[i]))
            buf_add(&p->ignored, name.ptr + i, 1);
    }
}

static bool read_one(struct plan *p, struct slice name, struct slice value)
{
    const struct parameter *row = parameters;
    while (row < parameters + PARAMETERS && !slice_is(name, row->name))
        row++;
    if (row == parameters + PARAMETERS) {
        note_ignored(p, name);
        return true;
    }
    struct buf text = {0};
    char *copy = buf_reserve(&text, value.len + 1);
    if (value.len)
        memcpy(copy, value.ptr, value.len);
    size_t len = percent_decode(copy, value.len);
    bool good = set_value(p, row, (struct slice){copy, len});
    buf_free(&text);
    if (!good)
        snprintf(p->wrong, sizeof(p->wrong), "%s", row->name);
    return good;
}

bool plan_read(struct plan *p, struct slice query)
{
    while (query.len) {
        struct slice value = slice_cut(&query, '&');
        struct slice name = slice_cut(&value, '=');
        p->has_size |= slice_is(name, "size");
        if (name.len && !read_one(p, name, value))
            return false;
    }
    if (p->trailers)
        p->framing = FRAMING_CHUNKED;
    return true;
}

void plan_print_help(FILE *out)
{
    for (size_t i = 0; i < PARAMETERS; i++) {
        const struct parameter *row = &parameters[i];
        int used = fprintf(out, "  %s=%s", row->name, row->value);
        fprintf(out, "%*s%s\n", used < 30 ? 30 - used : 1, "", row->help);
    }
}
