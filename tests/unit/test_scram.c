// SPDX-License-Identifier: MIT
// SCRAM-SHA-256 against the conversation of RFC 7677, and challenges that must be refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/scram.h"

#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define MORE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

static const struct scram rfc = {STR("user"), STR("pencil"), STR(NONCE)};

static void test_rfc(void **state)
{
    char text[SCRAM_TEXT];
    uint8_t signature[SCRAM_SIGNATURE];
    (void)state;
    assert_true(scram_first(&rfc, text));
    assert_string_equal(text, "n=user,r=" NONCE);
    struct str first = STR("r=" NONCE MORE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    assert_int_equal(scram_final(&rfc, first, text, signature), SCRAM_OK);
    assert_string_equal(text,
                        "c=biws,r=" NONCE MORE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    struct str last = STR("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_true(scram_verified(last, signature));
    for (size_t cut = 0; cut < last.len; cut++)
        assert_false(scram_verified((struct str){last.p, cut}, signature));
    assert_false(scram_verified(STR("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), signature));
    assert_false(scram_verified(STR("e=invalid-proof"), signature));
}

static void test_refused(void **state)
{
    static const char *const malformed[] = {
        "",
        "r=" NONCE ",s=c2FsdA==,i=1",            // no nonce of the server's own
        "r=rOprNGfwEbeRWgbNEkqXmore,s=c2E=,i=1", // not ours in front
        "r=" NONCE MORE,
        "r=" NONCE MORE ",s=c2FsdA==",
        "r=" NONCE MORE ",s=c2FsdA=,i=1",
        "r=" NONCE MORE ",s=c2FsdA==,i=0",
        "r=" NONCE MORE ",s=c2FsdA==,i=",
        "r=" NONCE MORE ",s=c2FsdA==,i=-1",
        "r=" NONCE MORE ",s=c2FsdA==,i=99999999999999999999",
        "m=x,r=" NONCE MORE ",s=c2FsdA==,i=1",
        "s=c2FsdA==,r=" NONCE MORE ",i=1",
    };
    char text[SCRAM_TEXT], salt[120], first[SCRAM_TEXT];
    uint8_t signature[SCRAM_SIGNATURE];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
        if (scram_final(&rfc, str_of(malformed[i]), text, signature) != SCRAM_MALFORMED)
            fail_msg("not refused: %s", malformed[i]);
    }
    memset(salt, 'A', sizeof(salt)); // 90 bytes of salt
    (void)snprintf(first, sizeof(first), "r=" NONCE "x,s=%.*s,i=1", (int)sizeof(salt), salt);
    assert_int_equal(scram_final(&rfc, str_of(first), text, signature), SCRAM_MALFORMED);
}

// A server must not be able to keep us busy, nor to make us write more than there is room for.
static void test_limits(void **state)
{
    char text[SCRAM_TEXT], first[2 * SCRAM_TEXT];
    uint8_t signature[SCRAM_SIGNATURE];
    (void)state;
    assert_int_equal(scram_final(&rfc, STR("r=" NONCE MORE ",s=c2FsdA==,i=50001"), text, signature),
                     SCRAM_TOO_COSTLY);
    assert_int_equal(
        scram_final(&rfc, STR("r=" NONCE MORE ",s=c2FsdA==,i=4294967297"), text, signature),
        SCRAM_TOO_COSTLY);
    unsigned good = 0;
    for (int n = 1; n < SCRAM_TEXT + 50; n++) {
        (void)snprintf(first, sizeof(first), "r=" NONCE "%0*d,s=c2FsdA==,i=1", n, 0);
        enum scram_result r = scram_final(&rfc, str_of(first), text, signature);
        assert_true(r == SCRAM_OK || r == SCRAM_MALFORMED);
        assert_true(r == SCRAM_MALFORMED || strlen(text) < SCRAM_TEXT);
        good += r == SCRAM_OK;
    }
    assert_in_range(good, 300, SCRAM_TEXT - 20);
    struct scram long_user = rfc;
    long_user.user = (struct str){first, SCRAM_TEXT};
    assert_false(scram_first(&long_user, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
