// SPDX-License-Identifier: MIT
// Maps: what was put is found, replaced, and survives growth.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/map.h"

static void test_map(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static int values[COUNT], other;
    struct map m = {.arena = arena_new()};
    assert_null(map_get(&m, STR("x")));
    for (int i = 0; i < COUNT; i++)
        map_put(&m, str_of(arena_printf(m.arena, "key-%d", i)), &values[i]);
    assert_int_equal(m.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        char key[20];
        (void)snprintf(key, sizeof(key), "key-%d", i);
        assert_ptr_equal(map_get(&m, str_of(key)), &values[i]);
    }
    assert_null(map_get(&m, STR("key-2000")));
    assert_null(map_get(&m, STR_NONE));
    map_put(&m, STR("key-7"), &other);
    assert_int_equal(m.count, COUNT);
    assert_ptr_equal(map_get(&m, STR("key-7")), &other);
    map_put(&m, STR(""), &other); // the empty key is a key
    assert_ptr_equal(map_get(&m, STR_NONE), &other);
    arena_free(m.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
