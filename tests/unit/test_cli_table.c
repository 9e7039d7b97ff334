// SPDX-License-Identifier: MIT
// Tables within their width, short counts and durations.
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int make_arena(void **state)
{
    *state = arena_new();
    return *state == NULL;
}

static int free_arena(void **state)
{
    arena_free(*state);
    return 0;
}

static void expect_printed(const struct table *t, size_t width, const char *wanted)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    table_print(t, out, width);
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
}

static void columns(void **state)
{
    static const char *const heads[] = {"NAME", ">COUNT", "STATE"};
    struct table t = {.arena = *state, .heads = heads, .columns = 3};
    table_cell(&t, "app/s1");
    table_count(&t, 7);
    table_cell(&t, "up");
    table_cell(&t, "b");
    table_count(&t, 123456);
    table_cell(&t, "down");
    expect_printed(&t, 80,
                   "NAME    COUNT  STATE\n"
                   "app/s1      7  up\n"
                   "b        123k  down\n");
}

static void cut_to_width(void **state)
{
    static const char *const heads[] = {"NAME", ">N"};
    struct table t = {.arena = *state, .heads = heads, .columns = 2};
    table_cell(&t, "a-very-long-name-indeed");
    table_count(&t, 1);
    table_cell(&t, "short");
    table_count(&t, 22);
    expect_printed(&t, 14,
                   "NAME         N\n"
                   "a-ve~ndeed   1\n"
                   "short       22\n");
}

// Names that begin alike stay apart; a sentence loses its end.
static void cut_in_the_middle(void **state)
{
    static const char *const heads[] = {"SERVER", "ADDRESS", "WHY"};
    struct table t = {.arena = *state, .heads = heads, .columns = 3};
    table_cell(&t, "production-checkout/a");
    table_cell(&t, "127.0.0.1:21801");
    table_cell(&t, "connection refused");
    table_cell(&t, "production-checkout/b");
    table_cell(&t, "127.0.0.1:21802");
    table_cell(&t, "no answer within 2 s");
    expect_printed(&t, 34,
                   "SERVER      ADDRESS     WHY\n"
                   "prod~out/a  127.~21801  connectio~\n"
                   "prod~out/b  127.~21802  no answer~\n");
}

static void controls_are_cleaned(void **state)
{
    static const char *const heads[] = {"NAME"};
    struct table t = {.arena = *state, .heads = heads, .columns = 1};
    table_cell(&t, "a\033[31m\nb");
    expect_printed(&t, 80, "NAME\na?[31m?b\n");
}

static void counts(void **state)
{
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {99999, "99999"},
        {100000, "100k"},
        {999499, "999k"},
        {999500, "1.00M"},
        {1234567, "1.23M"},
        {12345678, "12.3M"},
        {123456789, "123M"},
        {9994999999, "9.99G"},
        {UINT64_MAX, "18.4E"},
    };
    static const char *const heads[] = {"N"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct table t = {.arena = *state, .heads = heads, .columns = 1};
        table_count(&t, cases[i].value);
        assert_string_equal(t.cells[0], cases[i].text);
    }
}

static void durations(void **state)
{
    assert_string_equal(table_duration(*state, 999), "0s");
    assert_string_equal(table_duration(*state, 59999), "59s");
    assert_string_equal(table_duration(*state, 65000), "1m05s");
    assert_string_equal(table_duration(*state, 3600000), "1h00m");
    assert_string_equal(table_duration(*state, 90000000), "1d01h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(columns, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(cut_to_width, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(cut_in_the_middle, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(controls_are_cleaned, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(counts, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(durations, make_arena, free_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
