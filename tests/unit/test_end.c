// SPDX-License-Identifier: MIT
// The table of causes: well-formed, and the same as the one in docs/termination.md.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/str.h"
#include "core/end.h"

#define EACH_CAUSE(c) for (enum end_cause c = END_OK; c < END_COUNT; c++)

static void names_are_distinct_and_kebab_case(void **state)
{
    (void)state;
    EACH_CAUSE(a)
    {
        const char *name = end_info(a)->name;
        assert_true(strlen(name) > 0);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        EACH_CAUSE(b)
        {
            assert_true(a == b || strcmp(name, end_info(b)->name) != 0);
        }
    }
}

static void letters_come_from_the_documented_alphabets(void **state)
{
    (void)state;
    EACH_CAUSE(c)
    {
        const char *letters = end_info(c)->letters;
        assert_int_equal(strlen(letters), 2);
        assert_non_null(strchr("-CSPLRIKDcs", letters[0]));
        assert_non_null(strchr("-RQCHD", letters[1]));
    }
}

static void statuses_are_errors_or_none(void **state)
{
    (void)state;
    EACH_CAUSE(c)
    {
        uint16_t status = end_info(c)->status;
        assert_true(status == 0 || (status >= 400 && status <= 504));
    }
    assert_int_equal(end_info(END_OK)->status, 0);
    assert_int_equal(end_info(END_NO_SERVER)->status, 503);
    assert_int_equal(end_info(END_SERVER_TIMEOUT_WAIT)->status, 504);
}

static void letters_lead_back_to_their_first_cause(void **state)
{
    (void)state;
    EACH_CAUSE(c)
    {
        enum end_cause first = end_by_letters(end_info(c)->letters);
        assert_true(first <= c);
        assert_string_equal(end_info(first)->letters, end_info(c)->letters);
    }
    assert_int_equal(end_by_letters("--"), END_OK);
    assert_int_equal(end_by_letters("sH"), END_SERVER_TIMEOUT_WAIT);
    assert_int_equal(end_by_letters("SH"), END_SERVER_CLOSED_WAIT);
}

static void unknown_letters_have_no_cause(void **state)
{
    (void)state;
    assert_int_equal(end_by_letters("XX"), END_COUNT);
    assert_int_equal(end_by_letters(""), END_COUNT);
    assert_int_equal(end_by_letters("s"), END_COUNT);
    assert_int_equal(end_by_letters("sHx"), END_COUNT);
}

// The row that docs/termination.md must have for a cause.
static void expected_row(enum end_cause cause, char *row, size_t size)
{
    const struct end_info *e = end_info(cause);
    char status[8] = "-";
    if (e->status != 0)
        assert_in_range(snprintf(status, sizeof(status), "%u", e->status), 3, 3);
    int n = snprintf(row, size, "| `%s` | `%s` | %s | %s |\n", e->name, e->letters, status,
                     e->sentence);
    assert_in_range(n, 1, size - 1);
}

// TEST_DATA_DIR is tests/data, which need not exist.
static FILE *open_document(void)
{
    char path[4096];
    assert_true(str_copy(str_of(TEST_DATA_DIR), path, sizeof(path) - 32));
    for (int up = 0; up < 2; up++)
        *strrchr(path, '/') = 0;
    size_t len = strlen(path);
    assert_true(str_copy(STR("/docs/termination.md"), path + len, sizeof(path) - len));
    return fopen(path, "r");
}

static void the_document_has_the_same_rows(void **state)
{
    (void)state;
    char line[512], row[512];
    enum end_cause next = END_OK;
    FILE *doc = open_document();
    assert_non_null(doc);
    while (fgets(line, sizeof(line), doc) != NULL) {
        if (strncmp(line, "| `", 3) != 0)
            continue;
        assert_int_not_equal(next, END_COUNT); // a row too many
        expected_row(next++, row, sizeof(row));
        assert_string_equal(line, row);
    }
    assert_int_equal(next, END_COUNT);
    assert_int_equal(fclose(doc), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_distinct_and_kebab_case),
        cmocka_unit_test(letters_come_from_the_documented_alphabets),
        cmocka_unit_test(statuses_are_errors_or_none),
        cmocka_unit_test(letters_lead_back_to_their_first_cause),
        cmocka_unit_test(unknown_letters_have_no_cause),
        cmocka_unit_test(the_document_has_the_same_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
