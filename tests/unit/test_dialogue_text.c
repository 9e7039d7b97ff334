// SPDX-License-Identifier: MIT
// The checks without a protocol: a connection alone, and bytes that must come back.
#include "dialogue_talk.h"

static void begin(struct talk *t, struct dialogue_text *d, struct str send, struct str expect)
{
    *d = (struct dialogue_text){.send = send, .expect = expect};
    dialogue_text_init(d);
    talk_begin(t, &d->base);
}

static void test_connection_alone(void **state)
{
    (void)state;
    struct dialogue_text d;
    struct talk t;
    begin(&t, &d, STR_NONE, STR_NONE);
    assert_int_equal(t.result, DIALOGUE_PASSED);
    assert_string_equal(talk_sent(&t), "");
    talk_end(&t);
}

static void test_send_alone(void **state)
{
    (void)state;
    struct dialogue_text d;
    struct talk t;
    begin(&t, &d, STR("hello"), STR_NONE);
    assert_int_equal(t.result, DIALOGUE_PASSED);
    assert_string_equal(talk_sent(&t), "hello");
    talk_end(&t);
}

// The text may stand anywhere in the answer, and its own beginning in front of it.
static void test_expected(void **state)
{
    (void)state;
    static const struct str answer = STR("220 abababc.\r\n");
    for (size_t step = 1; step <= answer.len; step++) {
        struct dialogue_text d;
        struct talk t;
        begin(&t, &d, STR("who?\r\n"), STR("ababc"));
        assert_string_equal(talk_sent(&t), "who?\r\n");
        assert_int_equal(t.result, DIALOGUE_MORE);
        talk_hear(&t, (struct str){answer.p, 10}, step);
        assert_int_equal(t.result, DIALOGUE_MORE);
        assert_int_equal(t.n_in, 0);
        talk_hear(&t, (struct str){answer.p + 10, answer.len - 10}, step);
        assert_int_equal(t.result, DIALOGUE_PASSED);
        talk_end(&t);
    }
}

static void test_not_expected(void **state)
{
    (void)state;
    struct dialogue_text d;
    struct talk t;
    begin(&t, &d, STR_NONE, STR("+PO\x01NG\xff"));
    talk_hear(&t, STR("-ERR"), 4);
    talk_close(&t);
    assert_int_equal(t.result, DIALOGUE_FAILED);
    assert_string_equal(t.reason, "answer does not hold '+PO.NG.'");
    talk_end(&t);
    begin(&t, &d, STR_NONE, STR("x"));
    talk_close(&t);
    assert_int_equal(t.result, DIALOGUE_FAILED);
    assert_string_equal(t.reason, "closed without an answer");
    talk_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connection_alone),
        cmocka_unit_test(test_send_alone),
        cmocka_unit_test(test_expected),
        cmocka_unit_test(test_not_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
