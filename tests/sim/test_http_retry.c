// SPDX-License-Identifier: MIT
// What is tried again, where, how often; and what never is.
#include "messages.h"
#include "sim.h"

static void test_refused_then_another(void **state)
{
    (void)state;
    const enum sim_dial how[] = {DIAL_REFUSE, DIAL_REFUSE_NOW};
    for (size_t i = 0; i < ARRAY_LEN(how); i++) {
        struct sim *t = sim_new(TWO);
        t->dial[0] = how[i];
        sim_send(t, CLIENT, POST("/", "2") "xy");
        sim_run(t);
        int live = SERVER_N(t->n_dials - 1);
        sim_expect_part(t, live, "\r\n\r\nxy", SIM_OPEN);
        sim_send(t, live, OKAY);
        sim_expect(t, CLIENT, OKAY, SIM_OPEN);
        sim_expect_end(t, END_OK);
        assert_int_equal(sim_server_counters(t, 0)[SERVER_CONNECT_FAILURES], 1);
        sim_free(t);
    }
}

static void test_refused_by_all(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "retries: 2\n");
    t->dial[0] = t->dial[1] = DIAL_REFUSE;
    sim_send(t, CLIENT, GET("/"));
    sim_expect_part(t, CLIENT, "HTTP/1.1 503 ", SIM_OPEN);
    sim_expect_end(t, END_SERVER_REFUSED);
    assert_int_equal(t->n_dials, 3);
    sim_free(t);
}

static void test_no_server_and_no_socket(void **state)
{
    (void)state;
    struct sim *t = sim_new("servers: [{address: 10.0.0.1:80, weight: 0}]\n");
    sim_send(t, CLIENT, GET("/"));
    sim_expect_part(t, CLIENT, "HTTP/1.1 503 ", SIM_OPEN);
    sim_expect_end(t, END_NO_SERVER);
    sim_free(t);
    t = sim_new(TWO);
    t->dial[0] = t->dial[1] = DIAL_EXHAUSTED;
    sim_send(t, CLIENT, GET("/"));
    sim_expect_part(t, CLIENT, "HTTP/1.1 503 ", SIM_OPEN);
    sim_expect_end(t, END_OUT_OF_SOCKETS);
    assert_int_equal(sim_server_counters(t, 0)[SERVER_CONNECT_FAILURES], 0);
    sim_free(t);
}

// Nothing came of an answer: what is idempotent goes to the other server, a POST never.
static void test_closed_before_an_answer(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO);
    sim_send(t, CLIENT, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy");
    sim_run(t);
    sim_reset(t, SERVER);
    sim_expect_part(t, SERVER_N(1), "\r\n\r\nxy", SIM_OPEN);
    assert_int_not_equal(t->peers[SERVER].server, t->peers[SERVER_N(1)].server);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_expect_end(t, END_OK);
    assert_int_equal(t->w.retrying, 0);

    sim_send(t, CLIENT_N(1), POST("/", "2") "xy");
    sim_run(t);
    int n = t->n_dials;
    sim_reset(t, SERVER_N(n - 1));
    sim_expect_part(t, CLIENT_N(1), "HTTP/1.1 502 ", SIM_OPEN);
    sim_expect_end(t, END_SERVER_CLOSED_WAIT);
    assert_int_equal(t->n_dials, n);
    sim_free(t);
}

// A request whose body is not here yet as a whole cannot be sent again.
static void test_incomplete_request_is_not_replayed(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO);
    sim_send(t, CLIENT, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nxy");
    sim_run(t);
    sim_reset(t, SERVER);
    sim_expect_part(t, CLIENT, "HTTP/1.1 502 ", SIM_FIN);
    sim_expect_end(t, END_SERVER_CLOSED_WAIT);
    assert_int_equal(t->n_dials, 1);
    sim_free(t);
}

// Once a byte of an answer has come, nothing is repeated.
static void test_begun_answer_is_not_replayed(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO);
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, "HTTP/1.1 2");
    sim_run(t);
    sim_reset(t, SERVER);
    sim_expect_part(t, CLIENT, "HTTP/1.1 502 ", SIM_OPEN);
    assert_int_equal(t->n_dials, 1);
    sim_free(t);
}

// The server closes a kept connection just when a request goes out on it.
static void test_reuse_race(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE "retries: 0\n");
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, OKAY);
    sim_expect_end(t, END_OK);
    sim_send(t, CLIENT, GET("/2"));
    sim_close(t, SERVER);
    sim_expect_part(t, SERVER_N(1), "GET /2 ", SIM_OPEN);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect_part(t, CLIENT, OKAY, SIM_OPEN);
    sim_expect_end(t, END_OK);
    assert_int_equal(sim_server_counters(t, 0)[SERVER_REUSE_RACES], 1);
    assert_int_equal(sim_server_counters(t, 0)[SERVER_RESPONSE_FAILURES], 0);
    sim_free(t);
}

// A request that stood behind another one, and was moved in its buffer after it had been parsed, is
// sent again as it came.
static void test_replay_after_the_buffer_was_moved(void **state)
{
    (void)state;
    static char body[16301];
    memset(body, 'p', sizeof(body) - 1);
    struct sim *t = sim_new(TWO "reuse: never\n");
    sim_send(t, CLIENT,
             GET("/1") "PUT /second HTTP/1.1\r\nHost: a\r\nX-Mark: here\r\n"
                       "Content-Length: 16300\r\n\r\n");
    sim_send_bytes(t, CLIENT, body, 15000);
    sim_run(t);
    sim_send(t, SERVER, OKAY);
    sim_expect_end(t, END_OK);
    for (int i = 0; i < 13; i++) {
        sim_send_bytes(t, CLIENT, body, 100);
        sim_run(t);
    }
    sim_expect_part(t, SERVER_N(1), "PUT /second HTTP/1.1\r\nHost: a\r\nX-Mark: here\r\n",
                    SIM_OPEN);
    sim_reset(t, SERVER_N(1));
    sim_expect_part(t, SERVER_N(2), "PUT /second HTTP/1.1\r\nHost: a\r\nX-Mark: here\r\n",
                    SIM_OPEN);
    assert_int_equal(strlen(strstr(t->peers[SERVER_N(2)].out.p, "\r\n\r\n") + 4), 16300);
    sim_send(t, SERVER_N(2), OKAY);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

// Retries are a fifth of the work at most, but three are always allowed.
static void test_retry_budget(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "retries: 1\n" TIMEOUT("connect: 1s"));
    t->dial[0] = t->dial[1] = DIAL_HANG;
    for (int i = 0; i < 20; i++)
        sim_send(t, CLIENT_N(i), GET("/"));
    sim_run(t);
    assert_int_equal(t->n_dials, 20);
    sim_advance(t, 1100);
    assert_int_equal(t->n_dials, 24);
    sim_expect_ends(t, END_SERVER_CONNECT_TIMEOUT, 16);
    sim_advance(t, 1100);
    sim_expect_ends(t, END_SERVER_CONNECT_TIMEOUT, 4);
    assert_int_equal(t->w.retrying, 0);
    sim_free(t);
}

static void test_suspect_is_skipped(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "reuse: never\n");
    t->dial[0] = DIAL_REFUSE;
    for (int i = 0; i < 6; i++) {
        sim_send(t, CLIENT, GET("/"));
        sim_run(t);
        sim_send(t, SERVER_N(t->n_dials - 1), OKAY);
        sim_expect_end(t, END_OK);
    }
    assert_int_equal(t->n_dials, 7);
    assert_int_equal(sim_server_counters(t, 0)[SERVER_CONNECT_FAILURES], 1);
    t->dial[0] = DIAL_OK;
    sim_advance(t, 1100);
    int back = 0;
    for (int i = 0; i < 4; i++) {
        sim_send(t, CLIENT, GET("/"));
        sim_run(t);
        back += t->peers[SERVER_N(t->n_dials - 1)].server == 0;
        sim_send(t, SERVER_N(t->n_dials - 1), OKAY);
        sim_expect_end(t, END_OK);
    }
    assert_int_equal(back, 2);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_then_another),
        cmocka_unit_test(test_refused_by_all),
        cmocka_unit_test(test_no_server_and_no_socket),
        cmocka_unit_test(test_closed_before_an_answer),
        cmocka_unit_test(test_incomplete_request_is_not_replayed),
        cmocka_unit_test(test_begun_answer_is_not_replayed),
        cmocka_unit_test(test_reuse_race),
        cmocka_unit_test(test_replay_after_the_buffer_was_moved),
        cmocka_unit_test(test_retry_budget),
        cmocka_unit_test(test_suspect_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
