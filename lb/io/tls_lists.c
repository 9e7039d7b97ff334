// SPDX-License-Identifier: MIT
// The words of `ciphers` and `groups`, one by one: OpenSSL leaves out a cipher that it does not
// know without a word, as long as there is another. Called when a configuration is checked.
//
// What a list takes away ("!RC4") is not looked at: OpenSSL knows many names of what it has not.
// Invariant: OpenSSL's queue of errors is empty when a function returns.
// OpenSSL first: its headers use names that base/base.h bans
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "io/tls.h"

#define WORD_MAX 128u
#define SEPARATORS ":, "

static bool knows_tls13_cipher(SSL_CTX *ctx, const char *word)
{
    if (SSL_CTX_set_ciphersuites(ctx, word) != 1)
        return false;
    const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        if (strcmp(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i)), word) == 0)
            return true;
    }
    return false;
}

static bool knows_cipher(SSL_CTX *ctx, const char *word)
{
    if (strncmp(word, "TLS_", 4) == 0)
        return knows_tls13_cipher(ctx, word);
    return strchr("!-+@", word[0]) != NULL || SSL_CTX_set_cipher_list(ctx, word) == 1;
}

static bool knows_group(SSL_CTX *ctx, const char *word)
{
    return SSL_CTX_set1_groups_list(ctx, (char *)(uintptr_t)word) == 1; // it is only read
}

static bool check(const char *list, bool (*knows)(SSL_CTX *ctx, const char *word), const char *what,
                  const char *fix, char why[TLS_WHY_MAX])
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    bool fine = true;
    for (const char *at = list; ctx != NULL && fine && *at != '\0';) {
        char word[WORD_MAX];
        size_t n = strcspn(at, SEPARATORS);
        (void)snprintf(word, sizeof(word), "%.*s", (int)n, at);
        fine = n == 0 || (n < sizeof(word) && knows(ctx, word));
        if (!fine)
            (void)snprintf(why, TLS_WHY_MAX, "OpenSSL knows no %s '%s'%s", what, word, fix);
        at += n + (at[n] != '\0');
    }
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return fine;
}

bool tls_ciphers_check(const char *list, char why[TLS_WHY_MAX])
{
    return check(list, knows_cipher, "cipher", TLS_WHY_FIX "its names: openssl ciphers -v ALL",
                 why);
}

bool tls_groups_check(const char *list, char why[TLS_WHY_MAX])
{
    return check(list, knows_group, "group",
                 TLS_WHY_FIX "its names: X25519, X448, P-256, P-384, P-521, ffdhe2048", why);
}
