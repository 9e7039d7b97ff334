// SPDX-License-Identifier: MIT
// Binding: one socket per worker and address, addresses in use, unix sockets left behind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/listen_socket.h"
#include "process/listeners.h"

struct fixture {
    struct listen listens[3];
    struct frontend frontend;
    struct config config;
    char path[64];
    struct listeners *listeners;
    struct buf why;
    char said[2048]; // what the last prepare() complained about
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->frontend = (struct frontend){.name = STR("web"), .listens = f->listens, .n_listens = 1};
    f->config = (struct config){.frontends = &f->frontend, .n_frontends = 1};
    (void)snprintf(f->path, sizeof(f->path), "/tmp/evlb-test-%d.sock", (int)getpid());
    f->listeners = listeners_new(3);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    listeners_free(f->listeners);
    (void)unlink(f->path);
    free(f);
    return 0;
}

static bool prepare(struct fixture *f)
{
    bool fine = listeners_prepare(f->listeners, &f->config, &f->why);
    f->said[0] = '\0';
    if (buf_len(&f->why) > 0)
        assert_true(
            str_copy((struct str){buf_head(&f->why), buf_len(&f->why)}, f->said, sizeof(f->said)));
    buf_release(&f->why);
    assert_true(fine == (f->said[0] == '\0'));
    return fine;
}

static int fd_of(const struct fixture *f, uint32_t row, uint32_t number)
{
    return listener_fd(f->listeners, number, row);
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

// Whether nobody has the port under any address of this machine.
static bool port_is_free(uint16_t port)
{
    struct addr a;
    assert_true(addr_parse_ip(STR("0.0.0.0"), port, &a));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    bool free = bind(fd, &a.sa, a.len) == 0;
    (void)close(fd);
    return free;
}

// An address on this machine that was free a moment ago. Its port is not one that the kernel gives
// to outgoing connections, which others may open between this and the bind.
static void free_address(struct listen *l, const char *host)
{
    static uint32_t tried;
    uint16_t port;
    do
        port = (uint16_t)(12000 + ((uint32_t)getpid() * 16 + tried++) % 8000);
    while (!port_is_free(port));
    assert_true(addr_parse_ip(str_of(host), port, &l->addr));
}

static void test_one_socket_per_worker(void **state)
{
    struct fixture *f = *state;
    free_address(&f->listens[0], "127.0.0.1");
    assert_true(prepare(f));
    for (uint32_t w = 0; w < 3; w++) {
        int own = fd_of(f, w, f->listens[0].number);
        assert_true(listens_on(own));
        assert_int_equal(port_of(own), ip_port(&f->listens[0].addr.ip));
        assert_true(fcntl(own, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(own, F_GETFD) & FD_CLOEXEC);
        assert_true(w == 0 || own != fd_of(f, w - 1, f->listens[0].number));
    }
}

// SO_REUSEPORT would let us in beside another process of the same user.
static void test_address_in_use(void **state)
{
    struct fixture *f = *state;
    uint16_t port;
    int fd = stranger(&port);
    assert_true(addr_parse_ip(STR("127.0.0.1"), port, &f->listens[0].addr));
    f->listens[0].mark = (struct conf_mark){"evlb.yaml", 3, 11, 12};
    assert_false(prepare(f));
    assert_non_null(strstr(f->said, "cannot listen on 127.0.0.1:"));
    assert_non_null(strstr(f->said, "(frontend 'web', evlb.yaml:3:11): address already in use"));
    (void)close(fd);
}

// Two addresses of ours that overlap are no conflict with ourselves, neither at once nor later.
static void test_overlapping_addresses(void **state)
{
    struct fixture *f = *state;
    free_address(&f->listens[0], "0.0.0.0");
    uint16_t port = ip_port(&f->listens[0].addr.ip);
    assert_true(addr_parse_ip(STR("127.0.0.1"), port, &f->listens[1].addr));
    assert_true(addr_parse_ip(STR("127.0.0.2"), port, &f->listens[2].addr));
    f->frontend.n_listens = 2;
    assert_true(prepare(f));
    listeners_commit(f->listeners);
    f->frontend.n_listens = 3;
    assert_true(prepare(f));
    assert_true(listens_on(fd_of(f, 0, f->listens[2].number)));
}

static void test_no_such_address(void **state)
{
    struct fixture *f = *state;
    assert_true(addr_parse_ip(STR("192.0.2.1"), 8080, &f->listens[0].addr)); // RFC 5737
    assert_false(prepare(f));
    assert_non_null(strstr(f->said, "192.0.2.1:8080 (frontend 'web'): this machine has no such"));
}

// ---- reloads ----

static void test_an_address_that_stays_keeps_its_sockets(void **state)
{
    struct fixture *f = *state;
    free_address(&f->listens[0], "127.0.0.1");
    free_address(&f->listens[1], "127.0.0.1");
    assert_true(prepare(f));
    listeners_commit(f->listeners);
    uint32_t number = f->listens[0].number;
    int fd = fd_of(f, 1, number);
    f->listens[0].number = 99;
    f->frontend.n_listens = 2;
    assert_true(prepare(f));
    assert_int_equal(f->listens[0].number, number);
    assert_int_not_equal(f->listens[1].number, number);
    assert_int_equal(fd_of(f, 1, number), fd);
    listeners_commit(f->listeners);
    assert_true(listens_on(fd));
}

static void test_a_removed_address_stays_open_until_it_is_told(void **state)
{
    struct fixture *f = *state;
    free_address(&f->listens[0], "127.0.0.1");
    free_address(&f->listens[1], "127.0.0.1");
    f->frontend.n_listens = 2;
    assert_true(prepare(f));
    listeners_commit(f->listeners);
    uint32_t gone = f->listens[1].number;
    int fd = fd_of(f, 2, gone);
    f->frontend.n_listens = 1;
    assert_true(prepare(f));
    assert_int_equal(fd_of(f, 2, gone), fd); // nothing has happened yet
    listeners_commit(f->listeners);
    assert_int_equal(fd_of(f, 2, gone), -1); // not for new workers
    assert_true(listens_on(fd));
    listeners_close_left(f->listeners);
    assert_false(listens_on(fd));
    f->frontend.n_listens = 2;
    assert_true(prepare(f)); // back again: another socket with another number
    assert_int_not_equal(f->listens[1].number, gone);
}

static void test_undo_leaves_what_was(void **state)
{
    struct fixture *f = *state;
    free_address(&f->listens[0], "127.0.0.1");
    free_address(&f->listens[1], "127.0.0.1");
    assert_true(prepare(f));
    listeners_commit(f->listeners);
    int old = fd_of(f, 0, f->listens[0].number);
    f->frontend.n_listens = 2;
    assert_true(prepare(f));
    int fresh = fd_of(f, 0, f->listens[1].number);
    listeners_undo(f->listeners);
    assert_false(listens_on(fresh));
    assert_true(listens_on(old));
}

// One of two cannot be bound: the other is closed again, and what is in force stays.
static void test_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    uint16_t port;
    free_address(&f->listens[0], "127.0.0.1");
    assert_true(prepare(f));
    listeners_commit(f->listeners);
    int old = fd_of(f, 0, f->listens[0].number);
    free_address(&f->listens[1], "127.0.0.1");
    int fd = stranger(&port);
    assert_true(addr_parse_ip(STR("127.0.0.1"), port, &f->listens[2].addr));
    f->frontend.n_listens = 3;
    assert_false(prepare(f));
    assert_int_equal(f->listeners->n, 1);
    assert_true(listens_on(old));
    (void)close(fd);
}

static int deferred_seconds(int fd)
{
    int seconds = -1;
    socklen_t len = sizeof(seconds);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, &len), 0);
    return seconds;
}

// In mode tcp the server may speak first: its sockets wake up for a bare connection.
static void test_mode_changes(void **state)
{
    struct fixture *f = *state;
    free_address(&f->listens[0], "127.0.0.1");
    assert_true(prepare(f));
    listeners_commit(f->listeners);
    int fd = fd_of(f, 2, f->listens[0].number);
    assert_true(deferred_seconds(fd) > 0);
    f->frontend.mode = MODE_TCP;
    assert_true(prepare(f));
    assert_true(deferred_seconds(fd) > 0);
    listeners_commit(f->listeners);
    assert_int_equal(deferred_seconds(fd), 0);
}

// ---- unix sockets ----

static bool is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static void test_unix_socket_is_shared(void **state)
{
    struct fixture *f = *state;
    assert_true(addr_parse_unix(str_of(f->path), &f->listens[0].addr));
    assert_true(prepare(f));
    listeners_commit(f->listeners);
    uint32_t number = f->listens[0].number;
    assert_int_equal(fd_of(f, 0, number), fd_of(f, 2, number));
    listeners_close(f->listeners);
    assert_true(is_there(f->path));
    listeners_free(f->listeners);
    f->listeners = NULL;
    assert_false(is_there(f->path)); // removed with its owner
}

static void test_file_of_a_removed_unix_socket(void **state)
{
    struct fixture *f = *state;
    assert_true(addr_parse_unix(str_of(f->path), &f->listens[0].addr));
    assert_true(prepare(f));
    listeners_commit(f->listeners);
    assert_true(prepare(f)); // kept: not bound again
    listeners_commit(f->listeners);
    assert_true(is_there(f->path));
    f->frontend.n_listens = 0;
    assert_true(prepare(f));
    listeners_commit(f->listeners);
    assert_true(is_there(f->path));
    listeners_close_left(f->listeners);
    assert_false(is_there(f->path));
}

// Another process answers there: its file is not ours to remove.
static void test_unix_socket_of_another(void **state)
{
    struct fixture *f = *state;
    assert_true(addr_parse_unix(str_of(f->path), &f->listens[0].addr));
    int other = listen_unix(&f->listens[0].addr);
    assert_true(other >= 0);
    assert_false(prepare(f));
    assert_true(is_there(f->path));
    (void)close(other);
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
        LISTENERS_TEST(test_one_socket_per_worker),
        LISTENERS_TEST(test_address_in_use),
        LISTENERS_TEST(test_overlapping_addresses),
        LISTENERS_TEST(test_no_such_address),
        LISTENERS_TEST(test_an_address_that_stays_keeps_its_sockets),
        LISTENERS_TEST(test_a_removed_address_stays_open_until_it_is_told),
        LISTENERS_TEST(test_undo_leaves_what_was),
        LISTENERS_TEST(test_all_or_nothing),
        LISTENERS_TEST(test_mode_changes),
        LISTENERS_TEST(test_unix_socket_is_shared),
        LISTENERS_TEST(test_file_of_a_removed_unix_socket),
        LISTENERS_TEST(test_unix_socket_of_another),
        LISTENERS_TEST(test_unix_socket_left_behind),
        LISTENERS_TEST(test_unix_path_is_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
