// SPDX-License-Identifier: MIT
// Binding: one socket per worker and address, addresses in use, unix sockets left behind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "process/listeners.h"

static char said[2048]; // the last line of the log

static void keep_line(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    (void)str_copy((struct str){line, len}, said, sizeof(said));
}

struct fixture {
    struct listen listens[2];
    struct frontend frontend;
    struct config config;
    char path[64];
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->frontend = (struct frontend){.name = STR("web"), .listens = f->listens, .n_listens = 1};
    f->config = (struct config){.frontends = &f->frontend, .n_frontends = 1};
    (void)snprintf(f->path, sizeof(f->path), "/tmp/evlb-test-%d.sock", (int)getpid());
    log_set_sink(keep_line, NULL);
    said[0] = '\0';
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)unlink(f->path);
    log_set_sink(NULL, NULL);
    free(f);
    return 0;
}

// Port of a socket that the kernel chose it for.
static uint16_t port_of(int fd)
{
    union ip_addr ip;
    socklen_t len = sizeof(ip);
    assert_int_equal(getsockname(fd, &ip.sa, &len), 0);
    return ip_port(&ip);
}

// A listening socket of somebody else, and its port.
static int stranger(uint16_t *port)
{
    struct addr a;
    assert_true(addr_parse_ip(STR("127.0.0.1"), 0, &a));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    assert_int_equal(bind(fd, &a.sa, a.len), 0);
    assert_int_equal(listen(fd, 1), 0);
    *port = port_of(fd);
    return fd;
}

static bool listens_on(int fd)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value == 1;
}

static void test_one_socket_per_worker(void **state)
{
    struct fixture *f = *state;
    uint16_t port;
    int fd = stranger(&port); // a port that was free a moment ago
    (void)close(fd);
    assert_true(addr_parse_ip(STR("127.0.0.1"), port, &f->listens[0].addr));
    struct listeners *l = listeners_bind(&f->config, 3);
    assert_non_null(l);
    for (uint32_t w = 0; w < 3; w++) {
        int own = listeners_of_worker(l, w)[0];
        assert_true(listens_on(own));
        assert_int_equal(port_of(own), port);
        assert_true(fcntl(own, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(own, F_GETFD) & FD_CLOEXEC);
        assert_true(w == 0 || own != listeners_of_worker(l, w - 1)[0]);
    }
    listeners_free(l);
}

// SO_REUSEPORT would let us in beside another process of the same user.
static void test_address_in_use(void **state)
{
    struct fixture *f = *state;
    uint16_t port;
    int fd = stranger(&port);
    assert_true(addr_parse_ip(STR("127.0.0.1"), port, &f->listens[0].addr));
    f->listens[0].mark = (struct conf_mark){"evlb.yaml", 3, 11, 12};
    assert_null(listeners_bind(&f->config, 1));
    assert_non_null(strstr(said, "cannot listen on 127.0.0.1:"));
    assert_non_null(strstr(said, "(frontend 'web', evlb.yaml:3:11): address already in use"));
    (void)close(fd);
}

// Two addresses of ours that overlap are no conflict with ourselves.
static void test_overlapping_addresses(void **state)
{
    struct fixture *f = *state;
    uint16_t port;
    (void)close(stranger(&port));
    assert_true(addr_parse_ip(STR("0.0.0.0"), port, &f->listens[0].addr));
    assert_true(addr_parse_ip(STR("127.0.0.1"), port, &f->listens[1].addr));
    f->frontend.n_listens = 2;
    struct listeners *l = listeners_bind(&f->config, 2);
    assert_non_null(l);
    listeners_free(l);
}

static void test_no_such_address(void **state)
{
    struct fixture *f = *state;
    assert_true(addr_parse_ip(STR("192.0.2.1"), 8080, &f->listens[0].addr)); // RFC 5737
    assert_null(listeners_bind(&f->config, 1));
    assert_non_null(strstr(said, "192.0.2.1:8080 (frontend 'web'): this machine has no such"));
}

static void test_unix_socket_is_shared(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_true(addr_parse_unix(str_of(f->path), &f->listens[0].addr));
    struct listeners *l = listeners_bind(&f->config, 3);
    assert_non_null(l);
    assert_int_equal(listeners_of_worker(l, 0)[0], listeners_of_worker(l, 2)[0]);
    assert_int_equal(stat(f->path, &st), 0);
    listeners_free(l);
    assert_int_equal(stat(f->path, &st), -1); // removed with its owner
}

static void test_unix_socket_left_behind(void **state)
{
    struct fixture *f = *state;
    struct addr a;
    assert_true(addr_parse_unix(str_of(f->path), &a));
    int first = listen_unix(&a);
    assert_true(first >= 0);
    assert_int_equal(listen_unix(&a), -EADDRINUSE); // somebody answers
    (void)close(first);
    int second = listen_unix(&a); // nobody answers any more
    assert_true(second >= 0);
    (void)close(second);
}

static void test_unix_path_is_a_file(void **state)
{
    struct fixture *f = *state;
    struct addr a;
    struct stat st;
    int fd = open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_true(addr_parse_unix(str_of(f->path), &a));
    assert_int_equal(listen_unix(&a), -ENOTSOCK);
    assert_int_equal(stat(f->path, &st), 0); // never removed
}

#define LISTENERS_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTENERS_TEST(test_one_socket_per_worker), LISTENERS_TEST(test_address_in_use),
        LISTENERS_TEST(test_overlapping_addresses), LISTENERS_TEST(test_no_such_address),
        LISTENERS_TEST(test_unix_socket_is_shared), LISTENERS_TEST(test_unix_socket_left_behind),
        LISTENERS_TEST(test_unix_path_is_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
