// SPDX-License-Identifier: MIT
// The list of sessions: what each one is said to be doing, at every stage, and how many are told.
#include "messages.h"
#include "sim.h"

#include "proxy/sessions_dump.h"

static const char *dump(struct sim *t, uint32_t most)
{
    static char text[8192];
    struct buf out = {0};
    assert_true(sessions_dump(&t->w, most, &out));
    assert_true(str_copy((struct str){buf_len(&out) > 0 ? buf_head(&out) : "", buf_len(&out)}, text,
                         sizeof(text)));
    buf_release(&out);
    return text;
}

static void dump_has(struct sim *t, const char *part)
{
    const char *text = dump(t, 100);
    if (strstr(text, part) == NULL)
        fail_msg("no %s in %s", part, text);
}

static void test_stages_of_a_request(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    assert_string_equal(dump(t, 100), "");
    sim_send(t, CLIENT, "GET / HTTP/1.1\r\n");
    sim_run(t);
    dump_has(t, "\"frontend\":\"default\",\"backend\":null,\"server\":null,"
                "\"doing\":\"reading the request head\",");
    sim_send(t, CLIENT, "Host: x\r\n\r\n");
    sim_advance(t, 500);
    dump_has(t, "\"backend\":\"default\",\"server\":\"s1\",\"doing\":\"waiting for the answer\",");
    dump_has(t, "\"requests\":1,");
    sim_send(t, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    sim_run(t);
    dump_has(t, "\"doing\":\"passing the answer on\",");
    for (int i = 0; i < 96; i++)
        sim_send(t, SERVER, ".");
    sim_run(t);
    sim_advance(t, 3000);
    dump_has(t, "\"backend\":null,\"server\":null,\"doing\":\"idle\",\"age_ms\":3");
    sim_close(t, CLIENT);
    sim_run(t);
    assert_string_equal(dump(t, 100), "");
    sim_free(t);
}

static void test_layer_4(void **state)
{
    (void)state;
    struct sim *t = sim_new("mode: tcp\nlisten: 127.0.0.1:80\nservers: [10.0.0.1:80]\n");
    sim_send(t, CLIENT, "hello");
    sim_run(t);
    sim_send(t, SERVER, "you");
    sim_run(t);
    dump_has(t, "\"server\":\"s1\",\"doing\":\"relaying\",");
    dump_has(t, "\"bytes_received\":5,\"bytes_sent\":3}");
    sim_fin(t, CLIENT);
    sim_fin(t, SERVER);
    sim_run(t);
    sim_free(t);
}

static size_t objects(const char *text)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, "{\"id\":")) != NULL; p++)
        n++;
    return n;
}

static void test_no_more_than_asked_for(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    for (int i = 0; i < 5; i++)
        sim_send(t, CLIENT_N(i), "GET");
    sim_run(t);
    assert_int_equal(objects(dump(t, 100)), 5);
    assert_int_equal(objects(dump(t, 5)), 5);
    assert_int_equal(objects(dump(t, 2)), 2);
    assert_int_equal(objects(dump(t, 0)), 0);
    for (int i = 0; i < 5; i++)
        sim_close(t, CLIENT_N(i));
    sim_run(t);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stages_of_a_request),
        cmocka_unit_test(test_layer_4),
        cmocka_unit_test(test_no_more_than_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
