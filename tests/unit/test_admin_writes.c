// SPDX-License-Identifier: MIT
// The admin API's requests that change something: strictly read, carried out or refused, and said
// in one line of the log; and what is done by the supervisor.
#include "admin_fixture.h"

#define TWO                                                                                        \
    "frontends: {web: {listen: 127.0.0.1:80, backend: app}}\n"                                     \
    "backends:\n"                                                                                  \
    "  app:\n"                                                                                     \
    "    failover: active-passive\n"                                                               \
    "    servers: {a: 10.0.0.1:80, b: 10.0.0.2:80}\n"

#define A "/v1/servers/app/a"

static int set_up(void **state)
{
    *state = open_fixture(TWO);
    return 0;
}

static int tear_down(void **state)
{
    close_fixture(*state);
    return 0;
}

static const struct server_track *track(struct fixture *f, uint32_t slot)
{
    return servers_track(f->view.servers, slot);
}

// ---- servers ------------------------------------------------------------------------------------

static void test_drain_for_a_time(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        ask(f, "PATCH", A, "{\"admin\":\"drain\",\"for\":\"10m\",\"reason\":\"deploy\"}"), 200);
    assert_int_equal(track(f, 0)->state, SERVER_DRAIN);
    assert_int_equal(f->board->server[0].admin_until_ms, NOW_MS + 600000);
    body_has(f, "\"state\":\"drain\",\"role\":null,");
    body_has(f, "\"admin\":{\"state\":\"drain\",\"reason\":\"deploy\",\"ends_in_ms\":600000,"
                "\"weight\":false}");
    line_has(f, "admin: app/a: drain for 10m: done (uid 1000, pid 4711; deploy)");
    assert_string_equal(events_after(f->view.events, 0)->object, "app/a");
    assert_string_equal(events_after(f->view.events, 0)->text,
                        "drain for 10m: done: deploy (uid 1000)");
    assert_int_equal(ask(f, "PATCH", A, "{\"admin\":\"maint\"}"), 200);
    assert_int_equal(track(f, 0)->state, SERVER_MAINT);
    assert_int_equal(f->board->server[0].admin_until_ms, 0);
    assert_int_equal(ask(f, "PATCH", A, "{\"admin\":\"ready\"}"), 200);
    assert_int_equal(track(f, 0)->state, SERVER_UP);
}

static void test_weight(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, "PATCH", A, "{\"weight\":5}"), 200);
    body_has(f, "\"weight\":5,\"weight_configured\":1,");
    line_has(f, "admin: app/a: weight 5: done (uid 1000, pid 4711)");
    assert_int_equal(ask(f, "PATCH", A, "{\"weight\":0}"), 200);
    body_has(f, "\"weight\":0,");
    assert_int_equal(ask(f, "PATCH", A, "{\"weight\":256}"), 200);
    assert_int_equal(ask(f, "PATCH", A, "{\"weight\":null}"), 200);
    body_has(f, "\"weight\":1,\"weight_configured\":1,");
    line_has(f, "weight as configured");
    assert_int_equal(ask(f, "PATCH", A, "{\"admin\":\"drain\",\"weight\":7}"), 200);
    line_has(f, "app/a: drain, weight 7: done");
    assert_int_equal(track(f, 0)->state, SERVER_DRAIN);
}

// Nothing is guessed and nothing ignored; a refused request changes nothing.
static void test_bodies_that_are_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "\"drain\"",
        "{}",
        "{\"reason\":\"only\"}",
        "{\"admin\":\"drian\"}",
        "{\"admin\":1}",
        "{\"admin\":null}",
        "{\"admin\":\"drain\",\"admin\":\"ready\"}",
        "{\"admin\":\"drain\",\"force\":true}",
        "{\"admin\":\"drain\",\"for\":\"10\"}",
        "{\"admin\":\"drain\",\"for\":10}",
        "{\"admin\":\"drain\",\"for\":\"0\"}",
        "{\"admin\":\"ready\",\"for\":\"10m\"}",
        "{\"weight\":3,\"for\":\"10m\"}",
        "{\"admin\":\"drain\",\"reason\":7}",
        "{\"weight\":257}",
        "{\"weight\":-1}",
        "{\"weight\":1.5}",
        "{\"weight\":\"5\"}",
        "{\"admin\":\"drain\"} x",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        if (ask(f, "PATCH", A, bodies[i]) != 400)
            fail_msg("accepted: %s", bodies[i]);
        body_has(f, "\"id\":\"bad-body\"");
    }
    assert_int_equal(ask(f, "PATCH", A, "{\"for\":\"1s\"}"), 400);
    line_has(f,
             "admin: PATCH /v1/servers/app/a: refused: 'for' goes with drain or maint (uid 1000");
    assert_int_equal(track(f, 0)->state, SERVER_UP);
    assert_int_equal(f->board->server[0].weight, 0);
    assert_int_equal(ask(f, "PATCH", "/v1/servers/app/c", "{\"admin\":\"drain\"}"), 404);
    line_has(f, "refused: backend 'app' has no server 'c' (uid 1000");
}

static void test_switch(void **state)
{
    struct fixture *f = *state;
    static const char target[] = "/v1/backends/app/switch";
    assert_int_equal(ask(f, "POST", target, "{\"server\":\"b\",\"reason\":\"test\"}"), 200);
    line_has(f, "admin: app: switch to b: done (uid 1000, pid 4711; test)");
    assert_int_equal(ask(f, "GET", "/v1/backends/app", NULL), 200);
    body_has(f, "\"working\":[\"b\"],\"tier\":1,\"reason\":\"switched by an administrator\"");
    assert_int_equal(ask(f, "PATCH", A, "{\"admin\":\"maint\"}"), 200);
    assert_int_equal(ask(f, "POST", target, "{\"server\":\"a\"}"), 409); // not usable
    line_has(f, "switch to a: refused: ");
    assert_int_equal(ask(f, "POST", target, "{\"server\":\"x\"}"), 404);
    assert_int_equal(ask(f, "POST", target, "{}"), 404);
    assert_int_equal(ask(f, "POST", target, "{\"server\":3}"), 400);
}

// ---- what the supervisor does -------------------------------------------------------------------

static void test_reload(void **state)
{
    struct fixture *f = *state;
    char text[64];
    assert_int_equal(ask(f, "POST", "/v1/reload", NULL), ADMIN_LATER);
    struct message m = heard(f, text, sizeof(text));
    assert_int_equal(m.type, MSG_ASK);
    assert_int_equal(m.arg, ASK_RELOAD);
    assert_string_equal(f->last_line, "");
    answer_with(f, (struct message){.request = m.request}, "~ server app/a (weight 1 -> 2)\n");
    assert_int_equal(f->result, 200);
    assert_string_equal(buf_head(&f->body),
                        "{\"done\":true,\"text\":\"~ server app/a (weight 1 -> 2)\"}\n");
    line_has(f, "admin: reload: done (uid 1000, pid 4711)");
}

static void test_reload_refused(void **state)
{
    struct fixture *f = *state;
    char text[64];
    assert_int_equal(ask(f, "POST", "/v1/reload", NULL), ADMIN_LATER);
    struct message m = heard(f, text, sizeof(text));
    answer_with(f, (struct message){.request = m.request, .status = 1}, "e.yaml:1: error\n  1 |\n");
    assert_int_equal(f->result, 409);
    assert_string_equal(buf_head(&f->body),
                        "{\"error\":{\"status\":409,\"id\":\"refused\",\"message\":"
                        "\"e.yaml:1: error\\n  1 |\"}}\n");
    line_has(f, "admin: reload: refused: e.yaml:1: error (uid 1000, pid 4711)");
}

static void test_no_answer_and_no_supervisor(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, "POST", "/v1/reload", NULL), ADMIN_LATER);
    assert_int_equal(admin_api_resume(&f->view, &f->call, NULL), 504);
    line_has(f, "refused: the supervisor has not answered in time");
    (void)close(f->channel[1]);
    f->channel[1] = dup(f->channel[0]);
    assert_int_equal(ask(f, "POST", "/v1/reload", NULL), 503);
    assert_int_equal(ask(f, "GET", "/v1/sessions", NULL), 503);
}

static void test_worker_and_log(void **state)
{
    struct fixture *f = *state;
    char text[64];
    assert_int_equal(ask(f, "POST", "/v1/workers/1/restart", NULL), ADMIN_LATER);
    struct message m = heard(f, text, sizeof(text));
    assert_int_equal(m.arg, ASK_RESTART_WORKER);
    assert_int_equal(m.value, 1);
    assert_int_equal(ask(f, "POST", "/v1/workers/2/restart", NULL), 404);
    assert_int_equal(ask(f, "POST", "/v1/workers/-1/restart", NULL), 404);
    assert_int_equal(ask(f, "PUT", "/v1/log/level", "{\"level\":\"debug\"}"), ADMIN_LATER);
    m = heard(f, text, sizeof(text));
    assert_int_equal(m.arg, ASK_LOG_LEVEL);
    assert_int_equal(m.value, LOG_DEBUG);
    assert_int_equal(ask(f, "PUT", "/v1/log/level", "{\"level\":\"loud\"}"), 400);
    assert_int_equal(ask(f, "PUT", "/v1/log/level", "{}"), 400);
    assert_int_equal(ask(f, "POST", "/v1/log/reopen", NULL), ADMIN_LATER);
    assert_int_equal(heard(f, text, sizeof(text)).arg, ASK_LOG_REOPEN);
}

static void test_sessions_of_all_workers(void **state)
{
    struct fixture *f = *state;
    char text[64];
    assert_int_equal(ask(f, "GET", "/v1/sessions?limit=11", NULL), ADMIN_LATER);
    struct message m = heard(f, text, sizeof(text));
    assert_int_equal(m.type, MSG_QUERY);
    assert_int_equal(m.arg, QUERY_SESSIONS);
    assert_int_equal(m.value, 6); // of each
    answer_with(f, (struct message){.request = m.request, .arg = 1, .value = 9, .n_more = 1},
                "{\"a\":1},{\"b\":2}");
    assert_int_equal(f->result, ADMIN_LATER);
    answer_with(f, (struct message){.request = m.request, .arg = 0, .value = 1}, "{\"c\":3}");
    assert_int_equal(f->result, 200);
    assert_string_equal(buf_head(&f->body), "{\"sessions\":[{\"a\":1},{\"b\":2},{\"c\":3}],"
                                            "\"total\":10,\"complete\":true}\n");
}

// A worker that does not answer is left out; none at all is an answer, too.
static void test_sessions_that_are_missing(void **state)
{
    struct fixture *f = *state;
    char text[64];
    assert_int_equal(ask(f, "GET", "/v1/sessions", NULL), ADMIN_LATER);
    struct message m = heard(f, text, sizeof(text));
    answer_with(f, (struct message){.request = m.request, .value = 1, .n_more = 1}, "{\"a\":1}");
    assert_int_equal(admin_api_resume(&f->view, &f->call, NULL), 200);
    end_body(f);
    body_has(f, "{\"sessions\":[{\"a\":1}],\"total\":1,\"complete\":false}");
    assert_int_equal(ask(f, "GET", "/v1/sessions", NULL), ADMIN_LATER);
    m = heard(f, text, sizeof(text));
    answer_with(f, (struct message){.request = m.request, .status = 1, .n_more = 1}, NULL);
    answer_with(f, (struct message){.request = m.request}, "");
    body_has(f, "{\"sessions\":[],\"total\":0,\"complete\":false}");
    static const char *const bad[] = {"limit=0", "limit=10001", "limit=x", "limit="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char target[64];
        (void)snprintf(target, sizeof(target), "/v1/sessions?%s", bad[i]);
        assert_int_equal(ask(f, "GET", target, NULL), 400);
    }
}

// ---- servers added and removed ------------------------------------------------------------------

static void test_add_and_remove(void **state)
{
    struct fixture *f = *state;
    char text[128];
    assert_int_equal(ask(f, "POST", "/v1/servers/app",
                         "{\"name\":\"c\",\"address\":\"[::1]:80\",\"weight\":2,\"tier\":3,"
                         "\"max_connections\":9,\"reason\":\"more\"}"),
                     ADMIN_LATER);
    struct message m = heard(f, text, sizeof(text));
    assert_int_equal(m.arg, ASK_OVERLAY);
    assert_string_equal(text, "add app/c [::1]:80 weight=2 tier=3 max-connections=9\n");
    answer_with(f, (struct message){.request = m.request}, "+ server app/c");
    assert_int_equal(f->result, 200);
    line_has(f, "admin: app/c: add [::1]:80: done (uid 1000, pid 4711; more)");
    assert_int_equal(ask(f, "DELETE", A, NULL), ADMIN_LATER);
    m = heard(f, text, sizeof(text));
    assert_int_equal(m.arg, ASK_OVERLAY);
    assert_string_equal(text, "remove app/a\n");
}

static void test_additions_that_are_refused(void **state)
{
    static const char *const bodies[] = {
        "{\"name\":\"c\"}",
        "{\"address\":\"10.0.0.3:80\"}",
        "{\"name\":\"c d\",\"address\":\"10.0.0.3:80\"}",
        "{\"name\":\"\",\"address\":\"10.0.0.3:80\"}",
        "{\"name\":\"c\",\"address\":\"10.0.0.3\"}",
        "{\"name\":\"c\",\"address\":\"10.0.0.3:80 weight=9\"}",
        "{\"name\":\"c\",\"address\":\"10.0.0.3:80\\nremove app/a\"}",
        "{\"name\":\"c\",\"address\":\"unix:/a b\"}",
        "{\"name\":\"c\",\"address\":\"unix:/a\\tb\"}",
        "{\"name\":\"c\",\"address\":\"10.0.0.3:80\",\"weight\":300}",
        "{\"name\":\"c\",\"address\":\"10.0.0.3:80\",\"tier\":\"1\"}",
        "{\"name\":\"c\",\"address\":\"10.0.0.3:80\",\"port\":80}",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        if (ask(f, "POST", "/v1/servers/app", bodies[i]) != 400)
            fail_msg("accepted: %s", bodies[i]);
    }
    static const char again[] = "{\"name\":\"b\",\"address\":\"10.0.0.3:80\"}";
    assert_int_equal(ask(f, "POST", "/v1/servers/app", again), 409);
    body_has(f, "\"id\":\"exists\"");
    assert_int_equal(ask(f, "POST", "/v1/servers/nowhere", again), 404);
    assert_int_equal(ask(f, "DELETE", "/v1/servers/app/c", NULL), 404);
}

static void test_plan_of_rubbish(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, "POST", "/v1/plan", "no bundle"), 400);
    body_has(f, "bad-bundle");
    assert_string_equal(f->last_line, ""); // nothing was to be changed
    assert_true(admin_api_body_max(STR("/v1/plan")) == 16u << 20);
    assert_true(admin_api_body_max(STR("/v1/reload")) == 64u << 10);
}

#define API_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_drain_for_a_time),
        API_TEST(test_weight),
        API_TEST(test_bodies_that_are_refused),
        API_TEST(test_switch),
        API_TEST(test_reload),
        API_TEST(test_reload_refused),
        API_TEST(test_no_answer_and_no_supervisor),
        API_TEST(test_worker_and_log),
        API_TEST(test_sessions_of_all_workers),
        API_TEST(test_sessions_that_are_missing),
        API_TEST(test_add_and_remove),
        API_TEST(test_additions_that_are_refused),
        API_TEST(test_plan_of_rubbish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
