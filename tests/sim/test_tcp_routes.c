// SPDX-License-Identifier: MIT
// Layer 4 by name: the ClientHello decides and goes on unchanged. Drives handshake.c,
// passthrough.c and tcp_proxy.c.
#include "../unit/client_hellos.h"
#include "sim.h"

// shop, *.example.org by ALPN, the rest; servers 0, 1, 2
#define ROUTES                                                                                     \
    "frontends:\n  f:\n    listen: 443\n    mode: tcp\n    routes:\n"                              \
    "      - {host: shop.example.com, backend: shop}\n"                                            \
    "      - {host: \"*.example.org\", alpn: [x, acme-tls/1], backend: acme}\n"                    \
    "      - {host: api.example.com, deny: 403}\n"
#define BACKENDS                                                                                   \
    "backends:\n  shop: [10.0.0.1:443, 10.0.0.2:443]\n  acme: [10.0.0.3:443]\n"                    \
    "  rest: [10.0.0.4:443]\n"
#define ALL ROUTES "      - {backend: rest}\n" BACKENDS
#define NAMED ROUTES "backends:\n  shop: [10.0.0.1:443, 10.0.0.2:443]\n  acme: [10.0.0.3:443]\n"

#define HELLO(name) hello_##name, sizeof(hello_##name)

static void expect_bytes(struct sim *t, int peer, const void *bytes, size_t n)
{
    sim_run(t);
    struct sim_peer *p = &t->peers[peer];
    assert_int_equal(p->out.n - p->out_taken, n);
    assert_memory_equal(p->out.p + p->out_taken, bytes, n);
    p->out_taken += n;
}

// All that `hello` leads to is this server; then both talk on.
static void expect_server(struct sim *t, const void *hello, size_t n, int server)
{
    assert_int_equal(t->n_dials, 1);
    assert_int_equal(t->peers[SERVER].server, server);
    expect_bytes(t, SERVER, hello, n);
    sim_send(t, SERVER, "server hello");
    sim_expect(t, CLIENT, "server hello", SIM_OPEN);
    sim_send(t, CLIENT, "finished");
    sim_expect(t, SERVER, "finished", SIM_OPEN);
    sim_fin(t, CLIENT);
    sim_fin(t, SERVER);
    sim_expect(t, SERVER, "", SIM_FIN);
    sim_expect_end(t, END_OK);
}

static void test_by_name(void **state)
{
    (void)state;
    static const struct {
        const void *hello;
        size_t n;
        int server;
    } cases[] = {
        {HELLO(openssl_tls13), 0}, {HELLO(openssl_tls12), 0},  {HELLO(python), 2},
        {HELLO(curl), 3},          {HELLO(openssl_no_sni), 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sim *t = sim_new(ALL);
        sim_send_bytes(t, sim_connect(t), cases[i].hello, cases[i].n);
        sim_run(t);
        expect_server(t, cases[i].hello, cases[i].n, cases[i].server);
        sim_free(t);
    }
}

// Every byte but the last brings no connection; two pieces at every place, and one byte at a time.
static void test_at_every_split(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < sizeof(hello_openssl_tls12); cut++) {
        struct sim *t = sim_new(ALL);
        sim_send_bytes(t, sim_connect(t), hello_openssl_tls12, cut);
        sim_run(t);
        assert_int_equal(t->n_dials, 0);
        sim_send_bytes(t, CLIENT, hello_openssl_tls12 + cut, sizeof(hello_openssl_tls12) - cut);
        sim_run(t);
        expect_server(t, HELLO(openssl_tls12), 0);
        sim_free(t);
    }
    struct sim *t = sim_new(ALL);
    t->read_most = 1;
    sim_send_bytes(t, sim_connect(t), HELLO(python));
    sim_run(t);
    expect_server(t, HELLO(python), 2);
    sim_free(t);
}

static void test_not_tls(void **state)
{
    (void)state;
    struct sim *t = sim_new(ALL);
    sim_send(t, CLIENT, "GET / HTTP/1.1\r\n\r\n");
    sim_expect(t, SERVER, "GET / HTTP/1.1\r\n\r\n", SIM_OPEN);
    assert_int_equal(t->peers[SERVER].server, 3);
    sim_fin(t, CLIENT);
    sim_fin(t, SERVER);
    sim_expect_end(t, END_OK);
    sim_free(t);
    t = sim_new(NAMED);
    sim_log(t);
    sim_send(t, CLIENT, "GET / HTTP/1.1\r\n\r\n");
    sim_expect(t, CLIENT, "", SIM_FIN);
    sim_expect_end(t, END_NO_ROUTE);
    assert_non_null(strstr(sim_log_take(t), "\"detail\":\"the client speaks no TLS\""));
    sim_fin(t, CLIENT);
    sim_free(t);
}

// An alert tells the client why.
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const void *hello;
        size_t n;
        enum end_cause end;
        char alert;
    } cases[] = {
        {HELLO(curl), END_NO_ROUTE, 112},
        {HELLO(openssl_no_sni), END_NO_ROUTE, 112},
        {HELLO(curl_http1), END_DENIED, 49},
        {"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x02", 10, END_TLS_FAILED, 50},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char alert[] = {21, 3, 3, 0, 2, 2, cases[i].alert};
        struct sim *t = sim_new(NAMED);
        sim_send_bytes(t, sim_connect(t), cases[i].hello, cases[i].n);
        expect_bytes(t, CLIENT, alert, sizeof(alert));
        sim_expect(t, CLIENT, "", SIM_FIN);
        assert_int_equal(t->n_dials, 0);
        sim_expect_end(t, cases[i].end);
        sim_fin(t, CLIENT);
        sim_free(t);
    }
}

// Half a hello costs its bytes: no buffer, no tcp_session.
static void test_incomplete(void **state)
{
    (void)state;
    struct sim *t = sim_new(ALL "timeout: {tls-handshake: 3s}\n");
    sim_send_bytes(t, sim_connect(t), hello_curl, 100);
    sim_run(t);
    assert_int_equal(buf_in_use(), t->buffers);
    assert_int_equal(t->w.exchanges, 0);
    sim_advance(t, 2000);
    sim_send_bytes(t, CLIENT, hello_curl + 100, 50); // does not make it longer
    sim_advance(t, 900);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 200);
    sim_expect_end(t, END_TLS_TIMEOUT);
    sim_expect_state(t, CLIENT, SIM_FIN);
    sim_free(t);
}

static void test_left(void **state)
{
    (void)state;
    struct sim *t = sim_new(ALL);
    sim_log(t);
    sim_send_bytes(t, sim_connect(t), hello_curl, 100);
    sim_fin(t, CLIENT);
    sim_run(t);
    sim_expect_end(t, END_CLIENT_CLOSED_REQUEST);
    sim_send_bytes(t, sim_connect(t), hello_curl, 100);
    sim_run(t);
    sim_reset(t, CLIENT_N(1));
    sim_run(t);
    sim_expect_end(t, END_CLIENT_CLOSED_REQUEST);
    assert_non_null(strstr(sim_log_take(t), "\"detail\":\"the client left in its ClientHello\""));
    sim_fin(t, sim_connect(t));
    sim_run(t);
    sim_expect_end(t, END_COUNT); // without a word: no line
    assert_string_equal(sim_log_take(t), "");
    assert_int_equal(t->n_dials, 0);
    sim_free(t);
}

static void test_refused_then_another(void **state)
{
    (void)state;
    struct sim *t = sim_new(ALL);
    t->dial[0] = DIAL_REFUSE;
    sim_send_bytes(t, sim_connect(t), HELLO(openssl_tls13));
    sim_run(t);
    assert_int_equal(t->n_dials, 2);
    assert_int_equal(t->peers[SERVER_N(1)].server, 1);
    expect_bytes(t, SERVER_N(1), HELLO(openssl_tls13));
    sim_fin(t, CLIENT);
    sim_fin(t, SERVER_N(1));
    sim_expect_end(t, END_OK);
    sim_free(t);
}

// A server that takes the beginning and then resets has had it: no other gets the rest. (A server
// that speaks first might: it is connected, and nobody has looked yet, when the client speaks.)
static void test_reset_within_the_first_words(void **state)
{
    (void)state;
    struct sim *t = sim_new("mode: tcp\nservers: [10.0.0.1:443, 10.0.0.2:443]\n");
    t->write_most = 100;
    (void)sim_connect(t);
    sim_run(t);
    sim_send_bytes(t, CLIENT, HELLO(openssl_tls13));
    sim_fault_at(t, 3, FAULT_RESET); // a read, and the second write
    sim_run(t);
    assert_int_equal(t->fault_peer, SERVER);
    assert_int_equal(t->n_dials, 1);
    sim_expect_end(t, END_SERVER_CLOSED_DATA);
    sim_free(t);
}

static void test_proxy_header_in_front(void **state)
{
    (void)state;
    static const char header[] = "PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n";
    char all[sizeof(header) - 1 + sizeof(hello_openssl_tls12)];
    memcpy(all, header, sizeof(header) - 1);
    memcpy(all + sizeof(header) - 1, hello_openssl_tls12, sizeof(hello_openssl_tls12));
    for (size_t cut = 1; cut <= sizeof(all); cut++) {
        struct sim *t =
            sim_new("frontends:\n  f: {listen: {address: 443, accept-proxy: true}, mode: tcp, "
                    "trusted-proxies: 0.0.0.0/0, routes: [{host: shop.example.com, backend: b}]}\n"
                    "backends:\n  b: {servers: [10.0.0.1:443], send-proxy: v1}\n");
        sim_send_bytes(t, sim_connect(t), all, cut);
        sim_run(t);
        sim_send_bytes(t, CLIENT, all + cut, sizeof(all) - cut);
        expect_bytes(t, SERVER, all, sizeof(all));
        sim_fin(t, CLIENT);
        sim_fin(t, SERVER);
        sim_expect_end(t, END_OK);
        sim_free(t);
    }
}

// What is in force when the hello is complete decides.
static void test_reload_within_the_hello(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        int server;
    } cases[] = {
        {"frontends: {f: {listen: 443, mode: tcp, routes: [{host: shop.example.com, backend: "
         "b}]}}\n"
         "backends: {b: [10.0.0.9:443]}\n",
         4},
        {"frontends: {f: {listen: 443, mode: tcp, backend: b}}\nbackends: {b: [10.0.0.9:443]}\n",
         4},
        {ROUTES BACKENDS, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sim *t = sim_new(ALL);
        sim_send_bytes(t, sim_connect(t), hello_openssl_tls12, 100);
        sim_run(t);
        assert_int_equal(sim_reload(t, cases[i].yaml), 0);
        sim_send_bytes(t, CLIENT, hello_openssl_tls12 + 100, sizeof(hello_openssl_tls12) - 100);
        expect_bytes(t, SERVER, HELLO(openssl_tls12));
        assert_int_equal(t->peers[SERVER].server, cases[i].server);
        sim_fin(t, CLIENT);
        sim_fin(t, SERVER);
        sim_expect_end(t, END_OK);
        sim_free(t);
    }
}

// Who has said nothing is let go, who is in the middle may finish.
static void test_drain(void **state)
{
    (void)state;
    struct sim *t = sim_new(ALL);
    int silent = sim_connect(t), half = sim_connect(t);
    sim_send_bytes(t, half, hello_openssl_tls12, 100);
    sim_run(t);
    sim_advance(t, 1100);
    sim_drain(t, 0);
    sim_expect_state(t, silent, SIM_FIN);
    sim_send_bytes(t, half, hello_openssl_tls12 + 100, sizeof(hello_openssl_tls12) - 100);
    expect_bytes(t, SERVER, HELLO(openssl_tls12));
    sim_fin(t, half);
    sim_fin(t, SERVER);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_log(void **state)
{
    (void)state;
    struct sim *t = sim_new(ALL);
    sim_log(t);
    sim_send_bytes(t, sim_connect(t), HELLO(openssl_tls13));
    sim_run(t);
    sim_fin(t, CLIENT);
    sim_fin(t, SERVER);
    sim_expect_end(t, END_OK);
    const char *line = sim_log_take(t);
    assert_non_null(strstr(line, "\"backend\":\"shop\""));
    assert_non_null(strstr(line, "\"tls\":null,\"tls_cipher\":null,\"sni\":\"shop.example.com\","
                                 "\"alpn\":\"h2,http/1.1\",\"tls_resumed\":null"));
    sim_free(t);
}

// Where no route looks at names, nobody waits for a client's word.
static void test_no_conditions(void **state)
{
    (void)state;
    struct sim *t = sim_new("mode: tcp\nlisten: 25\nroutes: {backend: default}\n"
                            "servers: [10.0.0.1:25]\n");
    (void)sim_connect(t);
    sim_run(t);
    sim_send(t, SERVER, "220 ready\r\n");
    sim_expect(t, CLIENT, "220 ready\r\n", SIM_OPEN);
    sim_fin(t, CLIENT);
    sim_fin(t, SERVER);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

// Each malloc and each call in turn: one cause, nothing left behind.
static void test_faults(void **state)
{
    (void)state;
    for (enum sim_fault f = FAULT_AGAIN; f < FAULT_COUNT; f++) {
        for (uint64_t n = 1; n < 12; n++) {
            struct sim *t = sim_new(ALL);
            int c = sim_connect(t);
            sim_fault_at(t, n, f);
            sim_send_bytes(t, c, hello_curl, 200);
            sim_run(t);
            if (t->peers[c].conn != NULL)
                sim_send_bytes(t, c, hello_curl + 200, sizeof(hello_curl) - 200);
            sim_run(t);
            sim_close(t, c);
            sim_run(t);
            sim_advance(t, 3700000);
            sim_free(t);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name),
        cmocka_unit_test(test_at_every_split),
        cmocka_unit_test(test_not_tls),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_incomplete),
        cmocka_unit_test(test_left),
        cmocka_unit_test(test_refused_then_another),
        cmocka_unit_test(test_reset_within_the_first_words),
        cmocka_unit_test(test_proxy_header_in_front),
        cmocka_unit_test(test_reload_within_the_hello),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_no_conditions),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
