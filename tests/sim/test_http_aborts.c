// SPDX-License-Identifier: MIT
// Clients of mode http that leave, in each state: the server connection goes with them, the cause
// is theirs, and nothing is left behind.
#include "messages.h"
#include "sim.h"

static void test_without_a_word(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    int c = sim_connect(t);
    sim_close(t, c);
    sim_expect(t, c, "", SIM_FIN);
    sim_reset(t, sim_connect(t));
    sim_expect_end(t, END_COUNT);
    assert_int_equal(t->w.n_sessions, 0);
    sim_free(t);
}

static void test_in_head(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, "GET / HT");
    sim_run(t);
    sim_close(t, CLIENT);
    sim_expect(t, CLIENT, "", SIM_FIN);
    sim_expect_end(t, END_CLIENT_CLOSED_REQUEST);
    sim_send(t, CLIENT_N(1), "GET / HT");
    sim_run(t);
    sim_reset(t, CLIENT_N(1));
    sim_expect_end(t, END_CLIENT_CLOSED_REQUEST);
    sim_free(t);
}

// While connecting: on a new connection and on one that was kept, where the loop still watches.
static void test_while_connecting(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        struct sim *t = sim_new(TWO "reuse: never\n" TIMEOUT("connect: 4s"));
        if (kept) {
            sim_send(t, CLIENT, GET("/"));
            sim_run(t);
            sim_send(t, SERVER, OKAY);
            sim_expect_end(t, END_OK);
        }
        t->dial[0] = t->dial[1] = DIAL_HANG;
        sim_send(t, CLIENT, GET("/"));
        sim_advance(t, 50);
        sim_reset(t, CLIENT);
        sim_advance(t, 150);
        sim_expect_end(t, END_CLIENT_CLOSED_CONNECT);
        sim_expect_state(t, SERVER_N(kept), SIM_RST);
        sim_free(t);
    }
}

static void test_while_waiting(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        struct sim *t = sim_new(ONE);
        if (kept) {
            sim_send(t, CLIENT, GET("/"));
            sim_run(t);
            sim_send(t, SERVER, OKAY);
            sim_expect_end(t, END_OK);
        }
        sim_send(t, CLIENT, GET("/"));
        sim_advance(t, 300);
        sim_reset(t, CLIENT);
        sim_expect_end(t, END_CLIENT_CLOSED_WAIT);
        sim_expect_state(t, SERVER, SIM_RST);
        sim_free(t);
    }
}

// A FIN behind a request may be "printf ... | nc": a quick answer still comes, a slow one does not.
static void test_half_close_while_waiting(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/"));
    sim_fin(t, CLIENT);
    sim_advance(t, 500);
    sim_send(t, SERVER, OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_FIN);
    sim_expect_end(t, END_OK);

    sim_send(t, CLIENT_N(1), GET("/"));
    sim_fin(t, CLIENT_N(1));
    sim_advance(t, 1500);
    sim_expect_end(t, END_CLIENT_CLOSED_WAIT);
    sim_free(t);
}

// The same for the second of two requests, whose server connection stands already: nothing has been
// waited for before its FIN is seen.
static void test_half_close_behind_two_requests(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/a") GET("/b"));
    sim_fin(t, CLIENT);
    sim_run(t);
    sim_send(t, SERVER, OKAY);
    sim_advance(t, 500);
    sim_send(t, SERVER, OKAY);
    sim_expect(t, CLIENT, OKAY OKAY, SIM_FIN);
    sim_expect_ends(t, END_OK, 2);

    sim_send(t, CLIENT_N(1), GET("/a") GET("/b"));
    sim_fin(t, CLIENT_N(1));
    sim_run(t);
    sim_send(t, SERVER, OKAY);
    sim_expect_end(t, END_OK);
    sim_advance(t, 1500);
    sim_expect_end(t, END_CLIENT_CLOSED_WAIT);
    sim_free(t);
}

// One that has ended its direction and takes a long answer gets all of it.
static void test_half_close_and_long_answer(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/"));
    sim_advance(t, 200);
    sim_fin(t, CLIENT);
    sim_run(t);
    sim_send(t, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n");
    for (int i = 0; i < 40; i++) {
        sim_send(t, SERVER, "x");
        sim_advance(t, 200);
    }
    sim_expect_part(t, CLIENT, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", SIM_FIN);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_in_upload(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, POST("/", "10") "abc");
    sim_expect_part(t, SERVER, "abc", SIM_OPEN);
    sim_close(t, CLIENT);
    sim_expect_end(t, END_CLIENT_CLOSED_DATA);
    sim_expect_state(t, SERVER, SIM_RST);
    sim_free(t);
}

// While the server takes nothing more, and the client's bytes wait unread: noticed all the same,
// even when the server takes a little now and then. Also with a next request waiting.
static void test_in_stalled_upload(void **state)
{
    (void)state;
    static char body[100001];
    memset(body, 'x', sizeof(body) - 1);
    for (int answering = 0; answering < 2; answering++) {
        struct sim *t = sim_new(ONE);
        t->window = 5000;
        sim_send(t, CLIENT, POST("/", "100000"));
        sim_send(t, CLIENT, body);
        sim_run(t);
        if (answering)
            sim_send(t, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nx");
        sim_advance(t, 1000);
        assert_int_equal(t->w.exchanges, 1);
        sim_reset(t, CLIENT);
        for (int i = 0; i < 10; i++) {
            sim_window(t, SERVER, 10);
            sim_advance(t, 50);
        }
        sim_expect_end(t, END_CLIENT_CLOSED_DATA);
        sim_expect_state(t, SERVER, SIM_RST);
        sim_free(t);
    }
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/") GET("/next"));
    sim_advance(t, 1000);
    sim_reset(t, CLIENT);
    sim_advance(t, 500);
    sim_expect_end(t, END_CLIENT_CLOSED_WAIT);
    sim_free(t);
}

// In an upload whose answer has begun: both are over.
static void test_in_upload_during_answer(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, POST("/", "10") "abc");
    sim_run(t);
    sim_send(t, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nx");
    sim_expect_part(t, CLIENT, "Connection: close\r\n\r\nx", SIM_OPEN);
    sim_reset(t, CLIENT);
    sim_expect_end(t, END_CLIENT_CLOSED_DATA);
    sim_expect_state(t, SERVER, SIM_RST);
    sim_free(t);
}

static void test_during_answer(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nx");
    sim_expect_part(t, CLIENT, "\r\n\r\nx", SIM_OPEN);
    sim_advance(t, 200);
    sim_reset(t, CLIENT);
    sim_expect_end(t, END_CLIENT_CLOSED_DATA);
    sim_expect_state(t, SERVER, SIM_RST);

    sim_send(t, CLIENT_N(1), GET("/")); // noticed by writing
    sim_run(t);
    sim_send(t, SERVER_N(1), "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nx");
    sim_run(t);
    sim_reset(t, CLIENT_N(1));
    sim_send(t, SERVER_N(1), "x");
    sim_expect_end(t, END_CLIENT_CLOSED_DATA);
    sim_free(t);
}

static void test_in_tunnel(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, UPGRADE);
    sim_run(t);
    sim_send(t, SERVER, SWITCH "\r\n");
    sim_run(t);
    sim_reset(t, CLIENT);
    sim_expect_end(t, END_CLIENT_CLOSED_DATA);
    sim_expect_state(t, SERVER, SIM_RST);

    sim_send(t, CLIENT_N(1), UPGRADE);
    sim_run(t);
    sim_send(t, SERVER_N(1), SWITCH "\r\n");
    sim_run(t);
    sim_reset(t, SERVER_N(1));
    sim_expect_end(t, END_SERVER_CLOSED_DATA);
    sim_expect_state(t, CLIENT_N(1), SIM_RST);
    sim_free(t);
}

// With an answer of our own under way: the cause stays what it was.
static void test_during_own_answer(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("server: 2s"));
    sim_send(t, CLIENT, GET("/"));
    t->peers[CLIENT].window = 5;
    sim_advance(t, 2100);
    assert_int_equal(t->w.exchanges, 1);
    sim_reset(t, CLIENT);
    sim_expect_end(t, END_SERVER_TIMEOUT_WAIT);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_word),
        cmocka_unit_test(test_in_head),
        cmocka_unit_test(test_while_connecting),
        cmocka_unit_test(test_while_waiting),
        cmocka_unit_test(test_half_close_while_waiting),
        cmocka_unit_test(test_half_close_behind_two_requests),
        cmocka_unit_test(test_half_close_and_long_answer),
        cmocka_unit_test(test_in_upload),
        cmocka_unit_test(test_in_stalled_upload),
        cmocka_unit_test(test_in_upload_during_answer),
        cmocka_unit_test(test_during_answer),
        cmocka_unit_test(test_in_tunnel),
        cmocka_unit_test(test_during_own_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
