// SPDX-License-Identifier: MIT
// Requests to the supervisor: what goes over the channel, and whom an answer reaches.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/asks.h"

struct fixture {
    int pair[2]; // [0]: control's end, [1]: the supervisor's
    struct asks *asks;
};

struct listener {
    struct asks_waiter waiter;
    int calls, last;
    uint32_t status, worker, value;
    char text[64];
};

static void note(struct asks_waiter *w, const struct ask_answer *answer)
{
    struct listener *l = container_of(w, struct listener, waiter);
    l->calls++;
    l->last += answer->last;
    l->status = answer->status;
    l->worker = answer->worker;
    l->value = answer->value;
    (void)str_copy(answer->text, l->text, sizeof(l->text));
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, f->pair), 0);
    f->asks = asks_new(f->pair[0]);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    asks_free(f->asks);
    (void)close(f->pair[0]);
    (void)close(f->pair[1]);
    free(f);
    return 0;
}

// What the supervisor received; the text into `text`.
static struct message heard(const struct fixture *f, char *text, size_t size)
{
    struct message m;
    int fds[CHANNEL_FDS_MAX];
    struct str content = STR("");
    assert_int_equal(channel_receive(f->pair[1], &m, fds), 1);
    if (m.n_fds > 0)
        assert_true(channel_text_map(fds[0], &content));
    assert_true(str_copy(content, text, size));
    channel_text_done(content);
    return m;
}

static void answer(const struct fixture *f, struct message m, const char *text)
{
    int fds[CHANNEL_FDS_MAX];
    m.type = MSG_ANSWER;
    if (text != NULL) {
        fds[0] = channel_text(str_of(text));
        assert_true(fds[0] >= 0);
        m.n_fds = 1;
    }
    asks_answer(f->asks, &m, fds);
}

static void test_ask_and_answer(void **state)
{
    struct fixture *f = *state;
    struct listener l = {.waiter.answered = note};
    char text[64];
    assert_int_equal(asks_ask(f->asks, &l.waiter, ASK_OVERLAY, 7, STR("add app/c")), 0);
    struct message m = heard(f, text, sizeof(text));
    assert_int_equal(m.type, MSG_ASK);
    assert_int_equal(m.arg, ASK_OVERLAY);
    assert_int_equal(m.value, 7);
    assert_string_equal(text, "add app/c");
    answer(f, (struct message){.request = m.request, .status = 1}, "no such backend");
    assert_int_equal(l.calls, 1);
    assert_int_equal(l.last, 1);
    assert_int_equal(l.status, 1);
    assert_string_equal(l.text, "no such backend");
    answer(f, (struct message){.request = m.request}, NULL); // one too many
    assert_int_equal(l.calls, 1);
}

static void test_several_answers_to_a_query(void **state)
{
    struct fixture *f = *state;
    struct listener l = {.waiter.answered = note}, other = {.waiter.answered = note};
    char text[64];
    assert_int_equal(asks_query(f->asks, &l.waiter, QUERY_SESSIONS, 100), 0);
    assert_int_equal(asks_ask(f->asks, &other.waiter, ASK_RELOAD, 0, STR_NONE), 0);
    struct message m = heard(f, text, sizeof(text));
    assert_int_equal(m.type, MSG_QUERY);
    assert_int_equal(m.value, 100);
    assert_int_equal(m.n_fds, 0);
    answer(f, (struct message){.request = m.request, .arg = 1, .value = 5, .n_more = 1}, "[1]");
    assert_int_equal(l.last, 0);
    assert_int_equal(l.worker, 1);
    assert_int_equal(l.value, 5);
    answer(f, (struct message){.request = m.request, .arg = 0}, "[0]");
    assert_int_equal(l.calls, 2);
    assert_int_equal(l.last, 1);
    assert_int_equal(l.worker, 0);
    assert_int_equal(other.calls, 0);
    asks_forget(&other.waiter);
}

// More than a worker has to say is left out, and the answer says that it is not whole.
static void test_an_answer_without_measure(void **state)
{
    struct fixture *f = *state;
    struct listener l = {.waiter.answered = note};
    struct message m = {.type = MSG_ANSWER, .n_fds = 1};
    int fds[CHANNEL_FDS_MAX];
    size_t size = (16u << 20) + 1;
    char *text = xcalloc(1, size);
    assert_int_equal(asks_query(f->asks, &l.waiter, QUERY_SESSIONS, 100), 0);
    m.request = l.waiter.request;
    fds[0] = channel_text((struct str){text, size});
    free(text);
    asks_answer(f->asks, &m, fds);
    assert_int_equal(l.last, 1);
    assert_int_equal(l.status, 1);
    assert_string_equal(l.text, "");
}

// A client that has gone: its answer is dropped, with its descriptors.
static void test_forgotten(void **state)
{
    struct fixture *f = *state;
    struct listener l = {.waiter.answered = note};
    char text[64];
    asks_forget(&l.waiter); // never waited
    assert_int_equal(asks_ask(f->asks, &l.waiter, ASK_RELOAD, 0, STR_NONE), 0);
    struct message m = heard(f, text, sizeof(text));
    asks_forget(&l.waiter);
    int before = dup(f->pair[0]);
    answer(f, (struct message){.request = m.request}, "too late");
    int after = dup(f->pair[0]);
    assert_int_equal(l.calls, 0);
    assert_int_equal(after, before + 1); // nothing was left open in between
    (void)close(before);
    (void)close(after);
}

static void test_no_supervisor(void **state)
{
    struct fixture *f = *state;
    struct listener l = {.waiter.answered = note};
    (void)close(f->pair[1]);
    assert_int_equal(asks_ask(f->asks, &l.waiter, ASK_RELOAD, 0, STR("x")), -EPIPE);
    answer(f, (struct message){.request = 1}, NULL);
    assert_int_equal(l.calls, 0);
}

#define ASKS_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ASKS_TEST(test_ask_and_answer),
        ASKS_TEST(test_several_answers_to_a_query),
        ASKS_TEST(test_an_answer_without_measure),
        ASKS_TEST(test_forgotten),
        ASKS_TEST(test_no_supervisor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
