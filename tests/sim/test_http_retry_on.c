// SPDX-License-Identifier: MIT
// What `retry-on` adds to what is tried again in any case; that the budget holds it back; and that
// nothing that may not be sent twice ever is.
#include "messages.h"
#include "sim.h"

#define STATUS(code) "HTTP/1.1 " code " Sorry\r\nContent-Length: 3\r\n\r\nno\n"
#define PUT "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy"

static void served_by_the_second(struct sim *t, const char *part)
{
    sim_expect_part(t, SERVER_N(1), part, SIM_OPEN);
    assert_int_not_equal(t->peers[SERVER].server, t->peers[SERVER_N(1)].server);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_expect_end(t, END_OK);
    assert_int_equal(t->w.retrying, 0);
}

static void test_statuses(void **state)
{
    (void)state;
    static const char *const answers[] = {STATUS("502"), STATUS("503"), STATUS("504")};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct sim *t = sim_new(TWO "retry-on: [502, 503, 504]\n");
        sim_send(t, CLIENT, PUT);
        sim_run(t);
        sim_send(t, SERVER, answers[i]);
        served_by_the_second(t, "\r\n\r\nxy");
        sim_expect_state(t, SERVER, SIM_RST);
        sim_free(t);

        t = sim_new(TWO); // not asked for
        sim_send(t, CLIENT, PUT);
        sim_run(t);
        sim_send(t, SERVER, answers[i]);
        sim_expect(t, CLIENT, answers[i], SIM_OPEN);
        sim_expect_end(t, END_OK);
        sim_free(t);
    }
}

static void test_other_statuses_pass(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "retry-on: [503]\n");
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, STATUS("500"));
    sim_expect(t, CLIENT, STATUS("500"), SIM_OPEN);
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER_N(1), STATUS("502"));
    sim_expect(t, CLIENT, STATUS("502"), SIM_OPEN);
    sim_expect_ends(t, END_OK, 2);
    assert_int_equal(t->n_dials, 2);
    sim_free(t);
}

// When the last try ends so, too, the client gets what the server says.
static void test_the_last_answer_goes_out(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "retry-on: [503]\nretries: 1\n");
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, STATUS("503"));
    sim_run(t);
    sim_send(t, SERVER_N(1), STATUS("503"));
    sim_expect(t, CLIENT, STATUS("503"), SIM_OPEN);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

// An interim answer that the client has had already stays; the final one comes from elsewhere.
static void test_behind_an_interim_answer(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "retry-on: [503]\n");
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, "HTTP/1.1 103 Early Hints\r\n\r\n" STATUS("503"));
    sim_expect_part(t, SERVER_N(1), "GET / ", SIM_OPEN);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect(t, CLIENT, "HTTP/1.1 103 Early Hints\r\n\r\n" OKAY, SIM_OPEN);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_timeout(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "retry-on: [timeout]\n" TIMEOUT("server: 5s"));
    sim_send(t, CLIENT, GET("/"));
    sim_advance(t, 5100);
    served_by_the_second(t, "GET / ");
    sim_free(t);

    t = sim_new(TWO "retry-on: [timeout]\n" TIMEOUT("server: 5s")); // with a byte of an answer
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, "H");
    sim_advance(t, 5100);
    sim_expect_part(t, CLIENT, "HTTP/1.1 504 ", SIM_OPEN);
    sim_expect_end(t, END_SERVER_TIMEOUT_WAIT);
    assert_int_equal(t->n_dials, 1);
    sim_free(t);
}

static void test_half_a_head(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "retry-on: [empty-response]\n");
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    sim_send(t, SERVER, "HTTP/1.1 20");
    sim_run(t);
    sim_fin(t, SERVER);
    served_by_the_second(t, "GET / ");
    sim_free(t);
}

static void test_nothing_is_sent_twice(void **state)
{
    (void)state;
    struct sim *t = sim_new(
        TWO "reuse: never\nretry-on: [empty-response, 503, timeout]\n" TIMEOUT("server: 5s"));
    sim_send(t, CLIENT, POST("/", "2") "xy");
    sim_run(t);
    sim_send(t, SERVER, STATUS("503"));
    sim_expect(t, CLIENT, STATUS("503"), SIM_OPEN);
    sim_expect_end(t, END_OK);
    sim_send(t, CLIENT, POST("/", "2") "xy");
    sim_advance(t, 5100);
    sim_expect_part(t, CLIENT, "HTTP/1.1 504 ", SIM_OPEN);
    sim_expect_end(t, END_SERVER_TIMEOUT_WAIT);
    sim_send(t, CLIENT, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxy"); // not whole
    sim_run(t);
    sim_send(t, SERVER_N(t->n_dials - 1), STATUS("503"));
    sim_expect_part(t, CLIENT, "HTTP/1.1 503 Sorry", SIM_FIN);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_nothing_at_all(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "retry-on: []\n");
    t->dial[0] = DIAL_REFUSE;
    sim_send(t, CLIENT, GET("/"));
    sim_expect_part(t, CLIENT, "HTTP/1.1 503 ", SIM_OPEN);
    sim_expect_end(t, END_SERVER_REFUSED);
    assert_int_equal(t->n_dials, 1);
    sim_free(t);
}

// Answers that ask for a retry are held back by the budget; what is beyond goes out and is counted.
static void test_budget(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "retry-on: [503]\nretries: 1\n");
    for (int i = 0; i < 10; i++)
        sim_send(t, CLIENT_N(i), GET("/"));
    sim_run(t);
    for (int i = 0; i < 10; i++)
        sim_send(t, SERVER_N(i), STATUS("503"));
    sim_run(t);
    assert_int_equal(t->n_dials, 13);
    sim_expect_ends(t, END_OK, 7);
    assert_int_equal(t->w.count->backends[0][BACKEND_RETRIES_OVER_BUDGET], 7);
    assert_int_equal(t->w.count->backends[0][BACKEND_RETRIES], 3);
    for (int i = 10; i < 13; i++)
        sim_send(t, SERVER_N(i), OKAY);
    sim_expect_ends(t, END_OK, 3);
    sim_free(t);
}

// A server that dies with many requests at once, in order or not: all are done elsewhere.
static void test_a_death_is_outside_of_the_budget(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        struct sim *t = sim_new(TWO);
        for (int i = 0; i < 20; i++)
            sim_send(t, CLIENT_N(i), GET("/"));
        sim_run(t);
        int dead = t->peers[SERVER].server;
        t->dial[dead] = DIAL_REFUSE;
        for (int i = 0; i < 20; i++) {
            if (t->peers[SERVER_N(i)].server != dead)
                continue;
            if (reset)
                sim_reset(t, SERVER_N(i));
            else
                sim_close(t, SERVER_N(i));
        }
        sim_run(t);
        for (int i = 0; i < t->n_dials; i++) {
            if (!t->peers[SERVER_N(i)].gone)
                sim_send(t, SERVER_N(i), OKAY);
        }
        sim_expect_ends(t, END_OK, 20);
        sim_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_other_statuses_pass),
        cmocka_unit_test(test_the_last_answer_goes_out),
        cmocka_unit_test(test_behind_an_interim_answer),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_half_a_head),
        cmocka_unit_test(test_nothing_is_sent_twice),
        cmocka_unit_test(test_nothing_at_all),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_a_death_is_outside_of_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
