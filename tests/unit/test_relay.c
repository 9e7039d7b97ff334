// SPDX-License-Identifier: MIT
// Both directions between client and server over socket pairs: what is waited for, how each
// direction ends by itself, and who is blamed for a break.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/relay.h"
#include "socket_pair.h"

static struct pair client, server;
static struct flow up, down;
static struct relay_wants wants;

static int setup(void **state)
{
    (void)state;
    pair_open(&client);
    pair_open(&server);
    flow_init(&up);
    flow_init(&down);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    flow_release(&up);
    flow_release(&down);
    pair_close(&client);
    pair_close(&server);
    assert_int_equal(buf_in_use(), 0);
    return 0;
}

static void pump(enum relay_result want)
{
    pair_wake(&client);
    pair_wake(&server);
    assert_int_equal(relay_pump(&up, &down, &client.conn, &server.conn, &wants), want);
}

static bool has_ended(struct pair *p)
{
    char c;
    return recv(p->peer, &c, 1, MSG_PEEK) == 0;
}

static void test_both_ways(void **state)
{
    (void)state;
    pair_say(&client, "question");
    pair_say(&server, "answer");
    pump(RELAY_WAIT);
    assert_string_equal(pair_hear(&server), "question");
    assert_string_equal(pair_hear(&client), "answer");
    assert_int_equal(wants.client, CONN_READ);
    assert_int_equal(wants.server, CONN_READ);
    assert_false(wants.half_closed);
}

static void test_each_direction_ends_by_itself(void **state)
{
    (void)state;
    shutdown(client.peer, SHUT_WR);
    pump(RELAY_WAIT);
    assert_true(wants.half_closed);
    assert_false(wants.client_slow); // it is the server's turn
    assert_int_equal(wants.client, 0);
    assert_int_equal(wants.server, CONN_READ);
    assert_true(has_ended(&server));
    assert_false(has_ended(&client));
    pair_say(&server, "late answer");
    pump(RELAY_WAIT);
    assert_string_equal(pair_hear(&client), "late answer");
    shutdown(server.peer, SHUT_WR);
    pump(RELAY_END);
}

static void test_server_ends_first(void **state)
{
    (void)state;
    shutdown(server.peer, SHUT_WR);
    pump(RELAY_WAIT);
    assert_true(wants.half_closed);
    assert_true(wants.client_slow);
    assert_int_equal(wants.client, CONN_READ);
    assert_true(has_ended(&client));
    shutdown(client.peer, SHUT_WR);
    pump(RELAY_END);
}

static void test_slow_client(void **state)
{
    (void)state;
    static char big[60001];
    memset(big, 'b', sizeof(big) - 1);
    pair_say(&server, big);
    pump(RELAY_WAIT);
    assert_true(wants.client & CONN_WRITE);
    assert_false(wants.server & CONN_READ); // the fast side is not read meanwhile
    assert_true(wants.client_slow);
}

static void break_off(struct pair *p)
{
    assert_int_equal(send(p->conn.watcher.fd, "unread", 6, 0), 6);
    close(p->peer);
    p->peer = -1;
}

static void test_client_breaks(void **state)
{
    (void)state;
    break_off(&client);
    pump(RELAY_CLIENT_ERR);
}

static void test_server_breaks(void **state)
{
    (void)state;
    break_off(&server);
    pump(RELAY_SERVER_ERR);
}

static void test_client_takes_no_more(void **state)
{
    (void)state;
    shutdown(client.peer, SHUT_WR);
    pump(RELAY_WAIT);
    close(client.peer);
    client.peer = -1;
    pair_say(&server, "nobody hears this");
    pump(RELAY_CLIENT_ERR);
}

static void test_server_takes_no_more(void **state)
{
    (void)state;
    shutdown(server.peer, SHUT_WR);
    pump(RELAY_WAIT);
    close(server.peer);
    server.peer = -1;
    pair_say(&client, "nobody hears this");
    pump(RELAY_SERVER_ERR);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_both_ways),
        TEST(test_each_direction_ends_by_itself),
        TEST(test_server_ends_first),
        TEST(test_slow_client),
        TEST(test_client_breaks),
        TEST(test_server_breaks),
        TEST(test_client_takes_no_more),
        TEST(test_server_takes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
