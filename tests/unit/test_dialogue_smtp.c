// SPDX-License-Identifier: MIT
// The SMTP check: greetings and answers of one line and of several, refusals, and what is no SMTP.
#include "dialogue_script.h"

static struct dialogue_smtp smtp;

static void init(void)
{
    smtp.helo = STR("lb.example");
    dialogue_smtp_init(&smtp);
}

static const struct script script = {&smtp.base, init};

static void test_passes(void **state)
{
    (void)state;
    script_passes(&script, STR("220 mail ESMTP\r\n250 mail\r\n"));
    script_passes(&script, STR("220-mail\r\n220-no spam\r\n220 ready\r\n250-mail\r\n250-SIZE 1\r\n"
                               "250 HELP\r\n"));
    script_passes(&script, STR("220\r\n250\n")); // no text, and a bare line feed
    SCRIPT_SENDS(&script, STR_NONE, "");
    SCRIPT_SENDS(&script, STR("220 mail\r\n"), "EHLO lb.example\r\n");
    SCRIPT_SENDS(&script, STR("220 mail\r\n250 x\r\n"), "EHLO lb.example\r\nQUIT\r\n");
}

static void test_refusals(void **state)
{
    (void)state;
    script_fails(&script, STR("421 mail too busy\r\n"), "421 mail too busy");
    script_fails(&script, STR("554-go away\r\n554 please\r\n"), "554-go away");
    script_fails(&script, STR("220 mail\r\n502 no \x1b[31mEHLO\x7f\xc3\xa4\r\n"),
                 "502 no ?[31mEHLO???");
    script_fails(&script, STR("220 mail\r\n250-a\r\n451 later\r\n"), "451 later");
    SCRIPT_SENDS(&script, STR("554 no\r\n"), "QUIT\r\n");
}

static void test_no_smtp(void **state)
{
    static const char what[] = "not an SMTP server, or a malformed answer";
    char line[2050];
    (void)state;
    script_fails(&script, STR("SSH-2.0-OpenSSH\r\n"), what);
    script_fails(&script, STR("\r\n"), what);
    script_fails(&script, STR("22\r\n"), what);
    script_fails(&script, STR("2200 mail\r\n"), what);
    script_fails(&script, STR("220 mail\r\n250_x\r\n"), what);
    memset(line, '2', sizeof(line));
    script_fails(&script, (struct str){line, sizeof(line)}, what);
    script_fails(&script, STR_NONE, "closed before its greeting");
    script_fails(&script, STR("220 mail\r\n250-x\r\n"), "closed before its answer to EHLO");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_smtp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
