// SPDX-License-Identifier: MIT
// The logger process against real pipes and files: order, drops, a stuck reader, its own death.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/channel.h"
#include "process/logger.h"

#define WORKERS 2

struct fixture {
    struct config config;
    struct shared *shared;
    int producers[2]; // the pipe whose end tells the logger that it is over
    int out[2];       // the logger's standard error
    int access_fd;    // a file without a name
    int channel[2];   // what the supervisor says: [0] is its end
    pid_t pid;
};

static int nameless_file(void)
{
    char path[] = "/tmp/evlb-test-logger-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    return fd;
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->shared = shared_new(&f->config, WORKERS);
    assert_non_null(f->shared);
    assert_int_equal(pipe2(f->producers, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(pipe2(f->out, O_CLOEXEC), 0);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, f->channel), 0);
    f->access_fd = nameless_file();
    *state = f;
    return 0;
}

static void start(struct fixture *f)
{
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid != 0)
        return;
    (void)dup2(f->out[1], STDERR_FILENO);
    (void)close(f->producers[1]);
    const struct logger_setup setup = {f->shared, f->producers[0], f->access_fd, f->channel[1]};
    _exit(logger_run(&setup));
}

// Ends the producers and waits for the logger.
static void finish(struct fixture *f)
{
    int status = -1;
    (void)close(f->producers[1]);
    f->producers[1] = -1;
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    assert_int_equal(status, 0);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)close(f->producers[0]);
    (void)close(f->out[0]);
    (void)close(f->out[1]);
    (void)close(f->access_fd);
    (void)close(f->channel[0]);
    (void)close(f->channel[1]);
    shared_free(f->shared);
    free(f);
    return 0;
}

static void put(struct ring *r, const char *line)
{
    assert_true(ring_put(r, line, strlen(line)));
}

// What is in the pipe now, as a text.
static const char *output(struct fixture *f)
{
    static char text[70000];
    size_t n = 0;
    struct pollfd p = {.fd = f->out[0], .events = POLLIN};
    while (n < sizeof(text) - 1 && poll(&p, 1, 0) > 0) {
        ssize_t got = read(f->out[0], text + n, sizeof(text) - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    text[n] = '\0';
    return text;
}

static const char *content(int fd)
{
    static char text[4096];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static const char *access_file(struct fixture *f)
{
    return content(f->access_fd);
}

static void wait_until_empty(const struct ring *r)
{
    for (int i = 0; i < 500 && !ring_empty(r); i++)
        (void)poll(NULL, 0, 10);
    assert_true(ring_empty(r));
}

static void test_each_to_its_place(void **state)
{
    struct fixture *f = *state;
    struct shared *s = f->shared;
    put(&s->supervisor_log, "supervisor\n"); // before the logger is there
    start(f);
    put(&s->access_log[1], "{1}\n");
    put(&s->access_log[1], "{2}\n");
    put(&s->control_log, "control\n");
    assert_int_equal(write(f->producers[1], "panic\n", 6), 6);
    finish(f);
    const char *text = output(f);
    assert_non_null(strstr(text, "supervisor\n"));
    assert_non_null(strstr(text, "control\n"));
    assert_non_null(strstr(text, "panic\n"));
    assert_null(strstr(text, "{1}"));
    assert_string_equal(access_file(f), "{1}\n{2}\n");
}

// The place of access lines as the supervisor says it; fd -1: standard error.
static void say_access(struct fixture *f, int fd)
{
    const struct message m = {.type = MSG_ACCESS_LOG, .n_fds = fd >= 0};
    int left = 1;
    assert_int_equal(channel_send(f->channel[0], &m, &fd), 0);
    for (int i = 0; i < 500 && left != 0; i++) {
        (void)poll(NULL, 0, 10);
        assert_int_equal(ioctl(f->channel[1], FIONREAD, &left), 0);
    }
    assert_int_equal(left, 0); // it has heard
}

static void test_access_lines_go_elsewhere(void **state)
{
    struct fixture *f = *state;
    struct ring *r = &f->shared->access_log[0];
    int other = nameless_file();
    start(f);
    put(r, "{1}\n");
    wait_until_empty(r);
    say_access(f, other);
    put(r, "{2}\n");
    wait_until_empty(r);
    say_access(f, -1);
    put(r, "{3}\n");
    finish(f);
    assert_string_equal(access_file(f), "{1}\n");
    assert_string_equal(content(other), "{2}\n");
    assert_string_equal(output(f), "{3}\n");
    (void)close(other);
}

// A line that comes while it sleeps wakes it, without anybody ending.
static void test_wakes_up(void **state)
{
    struct fixture *f = *state;
    start(f);
    for (int i = 0; i < 3; i++) {
        (void)poll(NULL, 0, 50); // longer than it looks around on its own
        put(&f->shared->worker_log[0], "line\n");
        wait_until_empty(&f->shared->worker_log[0]);
    }
    finish(f);
    assert_string_equal(output(f), "line\nline\nline\n");
}

static void test_killed_and_replaced(void **state)
{
    struct fixture *f = *state;
    start(f);
    put(&f->shared->worker_log[0], "before\n");
    wait_until_empty(&f->shared->worker_log[0]);
    assert_int_equal(kill(f->pid, SIGKILL), 0);
    assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
    put(&f->shared->worker_log[0], "between\n");
    start(f);
    finish(f);
    assert_string_equal(output(f), "before\nbetween\n");
}

// Standard error is a pipe that nobody reads: producers drop and count, the access log file goes
// on, and when the reader is back, one line says how many are missing.
static void test_stuck_reader(void **state)
{
    struct fixture *f = *state;
    struct shared *s = f->shared;
    static const char line[] = "................................................. a line of 64.\n";
    unsigned put_in = 0, dropped = 0;
    start(f);
    while (dropped < 5) {
        if (ring_put(&s->worker_log[0], line, 64))
            put_in++;
        else
            dropped++;
        if (put_in % 512 == 0)
            (void)poll(NULL, 0, 1); // let it run into the full pipe
    }
    put(&s->access_log[0], "{}\n");
    wait_until_empty(&s->access_log[0]);
    assert_string_equal(access_file(f), "{}\n");

    size_t seen = 0;
    bool told = false;
    for (int i = 0; i < 500 && !told; i++) {
        const char *text = output(f);
        told = strstr(text, "log lines of worker 0 were dropped") != NULL;
        for (const char *at = text; (at = strstr(at, line)) != NULL; at += 64)
            seen++;
        (void)poll(NULL, 0, 10);
    }
    assert_true(told);
    assert_true(seen > 0 && seen <= put_in);
    finish(f);
}

// Nobody reads and everybody is gone: it must not stay for ever.
static void test_gives_up(void **state)
{
    struct fixture *f = *state;
    static char filler[65536];
    memset(filler, '.', sizeof(filler));
    assert_int_equal(write(f->out[1], filler, sizeof(filler)), sizeof(filler));
    put(&f->shared->worker_log[0], "never seen\n");
    start(f);
    finish(f);
    assert_false(ring_empty(&f->shared->worker_log[0]));
}

// The reader closed its end: lines are thrown away, nothing blocks, nothing dies.
static void test_reader_gone(void **state)
{
    struct fixture *f = *state;
    (void)signal(SIGPIPE, SIG_IGN); // as child_main.c does
    (void)close(f->out[0]);
    start(f);
    (void)close(f->out[1]);
    put(&f->shared->worker_log[0], "into the void\n");
    wait_until_empty(&f->shared->worker_log[0]);
    finish(f);
    assert_int_equal(pipe2(f->out, O_CLOEXEC), 0); // for the tear-down
}

#define LOGGER_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOGGER_TEST(test_each_to_its_place), LOGGER_TEST(test_access_lines_go_elsewhere),
        LOGGER_TEST(test_wakes_up),          LOGGER_TEST(test_killed_and_replaced),
        LOGGER_TEST(test_stuck_reader),      LOGGER_TEST(test_gives_up),
        LOGGER_TEST(test_reader_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
