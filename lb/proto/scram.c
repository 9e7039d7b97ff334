// SPDX-License-Identifier: MIT
// SCRAM-SHA-256 as a client. Pure; called by the health check of PostgreSQL (dialogue_postgres.c),
// which runs in control.
//
//    client  n=USER,r=NONCE
//    server  r=NONCE+MORE,s=SALT,i=ROUNDS
//    client  c=biws,r=NONCE+MORE,p=PROOF
//    server  v=SIGNATURE
//
// Invariant: the server chooses how many rounds the password is hashed, but not without limit: all
// checks share one process.
#include "proto/scram.h"

#include "base/base64.h"
#include "base/digest.h"

#define ROUNDS_MAX 50000 // some 20 ms; PostgreSQL's default is 4096
#define SALT_MAX 64

_Static_assert(SCRAM_SIGNATURE == SHA256_BYTES, "SCRAM-SHA-256");

static struct str digest_str(const uint8_t digest[SHA256_BYTES])
{
    return (struct str){(const char *)digest, SHA256_BYTES};
}

bool scram_first(const struct scram *s, char out[SCRAM_TEXT])
{
    return snprintf(out, SCRAM_TEXT, "n=%.*s,r=%.*s", STR_FMT(s->user), STR_FMT(s->nonce)) <
           SCRAM_TEXT;
}

struct challenge {
    struct str nonce;
    uint8_t salt[SALT_MAX];
    size_t salt_len;
    uint64_t rounds;
};

// The value of the next attribute, which must be `name`.
static bool cut_attribute(struct str *rest, const char *name, struct str *value)
{
    *value = str_cut(rest, ',');
    if (!str_starts(*value, str_of(name)))
        return false;
    *value = (struct str){value->p + 2, value->len - 2};
    return true;
}

static bool read_challenge(const struct scram *s, struct str text, struct challenge *c)
{
    struct str salt, rounds;
    return text.len < SCRAM_TEXT && cut_attribute(&text, "r=", &c->nonce) &&
           cut_attribute(&text, "s=", &salt) && cut_attribute(&text, "i=", &rounds) &&
           str_starts(c->nonce, s->nonce) && c->nonce.len > s->nonce.len &&
           base64_decode(salt, c->salt, sizeof(c->salt), &c->salt_len) &&
           str_to_u64(rounds, &c->rounds) && c->rounds > 0;
}

// Proof and signature over `message`, which is all three messages but for the proof.
static bool sign(const struct scram *s, const struct challenge *c, struct str message,
                 uint8_t proof[SHA256_BYTES], uint8_t signature[SHA256_BYTES])
{
    uint8_t salted[SHA256_BYTES], client_key[SHA256_BYTES], stored_key[SHA256_BYTES];
    uint8_t server_key[SHA256_BYTES];
    if (!digest_pbkdf2_sha256(s->password, (struct str){(const char *)c->salt, c->salt_len},
                              (uint32_t)c->rounds, salted) ||
        !digest_hmac_sha256(digest_str(salted), STR("Client Key"), client_key) ||
        !digest_sha256(digest_str(client_key), STR_NONE, stored_key) ||
        !digest_hmac_sha256(digest_str(stored_key), message, proof) ||
        !digest_hmac_sha256(digest_str(salted), STR("Server Key"), server_key) ||
        !digest_hmac_sha256(digest_str(server_key), message, signature))
        return false;
    for (size_t i = 0; i < SHA256_BYTES; i++)
        proof[i] ^= client_key[i];
    return true;
}

enum scram_result scram_final(const struct scram *s, struct str server_first, char out[SCRAM_TEXT],
                              uint8_t signature[SCRAM_SIGNATURE])
{
    struct challenge c;
    char first[SCRAM_TEXT], message[3 * SCRAM_TEXT], encoded[BASE64_LEN(SHA256_BYTES)];
    uint8_t proof[SHA256_BYTES];
    if (!scram_first(s, first) || !read_challenge(s, server_first, &c))
        return SCRAM_MALFORMED;
    if (c.rounds > ROUNDS_MAX)
        return SCRAM_TOO_COSTLY;
    int n = snprintf(message, sizeof(message), "%s,%.*s,c=biws,r=%.*s", first,
                     STR_FMT(server_first), STR_FMT(c.nonce));
    if (!sign(s, &c, (struct str){message, (size_t)n}, proof, signature))
        return SCRAM_NO_DIGEST;
    struct str p = {encoded, base64_encode(proof, sizeof(proof), encoded)};
    n = snprintf(out, SCRAM_TEXT, "c=biws,r=%.*s,p=%.*s", STR_FMT(c.nonce), STR_FMT(p));
    return n < SCRAM_TEXT ? SCRAM_OK : SCRAM_MALFORMED;
}

bool scram_verified(struct str server_final, const uint8_t signature[SCRAM_SIGNATURE])
{
    struct str value;
    uint8_t said[SCRAM_SIGNATURE];
    size_t n;
    return cut_attribute(&server_final, "v=", &value) &&
           base64_decode(value, said, sizeof(said), &n) && n == sizeof(said) &&
           memcmp(said, signature, n) == 0;
}
