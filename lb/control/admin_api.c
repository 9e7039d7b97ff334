// SPDX-License-Identifier: MIT
// The admin API's answers. Runs in control; called by admin.c for each request.
//
//   GET /v1/status    everything: processes, frontends, backends, servers
//   GET /v1/workers   the processes alone
//
// Sums run over all workers; the counters of a dead worker stay on the board and its replacement
// goes on with them, so that no sum ever goes back. Invariants: only reads shared memory; names of
// counters come from the tables in core/board.h and core/end.h, so that a new counter shows here
// by itself.
#include "control/admin_api.h"

#include "base/json.h"
#include "core/suspect.h"

typedef void view_writer(const struct admin_view *v, struct json *j);

// ---- reading the board ------------------------------------------------------------------------

// A counter of another process: one word, read whole.
static uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static uint64_t elapsed_ms(const struct admin_view *v, uint64_t since_ms)
{
    return v->now_ms > since_ms ? v->now_ms - since_ms : 0;
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

// ---- processes --------------------------------------------------------------------------------

static const char *process_state_name(uint32_t state)
{
    static const char *const names[] = {
        [PROCESS_ABSENT] = "absent",
        [PROCESS_STARTING] = "starting",
        [PROCESS_READY] = "ready",
        [PROCESS_WAITING] = "waiting",
    };
    return state < ARRAY_LEN(names) ? names[state] : "unknown";
}

static const char *service_state_name(uint32_t state)
{
    static const char *const names[] = {
        [SERVICE_STARTING] = "starting",
        [SERVICE_RUNNING] = "running",
        [SERVICE_DRAINING] = "draining",
    };
    return state < ARRAY_LEN(names) ? names[state] : "unknown";
}

static void put_process(const struct admin_view *v, struct json *j, const struct process_entry *p)
{
    int32_t pid = atomic_load(&p->pid);
    if (pid > 0)
        json_u64(j, "pid", (uint64_t)pid);
    else
        json_null(j, "pid");
    json_text(j, "state", str_of(process_state_name(atomic_load(&p->state))));
    json_u64(j, "restarts", atomic_load(&p->restarts));
    json_u64(j, "uptime_ms", pid > 0 ? elapsed_ms(v, atomic_load(&p->started_ms)) : 0);
}

static void put_worker(const struct admin_view *v, struct json *j, uint32_t id)
{
    json_object(j, NULL);
    json_u64(j, "id", id);
    put_process(v, j, &v->table->worker[id]);
    json_object(j, "counters");
    for (size_t i = 0; i < ARRAY_LEN(worker_names); i++)
        json_u64(j, worker_names[i], load(&v->board->counters[id].worker[i]));
    json_object_end(j);
    json_object_end(j);
}

static void put_workers(const struct admin_view *v, struct json *j)
{
    json_array(j, "workers");
    for (uint32_t id = 0; id < v->table->workers; id++)
        put_worker(v, j, id);
    json_array_end(j);
    json_object(j, "control");
    put_process(v, j, &v->table->control);
    json_object_end(j);
    json_object(j, "logger");
    put_process(v, j, &v->table->logger);
    json_object_end(j);
}

// ---- frontends --------------------------------------------------------------------------------

static const char *mode_name(enum mode mode)
{
    return mode == MODE_TCP ? "tcp" : "http";
}

static void put_address(struct json *j, const char *key, const struct addr *a)
{
    char text[ADDR_TEXT];
    json_text(j, key, (struct str){text, addr_format(a, text)});
}

static void put_listens(struct json *j, const struct frontend *f)
{
    json_array(j, "listen");
    for (uint32_t i = 0; i < f->n_listens; i++)
        put_address(j, NULL, &f->listens[i].addr);
    json_array_end(j);
}

static void put_frontend(const struct admin_view *v, struct json *j, const struct frontend *f)
{
    json_object(j, NULL);
    json_text(j, "name", f->name);
    json_text(j, "mode", str_of(mode_name(f->mode)));
    put_listens(j, f);
    json_u64(j, "connections_current",
             board_total(v->board, board_frontend_slot(v->board, f->index)));
    if (f->max_connections > 0)
        json_u64(j, "max_connections", f->max_connections);
    else
        json_null(j, "max_connections");
    put_sums(v, j, &frontend_counters, f->index);
    put_sums(v, j, &frontend_answers, f->index);
    put_sums(v, j, &frontend_ends, f->index);
    json_object_end(j);
}

// ---- backends and servers ---------------------------------------------------------------------

static const char *balance_name(enum balance balance)
{
    switch (balance) {
    case BALANCE_ROUND_ROBIN:
        return "round-robin";
    case BALANCE_LEAST_CONN:
        return "least-conn";
    case BALANCE_RANDOM:
        return "random";
    case BALANCE_FIRST:
        return "first";
    case BALANCE_HASH:
        return "hash";
    }
    return "unknown";
}

static const char *server_state(const struct admin_view *v, const struct server *s)
{
    if (s->addr.len == 0)
        return "unresolved";
    if (s->weight == 0)
        return "drain";
    return suspect_skipped(v->board, s->index, v->now_ms) ? "skipped" : "up";
}

static void put_server_address(struct json *j, const struct server *s)
{
    if (s->addr.len > 0)
        put_address(j, "address", &s->addr);
    else
        json_null(j, "address");
    json_text(j, "host", s->host);
    json_u64(j, "port", s->port);
}

static void put_server(const struct admin_view *v, struct json *j, const struct server *s)
{
    const struct board_suspect *suspect = &v->board->suspect[s->index];
    uint64_t skip_until = atomic_load(&suspect->skip_until_ms);
    json_object(j, NULL);
    json_text(j, "name", s->name);
    put_server_address(j, s);
    json_u64(j, "weight", s->weight);
    json_text(j, "state", str_of(server_state(v, s)));
    json_u64(j, "skipped_for_ms", skip_until > v->now_ms ? skip_until - v->now_ms : 0);
    json_u64(j, "failures_in_a_row", atomic_load(&suspect->failures));
    json_u64(j, "in_flight", board_total(v->board, board_server_slot(s->index)));
    put_sums(v, j, &server_counters, s->index);
    json_object_end(j);
}

static uint64_t backend_in_flight(const struct admin_view *v, const struct backend *b)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < b->n_servers; i++)
        sum += board_total(v->board, board_server_slot(b->servers[i].index));
    return sum;
}

static void put_backend(const struct admin_view *v, struct json *j, const struct backend *b)
{
    json_object(j, NULL);
    json_text(j, "name", b->name);
    json_text(j, "mode", str_of(mode_name(b->mode)));
    json_text(j, "balance", str_of(balance_name(b->balance)));
    json_u64(j, "in_flight", backend_in_flight(v, b));
    put_sums(v, j, &backend_counters, b->index);
    json_array(j, "servers");
    for (uint32_t i = 0; i < b->n_servers; i++)
        put_server(v, j, &b->servers[i]);
    json_array_end(j);
    json_object_end(j);
}

// ---- the answers ------------------------------------------------------------------------------

static void write_status(const struct admin_view *v, struct json *j)
{
    const struct process_table *t = v->table;
    json_object(j, NULL);
    json_text(j, "version", STR(EVLB_VERSION));
    json_text(j, "state", str_of(service_state_name(atomic_load(&t->state))));
    json_u64(j, "pid", (uint64_t)t->supervisor_pid);
    json_u64(j, "started_ms", (uint64_t)t->started_wall_ms);
    json_u64(j, "uptime_ms", elapsed_ms(v, t->started_ms));
    json_u64(j, "connections_current", board_total(v->board, board_process_slot(v->board)));
    json_u64(j, "max_connections", t->max_connections);
    put_workers(v, j);
    json_array(j, "frontends");
    for (uint32_t i = 0; i < v->config->n_frontends; i++)
        put_frontend(v, j, &v->config->frontends[i]);
    json_array_end(j);
    json_array(j, "backends");
    for (uint32_t i = 0; i < v->config->n_backends; i++)
        put_backend(v, j, &v->config->backends[i]);
    json_array_end(j);
    json_object_end(j);
}

static void write_workers(const struct admin_view *v, struct json *j)
{
    json_object(j, NULL);
    put_workers(v, j);
    json_object_end(j);
}

static const struct {
    const char *path;
    view_writer *write;
} resources[] = {
    {"/v1/status", write_status},
    {"/v1/workers", write_workers},
};

bool admin_api_error(struct buf *body, uint16_t status, const char *id, struct str message)
{
    struct json j = {.out = body};
    json_object(&j, NULL);
    json_object(&j, "error");
    json_u64(&j, "status", status);
    json_text(&j, "id", str_of(id));
    json_text(&j, "message", message);
    json_object_end(&j);
    json_object_end(&j);
    return !j.failed && buf_append(body, "\n", 1);
}

static bool answer_view(const struct admin_view *view, view_writer *write, struct buf *body)
{
    struct json j = {.out = body};
    write(view, &j);
    return !j.failed && buf_append(body, "\n", 1);
}

static bool answer_not_found(struct str path, struct buf *body)
{
    char text[160];
    int n = snprintf(text, sizeof(text), "there is no %.*s; see /v1/status and /v1/workers",
                     (int)MIN_OF(path.len, 80), path.p);
    return admin_api_error(body, 404, "not-found", (struct str){text, n > 0 ? (size_t)n : 0});
}

uint16_t admin_api_answer(const struct admin_view *view, const struct admin_request *request,
                          struct buf *body, const char **allow)
{
    *allow = NULL;
    for (size_t i = 0; i < ARRAY_LEN(resources); i++) {
        if (!str_eq(request->path, str_of(resources[i].path)))
            continue;
        if (str_eq(request->method, STR("GET")) || str_eq(request->method, STR("HEAD")))
            return answer_view(view, resources[i].write, body) ? 200 : 0;
        *allow = "GET, HEAD";
        bool written = admin_api_error(body, 405, "method-not-allowed",
                                       STR("this resource can only be read: use GET"));
        return written ? 405 : 0;
    }
    return answer_not_found(request->path, body) ? 404 : 0;
}
