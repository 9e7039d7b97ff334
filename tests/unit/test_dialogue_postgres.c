// SPDX-License-Identifier: MIT
// The PostgreSQL check: each way to log in against proofs that were computed elsewhere (Python's
// hashlib), the roles, and servers that refuse, leave, or talk nonsense.
#include "dialogue_script.h"

#define OK "R\0\0\0\x08\0\0\0\0"
#define PARAMETER                                                                                  \
    "S\0\0\0\x0b"                                                                                  \
    "TZ\0UTC\0"
#define KEY "K\0\0\0\x0c\0\0\1\2\0\0\3\4"
#define READY "Z\0\0\0\5I"
#define COLUMNS "T\0\0\0\6\0\0"
#define ROW(recovery, read_only_len, read_only)                                                    \
    "D\0\0\0" read_only_len "\0\2\0\0\0\1" recovery read_only
#define ROW_PRIMARY                                                                                \
    "D\0\0\0\x12\0\2\0\0\0\1"                                                                      \
    "f\0\0\0\3off"
#define ROW_STANDBY                                                                                \
    "D\0\0\0\x11\0\2\0\0\0\1"                                                                      \
    "t\0\0\0\2on"
#define ROW_READ_ONLY                                                                              \
    "D\0\0\0\x11\0\2\0\0\0\1"                                                                      \
    "f\0\0\0\2on"
#define DONE                                                                                       \
    "C\0\0\0\x0d"                                                                                  \
    "SELECT 1\0"
#define SESSION OK PARAMETER KEY READY
#define TERMINATE "X\0\0\0\4"
#define NONCE "AAAAAAAAAAAAAAAAAAAAAA==" // 16 zero bytes

static struct dialogue_postgres postgres;

static void init(void)
{
    dialogue_postgres_init(&postgres);
}

static const struct script script = {&postgres.base, init};

static void set(const char *password, enum dialogue_role role)
{
    postgres.user = STR("evlb");
    postgres.password = str_of(password);
    postgres.database = STR_NONE;
    postgres.role = role;
}

static void test_trust(void **state)
{
    (void)state;
    set(NULL, DIALOGUE_ANY);
    SCRIPT_SENDS(&script, STR_NONE,
                 "\0\0\0\x37\0\3\0\0user\0evlb\0database\0evlb\0application_name\0evlb\0\0");
    postgres.database = STR("app");
    SCRIPT_SENDS(&script, STR_NONE,
                 "\0\0\0\x36\0\3\0\0user\0evlb\0database\0app\0application_name\0evlb\0\0");
    script_passes(&script, STR(SESSION));
    SCRIPT_SENDS(&script, STR(SESSION), TERMINATE);
    script_passes(&script, STR("N\0\0\0\5\0"
                               "v\0\0\0\x0c\0\0\0\0\0\0\0\0" SESSION));
}

static void test_passwords(void **state)
{
    (void)state;
    set("geheim", DIALOGUE_ANY);
    SCRIPT_SENDS(&script, STR("R\0\0\0\x08\0\0\0\3"), "p\0\0\0\x0bgeheim\0");
    script_passes(&script, STR("R\0\0\0\x08\0\0\0\3" SESSION));
    SCRIPT_SENDS(&script, STR("R\0\0\0\x0c\0\0\0\5\1\2\3\4"),
                 "p\0\0\0\x28"
                 "md53e20b82f075b46551fd99f279d59a014\0");
    script_passes(&script, STR("R\0\0\0\x0c\0\0\0\5\1\2\3\4" SESSION));
    script_fails(&script, STR("R\0\0\0\x0b\0\0\0\5\1\2\3"), "malformed login");
    script_fails(&script, STR("R\0\0\0\x08\0\0\0\7"), "login method 7, which evlb does not know");
    script_fails(&script, STR("R\0\0\0\x07\0\0\0"), "malformed login");
    set(NULL, DIALOGUE_ANY);
    script_fails(&script, STR("R\0\0\0\x08\0\0\0\3"),
                 "the server wants a password, and none is configured");
}

#define MECHANISMS "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
#define FIRST "R\0\0\0\x34\0\0\0\x0br=" NONCE "xyz,s=c2FsdA==,i=1"
#define FINAL "R\0\0\0\x36\0\0\0\x0cv=fEXdqq5T8oNm0U7ucRzi/rA/u1dPWRb3Vey3g8IyMpw="

static void test_scram(void **state)
{
    (void)state;
    set("geheim", DIALOGUE_ANY);
    SCRIPT_SENDS(&script, STR(MECHANISMS), "p\0\0\0\x36SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=" NONCE);
    SCRIPT_SENDS(&script, STR(MECHANISMS FIRST),
                 "p\0\0\0\x57"
                 "c=biws,r=" NONCE "xyz,p=Q/NbS9L2CTApZll9Z8h6JoqOUVlxsD5XUdnhrK00AP4=");
    script_passes(&script, STR(MECHANISMS FIRST FINAL SESSION));
    script_fails(&script, STR("R\0\0\0\x1c\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0"),
                 "login wants a SASL mechanism that evlb does not know");
    script_fails(&script, STR("R\0\0\0\x0b\0\0\0\x0aXYZ"),
                 "login wants a SASL mechanism that evlb does not know");
}

// A server that cannot prove that it knows the password, or goes another way.
static void test_scram_refused(void **state)
{
    (void)state;
    set("geheim", DIALOGUE_ANY);
    script_fails(&script, STR(MECHANISMS FIRST OK), "malformed login");
    script_fails(&script, STR(MECHANISMS OK), "malformed login");
    script_fails(&script, STR(MECHANISMS FINAL), "malformed login");
    script_fails(&script, STR(FIRST), "login method 11, which evlb does not know");
    script_fails(&script, STR(MECHANISMS "R\0\0\0\x08\0\0\0\3"), "malformed login");
    script_fails(
        &script,
        STR(MECHANISMS FIRST "R\0\0\0\x36\0\0\0\x0cv=gEXdqq5T8oNm0U7ucRzi/rA/u1dPWRb3Vey3g8IyMpw="),
        "the server does not know the password itself");
    script_fails(&script, STR(MECHANISMS "R\0\0\0\x0a\0\0\0\x0br="), "malformed SCRAM challenge");
    script_fails(&script, STR(MECHANISMS "R\0\0\0\x39\0\0\0\x0br=" NONCE "xyz,s=c2FsdA==,i=999999"),
                 "the password's SCRAM iterations are too many for a health check");
}

static void test_roles(void **state)
{
    (void)state;
    set(NULL, DIALOGUE_WRITABLE);
    SCRIPT_SENDS(&script, STR(SESSION),
                 "Q\0\0\0\x5fSELECT pg_catalog.pg_is_in_recovery(), "
                 "pg_catalog.current_setting('transaction_read_only')\0");
    script_passes(&script, STR(SESSION COLUMNS ROW_PRIMARY DONE READY));
    SCRIPT_SENDS(&script, STR(SESSION COLUMNS ROW_PRIMARY DONE READY), TERMINATE);
    script_fails(&script, STR(SESSION COLUMNS ROW_STANDBY DONE READY),
                 "in recovery (a standby), expected writable");
    SCRIPT_SENDS(&script, STR(SESSION COLUMNS ROW_STANDBY DONE READY), TERMINATE);
    script_fails(&script, STR(SESSION COLUMNS ROW_READ_ONLY DONE READY),
                 "transactions are read-only, expected writable");
    script_fails(&script, STR(SESSION COLUMNS DONE READY), "no row in the answer");
    set(NULL, DIALOGUE_REPLICA);
    script_passes(&script, STR(SESSION COLUMNS ROW_STANDBY DONE READY));
    script_fails(&script, STR(SESSION COLUMNS ROW_PRIMARY DONE READY),
                 "not in recovery, expected replica");
}

static void test_errors(void **state)
{
    (void)state;
    set(NULL, DIALOGUE_ANY);
    script_fails(&script,
                 STR("E\0\0\0\x38SFATAL\0C57P03\0Mthe database \tsystem is starting up\0\0"),
                 "the database ?system is starting up");
    script_fails(&script, STR(OK "E\0\0\0\x10Mno such db\0"), "no such db");
    script_fails(&script, STR("E\0\0\0\x0dSFATAL\0\0\0"), "malformed login");
    script_fails(&script, STR("E\0\0\0\x06M\0"), "malformed login");
    script_fails(&script, STR("E\0\0\0\x04"), "malformed login");
    set(NULL, DIALOGUE_WRITABLE);
    script_fails(&script, STR(SESSION "E\0\0\0\x09Mno\0\0"), "no");
    SCRIPT_SENDS(&script, STR(SESSION "E\0\0\0\x09Mno\0\0"), TERMINATE);
}

static void test_malformed(void **state)
{
    static const struct str answers[] = {
        STR(SESSION "D\0\0\0\x05\0"),
        STR(SESSION "D\0\0\0\x06\0\1"),
        STR(SESSION "D\0\0\0\x08\0\2\0\0"),
        STR(SESSION "D\0\0\0\x0a\0\2\xff\xff\xff\xff"),
        STR(SESSION "D\0\0\0\x0a\0\2\0\0\0\1"),
        STR(SESSION "D\0\0\0\x0a\0\2\x7f\xff\xff\xff"),
        STR(SESSION ROW("t", "\x13", "\0\0\0\3offx")),
        STR(SESSION OK),
        STR(SESSION "G\0\0\0\4"),
        STR(OK COLUMNS),
        STR(OK DONE),
        STR(OK ROW_PRIMARY),
    };
    (void)state;
    set(NULL, DIALOGUE_WRITABLE);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        script_fails(&script, answers[i], "malformed answer");
    script_fails(&script, STR("HTTP/1.1 400 Bad Request\r\n"), "not a PostgreSQL server");
    script_fails(&script, STR("\0"), "not a PostgreSQL server");
    script_fails(&script, STR("R\0\0\0\3"), "message of 4 bytes, at most 32768");
    script_fails(&script, STR("R\0\0\x80\0"), "message of 32769 bytes, at most 32768");
    script_fails(&script, STR("R\xff\xff\xff\xff"), "message of 4294967296 bytes, at most 32768");
    script_fails(&script, STR_NONE, "closed during the login");
    script_fails(&script, STR(OK), "closed before its answer");
    // NULL where a truth value is expected
    script_fails(&script,
                 STR(SESSION COLUMNS "D\0\0\0\x0e\0\2\xff\xff\xff\xff\xff\xff\xff\xff" DONE READY),
                 "transactions are read-only, expected writable");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trust),     cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_scram),     cmocka_unit_test(test_scram_refused),
        cmocka_unit_test(test_roles),     cmocka_unit_test(test_errors),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
