// SPDX-License-Identifier: MIT
// Arenas: zeroed, aligned, larger than a chunk, growing arrays.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

static void test_alloc(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    for (size_t size = 1; size < 200000; size *= 3) {
        unsigned char *p = arena_alloc(a, size);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
    }
    assert_true(arena_bytes(a) >= 177147);
    arena_free(a);
    arena_free(NULL);
}

static void test_text(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    char *copy = arena_strdup(a, STR("abc"));
    assert_string_equal(copy, "abc");
    assert_string_equal(arena_strdup(a, STR_NONE), "");
    struct str s = arena_str(a, STR("xyz"));
    assert_true(str_eq(s, STR("xyz")) && s.p[3] == '\0');
    assert_string_equal(arena_printf(a, "%d-%s", 5, "x"), "5-x");
    assert_string_equal(copy, "abc");
    arena_free(a);
}

static void test_grow(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    size_t cap = 0;
    int *items = NULL;
    for (int i = 0; i < 1000; i++) {
        items = arena_grow(a, items, (size_t)i, &cap, sizeof(*items));
        items[i] = i;
    }
    assert_true(cap >= 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
