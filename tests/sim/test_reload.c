// SPDX-License-Identifier: MIT
// Reload in place, as the worker sees it: messages come, and whatever is in progress goes on with
// the configuration that it began with.
#include "reloads.h"

// ---- in the middle of a request

enum stage { BEFORE, HALF_HEAD, CONNECTING, HALF_UP, WAITING, HALF_DOWN, AFTER, STAGES };

// A POST with the reload at one of its stages.
static void play(enum stage at, const char *to, bool stays)
{
    struct sim *t = sim_new(FIRST ONE);
    int slot = at == BEFORE && !stays ? SLOT_TWO : SLOT_ONE;
    t->dial[SLOT_ONE] = t->dial[SLOT_TWO] = DIAL_HANG;
    (void)sim_connect(t);
    for (enum stage now = BEFORE; now < STAGES; now++) {
        static const char *const says[STAGES] = {
            [BEFORE] = "POST /1 HTTP/1.1\r\nHos",
            [HALF_HEAD] = "t: a\r\nContent-Length: 4\r\n\r\nab",
            [HALF_UP] = "cd",
        };
        sim_run(t);
        if (now == at)
            reload(t, to);
        if (now == CONNECTING)
            sim_accept(t, SERVER);
        if (says[now] != NULL)
            sim_send(t, CLIENT, says[now]);
        if (now == WAITING)
            sim_send(t, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nef");
        if (now == HALF_DOWN)
            sim_send(t, SERVER, "gh");
    }
    sim_expect_part(t, SERVER, "POST /1 ", stays || at == BEFORE ? SIM_OPEN : SIM_FIN);
    assert_int_equal(t->peers[SERVER].server, slot);
    sim_expect_part(t, CLIENT, "\r\n\r\nefgh", SIM_OPEN);
    sim_expect_end(t, END_OK);
    expect_one_generation(t);
    // the next one on the same connection: where the new configuration says
    t->dial[SLOT_ONE] = t->dial[SLOT_TWO] = DIAL_OK;
    sim_send(t, CLIENT, GET("/2"));
    sim_run(t);
    int next = stays || at == BEFORE ? SERVER : SERVER_N(1);
    expect_request(t, next, stays ? SLOT_ONE : SLOT_TWO, "GET /2 ");
    answer(t, CLIENT, next);
    sim_free(t);
}

static void test_server_replaced(void **state)
{
    (void)state;
    for (enum stage at = BEFORE; at < STAGES; at++)
        play(at, FIRST OTHER, false);
}

static void test_server_stays(void **state)
{
    (void)state;
    for (enum stage at = BEFORE; at < STAGES; at++) {
        play(at, BOTH, true);
        play(at, FIRST ONE TIMEOUT("keep-alive: 5s"), true);
    }
}

// What is retried looks for a server in the configuration that it began with.
static void test_retry(void **state)
{
    (void)state;
    struct sim *t = sim_new(BOTH);
    t->dial[SLOT_ONE] = DIAL_HANG;
    sim_send(t, CLIENT, GET("/1"));
    sim_run(t);
    reload(t, "servers: [10.0.0.3:80]\n");
    sim_reset(t, SERVER);
    expect_request(t, SERVER_N(1), SLOT_TWO, "GET /1 ");
    answer(t, CLIENT, SERVER_N(1));
    sim_send(t, CLIENT, GET("/2"));
    sim_run(t);
    expect_request(t, SERVER_N(2), SLOT_TWO + 1, "GET /2 ");
    answer(t, CLIENT, SERVER_N(2));
    sim_free(t);
}

#define LIMIT(address) "servers: [{address: '" address "', max-connections: 1}]\n"

// What waits in a queue must not wait for servers that are gone, nor others behind it.
static void play_queue(const char *from, const char *to, int first, int second)
{
    struct sim *t = sim_new(from);
    bool tcp = strstr(from, "mode: tcp") != NULL;
    for (int i = 0; i < 3; i++) {
        sim_send(t, CLIENT_N(i), tcp ? "hello" : GET("/"));
        sim_run(t);
    }
    assert_int_equal(t->n_dials, 1);
    reload(t, to);
    sim_advance(t, 100);
    assert_int_equal(t->peers[SERVER_N(1)].server, first);
    assert_int_equal(t->n_dials, second < 0 ? 2 : 3);
    sim_expect_part(t, SERVER_N(1), tcp ? "hello" : "GET / ", SIM_OPEN);
    if (second >= 0)
        assert_int_equal(t->peers[SERVER_N(2)].server, second);
    if (tcp)
        expect_echo(t, CLIENT_N(1), SERVER_N(1));
    else
        answer(t, CLIENT_N(1), SERVER_N(1));
    for (int i = 0; i < 3; i++) {
        sim_expect_state(t, CLIENT_N(i), SIM_OPEN);
        sim_reset(t, CLIENT_N(i));
    }
    sim_advance(t, 2000);
    expect_one_generation(t);
    sim_free(t);
}

static void test_queued(void **state)
{
    (void)state;
    play_queue(LIMIT("10.0.0.1:80"), LIMIT("10.0.0.2:80"), SLOT_TWO, -1);
    play_queue(LIMIT("10.0.0.1:80"), ONE, SLOT_ONE, SLOT_ONE);
    play_queue("mode: tcp\n" LIMIT("10.0.0.1:80"), "mode: tcp\n" LIMIT("10.0.0.2:80"), SLOT_TWO,
               -1);
    play_queue("mode: tcp\n" LIMIT("10.0.0.1:80"), "mode: tcp\n" OTHER, SLOT_TWO, SLOT_TWO);
}

// Where the backend is gone altogether, what waits for it still gets its turn there.
static void test_queued_for_a_backend_that_is_gone(void **state)
{
    (void)state;
    struct sim *t = sim_new("frontends: {web: {listen: 80, backend: a}}\nbackends:\n"
                            "  a: {servers: {s: {address: '10.0.0.1:80', max-connections: 1}}}\n");
    for (int i = 0; i < 2; i++) {
        sim_send(t, CLIENT_N(i), GET("/"));
        sim_run(t);
    }
    reload(t, "frontends: {web: {listen: 80, backend: b}}\n"
              "backends: {b: {servers: {s: 10.0.0.2:80}}}\n");
    sim_advance(t, 100);
    assert_int_equal(t->n_dials, 1);
    answer(t, CLIENT, SERVER);
    expect_request(t, SERVER_N(1), SLOT_ONE, "GET / ");
    answer(t, CLIENT_N(1), SERVER_N(1));
    expect_one_generation(t);
    sim_free(t);
}

// Requests that came together with the one in progress are next ones.
static void test_pipelined(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/1") GET("/2"));
    expect_request(t, SERVER, SLOT_ONE, "GET /1 ");
    reload(t, OTHER);
    sim_send(t, SERVER, OKAY);
    sim_run(t);
    expect_request(t, SERVER_N(1), SLOT_TWO, "GET /2 ");
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect(t, CLIENT, OKAY OKAY, SIM_OPEN);
    expect_one_generation(t);
    sim_free(t);
}

// Rules for heads and the client's timeouts are those of the request's own configuration.
static void test_frontend_changed(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("server: 5s"));
    sim_send(t, CLIENT, GET("/1"));
    sim_run(t);
    reload(t, ONE TIMEOUT("server: 60s") "headers: {response: {set: {X-New: '1'}}}\n");
    sim_send(t, CLIENT_N(1), GET("/2"));
    sim_run(t);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect_part(t, CLIENT_N(1), "X-New: 1\r\n", SIM_OPEN);
    sim_advance(t, 6000);
    sim_expect_part(t, CLIENT, "HTTP/1.1 504 ", SIM_OPEN);
    sim_send(t, CLIENT_N(1), GET("/3"));
    sim_run(t);
    sim_advance(t, 6000);
    sim_expect(t, CLIENT_N(1), "", SIM_OPEN);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect_part(t, CLIENT_N(1), "X-New: 1\r\n", SIM_OPEN);
    sim_free(t);
}

static void test_idle_client(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("keep-alive: 20s"));
    sim_send(t, CLIENT, GET("/1"));
    sim_run(t);
    answer(t, CLIENT, SERVER);
    reload(t, ONE TIMEOUT("keep-alive: 5s"));
    expect_one_generation(t);
    sim_advance(t, 10000);
    sim_expect_state(t, CLIENT, SIM_OPEN); // this wait was begun under the old one
    sim_send(t, CLIENT, GET("/2"));
    sim_run(t);
    answer(t, CLIENT, SERVER);
    sim_advance(t, 6000);
    sim_expect_state(t, CLIENT, SIM_FIN);
    sim_free(t);
}

// A request of an old configuration takes a pooled connection, which belongs to the new one until
// then and outlives it.
static void test_old_request_on_pooled_connection(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/1"));
    sim_run(t);
    answer(t, CLIENT, SERVER);
    sim_send(t, CLIENT, "GET /2 HT");
    sim_run(t);
    reload(t, BOTH);
    sim_send(t, CLIENT, "TP/1.1\r\nHost: a\r\n\r\n");
    expect_request(t, SERVER, SLOT_ONE, "GET /2 ");
    reload(t, ONE);
    assert_int_equal(sim_generations(t), 2);
    answer(t, CLIENT, SERVER);
    expect_one_generation(t);
    sim_free(t);
}

// ---- server connections

static void test_idle_pool(void **state)
{
    (void)state;
    struct sim *t = sim_new("servers: {a: 10.0.0.1:80, b: 10.0.0.2:80}\n");
    for (int i = 0; i < 2; i++) {
        sim_send(t, CLIENT, GET("/"));
        sim_run(t);
        answer(t, CLIENT, SERVER_N(i));
    }
    reload(t, "servers: {b: 10.0.0.2:80, c: 10.0.0.3:80}\n");
    sim_expect_state(t, SERVER, SIM_FIN);
    sim_expect_state(t, SERVER_N(1), SIM_OPEN);
    assert_int_equal(t->w.n_upstreams, 1);
    reload(t, "servers: {b: 10.0.0.2:80}\nreuse: never\n");
    sim_expect_state(t, SERVER_N(1), SIM_FIN);
    sim_free(t);
}

// The shorter one of the old and the new timeout.idle holds for what is in the pool already.
static void test_idle_timeout_changed(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("idle: 20s"));
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    answer(t, CLIENT, SERVER);
    reload(t, ONE TIMEOUT("idle: 5s"));
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    answer(t, CLIENT, SERVER);
    sim_advance(t, 6000);
    sim_expect_state(t, SERVER, SIM_FIN);
    sim_free(t);
}

static void test_pinned(void **state)
{
    (void)state;
    static const char never[] = "reuse: never\n" TWO;
    const char *const to[] = {TWO TIMEOUT("keep-alive: 5s"), OTHER, never};
    for (size_t i = 0; i < ARRAY_LEN(to); i++) {
        for (int busy = 0; busy < 2; busy++) {
            struct sim *t = sim_new(TWO);
            sim_send(t, CLIENT, GET("/login"));
            sim_run(t);
            if (busy)
                reload(t, to[i]);
            sim_send(t, SERVER,
                     "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n"
                     "Content-Length: 0\r\n\r\n");
            sim_expect_part(t, CLIENT, "401 ", SIM_OPEN);
            if (!busy)
                reload(t, to[i]);
            expect_one_generation(t);
            sim_expect_state(t, SERVER, i == 0 ? SIM_OPEN : SIM_FIN);
            sim_send(t, CLIENT, GET("/mine"));
            sim_expect_part(t, i == 0 ? SERVER : SERVER_N(1), "GET /mine ", SIM_OPEN);
            answer(t, CLIENT, i == 0 ? SERVER : SERVER_N(1));
            sim_free(t);
        }
    }
}

// A request of the old configuration, on a connection that was pinned meanwhile belongs to the new.
static void test_pinned_and_old_request(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/login"));
    sim_run(t);
    sim_send(t, SERVER,
             "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n"
             "Content-Length: 0\r\n\r\n");
    sim_expect_part(t, CLIENT, "401 ", SIM_OPEN);
    sim_send(t, CLIENT, "GET /mine HT");
    sim_run(t);
    reload(t, BOTH);
    reload(t, ONE);
    sim_send(t, CLIENT, "TP/1.1\r\nHost: a\r\n\r\n");
    expect_request(t, SERVER, SLOT_ONE, "GET /mine ");
    reload(t, BOTH);
    answer(t, CLIENT, SERVER);
    expect_one_generation(t);
    sim_free(t);
}

// The board knows another address of a server than before: new connections go there, idle ones to
// the old address are not used any more; without one there is nothing to connect to.
static void test_address_changed(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    struct addr to = t->config->servers[0].addr;
    for (int i = 0; i < 2; i++) {
        sim_send(t, CLIENT_N(i), GET("/1"));
        sim_run(t);
    }
    answer(t, CLIENT, SERVER); // one is idle, one in use
    to.ip.v4.sin_addr.s_addr = htonl(0x0a0000f0);
    board_addr_write(t->board, SLOT_ONE, &to);
    answer(t, CLIENT_N(1), SERVER_N(1));
    sim_expect_state(t, SERVER_N(1), SIM_FIN);
    sim_send(t, CLIENT, "GET /2 HTTP/1.0\r\n\r\n");
    sim_expect_part(t, SERVER_N(2), "Host: 10.0.0.240:80\r\n", SIM_OPEN);
    sim_expect_state(t, SERVER, SIM_FIN);
    sim_send(t, SERVER_N(2), OKAY);
    sim_expect_part(t, CLIENT, "\r\n\r\nhi", SIM_FIN);
    to.len = 0;
    board_addr_write(t->board, SLOT_ONE, &to);
    sim_send(t, CLIENT_N(1), GET("/3"));
    sim_expect_part(t, CLIENT_N(1), "HTTP/1.1 503 ", SIM_OPEN);
    assert_int_equal(t->n_dials, 3);
    sim_free(t);
}

// ---- tunnels and layer 4

static void test_tunnel(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("tunnel: 60s"));
    open_tunnel(t, CLIENT, SERVER);
    reload(t, OTHER TIMEOUT("tunnel: 5s"));
    expect_echo(t, CLIENT, SERVER);
    sim_advance(t, 50000);
    expect_echo(t, CLIENT, SERVER);
    open_tunnel(t, CLIENT_N(1), SERVER_N(1));
    sim_advance(t, 6000);
    sim_expect_state(t, CLIENT_N(1), SIM_RST);
    sim_expect_end(t, END_TUNNEL_IDLE);
    assert_int_equal(sim_generations(t), 2);
    sim_close(t, CLIENT);
    sim_close(t, SERVER);
    expect_one_generation(t);
    sim_free(t);
}

static void test_layer_4(void **state)
{
    (void)state;
    struct sim *t = sim_new("mode: tcp\n" ONE);
    sim_send(t, CLIENT, "a");
    sim_expect(t, SERVER, "a", SIM_OPEN);
    t->dial[SLOT_ONE] = DIAL_HANG;
    sim_send(t, CLIENT_N(1), "b");
    sim_run(t);
    reload(t, "mode: tcp\n" OTHER);
    expect_echo(t, CLIENT, SERVER);
    sim_accept(t, SERVER_N(1));
    sim_expect(t, SERVER_N(1), "b", SIM_OPEN);
    sim_send(t, CLIENT_N(2), "c");
    sim_expect(t, SERVER_N(2), "c", SIM_OPEN);
    assert_int_equal(t->peers[SERVER_N(2)].server, SLOT_TWO);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sim_generations(t), i < 2 ? 2 : 1);
        sim_fin(t, CLIENT_N(i));
        sim_fin(t, SERVER_N(i));
        sim_expect(t, CLIENT_N(i), "", SIM_FIN);
    }

    sim_free(t);
}

// What stands between an old tunnel and now is freed as soon as nobody uses it.
static void test_freed_out_of_order(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    for (int i = 0; i < 4; i++) {
        open_tunnel(t, CLIENT_N(i), SERVER_N(i));
        reload(t, i % 2 ? ONE : TWO);
    }
    static const struct {
        int closed, generations;
        uint32_t oldest;
    } steps[] = {{1, 4, 1}, {2, 3, 1}, {0, 2, 4}, {3, 1, 5}};
    assert_int_equal(sim_generations(t), 5);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        sim_close(t, CLIENT_N(steps[i].closed));
        sim_close(t, SERVER_N(steps[i].closed));
        assert_int_equal(sim_released(t), steps[i].oldest);
        assert_int_equal(sim_generations(t), steps[i].generations);
    }
    sim_free(t);
}

// Memory does not grow with reloads, whatever one tunnel holds.
static void test_many_reloads(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    open_tunnel(t, CLIENT, SERVER);
    reload(t, BOTH);
    reload(t, ONE);
    int arenas = sim_arenas();
    for (int i = 0; i < 200; i++) {
        reload(t, i % 2 ? ONE : BOTH);
        sim_send(t, CLIENT_N(1), GET("/"));
        sim_run(t);
        answer(t, CLIENT_N(1), SERVER_N(1)); // over the same connection each time
        assert_true(sim_generations(t) <= 2);
        if (i % 2)
            assert_int_equal(sim_arenas(), arenas);
        assert_int_equal(sim_released(t), 1);
    }
    expect_echo(t, CLIENT, SERVER);
    sim_close(t, CLIENT);
    sim_close(t, SERVER);
    expect_one_generation(t);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_replaced),
        cmocka_unit_test(test_server_stays),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_queued),
        cmocka_unit_test(test_queued_for_a_backend_that_is_gone),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_frontend_changed),
        cmocka_unit_test(test_idle_client),
        cmocka_unit_test(test_old_request_on_pooled_connection),
        cmocka_unit_test(test_idle_pool),
        cmocka_unit_test(test_idle_timeout_changed),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_pinned_and_old_request),
        cmocka_unit_test(test_address_changed),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_layer_4),
        cmocka_unit_test(test_freed_out_of_order),
        cmocka_unit_test(test_many_reloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
