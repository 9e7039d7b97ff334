// SPDX-License-Identifier: MIT
// A server that control finds down while work is in progress there: `on-server-down: keep` and
// `close`, in each state; and what waits in the queue meanwhile.
#include "messages.h"
#include "sim.h"

#define CLOSE "on-server-down: close\n"

static void set_state(struct sim *t, int server, enum server_state state)
{
    uint32_t slot = t->config->servers[server].index;
    atomic_store(&t->board->server[slot].state, state);
    atomic_fetch_add(&t->board->cursor[t->config->servers[server].backend->index].epoch, 1);
    worker_look(&t->w);
    sim_run(t);
}

static void down(struct sim *t, int peer)
{
    set_state(t, t->peers[peer].server, SERVER_DOWN);
}

static void test_keep(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO);
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    down(t, SERVER);
    sim_send(t, SERVER, OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

// What has no answer yet and may be sent twice is done elsewhere; the rest is told, or cut.
static void test_waiting(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO CLOSE);
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    down(t, SERVER);
    sim_expect_state(t, SERVER, SIM_RST);
    sim_expect_part(t, SERVER_N(1), "GET / ", SIM_OPEN);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_expect_end(t, END_OK);

    sim_send(t, CLIENT, POST("/", "2") "xy");
    sim_run(t);
    down(t, SERVER_N(1));
    sim_expect_part(t, CLIENT, "HTTP/1.1 502 ", SIM_OPEN);
    sim_expect_end(t, END_SERVER_DOWN);
    sim_send(t, CLIENT, GET("/")); // none is left
    sim_expect_part(t, CLIENT, "HTTP/1.1 503 ", SIM_OPEN);
    sim_expect_end(t, END_NO_SERVER);
    sim_free(t);
}

static void test_connecting(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO CLOSE);
    t->dial[0] = t->dial[1] = DIAL_HANG;
    sim_send(t, CLIENT, POST("/", "2") "xy");
    sim_run(t);
    down(t, SERVER);
    assert_int_equal(t->n_dials, 2);
    sim_accept(t, SERVER_N(1));
    sim_expect_part(t, SERVER_N(1), "\r\n\r\nxy", SIM_OPEN);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_in_answer_and_tunnel(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE CLOSE);
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal");
    sim_send(t, CLIENT_N(1), UPGRADE);
    sim_run(t);
    sim_send(t, SERVER_N(1), SWITCH "\r\n");
    sim_run(t);
    sim_send(t, CLIENT_N(2), GET("/done"));
    sim_run(t);
    sim_send(t, SERVER_N(2), OKAY);
    sim_expect_end(t, END_OK);
    down(t, SERVER);
    sim_expect_ends(t, END_SERVER_DOWN, 2);
    sim_expect_part(t, CLIENT, "hal", SIM_FIN);
    sim_expect_state(t, CLIENT_N(1), SIM_RST);
    sim_expect_state(t, CLIENT_N(2), SIM_OPEN);
    sim_free(t);
}

static void test_tcp(void **state)
{
    (void)state;
    struct sim *t = sim_new("mode: tcp\n" TWO CLOSE);
    for (int i = 0; i < 4; i++) {
        sim_send(t, CLIENT_N(i), "x");
        sim_run(t);
    }
    down(t, SERVER);
    sim_expect_ends(t, END_SERVER_DOWN, 2);
    for (int i = 0; i < 4; i++) {
        bool cut = t->peers[SERVER_N(i)].server == t->peers[SERVER].server;
        sim_expect_state(t, SERVER_N(i), cut ? SIM_RST : SIM_OPEN);
    }
    set_state(t, t->peers[SERVER].server, SERVER_UP); // comes back: nothing is cut
    sim_expect_end(t, END_COUNT);
    for (int i = 0; i < 4; i++)
        sim_fin(t, CLIENT_N(i)), sim_fin(t, SERVER_N(i));
    sim_expect_ends(t, END_OK, 2);
    sim_free(t);
}

// Those who wait for a server with room take the one that comes up; without any they are told.
static void test_queue(void **state)
{
    (void)state;
    struct sim *t = sim_new("servers: [{address: 10.0.0.1:80, max-connections: 1},"
                            " {address: 10.0.0.2:80, max-connections: 1}]\n");
    set_state(t, 1, SERVER_DOWN);
    for (int i = 0; i < 4; i++)
        sim_send(t, CLIENT_N(i), GET("/"));
    sim_run(t);
    assert_int_equal(t->n_dials, 1);
    set_state(t, 1, SERVER_UP);
    assert_int_equal(t->n_dials, 2);
    set_state(t, 0, SERVER_DOWN);
    set_state(t, 1, SERVER_DOWN);
    sim_expect_ends(t, END_NO_SERVER, 2);
    sim_send(t, SERVER, OKAY);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect_ends(t, END_OK, 2);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep),       cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_connecting), cmocka_unit_test(test_in_answer_and_tunnel),
        cmocka_unit_test(test_tcp),        cmocka_unit_test(test_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
