// SPDX-License-Identifier: MIT
// Every timeout of mode http: when it fires, what it is blamed on, what the client gets.
#include "messages.h"
#include "sim.h"

// The whole head has timeout.request, however it trickles in.
static void test_request_head(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("request: 10s"));
    (void)sim_connect(t);
    for (const char *p = "GET / HTTP/1.1"; *p != '\0'; p++) {
        sim_send_bytes(t, CLIENT, p, 1);
        sim_advance(t, 690);
    }
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 500);
    sim_expect_part(t, CLIENT, "HTTP/1.1 408 Request Timeout\r\n", SIM_FIN);
    sim_expect_end(t, END_CLIENT_TIMEOUT_REQUEST);
    sim_free(t);
}

// A second request has its own time, from its first byte on.
static void test_second_request_head(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("request: 10s"));
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, OKAY);
    sim_expect_end(t, END_OK);
    sim_advance(t, 40000);
    sim_send(t, CLIENT, "GET ");
    sim_advance(t, 9000);
    sim_send(t, CLIENT, "/");
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 1100);
    sim_expect_end(t, END_CLIENT_TIMEOUT_REQUEST);
    sim_free(t);
}

// A rest of a pipelined request behind a slow one: its time begins when its turn comes.
static void test_pipelined_rest(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("request: 5s"));
    sim_send(t, CLIENT, GET("/") "GET /2");
    sim_advance(t, 20000);
    sim_send(t, SERVER, OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_expect_end(t, END_OK);
    sim_advance(t, 4900);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 200);
    sim_expect_end(t, END_CLIENT_TIMEOUT_REQUEST);
    sim_free(t);
}

// A client that never says a word is closed without an answer.
static void test_silent_client(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("request: 10s"));
    int c = sim_connect(t);
    sim_advance(t, 9900);
    sim_expect(t, c, "", SIM_OPEN);
    sim_advance(t, 200);
    sim_expect(t, c, "", SIM_FIN);
    sim_expect_end(t, END_COUNT);
    sim_free(t);
}

static void test_proxy_header(void **state)
{
    (void)state;
    struct sim *t =
        sim_new(ONE "accept-proxy: true\ntrusted-proxies: [127.0.0.0/8]\n" TIMEOUT("request: 10s"));
    (void)sim_connect(t);
    for (const char *p = "PROXY TCP4 192"; *p != '\0'; p++) {
        sim_send_bytes(t, CLIENT, p, 1);
        sim_advance(t, 690);
    }
    sim_expect_state(t, CLIENT, SIM_OPEN);
    sim_advance(t, 600);
    sim_expect_part(t, CLIENT, "", SIM_FIN);
    sim_expect_end(t, END_CLIENT_TIMEOUT_REQUEST);
    sim_free(t);
}

static void test_keep_alive(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("keep-alive: 20s"));
    for (int i = 0; i < 3; i++) {
        sim_send(t, CLIENT, GET("/"));
        sim_run(t);
        sim_send(t, SERVER, OKAY);
        sim_expect(t, CLIENT, OKAY, SIM_OPEN);
        sim_advance(t, 19000);
        sim_expect_state(t, CLIENT, SIM_OPEN);
    }
    assert_int_equal(t->n_dials, 1);
    sim_expect_ends(t, END_OK, 3);
    sim_advance(t, 1100);
    sim_expect(t, CLIENT, "", SIM_FIN);
    sim_expect_end(t, END_COUNT);
    sim_free(t);
}

static void test_connect(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE "retries: 0\n" TIMEOUT("connect: 3s"));
    t->dial[0] = DIAL_HANG;
    sim_send(t, CLIENT, GET("/"));
    sim_advance(t, 2900);
    sim_expect(t, CLIENT, "", SIM_OPEN);
    sim_advance(t, 200);
    sim_expect_part(t, CLIENT, "HTTP/1.1 504 ", SIM_OPEN);
    sim_expect_state(t, SERVER, SIM_RST);
    sim_expect_end(t, END_SERVER_CONNECT_TIMEOUT);
    sim_free(t);
}

static void test_connect_then_retry(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO TIMEOUT("connect: 3s"));
    t->dial[0] = DIAL_HANG;
    sim_send(t, CLIENT, POST("/", "2") "xy");
    sim_advance(t, 3100);
    sim_expect_part(t, SERVER_N(1), "\r\n\r\nxy", SIM_OPEN);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_server_silent(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("server: 20s"));
    sim_send(t, CLIENT, GET("/"));
    sim_advance(t, 19900);
    sim_expect(t, CLIENT, "", SIM_OPEN);
    sim_advance(t, 200);
    sim_expect_part(t, CLIENT, "HTTP/1.1 504 ", SIM_OPEN);
    sim_expect_state(t, SERVER, SIM_RST);
    sim_expect_end(t, END_SERVER_TIMEOUT_WAIT);
    sim_free(t);
}

static void test_server_stalls_in_answer(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("server: 20s"));
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel");
    for (int i = 0; i < 3; i++) {
        sim_advance(t, 19000);
        sim_send(t, SERVER, "x"); // still alive
    }
    sim_expect_part(t, CLIENT, "helxxx", SIM_OPEN);
    sim_advance(t, 20100);
    sim_expect_end(t, END_SERVER_TIMEOUT_DATA);
    assert_int_not_equal(t->peers[CLIENT].state, SIM_OPEN);
    sim_free(t);
}

// A client that does not send the body it has announced.
static void test_upload_stalls(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("client: 15s, server: 20s"));
    sim_send(t, CLIENT, POST("/", "10") "abc");
    sim_advance(t, 14000);
    sim_send(t, CLIENT, "d");
    sim_advance(t, 14900);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 200);
    sim_expect_part(t, CLIENT, "HTTP/1.1 408 ", SIM_FIN);
    sim_expect_end(t, END_CLIENT_TIMEOUT_DATA);
    sim_expect_state(t, SERVER, SIM_RST);
    sim_free(t);
}

// A server that does not take the body: that is the server's time, and nobody spins meanwhile.
static void test_upload_not_taken(void **state)
{
    (void)state;
    static char body[100001];
    memset(body, 'x', sizeof(body) - 1);
    struct sim *t = sim_new(ONE TIMEOUT("client: 15s, server: 20s"));
    t->window = 1000;
    int c = sim_connect(t);
    t->peers[c].window = SIZE_MAX;
    sim_send(t, c, POST("/", "100000"));
    sim_send(t, c, body);
    sim_advance(t, 19900);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 200);
    sim_expect_part(t, c, "HTTP/1.1 504 ", SIM_FIN);
    sim_expect_end(t, END_SERVER_TIMEOUT_WAIT);
    sim_free(t);
}

// A client that does not take its answer.
static void test_answer_not_taken(void **state)
{
    (void)state;
    static char body[100001];
    memset(body, 'x', sizeof(body) - 1);
    struct sim *t = sim_new(ONE TIMEOUT("client: 15s, server: 20s"));
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    t->peers[CLIENT].window = 500;
    sim_send(t, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    sim_send(t, SERVER, body);
    sim_advance(t, 14000);
    sim_window(t, CLIENT, 500);
    sim_advance(t, 14900);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 200);
    sim_expect_end(t, END_CLIENT_TIMEOUT_DATA);
    sim_free(t);
}

// An answer of our own that is not taken, while more requests wait behind it.
static void test_own_answer_not_taken(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("client: 15s, server: 2s"));
    sim_send(t, CLIENT, GET("/"));
    t->peers[CLIENT].window = 10;
    sim_advance(t, 500);
    sim_advance(t, 2000);
    sim_send(t, CLIENT, GET("/2"));
    sim_advance(t, 14900);
    assert_int_equal(t->w.exchanges, 0 + 1);
    sim_advance(t, 500);
    assert_int_equal(t->w.exchanges, 0);
    assert_int_equal(sim_ends(t), 1);
    sim_free(t);
}

static void test_tunnel(void **state)
{
    (void)state;
    struct sim *t =
        sim_new(ONE TIMEOUT("tunnel: 30s, server: 5s, client: 5s, client-fin: 3s, server-fin: 2s"));
    for (int i = 0; i < 3; i++) {
        int c = CLIENT_N(i), s = SERVER_N(i);
        sim_send(t, c, UPGRADE);
        sim_run(t);
        sim_send(t, s, SWITCH "\r\nfirst");
        sim_expect_part(t, c, "\r\n\r\nfirst", SIM_OPEN);
        sim_send(t, c, "ping");
        sim_expect_part(t, s, "ping", SIM_OPEN);
    }
    sim_advance(t, 29000);
    sim_expect_end(t, END_COUNT);
    sim_send(t, SERVER, "x");
    sim_fin(t, CLIENT_N(1));
    sim_fin(t, SERVER_N(2));
    sim_expect_state(t, SERVER_N(1), SIM_FIN);
    sim_expect_state(t, CLIENT_N(2), SIM_FIN);
    sim_advance(t, 1900);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 200);
    sim_expect_state(t, CLIENT_N(1), SIM_RST);
    sim_expect_end(t, END_SERVER_TIMEOUT_DATA);
    sim_advance(t, 1100);
    sim_expect_state(t, SERVER_N(2), SIM_RST);
    sim_expect_end(t, END_CLIENT_TIMEOUT_DATA);
    sim_advance(t, 26700);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 400);
    sim_expect_end(t, END_TUNNEL_IDLE);
    sim_free(t);
}

// An idle server connection is kept for timeout.idle, or as long as the server says less a second.
static void test_idle_server_connections(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("idle: 30s"));
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, OKAY);
    sim_advance(t, 29900);
    sim_expect_state(t, SERVER, SIM_OPEN);
    sim_advance(t, 200);
    sim_expect_state(t, SERVER, SIM_FIN);
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER_N(1),
             "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=5\r\n\r\n");
    sim_advance(t, 3900);
    sim_expect_state(t, SERVER_N(1), SIM_OPEN);
    sim_advance(t, 200);
    sim_expect_state(t, SERVER_N(1), SIM_FIN);
    sim_free(t);
}

// Lingering after an answer to a request that was not read ends by time and by size.
static void test_lingering(void **state)
{
    (void)state;
    static char body[300001];
    memset(body, 'x', sizeof(body) - 1);
    struct sim *t = sim_new(ONE "routes: [{path: /deny, deny: 403}, {backend: default}]\n");
    sim_send(t, CLIENT, POST("/deny", "1000000"));
    sim_expect_part(t, CLIENT, "HTTP/1.1 403 ", SIM_FIN);
    sim_expect_end(t, END_DENIED);
    sim_send(t, CLIENT, "more");
    sim_advance(t, 1900);
    assert_int_equal(t->w.n_sessions, 1);
    sim_advance(t, 200);
    assert_int_equal(t->w.n_sessions, 0);

    sim_send(t, CLIENT_N(1), POST("/deny", "1000000"));
    sim_expect_part(t, CLIENT_N(1), "HTTP/1.1 403 ", SIM_FIN);
    assert_int_equal(t->w.n_sessions, 1);
    sim_send(t, CLIENT_N(1), body);
    sim_run(t);
    assert_int_equal(t->w.n_sessions, 0);
    sim_expect_end(t, END_DENIED);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_head),     cmocka_unit_test(test_second_request_head),
        cmocka_unit_test(test_pipelined_rest),   cmocka_unit_test(test_silent_client),
        cmocka_unit_test(test_proxy_header),     cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_connect),          cmocka_unit_test(test_connect_then_retry),
        cmocka_unit_test(test_server_silent),    cmocka_unit_test(test_server_stalls_in_answer),
        cmocka_unit_test(test_upload_stalls),    cmocka_unit_test(test_upload_not_taken),
        cmocka_unit_test(test_answer_not_taken), cmocka_unit_test(test_own_answer_not_taken),
        cmocka_unit_test(test_tunnel),           cmocka_unit_test(test_idle_server_connections),
        cmocka_unit_test(test_lingering),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
