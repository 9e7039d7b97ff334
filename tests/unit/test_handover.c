// SPDX-License-Identifier: MIT
// The old supervisor's side of an upgrade with a new process that misbehaves. The new binary is
// this program itself, with an argument that says what it does.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/loop.h"
#include "process/handover.h"
#include "process/upgrade.h"

#define REQUEST 7

struct fixture {
    struct tree tree;
    struct child control;
    struct process_table *table;
    struct shared shared;
    struct listeners *listeners;
    struct config config;
    int our_end; // of control's channel
};

static void begin(struct fixture *f, const char *what)
{
    const struct board_dim dim = {.workers = 1};
    static char *argv[3] = {(char *)(uintptr_t) "test_handover"};
    int channel[2];
    argv[1] = (char *)(uintptr_t)what;
    *f = (struct fixture){.our_end = -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
    f->our_end = channel[1];
    f->control = (struct child){.kind = CHILD_CONTROL, .channel = channel[0], .pid = 1};
    list_init(&f->control.outbox);
    size_t bytes = (board_bytes(&dim) + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, bytes);
    memset(memory, 0, bytes);
    f->table = xcalloc(1, sizeof(*f->table));
    f->shared = (struct shared){.table = f->table, .board = board_init(memory, &dim)};
    f->listeners = listeners_new(1);
    f->tree = (struct tree){.config = &f->config,
                            .shared = &f->shared,
                            .listeners = f->listeners,
                            .children = &f->control,
                            .n_children = 1,
                            .admin_fd = -1};
    f->tree.handover = handover_new(&f->tree, 2, argv);
    assert_null(handover_begin(f->tree.handover, REQUEST));
}

static void end(struct fixture *f)
{
    handover_free(f->tree.handover);
    listeners_free(f->listeners);
    free(f->shared.board);
    free(f->table);
    (void)close(f->control.channel);
    (void)close(f->our_end);
}

// What the one who asked is told: the status and a part of the text.
static void expect_answer(struct fixture *f, uint32_t status, const char *part)
{
    struct message m;
    struct str text;
    int fds[CHANNEL_FDS_MAX];
    assert_int_equal(channel_receive(f->our_end, &m, fds), 1);
    assert_int_equal(m.type, MSG_ANSWER);
    assert_int_equal(m.request, REQUEST);
    assert_int_equal(m.status, status);
    assert_int_equal(m.n_fds, 1);
    assert_true(channel_text_map(fds[0], &text));
    assert_non_null(memmem(text.p, text.len, part, strlen(part)));
    channel_text_done(text);
}

static void wait_readable(const struct fixture *f)
{
    struct pollfd p = {.fd = handover_fd(f->tree.handover), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
}

static int reap(void)
{
    int status;
    assert_true(wait(&status) > 0);
    return status;
}

static void one_that_hangs_is_killed_in_time(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "hang");
    struct handover *h = f.tree.handover;
    uint64_t due_ms = handover_next_ms(h), now_ms = clock_monotonic_ms();
    assert_in_range(due_ms, now_ms + 20000, now_ms + 40000);
    handover_turn(h, due_ms - 1);
    assert_true(handover_fd(h) >= 0);
    handover_turn(h, due_ms);
    expect_answer(&f, 1, "did not serve within 30 s and was killed; the log says why. Nothing has");
    int status = reap();
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(handover_fd(h), -1);
    assert_int_equal(handover_next_ms(h), UINT64_MAX);
    assert_false(f.tree.handed_over);
    assert_null(handover_begin(h, REQUEST)); // and may be tried again
    handover_turn(h, UINT64_MAX - 1);
    (void)reap();
    end(&f);
}

static void one_that_ends_has_changed_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "end");
    wait_readable(&f);
    assert_false(handover_hear(f.tree.handover));
    expect_answer(&f, 1, "ended before it served");
    assert_false(f.tree.handed_over);
    (void)reap();
    end(&f);
}

// A process that it has started holds the descriptor open: its death is seen all the same.
static void one_whose_child_lives_on_is_seen_to_end(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "leave-a-child");
    struct handover *h = f.tree.handover;
    int status;
    pid_t pid = wait(&status);
    assert_true(pid > 0);
    handover_reaped(h, (int32_t)pid + 1);
    assert_true(handover_fd(h) >= 0);
    handover_reaped(h, (int32_t)pid);
    assert_int_equal(handover_fd(h), -1);
    expect_answer(&f, 1, "ended before it served");
    end(&f);
}

static void one_that_serves_takes_over(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "serve");
    wait_readable(&f);
    assert_true(handover_hear(f.tree.handover));
    expect_answer(&f, 0, "the new process serves");
    assert_true(f.tree.handed_over);
    handover_reaped(f.tree.handover, 0);
    assert_int_equal(handover_next_ms(f.tree.handover), UINT64_MAX);
    (void)reap();
    end(&f);
}

static int be_new(const char *what)
{
    if (strcmp(what, "serve") == 0)
        upgrade_tell_ready();
    if (strcmp(what, "leave-a-child") == 0 && fork() == 0) {
        (void)sleep(2);
        _exit(0);
    }
    while (strcmp(what, "hang") == 0)
        (void)pause();
    _exit(0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_hangs_is_killed_in_time),
        cmocka_unit_test(one_that_ends_has_changed_nothing),
        cmocka_unit_test(one_whose_child_lives_on_is_seen_to_end),
        cmocka_unit_test(one_that_serves_takes_over),
    };
    if (argc > 1)
        return be_new(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
