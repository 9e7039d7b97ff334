// SPDX-License-Identifier: MIT
// Log lines: level, form, control characters, folding of repetitions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

static char lines[10][2000];
static int n_lines;

static void keep(void *ctx, const char *line, size_t len)
{
    assert_ptr_equal(ctx, lines);
    assert_true(n_lines < 10 && len < sizeof(lines[0]));
    memcpy(lines[n_lines], line, len);
    lines[n_lines++][len] = '\0';
}

static int setup(void **state)
{
    (void)state;
    n_lines = 0;
    log_set_sink(keep, lines);
    log_set_process("worker 7");
    log_set_level(LOG_INFO);
    return 0;
}

// Behind the time: "2026-01-01T00:00:00Z ".
static const char *message(int i)
{
    assert_true(i < n_lines);
    assert_int_equal(lines[i][10], 'T');
    assert_int_equal(lines[i][19], 'Z');
    return lines[i] + 21;
}

static void test_form_and_level(void **state)
{
    (void)state;
    log_info("hello %d", 5);
    log_debug("not shown");
    assert_int_equal(n_lines, 1);
    assert_string_equal(message(0), "info worker 7: hello 5\n");
    log_set_level(LOG_DEBUG);
    assert_int_equal(log_get_level(), LOG_DEBUG);
    log_debug("shown");
    assert_string_equal(message(1), "debug worker 7: shown\n");
    log_set_level(LOG_ERROR);
    log_warning("not shown");
    log_error("shown too");
    assert_string_equal(message(2), "error worker 7: shown too\n");
    assert_int_equal(n_lines, 3);
}

// What a peer said cannot start a line of its own, nor move a terminal's cursor.
static void test_control_characters(void **state)
{
    (void)state;
    log_info("a\nb\r\x1b[2J\x7f");
    assert_string_equal(message(0), "info worker 7: a?b??[2J?\n");
}

static void test_repetitions(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        log_info("again and again");
    assert_int_equal(n_lines, 1);
    log_info("something else");
    assert_int_equal(n_lines, 3);
    assert_string_equal(message(1), "info worker 7: the last message was repeated 4 times\n");
    assert_string_equal(message(2), "info worker 7: something else\n");
}

static void test_long_message(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    log_info("%s", text);
    size_t n = strlen(lines[0]);
    assert_true(n > 1000 && n < 1200);
    assert_int_equal(lines[0][n - 1], '\n');
    assert_int_equal(lines[0][n - 2], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_form_and_level, setup),
        cmocka_unit_test_setup(test_control_characters, setup),
        cmocka_unit_test_setup(test_repetitions, setup),
        cmocka_unit_test_setup(test_long_message, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
