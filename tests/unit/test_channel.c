// SPDX-License-Identifier: MIT
// Texts that travel beside a packet: only sealed memory is read, whatever else comes is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/channel.h"

static void a_text_arrives_as_it_was(void **state)
{
    (void)state;
    struct str text;
    int fd = channel_text(STR("frontends: {}\n"));
    assert_true(fd >= 0);
    assert_true(channel_text_map(fd, &text));
    assert_true(str_eq(text, STR("frontends: {}\n")));
    channel_text_done(text);
    fd = channel_text(STR(""));
    assert_true(channel_text_map(fd, &text));
    assert_int_equal(text.len, 0);
    channel_text_done(text);
}

// It is closed all the same.
static void refused(int fd)
{
    struct str text;
    assert_true(fd >= 0);
    assert_false(channel_text_map(fd, &text));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_file_is_no_text(void **state)
{
    (void)state;
    int ends[2];
    refused(open("/proc/self/exe", O_RDONLY));
    assert_int_equal(pipe(ends), 0);
    refused(ends[0]);
    (void)close(ends[1]);
}

// Who can shorten it could end its reader with SIGBUS.
static void half_sealed_memory_is_no_text(void **state)
{
    (void)state;
    static const int seals[] = {0, F_SEAL_WRITE, F_SEAL_WRITE | F_SEAL_GROW,
                                F_SEAL_SHRINK | F_SEAL_GROW};
    for (size_t i = 0; i < ARRAY_LEN(seals); i++) {
        int fd = memfd_create("half", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(write(fd, "text", 4), 4);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
        refused(fd);
    }
}

static void a_text_may_be_too_long(void **state)
{
    (void)state;
    struct str text;
    assert_false(channel_text_map_most(channel_text(STR("12345")), 4, &text));
    assert_true(channel_text_map_most(channel_text(STR("12345")), 5, &text));
    channel_text_done(text);
}

// The packet comes all the same, and so does the next one; nothing is left open.
static void no_room_for_descriptors_costs_only_these(void **state)
{
    (void)state;
    int pair[2], fds[CHANNEL_FDS_MAX] = {STDIN_FILENO, STDIN_FILENO, STDIN_FILENO};
    struct message m = {.type = MSG_ASK, .request = 7, .n_fds = 3}, got;
    struct rlimit before, tight;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(channel_send(pair[0], &m, fds), 0);
    assert_int_equal(channel_send(pair[0], &m, fds), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = (struct rlimit){(rlim_t)pair[1] + 3, before.rlim_max}; // two of three have room
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    int first = channel_receive(pair[1], &got, fds);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(first, -EMFILE);
    assert_int_equal(got.type, MSG_ASK);
    assert_int_equal(got.request, 7);
    assert_int_equal(got.n_fds, 0);
    for (int fd = pair[1] + 1; fd < pair[1] + 4; fd++)
        assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(channel_receive(pair[1], &got, fds), 1);
    assert_int_equal(got.n_fds, 3);
    for (size_t i = 0; i < 3; i++)
        (void)close(fds[i]);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_arrives_as_it_was),
        cmocka_unit_test(a_file_is_no_text),
        cmocka_unit_test(half_sealed_memory_is_no_text),
        cmocka_unit_test(a_text_may_be_too_long),
        cmocka_unit_test(no_room_for_descriptors_costs_only_these),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
