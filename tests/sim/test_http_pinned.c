// SPDX-License-Identifier: MIT
// Server connections that a client has logged in on (NTLM): no other client ever gets one. And
// heads that do not fit the vector they are forwarded by.
#include "messages.h"
#include "sim.h"

#define LOGIN "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"

static void test_pinned(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO);
    sim_send(t, CLIENT, GET("/1"));
    sim_run(t);
    sim_send(t, SERVER, LOGIN);
    sim_expect_part(t, CLIENT, "401 ", SIM_OPEN);
    assert_int_equal(board_total(t->board, board_server_slot(0)), 0); // not in flight while idle
    for (int i = 0; i < 3; i++) { // round robin would take the other server
        sim_send(t, CLIENT, GET("/mine"));
        sim_expect_part(t, SERVER, "GET /mine ", SIM_OPEN);
        sim_send(t, SERVER, OKAY);
        sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    }
    for (int i = 1; i < 3; i++) {
        sim_send(t, CLIENT_N(i), GET("/other"));
        sim_run(t);
        sim_send(t, SERVER_N(i), OKAY);
        sim_expect_part(t, CLIENT_N(i), OKAY, SIM_OPEN);
    }
    assert_null(strstr(t->peers[SERVER].out.p, "/other"));
    sim_close(t, CLIENT); // with its client it goes
    sim_run(t);
    assert_int_not_equal(t->peers[SERVER].state, SIM_OPEN);
    sim_free(t);
}

static void test_pinned_one_dies(void **state)
{
    (void)state;
    for (int race = 0; race < 2; race++) {
        struct sim *t = sim_new(ONE);
        sim_send(t, CLIENT, GET("/1"));
        sim_run(t);
        sim_send(t, SERVER, LOGIN);
        sim_run(t);
        if (race)
            sim_send(t, CLIENT, GET("/2"));
        sim_close(t, SERVER);
        sim_run(t);
        if (!race)
            sim_send(t, CLIENT, GET("/2"));
        sim_expect_part(t, SERVER_N(1), "GET /2 ", SIM_OPEN);
        sim_send(t, SERVER_N(1), OKAY);
        sim_expect_part(t, CLIENT, OKAY, SIM_OPEN);
        sim_expect_ends(t, END_OK, 2);
        sim_free(t);
    }
}

// Alternating fields that pass and that do not: more pieces than the vector has room for.
static const char *many_fields(const char *start, const char *dropped)
{
    static char head[40000];
    size_t n = (size_t)snprintf(head, sizeof(head), "%s", start);
    for (int i = 0; i < 300; i++)
        n += (size_t)snprintf(head + n, sizeof(head) - n, "X-%d: 1\r\n%s: 1\r\n", i, dropped);
    snprintf(head + n, sizeof(head) - n, "\r\n");
    return head;
}

#define MANY ONE "limits: {fields: 1000}\n"

static void test_heads_in_too_many_pieces(void **state)
{
    (void)state;
    struct sim *t = sim_new(MANY);
    sim_send(t, CLIENT, many_fields("GET / HTTP/1.1\r\nHost: a\r\n", "X-Real-IP"));
    sim_expect_part(t, CLIENT, "HTTP/1.1 431 ", SIM_OPEN);
    sim_expect_end(t, END_BAD_REQUEST);
    sim_free(t);
    const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
                                   "HTTP/1.1 103 Early Hints\r\n", SWITCH};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        t = sim_new(MANY);
        sim_send(t, CLIENT, UPGRADE);
        sim_run(t);
        sim_send(t, SERVER, many_fields(answers[i], "Keep-Alive"));
        sim_expect_part(t, CLIENT, "HTTP/1.1 502 ", SIM_OPEN);
        sim_expect_end(t, END_BAD_RESPONSE);
        sim_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_pinned_one_dies),
        cmocka_unit_test(test_heads_in_too_many_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
