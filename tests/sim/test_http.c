// SPDX-License-Identifier: MIT
// What mode http does with requests that go well, and with those it answers itself.
#include "messages.h"
#include "sim.h"

static void test_one_request(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, "GET /a?b HTTP/1.1\r\nHost: a\r\nConnection: X-Drop\r\nX-Drop: 1\r\n\r\n");
    const char *got = sim_take(t, SERVER);
    assert_memory_equal(got, "GET /a?b HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 127.0.0.1\r\n", 53);
    assert_null(strstr(got, "X-Drop"));
    sim_send(t, SERVER, OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_expect_end(t, END_OK);
    sim_expect_quiet(t); // nothing is held by an idle client
    assert_int_equal(t->w.n_upstreams, 1);
    sim_free(t);
}

// Pipelined requests are served one by one: the second is not sent before the first is answered.
static void test_pipelining_keeps_order(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO);
    sim_send(t, CLIENT, GET("/1") GET("/2"));
    sim_expect_part(t, SERVER, "GET /1 ", SIM_OPEN);
    assert_int_equal(t->n_dials, 1);
    sim_send(t, SERVER, OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_expect_part(t, SERVER_N(1), "GET /2 ", SIM_OPEN);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_expect_ends(t, END_OK, 2);
    sim_free(t);
}

static void test_connection_is_shared(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    for (int i = 0; i < 5; i++) {
        sim_send(t, CLIENT_N(i), GET("/"));
        sim_expect_part(t, SERVER, "GET / ", SIM_OPEN);
        sim_send(t, SERVER, OKAY);
        sim_expect(t, CLIENT_N(i), OKAY, SIM_OPEN);
    }
    assert_int_equal(t->n_dials, 1);
    assert_int_equal(sim_server_counters(t, 0)[SERVER_REUSES], 4);
    sim_free(t);
}

// A first request that cannot be repeated opens a connection of its own ("reuse: safe").
static void test_safe_reuse(void **state)
{
    (void)state;
    const struct {
        const char *yaml;
        int dials;
    } rows[] = {{"reuse: safe\n", 2}, {"reuse: always\n", 1}, {"reuse: never\n", 2}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char yaml[200];
        snprintf(yaml, sizeof(yaml), ONE "%s", rows[i].yaml);
        struct sim *t = sim_new(yaml);
        sim_send(t, CLIENT, GET("/"));
        sim_run(t);
        sim_send(t, SERVER, OKAY);
        sim_expect_end(t, END_OK);
        sim_send(t, CLIENT_N(1), POST("/", "1") "x");
        sim_run(t);
        assert_int_equal(t->n_dials, rows[i].dials);
        sim_send(t, SERVER_N(rows[i].dials - 1), OKAY);
        sim_expect_end(t, END_OK);
        sim_free(t);
    }
}

static void test_own_answers(void **state)
{
    (void)state;
    const struct {
        const char *request, *answer;
        enum sim_state after;
        enum end_cause end;
    } rows[] = {
        {GET("/deny"), "HTTP/1.1 403 Forbidden\r\n", SIM_OPEN, END_DENIED},
        {GET("/old/a?b"), "\r\nLocation: /new/a?b\r\n", SIM_OPEN, END_REDIRECTED},
        {GET("/nothing"), "HTTP/1.1 404 Not Found\r\n", SIM_OPEN, END_NO_ROUTE},
        {GET("/%zz"), "HTTP/1.1 400 Bad Request\r\n", SIM_OPEN, END_BAD_REQUEST},
        {"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "HTTP/1.1 405 ", SIM_OPEN, END_BAD_REQUEST},
        {"GET /app HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", SIM_FIN, END_BAD_REQUEST},
        {"GET /app HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 ",
         SIM_FIN, END_BAD_REQUEST},
        {"rubbish\r\n\r\n", "HTTP/1.1 400 ", SIM_FIN, END_BAD_REQUEST},
        {CHUNKED("POST", "/app") "zz\r\n", "HTTP/1.1 400 ", SIM_FIN, END_BAD_REQUEST_BODY},
        {"GET /deny HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n", "{\"status\":403,",
         SIM_OPEN, END_DENIED},
        {"HEAD /deny HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "Connection: close\r\n\r\n",
         SIM_FIN, END_DENIED},
        {"GET /deny HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "Connection: keep-alive\r\n",
         SIM_OPEN, END_DENIED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sim *t = sim_new("frontends: {web: {listen: 80, routes: [{path: /deny, deny: 403},"
                                " {path: /old/, redirect: /new/}, {path: /app, backend: app}]}}\n"
                                "backends: {app: [10.0.0.1:80]}\n");
        sim_send(t, CLIENT, rows[i].request);
        sim_expect_part(t, CLIENT, rows[i].answer, rows[i].after);
        sim_expect_end(t, rows[i].end);
        assert_int_equal(t->peers[SERVER].out.n, 0);
        sim_free(t);
    }
}

// A body that breaks its framing on the way: the server is cut off, the client told.
static void test_bad_body_on_its_way(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, CHUNKED("POST", "/") "2\r\nhi\r\n");
    sim_expect_part(t, SERVER, "2\r\nhi\r\n", SIM_OPEN);
    sim_send(t, CLIENT, "rubbish\r\n");
    sim_expect_part(t, CLIENT, "HTTP/1.1 400 ", SIM_FIN);
    sim_expect_state(t, SERVER, SIM_RST);
    sim_expect_end(t, END_BAD_REQUEST_BODY);
    sim_free(t);
}

// Many pipelined requests that are answered here do not hold the loop: others get their turn.
static void test_many_denied_requests(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE "routes: [{path: /deny, deny: 403}, {backend: default}]\n");
    for (int i = 0; i < 500; i++)
        sim_send(t, CLIENT, GET("/deny"));
    sim_run(t);
    assert_in_range(sim_ends(t), 1, 400);
    sim_advance(t, 200);
    assert_int_equal(sim_ends(t), 500);
    sim_free(t);
}

// Draining: idle clients are closed, running requests end with "Connection: close".
static void test_drain(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE "routes: [{path: /old/, redirect: /new/}, {path: /deny, deny: 403},"
                                " {backend: default}]\n");
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_send(t, CLIENT_N(1), GET("/1"));
    sim_send(t, CLIENT_N(2), "GET /old/x");
    sim_send(t, CLIENT_N(3), "GET /deny");
    int silent = sim_connect(t);
    sim_advance(t, 1500);
    int fresh = sim_connect(t); // is about to send its request: it gets an answer
    sim_run(t);
    sim_drain(t, 30000);
    sim_expect(t, CLIENT, "", SIM_FIN);
    sim_expect_state(t, silent, SIM_FIN);
    sim_expect_state(t, fresh, SIM_OPEN);
    sim_send(t, fresh, GET("/deny"));
    sim_expect_part(t, fresh, "\r\nConnection: close\r\n", SIM_FIN);
    sim_send(t, SERVER, OKAY);
    sim_expect(t, CLIENT_N(1), OKAY_CLOSE, SIM_FIN);
    sim_send(t, CLIENT_N(2), " HTTP/1.1\r\nHost: a\r\n\r\n");
    sim_expect_part(t, CLIENT_N(2), "\r\nConnection: close\r\n", SIM_FIN);
    sim_send(t, CLIENT_N(3), " HTTP/1.1\r\nHost: a\r\n\r\n");
    sim_expect_part(t, CLIENT_N(3), "\r\nConnection: close\r\n", SIM_FIN);
    assert_int_equal(t->w.n_sessions, 0);
    assert_int_equal(t->w.n_upstreams, 0);
    sim_free(t);
}

static void test_drain_runs_out(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_drain(t, 5000);
    sim_advance(t, 5100);
    sim_expect_end(t, END_SHUTDOWN);
    assert_int_equal(t->w.n_sessions, 0);
    sim_free(t);
}

static void test_proxy_header_in(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE "accept-proxy: true\ntrusted-proxies: [127.0.0.0/8]\n");
    sim_send(t, CLIENT, "PROXY TCP4 192.0.2.1 198.51.100.1 5000 80\r\n" GET("/"));
    sim_expect_part(t, SERVER, "X-Forwarded-For: 192.0.2.1\r\n", SIM_OPEN);
    sim_send(t, SERVER, OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_send(t, CLIENT, GET("/2")); // once per connection
    sim_expect_part(t, SERVER, "X-Forwarded-For: 192.0.2.1\r\n", SIM_OPEN);
    sim_send(t, SERVER, OKAY);
    sim_expect_ends(t, END_OK, 2);
    sim_send(t, CLIENT_N(1), GET("/"));
    sim_expect_end(t, END_BAD_PROXY_HEADER);
    sim_expect(t, CLIENT_N(1), "", SIM_FIN);
    sim_send(t, CLIENT_N(2), "PROXY TCP4");
    sim_fin(t, CLIENT_N(2));
    sim_expect_end(t, END_CLIENT_CLOSED_REQUEST);
    sim_free(t);
}

static void test_hash_keeps_a_client_on_its_server(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "balance: hash\nhash: {on: header X-User}\nreuse: never\n");
    for (int i = 0; i < 8; i++) {
        sim_send(t, CLIENT, "GET / HTTP/1.1\r\nHost: a\r\nX-User: u1\r\n\r\n");
        sim_run(t);
        assert_int_equal(t->peers[SERVER_N(i)].server, t->peers[SERVER].server);
        sim_send(t, SERVER_N(i), OKAY);
        sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    }
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_request),
        cmocka_unit_test(test_pipelining_keeps_order),
        cmocka_unit_test(test_connection_is_shared),
        cmocka_unit_test(test_safe_reuse),
        cmocka_unit_test(test_own_answers),
        cmocka_unit_test(test_bad_body_on_its_way),
        cmocka_unit_test(test_many_denied_requests),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_runs_out),
        cmocka_unit_test(test_proxy_header_in),
        cmocka_unit_test(test_hash_keeps_a_client_on_its_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
