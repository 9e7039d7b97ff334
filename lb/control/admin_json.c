// SPDX-License-Identifier: MIT
// Pieces of JSON that the answers of the admin API are made of. Runs in control.
//
// Sums run over all workers; the counters of a dead worker stay on the board and its replacement
// goes on with them, so that no sum ever goes back. Names of counters come from the tables in
// core/board.h and core/end.h, so that a new counter shows here by itself.
#include "control/admin_parts.h"

// A counter of another process: one word, read whole.
static uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

// Counters that stand together in one JSON object, from the tables of the board.
typedef const uint64_t *counter_word(const struct board_counters *c, uint32_t at, size_t i);

struct counter_group {
    const char *key;
    counter_word *word; // where a worker keeps the i-th counter of object `at`
    size_t count;
    const char *const *names;
};

static const uint64_t *frontend_word(const struct board_counters *c, uint32_t at, size_t i)
{
    return &c->frontends[at].n[i];
}

static const uint64_t *answer_word(const struct board_counters *c, uint32_t at, size_t i)
{
    return &c->frontends[at].status_class[i];
}

static const uint64_t *end_word(const struct board_counters *c, uint32_t at, size_t i)
{
    return &c->frontends[at].ends[i];
}

static const uint64_t *backend_word(const struct board_counters *c, uint32_t at, size_t i)
{
    return &c->backends[at][i];
}

static const uint64_t *server_word(const struct board_counters *c, uint32_t at, size_t i)
{
    return &c->servers[at][i];
}

#define X(id, name, ...) name,
static const char *const worker_names[] = {WORKER_COUNTERS(X)};
static const char *const frontend_names[] = {FRONTEND_COUNTERS(X)};
static const char *const backend_names[] = {BACKEND_COUNTERS(X)};
static const char *const server_names[] = {SERVER_COUNTERS(X)};
static const char *const end_names[] = {END_CAUSES(X)};
#undef X
static const char *const answer_names[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

// clang-format off
static const struct counter_group
    frontend_counters = {"counters", frontend_word, ARRAY_LEN(frontend_names), frontend_names},
    frontend_answers  = {"answers",  answer_word,   ARRAY_LEN(answer_names),   answer_names},
    frontend_ends     = {"ends",     end_word,      ARRAY_LEN(end_names),      end_names},
    backend_counters  = {"counters", backend_word,  ARRAY_LEN(backend_names),  backend_names},
    server_counters   = {"counters", server_word,   ARRAY_LEN(server_names),   server_names};
// clang-format on

// Each counter's sum over all workers.
static void put_sums(const struct admin_view *v, struct json *j, const struct counter_group *g,
                     uint32_t at)
{
    json_object(j, g->key);
    for (size_t i = 0; i < g->count; i++) {
        uint64_t sum = 0;
        for (uint32_t w = 0; w < v->board->dim.workers; w++)
            sum += load(g->word(&v->board->counters[w], at, i));
        json_u64(j, g->names[i], sum);
    }
    json_object_end(j);
}

void admin_put_frontend_sums(const struct admin_view *v, struct json *j, uint32_t slot)
{
    put_sums(v, j, &frontend_counters, slot);
    put_sums(v, j, &frontend_answers, slot);
    put_sums(v, j, &frontend_ends, slot);
}

void admin_put_backend_sums(const struct admin_view *v, struct json *j, uint32_t slot)
{
    put_sums(v, j, &backend_counters, slot);
}

void admin_put_server_sums(const struct admin_view *v, struct json *j, uint32_t slot)
{
    put_sums(v, j, &server_counters, slot);
}

void admin_put_worker_counters(const struct admin_view *v, struct json *j, uint32_t worker)
{
    json_object(j, "counters");
    for (size_t i = 0; i < ARRAY_LEN(worker_names); i++)
        json_u64(j, worker_names[i], load(&v->board->counters[worker].worker[i]));
    json_object_end(j);
}

void admin_put_address(struct json *j, const char *key, const struct addr *a)
{
    char text[ADDR_TEXT];
    admin_put_text_or_null(j, key, (struct str){text, a->len > 0 ? addr_format(a, text) : 0});
}

void admin_put_text_or_null(struct json *j, const char *key, struct str text)
{
    if (text.len > 0)
        json_text(j, key, text);
    else
        json_null(j, key);
}

void admin_put_u64_or_null(struct json *j, const char *key, uint64_t value)
{
    if (value > 0)
        json_u64(j, key, value);
    else
        json_null(j, key);
}

uint64_t admin_elapsed_ms(const struct admin_view *v, uint64_t since_ms)
{
    return v->now_ms > since_ms ? v->now_ms - since_ms : 0;
}
