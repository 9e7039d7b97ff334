// SPDX-License-Identifier: MIT
// A client's certificate as texts: whatever its names hold, they are printable and bounded.
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/tls_client_auth.h"

static X509 *certificate(const char *field, const char *name, int n, long serial)
{
    X509 *x = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), serial), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), 0));
    assert_int_equal(ASN1_TIME_set_string(X509_getm_notAfter(x), "20310203040506Z"), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), field, MBSTRING_UTF8,
                                                (const unsigned char *)name, n, -1, 0),
                     1);
    assert_int_equal(X509_set_pubkey(x, key), 1);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    EVP_PKEY_free(key);
    return x;
}

static void assert_text(struct str have, const char *want)
{
    char text[2048];
    assert_true(str_copy(have, text, sizeof(text)));
    assert_string_equal(text, want);
}

static void test_what_names_hold(void **state)
{
    (void)state;
    static const char name[] = "a\0.b\r\n\"c\x1b\xc3\xa4,+";
    X509 *x = certificate("CN", name, sizeof(name) - 1, 0x1234);
    struct tls_peer *p = tls_peer_new(x);
    assert_non_null(p);
    assert_text(p->subject, "CN=a\\00.b\\0D\\0A\\\"c\\1B\\C3\\A4\\,\\+");
    assert_text(p->issuer, "");
    assert_text(p->serial, "1234");
    assert_text(p->not_after, "2031-02-03T04:05:06Z");
    assert_int_equal(p->fingerprint.len, 64);
    free(p);
    X509_free(x);
}

static void test_long_names_and_odd_serials(void **state)
{
    (void)state;
    static char name[5000];
    memset(name, 'n', sizeof(name));
    X509 *x = certificate("1.2.3.4", name, sizeof(name), -5);
    struct tls_peer *p = tls_peer_new(x);
    assert_non_null(p);
    assert_int_equal(p->subject.len, 1024);
    assert_true(str_ends(p->subject, STR("...")));
    assert_text(p->serial, "-05");
    free(p);
    X509_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_names_hold),
        cmocka_unit_test(test_long_names_and_odd_serials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
