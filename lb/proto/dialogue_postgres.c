// SPDX-License-Identifier: MIT
// The health check of PostgreSQL (protocol 3.0). Runs in control, called by checks.c. It logs in,
// asks for the role that the server plays, and ends the session as a client should.
//
//   START --> LOGIN --trust, password, md5------------------------ok--> READY --Z--> ANSWER --Z-->
//                '--SCRAM--> SASL_FIRST --> SASL_FINAL --> VERIFIED --ok--^       verdict
//
// Invariants: a server that asks for SCRAM must end it with its own signature before we believe
// its "ok"; an answer is read to its end (ReadyForQuery) before the verdict.
#include "base/base64.h"
#include "base/digest.h"
#include "proto/dialogue.h"
#include "proto/scram.h"

#define HEAD_BYTES 5 // type, and a length that counts itself but not the type
#define PROTOCOL_3_0 (3u << 16)
#define NONCE_TEXT BASE64_LEN(sizeof(((struct dialogue_postgres *)0)->nonce))

enum phase { START, LOGIN, SASL_FIRST, SASL_FINAL, VERIFIED, READY, ANSWER };
enum login {
    LOGIN_OK = 0,
    LOGIN_CLEARTEXT = 3,
    LOGIN_MD5 = 5,
    LOGIN_SASL = 10,
    LOGIN_SASL_CONTINUE = 11,
    LOGIN_SASL_FINAL = 12,
};

_Static_assert(SCRAM_SIGNATURE == sizeof(((struct dialogue_postgres *)0)->server_signature),
               "dialogue.h");

struct turn {
    struct dialogue_postgres *d;
    struct buf *out;
    char *reason;
};

// ---- talking ----------------------------------------------------------------------------------

static bool put_u32(struct buf *out, size_t value)
{
    const uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                             (uint8_t)value};
    return buf_append(out, bytes, sizeof(bytes));
}

static uint32_t u32_at(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static enum dialogue_step spoken(struct turn *t, bool fits)
{
    return fits ? DIALOGUE_MORE : dialogue_fail(t->reason, "out of memory");
}

// One message: `text` and its NUL.
static enum dialogue_step say(struct turn *t, char type, struct str text)
{
    return spoken(t, buf_append(t->out, &type, 1) && put_u32(t->out, 4 + text.len + 1) &&
                         buf_append(t->out, text.p, text.len) && buf_append(t->out, "", 1));
}

static enum dialogue_step malformed(struct turn *t)
{
    return dialogue_fail(t->reason, "malformed %s", t->d->phase < READY ? "login" : "answer");
}

static enum dialogue_step leave(struct turn *t, enum dialogue_step verdict)
{
    bool said = buf_append(t->out, "X\0\0\0\4", HEAD_BYTES); // Terminate
    (void)said; // a farewell: the verdict stands without it
    return verdict;
}

static enum dialogue_step begin(struct turn *t)
{
    static const char user[] = "user", database[] = "database", us[] = "application_name\0evlb\0";
    const struct dialogue_postgres *d = t->d;
    struct str name = d->database.len > 0 ? d->database : d->user;
    size_t n = 8 + sizeof(user) + d->user.len + 1 + sizeof(database) + name.len + 1 + sizeof(us);
    t->d->phase = LOGIN;
    return spoken(t, put_u32(t->out, n) && put_u32(t->out, PROTOCOL_3_0) &&
                         buf_append(t->out, user, sizeof(user)) &&
                         buf_append(t->out, d->user.p, d->user.len) && buf_append(t->out, "", 1) &&
                         buf_append(t->out, database, sizeof(database)) &&
                         buf_append(t->out, name.p, name.len) && buf_append(t->out, "", 1) &&
                         buf_append(t->out, us, sizeof(us)));
}

// ---- the login --------------------------------------------------------------------------------

static void put_hex(const uint8_t digest[MD5_BYTES], char out[2 * MD5_BYTES + 1])
{
    for (size_t i = 0; i < MD5_BYTES; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

// "md5" and MD5(MD5(password, user), salt), both in hexadecimal.
static enum dialogue_step say_md5(struct turn *t, struct str salt)
{
    uint8_t digest[MD5_BYTES];
    char text[3 + 2 * MD5_BYTES + 1] = "md5", *hex = text + 3;
    if (!digest_md5(t->d->password, t->d->user, digest))
        return dialogue_fail(t->reason, "md5 is not available here");
    put_hex(digest, hex);
    if (!digest_md5((struct str){hex, 2 * MD5_BYTES}, salt, digest))
        return dialogue_fail(t->reason, "md5 is not available here");
    put_hex(digest, hex);
    return say(t, 'p', str_of(text));
}

// The server knows the user from the beginning and ignores the name in here.
static struct scram scram_of(const struct dialogue_postgres *d, char nonce[NONCE_TEXT])
{
    size_t n = base64_encode(d->nonce, sizeof(d->nonce), nonce);
    return (struct scram){.password = d->password, .nonce = {nonce, n}};
}

static enum dialogue_step begin_sasl(struct turn *t, struct str mechanisms)
{
    static const char name[] = "SCRAM-SHA-256";
    char nonce[NONCE_TEXT], text[SCRAM_TEXT];
    struct scram s = scram_of(t->d, nonce);
    struct str one = STR("-");
    while (one.len > 0 && !str_eq(one, STR("SCRAM-SHA-256")))
        one = str_cut(&mechanisms, '\0');
    if (one.len == 0)
        return dialogue_fail(t->reason, "login wants a SASL mechanism that evlb does not know");
    if (!scram_first(&s, text))
        return malformed(t);
    t->d->phase = SASL_FIRST;
    size_t n = strlen(text) + 3;
    return spoken(t, buf_append(t->out, "p", 1) && put_u32(t->out, 4 + sizeof(name) + 4 + n) &&
                         buf_append(t->out, name, sizeof(name)) && put_u32(t->out, n) &&
                         buf_append(t->out, "n,,", 3) && buf_append(t->out, text, n - 3));
}

static enum dialogue_step continue_sasl(struct turn *t, struct str server_first)
{
    static const char *const faults[] = {
        [SCRAM_MALFORMED] = "malformed SCRAM challenge",
        [SCRAM_TOO_COSTLY] = "the password's SCRAM iterations are too many for a health check",
        [SCRAM_NO_DIGEST] = "the digest of the login is not available here",
    };
    char nonce[NONCE_TEXT], text[SCRAM_TEXT];
    struct scram s = scram_of(t->d, nonce);
    enum scram_result r = scram_final(&s, server_first, text, t->d->server_signature);
    if (r != SCRAM_OK)
        return dialogue_fail(t->reason, "%s", faults[r]);
    t->d->phase = SASL_FINAL;
    size_t n = strlen(text);
    return spoken(t, buf_append(t->out, "p", 1) && put_u32(t->out, 4 + n) &&
                         buf_append(t->out, text, n));
}

static enum dialogue_step end_sasl(struct turn *t, struct str server_final)
{
    if (!scram_verified(server_final, t->d->server_signature))
        return dialogue_fail(t->reason, "the server does not know the password itself");
    t->d->phase = VERIFIED;
    return DIALOGUE_MORE;
}

static enum dialogue_step login_with_password(struct turn *t, uint32_t how, struct str rest)
{
    if (how != LOGIN_CLEARTEXT && how != LOGIN_MD5 && how != LOGIN_SASL)
        return dialogue_fail(t->reason, "login method %u, which evlb does not know", how);
    if (t->d->password.len == 0)
        return dialogue_fail(t->reason, "the server wants a password, and none is configured");
    if (how == LOGIN_CLEARTEXT)
        return say(t, 'p', t->d->password);
    if (how == LOGIN_SASL)
        return begin_sasl(t, rest);
    return rest.len == 4 ? say_md5(t, rest) : malformed(t);
}

static enum dialogue_step on_login(struct turn *t, struct str payload)
{
    uint32_t phase = t->d->phase;
    if (payload.len < 4)
        return malformed(t);
    uint32_t how = u32_at(payload.p);
    struct str rest = {payload.p + 4, payload.len - 4};
    if (phase == SASL_FIRST && how == LOGIN_SASL_CONTINUE)
        return continue_sasl(t, rest);
    if (phase == SASL_FINAL && how == LOGIN_SASL_FINAL)
        return end_sasl(t, rest);
    if (how == LOGIN_OK && (phase == LOGIN || phase == VERIFIED)) {
        t->d->phase = READY;
        return DIALOGUE_MORE;
    }
    return phase == LOGIN ? login_with_password(t, how, rest) : malformed(t);
}

// ---- the answer -------------------------------------------------------------------------------

// Severity, code, message, ...: each a letter and a text.
static enum dialogue_step on_error(struct turn *t, struct str payload)
{
    while (payload.len > 1 && payload.p[0] != '\0') {
        struct str field = str_cut(&payload, '\0');
        if (field.p[0] == 'M' && field.len > 1)
            return leave(t, dialogue_fail(t->reason, "%.*s", (int)field.len - 1, field.p + 1));
    }
    return malformed(t);
}

// A value of the row; p is NULL for NULL.
static bool cut_value(struct str *row, struct str *value)
{
    if (row->len < 4)
        return false;
    uint32_t n = u32_at(row->p);
    *row = (struct str){row->p + 4, row->len - 4};
    *value = STR_NONE;
    if (n == UINT32_MAX)
        return true;
    if (n > row->len)
        return false;
    *value = (struct str){row->p, n};
    *row = (struct str){row->p + n, row->len - n};
    return true;
}

static enum dialogue_step on_row(struct turn *t, struct str payload)
{
    struct dialogue_postgres *d = t->d;
    struct str row, in_recovery, read_only;
    if (payload.len < 2 || payload.p[0] != 0 || payload.p[1] != 2)
        return malformed(t);
    row = (struct str){payload.p + 2, payload.len - 2};
    if (!cut_value(&row, &in_recovery) || !cut_value(&row, &read_only) || row.len > 0)
        return malformed(t);
    bool replica = str_eq(in_recovery, STR("t"));
    if (d->role == DIALOGUE_REPLICA && !replica)
        (void)dialogue_fail(d->finding, "not in recovery, expected replica");
    else if (d->role == DIALOGUE_WRITABLE && replica)
        (void)dialogue_fail(d->finding, "in recovery (a standby), expected writable");
    else if (d->role == DIALOGUE_WRITABLE && !str_eq(read_only, STR("off")))
        (void)dialogue_fail(d->finding, "transactions are read-only, expected writable");
    else
        d->finding[0] = '\0';
    return DIALOGUE_MORE;
}

static enum dialogue_step on_ready(struct turn *t)
{
    struct dialogue_postgres *d = t->d;
    if (d->phase == ANSWER && d->finding[0] != '\0')
        return leave(t, dialogue_fail(t->reason, "%s", d->finding));
    if (d->phase == ANSWER || d->role == DIALOGUE_ANY)
        return leave(t, DIALOGUE_PASSED);
    d->phase = ANSWER;
    (void)dialogue_fail(d->finding, "no row in the answer"); // until there is one
    return say(t, 'Q',
               STR("SELECT pg_catalog.pg_is_in_recovery(), "
                   "pg_catalog.current_setting('transaction_read_only')"));
}

// ---- the conversation -------------------------------------------------------------------------

static enum dialogue_step on_message(struct turn *t, char type, struct str payload)
{
    bool in = t->d->phase >= READY;
    bool answer = t->d->phase == ANSWER;
    switch (type) {
    case 'E':
        return on_error(t, payload);
    case 'R':
        return in ? malformed(t) : on_login(t, payload);
    case 'Z':
        return in ? on_ready(t) : malformed(t);
    case 'D':
        return answer ? on_row(t, payload) : malformed(t);
    case 'T': // the columns, which we know
    case 'C': // what was done
        return answer ? DIALOGUE_MORE : malformed(t);
    case 'S': // a parameter of the session
    case 'K': // the key to cancel it
    case 'N': // a notice
    case 'v': // the protocol's minor version
        return DIALOGUE_MORE;
    default:
        return malformed(t);
    }
}

static enum dialogue_step waiting(struct turn *t, bool eof)
{
    if (!eof)
        return DIALOGUE_MORE;
    return dialogue_fail(t->reason, t->d->phase < READY ? "closed during the login"
                                                        : "closed before its answer");
}

static enum dialogue_step step(struct dialogue *base, struct str in, bool eof, size_t *used,
                               struct buf *out, char reason[DIALOGUE_REASON])
{
    struct turn t = {container_of(base, struct dialogue_postgres, base), out, reason};
    enum dialogue_step result = DIALOGUE_MORE;
    *used = 0;
    if (t.d->phase == START)
        return begin(&t);
    while (result == DIALOGUE_MORE) {
        struct str rest = {in.p + *used, in.len - *used};
        if (rest.len > 0 && t.d->phase == LOGIN && memchr("REvN", rest.p[0], 4) == NULL)
            return dialogue_fail(reason, "not a PostgreSQL server");
        if (rest.len < HEAD_BYTES)
            return waiting(&t, eof);
        size_t n = (size_t)u32_at(rest.p + 1) + 1;
        if (n < HEAD_BYTES || n > DIALOGUE_IN_MAX)
            return dialogue_fail(reason, "message of %zu bytes, at most %u", n, DIALOGUE_IN_MAX);
        if (rest.len < n)
            return waiting(&t, eof);
        *used += n;
        result = on_message(&t, rest.p[0], (struct str){rest.p + HEAD_BYTES, n - HEAD_BYTES});
    }
    return result;
}

void dialogue_postgres_init(struct dialogue_postgres *d)
{
    d->base.step = step;
    d->phase = START;
    d->finding[0] = '\0';
}
