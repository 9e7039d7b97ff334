// SPDX-License-Identifier: MIT
// Requests and sessions that wait for a server with room: their order, their end, and what happens
// when the room, the server, the client or the wake-up is gone.
#include "messages.h"
#include "proxy/queue.h"
#include "sim.h"

#define LIMITED "servers: [{address: 10.0.0.1:80, max-connections: 1}]\n"
#define LIMITED_TWO                                                                                \
    "servers: [{address: 10.0.0.1:80, max-connections: 1},"                                        \
    " {address: 10.0.0.2:80, max-connections: 1}]\n"
#define BACKEND 0u

static uint32_t waiting(struct sim *t)
{
    sim_run(t);
    return board_total(t->board, board_queue_slot(t->board, BACKEND));
}

static uint32_t busy(struct sim *t)
{
    sim_run(t);
    return board_total(t->board, board_server_slot(0));
}

static uint64_t counted(const struct sim *t, enum backend_counter c)
{
    return t->w.count->backends[BACKEND][c];
}

static void get(struct sim *t, int client, int path)
{
    char text[100];
    snprintf(text, sizeof(text), GET("/%d"), path);
    sim_send(t, client, text);
    sim_run(t);
}

// The request that is at the server is this one; it is answered.
static void answer(struct sim *t, int server, int path)
{
    char text[20];
    snprintf(text, sizeof(text), "GET /%d ", path);
    sim_expect_part(t, server, text, SIM_OPEN);
    sim_send(t, server, OKAY);
    sim_run(t);
}

static void test_first_in_first_out(void **state)
{
    (void)state;
    struct sim *t = sim_new(LIMITED);
    for (int i = 0; i < 6; i++)
        get(t, CLIENT_N(i), i);
    assert_int_equal(waiting(t), 5);
    assert_int_equal(counted(t, BACKEND_QUEUED), 5);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(busy(t), 1);
        assert_int_equal(waiting(t), 5 - i);
        answer(t, SERVER, i);
        sim_expect(t, CLIENT_N(i), OKAY, SIM_OPEN);
    }
    assert_int_equal(t->n_dials, 1);
    sim_expect_ends(t, END_OK, 6);
    sim_free(t);
}

// The connection that has just been served asks again at once: it goes to the end of the row.
static void test_nobody_overtakes(void **state)
{
    (void)state;
    struct sim *t = sim_new(LIMITED);
    sim_send(t, CLIENT, GET("/0") GET("/2"));
    sim_run(t);
    get(t, CLIENT_N(1), 1);
    for (int i = 0; i < 3; i++)
        answer(t, SERVER, i);
    sim_expect(t, CLIENT, OKAY OKAY, SIM_OPEN);
    sim_expect_ends(t, END_OK, 3);
    sim_free(t);
}

static void test_unlimited_beside(void **state)
{
    (void)state;
    struct sim *t = sim_new("servers: [{address: 10.0.0.1:80, max-connections: 1}, 10.0.0.2:80]\n");
    for (int i = 0; i < 5; i++)
        get(t, CLIENT_N(i), i);
    assert_int_equal(waiting(t), 0);
    assert_int_equal(busy(t), 1);
    assert_int_equal(t->n_dials, 5);
    for (int i = 0; i < 5; i++)
        sim_send(t, SERVER_N(i), OKAY);
    sim_expect_ends(t, END_OK, 5);
    assert_int_equal(counted(t, BACKEND_QUEUED), 0);
    sim_free(t);
}

static void test_queue_full(void **state)
{
    (void)state;
    struct sim *t = sim_new(LIMITED "max-queue: 1\n");
    for (int i = 0; i < 3; i++)
        get(t, CLIENT_N(i), i);
    sim_expect_part(t, CLIENT_N(2), "HTTP/1.1 503 ", SIM_OPEN);
    sim_expect_end(t, END_QUEUE_FULL);
    assert_int_equal(counted(t, BACKEND_QUEUE_FULL), 1);
    answer(t, SERVER, 0);
    answer(t, SERVER, 1);
    sim_expect_ends(t, END_OK, 2);
    get(t, CLIENT_N(2), 2); // its connection lives
    answer(t, SERVER, 2);
    sim_expect_end(t, END_OK);
    sim_free(t);

    t = sim_new(LIMITED "max-queue: 0\n");
    get(t, CLIENT, 0);
    get(t, CLIENT_N(1), 1);
    sim_expect_end(t, END_QUEUE_FULL);
    answer(t, SERVER, 0);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

static void test_timeout(void **state)
{
    (void)state;
    struct sim *t = sim_new(LIMITED TIMEOUT("queue: 1s"));
    get(t, CLIENT, 0);
    get(t, CLIENT_N(1), 1);
    sim_advance(t, 600);
    get(t, CLIENT_N(2), 2);
    sim_advance(t, 600);
    sim_expect_part(t, CLIENT_N(1), "HTTP/1.1 503 ", SIM_OPEN);
    sim_expect_end(t, END_QUEUE_TIMEOUT);
    assert_int_equal(counted(t, BACKEND_QUEUE_TIMEOUTS), 1);
    answer(t, SERVER, 0);
    answer(t, SERVER, 2);
    sim_expect_ends(t, END_OK, 2);
    sim_free(t);
}

static void test_client_leaves(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        struct sim *t = sim_new(LIMITED);
        for (int i = 0; i < 3; i++)
            get(t, CLIENT_N(i), i);
        if (reset)
            sim_reset(t, CLIENT_N(1));
        else
            sim_close(t, CLIENT_N(1));
        sim_advance(t, 1000);
        sim_expect_end(t, END_CLIENT_CLOSED_QUEUE);
        assert_int_equal(waiting(t), 1);
        answer(t, SERVER, 0);
        answer(t, SERVER, 2);
        sim_expect_ends(t, END_OK, 2);
        sim_free(t);
    }
    // with a body that nobody reads meanwhile
    struct sim *t = sim_new(LIMITED);
    get(t, CLIENT, 0);
    sim_send(t, CLIENT_N(1), POST("/1", "10") "12345");
    sim_advance(t, 200);
    sim_reset(t, CLIENT_N(1));
    sim_advance(t, 1000);
    sim_expect_end(t, END_CLIENT_CLOSED_QUEUE);
    answer(t, SERVER, 0);
    sim_expect_end(t, END_OK);
    sim_free(t);
}

// One that finds its server dead keeps its place, and nobody is forgotten.
static void test_server_dies(void **state)
{
    (void)state;
    struct sim *t = sim_new(LIMITED_TWO);
    for (int i = 0; i < 5; i++)
        get(t, CLIENT_N(i), i);
    assert_int_equal(waiting(t), 3);
    int dead = t->peers[SERVER].server;
    t->dial[dead] = DIAL_REFUSE;
    sim_reset(t, SERVER);
    sim_run(t);
    for (int i = 0; i < 5; i++) { // all by the other one
        const char *text = sim_take(t, SERVER_N(1));
        assert_non_null(strstr(text, "GET /"));
        sim_send(t, SERVER_N(1), OKAY);
        sim_run(t);
    }
    sim_expect_ends(t, END_OK, 5);
    sim_free(t);
}

static void test_drain_with_waiters(void **state)
{
    (void)state;
    struct sim *t = sim_new(LIMITED);
    for (int i = 0; i < 3; i++)
        get(t, CLIENT_N(i), i);
    sim_drain(t, 5000);
    answer(t, SERVER, 0);
    answer(t, SERVER_N(1), 1);
    sim_expect_ends(t, END_OK, 2);
    sim_advance(t, 5100);
    sim_expect_end(t, END_SHUTDOWN);
    sim_free(t);
}

// ---- more than one worker: the test plays the other one

static void elsewhere(struct sim *t, uint64_t ticket)
{
    atomic_store(board_queue_head(t->board, 1, BACKEND), ticket);
}

static void test_room_in_another_worker(void **state)
{
    (void)state;
    for (int woken = 0; woken < 2; woken++) {
        struct sim *t = sim_new(LIMITED);
        board_claim(t->board, 1, board_server_slot(0));
        get(t, CLIENT, 0);
        sim_advance(t, 500);
        assert_int_equal(t->n_dials, 0);
        board_release(t->board, 1, board_server_slot(0));
        if (woken) {
            queue_look(&t->w);
            sim_run(t);
        } else { // the wake-up got lost
            sim_advance(t, 50);
        }
        answer(t, SERVER, 0);
        sim_expect_end(t, END_OK);
        assert_false(sim_woken(t, 1));
        sim_free(t);
    }
}

static void test_another_worker_is_first(void **state)
{
    (void)state;
    struct sim *t = sim_new(LIMITED);
    get(t, CLIENT, 0);
    elsewhere(t, atomic_fetch_add(&t->board->queue[BACKEND].ticket, 1) + 1);
    get(t, CLIENT_N(1), 1);
    get(t, CLIENT_N(2), 2);
    assert_int_equal(waiting(t), 2);
    answer(t, SERVER, 0);
    assert_true(sim_woken(t, 1));
    assert_int_equal(busy(t), 0);
    board_claim(t->board, 1, board_server_slot(0)); // it took the room
    elsewhere(t, 0);
    board_release(t->board, 1, board_server_slot(0));
    queue_look(&t->w);
    sim_run(t);
    elsewhere(t, atomic_fetch_add(&t->board->queue[BACKEND].ticket, 1) + 1);
    answer(t, SERVER, 1); // now ours is first
    answer(t, SERVER, 2);
    assert_true(sim_woken(t, 1)); // and the turn is passed on
    sim_expect_ends(t, END_OK, 3);
    sim_free(t);
}

// A worker that is first and takes nothing for a whole tick holds nobody up.
static void test_another_worker_hangs(void **state)
{
    (void)state;
    struct sim *t = sim_new(LIMITED);
    get(t, CLIENT, 0);
    elsewhere(t, atomic_fetch_add(&t->board->queue[BACKEND].ticket, 1) + 1);
    get(t, CLIENT_N(1), 1);
    answer(t, SERVER, 0);
    assert_int_equal(busy(t), 0);
    sim_advance(t, 100);
    answer(t, SERVER, 1);
    sim_expect_ends(t, END_OK, 2);
    elsewhere(t, 0);
    sim_free(t);
}

// ---- mode tcp

static void test_tcp(void **state)
{
    (void)state;
    struct sim *t = sim_new("mode: tcp\n" LIMITED);
    for (int i = 0; i < 3; i++)
        sim_send(t, CLIENT_N(i), "hello");
    assert_int_equal(waiting(t), 2);
    assert_int_equal(t->n_dials, 1);
    for (int i = 0; i < 3; i++) {
        sim_expect(t, SERVER_N(i), "hello", SIM_OPEN);
        sim_fin(t, CLIENT_N(i));
        sim_fin(t, SERVER_N(i));
        sim_expect_end(t, END_OK);
    }
    sim_free(t);
}

static void test_tcp_ends(void **state)
{
    (void)state;
    struct sim *t = sim_new("mode: tcp\n" LIMITED "max-queue: 3\n" TIMEOUT("queue: 2s"));
    sim_send(t, CLIENT, "hello");
    sim_run(t);
    sim_fin(t, sim_connect(t)); // without a word
    sim_expect_end(t, END_CLIENT_CLOSED_QUEUE);
    for (int i = 2; i < 6; i++) {
        sim_send(t, CLIENT_N(i), "words");
        sim_run(t);
    }
    sim_expect_end(t, END_QUEUE_FULL);
    sim_expect_state(t, CLIENT_N(5), SIM_RST);
    sim_fin(t, CLIENT_N(3)); // may wait for its answer
    sim_reset(t, CLIENT_N(2));
    sim_advance(t, 1000);
    sim_expect_end(t, END_CLIENT_CLOSED_QUEUE);
    sim_reset(t, CLIENT);
    sim_run(t);
    sim_expect(t, SERVER_N(1), "words", SIM_FIN);
    sim_advance(t, 1100);
    assert_int_equal(counted(t, BACKEND_QUEUE_TIMEOUTS), 1);
    sim_fin(t, SERVER_N(1));
    sim_run(t);
    assert_int_equal(sim_ends(t), 7 - 1);
    sim_free(t);
}

// ---- whatever goes wrong, whenever

#define CLIENTS 4

static int answered[SIM_PEERS];

static void serve(struct sim *t, int peer)
{
    struct sim_peer *p = &t->peers[peer];
    int n = 0;
    for (const char *at = p->out.p; (at = strstr(at, "\r\n\r\n")) != NULL; at++)
        n++;
    while (p->conn != NULL && !p->gone && answered[peer] < n) {
        answered[peer]++;
        sim_send(t, peer, OKAY);
    }
}

// False: the fault was not reached.
static bool play(const char *yaml, enum sim_fault fault, uint64_t at)
{
    struct sim *t = sim_new(yaml);
    memset(answered, 0, sizeof(answered));
    t->serve = serve;
    sim_fault_at(t, at, fault);
    for (int i = 0; i < CLIENTS; i++)
        sim_send(t, CLIENT_N(i), GET("/a") GET("/b"));
    sim_run(t);
    sim_advance(t, 60000);
    bool reached = t->faulted;
    if (!reached)
        sim_expect_ends(t, END_OK, 2 * CLIENTS);
    assert_int_equal(waiting(t), 0);
    assert_int_equal(t->w.exchanges, 0);
    sim_free(t);
    return reached;
}

static void test_faults(void **state)
{
    (void)state;
    static const char *const yamls[] = {LIMITED, LIMITED_TWO, LIMITED "reuse: never\n"};
    for (int fault = FAULT_AGAIN; fault < FAULT_COUNT; fault++) {
        for (size_t i = 0; i < ARRAY_LEN(yamls); i++) {
            uint64_t at = 1;
            while (play(yamls[i], (enum sim_fault)fault, at))
                at++;
            assert_in_range(at, 5, 500);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_in_first_out),
        cmocka_unit_test(test_nobody_overtakes),
        cmocka_unit_test(test_unlimited_beside),
        cmocka_unit_test(test_queue_full),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_server_dies),
        cmocka_unit_test(test_drain_with_waiters),
        cmocka_unit_test(test_room_in_another_worker),
        cmocka_unit_test(test_another_worker_is_first),
        cmocka_unit_test(test_another_worker_hangs),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_tcp_ends),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
