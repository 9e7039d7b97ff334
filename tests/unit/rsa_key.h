// SPDX-License-Identifier: MIT
// An RSA key made for one test: its public half as PEM, and what was encrypted with that.
#ifndef EVLB_TEST_RSA_KEY_H
#define EVLB_TEST_RSA_KEY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define PEM_MAX 1200

static inline void rsa_key_pem(EVP_PKEY *key, char out[PEM_MAX])
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    int n = BIO_read(bio, out, PEM_MAX - 1);
    assert_true(n > 0);
    out[n] = '\0';
    BIO_free(bio);
}

// Returns the number of bytes in `open`.
static inline size_t rsa_key_decrypt(EVP_PKEY *key, const uint8_t *secret, size_t n,
                                     uint8_t open[512])
{
    size_t m = 512;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_decrypt(ctx, open, &m, secret, n), 1);
    EVP_PKEY_CTX_free(ctx);
    return m;
}

#endif
