// SPDX-License-Identifier: MIT
// Each test plays systemd in a child of its own: the environment is read once per process.
#include "process/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

struct journal {
    int fd;
    char path[64];
};

static void open_journal(struct journal *j, bool abstract)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(j->path, sizeof(j->path), "%sevlb-test-notify-%d", abstract ? "@" : "/tmp/",
                   (int)getpid());
    size_t len = strlen(j->path);
    memcpy(a.sun_path, j->path, len);
    if (abstract)
        a.sun_path[0] = '\0';
    else
        (void)unlink(j->path);
    j->fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(j->fd, (struct sockaddr *)&a,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    assert_int_equal(setenv("NOTIFY_SOCKET", j->path, 1), 0);
}

static void expect_message(const struct journal *j, const char *text)
{
    char got[1024] = "";
    ssize_t n = recv(j->fd, got, sizeof(got) - 1, MSG_DONTWAIT);
    assert_true(n >= 0);
    got[n] = '\0';
    assert_string_equal(got, text);
}

static void close_journal(struct journal *j)
{
    (void)close(j->fd);
    if (j->path[0] == '/')
        (void)unlink(j->path);
}

// Runs `test` in a child; a failed assertion there is one here.
static void in_child(void (*test)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        test();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void talk(bool abstract)
{
    struct journal j;
    open_journal(&j, abstract);
    assert_int_equal(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    notify_init();
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_int_equal(notify_watchdog_ms(), 15000);
    notify_ready();
    expect_message(&j, "READY=1\n");
    notify_reloading(12345678901);
    expect_message(&j, "RELOADING=1\nMONOTONIC_USEC=12345678901\n");
    notify_status("%d servers up", 12);
    expect_message(&j, "STATUS=12 servers up\n");
    notify_extend_ms(1500);
    expect_message(&j, "EXTEND_TIMEOUT_USEC=1500000\n");
    notify_alive();
    expect_message(&j, "WATCHDOG=1\n");
    notify_main_pid(77);
    expect_message(&j, "MAINPID=77\n");
    notify_stopping();
    expect_message(&j, "STOPPING=1\n");
    close_journal(&j);
}

static void talk_by_path(void)
{
    talk(false);
}

static void talk_by_name(void)
{
    talk(true);
}

static void says_what_happens(void **state)
{
    (void)state;
    in_child(talk_by_path);
    in_child(talk_by_name);
}

static void be_alone(void)
{
    (void)unsetenv("NOTIFY_SOCKET");
    assert_int_equal(setenv("WATCHDOG_USEC", "1000000", 1), 0);
    notify_init();
    notify_ready();
    notify_status("nobody hears it");
    assert_int_equal(notify_watchdog_ms(), 0);
}

static void is_silent_without_systemd(void **state)
{
    (void)state;
    in_child(be_alone);
}

static int listen_somewhere(int want_fd, struct addr *addr)
{
    assert_true(addr_parse_ip(STR("127.0.0.1"), 0, addr));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, &addr->sa, addr->len), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, &addr->sa, &addr->len), 0);
    if (fd != want_fd) {
        assert_int_equal(dup2(fd, want_fd), want_fd);
        (void)close(fd);
    }
    return want_fd;
}

static void say_for_whom(pid_t pid)
{
    char text[20];
    (void)snprintf(text, sizeof(text), "%d", (int)pid);
    assert_int_equal(setenv("LISTEN_FDS", "3", 1), 0);
    assert_int_equal(setenv("LISTEN_PID", text, 1), 0);
}

static void take_what_is_ours(void)
{
    struct addr a, b, other;
    for (int fd = 3; fd < 6; fd++)
        (void)close(fd);
    (void)listen_somewhere(3, &a);
    assert_int_equal(dup2(STDERR_FILENO, 4), 4); // no socket at all
    (void)listen_somewhere(5, &b);
    say_for_whom(getpid());
    notify_init();
    assert_true(addr_parse_ip(STR("127.0.0.1"), 1, &other));
    assert_int_equal(activation_take(&other), -1);
    assert_int_equal(activation_count(&other), 0);
    assert_int_equal(activation_count(&b), 1);
    assert_int_equal(activation_take(&b), 5);
    assert_int_equal(activation_count(&b), 0);
    assert_int_equal(activation_take(&b), -1);
    assert_int_equal(activation_close_rest(), 2);
    assert_int_equal(activation_take(&a), -1);
    assert_int_equal(close(5), 0);
    assert_int_equal(close(3), -1);
}

static void leave_what_is_not(void)
{
    struct addr a;
    (void)listen_somewhere(3, &a);
    say_for_whom(getppid());
    notify_init();
    assert_int_equal(activation_take(&a), -1);
    assert_int_equal(activation_close_rest(), 0);
    assert_int_equal(close(3), 0);
}

static void takes_sockets_that_are_meant_for_it(void **state)
{
    (void)state;
    in_child(take_what_is_ours);
    in_child(leave_what_is_not);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_happens),
        cmocka_unit_test(is_silent_without_systemd),
        cmocka_unit_test(takes_sockets_that_are_meant_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
