// SPDX-License-Identifier: MIT
// `min-idle`: connections that are there before they are needed.
#include "messages.h"
#include "sim.h"

#define WARM ONE "min-idle: 2\n"

static uint32_t idle(const struct sim *t)
{
    return t->w.idle[t->config->servers[0].index].count;
}

static void test_filled_and_refilled(void **state)
{
    (void)state;
    struct sim *t = sim_new(WARM TIMEOUT("idle: 20s"));
    sim_advance(t, 50);
    assert_int_equal(idle(t), 2);
    assert_int_equal(t->n_dials, 2);
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    assert_int_equal(t->n_dials, 2);
    sim_advance(t, 1100); // one is in use
    assert_int_equal(t->n_dials, 3);
    for (int i = 0; i < 2; i++) {
        if (t->peers[SERVER_N(i)].out.n > 0)
            sim_send(t, SERVER_N(i), OKAY);
    }
    sim_expect_end(t, END_OK);
    sim_close(t, SERVER_N(2));
    sim_run(t);
    assert_int_equal(idle(t), 2);
    sim_advance(t, 1100);
    assert_int_equal(t->n_dials, 3); // enough
    sim_advance(t, 25000);           // expired, and filled up again
    assert_int_equal(idle(t), 2);
    assert_true(t->n_dials > 3);
    sim_free(t);
}

static void test_refusal_slows_it_down(void **state)
{
    (void)state;
    const enum sim_dial how[] = {DIAL_REFUSE, DIAL_REFUSE_NOW, DIAL_HANG};
    for (size_t i = 0; i < ARRAY_LEN(how); i++) {
        struct sim *t = sim_new(WARM);
        uint32_t slot = t->config->servers[0].index;
        t->dial[slot] = how[i];
        sim_advance(t, 60000);
        assert_in_range(t->n_dials, how[i] == DIAL_REFUSE_NOW ? 0 : 2, 9);
        assert_int_equal(idle(t), 0);
        assert_int_equal(sim_server_counters(t, slot)[SERVER_CONNECT_FAILURES], 0);
        t->dial[slot] = DIAL_OK; // it has come up: at once
        atomic_fetch_add(&t->board->cursor[t->config->backends[0].index].epoch, 1);
        worker_look(&t->w);
        sim_advance(t, how[i] == DIAL_HANG ? 8000 : 50);
        assert_int_equal(idle(t), 2);
        sim_free(t);
    }
}

static void test_only_for_servers_that_work(void **state)
{
    (void)state;
    struct sim *t = sim_new(WARM);
    struct board_server *b = &t->board->server[t->config->servers[0].index];
    atomic_store(&b->state, SERVER_DOWN);
    sim_advance(t, 3000);
    assert_int_equal(t->n_dials, 0);
    atomic_store(&b->state, SERVER_UP);
    atomic_store(&b->standby, 1);
    sim_advance(t, 3000);
    assert_int_equal(t->n_dials, 0);
    atomic_store(&b->standby, 0);
    atomic_store(&b->weight, 1); // zero
    sim_advance(t, 3000);
    assert_int_equal(t->n_dials, 0);
    atomic_store(&b->state, SERVER_STARTING);
    atomic_store(&b->weight, 0); // as configured
    sim_advance(t, 3000);
    assert_int_equal(idle(t), 2);
    sim_free(t);

    t = sim_new(WARM "reuse: never\n");
    sim_advance(t, 3000);
    assert_int_equal(t->n_dials, 0);
    sim_free(t);
}

static void test_drain(void **state)
{
    (void)state;
    struct sim *t = sim_new(WARM);
    t->dial[t->config->servers[0].index] = DIAL_HANG;
    sim_send(t, CLIENT, "GET");
    sim_advance(t, 50);
    assert_int_equal(t->w.n_upstreams, 1);
    sim_drain(t, 60000);
    assert_int_equal(t->w.n_upstreams, 0);
    sim_advance(t, 3000);
    assert_int_equal(t->n_dials, 1);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filled_and_refilled),
        cmocka_unit_test(test_refusal_slows_it_down),
        cmocka_unit_test(test_only_for_servers_that_work),
        cmocka_unit_test(test_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
