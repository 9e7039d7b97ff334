// SPDX-License-Identifier: MIT
// The HTTP check: its request, and its verdict on right, wrong, cut and broken answers, each of
// them at every split point.
#include "dialogue_talk.h"

static const struct dialogue_range up_to_399 = {200, 399};

static struct dialogue_http fresh(void)
{
    return (struct dialogue_http){.method = STR("GET"),
                                  .path = STR("/healthz"),
                                  .host = STR("a:81"),
                                  .statuses = &up_to_399,
                                  .n_statuses = 1};
}

// What the dialogue makes of an answer that comes in pieces of `step` and then ends.
static enum dialogue_step verdict(struct dialogue_http d, struct str answer, size_t step,
                                  char reason[DIALOGUE_REASON])
{
    struct talk *t = xmalloc(sizeof(*t));
    dialogue_http_init(&d);
    talk_begin(t, &d.base);
    assert_int_equal(t->result, DIALOGUE_MORE);
    talk_hear(t, answer, step);
    talk_close(t);
    enum dialogue_step result = t->result;
    memcpy(reason, t->reason, DIALOGUE_REASON);
    talk_end(t);
    free(t);
    return result;
}

static void passes(struct dialogue_http d, struct str answer)
{
    char reason[DIALOGUE_REASON];
    for (size_t step = 1; step <= answer.len; step++) {
        if (verdict(d, answer, step, reason) != DIALOGUE_PASSED)
            fail_msg("in pieces of %zu: %s", step, reason);
    }
}

static void fails(struct dialogue_http d, struct str answer, const char *why)
{
    char reason[DIALOGUE_REASON];
    for (size_t step = 1; step <= MAX_OF(answer.len, (size_t)1); step++) {
        assert_int_equal(verdict(d, answer, step, reason), DIALOGUE_FAILED);
        assert_string_equal(reason, why);
    }
}

static void sends(struct dialogue_http d, const char *request)
{
    struct talk *t = xmalloc(sizeof(*t));
    dialogue_http_init(&d);
    talk_begin(t, &d.base);
    assert_string_equal(talk_sent(t), request);
    talk_end(t);
    free(t);
}

static void test_request(void **state)
{
    (void)state;
    sends(fresh(), "GET /healthz HTTP/1.1\r\nHost: a:81\r\n"
                   "User-Agent: evlb/" EVLB_VERSION " check\r\nConnection: close\r\n\r\n");
    static const struct dialogue_field fields[] = {{STR("host"), STR("shop.example")},
                                                   {STR("X-Check"), STR("1")}};
    struct dialogue_http d = fresh();
    d.method = STR("POST");
    d.fields = fields;
    d.n_fields = 2;
    sends(d, "POST /healthz HTTP/1.1\r\nUser-Agent: evlb/" EVLB_VERSION " check\r\n"
             "Connection: close\r\nContent-Length: 0\r\nhost: shop.example\r\nX-Check: 1\r\n\r\n");
}

static void test_right_answers(void **state)
{
    (void)state;
    passes(fresh(), STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup"));
    passes(fresh(), STR("HTTP/1.1 204 No Content\r\n\r\n"));
    passes(fresh(), STR("HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\nuntil the end"));
    passes(fresh(), STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "2;x=y\r\nup\r\n0\r\nX-Trailer: 1\r\n\r\n"));
    passes(fresh(),
           STR("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
               "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    struct dialogue_http d = fresh();
    d.method = STR("HEAD");
    passes(d, STR("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"));
}

static void test_wrong_status(void **state)
{
    (void)state;
    fails(fresh(), STR("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
          "status 503, expected 200-399");
    fails(fresh(), STR("HTTP/1.1 101 Switching Protocols\r\n\r\n"), "status 101, expected 200-399");
    static const struct dialogue_range two[] = {{200, 200}, {204, 205}};
    struct dialogue_http d = fresh();
    d.statuses = two;
    d.n_statuses = 2;
    passes(d, STR("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"));
    fails(d, STR("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"),
          "status 201, expected 200, 204-205");
}

// More ranges than a reason has room for.
static void test_many_statuses(void **state)
{
    (void)state;
    struct dialogue_range many[40];
    char reason[DIALOGUE_REASON];
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = (struct dialogue_range){(uint16_t)(200 + 2 * i), (uint16_t)(200 + 2 * i)};
    struct dialogue_http d = fresh();
    d.statuses = many;
    d.n_statuses = ARRAY_LEN(many);
    assert_int_equal(verdict(d, STR("HTTP/1.1 500 x\r\n\r\n"), 100, reason), DIALOGUE_FAILED);
    assert_memory_equal(reason, "status 500, expected 200, 202, ", 31);
    assert_int_equal(strlen(reason), DIALOGUE_REASON - 1);
}

static void test_field(void **state)
{
    (void)state;
    struct dialogue_http d = fresh();
    d.header.name = STR("x-ready");
    passes(d, STR("HTTP/1.1 200 OK\r\nX-Ready: no\r\nContent-Length: 0\r\n\r\n"));
    fails(d, STR("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "field x-ready is missing");
    d.header.value = STR("yes");
    passes(d, STR("HTTP/1.1 200 OK\r\nX-Ready: no\r\nX-Ready: yes\r\nContent-Length: 0\r\n\r\n"));
    fails(d, STR("HTTP/1.1 200 OK\r\nX-Ready: yes!\r\nContent-Length: 0\r\n\r\n"),
          "field x-ready is missing or has another value");
}

static void test_body(void **state)
{
    (void)state;
    struct dialogue_http d = fresh();
    d.body = STR("aab");
    passes(d, STR("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nxaaab."));
    passes(d, STR("HTTP/1.1 200 OK\r\n\r\n........aab"));
    // over the borders of chunks, which are no part of it
    passes(d, STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "2\r\n.a\r\n1\r\na\r\n2\r\nb.\r\n0\r\n\r\n"));
    fails(d, STR("HTTP/1.1 200 OK\r\nX: aab\r\nContent-Length: 4\r\n\r\naaaa"),
          "body does not hold 'aab'");
    fails(d,
          STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
              "4;aab\r\naaaa\r\n0\r\nX: aab\r\n\r\n"),
          "body does not hold 'aab'");
    fails(d, STR("HTTP/1.1 204 No Content\r\n\r\n"), "body does not hold 'aab'");
}

// A body without end is looked at for so long and not longer.
static void test_long_body(void **state)
{
    (void)state;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    char *answer = xmalloc(sizeof(head) + 2 * DIALOGUE_IN_MAX);
    char reason[DIALOGUE_REASON];
    memcpy(answer, head, sizeof(head) - 1);
    memset(answer + sizeof(head) - 1, 'x', 2 * DIALOGUE_IN_MAX);
    struct str whole = {answer, sizeof(head) - 1 + 2 * DIALOGUE_IN_MAX};
    assert_int_equal(verdict(fresh(), whole, 1000, reason), DIALOGUE_PASSED);
    struct dialogue_http d = fresh();
    d.body = STR("y");
    answer[sizeof(head) + DIALOGUE_IN_MAX - 3] = 'y';
    assert_int_equal(verdict(d, whole, 512, reason), DIALOGUE_PASSED);
    answer[sizeof(head) + DIALOGUE_IN_MAX - 3] = 'x';
    assert_int_equal(verdict(d, whole, 512, reason), DIALOGUE_FAILED);
    assert_string_equal(reason, "body does not hold 'y'");
    free(answer);
}

static void test_cut_answers(void **state)
{
    (void)state;
    fails(fresh(), STR(""), "closed without an answer");
    fails(fresh(), STR("HTTP/1.1 200 OK\r\nContent-Le"), "closed in the middle of its head");
    fails(fresh(), STR("HTTP/1.1 100 Continue\r\n\r\n"), "closed without an answer");
    fails(fresh(), STR("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nup"),
          "closed in the middle of its body");
    fails(fresh(), STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nup\r\n"),
          "closed in the middle of its body");
}

static void test_rubbish(void **state)
{
    (void)state;
    fails(fresh(), STR("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
          "answer is not HTTP: the version in the first line is not HTTP/1.x");
    fails(fresh(), STR("\x15\x03\x03\x00\x02\x02\x16"),
          "answer is not HTTP: the version in the first line is not HTTP/1.x");
    fails(fresh(), STR("HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n"),
          "answer is not correct: the Content-Length is not a decimal number, or is given twice");
    fails(fresh(), STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
          "answer is not correct: a chunk has a malformed size, extension or end");
}

static void test_endless_head(void **state)
{
    (void)state;
    char *answer = xmalloc(2 * DIALOGUE_IN_MAX);
    char reason[DIALOGUE_REASON];
    memset(answer, 'x', 2 * DIALOGUE_IN_MAX);
    memcpy(answer, "HTTP/1.1 200 OK\r\nX: ", 20);
    struct str whole = {answer, 2 * DIALOGUE_IN_MAX};
    assert_int_equal(verdict(fresh(), whole, 4096, reason), DIALOGUE_FAILED);
    assert_string_equal(reason, "answer is not correct: the head is larger than allowed");
    free(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),      cmocka_unit_test(test_right_answers),
        cmocka_unit_test(test_wrong_status), cmocka_unit_test(test_many_statuses),
        cmocka_unit_test(test_field),        cmocka_unit_test(test_body),
        cmocka_unit_test(test_long_body),    cmocka_unit_test(test_cut_answers),
        cmocka_unit_test(test_rubbish),      cmocka_unit_test(test_endless_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
