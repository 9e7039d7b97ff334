// SPDX-License-Identifier: MIT
// The Redis check: with and without a login, each role, refusals, and what is no Redis.
#include "dialogue_script.h"

#define MASTER "*3\r\n$6\r\nmaster\r\n"
#define SLAVE(state) "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:6379\r\n" state
#define CONNECTED SLAVE("$9\r\nconnected\r\n")

static struct dialogue_redis redis;

static void init(void)
{
    dialogue_redis_init(&redis);
}

static const struct script script = {&redis.base, init};

static void set(enum dialogue_role role, const char *user, const char *password)
{
    redis.role = role;
    redis.user = str_of(user);
    redis.password = str_of(password);
}

static void test_login(void **state)
{
    (void)state;
    set(DIALOGUE_ANY, NULL, NULL);
    script_passes(&script, STR("+PONG\r\n"));
    SCRIPT_SENDS(&script, STR_NONE, "*1\r\n$4\r\nPING\r\n");
    script_fails(&script, STR("-NOAUTH Authentication required.\r\n"),
                 "NOAUTH Authentication required.");
    script_fails(&script, STR("-LOADING Redis is loading\r\n"), "LOADING Redis is loading");
    set(DIALOGUE_ANY, NULL, "pass word");
    script_passes(&script, STR("+OK\r\n+PONG\r\n"));
    SCRIPT_SENDS(&script, STR_NONE, "*2\r\n$4\r\nAUTH\r\n$9\r\npass word\r\n");
    SCRIPT_SENDS(&script, STR("+OK\r\n"), "\n*1\r\n$4\r\nPING\r\n");
    set(DIALOGUE_ANY, "evlb", "x");
    SCRIPT_SENDS(&script, STR_NONE, "*3\r\n$4\r\nAUTH\r\n$4\r\nevlb\r\n$1\r\nx\r\n");
    script_fails(&script, STR("-WRONGPASS invalid\r\n"), "WRONGPASS invalid");
}

static void test_roles(void **state)
{
    (void)state;
    set(DIALOGUE_WRITABLE, NULL, NULL);
    script_passes(&script, STR("+PONG\r\n" MASTER));
    SCRIPT_SENDS(&script, STR("+PONG\r\n"), "PING\r\n*1\r\n$4\r\nROLE\r\n");
    script_fails(&script, STR("+PONG\r\n" CONNECTED), "role is slave, expected master");
    script_fails(&script, STR("+PONG\r\n*2\r\n$8\r\nsentinel\r\n*0\r\n"),
                 "role is sentinel, expected master");
    script_fails(&script, STR("+PONG\r\n-NOPERM no permissions\r\n"), "NOPERM no permissions");
    set(DIALOGUE_REPLICA, NULL, NULL);
    script_passes(&script, STR("+PONG\r\n" CONNECTED));
    script_fails(&script, STR("+PONG\r\n" MASTER), "role is master, expected slave");
    script_fails(&script, STR("+PONG\r\n" SLAVE("$4\r\nsync\r\n")), "link to the master: sync");
}

static void test_malformed(void **state)
{
    static const char what[] = "not a Redis server, or a malformed answer";
    char line[1026];
    (void)state;
    set(DIALOGUE_REPLICA, NULL, NULL);
    script_fails(&script, STR("HTTP/1.1 400 Bad Request\r\n"), what);
    script_fails(&script, STR("+PONG\n"), what);
    script_fails(&script, STR("\n"), what);
    script_fails(&script, STR("-\r\n"), what);
    script_fails(&script, STR("+PONG\r\n+PONG\r\n"), what);
    script_fails(&script, STR("+PONG\r\n*\r\n"), what);
    script_fails(&script, STR("+PONG\r\n*5\r\n$-1\r\n"), what);
    script_fails(&script, STR("+PONG\r\n*5\r\n$99999999999999999999\r\n"), what);
    script_fails(&script, STR("+PONG\r\n*5\r\n$1025\r\n"), what);
    script_fails(&script, STR("+PONG\r\n*5\r\n$5\r\nslavexx"), what);
    script_fails(&script, STR("+PONG\r\n*5\r\n*1\r\n"), what);
    memset(line, '+', sizeof(line));
    script_fails(&script, (struct str){line, sizeof(line)}, what);
    script_fails(&script, STR("+PONG\r\n*5\r\n$5\r\nsla"), "closed before its answer to ROLE");
    set(DIALOGUE_ANY, NULL, "x");
    script_fails(&script, STR_NONE, "closed before its answer to AUTH");
    script_fails(&script, STR("+PONG\r\n"), what);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
