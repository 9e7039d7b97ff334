// SPDX-License-Identifier: MIT
// What is common to heads of every version: names, methods, faults, lists, character classes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/chars.h"
#include "proto/http.h"

static const struct {
    const char *name;
    enum http_field_id id;
} known[] = {
    {"Connection", FIELD_CONNECTION},
    {"Content-Length", FIELD_CONTENT_LENGTH},
    {"Cookie", FIELD_COOKIE},
    {"Expect", FIELD_EXPECT},
    {"Forwarded", FIELD_FORWARDED},
    {"Host", FIELD_HOST},
    {"Keep-Alive", FIELD_KEEP_ALIVE},
    {"Proxy-Connection", FIELD_PROXY_CONNECTION},
    {"TE", FIELD_TE},
    {"Trailer", FIELD_TRAILER},
    {"Transfer-Encoding", FIELD_TRANSFER_ENCODING},
    {"Upgrade", FIELD_UPGRADE},
    {"Accept", FIELD_ACCEPT},
    {"Authorization", FIELD_AUTHORIZATION},
    {"Referer", FIELD_REFERER},
    {"User-Agent", FIELD_USER_AGENT},
    {"X-Forwarded-For", FIELD_X_FORWARDED_FOR},
    {"X-Forwarded-Host", FIELD_X_FORWARDED_HOST},
    {"X-Forwarded-Proto", FIELD_X_FORWARDED_PROTO},
    {"X-Real-IP", FIELD_X_REAL_IP},
    {"X-Request-ID", FIELD_X_REQUEST_ID},
    {"Traceparent", FIELD_TRACEPARENT},
    {"Tracestate", FIELD_TRACESTATE},
    {"Server", FIELD_SERVER},
    {"Date", FIELD_DATE},
    {"Set-Cookie", FIELD_SET_COOKIE},
};

// Each known name in three spellings; and with any one byte changed it is another name.
static void test_field_ids(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_LEN(known), FIELD_ID_COUNT - 2); // and a family, below
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        char name[40];
        size_t n = strlen(known[i].name);
        assert_int_equal(http_field_id(str_of(known[i].name)), known[i].id);
        for (size_t k = 0; k < n; k++) {
            for (int byte = 0; byte < 256; byte++) {
                memcpy(name, known[i].name, n);
                name[k] = (char)byte;
                bool same = ascii_lower(name[k]) == ascii_lower(known[i].name[k]);
                assert_int_equal(http_field_id((struct str){name, n}),
                                 same ? known[i].id : FIELD_OTHER);
            }
        }
        assert_int_equal(http_field_id((struct str){known[i].name, n - 1}), FIELD_OTHER);
        (void)snprintf(name, sizeof(name), "%sx", known[i].name);
        assert_int_equal(http_field_id(str_of(name)), FIELD_OTHER);
    }
    assert_int_equal(http_field_id(STR_NONE), FIELD_OTHER);
}

// A whole family, in whatever spelling a server could take for it.
static void test_client_cert_fields(void **state)
{
    (void)state;
    static const char *const members[] = {
        "X-Client-Cert",         "x-client-cert-subject", "X-CLIENT-CERT-VERIFIED",
        "X_Client_Cert_Subject", "x-client_cert-x",       "X-Client-Cert_Issuer",
        "X.Client!Cert.Serial",  "X-Client-Cert-",        "X-Client-Cert-12"};
    static const char *const others[] = {
        "X-Client-Certs",   "X-Client-Cer",       "X-Client-Certificate", "XX-Client-Cert",
        "XClient-Cert-xxx", "X-Client-Cert1-abc", "Client-Cert-Subject",  "X-Clients-Cert-x"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        assert_int_equal(http_field_id(str_of(members[i])), FIELD_X_CLIENT_CERT);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(http_field_id(str_of(others[i])), FIELD_OTHER);
}

static void test_errors(void **state)
{
    (void)state;
    for (int e = 0; e < HTTP_ERROR_COUNT; e++) {
        const struct http_error_info *info = http_error_info((enum http_error)e);
        assert_non_null(info->name);
        assert_non_null(info->sentence);
        assert_true(e == HTTP_OK ? info->status == 200 : info->status >= 400);
        assert_true(http_is_token(str_of(info->name)));
        for (int other = 0; other < e; other++)
            assert_string_not_equal(info->name, http_error_info((enum http_error)other)->name);
    }
    assert_int_equal(http_error_info(HTTP_TOO_LONG_URI)->status, 414);
    assert_int_equal(http_error_info(HTTP_TOO_LARGE_HEAD)->status, 431);
    assert_int_equal(http_error_info(HTTP_UNSUPPORTED_VERSION)->status, 505);
    assert_int_equal(http_error_info(HTTP_UNKNOWN_TRANSFER_CODING)->status, 501);
}

static void test_idempotent(void **state)
{
    (void)state;
    static const char *const yes[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    static const char *const no[] = {"POST", "PATCH", "CONNECT", "LOCK", "get", ""};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        assert_true(http_method_idempotent(http_method_of(str_of(yes[i]))));
        assert_false(http_method_idempotent(http_method_of(str_of(no[i]))));
    }
}

static void test_lists(void **state)
{
    (void)state;
    assert_true(http_list_has(STR("a, Close ,b"), STR("close")));
    assert_true(http_list_has(STR(",close"), STR("close")));
    assert_true(http_list_has(STR("close"), STR("CLOSE")));
    assert_false(http_list_has(STR("closed, xclose"), STR("close")));
    assert_false(http_list_has(STR("close b"), STR("close")));
    assert_false(http_list_has(STR(""), STR("close")));
    assert_false(http_list_has(STR_NONE, STR("close")));
    assert_false(http_list_has(STR(",,,"), STR("close")));
}

static void test_tokens(void **state)
{
    (void)state;
    assert_true(http_is_token(STR("!#$%&'*+-.^_`|~09azAZ")));
    assert_false(http_is_token(STR("")));
    for (int c = 0; c < 256; c++) {
        char one = (char)c;
        bool want = c != 0 && c < 128 &&
                    strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                           c) != NULL;
        assert_int_equal(http_is_token((struct str){&one, 1}), want);
    }
}

// The scanners of 16 bytes and the table must agree on every byte at every place.
static void test_scanners(void **state)
{
    (void)state;
    static const char *(*const scans[])(const char *, const char *) = {
        scan_simple, scan_host, scan_target, scan_plain_text};
    static const unsigned classes[] = {CH_SIMPLE, CH_HOST, CH_TARGET, CH_TEXT};
    char text[40];
    for (size_t s = 0; s < ARRAY_LEN(scans); s++) {
        for (int c = 0; c < 256; c++) {
            for (size_t at = 0; at < sizeof(text); at++) {
                memset(text, 'a', sizeof(text));
                text[at] = (char)c;
                const char *want = char_is((char)c, classes[s]) ? text + sizeof(text) : text + at;
                assert_ptr_equal(scans[s](text, text + sizeof(text)), want);
            }
        }
    }
    static const char tabs[] = "abc\tdef\t\t0123456789abcdef\t\x01";
    assert_ptr_equal(scan_text(tabs, tabs + sizeof(tabs) - 1), tabs + sizeof(tabs) - 2);
}

static void test_hex(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char *digits = "0123456789abcdefABCDEF";
        const char *at = c != 0 ? strchr(digits, c) : NULL;
        int want = at == NULL ? -1 : (int)(at - digits) - (at - digits > 15 ? 6 : 0);
        assert_int_equal(hex_value((char)c), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_ids), cmocka_unit_test(test_client_cert_fields),
        cmocka_unit_test(test_errors),    cmocka_unit_test(test_idempotent),
        cmocka_unit_test(test_lists),     cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_scanners),  cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
