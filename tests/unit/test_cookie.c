// SPDX-License-Identifier: MIT
// Cookies, well-formed and not: the search must end on anything (CVE-2019-14241).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/cookie.h"

static const char *find(const char *cookies, const char *name)
{
    static char text[100];
    struct str value;
    if (!cookie_find(str_of(cookies), str_of(name), &value))
        return NULL;
    assert_true(str_copy(value, text, sizeof(text)));
    return text;
}

static void test_found(void **state)
{
    (void)state;
    assert_string_equal(find("srv=a", "srv"), "a");
    assert_string_equal(find("x=1; srv=a; y=2", "srv"), "a");
    assert_string_equal(find("x=1;srv=a;srv=b", "srv"), "a");
    assert_string_equal(find(" \tsrv = a \t; y", "srv"), "a");
    assert_string_equal(find("srv=a=b=", "srv"), "a=b=");
    assert_string_equal(find("srv=", "srv"), "");
    assert_string_equal(find("srv=\"a b\"", "srv"), "\"a b\"");
    assert_string_equal(find(";;; ,=;srv=a", "srv"), "a");
}

static void test_not_found(void **state)
{
    (void)state;
    assert_null(find("", "srv"));
    assert_null(find("srv", "srv"));
    assert_null(find("Srv=a", "srv"));
    assert_null(find("xsrv=a; srvx=b; x=srv=c", "srv"));
    assert_null(find("=a", ""));
    assert_null(find("a,srv=b", "srv")); // a comma does not separate cookies
}

// All texts of up to seven of these characters.
static void test_ends_on_anything(void **state)
{
    (void)state;
    static const char alphabet[] = ";,= \ts";
    enum { KINDS = sizeof(alphabet) - 1 };
    for (unsigned long total = 1, len = 1; len <= 7; len++) {
        total *= KINDS;
        for (unsigned long code = 0; code < total; code++) {
            char text[8] = "";
            unsigned long rest = code;
            for (unsigned long i = 0; i < len; i++, rest /= KINDS)
                text[i] = alphabet[rest % KINDS];
            const char *value = find(text, "s");
            assert_true(value == NULL || strlen(value) < len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_ends_on_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
