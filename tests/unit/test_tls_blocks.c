// SPDX-License-Identifier: MIT
// Blocks for OpenSSL: large enough, apart from each other, and used again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>

#include "io/tls_blocks.h"

#define BLOCKS 4096 // of 1 KiB: more than is kept

// Each holds what was written to it, whatever is taken and given beside it.
static void test_blocks_are_apart(void **state)
{
    static char *blocks[400];
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
            size_t size = 1 + i * 61; // up to more than the largest that is kept
            blocks[i] = tls_block_take(size);
            assert_non_null(blocks[i]);
            memset(blocks[i], (int)i, size);
        }
        for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
            assert_int_equal((unsigned char)blocks[i][0], i & 255);
            assert_int_equal((unsigned char)blocks[i][i * 61], i & 255);
            tls_block_give(blocks[i]);
        }
    }
}

static void test_a_block_is_used_again(void **state)
{
    (void)state;
    void *first = tls_block_take(100);
    tls_block_give(first);
    void *again = tls_block_take(97); // the same in steps
    assert_true(UNDER_ASAN || again == first);
    void *larger = tls_block_take(113);
    assert_ptr_not_equal(larger, first);
    tls_block_give(again);
    tls_block_give(larger);
    tls_block_give(NULL);
}

// Those of malloc() and realloc() are taken, too.
static void test_blocks_of_malloc(void **state)
{
    (void)state;
    char *block = realloc(tls_block_take(40), 5000);
    assert_non_null(block);
    memset(block, 'm', 5000);
    tls_block_give(block);
    tls_block_give(malloc(1));
    tls_block_give(malloc(1 << 20));
}

static void test_no_more_is_kept_than_said(void **state)
{
    static void *blocks[BLOCKS];
    (void)state;
    size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = tls_block_take(1024);
    for (size_t i = 0; i < BLOCKS; i++)
        tls_block_give(blocks[i]);
    size_t kept = mallinfo2().uordblks - before; // 0 with AddressSanitizer: nobody counts
    assert_true(kept <= (1u << 20) * 11 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_apart),
        cmocka_unit_test(test_a_block_is_used_again),
        cmocka_unit_test(test_blocks_of_malloc),
        cmocka_unit_test(test_no_more_is_kept_than_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
