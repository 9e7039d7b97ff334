// SPDX-License-Identifier: MIT
// The admin API's answers that read: from a board with known figures. test_admin_writes.c has those
// that change something.
#include "admin_fixture.h"

#define ONE                                                                                        \
    "frontends: {web: {listen: 127.0.0.1:80, backend: app}}\n"                                     \
    "backends:\n"                                                                                  \
    "  app:\n"                                                                                     \
    "    balance: least-conn\n"                                                                    \
    "    servers:\n"                                                                               \
    "      a: {address: 10.0.0.1:8080, weight: 2}\n"                                               \
    "      b: b.test:81\n"

static int set_up(void **state)
{
    *state = open_fixture(ONE);
    return 0;
}

static int tear_down(void **state)
{
    close_fixture(*state);
    return 0;
}

static void test_process_tree(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->table->state, (uint32_t)SERVICE_RUNNING);
    atomic_store(&f->table->worker[1].pid, 4711);
    atomic_store(&f->table->worker[1].state, (uint32_t)PROCESS_READY);
    atomic_store(&f->table->worker[1].restarts, 3u);
    atomic_store(&f->table->worker[1].started_ms, (uint64_t)9000);
    atomic_store(&f->board->generation[1], 2u);
    f->board->counters[1].worker[WORKER_LOG_DROPPED] = 5;
    get_has(f, "/v1/status", "{\"version\":\"" EVLB_VERSION "\",\"state\":\"running\",\"pid\":77,");
    body_has(f, "\"uptime_ms\":6000,\"connections_current\":0,\"max_connections\":1000,"
                "\"generation\":3,");
    body_has(f, "{\"id\":0,\"pid\":null,\"state\":\"absent\",\"restarts\":0,\"uptime_ms\":0,");
    body_has(f, "{\"id\":1,\"pid\":4711,\"state\":\"ready\",\"restarts\":3,\"uptime_ms\":1000,"
                "\"oldest_generation\":2,"
                "\"counters\":{\"accept_errors\":0,\"refused_sessions\":0,\"log_dropped\":5");
}

static void test_workers_alone(void **state)
{
    struct fixture *f = *state;
    get_has(f, "/v1/workers", "{\"workers\":[{\"id\":0,");
    assert_null(strstr(buf_head(&f->body), "frontends"));
}

static void test_ready(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, "GET", "/v1/ready", NULL), 503);
    body_has(f, "evlb is starting");
    atomic_store(&f->table->state, (uint32_t)SERVICE_RUNNING);
    assert_int_equal(ask(f, "GET", "/v1/ready", NULL), 503);
    body_has(f, "no worker is ready");
    atomic_store(&f->table->worker[1].state, (uint32_t)PROCESS_READY);
    assert_int_equal(ask(f, "GET", "/v1/ready", NULL), 200);
    atomic_store(&f->table->state, (uint32_t)SERVICE_DRAINING);
    assert_int_equal(ask(f, "GET", "/v1/ready", NULL), 503);
}

// Sums run over all workers.
static void test_frontend_sums(void **state)
{
    struct fixture *f = *state;
    for (int w = 0; w < WORKERS; w++) {
        struct frontend_counters *c = &f->board->counters[w].frontends[0];
        c->n[FRONTEND_REQUESTS] = 10u + w;
        c->ends[END_SERVER_TIMEOUT_WAIT] = 1;
        c->status_class[5] = 2u + w;
    }
    board_claim(f->board, 0, board_frontend_slot(f->board, 0));
    board_claim(f->board, 1, board_frontend_slot(f->board, 0));
    get_has(f, "/v1/frontends",
            "\"name\":\"web\",\"mode\":\"http\",\"listen\":[\"127.0.0.1:80\"],"
            "\"connections_current\":2,\"max_connections\":null,");
    body_has(f, "\"requests\":21,");
    body_has(f, "\"server-timeout-wait\":2,");
    body_has(f, "\"5xx\":5}");
    assert_null(strstr(buf_head(&f->body), "backends"));
}

static void test_servers(void **state)
{
    struct fixture *f = *state;
    f->board->counters[0].servers[0][SERVER_REQUESTS] = 7;
    f->board->counters[1].servers[0][SERVER_REQUESTS] = 1;
    board_claim(f->board, 1, board_server_slot(0));
    board_claim(f->board, 1, board_queue_slot(f->board, 0));
    get_has(f, "/v1/backends/app",
            "{\"name\":\"a\",\"address\":\"10.0.0.1:8080\",\"host\":\"10.0.0.1\",\"port\":8080,"
            "\"weight\":2,\"weight_configured\":2,\"withheld_percent\":0,\"tier\":1,"
            "\"max_connections\":null,\"added\":false,\"state\":\"up\",\"role\":\"working\",");
    body_has(f, "\"skipped_for_ms\":0,\"failures_in_a_row\":0,\"in_flight\":1,"
                "\"counters\":{\"requests\":8,");
    body_has(f, "{\"name\":\"b\",\"address\":null,\"host\":\"b.test\",\"port\":81,\"weight\":1,");
    body_has(f, "\"state\":\"unresolved\",\"role\":null,");
    body_has(f, "\"balance\":\"least-conn\",\"failover\":\"active-active\",\"working\":[\"a\"],"
                "\"tier\":1,");
    body_has(f, "\"in_flight\":1,\"queue_length\":1,\"max_queue\":1024,");
    get_has(f, "/v1/backends", "{\"backends\":[{\"name\":\"app\",");
    get_has(f, "/v1/status", "\"backends\":[{\"name\":\"app\",");
}

static void test_skipped_by_traffic(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->board->suspect[0].skip_until_ms, (uint64_t)NOW_MS + 2500);
    atomic_store(&f->board->suspect[0].failures, 4u);
    get_has(f, "/v1/status", "\"state\":\"skipped\",");
    body_has(f, "\"skipped_for_ms\":2500,\"failures_in_a_row\":4,");
    f->view.now_ms = NOW_MS + 2500;
    get_has(f, "/v1/status", "\"skipped_for_ms\":0,");
    assert_null(strstr(buf_head(&f->body), "skipped\","));
}

static void one_check(struct fixture *f, enum check_verdict verdict, const char *reason, int64_t at)
{
    struct check_result r = {.at_ms = NOW_MS, .wall_ms = at, .latency_ms = 7, .verdict = verdict};
    (void)str_copy(str_of(reason), r.reason, sizeof(r.reason));
    servers_checked(f->view.servers, 0, servers_track(f->view.servers, 0)->address_epoch, &r);
}

static void test_checks_of_a_server(void **state)
{
    struct fixture *f = *state;
    get_has(f, "/v1/servers/app/a", "\"check\":null,");
    body_has(f, "\"checks\":[]}");
    for (int i = 1; i <= CHECK_HISTORY + 5; i++)
        one_check(f, CHECK_PASSED, "", i);
    one_check(f, CHECK_FAILED, "connection refused", 99);
    get_has(f, "/v1/servers/app/a", "{\"backend\":\"app\",\"name\":\"a\",");
    body_has(f, "\"check\":{\"at_ms\":99,\"result\":\"failed\",\"latency_ms\":7,"
                "\"reason\":\"connection refused\"}");
    body_has(f, "\"checks\":[{\"at_ms\":99,\"result\":\"failed\",\"latency_ms\":7,"
                "\"reason\":\"connection refused\"},{\"at_ms\":25,\"result\":\"passed\",");
    body_has(f, "{\"at_ms\":7,\"result\":\"passed\",\"latency_ms\":7,\"reason\":null}]}"); // 20th
}

static void test_down_with_its_reason(void **state)
{
    struct fixture *f = *state;
    one_check(f, CHECK_FAILED, "connection refused", 99);
    get_has(f, "/v1/servers/app/a", "\"state\":\"down\",\"role\":null,\"reason\":\"");
    body_has(f, "connection refused");
    get_has(f, "/v1/backends/app",
            "\"working\":[],\"tier\":null,\"reason\":\"no server is usable\"");
}

static void test_unknown_paths_and_methods(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, "GET", "/v1/\"nothing", NULL), 404);
    body_has(f, "{\"error\":{\"status\":404,\"id\":\"not-found\",\"message\":\"there is no "
                "/v1/\\\"nothing;");
    assert_int_equal(ask(f, "DELETE", "/v1/status", NULL), 405);
    assert_string_equal(f->call.allow, "GET, HEAD");
    assert_int_equal(ask(f, "PUT", "/v1/servers/app/a", NULL), 405);
    assert_non_null(strstr(f->call.allow, "GET, HEAD"));
    assert_non_null(strstr(f->call.allow, "PATCH"));
    assert_int_equal(ask(f, "HEAD", "/v1/status", NULL), 200);
    static const char *const nowhere[] = {"/v1/status/", "",          "/",
                                          "v1/status",   "/v1",       "/v1/servers//a",
                                          "/v1/servers", "/v1/*/app", "/v1/servers/app/a/b"};
    for (size_t i = 0; i < ARRAY_LEN(nowhere); i++)
        assert_int_equal(ask(f, "GET", nowhere[i], NULL), 404);
}

static void test_did_you_mean(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, "GET", "/v1/backends/apq", NULL), 404);
    body_has(f, "there is no backend 'apq'; did you mean 'app'?");
    assert_int_equal(ask(f, "GET", "/v1/servers/app/zzzz", NULL), 404);
    body_has(f, "backend 'app' has no server 'zzzz'\"");
}

static void test_events_that_are_kept(void **state)
{
    struct fixture *f = *state;
    get_has(f, "/v1/events?follow=false", "{\"events\":[]}");
    events_add(f->view.events, EVENT_SERVER, 7, STR("app/a"), STR("\"down\""));
    events_add(f->view.events, EVENT_RELOAD, 8, STR(""), STR("done"));
    get_has(f, "/v1/events?follow=false",
            "{\"events\":[{\"id\":5000,\"at_ms\":7,\"kind\":\"server\",\"object\":\"app/a\","
            "\"text\":\"\\\"down\\\"\"},{\"id\":5001,\"at_ms\":8,\"kind\":\"reload\","
            "\"object\":null,\"text\":\"done\"}]}");
    get_has(f, "/v1/events?since=5000&follow=false", "{\"events\":[{\"id\":5001,");
    assert_int_equal(ask(f, "GET", "/v1/events?since=5000", NULL), ADMIN_FEED);
    assert_int_equal(f->call.since, 5000);
    assert_int_equal(ask(f, "GET", "/v1/events?since=-1", NULL), 400);
    assert_int_equal(ask(f, "GET", "/v1/events?follow=maybe", NULL), 400);
    buf_release(&f->body);
    assert_true(admin_event_message(events_after(f->view.events, 5000), &f->body));
    end_body(f);
    body_has(f, "id: 5001\nevent: reload\ndata: {\"id\":5001,");
}

#define API_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_process_tree),
        API_TEST(test_workers_alone),
        API_TEST(test_ready),
        API_TEST(test_frontend_sums),
        API_TEST(test_servers),
        API_TEST(test_skipped_by_traffic),
        API_TEST(test_checks_of_a_server),
        API_TEST(test_down_with_its_reason),
        API_TEST(test_unknown_paths_and_methods),
        API_TEST(test_did_you_mean),
        API_TEST(test_events_that_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
