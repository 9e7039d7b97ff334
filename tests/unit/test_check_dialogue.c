// SPDX-License-Identifier: MIT
// Which dialogue a health section becomes, and what it says first.
#include "conf_test.h"

#include "control/check_dialogue.h"

// The first bytes that are sent to server `i` of the only backend.
static char *first_words(const char *text, uint32_t i)
{
    struct config *config = load_fine(text);
    struct arena *a = arena_new();
    union check_dialogue d;
    struct buf out = {0};
    size_t used;
    char host[CHECK_HOST], reason[DIALOGUE_REASON];
    const struct check_terms terms = check_terms_make(&config->backends[0].health, a);
    check_dialogue_init(&d, &terms, &config->servers[i], host);
    assert_int_not_equal(d.base.step(&d.base, STR(""), false, &used, &out, reason),
                         DIALOGUE_FAILED);
    assert_int_equal(terms.speaks_first, buf_len(&out) > 0);
    assert_true(buf_append(&out, "", 1));
    char *words = xstrdup(buf_head(&out));
    buf_release(&out);
    arena_free(a);
    arena_free(config->arena);
    return words;
}

static void assert_host(const char *servers, const char *more, const char *expected)
{
    char text[512], line[128];
    snprintf(text, sizeof(text), "listen: 80\nservers: [%s, 10.0.0.9:80]\nhealth: %s\n", servers,
             more);
    char *words = first_words(text, 0);
    snprintf(line, sizeof(line), "\r\nHost: %s\r\n", expected);
    if (strstr(words, line) == NULL)
        fail_msg("no '%s' in %s", expected, words);
    free(words);
}

static void test_host(void **state)
{
    (void)state;
    assert_host("10.0.0.1:8080", "GET /healthz", "10.0.0.1:8080");
    assert_host("10.0.0.1:80", "GET /healthz", "10.0.0.1");
    assert_host("\"[2001:db8::1]:81\"", "GET /healthz", "[2001:db8::1]:81");
    assert_host("app.test:8080", "GET /healthz", "app.test:8080");
    assert_host("\"unix:/run/app.sock\"", "GET /healthz", "localhost");
    assert_host("10.0.0.1:8080", "{type: http, host: shop.example}", "shop.example");
}

static void test_request(void **state)
{
    (void)state;
    char *words = first_words("listen: 80\nservers: [10.0.0.1:80]\n"
                              "health: {type: http, method: HEAD, path: /up?x=1, "
                              "headers: {X-Check: \"1\"}}\n",
                              0);
    assert_memory_equal(words, "HEAD /up?x=1 HTTP/1.1\r\n", 23);
    assert_non_null(strstr(words, "\r\nX-Check: 1\r\n"));
    free(words);
}

static void test_others(void **state)
{
    (void)state;
    static const struct {
        const char *health, *words;
    } cases[] = {
        {"tcp", ""},
        {"{type: send-expect, send: \"PING\\r\\n\", expect: PONG}", "PING\r\n"},
        {"redis", "*1\r\n$4\r\nPING\r\n"},
        {"smtp", ""},
        {"{type: mysql, user: check}", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        snprintf(text, sizeof(text), "listen: 80\nmode: tcp\nservers: [10.0.0.1:81]\nhealth: %s\n",
                 cases[i].health);
        char *words = first_words(text, 0);
        assert_string_equal(words, cases[i].words);
        free(words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
