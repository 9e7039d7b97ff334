// SPDX-License-Identifier: MIT
// The MySQL check: logins by each plugin against proofs that were computed elsewhere (Python's
// hashlib), the roles, and servers that refuse, leave, or talk nonsense.
#include "rsa_key.h" // OpenSSL before our headers: it uses names that base.h bans

#include "dialogue_script.h"

#define SCRAMBLE "abcdefghijklmnopqrst"
#define NATIVE "mysql_native_password"
#define SHA2 "caching_sha2_password"
#define OK "\0\0\0\2\0\0\0"
#define END "\xfe\0\0\2\0"
#define OTHER_SCRAMBLE "tsrqponmlkjihgfedcba"
#define QUIT "\1\0\0\0\1"

// "secret" with SCRAMBLE
#define PROOF_NATIVE                                                                               \
    "\x88\x17\xc5\x0f\xa7\x79\xda\xef\x01\x0e\xe7\x57\x78\x25\xb0\x84\x7d\xf9\x84\x2e"
#define PROOF_SHA2                                                                                 \
    "\xc7\x6e\x28\x98\x61\x2a\x4c\xf0\x42\xc7\x7f\xa8\xc4\x70\x2c\x4c\x64\xc0\xc2\xc5\x57\xc5\x3c" \
    "\x4d\x75\x59\x5a\xaa\x6a\xba\xe8\x09"

static struct dialogue_mysql mysql;
static char stream[3 * DIALOGUE_IN_MAX]; // what the server says
static size_t n_stream;
static uint8_t sequence;

static void init(void)
{
    dialogue_mysql_init(&mysql);
}

static const struct script script = {&mysql.base, init};

// ---- the server's side ------------------------------------------------------------------------

static void add(const void *bytes, size_t n)
{
    assert_true(n_stream + n <= sizeof(stream));
    memcpy(stream + n_stream, bytes, n);
    n_stream += n;
}

static void packet(const void *payload, size_t n)
{
    const uint8_t head[] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), sequence++};
    add(head, sizeof(head));
    add(payload, n);
}

#define PACKET(literal) packet(literal, sizeof(literal) - 1)

static struct str said(void)
{
    return (struct str){stream, n_stream};
}

#define GREETING(low, high, plugin)                                                                \
    "\x0a"                                                                                         \
    "10.11.6-MariaDB\0\1\2\3\4abcdefgh\0" low "\x21\2\0" high                                      \
    "\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0" plugin

static void greet(const char *plugin)
{
    n_stream = 0;
    sequence = 0;
    if (strcmp(plugin, SHA2) == 0)
        PACKET(GREETING("\xff\xf7", "\xff\xdf", SHA2 "\0"));
    else if (strcmp(plugin, NATIVE) == 0)
        PACKET(GREETING("\xff\xf7", "\xff\xdf", NATIVE "\0"));
    else
        PACKET(GREETING("\xff\xf7", "\xff\xdf", "unix_socket\0"));
}

static void user(const char *name, const char *password, enum dialogue_role role)
{
    mysql.user = str_of(name);
    mysql.password = str_of(password);
    mysql.role = role;
    mysql.max_lag_ms = 10000;
}

static void column(const char *name)
{
    char payload[128];
    int n = snprintf(payload, sizeof(payload), "%cdef%c%c%c%c%s%c", 3, 0, 0, 0, (int)strlen(name),
                     name, 0);
    packet(payload, (size_t)n);
}

static void row(const char *const *values, size_t n)
{
    char payload[256];
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        if (values[i] == NULL) {
            payload[len++] = '\xfb';
            continue;
        }
        len += (size_t)snprintf(payload + len, sizeof(payload) - len, "%c%s",
                                (int)strlen(values[i]), values[i]);
    }
    packet(payload, len);
}

// The answer to a query: names, then one row.
static void answer(const char *const *names, const char *const *values, size_t n)
{
    const char count = (char)n;
    sequence = 1;
    packet(&count, 1);
    for (size_t i = 0; i < n; i++)
        column(names[i]);
    PACKET(END);
    row(values, n);
}

static void answer_read_only(const char *value)
{
    const char *const names[] = {"read_only"};
    answer(names, &value, 1);
    PACKET(END);
}

static void log_in(void)
{
    user("evlbcheck", NULL, mysql.role);
    greet(NATIVE);
    sequence = 2;
    PACKET(OK);
}

// ---- logins -----------------------------------------------------------------------------------

#define LOGIN(length, capabilities, name, proof_len, proof, plugin)                                \
    length "\0\0\1" capabilities "\0\0\0\1\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" name \
           "\0" proof_len proof plugin

static void test_native(void **state)
{
    (void)state;
    user("evlb", "secret", DIALOGUE_ANY);
    greet(NATIVE);
    SCRIPT_SENDS(&script, said(),
                 LOGIN("\x50", "\x01\x82\x08\0", "evlb", "\x14", PROOF_NATIVE, NATIVE "\0"));
    sequence = 2;
    PACKET(OK);
    script_passes(&script, said());
    SCRIPT_SENDS(&script, said(), QUIT);
    user("evlb", NULL, DIALOGUE_ANY);
    script_passes(&script, said());
    greet(NATIVE);
    SCRIPT_SENDS(&script, said(), LOGIN("\x3c", "\x01\x82\x08\0", "evlb", "\0", "", NATIVE "\0"));
}

static void test_caching_sha2(void **state)
{
    (void)state;
    user("evlb", "secret", DIALOGUE_ANY);
    greet(SHA2);
    SCRIPT_SENDS(&script, said(),
                 LOGIN("\x5c", "\x01\x82\x08\0", "evlb", "\x20", PROOF_SHA2, SHA2 "\0"));
    sequence = 2;
    PACKET("\1\3"); // known
    PACKET(OK);
    script_passes(&script, said());
}

// Another plugin than the server's default, with a new scramble.
static void test_switch(void **state)
{
    (void)state;
    user("evlb", "secret", DIALOGUE_ANY);
    greet("unix_socket");
    SCRIPT_SENDS(&script, said(), NATIVE "\0");
    sequence = 2;
    PACKET("\xfe" SHA2 "\0" SCRAMBLE "\0");
    SCRIPT_SENDS(&script, said(), "\x20\0\0\3" PROOF_SHA2);
    sequence = 4;
    PACKET("\1\3");
    PACKET(OK);
    script_passes(&script, said());
    greet(SHA2);
    sequence = 2;
    PACKET("\xfe" NATIVE "\0" SCRAMBLE "\0");
    SCRIPT_SENDS(&script, said(), "\x14\0\0\3" PROOF_NATIVE);
    user("evlb", NULL, DIALOGUE_ANY);
    SCRIPT_SENDS(&script, said(), "\0\0\0\3");
}

static void test_other_plugins(void **state)
{
    (void)state;
    user("evlb", "secret", DIALOGUE_ANY);
    greet(NATIVE);
    sequence = 2;
    PACKET("\xfe"
           "client_ed25519\0" SCRAMBLE);
    script_fails(&script, said(), "login wants plugin 'client_ed25519', which evlb does not know");
    greet(NATIVE);
    sequence = 2;
    PACKET("\xfemysql_clear_password\0");
    script_fails(&script, said(),
                 "login wants plugin 'mysql_clear_password', which evlb does not know");
    greet(NATIVE);
    sequence = 2;
    PACKET("\xfe");
    script_fails(&script, said(), "login wants the plugin of before MySQL 4.1");
}

// caching_sha2_password of a user whom the server has not seen yet: only with its public key.
static void test_public_key(void **state)
{
    char pem[PEM_MAX + 1] = "\1";
    uint8_t open[512];
    EVP_PKEY *key = EVP_RSA_gen(2048);
    (void)state;
    user("evlb", "secret", DIALOGUE_ANY);
    greet(SHA2);
    sequence = 2;
    PACKET("\1\4");
    SCRIPT_SENDS(&script, said(), "\1\0\0\3\2");
    rsa_key_pem(key, pem + 1);
    sequence = 4;
    packet(pem, strlen(pem));
    struct talk *t = xmalloc(sizeof(*t));
    init();
    talk_begin(t, &mysql.base);
    talk_hear(t, said(), 100);
    assert_memory_equal(buf_tail(&t->out) - 260, "\0\1\0\5", 4);
    assert_int_equal(rsa_key_decrypt(key, (uint8_t *)buf_tail(&t->out) - 256, 256, open), 7);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(open[i] ^ SCRAMBLE[i], "secret"[i]);
    talk_end(t);
    free(t);
    EVP_PKEY_free(key);
    sequence = 6;
    PACKET(OK);
    script_passes(&script, said());
}

static void test_bad_public_key(void **state)
{
    char password[300];
    (void)state;
    user("evlb", "secret", DIALOGUE_ANY);
    greet(SHA2);
    sequence = 2;
    PACKET("\1\4");
    size_t n = n_stream;
    sequence = 4;
    PACKET("\1-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    script_fails(&script, said(), "the server's public key cannot be used");
    memset(password, 'x', sizeof(password));
    mysql.password = (struct str){password, 214};
    script_fails(&script, said(), "the password is too long for caching_sha2_password");
    n_stream = n;
    sequence = 4;
    PACKET("\xff\x15\4#28000Access denied");
    script_fails(&script, said(), "Access denied");
    n_stream = n;
    sequence = 4;
    PACKET(OK); // without a proof
    script_fails(&script, said(), "malformed login");
    user("evlb", "secret", DIALOGUE_ANY);
    greet(NATIVE);
    sequence = 2;
    PACKET("\1\4"); // nobody asked
    script_fails(&script, said(), "malformed login");
    greet(SHA2);
    sequence = 2;
    PACKET("\1\5");
    script_fails(&script, said(), "malformed login");
}

// ---- roles ------------------------------------------------------------------------------------

static void test_writable(void **state)
{
    (void)state;
    mysql.role = DIALOGUE_WRITABLE;
    log_in();
    SCRIPT_SENDS(&script, said(), "\x27\0\0\0\3SELECT @@global.read_only AS read_only");
    answer_read_only("0");
    script_passes(&script, said());
    SCRIPT_SENDS(&script, said(), QUIT);
    log_in();
    answer_read_only("OFF"); // MariaDB 12
    script_passes(&script, said());
    static const char *const others[] = {"1", "ON", "NO_LOCK_NO_ADMIN", "", NULL};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        log_in();
        answer_read_only(others[i]);
        script_fails(&script, said(), "read_only is ON, expected writable");
        SCRIPT_SENDS(&script, said(), QUIT);
    }
}

static const char *const mysql_names[] = {"Replica_IO_State", "Replica_IO_Running",
                                          "Replica_SQL_Running", "Seconds_Behind_Source"};
static const char *const mariadb_names[] = {"Slave_IO_State", "Slave_IO_Running",
                                            "Slave_SQL_Running", "Seconds_Behind_Master"};

static void replica(const char *io, const char *sql, const char *lag)
{
    const char *const values[] = {"Waiting", io, sql, lag};
    mysql.role = DIALOGUE_REPLICA;
    log_in();
    answer(mariadb_names, values, ARRAY_LEN(values));
    PACKET(END);
}

static void test_replica(void **state)
{
    static const char *const values[] = {NULL, "Yes", "Yes", "0"};
    (void)state;
    replica("Yes", "Yes", "10");
    script_passes(&script, said());
    log_in();
    SCRIPT_SENDS(&script, said(), "\x14\0\0\0\3SHOW REPLICA STATUS");
    answer(mysql_names, values, ARRAY_LEN(values));
    PACKET(END);
    script_passes(&script, said());
    replica("Yes", "Yes", "11");
    script_fails(&script, said(), "lag 11 s, at most 10 s");
    mysql.max_lag_ms = 1500;
    script_fails(&script, said(), "lag 11 s, at most 1.5 s");
    mysql.max_lag_ms = 0; // any
    script_passes(&script, said());
    replica("Yes", "Yes", NULL);
    script_fails(&script, said(), "lag is unknown, at most 10 s");
    replica("Yes", "No", NULL);
    script_fails(&script, said(), "replication SQL thread has stopped");
    SCRIPT_SENDS(&script, said(), QUIT);
    replica("No", "Yes", NULL);
    script_fails(&script, said(), "replication IO thread has stopped");
    replica("Connecting", "Yes", NULL);
    script_fails(&script, said(), "replication IO thread: Connecting");
}

static void test_no_replica(void **state)
{
    static const char *const values[] = {"", "Yes", "Yes", "0"};
    static const char *const behind[] = {"", "Yes", "Yes", "99"};
    (void)state;
    mysql.role = DIALOGUE_REPLICA;
    log_in();
    sequence = 1;
    PACKET("\1");
    column("Slave_IO_Running");
    PACKET(END);
    script_fails(&script, said(), "no column Replica_SQL_Running in the answer");
    log_in(); // two sources, one of them behind
    answer(mariadb_names, behind, ARRAY_LEN(behind));
    row(values, ARRAY_LEN(values));
    PACKET(END);
    script_fails(&script, said(), "lag 99 s, at most 10 s");
    log_in(); // a primary has no rows
    answer(mariadb_names, values, ARRAY_LEN(values));
    size_t row_bytes = 4 + 1 + 4 + 4 + 2;
    n_stream -= row_bytes;
    sequence--;
    PACKET(END);
    script_fails(&script, said(), "not a replica: replication is not set up");
}

// Servers that do not know SHOW REPLICA STATUS yet.
static void test_old_words(void **state)
{
    static const char *const values[] = {"", "Yes", "Yes", "0"};
    (void)state;
    mysql.role = DIALOGUE_REPLICA;
    log_in();
    sequence = 1;
    PACKET("\xff\x28\4#42000You have an error in your SQL syntax");
    SCRIPT_SENDS(&script, said(), "\x12\0\0\0\3SHOW SLAVE STATUS");
    size_t n = n_stream;
    answer(mariadb_names, values, ARRAY_LEN(values));
    PACKET(END);
    script_passes(&script, said());
    n_stream = n;
    sequence = 1;
    PACKET("\xff\x28\4#42000syntax");
    script_fails(&script, said(), "syntax");
    log_in();
    sequence = 1;
    PACKET("\xff\xcb\4#42000Access denied; you need SLAVE MONITOR");
    script_fails(&script, said(), "Access denied; you need SLAVE MONITOR");
    SCRIPT_SENDS(&script, said(), QUIT);
}

// ---- servers that refuse or talk nonsense -----------------------------------------------------

static void fails_alone(const void *payload, size_t n, const char *why)
{
    n_stream = sequence = 0;
    packet(payload, n);
    script_fails(&script, said(), why);
}

#define FAILS_ALONE(literal, why) fails_alone(literal, sizeof(literal) - 1, why)

static void test_greetings(void **state)
{
    (void)state;
    user("evlb", "secret", DIALOGUE_ANY);
    FAILS_ALONE("\xff\x10\4Too many connections", "Too many connections");
    FAILS_ALONE("\xff\x6a\4Host \x1b[2J is not allowed", "Host ?[2J is not allowed");
    FAILS_ALONE("\xff\x6a\4", "error 1130");
    FAILS_ALONE("\xff\x6a\4\0x", "refused without a reason");
    FAILS_ALONE("\xff\x6a", "malformed error packet");
    FAILS_ALONE("\xff\x6a\4#420", "malformed error packet");
    FAILS_ALONE("\x09"
                "3.23\0",
                "protocol version 9, expected 10");
    FAILS_ALONE("", "malformed greeting");
    FAILS_ALONE(GREETING("\xff\x77", "\xff\xdf", NATIVE), "the server is older than MySQL 4.1");
    FAILS_ALONE(GREETING("\xff\xf5", "\xff\xdf", NATIVE), "the server is older than MySQL 4.1");
    FAILS_ALONE("\x0a"
                "4.0\0\1\2\3\4abcdefgh\0\1\0",
                "the server is older than MySQL 4.1");
    script_fails(&script, STR_NONE, "closed without a greeting");
    script_fails(&script, STR("SSH-2.0-OpenSSH_9.2\r\n"), "not a MySQL server");
    script_fails(&script, STR("220 mail ESMTP\r\n"), "not a MySQL server");
    script_fails(&script, STR("\x10\0\0\1"), "not a MySQL server");
}

// A greeting that ends early is refused wherever it ends, unless only its plugin is missing.
static void test_short_greetings(void **state)
{
    static const char greeting[] = GREETING("\xff\xf7", "\xff\xdf", NATIVE);
    const size_t scramble_end = sizeof(greeting) - sizeof(NATIVE);
    char reason[DIALOGUE_REASON];
    (void)state;
    user("evlb", "secret", DIALOGUE_ANY);
    for (size_t n = 0; n < scramble_end; n++) {
        n_stream = sequence = 0;
        packet(greeting, n);
        assert_int_equal(script_verdict(&script, said(), n_stream, reason), DIALOGUE_FAILED);
        assert_string_equal(reason, "malformed greeting");
    }
    n_stream = sequence = 0;
    packet(greeting, sizeof(greeting) - 1); // no NUL behind the plugin
    SCRIPT_SENDS(&script, said(), PROOF_NATIVE NATIVE "\0");
    n_stream = sequence = 0;
    packet(GREETING("\xff\xf7", "\0\0", ""), scramble_end); // MySQL 5.1 names no plugin
    SCRIPT_SENDS(&script, said(), "\x14" PROOF_NATIVE);
}

static void test_out_of_order(void **state)
{
    (void)state;
    mysql.role = DIALOGUE_WRITABLE;
    user("evlb", "secret", DIALOGUE_ANY);
    greet(NATIVE);
    sequence = 3;
    PACKET(OK);
    script_fails(&script, said(), "packet out of order: number 3, expected 2");
    greet(NATIVE);
    add("\xfd\x7f\0\2", 4); // one more than there is room for
    script_fails(&script, said(), "packet of 32765 bytes, at most 32764");
    greet(NATIVE);
    add("\xff\xff\xff\2", 4);
    script_fails(&script, said(), "packet of 16777215 bytes, at most 32764");
    greet(NATIVE);
    sequence = 2;
    PACKET("\xff\x15\4#28000Access denied for user 'evlbcheck'@'10.0.0.1' (using password: YES)");
    script_fails(&script, said(),
                 "Access denied for user 'evlbcheck'@'10.0.0.1' (using password: YES)");
    greet(NATIVE);
    sequence = 2;
    PACKET("");
    script_fails(&script, said(), "malformed login");
}

// The largest packet that is taken, as an error of which the beginning is shown.
static void test_longest_packet(void **state)
{
    static char payload[DIALOGUE_IN_MAX - MYSQL_HEAD];
    char why[DIALOGUE_REASON] = "", reason[DIALOGUE_REASON];
    (void)state;
    user("evlb", "secret", DIALOGUE_ANY);
    greet(NATIVE);
    memset(payload, 'x', sizeof(payload));
    memcpy(payload, "\xff\x15\4", 3);
    memset(why, 'x', sizeof(why) - 1);
    sequence = 2;
    packet(payload, sizeof(payload));
    assert_int_equal(script_verdict(&script, said(), 16384, reason), DIALOGUE_FAILED);
    assert_string_equal(reason, why);
}

static void test_malformed_answers(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } heads[] = {{"", 0},           {"\0\0\0\2\0", 5}, {"\xfb/etc/passwd", 12}, {"\xfe\1", 2},
                 {"\xfc\1\x10", 3}, {"\1\1", 2},       {"\xfd\1", 2},           {"\0", 1}};
    (void)state;
    mysql.role = DIALOGUE_WRITABLE;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        log_in();
        sequence = 1;
        packet(heads[i].bytes, heads[i].n);
        script_fails(&script, said(), "malformed answer");
    }
    static const char *const columns[] = {"", "\3de", "\3def\xfc\xff\xff", "\3def\0\0\0\xfb",
                                          "\xff"};
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        log_in();
        sequence = 1;
        PACKET("\1");
        packet(columns[i], strlen(columns[i]));
        script_fails(&script, said(), "malformed answer");
    }
    static const char *const rows[] = {"",
                                       "\2"
                                       "1",
                                       "\1"
                                       "1x",
                                       "\xfc",
                                       "\xff",
                                       "\xfe\xff\xff\xff\xff\xff\xff\xff\xff"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        log_in();
        sequence = 1;
        PACKET("\1");
        column("READ_ONLY");
        PACKET(END);
        packet(rows[i], strlen(rows[i]));
        script_fails(&script, said(), i == 4 ? "malformed error packet" : "malformed answer");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native),
        cmocka_unit_test(test_caching_sha2),
        cmocka_unit_test(test_switch),
        cmocka_unit_test(test_other_plugins),
        cmocka_unit_test(test_public_key),
        cmocka_unit_test(test_bad_public_key),
        cmocka_unit_test(test_writable),
        cmocka_unit_test(test_replica),
        cmocka_unit_test(test_no_replica),
        cmocka_unit_test(test_old_words),
        cmocka_unit_test(test_greetings),
        cmocka_unit_test(test_short_greetings),
        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_longest_packet),
        cmocka_unit_test(test_malformed_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
