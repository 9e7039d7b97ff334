// SPDX-License-Identifier: MIT
// Challenges of a certificate authority: a worker asks its supervisor, which answers in time, late,
// or never, while clients leave, the configuration changes and the worker stops.
#include <unistd.h>

#include "sim.h"

#include "proxy/challenge.h"

#define YAML                                                                                       \
    "acme: /var/acme\n"                                                                            \
    "frontends: {web: {listen: 80, routes: [{path: /x, deny: 403}, {backend: b}]}}\n"              \
    "backends: {b: [10.0.0.1:80]}\n"
#define ASK(token) "GET /.well-known/acme-challenge/" token " HTTP/1.1\r\nHost: a.test\r\n\r\n"
#define FOUND                                                                                      \
    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"                                \
    "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nContent-Length: 7\r\n\r\n"

static struct sim *begin(void)
{
    struct sim *t = sim_new(YAML);
    sim_channel(t);
    return t;
}

// The number of the next question, which is this.
static uint32_t asked(struct sim *t, const char *expected)
{
    char text[256] = "nothing";
    sim_run(t);
    uint32_t request = sim_asked(t, text);
    assert_string_equal(text, expected);
    assert_true(request != 0);
    return request;
}

static void assert_not_asked(struct sim *t)
{
    char text[256];
    sim_run(t);
    assert_int_equal(sim_asked(t, text), 0);
}

// NULL: there is none.
static void answer(struct sim *t, uint32_t request, const char *text)
{
    struct message m = {.type = MSG_ANSWER, .request = request, .status = text == NULL};
    int fd = text != NULL ? channel_text(str_of(text)) : -1;
    m.n_fds = text != NULL;
    (void)sim_tell(t, &m, &fd);
    if (fd >= 0)
        (void)close(fd);
    sim_run(t);
}

static void test_found(void **state)
{
    (void)state;
    struct sim *t = begin();
    sim_send(t, CLIENT, ASK("abc-_9"));
    uint32_t request = asked(t, "web abc-_9");
    sim_expect(t, CLIENT, "", SIM_OPEN);
    answer(t, request, "abc.xyz");
    sim_expect(t, CLIENT, FOUND "abc.xyz", SIM_OPEN);
    sim_expect_end(t, END_ACME_ANSWERED);
    assert_int_equal(t->w.n_challenges, 0);
    // the connection lives on, with HEAD and with another request
    sim_send(t, CLIENT, "HEAD /.well-known/acme-challenge/abc HTTP/1.1\r\nHost: a.test\r\n\r\n");
    answer(t, asked(t, "web abc"), "abc.xyz");
    sim_expect(t, CLIENT, FOUND, SIM_OPEN);
    sim_expect_end(t, END_ACME_ANSWERED);
    sim_send(t, CLIENT, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    sim_expect_part(t, CLIENT, "HTTP/1.1 403 ", SIM_OPEN);
    sim_expect_end(t, END_DENIED);
    sim_free(t);
}

// What is not there, is empty, or comes without a descriptor, goes to the routes.
static void test_missing(void **state)
{
    (void)state;
    static const char *const answers[] = {NULL, ""};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct sim *t = begin();
        sim_send(t, CLIENT, ASK("abc"));
        answer(t, asked(t, "web abc"), answers[i]);
        assert_int_equal(t->w.n_challenges, 0);
        sim_expect_part(t, SERVER, "GET /.well-known/acme-challenge/abc HTTP/1.1\r\n", SIM_OPEN);
        sim_send(t, SERVER, "HTTP/1.1 204 No Content\r\n\r\n");
        sim_expect_part(t, CLIENT, "HTTP/1.1 204 ", SIM_OPEN);
        sim_expect_end(t, END_OK);
        sim_free(t);
    }
}

// Nothing else is asked for.
static void test_other_requests(void **state)
{
    (void)state;
    static const char *const others[] = {
        "GET /.well-known/acme-challenge/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /.well-known/acme-challenge HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /.well-known/acme-challenge/a.b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /.well-known/acme-challenge/../a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /.well-known/acme-challenge/a/b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /.well-known/acme-challenge/%61 HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT /.well-known/acme-challenge/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct sim *t = begin();
        sim_send(t, CLIENT, others[i]);
        assert_not_asked(t);
        sim_expect_part(t, SERVER, "/.well-known/acme-challenge", SIM_OPEN);
        sim_close(t, CLIENT);
        sim_free(t);
    }
}

// The supervisor is busy: 503, and what it says later is dropped.
static void test_late(void **state)
{
    (void)state;
    struct sim *t = begin();
    sim_send(t, CLIENT, ASK("abc"));
    uint32_t request = asked(t, "web abc");
    sim_advance(t, CHALLENGE_MS - 1);
    sim_expect_end(t, END_COUNT);
    sim_advance(t, 1);
    sim_expect_part(t, CLIENT, "HTTP/1.1 503 ", SIM_OPEN);
    sim_expect_end(t, END_ACME_BUSY);
    answer(t, request, "abc.xyz");
    sim_expect(t, CLIENT, "", SIM_OPEN);
    answer(t, request + 7, "of nobody");
    sim_free(t);
}

static void test_twice_answered(void **state)
{
    (void)state;
    struct sim *t = begin();
    sim_send(t, CLIENT, ASK("abc"));
    uint32_t request = asked(t, "web abc");
    answer(t, request, "abc.xyz");
    answer(t, request, "another");
    sim_expect(t, CLIENT, FOUND "abc.xyz", SIM_OPEN);
    sim_expect_end(t, END_ACME_ANSWERED);
    sim_free(t);
}

static void test_client_leaves(void **state)
{
    (void)state;
    struct sim *t = begin();
    sim_send(t, CLIENT, ASK("abc"));
    uint32_t request = asked(t, "web abc");
    sim_advance(t, 200); // from now on the client is watched
    sim_reset(t, CLIENT);
    sim_run(t);
    sim_expect_end(t, END_CLIENT_CLOSED_CONNECT);
    assert_int_equal(t->w.n_challenges, 0);
    answer(t, request, "abc.xyz");
    sim_free(t);
}

// A half-closed client ("printf ... | nc") still gets its answer.
static void test_client_ends_its_direction(void **state)
{
    (void)state;
    struct sim *t = begin();
    sim_send(t, CLIENT, ASK("abc"));
    sim_fin(t, CLIENT);
    answer(t, asked(t, "web abc"), "abc.xyz");
    sim_expect_part(t, CLIENT, "abc.xyz", SIM_FIN);
    sim_expect_end(t, END_ACME_ANSWERED);
    sim_free(t);
}

static void test_not_too_many(void **state)
{
    (void)state;
    struct sim *t = begin();
    uint32_t requests[CHALLENGES_MAX];
    for (uint32_t i = 0; i < CHALLENGES_MAX; i++) {
        sim_send(t, CLIENT_N((int)i), ASK("abc"));
        requests[i] = asked(t, "web abc");
    }
    int last = (int)CHALLENGES_MAX;
    sim_send(t, CLIENT_N(last), ASK("abc"));
    assert_not_asked(t);
    sim_expect_part(t, CLIENT_N(last), "HTTP/1.1 503 ", SIM_OPEN);
    sim_expect_end(t, END_ACME_BUSY);
    answer(t, requests[0], "abc.xyz");
    sim_send(t, CLIENT_N(last), ASK("def"));
    answer(t, asked(t, "web def"), "def.xyz");
    sim_expect(t, CLIENT_N(last), FOUND "def.xyz", SIM_OPEN);
    for (uint32_t i = 1; i < CHALLENGES_MAX; i++)
        answer(t, requests[i], "abc.xyz");
    sim_expect_ends(t, END_ACME_ANSWERED, CHALLENGES_MAX + 1);
    sim_free(t);
}

// Nobody reads the questions (or there is no supervisor any more): 503 at once.
static void test_cannot_ask(void **state)
{
    (void)state;
    struct sim *t = sim_new(YAML); // without a channel
    sim_send(t, CLIENT, ASK("abc"));
    sim_run(t);
    sim_expect_part(t, CLIENT, "HTTP/1.1 503 ", SIM_OPEN);
    sim_expect_end(t, END_ACME_BUSY);
    sim_free(t);
}

// What has begun goes on with the configuration that it began with; and it outlives a stop.
static void test_reload_and_drain(void **state)
{
    (void)state;
    struct sim *t = begin();
    sim_send(t, CLIENT, ASK("abc"));
    uint32_t first = asked(t, "web abc");
    assert_int_equal(
        sim_reload(t, "frontends: {web: {listen: 80, backend: b}}\nbackends: {b: [10.0.0.1:80]}\n"),
        0);
    answer(t, first, "abc.xyz");
    sim_expect(t, CLIENT, FOUND "abc.xyz", SIM_OPEN);
    sim_expect_end(t, END_ACME_ANSWERED);
    sim_send(t, CLIENT, ASK("abc")); // not served from files any more
    assert_not_asked(t);
    sim_expect_part(t, SERVER, "GET /.well-known/", SIM_OPEN);
    sim_send(t, SERVER, "HTTP/1.1 204 No Content\r\n\r\n");
    sim_run(t);
    sim_expect_end(t, END_OK);
    assert_int_equal(sim_reload(t, YAML), 0);
    sim_send(t, CLIENT_N(1), ASK("def"));
    uint32_t second = asked(t, "web def");
    sim_drain(t, 0);
    answer(t, second, "def.xyz");
    sim_expect_part(t, CLIENT_N(1), "Connection: close\r\n\r\ndef.xyz", SIM_FIN);
    sim_expect_end(t, END_ACME_ANSWERED);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_other_requests),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_twice_answered),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_client_ends_its_direction),
        cmocka_unit_test(test_not_too_many),
        cmocka_unit_test(test_cannot_ask),
        cmocka_unit_test(test_reload_and_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
