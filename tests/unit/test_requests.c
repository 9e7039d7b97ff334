// SPDX-License-Identifier: MIT
// What the supervisor hears of a child that asks too much, or when it has no descriptor left: an
// answer, and the channel goes on.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process/requests.h"

struct fixture {
    struct tree tree;
    struct child control;
    int end; // control's own
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    int channel[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
    f->control = (struct child){.kind = CHILD_CONTROL, .name = "control", .channel = channel[0]};
    list_init(&f->control.outbox);
    f->end = channel[1];
    f->tree.children = &f->control;
    f->tree.n_children = 1;
    f->tree.requests = requests_new(&f->tree);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    requests_free(f->tree.requests);
    (void)close(f->control.channel);
    (void)close(f->end);
    free(f);
    return 0;
}

static void send_line(const struct fixture *f, uint32_t request, struct str line)
{
    const struct message m = {.type = MSG_ASK, .arg = ASK_OVERLAY, .request = request, .n_fds = 1};
    int fd = channel_text(line);
    assert_int_equal(channel_send(f->end, &m, &fd), 0);
    (void)close(fd);
}

static void expect_refusal(const struct fixture *f, uint32_t request)
{
    struct message m;
    struct str text;
    int fds[CHANNEL_FDS_MAX];
    assert_int_equal(channel_receive(f->end, &m, fds), 1);
    assert_int_equal(m.type, MSG_ANSWER);
    assert_int_equal(m.request, request);
    assert_int_equal(m.status, 1);
    assert_true(channel_text_map(fds[0], &text));
    assert_true(str_starts(text, STR("no line came, or one of more than 4096 bytes\n")));
    channel_text_done(text);
}

static void a_line_that_is_too_long_is_refused(void **state)
{
    struct fixture *f = *state;
    char line[5000];
    memset(line, 'x', sizeof(line));
    send_line(f, 3, (struct str){line, sizeof(line)});
    child_listen(&f->tree, &f->control);
    expect_refusal(f, 3);
}

// The one who asked is answered, and is heard the next time.
static void a_lost_descriptor_does_not_cost_the_channel(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, tight;
    struct message m;
    int fds[CHANNEL_FDS_MAX], copy = dup(f->end);
    (void)close(copy);
    send_line(f, 4, STR("add app/c 10.0.0.3:80"));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = (struct rlimit){(rlim_t)copy, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    child_listen(&f->tree, &f->control);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(f->control.channel >= 0);
    assert_int_equal(channel_receive(f->end, &m, fds), 1); // no room for a text either
    assert_int_equal(m.request, 4);
    assert_int_equal(m.status, 1);
    assert_int_equal(m.n_fds, 0);
    assert_int_equal(fcntl(copy, F_GETFD), -1);
    char line[5000] = "";
    send_line(f, 5, (struct str){line, sizeof(line)});
    child_listen(&f->tree, &f->control);
    expect_refusal(f, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_that_is_too_long_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_descriptor_does_not_cost_the_channel, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
