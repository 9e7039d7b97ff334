// SPDX-License-Identifier: MIT
// Which request targets ask for a challenge, and which tokens may name a file.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/acme.h"

static void assert_token(const char *target, const char *expected)
{
    struct str token = acme_token(str_of(target));
    if (!str_eq(token, str_of(expected)))
        fail_msg("%s: '%.*s'", target, STR_FMT(token));
}

static void test_targets(void **state)
{
    (void)state;
    assert_token(ACME_PATH "abc", "abc");
    assert_token(ACME_PATH "AZaz09-_", "AZaz09-_");
    assert_token(ACME_PATH "abc?x=/../y", "abc");
    assert_token(ACME_PATH, "");
    assert_token(ACME_PATH "?abc", "");
    assert_token(ACME_PATH ".", "");
    assert_token(ACME_PATH "..", "");
    assert_token(ACME_PATH "abc.", "");
    assert_token(ACME_PATH "abc/", "");
    assert_token(ACME_PATH "a/b", "");
    assert_token(ACME_PATH "a%2fb", "");
    assert_token(ACME_PATH "a b", "");
    assert_token(ACME_PATH "\xc3\xa4", "");
    assert_token("/.well-known/acme-challenge", "");
    assert_token("/.well-known/acme-challengeabc", "");
    assert_token("/x" ACME_PATH "abc", "");
    assert_token("", "");
    assert_token("*", "");
}

static void test_tokens(void **state)
{
    (void)state;
    char text[ACME_TOKEN_MAX + 1];
    memset(text, 'a', sizeof(text));
    assert_true(acme_is_token((struct str){text, ACME_TOKEN_MAX}));
    assert_false(acme_is_token((struct str){text, ACME_TOKEN_MAX + 1}));
    assert_false(acme_is_token(STR_NONE));
    for (int c = 0; c < 256; c++) {
        const char one = (char)c;
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '-' || c == '_';
        assert_int_equal(acme_is_token((struct str){&one, 1}), fine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_targets),
                                       cmocka_unit_test(test_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
