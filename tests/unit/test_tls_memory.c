// SPDX-License-Identifier: MIT
// Folding: what stood there stands there again, and meanwhile the pages are the kernel's.
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "io/tls_memory.h"

#define PAGE 4096u

static SSL_CTX *ctx;

static SSL *make(void)
{
    bool foldable;
    SSL *ssl = tls_memory_new(ctx, &foldable);
    assert_non_null(ssl);
    assert_true(foldable);
    assert_int_equal((uintptr_t)ssl % PAGE, 0);
    return ssl;
}

static bool resident(const SSL *ssl)
{
    unsigned char in[2];
    assert_int_equal(mincore((void *)(uintptr_t)ssl, sizeof(in) * (size_t)PAGE, in), 0);
    return (in[0] & 1) || (in[1] & 1);
}

static void test_fold(void **state)
{
    (void)state;
    char before[2 * PAGE];
    SSL *ssl = make();
    for (int i = 0; i < 3; i++) {
        memcpy(before, ssl, sizeof(before));
        struct folded *f = tls_fold(ssl);
        assert_non_null(f);
        assert_false(resident(ssl));
        tls_unfold(ssl, f);
        assert_memory_equal(ssl, before, sizeof(before));
        SSL_set_accept_state(ssl); // it works, and changes
    }
    tls_memory_free(ssl);
}

// More than one slab of them, freed in another order, used again.
static void test_many(void **state)
{
    (void)state;
    SSL *all[150];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
            all[i] = make();
        for (size_t i = 0; i < ARRAY_LEN(all); i += 2)
            tls_memory_free(all[i]);
        for (size_t i = 1; i < ARRAY_LEN(all); i += 2)
            tls_memory_free(all[i]);
    }
}

// Those that are made without us are malloc's, and freed as such.
static void test_others(void **state)
{
    (void)state;
    SSL *ours = make();
    SSL *other = SSL_new(ctx);
    assert_non_null(other);
    assert_int_not_equal((uintptr_t)other % PAGE, 0);
    SSL_free(other);
    tls_memory_free(ours);
}

int main(void)
{
    tls_memory_init();
    ctx = SSL_CTX_new(TLS_server_method());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_others),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    SSL_CTX_free(ctx);
    return failed;
}
