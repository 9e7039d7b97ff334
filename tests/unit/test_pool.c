// SPDX-License-Identifier: MIT
// Pools: blocks are apart from each other, aligned, counted and used again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pool.h"

struct item {
    uint64_t a[5];
};

static void test_blocks(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    struct pool p = POOL("items", struct item, 8);
    struct item *items[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        items[i] = pool_get(&p);
        assert_non_null(items[i]);
        assert_int_equal((uintptr_t)items[i] % 16, 0);
        memset(items[i], (int)i, sizeof(struct item));
    }
    assert_int_equal(p.used, COUNT);
    for (size_t i = 0; i < COUNT; i++) { // nobody wrote into another's block
        for (size_t k = 0; k < 5; k++)
            assert_true(items[i]->a[k] == 0x0101010101010101u * i);
        pool_put(&p, items[i]);
    }
    assert_int_equal(p.used, 0);
    size_t total = p.total;
    for (size_t i = 0; i < COUNT; i++)
        items[i] = pool_get(&p);
    assert_int_equal(p.total, total); // no new slab
    for (size_t i = 0; i < COUNT; i++)
        pool_put(&p, items[i]);
}

static void test_zeroed(void **state)
{
    (void)state;
    struct pool p = POOL("items", struct item, 1);
    struct item *x = pool_get(&p);
    assert_non_null(x);
    memset(x, 0xff, sizeof(*x));
    pool_put(&p, x);
    x = pool_get_zeroed(&p);
    assert_non_null(x);
    for (size_t i = 0; i < 5; i++)
        assert_true(x->a[i] == 0);
    pool_put(&p, x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_zeroed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
