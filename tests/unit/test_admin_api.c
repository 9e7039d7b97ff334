// SPDX-License-Identifier: MIT
// The admin API's answers from a board with known figures.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/admin_api.h"

#define WORKERS 2

struct fixture {
    void *memory;
    struct server servers[2];
    struct backend backend;
    struct listen listen;
    struct frontend frontend;
    struct config config;
    struct process_table *table;
    struct admin_view view;
    struct buf body;
};

static void describe(struct fixture *f)
{
    f->servers[0] = (struct server){
        .name = STR("a"), .host = STR("10.0.0.1"), .port = 8080, .weight = 2, .index = 0};
    assert_true(addr_parse_ip(STR("10.0.0.1"), 8080, &f->servers[0].addr));
    f->servers[1] = (struct server){
        .name = STR("b"), .host = STR("b.test"), .port = 81, .weight = 1, .index = 1};
    f->servers[0].backend = f->servers[1].backend = &f->backend;
    f->backend = (struct backend){
        .name = STR("app"), .balance = BALANCE_LEAST_CONN, .servers = f->servers, .n_servers = 2};
    assert_true(addr_parse_ip(STR("::1"), 80, &f->listen.addr));
    f->frontend = (struct frontend){.name = STR("we\"b"), .listens = &f->listen, .n_listens = 1};
    f->config = (struct config){.frontends = &f->frontend,
                                .backends = &f->backend,
                                .servers = f->servers,
                                .n_frontends = 1,
                                .n_backends = 1,
                                .n_servers = 2};
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    const struct board_dim dim = {.workers = WORKERS, .servers = 2, .backends = 1, .frontends = 1};
    describe(f);
    assert_int_equal(posix_memalign(&f->memory, 64, board_bytes(&dim)), 0);
    memset(f->memory, 0, board_bytes(&dim));
    f->table = xcalloc(1, process_table_bytes(WORKERS));
    f->table->workers = WORKERS;
    f->table->supervisor_pid = 77;
    f->table->max_connections = 1000;
    f->table->started_ms = 4000;
    f->view = (struct admin_view){&f->config, board_init(f->memory, &dim), f->table, 10000};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    buf_release(&f->body);
    free(f->memory);
    free(f->table);
    free(f);
    return 0;
}

static struct board *board(struct fixture *f)
{
    return f->memory;
}

// Asks, and returns the status; the body is then a NUL-terminated text at buf_head(&f->body).
static uint16_t ask(struct fixture *f, const char *method, const char *path, const char **allow)
{
    buf_release(&f->body);
    const struct admin_request request = {str_of(method), str_of(path)};
    uint16_t status = admin_api_answer(&f->view, &request, &f->body, allow);
    assert_true(buf_append(&f->body, "", 1));
    return status;
}

static void status_has(struct fixture *f, const char *part)
{
    const char *allow = NULL;
    assert_int_equal(ask(f, "GET", "/v1/status", &allow), 200);
    if (strstr(buf_head(&f->body), part) == NULL)
        fail_msg("no %s in %s", part, buf_head(&f->body));
}

static void test_process_tree(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->table->state, (uint32_t)SERVICE_RUNNING);
    atomic_store(&f->table->worker[1].pid, 4711);
    atomic_store(&f->table->worker[1].state, (uint32_t)PROCESS_READY);
    atomic_store(&f->table->worker[1].restarts, 3u);
    atomic_store(&f->table->worker[1].started_ms, (uint64_t)9000);
    board(f)->counters[1].worker[WORKER_LOG_DROPPED] = 5;
    status_has(f, "{\"version\":\"" EVLB_VERSION "\",\"state\":\"running\",\"pid\":77,");
    status_has(f, "\"uptime_ms\":6000,\"connections_current\":0,\"max_connections\":1000,");
    status_has(f, "{\"id\":0,\"pid\":null,\"state\":\"absent\",\"restarts\":0,\"uptime_ms\":0,");
    status_has(f, "{\"id\":1,\"pid\":4711,\"state\":\"ready\",\"restarts\":3,\"uptime_ms\":1000,"
                  "\"counters\":{\"accept_errors\":0,\"refused_sessions\":0,\"log_dropped\":5}}");
}

static void test_workers_alone(void **state)
{
    struct fixture *f = *state;
    const char *allow = NULL;
    assert_int_equal(ask(f, "GET", "/v1/workers", &allow), 200);
    assert_memory_equal(buf_head(&f->body), "{\"workers\":[{\"id\":0,", 20);
    assert_null(strstr(buf_head(&f->body), "frontends"));
}

// Sums run over all workers.
static void test_frontend_sums(void **state)
{
    struct fixture *f = *state;
    for (int w = 0; w < WORKERS; w++) {
        struct frontend_counters *c = &board(f)->counters[w].frontends[0];
        c->n[FRONTEND_REQUESTS] = 10u + w;
        c->ends[END_SERVER_TIMEOUT_WAIT] = 1;
        c->status_class[5] = 2u + w;
    }
    board_claim(board(f), 0, board_frontend_slot(board(f), 0));
    board_claim(board(f), 1, board_frontend_slot(board(f), 0));
    status_has(f, "\"name\":\"we\\\"b\",\"mode\":\"http\",\"listen\":[\"[::1]:80\"],"
                  "\"connections_current\":2,\"max_connections\":null,");
    status_has(f, "\"requests\":21,");
    status_has(f, "\"server-timeout-wait\":2,");
    status_has(f, "\"5xx\":5}");
}

static void test_servers(void **state)
{
    struct fixture *f = *state;
    board(f)->counters[0].servers[0][SERVER_REQUESTS] = 7;
    board(f)->counters[1].servers[0][SERVER_REQUESTS] = 1;
    board_claim(board(f), 1, board_server_slot(0));
    status_has(f, "{\"name\":\"a\",\"address\":\"10.0.0.1:8080\",\"host\":\"10.0.0.1\","
                  "\"port\":8080,\"weight\":2,\"state\":\"up\",\"skipped_for_ms\":0,"
                  "\"failures_in_a_row\":0,\"in_flight\":1,\"counters\":{\"requests\":8,");
    status_has(f, "{\"name\":\"b\",\"address\":null,\"host\":\"b.test\",\"port\":81,\"weight\":1,"
                  "\"state\":\"unresolved\",");
    status_has(f, "\"balance\":\"least-conn\",\"in_flight\":1,");
}

static void test_server_states(void **state)
{
    struct fixture *f = *state;
    atomic_store(&board(f)->suspect[0].skip_until_ms, (uint64_t)12500);
    atomic_store(&board(f)->suspect[0].failures, 4u);
    status_has(f, "\"state\":\"skipped\",\"skipped_for_ms\":2500,\"failures_in_a_row\":4,");
    f->view.now_ms = 12500;
    status_has(f, "\"state\":\"up\",\"skipped_for_ms\":0,");
    f->servers[0].weight = 0;
    status_has(f, "\"weight\":0,\"state\":\"drain\",");
}

static void test_errors(void **state)
{
    struct fixture *f = *state;
    const char *allow = NULL;
    assert_int_equal(ask(f, "GET", "/v1/\"nothing", &allow), 404);
    assert_null(allow);
    assert_string_equal(buf_head(&f->body),
                        "{\"error\":{\"status\":404,\"id\":\"not-found\",\"message\":\"there is no "
                        "/v1/\\\"nothing; see /v1/status and /v1/workers\"}}\n");
    assert_int_equal(ask(f, "DELETE", "/v1/status", &allow), 405);
    assert_string_equal(allow, "GET, HEAD");
    assert_int_equal(ask(f, "HEAD", "/v1/status", &allow), 200);
    assert_int_equal(ask(f, "GET", "/v1/status/", &allow), 404);
    assert_int_equal(ask(f, "GET", "", &allow), 404);
}

#define API_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_process_tree), API_TEST(test_workers_alone), API_TEST(test_frontend_sums),
        API_TEST(test_servers),      API_TEST(test_server_states), API_TEST(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
