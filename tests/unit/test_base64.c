// SPDX-License-Identifier: MIT
// Base64: the vectors of RFC 4648, every byte there and back, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"

static void pair(const char *plain, const char *encoded)
{
    char text[64];
    uint8_t bytes[64];
    size_t n = base64_encode(plain, strlen(plain), text);
    assert_int_equal(n, BASE64_LEN(strlen(plain)));
    assert_int_equal(n, strlen(encoded));
    assert_memory_equal(text, encoded, n);
    assert_true(base64_decode(str_of(encoded), bytes, strlen(plain), &n));
    assert_int_equal(n, strlen(plain));
    assert_memory_equal(bytes, plain, n);
    if (n > 0)
        assert_false(base64_decode(str_of(encoded), bytes, strlen(plain) - 1, &n));
}

static void test_vectors(void **state)
{
    (void)state;
    pair("", "");
    pair("f", "Zg==");
    pair("fo", "Zm8=");
    pair("foo", "Zm9v");
    pair("foob", "Zm9vYg==");
    pair("fooba", "Zm9vYmE=");
    pair("foobar", "Zm9vYmFy");
}

static void test_all_bytes(void **state)
{
    uint8_t in[256], back[256];
    char text[BASE64_LEN(256)];
    size_t n;
    (void)state;
    for (size_t i = 0; i < 256; i++)
        in[i] = (uint8_t)(255 - i);
    for (size_t len = 0; len <= 256; len++) {
        struct str s = {text, base64_encode(in, len, text)};
        assert_true(base64_decode(s, back, sizeof(back), &n));
        assert_int_equal(n, len);
        assert_memory_equal(in, back, len);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"Z",    "Zg",       "Zg=",  "Zh==",  "Zm9=", "Z===",
                                      "====", "Zg==Zg==", "Zm 9", "Zm\n9", "Zm-_", "=Zg="};
    uint8_t out[16];
    size_t n;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (base64_decode(str_of(bad[i]), out, sizeof(out), &n))
            fail_msg("not refused: %s", bad[i]);
    }
    assert_false(base64_decode((struct str){"Zm\0v", 4}, out, sizeof(out), &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_all_bytes),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
