// SPDX-License-Identifier: MIT
// What is allowed and hardly meant about ciphers and authorities, as far as it takes OpenSSL to see
// it. Run in whoever loads a configuration (commands, the supervisor); workers do not ask. Doubts
// about single certificates are in tls_cert.c, about those of clients in tls_client_auth.c.
//
// Invariant: OpenSSL's queue of errors is empty when a function returns.
// OpenSSL first: its headers use names that base/base.h bans
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <time.h>

#include "io/tls_cert.h"

// ---- ciphers ----------------------------------------------------------------------------------

#define KIND_BIT(kind) (1u << (kind))

static uint32_t kind_of(const struct pem_pair *pem)
{
    struct tls_cert c;
    char why[TLS_WHY_MAX];
    if (!tls_cert_load_public(pem, &c, why))
        return 0;
    uint32_t kind = KIND_BIT(tls_cert_kind(&c));
    tls_cert_free(&c);
    return kind;
}

// The keys that the list's ciphers of TLS 1.2 sign with; those of 1.3 take any. 0: it names none of
// 1.2, which leaves the profile's in force.
static uint32_t kinds_in(SSL_CTX *ctx, const char *list)
{
    uint32_t kinds = 0;
    if (SSL_CTX_set_cipher_list(ctx, list) != 1)
        return 0;
    STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ctx);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        int nid = SSL_CIPHER_get_auth_nid(sk_SSL_CIPHER_value(ciphers, i));
        kinds |= nid == NID_auth_rsa     ? KIND_BIT(KEY_RSA)
                 : nid == NID_auth_ecdsa ? KIND_BIT(KEY_ECDSA)
                                         : 0;
    }
    return kinds;
}

bool tls_ciphers_doubts(const struct pem_pair *certs, uint32_t n, const char *list,
                        char why[TLS_WHY_MAX])
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    uint32_t wanted = ctx != NULL ? kinds_in(ctx, list) : 0, have = 0;
    SSL_CTX_free(ctx);
    for (uint32_t i = 0; i < n && wanted != 0 && (have & wanted) == 0; i++)
        have |= kind_of(&certs[i]);
    ERR_clear_error();
    if (have == 0 || (have & wanted) != 0)
        return false;
    bool rsa = have == KIND_BIT(KEY_RSA);
    (void)snprintf(why, TLS_WHY_MAX,
                   "nobody gets in with TLS 1.2: all certificates have %s keys, and 'ciphers' has "
                   "none for these" TLS_WHY_FIX "add ECDHE-%s-AES128-GCM-SHA256, or write min: 1.3",
                   rsa ? "RSA" : "ECDSA", rsa ? "RSA" : "ECDSA");
    return true;
}

// ---- authorities ------------------------------------------------------------------------------

bool tls_authorities_doubts(const char *file, struct str pem, int64_t now, char why[TLS_WHY_MAX])
{
    time_t t = (time_t)now;
    X509_STORE *store = tls_authorities_load(file, pem, why);
    STACK_OF(X509) *all = store != NULL ? X509_STORE_get1_all_certs(store) : NULL;
    int ended = 0, n = sk_X509_num(all);
    for (int i = 0; i < n; i++)
        ended += X509_cmp_time(X509_get0_notAfter(sk_X509_value(all, i)), &t) < 0;
    sk_X509_pop_free(all, X509_free);
    X509_STORE_free(store);
    ERR_clear_error();
    if (ended == 0)
        return false;
    const char *fix = TLS_WHY_FIX "add what follows it, then: evlb ctl certs reload";
    if (ended < n)
        (void)snprintf(why, TLS_WHY_MAX,
                       "%d of the %d certificates in '%s' ha%s expired: servers that need one of "
                       "these are refused%s",
                       ended, n, file, ended == 1 ? "s" : "ve", fix);
    else
        (void)snprintf(why, TLS_WHY_MAX, "all that is in '%s' has expired: no server is accepted%s",
                       file, fix);
    return true;
}
