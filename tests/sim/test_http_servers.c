// SPDX-License-Identifier: MIT
// Servers of mode http that lie, break off, or say more than they should.
#include "messages.h"
#include "sim.h"

// One request whose answer is `answer`; `closed`: the server closes behind it.
static struct sim *asked(const char *request, const char *answer, bool closed)
{
    struct sim *t = sim_new(ONE "retries: 0\n");
    sim_send(t, CLIENT, request);
    sim_run(t);
    sim_send(t, SERVER, answer);
    if (closed)
        sim_close(t, SERVER);
    sim_run(t);
    return t;
}

static void test_rubbish(void **state)
{
    (void)state;
    const char *const rubbish[] = {
        "SSH-2.0-OpenSSH_9\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        (SWITCH "\r\n"), // unasked
    };
    for (size_t i = 0; i < ARRAY_LEN(rubbish); i++) {
        struct sim *t = asked(GET("/"), rubbish[i], false);
        sim_expect_part(t, CLIENT, "HTTP/1.1 502 Bad Gateway\r\n", SIM_OPEN);
        sim_expect_end(t, END_BAD_RESPONSE);
        sim_expect_state(t, SERVER, SIM_RST);
        sim_free(t);
    }
}

static void test_rubbish_in_body(void **state)
{
    (void)state;
    struct sim *t =
        asked(GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", false);
    sim_expect_part(t, CLIENT, "2\r\nhi\r\n", SIM_OPEN);
    sim_send(t, SERVER, "xyz\r\n");
    sim_expect_end(t, END_BAD_RESPONSE_BODY);
    assert_string_equal(sim_take(t, CLIENT), "");
    assert_int_not_equal(t->peers[CLIENT].state, SIM_OPEN);
    sim_free(t);
}

static void test_closes_without_a_word(void **state)
{
    (void)state;
    struct sim *t = asked(POST("/", "2") "xy", "", true);
    sim_expect_part(t, CLIENT, "HTTP/1.1 502 ", SIM_OPEN);
    sim_expect_end(t, END_SERVER_CLOSED_WAIT);
    assert_int_equal(sim_server_counters(t, 0)[SERVER_RESPONSE_FAILURES], 1);
    sim_free(t);
}

static void test_closes_in_head(void **state)
{
    (void)state;
    struct sim *t = asked(GET("/"), "HTTP/1.1 200 O", true);
    sim_expect_part(t, CLIENT, "HTTP/1.1 502 ", SIM_OPEN);
    sim_expect_end(t, END_SERVER_CLOSED_WAIT);
    sim_free(t);
}

static void test_closes_in_body(void **state)
{
    (void)state;
    struct sim *t = asked(GET("/"), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel", true);
    sim_expect_part(t, CLIENT, "\r\n\r\nhel", SIM_FIN);
    sim_expect_end(t, END_SERVER_CLOSED_DATA);
    sim_free(t);

    t = asked(GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", true);
    sim_expect_part(t, CLIENT, "3\r\nhel\r\n", SIM_FIN);
    sim_expect_end(t, END_SERVER_CLOSED_DATA);
    sim_free(t);
}

// Until close: the end is the end, but a reset must not look like one.
static void test_until_close(void **state)
{
    (void)state;
    struct sim *t = asked(GET("/"), "HTTP/1.1 200 OK\r\n\r\nhello", true);
    sim_expect(t, CLIENT, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", SIM_FIN);
    sim_expect_end(t, END_OK);
    sim_free(t);

    t = asked(GET("/"), "HTTP/1.1 200 OK\r\n\r\nhello", false);
    sim_reset(t, SERVER);
    sim_expect_part(t, CLIENT, "hello", SIM_RST);
    sim_expect_end(t, END_SERVER_CLOSED_DATA);
    sim_free(t);

    t = asked("GET / HTTP/1.0\r\n\r\n",
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", true);
    sim_expect(t, CLIENT, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhel", SIM_RST);
    sim_expect_end(t, END_SERVER_CLOSED_DATA);
    sim_free(t);
}

// Bytes behind an answer are nobody's: the next request gets another connection.
static void test_bytes_behind_the_answer(void **state)
{
    (void)state;
    struct sim *t = asked(GET("/"), OKAY OKAY, false);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_expect_end(t, END_OK);
    assert_int_not_equal(t->peers[SERVER].state, SIM_OPEN);
    sim_free(t);

    t = asked(GET("/"), OKAY, false); // later, while it is idle
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_send(t, SERVER, OKAY);
    sim_run(t);
    assert_int_not_equal(t->peers[SERVER].state, SIM_OPEN);
    sim_send(t, CLIENT, GET("/2"));
    sim_run(t);
    sim_send(t, SERVER_N(1), "HTTP/1.1 204 No Content\r\n\r\n");
    sim_expect(t, CLIENT, "HTTP/1.1 204 No Content\r\n\r\n", SIM_OPEN);
    sim_free(t);
}

static void test_body_where_none_may_be(void **state)
{
    (void)state;
    struct sim *t = asked("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", OKAY, false);
    sim_expect(t, CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", SIM_OPEN);
    assert_int_not_equal(t->peers[SERVER].state, SIM_OPEN);
    sim_free(t);
}

static void test_interim_answers(void **state)
{
    (void)state;
    struct sim *t = asked(GET("/"),
                          "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                          "HTTP/1.1 102 Processing\r\n\r\n" OKAY,
                          false);
    sim_expect(t, CLIENT,
               "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
               "HTTP/1.1 102 Processing\r\n\r\n" OKAY,
               SIM_OPEN);
    sim_expect_end(t, END_OK);
    sim_free(t);
    t = asked("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n" OKAY, false);
    sim_expect(t, CLIENT, OKAY_CLOSE, SIM_FIN);
    sim_free(t);
}

// An interim answer that the client has taken in part goes before whatever comes next.
static void test_interim_answer_half_taken(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct sim *t = sim_new(ONE "retries: 1\n");
        t->window = 10;
        sim_connect(t);
        t->window = SIZE_MAX;
        sim_send(t, CLIENT, GET("/"));
        sim_run(t);
        sim_send(t, SERVER, "HTTP/1.1 103 Early Hints\r\n\r\n");
        sim_run(t);
        sim_send(t, SERVER, how == 0 ? "rubbish\r\n\r\n" : "");
        sim_close(t, SERVER);
        sim_run(t);
        if (how == 1)
            sim_send(t, SERVER_N(1), "rubbish\r\n\r\n");
        sim_run(t);
        sim_window(t, CLIENT, SIZE_MAX);
        const char *got = sim_take(t, CLIENT);
        assert_memory_equal(got, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 502 ", 41);
        sim_expect_end(t, END_BAD_RESPONSE);
        sim_free(t);
    }
}

// Interim answers without end, to a client that takes none: bounded memory.
static void test_flood_of_interim_answers(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    t->peers[CLIENT].window = 100;
    for (int i = 0; i < 20000; i++)
        sim_send(t, SERVER, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n");
    sim_run(t);
    assert_in_range(t->peers[SERVER].in_taken, 1, 200000);
    sim_advance(t, 61000); // timeout.client, and once more for the answer that says so
    sim_expect_end(t, END_CLIENT_TIMEOUT_DATA);
    sim_free(t);
}

// The answer before the request is complete: passed on at once, and the end of both connections.
static void test_early_answer(void **state)
{
    (void)state;
    struct sim *t = asked(POST("/", "10") "abc", OKAY, false);
    sim_expect(t, CLIENT, OKAY_CLOSE, SIM_FIN);
    sim_expect_end(t, END_OK);
    sim_expect_state(t, SERVER, SIM_RST);
    assert_int_equal(t->w.n_sessions, 1); // lingers
    sim_send(t, CLIENT, "defghij");
    sim_fin(t, CLIENT);
    sim_run(t);
    assert_int_equal(t->w.n_sessions, 0);
    sim_free(t);
}

// Upgrade refused: plain HTTP goes on.
static void test_upgrade_refused(void **state)
{
    (void)state;
    struct sim *t = asked(UPGRADE, OKAY, false);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_send(t, CLIENT, GET("/"));
    sim_expect_part(t, SERVER, "GET / HTTP/1.1", SIM_OPEN);
    sim_send(t, SERVER, OKAY);
    sim_expect(t, CLIENT, OKAY, SIM_OPEN);
    sim_free(t);
}

// What both sides send behind their heads belongs to the tunnel.
static void test_tunnel_bytes_behind_heads(void **state)
{
    (void)state;
    struct sim *t = asked(UPGRADE "early", SWITCH "\r\nwelcome", false);
    sim_expect(t, SERVER, strstr(t->peers[SERVER].out.p, "GET"), SIM_OPEN);
    assert_non_null(strstr(t->peers[SERVER].out.p, "\r\n\r\nearly"));
    sim_expect_part(t, CLIENT, "\r\n\r\nwelcome", SIM_OPEN);
    sim_fin(t, SERVER);
    sim_expect(t, CLIENT, "", SIM_FIN);
    sim_send(t, CLIENT, "bye");
    sim_fin(t, CLIENT);
    sim_expect(t, SERVER, "bye", SIM_FIN);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_huge_head(void **state)
{
    (void)state;
    static char head[40000];
    int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nX: ");
    memset(head + n, 'x', sizeof(head) - 1 - (size_t)n);
    struct sim *t = asked(GET("/"), head, false);
    sim_expect_part(t, CLIENT, "HTTP/1.1 502 ", SIM_OPEN);
    sim_expect_end(t, END_BAD_RESPONSE);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rubbish),
        cmocka_unit_test(test_rubbish_in_body),
        cmocka_unit_test(test_closes_without_a_word),
        cmocka_unit_test(test_closes_in_head),
        cmocka_unit_test(test_closes_in_body),
        cmocka_unit_test(test_until_close),
        cmocka_unit_test(test_bytes_behind_the_answer),
        cmocka_unit_test(test_body_where_none_may_be),
        cmocka_unit_test(test_interim_answers),
        cmocka_unit_test(test_interim_answer_half_taken),
        cmocka_unit_test(test_flood_of_interim_answers),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_upgrade_refused),
        cmocka_unit_test(test_tunnel_bytes_behind_heads),
        cmocka_unit_test(test_huge_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
