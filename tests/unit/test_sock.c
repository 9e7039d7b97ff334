// SPDX-License-Identifier: MIT
// Sockets that were connected: whether somebody is there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "io/sock.h"

static void bind_loopback(int fd, struct addr *addr)
{
    assert_true(addr_parse_ip(STR("127.0.0.1"), 0, addr));
    assert_int_equal(bind(fd, &addr->sa, addr->len), 0);
    sock_local(fd, &addr->ip);
}

static void test_a_socket_that_met_itself(void **state)
{
    (void)state;
    struct addr addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bind_loopback(fd, &addr);
    assert_int_equal(connect(fd, &addr.sa, addr.len), 0); // nobody listens
    assert_true(sock_met_itself(fd, &addr));
    close(fd);
}

static void test_a_socket_that_met_a_listener(void **state)
{
    (void)state;
    struct addr addr, from;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    bind_loopback(listener, &addr);
    assert_int_equal(listen(listener, 1), 0);
    bind_loopback(fd, &from);
    assert_int_equal(connect(fd, &addr.sa, addr.len), 0);
    assert_false(sock_met_itself(fd, &addr));
    close(fd);
    close(listener);
}

static void test_unix_sockets(void **state)
{
    (void)state;
    struct addr addr;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_true(addr_parse_unix(STR("/run/app.sock"), &addr));
    assert_false(sock_met_itself(pair[0], &addr));
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_socket_that_met_itself),
        cmocka_unit_test(test_a_socket_that_met_a_listener),
        cmocka_unit_test(test_unix_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
