// SPDX-License-Identifier: MIT
// What a test looks at: the bytes a peer got, the state of its connection, the causes that were
// counted. Called by tests. Each look takes what it saw.
#include "sim.h"

static const char *const state_names[] = {"open", "ended in order", "reset"};

const char *sim_take(struct sim *t, int peer)
{
    sim_run(t);
    struct sim_peer *p = &t->peers[peer];
    if (!p->used)
        return "";
    const char *text = p->out.p + p->out_taken;
    p->out_taken = p->out.n;
    return text;
}

void sim_expect_state_(struct sim *t, int peer, enum sim_state state, const char *file, int line)
{
    sim_run(t);
    struct sim_peer *p = &t->peers[peer];
    if (!p->used || p->state != state) {
        print_error("peer %d: the connection is %s, expected: %s\n", peer,
                    p->used ? state_names[p->state] : "not there", state_names[state]);
        _fail(file, line);
    }
}

void sim_expect_(struct sim *t, int peer, const char *text, enum sim_state state, const char *file,
                 int line)
{
    const char *got = sim_take(t, peer);
    if (strcmp(got, text) != 0) {
        print_error("peer %d got:\n%s\nexpected:\n%s\n", peer, got, text);
        _fail(file, line);
    }
    sim_expect_state_(t, peer, state, file, line);
}

void sim_expect_part_(struct sim *t, int peer, const char *text, enum sim_state state,
                      const char *file, int line)
{
    const char *got = sim_take(t, peer);
    if (strstr(got, text) == NULL) {
        print_error("peer %d got:\n%s\nexpected a part:\n%s\n", peer, got, text);
        _fail(file, line);
    }
    sim_expect_state_(t, peer, state, file, line);
}

// Of all frontends.
static uint64_t ends_with(const struct sim *t, int cause)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < t->board->dim.frontends; i++)
        n += t->board->counters[0].frontends[i].ends[cause];
    return n;
}

uint64_t sim_ends(const struct sim *t)
{
    uint64_t n = 0;
    for (int i = 0; i < END_COUNT; i++)
        n += ends_with(t, i);
    return n;
}

void sim_expect_ends_(struct sim *t, enum end_cause cause, uint64_t n, const char *file, int line)
{
    bool good = true;
    sim_run(t);
    for (int i = 0; i < END_COUNT; i++) {
        uint64_t fresh = ends_with(t, i) - t->ends[i];
        t->ends[i] += fresh;
        if (fresh == (i == (int)cause ? n : 0))
            continue;
        print_error("%llu ended with %s\n", (unsigned long long)fresh,
                    end_info((enum end_cause)i)->name);
        good = false;
    }
    if (!good) {
        if (cause != END_COUNT)
            print_error("expected: %s\n", end_info(cause)->name);
        _fail(file, line);
    }
}

const uint64_t *sim_server_counters(const struct sim *t, uint32_t server)
{
    return t->board->counters[0].servers[server];
}

#define LOG_BYTES 65536

void sim_log(struct sim *t)
{
    t->log_memory = aligned_alloc(64, ring_bytes(LOG_BYTES));
    assert_non_null(t->log_memory);
    memset(t->log_memory, 0, ring_bytes(LOG_BYTES));
    ring_init(&t->log, t->log_memory, LOG_BYTES, NULL, -1);
    t->w.access_log = &t->log;
}

const char *sim_log_take(struct sim *t)
{
    static char lines[LOG_BYTES + 1];
    struct iovec piece[2];
    sim_run(t);
    size_t n = ring_peek(&t->log, piece), first = MIN_OF(n, piece[0].iov_len);
    if (first > 0)
        memcpy(lines, piece[0].iov_base, first);
    if (n > first)
        memcpy(lines + first, piece[1].iov_base, n - first);
    lines[n] = '\0';
    ring_consume(&t->log, n);
    return lines;
}
