// SPDX-License-Identifier: MIT
// The health check of MariaDB and MySQL. Runs in control, called by checks.c. It logs in, asks for
// the role that the server plays, and leaves with COM_QUIT, so that the server counts no aborted
// connection, also when the role is the wrong one.
//
//   GREETING --> LOGIN --OK--> HEAD --> COLUMNS --> COLUMNS_END --> ROWS --end--> verdict
//                 ^  |          ^ '--ERR 1064: SHOW REPLICA STATUS is unknown--.
//                 |  v          '----------- ask again in the old words -------'
//                 KEY  (caching_sha2_password: the server's public key)
//
// Invariants: sequence numbers are those the protocol says, or the check fails; an answer is read
// to its end before the verdict; no plugin ever gets the password in clear text.
#include "base/digest.h"
#include "proto/dialogue.h"

#define PAYLOAD_MAX (DIALOGUE_IN_MAX - MYSQL_HEAD)
#define COLUMNS_MAX 4096
#define ERROR_SYNTAX 1064
#define KEY_PASSWORD_MAX 213 // what OAEP has room for with a 2048-bit key, less the NUL

enum phase { GREETING, LOGIN, KEY, HEAD, COLUMNS, COLUMNS_END, ROWS };
enum query { READ_ONLY, REPLICA_STATUS, SLAVE_STATUS };
enum column { IO_THREAD, SQL_THREAD, LAG, COLUMN_KINDS }; // READ_ONLY has one: the first

struct turn {
    struct dialogue_mysql *d;
    struct buf *out;
    char *reason;
};

// Columns by the names of MySQL 8.0.22 and later, then by those of MariaDB and of older ones.
static const struct {
    struct str text;
    struct str columns[COLUMN_KINDS][2];
} queries[] = {
    [READ_ONLY] = {STR("\3SELECT @@global.read_only AS read_only"), {{STR("read_only")}}},
    [REPLICA_STATUS] = {STR("\3SHOW REPLICA STATUS"),
                        {{STR("Replica_IO_Running"), STR("Slave_IO_Running")},
                         {STR("Replica_SQL_Running"), STR("Slave_SQL_Running")},
                         {STR("Seconds_Behind_Source"), STR("Seconds_Behind_Master")}}},
    [SLAVE_STATUS] = {STR("\3SHOW SLAVE STATUS"),
                      {{STR("Slave_IO_Running")},
                       {STR("Slave_SQL_Running")},
                       {STR("Seconds_Behind_Master")}}},
};

// ---- talking ----------------------------------------------------------------------------------

static enum dialogue_step say(struct turn *t, struct str payload)
{
    if (mysql_put(t->out, t->d->sequence++, payload))
        return DIALOGUE_MORE;
    return dialogue_fail(t->reason, "out of memory");
}

static enum dialogue_step malformed(struct turn *t, const char *what)
{
    return dialogue_fail(t->reason, "malformed %s", what);
}

static enum dialogue_step leave(struct turn *t, enum dialogue_step verdict)
{
    bool said = mysql_put(t->out, 0, STR("\1")); // COM_QUIT
    (void)said;                                  // a farewell: the verdict stands without it
    return verdict;
}

static bool is(struct str payload, enum mysql_byte first)
{
    return payload.len > 0 && (uint8_t)payload.p[0] == (uint8_t)first;
}

static enum dialogue_step refused(struct turn *t, struct str payload)
{
    struct str text;
    unsigned code = mysql_read_error(payload, &text);
    if (code == 0)
        return malformed(t, "error packet");
    if (text.len == 0)
        return dialogue_fail(t->reason, "error %u", code);
    return dialogue_fail(t->reason, "%.*s", STR_FMT(text));
}

static enum dialogue_step ask(struct turn *t, enum query query)
{
    struct dialogue_mysql *d = t->d;
    d->query = query;
    d->phase = HEAD;
    d->sequence = 0; // of a new command
    d->column = d->rows = 0;
    memset(d->where, 0, sizeof(d->where));
    return say(t, queries[query].text);
}

// ---- the login --------------------------------------------------------------------------------

static enum dialogue_step logged_in(struct turn *t)
{
    if (t->d->role == DIALOGUE_ANY)
        return leave(t, DIALOGUE_PASSED);
    return ask(t, t->d->role == DIALOGUE_WRITABLE ? READ_ONLY : REPLICA_STATUS);
}

static enum dialogue_step on_greeting(struct turn *t, struct str payload)
{
    struct dialogue_mysql *d = t->d;
    const uint32_t needed = MYSQL_PROTOCOL_41 | MYSQL_SECURE_CONNECTION;
    struct mysql_greeting g;
    uint8_t proof[MYSQL_PROOF];
    size_t n;
    if (is(payload, MYSQL_ERR))
        return refused(t, payload);
    if (!mysql_read_greeting(payload, &g))
        return malformed(t, "greeting");
    if (g.version != 10)
        return dialogue_fail(t->reason, "protocol version %u, expected 10", g.version);
    if ((g.capabilities & needed) != needed)
        return dialogue_fail(t->reason, "the server is older than MySQL 4.1");
    memcpy(d->scramble, g.scramble, MYSQL_SCRAMBLE);
    d->plugin = mysql_plugin_of(g.plugin);
    if (d->plugin == MYSQL_OTHER) // it is only the server's default: it will say what this user has
        d->plugin = MYSQL_NATIVE;
    if (!mysql_prove(d->plugin, d->password, d->scramble, proof, &n))
        return dialogue_fail(t->reason, "the digest of the login is not available here");
    if (!mysql_put_login(t->out, &g, d->plugin, d->user, (struct str){(char *)proof, n}))
        return dialogue_fail(t->reason, "out of memory");
    d->sequence = 2;
    d->phase = LOGIN;
    return DIALOGUE_MORE;
}

static enum dialogue_step on_switch(struct turn *t, struct str payload)
{
    struct dialogue_mysql *d = t->d;
    struct str name;
    uint8_t proof[MYSQL_PROOF];
    size_t n;
    if (!mysql_read_switch(payload, &name, d->scramble))
        return dialogue_fail(t->reason, "login wants the plugin of before MySQL 4.1");
    d->plugin = mysql_plugin_of(name);
    if (d->plugin == MYSQL_OTHER)
        return dialogue_fail(t->reason, "login wants plugin '%.*s', which evlb does not know",
                             STR_FMT(name));
    if (!mysql_prove(d->plugin, d->password, d->scramble, proof, &n))
        return dialogue_fail(t->reason, "the digest of the login is not available here");
    return say(t, (struct str){(char *)proof, n});
}

// caching_sha2_password: 3: known, an OK follows; 4: the password itself is wanted.
static enum dialogue_step on_more_data(struct turn *t, struct str payload)
{
    if (t->d->plugin != MYSQL_CACHING_SHA2 || payload.len != 2)
        return malformed(t, "login");
    if (payload.p[1] == 3)
        return DIALOGUE_MORE;
    if (payload.p[1] != 4)
        return malformed(t, "login");
    t->d->phase = KEY;
    return say(t, STR("\2")); // asks for the public key
}

static enum dialogue_step on_login(struct turn *t, struct str payload)
{
    if (is(payload, MYSQL_OK))
        return logged_in(t);
    if (is(payload, MYSQL_ERR))
        return refused(t, payload);
    if (is(payload, MYSQL_EOF))
        return on_switch(t, payload);
    if (is(payload, MYSQL_MORE_DATA))
        return on_more_data(t, payload);
    return malformed(t, "login");
}

// The password with its NUL, xor the scramble, encrypted for the server.
static enum dialogue_step on_key(struct turn *t, struct str payload)
{
    const struct dialogue_mysql *d = t->d;
    char plain[KEY_PASSWORD_MAX + 1] = "";
    uint8_t secret[RSA_BYTES];
    size_t n;
    if (is(payload, MYSQL_ERR))
        return refused(t, payload);
    if (!is(payload, MYSQL_MORE_DATA))
        return malformed(t, "login");
    if (!str_copy(d->password, plain, sizeof(plain)))
        return dialogue_fail(t->reason, "the password is too long for caching_sha2_password");
    for (size_t i = 0; i <= d->password.len; i++)
        plain[i] = (char)(plain[i] ^ d->scramble[i % MYSQL_SCRAMBLE]);
    struct str pem = {payload.p + 1, payload.len - 1};
    if (!digest_rsa_oaep(pem, (struct str){plain, d->password.len + 1}, secret, &n))
        return dialogue_fail(t->reason, "the server's public key cannot be used");
    t->d->phase = LOGIN;
    return say(t, (struct str){(char *)secret, n});
}

// ---- the answer -------------------------------------------------------------------------------

static enum dialogue_step on_head(struct turn *t, struct str payload)
{
    struct dialogue_mysql *d = t->d;
    struct str text;
    uint64_t columns;
    if (is(payload, MYSQL_ERR)) {
        if (d->query == REPLICA_STATUS && mysql_read_error(payload, &text) == ERROR_SYNTAX)
            return ask(t, SLAVE_STATUS);
        return leave(t, refused(t, payload));
    }
    if (!mysql_cut_number(&payload, &columns) || payload.len > 0 || columns == 0 ||
        columns > COLUMNS_MAX)
        return malformed(t, "answer");
    d->columns = (uint32_t)columns;
    d->phase = COLUMNS;
    return DIALOGUE_MORE;
}

static enum dialogue_step on_column(struct turn *t, struct str payload)
{
    struct dialogue_mysql *d = t->d;
    struct str name;
    if (!mysql_read_column(payload, &name))
        return malformed(t, "answer");
    d->column++;
    for (size_t kind = 0; kind < COLUMN_KINDS; kind++) {
        const struct str *wanted = queries[d->query].columns[kind];
        if (name.len > 0 && (str_caseeq(name, wanted[0]) || str_caseeq(name, wanted[1])))
            d->where[kind] = d->column;
    }
    if (d->column == d->columns)
        d->phase = COLUMNS_END;
    return DIALOGUE_MORE;
}

static bool is_end(struct str payload)
{
    return is(payload, MYSQL_EOF) && payload.len < 9; // longer: a row whose first value is huge
}

static enum dialogue_step on_columns_end(struct turn *t, struct str payload)
{
    struct dialogue_mysql *d = t->d;
    if (!is_end(payload))
        return malformed(t, "answer");
    for (size_t kind = 0; kind < COLUMN_KINDS; kind++) {
        struct str name = queries[d->query].columns[kind][0];
        if (name.len > 0 && d->where[kind] == 0)
            return dialogue_fail(t->reason, "no column %.*s in the answer", STR_FMT(name));
    }
    d->phase = ROWS;
    return DIALOGUE_MORE;
}

static void judge_read_only(struct dialogue_mysql *d, struct str value)
{
    if (!str_eq(value, STR("0")) && !str_caseeq(value, STR("OFF")))
        (void)dialogue_fail(d->finding, "read_only is ON, expected writable");
}

// "Yes", "No", or "Connecting" and "Preparing" while a thread runs but has no source.
static bool judge_thread(struct dialogue_mysql *d, const char *name, struct str running)
{
    if (str_caseeq(running, STR("Yes")))
        return true;
    if (running.len == 0 || str_caseeq(running, STR("No")))
        (void)dialogue_fail(d->finding, "replication %s thread has stopped", name);
    else
        (void)dialogue_fail(d->finding, "replication %s thread: %.*s", name, STR_FMT(running));
    return false;
}

static void judge_replica(struct dialogue_mysql *d, const struct str values[COLUMN_KINDS])
{
    uint64_t lag_s;
    if (!judge_thread(d, "SQL", values[SQL_THREAD]) || !judge_thread(d, "IO", values[IO_THREAD]) ||
        d->max_lag_ms == 0)
        return;
    if (!str_to_u64(values[LAG], &lag_s))
        (void)dialogue_fail(d->finding, "lag is unknown, at most %g s", d->max_lag_ms / 1000.0);
    else if (lag_s > d->max_lag_ms / 1000)
        (void)dialogue_fail(d->finding, "lag %llu s, at most %g s", (unsigned long long)lag_s,
                            d->max_lag_ms / 1000.0);
}

static enum dialogue_step judge_answer(struct turn *t)
{
    const struct dialogue_mysql *d = t->d;
    if (d->finding[0] != '\0')
        return leave(t, dialogue_fail(t->reason, "%s", d->finding));
    if (d->rows == 0)
        return leave(t, dialogue_fail(t->reason, "not a replica: replication is not set up"));
    return leave(t, DIALOGUE_PASSED);
}

// A replica of several sources has a row for each: all must be fine.
static enum dialogue_step on_row(struct turn *t, struct str payload)
{
    struct dialogue_mysql *d = t->d;
    struct str values[COLUMN_KINDS] = {STR_NONE}, value;
    if (is_end(payload))
        return judge_answer(t);
    if (is(payload, MYSQL_ERR))
        return leave(t, refused(t, payload));
    for (uint32_t i = 1; i <= d->columns; i++) {
        if (!mysql_cut_value(&payload, &value))
            return malformed(t, "answer");
        for (size_t kind = 0; kind < COLUMN_KINDS; kind++) {
            if (d->where[kind] == i)
                values[kind] = value;
        }
    }
    d->rows++;
    if (payload.len > 0)
        return malformed(t, "answer");
    if (d->finding[0] == '\0' && d->query == READ_ONLY)
        judge_read_only(d, values[0]);
    else if (d->finding[0] == '\0')
        judge_replica(d, values);
    return DIALOGUE_MORE;
}

// ---- the conversation -------------------------------------------------------------------------

static const struct {
    enum dialogue_step (*on_packet)(struct turn *t, struct str payload);
    const char *closed; // when the server leaves in this phase
} phases[] = {
    [GREETING] = {on_greeting, "closed without a greeting"},
    [LOGIN] = {on_login, "closed during the login"},
    [KEY] = {on_key, "closed during the login"},
    [HEAD] = {on_head, "closed instead of an answer"},
    [COLUMNS] = {on_column, "closed in the middle of an answer"},
    [COLUMNS_END] = {on_columns_end, "closed in the middle of an answer"},
    [ROWS] = {on_row, "closed in the middle of an answer"},
};

// A packet that is too long or out of turn. What does not even greet right is something else.
static enum dialogue_step astray(struct turn *t, size_t payload_len, uint8_t sequence)
{
    if (t->d->phase == GREETING)
        return dialogue_fail(t->reason, "not a MySQL server");
    if (payload_len > PAYLOAD_MAX)
        return dialogue_fail(t->reason, "packet of %zu bytes, at most %u", payload_len,
                             PAYLOAD_MAX);
    return dialogue_fail(t->reason, "packet out of order: number %u, expected %u", sequence,
                         t->d->sequence);
}

static enum dialogue_step step(struct dialogue *base, struct str in, bool eof, size_t *used,
                               struct buf *out, char reason[DIALOGUE_REASON])
{
    struct turn t = {container_of(base, struct dialogue_mysql, base), out, reason};
    enum dialogue_step result = DIALOGUE_MORE;
    for (*used = 0; result == DIALOGUE_MORE;) {
        struct str rest = {in.p + *used, in.len - *used}, payload;
        size_t payload_len;
        uint8_t sequence = t.d->sequence;
        bool whole = mysql_packet(rest, &payload, &payload_len, &sequence);
        if (payload_len > PAYLOAD_MAX || sequence != t.d->sequence)
            return astray(&t, payload_len, sequence);
        if (!whole)
            return eof ? dialogue_fail(reason, "%s", phases[t.d->phase].closed) : DIALOGUE_MORE;
        t.d->sequence++;
        *used += MYSQL_HEAD + payload_len;
        result = phases[t.d->phase].on_packet(&t, payload);
    }
    return result;
}

void dialogue_mysql_init(struct dialogue_mysql *d)
{
    d->base.step = step;
    d->phase = GREETING;
    d->sequence = 0;
    d->finding[0] = '\0';
}
