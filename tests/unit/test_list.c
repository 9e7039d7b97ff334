// SPDX-License-Identifier: MIT
// Intrusive lists.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int value;
    struct list node;
};

static int digits(struct list *l)
{
    int sum = 0;
    LIST_EACH(it, l)
    sum = sum * 10 + list_entry(it, struct item, node)->value;
    return sum;
}

static void test_order(void **state)
{
    (void)state;
    struct list l, other;
    struct item x[] = {{1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}};
    list_init(&l);
    list_init(&other);
    assert_true(list_empty(&l));
    assert_null(list_pop_first(&l));
    list_append(&l, &x[0].node);
    list_append(&l, &x[1].node);
    list_prepend(&l, &x[2].node);
    assert_int_equal(digits(&l), 312);
    list_append(&other, &x[3].node);
    list_splice(&l, &other);
    assert_true(list_empty(&other));
    list_splice(&l, &other); // an empty one
    assert_int_equal(digits(&l), 3124);
    list_remove(&x[1].node);
    list_remove(&x[1].node); // in no list: harmless
    assert_int_equal(digits(&l), 314);
    assert_ptr_equal(list_pop_first(&l), &x[2].node);
    assert_int_equal(digits(&l), 14);
}

static void test_remove_while_walking(void **state)
{
    (void)state;
    struct list l;
    struct item x[6];
    list_init(&l);
    for (int i = 0; i < 6; i++) {
        x[i].value = i + 1;
        list_append(&l, &x[i].node);
    }
    LIST_EACH(it, &l)
    {
        if (list_entry(it, struct item, node)->value % 2 == 0)
            list_remove(it);
    }
    assert_int_equal(digits(&l), 135);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_remove_while_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
