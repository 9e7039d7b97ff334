// SPDX-License-Identifier: MIT
// Codec of MySQL packets: framing, greeting, login, columns and rows. Pure; called by the health
// check (dialogue_mysql.c), which runs in control.
//
//    +---------------+-----+---------------------------
//    | length, 3, LE | seq | payload: the first byte says what it is
//    +---------------+-----+---------------------------
//
// Invariants: a reader takes nothing for granted that a server said, least of all a length; cutting
// moves the beginning of a slice and never its end.
#include "proto/mysql.h"

#include "base/digest.h"

#define CHARSET_UTF8 33

static const struct str plugin_names[] = {
    [MYSQL_NATIVE] = STR("mysql_native_password"),
    [MYSQL_CACHING_SHA2] = STR("caching_sha2_password"),
};

// ---- parts ------------------------------------------------------------------------------------

static bool cut_bytes(struct str *in, uint64_t n, struct str *bytes)
{
    if (n > in->len)
        return false;
    *bytes = (struct str){in->p, (size_t)n};
    *in = (struct str){in->p + n, in->len - (size_t)n};
    return true;
}

// A little endian number of `n` bytes, at most 8.
static bool cut_fixed(struct str *in, size_t n, uint64_t *value)
{
    struct str bytes;
    if (!cut_bytes(in, n, &bytes))
        return false;
    *value = 0;
    for (size_t i = n; i-- > 0;)
        *value = *value << 8 | (uint8_t)bytes.p[i];
    return true;
}

// Up to a NUL, which is cut off as well. Some servers leave out the last one of a packet.
static struct str cut_string(struct str *in)
{
    struct str text, nul;
    (void)cut_bytes(in, str_find(*in, '\0'), &text);
    (void)cut_bytes(in, MIN_OF(in->len, (size_t)1), &nul);
    return text;
}

bool mysql_cut_number(struct str *in, uint64_t *value)
{
    static const size_t bytes[] = {2, 3, 8}; // of those that begin with 0xfc, 0xfd, 0xfe
    if (!cut_fixed(in, 1, value) || *value == MYSQL_NULL || *value == MYSQL_ERR)
        return false;
    return *value < MYSQL_NULL || cut_fixed(in, bytes[*value - 0xfc], value);
}

bool mysql_cut_text(struct str *in, struct str *text)
{
    uint64_t n;
    return mysql_cut_number(in, &n) && cut_bytes(in, n, text);
}

bool mysql_cut_value(struct str *row, struct str *text)
{
    if (row->len == 0 || (uint8_t)row->p[0] != MYSQL_NULL)
        return mysql_cut_text(row, text);
    (void)cut_bytes(row, 1, text);
    *text = STR_NONE;
    return true;
}

// ---- packets ----------------------------------------------------------------------------------

bool mysql_packet(struct str in, struct str *payload, size_t *payload_len, uint8_t *sequence)
{
    uint64_t n, seq;
    *payload_len = 0;
    if (in.len < MYSQL_HEAD || !cut_fixed(&in, 3, &n) || !cut_fixed(&in, 1, &seq))
        return false;
    *payload_len = (size_t)n;
    *sequence = (uint8_t)seq;
    return cut_bytes(&in, n, payload);
}

static bool put_fixed(struct buf *out, uint32_t value, size_t n)
{
    const uint8_t bytes[] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                             (uint8_t)(value >> 24)};
    return buf_append(out, bytes, n);
}

static bool put_head(struct buf *out, size_t payload_len, uint8_t sequence)
{
    lb_assert(payload_len < 1u << 24);
    return put_fixed(out, (uint32_t)payload_len | (uint32_t)sequence << 24, MYSQL_HEAD);
}

bool mysql_put(struct buf *out, uint8_t sequence, struct str payload)
{
    return put_head(out, payload.len, sequence) && buf_append(out, payload.p, payload.len);
}

// ---- what a server says -----------------------------------------------------------------------

// What follows the first eight bytes of the scramble; old servers end early, which the capabilities
// then show.
static bool read_greeting_rest(struct str in, struct mysql_greeting *g)
{
    struct str skipped, scramble;
    uint64_t low, high, scramble_len;
    if (!cut_bytes(&in, 1, &skipped) || !cut_fixed(&in, 2, &low))
        return false;
    g->capabilities = (uint32_t)low;
    if ((low & MYSQL_PROTOCOL_41) == 0 || (low & MYSQL_SECURE_CONNECTION) == 0)
        return true;
    if (!cut_bytes(&in, 3, &skipped) || !cut_fixed(&in, 2, &high) ||
        !cut_fixed(&in, 1, &scramble_len) || !cut_bytes(&in, 10, &skipped))
        return false;
    g->capabilities |= (uint32_t)high << 16;
    if (!cut_bytes(&in, scramble_len > 21 ? scramble_len - 8 : 13, &scramble))
        return false;
    memcpy(g->scramble + 8, scramble.p, MYSQL_SCRAMBLE - 8);
    if ((g->capabilities & MYSQL_PLUGIN_AUTH) != 0)
        g->plugin = cut_string(&in);
    return true;
}

bool mysql_read_greeting(struct str payload, struct mysql_greeting *g)
{
    struct str skipped, scramble;
    uint64_t version;
    *g = (struct mysql_greeting){0};
    if (!cut_fixed(&payload, 1, &version))
        return false;
    g->version = (uint8_t)version;
    if (version != 10)
        return true;
    (void)cut_string(&payload); // the server's own version
    if (!cut_bytes(&payload, 4, &skipped) || !cut_bytes(&payload, 8, &scramble))
        return false;
    memcpy(g->scramble, scramble.p, 8);
    return read_greeting_rest(payload, g);
}

bool mysql_read_switch(struct str payload, struct str *plugin, uint8_t scramble[MYSQL_SCRAMBLE])
{
    struct str first;
    if (!cut_bytes(&payload, 1, &first) || payload.len == 0)
        return false;
    *plugin = cut_string(&payload);
    memset(scramble, 0, MYSQL_SCRAMBLE); // other plugins have other scrambles, or none
    memcpy(scramble, payload.p, MIN_OF(payload.len, (size_t)MYSQL_SCRAMBLE));
    return true;
}

unsigned mysql_read_error(struct str payload, struct str *text)
{
    uint64_t first, code;
    struct str state;
    if (!cut_fixed(&payload, 1, &first) || first != MYSQL_ERR || !cut_fixed(&payload, 2, &code))
        return 0;
    if (payload.len > 0 && payload.p[0] == '#' && !cut_bytes(&payload, 6, &state))
        return 0;
    *text = payload;
    return (unsigned)code;
}

bool mysql_read_column(struct str payload, struct str *name)
{
    for (int i = 0; i < 5; i++) { // catalog, schema, table, original table, name
        if (!mysql_cut_text(&payload, name))
            return false;
    }
    return true;
}

// ---- the login --------------------------------------------------------------------------------

enum mysql_plugin mysql_plugin_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(plugin_names); i++) {
        if (str_eq(name, plugin_names[i]))
            return (enum mysql_plugin)i;
    }
    return MYSQL_OTHER;
}

// SHA1(password) xor SHA1(scramble, SHA1(SHA1(password)))
static bool prove_native(struct str password, struct str scramble, uint8_t proof[SHA1_BYTES])
{
    uint8_t once[SHA1_BYTES], twice[SHA1_BYTES];
    struct str first = {(const char *)once, SHA1_BYTES}, second = {(const char *)twice, SHA1_BYTES};
    if (!digest_sha1(password, STR_NONE, once) || !digest_sha1(first, STR_NONE, twice) ||
        !digest_sha1(scramble, second, proof))
        return false;
    for (size_t i = 0; i < SHA1_BYTES; i++)
        proof[i] ^= once[i];
    return true;
}

// SHA256(password) xor SHA256(SHA256(SHA256(password)), scramble)
static bool prove_sha2(struct str password, struct str scramble, uint8_t proof[SHA256_BYTES])
{
    uint8_t once[SHA256_BYTES], twice[SHA256_BYTES];
    struct str first = {(const char *)once, SHA256_BYTES};
    struct str second = {(const char *)twice, SHA256_BYTES};
    if (!digest_sha256(password, STR_NONE, once) || !digest_sha256(first, STR_NONE, twice) ||
        !digest_sha256(second, scramble, proof))
        return false;
    for (size_t i = 0; i < SHA256_BYTES; i++)
        proof[i] ^= once[i];
    return true;
}

bool mysql_prove(enum mysql_plugin plugin, struct str password,
                 const uint8_t scramble[MYSQL_SCRAMBLE], uint8_t proof[MYSQL_PROOF], size_t *n)
{
    struct str random = {(const char *)scramble, MYSQL_SCRAMBLE};
    *n = 0;
    if (password.len == 0)
        return true;
    *n = plugin == MYSQL_CACHING_SHA2 ? SHA256_BYTES : SHA1_BYTES;
    return plugin == MYSQL_CACHING_SHA2 ? prove_sha2(password, random, proof)
                                        : prove_native(password, random, proof);
}

bool mysql_put_login(struct buf *out, const struct mysql_greeting *g, enum mysql_plugin plugin,
                     struct str user, struct str proof)
{
    static const char zeros[23];
    struct str name = plugin_names[plugin];
    bool named = (g->capabilities & MYSQL_PLUGIN_AUTH) != 0;
    uint32_t capabilities = MYSQL_LONG_PASSWORD | MYSQL_PROTOCOL_41 | MYSQL_SECURE_CONNECTION;
    size_t n = 4 + 4 + 1 + sizeof(zeros) + user.len + 1 + 1 + proof.len;
    if (named) {
        capabilities |= MYSQL_PLUGIN_AUTH;
        n += name.len + 1;
    }
    return user.len < BUF_BYTES && put_head(out, n, 1) && put_fixed(out, capabilities, 4) &&
           put_fixed(out, 1u << 24, 4) && put_fixed(out, CHARSET_UTF8, 1) &&
           buf_append(out, zeros, sizeof(zeros)) && buf_append(out, user.p, user.len) &&
           buf_append(out, "", 1) && put_fixed(out, (uint32_t)proof.len, 1) &&
           buf_append(out, proof.p, proof.len) &&
           (!named || (buf_append(out, name.p, name.len) && buf_append(out, "", 1)));
}
