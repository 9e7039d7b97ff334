// SPDX-License-Identifier: MIT
// Answers of our own, byte by byte: head, body, and what differs by client and status.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/reply.h"

static char text[4096];

static const char *written(const struct reply *r)
{
    struct buf b = {0};
    assert_true(reply_write(r, &b));
    assert_in_range(buf_len(&b), 1, sizeof(text) - 1);
    memcpy(text, buf_head(&b), buf_len(&b));
    text[buf_len(&b)] = '\0';
    buf_release(&b);
    return text;
}

// The Content-Length is the length of the body that follows.
static size_t body_len(const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");
    const char *length = strstr(answer, "Content-Length: ");
    assert_non_null(body);
    assert_non_null(length);
    assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body + 4));
    return strlen(body + 4);
}

static void test_html(void **state)
{
    (void)state;
    const char *got = written(&(struct reply){.status = 503, .sentence = "nobody is there"});
    assert_memory_equal(got, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html", 57);
    assert_non_null(strstr(got, "<p>nobody is there.</p>"));
    assert_null(strstr(got, "Connection:"));
    assert_true(body_len(got) > 0);
}

static void test_json(void **state)
{
    (void)state;
    const char *got = written(&(struct reply){.status = 404, .sentence = "no", .json = true});
    assert_non_null(strstr(got, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(got, "{\"status\":404,\"error\":\"Not Found\",\"detail\":\"no\"}"));
    assert_true(body_len(got) > 0);
}

static void test_connection(void **state)
{
    (void)state;
    struct reply r = {.status = 400, .sentence = "x", .close = true, .http10_keep = true};
    assert_non_null(strstr(written(&r), "\r\nConnection: close\r\n"));
    r.close = false;
    assert_non_null(strstr(written(&r), "\r\nConnection: keep-alive\r\n"));
}

static void test_head_only(void **state)
{
    (void)state;
    const char *got = written(&(struct reply){.status = 403, .sentence = "x", .head_only = true});
    assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n");
    assert_true(strtoul(strstr(got, "Content-Length: ") + 16, NULL, 10) > 0);
}

static void test_redirect(void **state)
{
    (void)state;
    struct reply r = {.status = 301, .sentence = "x", .location = STR("https://a/b?c")};
    const char *got = written(&r);
    assert_non_null(strstr(got, "HTTP/1.1 301 Moved Permanently\r\n"));
    assert_non_null(strstr(got, "\r\nLocation: https://a/b?c\r\n"));
    assert_true(body_len(got) > 0);
}

static void test_405_says_what_is_allowed(void **state)
{
    (void)state;
    assert_non_null(
        strstr(written(&(struct reply){.status = 405, .sentence = "x"}), "\r\nAllow: "));
}

static void test_fields_that_are_not_always_said(void **state)
{
    (void)state;
    struct reply r = {.status = 503, .sentence = "x"};
    assert_null(strstr(written(&r), "Retry-After"));
    assert_null(strstr(written(&r), "Strict-Transport-Security"));
    r.retry_after_s = 7;
    r.hsts = STR("max-age=1; preload");
    assert_non_null(strstr(
        written(&r), "\r\nRetry-After: 7\r\nStrict-Transport-Security: max-age=1; preload\r\n"));
    assert_true(body_len(written(&r)) > 0);
}

static void test_reasons(void **state)
{
    (void)state;
    assert_string_equal(reply_reason(502), "Bad Gateway");
    assert_string_equal(reply_reason(431), "Request Header Fields Too Large");
    assert_string_equal(reply_reason(599), "Server Error");
}

// Appended to what is there already.
static void test_appends(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_true(buf_append(&b, "before", 6));
    assert_true(reply_write(&(struct reply){.status = 400, .sentence = "x"}, &b));
    assert_memory_equal(buf_head(&b), "beforeHTTP/1.1 400 ", 19);
    buf_release(&b);
    assert_int_equal(buf_in_use(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_html),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_head_only),
        cmocka_unit_test(test_redirect),
        cmocka_unit_test(test_405_says_what_is_allowed),
        cmocka_unit_test(test_fields_that_are_not_always_said),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_appends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
