// SPDX-License-Identifier: MIT
// The JSON reader: values, look-ups, and that every malformed or cut text is refused.
#include "base/json_read.h"

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

static void values(void **state)
{
    const struct json_value *v =
        json_read(*state, STR(" {\"n\": 42, \"t\":\"a\\\"b\\u00e9\\ud83d\\ude00\\n\",\"yes\":true,"
                              "\"no\":false,\"nil\":null,\"list\":[1,-2.5e+3,[]],\"o\":{}} \n"));
    assert_non_null(v);
    assert_int_equal(json_get_u64(v, "n"), 42);
    assert_true(str_eq(json_get_text(v, "t"), STR("a\"b\xc3\xa9\xf0\x9f\x98\x80\n")));
    assert_true(json_get(v, "yes")->kind == JSON_BOOL && json_get(v, "yes")->truth);
    assert_true(json_get(v, "no")->kind == JSON_BOOL && !json_get(v, "no")->truth);
    assert_int_equal(json_get(v, "nil")->kind, JSON_NULL);
    size_t n = 0;
    JSON_EACH(item, json_get(v, "list"))
    {
        n++;
    }
    assert_int_equal(n, 3);
    assert_true(str_eq(json_get(v, "list")->first->next->text, STR("-2.5e+3")));
    assert_null(json_get(v, "o")->first);
}

static void missing_members(void **state)
{
    const struct json_value *v = json_read(*state, STR("{\"t\":\"x\",\"n\":-1,\"big\":1e9}"));
    assert_null(json_get(v, "other"));
    assert_null(json_get(NULL, "t"));
    assert_null(json_get(json_get(v, "t"), "t"));
    assert_int_equal(json_get_u64(v, "t"), 0);
    assert_int_equal(json_get_u64(v, "n"), 0);
    assert_int_equal(json_get_u64(v, "big"), 0);
    assert_int_equal(json_get_text(v, "n").len, 0);
}

static void malformed(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "{\"a\" 1}",
        "[1 2]",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "1e+",
        "tru",
        "nulll",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"a\nb\"",
        "1 2",
        "{}{}",
        "'a'",
        "\"\\",
        "\"\\u",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (json_read(*state, str_of(texts[i])) != NULL)
            print_error("accepted: %s\n", texts[i]);
        assert_null(json_read(*state, str_of(texts[i])));
    }
}

// Every text that ends too early is refused, and nothing behind the end is read.
static void cut_anywhere(void **state)
{
    static const char text[] = "{\"a\":[1,true,null,\"x\\u0041\\n\"],\"b\":{\"c\":-1.5e3}}";
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        char *copy = xmalloc(n + 1);
        memcpy(copy, text, n);
        assert_null(json_read(*state, (struct str){copy, n}));
        free(copy);
    }
    assert_non_null(json_read(*state, str_of(text)));
}

static void depth(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 4];
    for (size_t levels = JSON_DEPTH_MAX; levels <= JSON_DEPTH_MAX + 1; levels++) {
        memset(text, '[', levels);
        memset(text + levels, ']', levels);
        const struct json_value *v = json_read(*state, (struct str){text, 2 * levels});
        assert_true((v != NULL) == (levels == JSON_DEPTH_MAX));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(missing_members, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(malformed, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(cut_anywhere, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(depth, make_arena, free_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
