// SPDX-License-Identifier: MIT
// The line that every ended request leaves: letters, status, server, phases that never came.
#include "messages.h"
#include "sim.h"

static void expect_line(struct sim *t, const char *const *parts)
{
    const char *line = sim_log_take(t);
    const char *end = strchr(line, '\n');
    assert_non_null(end);
    assert_string_equal(end, "\n"); // one line
    for (; *parts != NULL; parts++) {
        if (strstr(line, *parts) == NULL)
            fail_msg("no %s in %s", *parts, line);
    }
}

#define EXPECT_LINE(t, ...) expect_line(t, (const char *const[]){__VA_ARGS__, NULL})

static void test_ordinary(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_log(t);
    sim_send(t, CLIENT, "GET /a?b HTTP/1.1\r\nHost: Example\r\nUser-Agent: me\r\n\r\n");
    sim_advance(t, 50);
    char id[33] = "";
    const char *got = strstr(t->peers[SERVER].out.p, "X-Request-ID: ");
    assert_non_null(got);
    memcpy(id, got + 14, 32); // the one that the server got
    sim_send(t, SERVER, OKAY);
    EXPECT_LINE(t, "\"term\":\"--\"", "\"status\":200", "\"server\":\"s1\"", "\"path\":\"/a?b\"",
                id, "\"host\":\"Example\"", "\"ua\":\"me\"", "\"t_response\":50,", "\"retries\":0");
    sim_send(t, CLIENT, GET("/2"));
    sim_advance(t, 20);
    sim_send(t, SERVER, OKAY);
    EXPECT_LINE(t, "\"term\":\"--\"", "\"path\":\"/2\"");
    sim_free(t);
}

static void test_timeout_and_abort(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("server: 2s"));
    sim_log(t);
    sim_send(t, CLIENT, GET("/slow"));
    sim_advance(t, 2100);
    EXPECT_LINE(t, "\"term\":\"sH\"", "\"status\":504", "\"t_response\":null",
                "\"end\":\"server-timeout-wait\"");
    sim_send(t, CLIENT_N(1), "GET /never");
    sim_run(t);
    sim_close(t, CLIENT_N(1));
    EXPECT_LINE(t, "\"term\":\"CR\"", "\"status\":null", "\"method\":null", "\"server\":null",
                "\"backend\":null");
    sim_free(t);
}

static void test_refused(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "retries: 1\n");
    sim_log(t);
    t->dial[0] = t->dial[1] = DIAL_REFUSE;
    sim_send(t, CLIENT, GET("/"));
    EXPECT_LINE(t, "\"term\":\"SC\"", "\"status\":503", "\"retries\":1", "\"t_connect\":null");
    sim_free(t);
}

// Of a head that breaks the rules: what it looked like, and which rule it was.
static void test_malformed(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_log(t);
    sim_send(t, CLIENT, "GET /x?y HTTP/1.1\r\nHost : a\r\n\r\n");
    EXPECT_LINE(t, "\"end\":\"bad-request\"", "\"method\":\"GET\"", "\"path\":\"/x?y\"",
                "\"bytes_in\":31", "\"detail\":\"");
    sim_send(t, CLIENT_N(1), "\x16\x03\x01 nothing like HTTP\r\n\r\n");
    EXPECT_LINE(t, "\"end\":\"bad-request\"", "\"path\":\"nothing\"");
    sim_send(t, CLIENT_N(2), "\r\n\r\n\r\n \r\n");
    EXPECT_LINE(t, "\"end\":\"bad-request\"");
    sim_free(t);
}

static void test_sessions_of_mode_tcp(void **state)
{
    (void)state;
    struct sim *t = sim_new("mode: tcp\n" ONE);
    sim_log(t);
    sim_send(t, CLIENT, "hello");
    sim_run(t);
    sim_send(t, SERVER, "hi");
    sim_fin(t, SERVER);
    sim_fin(t, CLIENT);
    EXPECT_LINE(t, "\"term\":\"--\"", "\"proto\":\"tcp\"", "\"bytes_in\":5", "\"bytes_out\":2",
                "\"server\":\"s1\"", "\"status\":null");
    t->dial[0] = DIAL_EXHAUSTED;
    sim_send(t, CLIENT_N(1), "hello");
    EXPECT_LINE(t, "\"term\":\"RC\"", "\"t_connect\":null");
    sim_free(t);
}

// A full ring costs lines, never a wait.
static void test_full_ring(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE "routes: [{path: /deny, deny: 403}, {backend: default}]\n");
    sim_log(t);
    for (int i = 0; i < 400; i++) {
        sim_send(t, CLIENT, GET("/deny"));
        sim_run(t);
    }
    assert_int_equal(sim_ends(t), 400);
    assert_in_range(t->w.count->worker[WORKER_LOG_DROPPED], 1, 399);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordinary),
        cmocka_unit_test(test_timeout_and_abort),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_sessions_of_mode_tcp),
        cmocka_unit_test(test_full_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
