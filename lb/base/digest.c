// SPDX-License-Identifier: MIT
// One-shot digests over libcrypto's EVP interface. Runs in control, called by the dialogues of
// health checks that log in (proto/dialogue_*.c); nothing here is on the data path.
// The only file below io/ that includes OpenSSL: docs/decisions/0018-digests-from-libcrypto.md.
// Invariants: nothing is kept between calls, and libcrypto's queue of errors is left empty, so that
// a failure here is never taken for one of a TLS connection.
#include <limits.h>
#include <openssl/err.h> // OpenSSL before our headers: it uses names that base.h bans
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/digest.h"

static bool settled(bool good)
{
    if (!good)
        ERR_clear_error();
    return good;
}

static bool digest(const EVP_MD *kind, struct str a, struct str b, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL && EVP_DigestInit_ex(ctx, kind, NULL) == 1 &&
                EVP_DigestUpdate(ctx, a.p, a.len) == 1 && EVP_DigestUpdate(ctx, b.p, b.len) == 1 &&
                EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return settled(good);
}

bool digest_md5(struct str a, struct str b, uint8_t out[MD5_BYTES])
{
    return digest(EVP_md5(), a, b, out);
}

bool digest_sha1(struct str a, struct str b, uint8_t out[SHA1_BYTES])
{
    return digest(EVP_sha1(), a, b, out);
}

bool digest_sha256(struct str a, struct str b, uint8_t out[SHA256_BYTES])
{
    return digest(EVP_sha256(), a, b, out);
}

// What libcrypto takes for the beginning of an empty text: never NULL.
static const char *bytes_of(struct str s)
{
    return s.len > 0 ? s.p : "";
}

bool digest_hmac_sha256(struct str key, struct str text, uint8_t out[SHA256_BYTES])
{
    if (key.len > INT_MAX)
        return false;
    return settled(HMAC(EVP_sha256(), bytes_of(key), (int)key.len, (const uint8_t *)bytes_of(text),
                        text.len, out, NULL) != NULL);
}

bool digest_pbkdf2_sha256(struct str password, struct str salt, uint32_t rounds,
                          uint8_t out[SHA256_BYTES])
{
    if (password.len > INT_MAX || salt.len > INT_MAX || rounds > INT_MAX)
        return false;
    return settled(PKCS5_PBKDF2_HMAC(bytes_of(password), (int)password.len,
                                     (const uint8_t *)bytes_of(salt), (int)salt.len, (int)rounds,
                                     EVP_sha256(), SHA256_BYTES, out) == 1);
}

static EVP_PKEY *key_of(struct str pem)
{
    BIO *bio = pem.len <= INT_MAX ? BIO_new_mem_buf(bytes_of(pem), (int)pem.len) : NULL;
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return key;
}

bool digest_rsa_oaep(struct str pem, struct str text, uint8_t out[RSA_BYTES], size_t *n)
{
    EVP_PKEY *key = key_of(pem);
    bool fits = key != NULL && EVP_PKEY_get_size(key) <= RSA_BYTES;
    EVP_PKEY_CTX *ctx = fits ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    *n = RSA_BYTES;
    bool good = ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
                EVP_PKEY_encrypt(ctx, out, n, (const uint8_t *)bytes_of(text), text.len) == 1;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return settled(good);
}
