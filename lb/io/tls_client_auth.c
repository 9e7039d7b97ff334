// SPDX-License-Identifier: MIT
// Certificates of clients: whom to believe, and what is wrong with one that is not. Built by
// whoever loads a configuration (to find faults) and by workers; on_verify() and on_ticket_read()
// run in workers during handshakes.
//
// With revocation lists given, the list of who signed the client's own certificate has to be there
// and in force, or nobody gets in; those of the authorities above it count when they are there.
// Nothing is believed of a session that a new handshake would not believe: see tls_server.c for its
// context, and on_ticket_read() for certificates that have ended meanwhile.
// OpenSSL first: its headers use names that base/base.h bans
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "io/tls_client_auth.h"

#include "io/tls_cert.h"

#define DEPTH_MAX 4           // authorities between the client and one that is believed
#define CHAIN_BYTES_MAX 32768 // of what a client sends before anything is known of it
#define NAMES_BYTES_MAX 32768 // of authorities; clients that are told none just choose
#define NAME_TEXT_MAX 200     // of names in messages

static void say(char why[TLS_WHY_MAX], const char *fmt, ...) PRINTF_LIKE(2, 3);

static void say(char why[TLS_WHY_MAX], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, TLS_WHY_MAX, fmt, args);
    va_end(args);
    ERR_clear_error();
}

// In one line of printable ASCII, cut when it is long.
static const char *name_text(const X509_NAME *name, char out[NAME_TEXT_MAX])
{
    BIO *to = BIO_new(BIO_s_mem());
    char *text = NULL;
    long n = 0;
    if (to != NULL && X509_NAME_print_ex(to, name, 0, XN_FLAG_RFC2253) >= 0)
        n = BIO_get_mem_data(to, &text);
    bool cut = !str_copy((struct str){text, (size_t)n}, out, NAME_TEXT_MAX);
    if (cut)
        memcpy(out + NAME_TEXT_MAX - 4, "...", 4);
    BIO_free(to);
    ERR_clear_error();
    return out;
}

// ---- revocation lists -------------------------------------------------------------------------

// Of the authorities named like the list's issuer one must have signed it.
static bool is_signed(STACK_OF(X509) * authorities, X509_CRL *list)
{
    bool named = false, verified = false;
    for (int i = 0; i < sk_X509_num(authorities) && !verified; i++) {
        X509 *x = sk_X509_value(authorities, i);
        if (X509_NAME_cmp(X509_get_subject_name(x), X509_CRL_get_issuer(list)) != 0)
            continue;
        named = true;
        verified = X509_CRL_verify(list, X509_get0_pubkey(x)) == 1;
    }
    ERR_clear_error();
    return verified || !named;
}

static bool add_list(X509_STORE *store, STACK_OF(X509) * authorities, X509_CRL *list,
                     const char *file, char why[TLS_WHY_MAX])
{
    char name[NAME_TEXT_MAX];
    if (!is_signed(authorities, list)) {
        say(why,
            "'%s' holds a revocation list of '%s' that it has not signed" TLS_WHY_FIX
            "take the list, and the certificate in 'client-ca', from that authority itself",
            file, name_text(X509_CRL_get_issuer(list), name));
        return false;
    }
    if (X509_STORE_add_crl(store, list) == 1)
        return true;
    say(why, "out of memory");
    return false;
}

static void say_not_pem(char why[TLS_WHY_MAX], const struct tls_client_auth *a)
{
    char fix[TLS_WHY_MAX];
    tls_pem_fix(a->crl_file, a->crl, "crl", fix);
    say(why, "'%s' holds no revocation list in PEM format" TLS_WHY_FIX "%s", a->crl_file, fix);
}

// Calls `each` with every list of the file until it returns false.
static bool each_list(const struct tls_client_auth *a, char why[TLS_WHY_MAX],
                      bool (*each)(void *ctx, X509_CRL *list), void *ctx)
{
    BIO *in =
        BIO_new_mem_buf(a->crl.len > 0 ? a->crl.p : "", (int)MIN_OF(a->crl.len, (size_t)INT32_MAX));
    bool going = in != NULL;
    uint32_t n = 0;
    say(why, "out of memory"); // unless it goes on
    for (X509_CRL *list; going && (list = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL)) != NULL;
         n++) {
        going = each(ctx, list);
        X509_CRL_free(list);
    }
    BIO_free(in);
    unsigned long error = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(error);
    bool ended = ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    if (!going)
        return false; // whoever stopped has said why
    if (ended && n > 0) {
        ERR_clear_error();
        return true;
    }
    if (ended)
        say_not_pem(why, a);
    else
        say(why,
            "'%s' holds a revocation list that cannot be read: %s" TLS_WHY_FIX
            "it is cut off or damaged: fetch it anew",
            a->crl_file, reason != NULL ? reason : "unknown error");
    return false;
}

struct filling {
    X509_STORE *store;
    STACK_OF(X509) * authorities;
    const char *file;
    char *why;
};

static bool fill(void *ctx, X509_CRL *list)
{
    const struct filling *f = ctx;
    return add_list(f->store, f->authorities, list, f->file, f->why);
}

X509_STORE *client_auth_store(const struct tls_client_auth *a, char why[TLS_WHY_MAX])
{
    X509_STORE *store = tls_authorities_load(a->ca_file, a->ca, why);
    if (store == NULL || a->crl_file == NULL)
        return store;
    struct filling f = {store, X509_STORE_get1_all_certs(store), a->crl_file, why};
    bool fine = each_list(a, why, fill, &f);
    sk_X509_pop_free(f.authorities, X509_free);
    if (fine && X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1)
        return store;
    X509_STORE_free(store);
    return NULL;
}

bool tls_client_auth_check(const struct tls_client_auth *a, char why[TLS_WHY_MAX])
{
    X509_STORE *store = client_auth_store(a, why);
    X509_STORE_free(store);
    return store != NULL;
}

// ---- doubts -----------------------------------------------------------------------------------

struct doubting {
    const struct tls_client_auth *auth;
    STACK_OF(X509) * authorities;
    time_t now;
    void (*each)(void *ctx, bool crl, const char *why);
    void *ctx;
};

static bool has_name(STACK_OF(X509) * authorities, const X509_NAME *name)
{
    for (int i = 0; i < sk_X509_num(authorities); i++) {
        if (X509_NAME_cmp(X509_get_subject_name(sk_X509_value(authorities, i)), name) == 0)
            return true;
    }
    return false;
}

static void doubt_authority(struct doubting *d, X509 *x)
{
    char why[TLS_WHY_MAX], name[NAME_TEXT_MAX], issuer[NAME_TEXT_MAX];
    const char *file = d->auth->ca_file;
    (void)name_text(X509_get_subject_name(x), name);
    if (X509_cmp_time(X509_get0_notAfter(x), &d->now) < 0)
        say(why,
            "the authority '%s' in '%s' has expired: none of its clients gets in" TLS_WHY_FIX
            "add what follows it, then: evlb ctl certs reload",
            name, file);
    else if (X509_cmp_time(X509_get0_notBefore(x), &d->now) > 0)
        say(why,
            "the authority '%s' in '%s' is not valid yet: none of its clients gets in" TLS_WHY_FIX
            "check the clock of this machine",
            name, file);
    else if (!has_name(d->authorities, X509_get_issuer_name(x)))
        say(why,
            "'%s' in '%s' is no root, and who signed it is not in the file: none of its clients "
            "gets in" TLS_WHY_FIX "add the certificate of '%s'",
            name, file, name_text(X509_get_issuer_name(x), issuer));
    else if (X509_check_ca(x) == 0 && X509_self_signed(x, 0) != 1)
        say(why,
            "'%s' in '%s' is no authority: it may not sign certificates" TLS_WHY_FIX
            "name who has signed it instead",
            name, file);
    else
        return;
    d->each(d->ctx, false, why);
}

static bool doubt_list(void *ctx, X509_CRL *list)
{
    struct doubting *d = ctx;
    char why[TLS_WHY_MAX], name[NAME_TEXT_MAX];
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
    const char *file = d->auth->crl_file;
    (void)name_text(X509_CRL_get_issuer(list), name);
    if (!has_name(d->authorities, X509_CRL_get_issuer(list)))
        say(why,
            "the revocation list of '%s' in '%s' is of nobody in 'client-ca'" TLS_WHY_FIX
            "add the lists of those who are there: clients of one without a list are refused",
            name, file);
    else if (next != NULL && X509_cmp_time(next, &d->now) < 0)
        say(why,
            "the revocation list of '%s' in '%s' has expired: its clients do not get in" TLS_WHY_FIX
            "fetch the next one, then: evlb ctl certs reload",
            name, file);
    else
        return true;
    d->each(d->ctx, true, why);
    return true;
}

void tls_client_auth_doubts(const struct tls_client_auth *a, int64_t now,
                            void (*each)(void *ctx, bool crl, const char *why), void *ctx)
{
    char why[TLS_WHY_MAX];
    struct doubting d = {.auth = a, .now = (time_t)now, .each = each, .ctx = ctx};
    X509_STORE *store = tls_authorities_load(a->ca_file, a->ca, why);
    if (store != NULL)
        d.authorities = X509_STORE_get1_all_certs(store);
    for (int i = 0; i < sk_X509_num(d.authorities); i++)
        doubt_authority(&d, sk_X509_value(d.authorities, i));
    if (a->crl_file != NULL)
        (void)each_list(a, why, doubt_list, &d);
    sk_X509_pop_free(d.authorities, X509_free);
    X509_STORE_free(store);
    ERR_clear_error();
}

// ---- handshakes -------------------------------------------------------------------------------

// Why first: what is long is cut at its end.
static char *describe(X509_STORE_CTX *x)
{
    char name[NAME_TEXT_MAX];
    X509 *leaf = X509_STORE_CTX_get0_cert(x);
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL);
    char *serial = number != NULL ? BN_bn2hex(number) : NULL, *text = malloc(TLS_WHY_MAX);
    if (text != NULL)
        say(text, "%s%s: %s, serial %.64s",
            X509_verify_cert_error_string(X509_STORE_CTX_get_error(x)),
            X509_STORE_CTX_get_error_depth(x) > 0 ? " (of an authority)" : "",
            name_text(X509_get_subject_name(leaf), name), serial != NULL ? serial : "?");
    OPENSSL_free(serial);
    BN_free(number);
    return text;
}

// Called by OpenSSL for each certificate of the chain and for what is wrong with it.
static int on_verify(int fine, X509_STORE_CTX *x)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
    char **why = SSL_get_app_data(ssl);
    if (fine)
        return 1;
    if (X509_STORE_CTX_get_error(x) == X509_V_ERR_UNABLE_TO_GET_CRL &&
        X509_STORE_CTX_get_error_depth(x) > 0) {
        X509_STORE_CTX_set_error(x, X509_V_OK);
        return 1;
    }
    if (why != NULL && *why == NULL)
        *why = describe(x);
    return 0;
}

// A session is as good as the certificate that it began with.
static bool still_good(SSL *ssl, SSL_SESSION *session)
{
    X509 *x = SSL_SESSION_get0_peer(session);
    if (x == NULL)
        return (SSL_get_verify_mode(ssl) & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) == 0;
    return X509_cmp_current_time(X509_get0_notAfter(x)) > 0;
}

// Called by OpenSSL when it has read a ticket. What is ignored means a full handshake.
static SSL_TICKET_RETURN on_ticket_read(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                        size_t n, SSL_TICKET_STATUS status, void *arg)
{
    (void)name, (void)n, (void)arg;
    bool read = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
    if (!read || !still_good(ssl, session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

// The names that clients choose a certificate by.
static STACK_OF(X509_NAME) * names_of(X509_STORE *store)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    STACK_OF(X509) *authorities = X509_STORE_get1_all_certs(store);
    int bytes = 0;
    for (int i = 0; i < sk_X509_num(authorities); i++) {
        X509_NAME *name = X509_NAME_dup(X509_get_subject_name(sk_X509_value(authorities, i)));
        bytes += i2d_X509_NAME(name, NULL) + 2;
        if (name == NULL || bytes > NAMES_BYTES_MAX || sk_X509_NAME_push(names, name) == 0) {
            X509_NAME_free(name);
            break;
        }
    }
    sk_X509_pop_free(authorities, X509_free);
    return names;
}

bool client_auth_use(SSL_CTX *ctx, X509_STORE *store, bool optional)
{
    int mode = SSL_VERIFY_PEER | (optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    SSL_CTX_set_client_CA_list(ctx, names_of(store));
    SSL_CTX_set_verify(ctx, mode, on_verify);
    SSL_CTX_set_verify_depth(ctx, DEPTH_MAX);
    SSL_CTX_set_max_cert_list(ctx, CHAIN_BYTES_MAX);
    return SSL_CTX_set1_verify_cert_store(ctx, store) == 1 &&
           SSL_CTX_set_session_ticket_cb(ctx, NULL, on_ticket_read, NULL) == 1;
}

void client_auth_note_into(SSL *ssl, char **why)
{
    SSL_set_app_data(ssl, why);
}

bool client_auth_refused(void)
{
    int reason = ERR_GET_REASON(ERR_peek_error());
    return reason == SSL_R_CERTIFICATE_VERIFY_FAILED ||
           reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
}
