// SPDX-License-Identifier: MIT
// Escaping and the JSON writer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"

static void escapes_to(struct str text, const char *want)
{
    char out[256];
    size_t n = json_escape(&text, out, sizeof(out));
    assert_int_equal(text.len, 0);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(out, want, n);
}

static void test_plain(void **state)
{
    (void)state;
    escapes_to(STR_NONE, "");
    escapes_to(STR("GET /a?b=c&d=<e>'f' ~"), "GET /a?b=c&d=<e>'f' ~");
}

static void test_ascii_specials(void **state)
{
    (void)state;
    escapes_to(STR("\"\\"), "\\\"\\\\");
    escapes_to(STR("\r\n\t"), "\\r\\n\\t");
    escapes_to(STR("a\0b"), "a\\u0000b");
    escapes_to(STR("\x1b[31m\x7f"), "\\u001b[31m\\u007f");
}

static void test_utf8(void **state)
{
    (void)state;
    escapes_to(STR("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
               "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    escapes_to(STR("\xc2\x85"), "\\u00c2\\u0085");            // NEL
    escapes_to(STR("\xe2\x80\xa8"), "\\u00e2\\u0080\\u00a8"); // LINE SEPARATOR
    escapes_to(STR("\xe2\x80\xaa"), "\xe2\x80\xaa");
}

static void test_invalid_utf8(void **state)
{
    (void)state;
    escapes_to(STR("\xff"), "\\u00ff");
    escapes_to(STR("\x80z"), "\\u0080z");
    escapes_to(STR("\xc3"), "\\u00c3"); // cut short
    escapes_to(STR("\xe2\x82"), "\\u00e2\\u0082");
    escapes_to(STR("\xc3z"), "\\u00c3z");          // no continuation
    escapes_to(STR("\xc0\xaf"), "\\u00c0\\u00af"); // overlong
    escapes_to(STR("\xe0\x80\xaf"), "\\u00e0\\u0080\\u00af");
    escapes_to(STR("\xf0\x80\x80\xaf"), "\\u00f0\\u0080\\u0080\\u00af");
    escapes_to(STR("\xed\xa0\x80"), "\\u00ed\\u00a0\\u0080");            // surrogate
    escapes_to(STR("\xf4\x90\x80\x80"), "\\u00f4\\u0090\\u0080\\u0080"); // above U+10FFFF
}

// Whatever the room, no escape and no character is cut, and nothing is written beyond it.
static void test_room(void **state)
{
    (void)state;
    const struct str text = STR("ab\"\x01\xe2\x82\xac"
                                "c");
    const char want[] = "ab\\\"\\u0001\xe2\x82\xac"
                        "c";
    const size_t borders[] = {0, 1, 2, 4, 10, 13, 14};
    for (size_t room = 0; room < sizeof(want); room++) {
        char out[32];
        struct str rest = text;
        memset(out, '#', sizeof(out));
        size_t n = json_escape(&rest, out, room), largest = 0;
        for (size_t i = 0; i < ARRAY_LEN(borders); i++)
            largest = borders[i] <= room ? borders[i] : largest;
        assert_int_equal(n, largest);
        assert_memory_equal(out, want, n);
        assert_int_equal(out[n], '#');
        assert_int_equal(rest.len == 0, n == strlen(want));
    }
}

static void test_writer(void **state)
{
    (void)state;
    struct buf out = {0};
    struct json j = {.out = &out};
    json_object(&j, NULL);
    json_text(&j, "na\"me", STR("v"));
    json_array(&j, "list");
    json_u64(&j, NULL, 0);
    json_u64(&j, NULL, UINT64_MAX);
    json_object(&j, NULL);
    json_object_end(&j);
    json_array_end(&j);
    json_bool(&j, "yes", true);
    json_null(&j, "none");
    json_array(&j, "empty");
    json_array_end(&j);
    json_object_end(&j);
    assert_false(j.failed);
    const char want[] = "{\"na\\\"me\":\"v\",\"list\":[0,18446744073709551615,{}],\"yes\":true,"
                        "\"none\":null,\"empty\":[]}";
    assert_int_equal(buf_len(&out), strlen(want));
    assert_memory_equal(buf_head(&out), want, strlen(want));
    buf_release(&out);
}

// A text longer than any piece the writer works in.
static void test_long_text(void **state)
{
    (void)state;
    struct buf out = {0};
    struct json j = {.out = &out};
    char text[3000];
    memset(text, '"', sizeof(text));
    json_text(&j, NULL, (struct str){text, sizeof(text)});
    assert_int_equal(buf_len(&out), 2 * sizeof(text) + 2);
    for (uint32_t i = 1; i + 1 < buf_len(&out); i += 2)
        assert_memory_equal(buf_head(&out) + i, "\\\"", 2);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),     cmocka_unit_test(test_ascii_specials),
        cmocka_unit_test(test_utf8),      cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_room),      cmocka_unit_test(test_writer),
        cmocka_unit_test(test_long_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
