// SPDX-License-Identifier: MIT
// Texts that travel beside a packet: only sealed memory is read, whatever else comes is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_arrives_as_it_was),
        cmocka_unit_test(a_file_is_no_text),
        cmocka_unit_test(half_sealed_memory_is_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
