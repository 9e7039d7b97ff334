// SPDX-License-Identifier: MIT
// Layer 4 as dialogues. Drives tcp_proxy.c, relay.c and what they call.
#include "sim.h"

#define TCP "mode: tcp\nservers: [10.0.0.1:80]\n"
#define TWO "mode: tcp\nservers: [10.0.0.1:80, 10.0.0.2:80]\n"

static void test_client_first(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP);
    sim_send(t, CLIENT, "hello");
    sim_expect(t, SERVER, "hello", SIM_OPEN);
    sim_send(t, SERVER, "welcome");
    sim_expect(t, CLIENT, "welcome", SIM_OPEN);
    sim_fin(t, CLIENT);
    sim_expect(t, SERVER, "", SIM_FIN);
    sim_expect(t, CLIENT, "", SIM_OPEN);
    sim_send(t, SERVER, "bye");
    sim_fin(t, SERVER);
    sim_expect(t, CLIENT, "bye", SIM_FIN);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_server_first(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP);
    (void)sim_connect(t);
    sim_run(t);
    sim_send(t, SERVER, "220 ready\r\n");
    sim_expect(t, CLIENT, "220 ready\r\n", SIM_OPEN);
    sim_send(t, CLIENT, "QUIT\r\n");
    sim_expect(t, SERVER, "QUIT\r\n", SIM_OPEN);
    sim_fin(t, SERVER);
    sim_expect(t, CLIENT, "", SIM_FIN);
    sim_expect(t, SERVER, "", SIM_OPEN);
    sim_send(t, CLIENT, "more");
    sim_fin(t, CLIENT);
    sim_expect(t, SERVER, "more", SIM_FIN);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

// All that is sent at once, with its FIN, before anything is connected.
static void test_everything_at_once(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP);
    sim_send(t, CLIENT, "hello");
    sim_fin(t, CLIENT);
    sim_expect(t, SERVER, "hello", SIM_FIN);
    sim_send(t, SERVER, "answer");
    sim_fin(t, SERVER);
    sim_expect(t, CLIENT, "answer", SIM_FIN);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

// A client that connects and ends at once, without a word.
static void test_empty_connection(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP);
    int c = sim_connect(t);
    sim_fin(t, c);
    sim_expect(t, SERVER, "", SIM_FIN);
    sim_fin(t, SERVER);
    sim_expect(t, c, "", SIM_FIN);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_stalled_reader(void **state)
{
    (void)state;
    static char big[300000];
    memset(big, 'x', sizeof(big) - 1);
    struct sim *t = sim_new(TCP);
    sim_send(t, CLIENT, "get");
    sim_expect(t, SERVER, "get", SIM_OPEN);
    t->peers[CLIENT].window = 1000;
    sim_send(t, SERVER, big);
    sim_fin(t, SERVER);
    sim_run(t);
    assert_int_equal(t->peers[CLIENT].out.n, 1000);
    // no more is read than the buffer holds
    assert_in_range(t->peers[SERVER].in_taken, 1000, 1000 + 2 * BUF_BYTES);
    assert_in_range(buf_in_use(), 1, 2);
    sim_advance(t, 60000);
    sim_window(t, CLIENT, 5000);
    sim_run(t);
    assert_int_equal(t->peers[CLIENT].out.n, 6000);
    sim_window(t, CLIENT, SIZE_MAX);
    sim_expect(t, CLIENT, big, SIM_FIN);
    sim_fin(t, CLIENT);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_refused_then_another(void **state)
{
    (void)state;
    const enum sim_dial how[] = {DIAL_REFUSE, DIAL_REFUSE_NOW};
    for (size_t i = 0; i < ARRAY_LEN(how); i++) {
        struct sim *t = sim_new(TWO);
        t->dial[0] = how[i];
        sim_send(t, CLIENT, "hello");
        sim_run(t);
        int live = SERVER_N(t->n_dials - 1);
        assert_int_equal(t->peers[live].server, 1);
        sim_expect(t, live, "hello", SIM_OPEN);
        assert_int_equal(sim_server_counters(t, 0)[SERVER_CONNECT_FAILURES], 1);
        sim_fin(t, CLIENT);
        sim_fin(t, live);
        sim_expect_end(t, END_OK);
        sim_free(t);
    }
}

static void test_refused_by_all(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "retries: 2\n");
    t->dial[0] = t->dial[1] = DIAL_REFUSE;
    sim_send(t, CLIENT, "hello");
    sim_expect(t, CLIENT, "", SIM_RST);
    sim_expect_end(t, END_SERVER_REFUSED);
    assert_int_equal(t->n_dials, 3); // one and two retries
    sim_free(t);
}

static void test_no_server(void **state)
{
    (void)state;
    struct sim *t = sim_new("mode: tcp\nservers: [{address: 10.0.0.1:80, weight: 0}]\n");
    sim_send(t, CLIENT, "hello");
    sim_expect(t, CLIENT, "", SIM_RST);
    sim_expect_end(t, END_NO_SERVER);
    sim_free(t);
}

static void test_out_of_sockets(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP);
    t->dial[0] = DIAL_EXHAUSTED;
    sim_send(t, CLIENT, "hello");
    sim_expect(t, CLIENT, "", SIM_RST);
    sim_expect_end(t, END_OUT_OF_SOCKETS);
    assert_int_equal(sim_server_counters(t, 0)[SERVER_CONNECT_FAILURES], 0);
    sim_free(t);
}

static void test_connect_timeout(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP "retries: 1\ndefaults: {timeout: {connect: 3s}}\n");
    t->dial[0] = DIAL_HANG;
    sim_send(t, CLIENT, "hello");
    sim_advance(t, 2900);
    assert_int_equal(t->n_dials, 1);
    sim_advance(t, 200);
    assert_int_equal(t->n_dials, 2);
    sim_expect_state(t, SERVER, SIM_RST);
    sim_advance(t, 2800);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 300);
    sim_expect_end(t, END_SERVER_CONNECT_TIMEOUT);
    sim_expect(t, CLIENT, "", SIM_RST);
    sim_free(t);
}

// Connected at last, with the client's bytes still there.
static void test_slow_connect(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP);
    t->dial[0] = DIAL_HANG;
    sim_send(t, CLIENT, "hello");
    sim_advance(t, 4000);
    sim_send(t, CLIENT, " again");
    sim_accept(t, SERVER);
    sim_expect(t, SERVER, "hello again", SIM_OPEN);
    sim_fin(t, CLIENT);
    sim_fin(t, SERVER);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

// Nobody says anything after the connect: that is no failed connect.
static void test_silence_is_not_a_failed_connect(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP "defaults: {timeout: {tunnel: 1m}}\n");
    int c = sim_connect(t);
    sim_advance(t, 50000);
    assert_int_equal(t->n_dials, 1);
    assert_int_equal(sim_server_counters(t, 0)[SERVER_CONNECT_FAILURES], 0);
    sim_expect_end(t, END_COUNT);
    sim_send(t, c, "late");
    sim_expect(t, SERVER, "late", SIM_OPEN);
    sim_advance(t, 59000);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 1100);
    sim_expect_end(t, END_TUNNEL_IDLE);
    sim_expect(t, c, "", SIM_RST);
    sim_free(t);
}

static void test_client_leaves_while_connecting(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP);
    t->dial[0] = DIAL_HANG;
    int c = sim_connect(t);
    sim_run(t);
    sim_reset(t, c);
    sim_expect_end(t, END_CLIENT_CLOSED_CONNECT);
    sim_expect_state(t, SERVER, SIM_RST);
    sim_free(t);
}

static void test_fin_timeouts(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP "defaults: {timeout: {server-fin: 3s, client-fin: 2s}}\n");
    sim_send(t, CLIENT, "hello");
    sim_fin(t, CLIENT);
    sim_expect(t, SERVER, "hello", SIM_FIN);
    sim_advance(t, 2900);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 200);
    sim_expect_end(t, END_SERVER_TIMEOUT_DATA);
    sim_expect_state(t, CLIENT, SIM_RST);

    sim_send(t, CLIENT_N(1), "hello");
    sim_expect(t, SERVER_N(1), "hello", SIM_OPEN);
    sim_fin(t, SERVER_N(1));
    sim_expect(t, CLIENT_N(1), "", SIM_FIN);
    sim_advance(t, 1900);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 200);
    sim_expect_end(t, END_CLIENT_TIMEOUT_DATA);
    sim_free(t);
}

static void test_resets(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP);
    sim_send(t, CLIENT, "hello");
    sim_expect(t, SERVER, "hello", SIM_OPEN);
    sim_reset(t, CLIENT);
    sim_expect(t, SERVER, "", SIM_RST);
    sim_expect_end(t, END_CLIENT_CLOSED_DATA);

    sim_send(t, CLIENT_N(1), "hello");
    sim_expect(t, SERVER_N(1), "hello", SIM_OPEN);
    sim_send(t, SERVER_N(1), "part");
    sim_reset(t, SERVER_N(1));
    sim_expect(t, CLIENT_N(1), "part", SIM_RST);
    sim_expect_end(t, END_SERVER_CLOSED_DATA);
    sim_free(t);
}

// While its bytes wait for a server that takes no more: noticed within a second.
static void test_reset_of_a_stalled_client(void **state)
{
    (void)state;
    static char much[60001];
    memset(much, 'x', sizeof(much) - 1);
    for (int hang = 0; hang < 2; hang++) {
        struct sim *t = sim_new(TCP);
        t->window = 5000;
        t->dial[0] = hang ? DIAL_HANG : DIAL_OK;
        sim_send(t, CLIENT, much);
        sim_advance(t, 1000);
        assert_int_equal(t->w.exchanges, 1);
        sim_reset(t, CLIENT);
        sim_advance(t, 500);
        sim_expect_end(t, hang ? END_CLIENT_CLOSED_CONNECT : END_CLIENT_CLOSED_DATA);
        sim_expect_state(t, SERVER, SIM_RST);
        sim_free(t);
    }
}

static void test_proxy_header_out(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP "send-proxy: v1\n");
    int c = sim_connect(t);
    sim_expect(t, SERVER, "PROXY UNKNOWN\r\n", SIM_OPEN);
    sim_send(t, c, "hello");
    sim_expect(t, SERVER, "hello", SIM_OPEN);
    sim_fin(t, c);
    sim_fin(t, SERVER);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

#define ACCEPT TCP "accept-proxy: true\ntrusted-proxies: [127.0.0.0/8]\n"

static void test_proxy_header_in(void **state)
{
    (void)state;
    struct sim *t = sim_new(ACCEPT "send-proxy: v1\n");
    sim_send(t, CLIENT, "PROXY TCP4 192.0.2.1 198.51");
    sim_run(t);
    assert_int_equal(t->n_dials, 0);
    sim_send(t, CLIENT, ".100.1 5000 80\r\nhello");
    sim_expect(t, SERVER, "PROXY TCP4 192.0.2.1 198.51.100.1 5000 80\r\nhello", SIM_OPEN);
    sim_fin(t, CLIENT);
    sim_fin(t, SERVER);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_bad_proxy_headers(void **state)
{
    (void)state;
    struct sim *t = sim_new(ACCEPT);
    sim_send(t, CLIENT, "GET / HTTP/1.1\r\n");
    sim_expect_end(t, END_BAD_PROXY_HEADER);
    sim_send(t, CLIENT_N(1), "PROXY TCP4 1");
    sim_fin(t, CLIENT_N(1));
    sim_expect_end(t, END_CLIENT_CLOSED_IDLE);
    (void)sim_connect(t);
    for (const char *p = "PROXY TCP4 192"; *p != '\0'; p++) { // byte by byte does not buy time
        sim_send_bytes(t, CLIENT_N(2), p, 1);
        sim_advance(t, 650);
    }
    sim_expect_state(t, CLIENT_N(2), SIM_OPEN);
    sim_advance(t, 1000);
    sim_expect_end(t, END_CLIENT_TIMEOUT_REQUEST);
    sim_free(t);

    t = sim_new(TCP "accept-proxy: true\ntrusted-proxies: [10.0.0.0/8]\n"); // not from this peer
    sim_send(t, CLIENT, "PROXY TCP4 192.0.2.1 198.51.100.1 5000 80\r\nhello");
    sim_expect_end(t, END_BAD_PROXY_HEADER);
    assert_int_equal(t->n_dials, 0);
    sim_free(t);
}

static void test_hash_by_client(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO "balance: hash\n");
    for (int i = 0; i < 6; i++) {
        sim_send(t, CLIENT_N(i), "x");
        sim_run(t);
        assert_int_equal(t->peers[SERVER_N(i)].server, t->peers[SERVER].server);
    }
    for (int i = 0; i < 6; i++) {
        sim_fin(t, CLIENT_N(i));
        sim_fin(t, SERVER_N(i));
    }
    sim_expect_ends(t, END_OK, 6);
    sim_free(t);
}

// The fourth failing session at a time gets no retry: only 20 % of the work, at least 3, may be
// one.
static void test_retry_budget(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP "defaults: {timeout: {connect: 1s}}\nretries: 1\n");
    t->dial[0] = DIAL_HANG;
    for (int i = 0; i < 8; i++)
        sim_send(t, CLIENT_N(i), "x");
    sim_run(t);
    assert_int_equal(t->n_dials, 8);
    sim_advance(t, 1100);
    assert_int_equal(t->n_dials, 11);
    sim_expect_ends(t, END_SERVER_CONNECT_TIMEOUT, 5);
    sim_advance(t, 1100);
    sim_expect_ends(t, END_SERVER_CONNECT_TIMEOUT, 3);
    sim_free(t);
}

// A server that refused is skipped by the sessions that follow, and tried again later.
static void test_suspect_is_skipped(void **state)
{
    (void)state;
    struct sim *t = sim_new(TWO);
    t->dial[0] = DIAL_REFUSE;
    for (int i = 0; i < 6; i++) {
        sim_send(t, CLIENT_N(i), "x");
        sim_run(t);
    }
    assert_int_equal(t->n_dials, 7); // one failure, then only the other server
    t->dial[0] = DIAL_OK;
    sim_advance(t, 1100);
    for (int i = 6; i < 10; i++) {
        sim_send(t, CLIENT_N(i), "x");
        sim_run(t);
    }
    assert_int_equal(t->n_dials, 11);
    int back = 0;
    for (int i = 7; i < 11; i++)
        back += t->peers[SERVER_N(i)].server == 0;
    assert_int_equal(back, 2);
    for (int i = 0; i < 10; i++)
        sim_reset(t, CLIENT_N(i));
    sim_expect_ends(t, END_CLIENT_CLOSED_DATA, 10);
    sim_free(t);
}

// Draining leaves a running session alone until the time is over.
static void test_drain(void **state)
{
    (void)state;
    struct sim *t = sim_new(TCP);
    sim_send(t, CLIENT, "hello");
    sim_expect(t, SERVER, "hello", SIM_OPEN);
    sim_drain(t, 5000);
    sim_send(t, SERVER, "still here");
    sim_expect(t, CLIENT, "still here", SIM_OPEN);
    sim_advance(t, 5100);
    sim_expect_end(t, END_SHUTDOWN);
    sim_expect_state(t, CLIENT, SIM_RST);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_first),
        cmocka_unit_test(test_server_first),
        cmocka_unit_test(test_everything_at_once),
        cmocka_unit_test(test_empty_connection),
        cmocka_unit_test(test_stalled_reader),
        cmocka_unit_test(test_refused_then_another),
        cmocka_unit_test(test_refused_by_all),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_out_of_sockets),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_slow_connect),
        cmocka_unit_test(test_silence_is_not_a_failed_connect),
        cmocka_unit_test(test_client_leaves_while_connecting),
        cmocka_unit_test(test_fin_timeouts),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_reset_of_a_stalled_client),
        cmocka_unit_test(test_proxy_header_out),
        cmocka_unit_test(test_proxy_header_in),
        cmocka_unit_test(test_bad_proxy_headers),
        cmocka_unit_test(test_hash_by_client),
        cmocka_unit_test(test_retry_budget),
        cmocka_unit_test(test_suspect_is_skipped),
        cmocka_unit_test(test_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
