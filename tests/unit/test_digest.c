// SPDX-License-Identifier: MIT
// Digests against the vectors of the RFCs, and RSA against the private half of a key made here.
#include "rsa_key.h" // OpenSSL before our headers: it uses names that base.h bans
#include <openssl/err.h>

#include "base/digest.h"

static void assert_hex(const uint8_t *bytes, size_t n, const char *hex)
{
    char text[2 * RSA_BYTES + 1] = "";
    for (size_t i = 0; i < n; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(text, hex);
}

static void test_plain(void **state)
{
    uint8_t out[SHA256_BYTES];
    (void)state;
    assert_true(digest_md5(STR("message "), STR("digest"), out)); // RFC 1321
    assert_hex(out, MD5_BYTES, "f96b697d7cb7938d525a2f31aaf161d0");
    assert_true(digest_sha1(STR("abc"), STR_NONE, out)); // RFC 3174
    assert_hex(out, SHA1_BYTES, "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_true(digest_sha256(STR("a"), STR("bc"), out)); // FIPS 180-2
    assert_hex(out, SHA256_BYTES,
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(digest_sha256(STR_NONE, STR_NONE, out));
    assert_hex(out, SHA256_BYTES,
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_keyed(void **state)
{
    uint8_t out[SHA256_BYTES];
    (void)state;
    // RFC 4231, case 2
    assert_true(digest_hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), out));
    assert_hex(out, SHA256_BYTES,
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_true(digest_hmac_sha256(STR_NONE, STR_NONE, out));
    assert_hex(out, SHA256_BYTES,
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    // RFC 7914, section 11: the first half of its 64 bytes
    assert_true(digest_pbkdf2_sha256(STR("passwd"), STR("salt"), 1, out));
    assert_hex(out, SHA256_BYTES,
               "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
    assert_true(digest_pbkdf2_sha256(STR("Password"), STR("NaCl"), 80000, out));
    assert_hex(out, SHA256_BYTES,
               "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
}

static void test_rsa(void **state)
{
    char pem[PEM_MAX];
    uint8_t secret[RSA_BYTES], open[RSA_BYTES];
    size_t n;
    EVP_PKEY *key = EVP_RSA_gen(2048);
    (void)state;
    rsa_key_pem(key, pem);
    assert_true(digest_rsa_oaep(str_of(pem), STR("a secret"), secret, &n));
    assert_int_equal(n, 256);
    assert_int_equal(rsa_key_decrypt(key, secret, n, open), 8);
    assert_memory_equal(open, "a secret", 8);
    char longer[256] = {0};
    assert_false(digest_rsa_oaep(str_of(pem), (struct str){longer, 215}, secret, &n));
    for (size_t cut = 0; cut < strlen(pem) - 2; cut += 7)
        assert_false(digest_rsa_oaep((struct str){pem, cut}, STR("x"), secret, &n));
    EVP_PKEY_free(key);
    assert_int_equal(ERR_peek_error(), 0); // no failure is left for a TLS connection to find
}

// Keys that a server might send to do harm: too large for the answer, or no RSA at all.
static void test_other_keys(void **state)
{
    char pem[PEM_MAX];
    uint8_t secret[RSA_BYTES];
    size_t n;
    EVP_PKEY *curve = EVP_EC_gen("P-256");
    (void)state;
    rsa_key_pem(curve, pem);
    assert_false(digest_rsa_oaep(str_of(pem), STR("x"), secret, &n));
    EVP_PKEY_free(curve);
    assert_false(digest_rsa_oaep(STR_NONE, STR("x"), secret, &n));
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_keyed),
        cmocka_unit_test(test_rsa),
        cmocka_unit_test(test_other_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
