// SPDX-License-Identifier: MIT
// Certificates and keys as they are read from files. Run in whoever loads a configuration
// (commands, the supervisor) to find faults, and in workers to use them.
//
// Names come from the certificate's subjectAltName; its common name counts only when there is none
// (RFC 9525 has done away with it, old internal certificates have not). A name with a byte that no
// host name has (a NUL above all) is no name.
// Invariant: OpenSSL's queue of errors is empty when a function returns.
// OpenSSL first: its headers use names that base/base.h bans
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "io/tls_cert.h"

#include "io/tls_ocsp.h"

#define SOON_DAYS 30
#define DAY_S 86400
#define NAME_BYTES_MAX 253u

#define DAMAGED TLS_WHY_FIX "it is cut off or damaged: fetch it anew"
#define RENEW TLS_WHY_FIX "renew it, then: evlb ctl certs reload"

static bool fail(char why[TLS_WHY_MAX], const char *fmt, ...) PRINTF_LIKE(2, 3);

static bool fail(char why[TLS_WHY_MAX], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, TLS_WHY_MAX, fmt, args);
    va_end(args);
    ERR_clear_error();
    return false;
}

static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text != NULL ? text : "unknown error";
}

// Encrypted keys are not asked for: there is nobody to answer.
static int no_password(char *to, int size, int writing, void *ctx)
{
    (void)to, (void)size, (void)writing;
    *(bool *)ctx = true;
    return -1;
}

static BIO *open_text(struct str text)
{
    return BIO_new_mem_buf(text.len > 0 ? text.p : "", (int)MIN_OF(text.len, (size_t)INT32_MAX));
}

// ---- other formats ----------------------------------------------------------------------------

// How the first thing in a DER sequence begins: its tag, or 0 when it is none.
static unsigned char first_tag(struct str s)
{
    size_t at = 1;
    if (s.len < 4 || s.p[0] != 0x30)
        return 0;
    unsigned char length = (unsigned char)s.p[at++];
    at += length > 0x80 ? length - 0x80u : 0; // so many bytes of it follow
    return at < s.len ? (unsigned char)s.p[at] : 0;
}

void tls_pem_fix(const char *file, struct str bytes, const char *command, char out[TLS_WHY_MAX])
{
    bool crl = strcmp(command, "crl") == 0;
    unsigned char tag = first_tag(bytes);
    if (tag == 0x02 && !crl) // its version, where certificates have their content
        (void)snprintf(out, TLS_WHY_MAX, "convert it: openssl pkcs12 -nodes -in %s -out NEW.pem",
                       file);
    else if (tag == 0x30)
        (void)snprintf(out, TLS_WHY_MAX, "convert it: openssl %s -inform der -in %s -out NEW.pem",
                       command, file);
    else
        (void)snprintf(out, TLS_WHY_MAX, "such a file begins with -----BEGIN %s-----",
                       crl ? "X509 CRL" : "CERTIFICATE");
}

static bool fail_not_pem(char why[TLS_WHY_MAX], const char *file, struct str bytes)
{
    char fix[TLS_WHY_MAX];
    tls_pem_fix(file, bytes, "x509", fix);
    return fail(why, "'%s' holds no certificate in PEM format" TLS_WHY_FIX "%s", file, fix);
}

// ---- reading ----------------------------------------------------------------------------------

static bool read_chain(const struct pem_pair *pem, struct tls_cert *c, char why[TLS_WHY_MAX])
{
    BIO *in = open_text(pem->chain);
    bool asked;
    c->chain = sk_X509_new_null();
    if (in == NULL || c->chain == NULL) {
        BIO_free(in);
        return fail(why, "out of memory");
    }
    c->leaf = PEM_read_bio_X509_AUX(in, NULL, no_password, &asked);
    for (X509 *x;
         c->leaf != NULL && (x = PEM_read_bio_X509(in, NULL, no_password, &asked)) != NULL;)
        (void)sk_X509_push(c->chain, x);
    BIO_free(in);
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (c->leaf == NULL && ended)
        return fail_not_pem(why, pem->file, pem->chain);
    if (!ended)
        return fail(why, "'%s' holds a certificate that cannot be read: %s" DAMAGED, pem->file,
                    reason());
    ERR_clear_error();
    return true;
}

static bool read_key(const struct pem_pair *pem, struct tls_cert *c, char why[TLS_WHY_MAX])
{
    BIO *in = open_text(pem->key);
    bool asked = false;
    if (in == NULL)
        return fail(why, "out of memory");
    c->key = PEM_read_bio_PrivateKey(in, NULL, no_password, &asked);
    BIO_free(in);
    if (c->key != NULL)
        return true;
    if (asked)
        return fail(why,
                    "the key in '%s' is encrypted" TLS_WHY_FIX
                    "store it without a password: openssl pkey -in OLD -out NEW",
                    pem->key_file);
    if (pem->key.len == 0 || ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
        return fail(why,
                    "there is no key for '%s', neither in it nor beside it" TLS_WHY_FIX
                    "add it to the file, or store it beside it under the same name with .key",
                    pem->file);
    return fail(why, "the key in '%s' cannot be read: %s" DAMAGED, pem->key_file, reason());
}

static bool key_fits(X509 *x, EVP_PKEY *key)
{
    bool fits = X509_check_private_key(x, key) == 1;
    ERR_clear_error();
    return fits;
}

static bool check_key(const struct pem_pair *pem, const struct tls_cert *c, char why[TLS_WHY_MAX])
{
    if (key_fits(c->leaf, c->key))
        return true;
    for (int i = 0; i < sk_X509_num(c->chain); i++) {
        if (key_fits(sk_X509_value(c->chain, i), c->key))
            return fail(why,
                        "'%s' has its certificates in the wrong order: the one of the key is "
                        "number %d, it must be the first" TLS_WHY_FIX
                        "put it in front, then who signed it, then who signed that",
                        pem->file, i + 2);
    }
    return fail(why,
                "the key in '%s' is not the key of the certificate in '%s'" TLS_WHY_FIX
                "take both from the same request",
                pem->key_file, pem->file);
}

static bool check_order(const struct pem_pair *pem, const struct tls_cert *c, char why[TLS_WHY_MAX])
{
    X509 *before = c->leaf;
    for (int i = 0; i < sk_X509_num(c->chain); i++) {
        X509 *x = sk_X509_value(c->chain, i);
        if (X509_NAME_cmp(X509_get_issuer_name(before), X509_get_subject_name(x)) != 0)
            return fail(why,
                        "'%s' has its chain in the wrong order: certificate %d is not the issuer "
                        "of the one before it" TLS_WHY_FIX
                        "after the certificate comes who signed it, then who signed that",
                        pem->file, i + 2);
        before = x;
    }
    return true;
}

bool tls_cert_load(const struct pem_pair *pem, struct tls_cert *out, char why[TLS_WHY_MAX])
{
    *out = (struct tls_cert){0};
    ERR_clear_error();
    if (read_chain(pem, out, why) && read_key(pem, out, why) && check_key(pem, out, why) &&
        check_order(pem, out, why))
        return true;
    tls_cert_free(out);
    return false;
}

bool tls_cert_load_public(const struct pem_pair *pem, struct tls_cert *out, char why[TLS_WHY_MAX])
{
    *out = (struct tls_cert){0};
    ERR_clear_error();
    if (read_chain(pem, out, why))
        return true;
    tls_cert_free(out);
    return false;
}

void tls_cert_staple(struct tls_cert *c, const struct pem_pair *pem, int64_t now)
{
    char why[TLS_WHY_MAX];
    const struct staple st = tls_ocsp_read(c, pem, now, why);
    if (st.state != STAPLE_GOOD)
        return;
    c->staple = (struct str){OPENSSL_memdup(pem->ocsp.p, pem->ocsp.len), pem->ocsp.len};
    c->staple_until = st.until;
    if (c->staple.p == NULL)
        c->staple = STR_NONE;
}

void tls_cert_free(struct tls_cert *c)
{
    OPENSSL_free((void *)(uintptr_t)c->staple.p);
    X509_free(c->leaf);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
    *c = (struct tls_cert){0};
}

static bool is_valid(const struct tls_cert *c, int64_t now)
{
    time_t t = (time_t)now;
    return X509_cmp_time(X509_get0_notBefore(c->leaf), &t) <= 0 &&
           X509_cmp_time(X509_get0_notAfter(c->leaf), &t) > 0;
}

bool tls_cert_is_better(const struct tls_cert *a, const struct tls_cert *b, int64_t now)
{
    bool valid = is_valid(a, now);
    if (valid != is_valid(b, now))
        return valid;
    return ASN1_TIME_compare(X509_get0_notBefore(a->leaf), X509_get0_notBefore(b->leaf)) > 0;
}

enum key_kind tls_cert_kind(const struct tls_cert *c)
{
    int id = EVP_PKEY_get_base_id(X509_get0_pubkey(c->leaf));
    return id == EVP_PKEY_RSA || id == EVP_PKEY_RSA_PSS ? KEY_RSA : KEY_ECDSA;
}

// ---- authorities ------------------------------------------------------------------------------

X509_STORE *tls_authorities_load(const char *file, struct str pem, char why[TLS_WHY_MAX])
{
    X509_STORE *store = X509_STORE_new();
    BIO *in = open_text(pem);
    bool asked, fine = store != NULL && in != NULL;
    uint32_t n = 0;
    ERR_clear_error();
    for (X509 *x; fine && (x = PEM_read_bio_X509_AUX(in, NULL, no_password, &asked)) != NULL; n++) {
        fine = X509_STORE_add_cert(store, x) == 1;
        X509_free(x);
    }
    BIO_free(in);
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (fine && ended && n > 0) {
        ERR_clear_error();
        return store;
    }
    X509_STORE_free(store);
    if (!fine)
        (void)fail(why, "out of memory");
    else if (!ended)
        (void)fail(why, "'%s' holds a certificate that cannot be read: %s" DAMAGED, file, reason());
    else
        (void)fail_not_pem(why, file, pem);
    return NULL;
}

bool tls_authorities_check(const char *file, struct str pem, char why[TLS_WHY_MAX])
{
    X509_STORE *store = tls_authorities_load(file, pem, why);
    X509_STORE_free(store);
    return store != NULL;
}

// ---- names ------------------------------------------------------------------------------------

static bool is_host_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char b = s.p[i];
        bool fine = is_digit(b) || (b >= 'a' && b <= 'z') || b == '-' || b == '.' || b == '_' ||
                    (b == '*' && i == 0 && s.len > 2 && s.p[1] == '.');
        if (!fine)
            return false;
    }
    return s.len > 0;
}

static void tell_name(const ASN1_STRING *text, void (*each)(void *ctx, struct str name), void *ctx)
{
    char lower[NAME_BYTES_MAX];
    const unsigned char *p = ASN1_STRING_get0_data(text);
    size_t n = (size_t)ASN1_STRING_length(text);
    if (n > sizeof(lower))
        return;
    for (size_t i = 0; i < n; i++)
        lower[i] = ascii_lower((char)p[i]);
    if (is_host_name((struct str){lower, n}))
        each(ctx, (struct str){lower, n});
}

void tls_cert_names(const struct tls_cert *c, void (*each)(void *ctx, struct str name), void *ctx)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            tell_name(name->d.dNSName, each, ctx);
    }
    if (names == NULL) {
        X509_NAME *subject = X509_get_subject_name(c->leaf);
        int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
        if (at >= 0)
            tell_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), each, ctx);
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
}

static void count(void *ctx, struct str name)
{
    (void)name;
    ++*(uint32_t *)ctx;
}

// ---- doubts -----------------------------------------------------------------------------------

// Days from `now` to `when`, rounded towards `now`.
static int64_t days_to(const ASN1_TIME *when, int64_t now)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(when, &tm) != 1)
        return 0;
    return ((int64_t)timegm(&tm) - now) / DAY_S;
}

static bool time_doubts(const struct pem_pair *pem, const struct tls_cert *c, int64_t now,
                        char why[TLS_WHY_MAX])
{
    time_t t = (time_t)now;
    const ASN1_TIME *end = X509_get0_notAfter(c->leaf);
    long long days = days_to(end, now);
    if (X509_cmp_time(end, &t) < 0)
        return !fail(why, "the certificate in '%s' has expired %lld day%s ago" RENEW, pem->file,
                     -days, days == -1 ? "" : "s");
    if (X509_cmp_time(X509_get0_notBefore(c->leaf), &t) > 0)
        return !fail(why,
                     "the certificate in '%s' is not valid yet" TLS_WHY_FIX
                     "check the clock of this machine",
                     pem->file);
    if (days < SOON_DAYS)
        return !fail(why, "the certificate in '%s' expires in %lld day%s" RENEW, pem->file, days,
                     days == 1 ? "" : "s");
    return false;
}

static bool name_doubts(const struct pem_pair *pem, const struct tls_cert *c, char why[TLS_WHY_MAX])
{
    uint32_t names = 0;
    tls_cert_names(c, count, &names);
    if (names == 0)
        return !fail(
            why,
            "the certificate in '%s' names no host: it is used as the default only" TLS_WHY_FIX
            "ask for one with its names (subjectAltName)",
            pem->file);
    if (X509_get_ext_by_NID(c->leaf, NID_subject_alt_name, -1) < 0)
        return !fail(why,
                     "the certificate in '%s' has its name in the subject alone, where clients do "
                     "not look" TLS_WHY_FIX "ask for one with its names (subjectAltName)",
                     pem->file);
    return false;
}

static int level_in(const char *ciphers, int level)
{
    const char *at = strstr(ciphers, "@SECLEVEL=");
    return at != NULL && is_digit(at[10]) ? at[10] - '0' : level;
}

// Keys and signatures have to be as strong as OpenSSL, or who has set it up, wants them.
static bool check_strength(const struct pem_pair *pem, const struct tls_cert *c,
                           const char *ciphers, char why[TLS_WHY_MAX])
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (ctx == NULL)
        return fail(why, "out of memory");
    SSL_CTX_set_security_level(ctx, level_in(ciphers, SSL_CTX_get_security_level(ctx)));
    bool fine = SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 1) == 1;
    SSL_CTX_free(ctx);
    return fine || fail(why,
                        "OpenSSL refuses the certificate in '%s': %s" TLS_WHY_FIX
                        "RSA keys need 2048 bits, signatures SHA-256",
                        pem->file, reason());
}

bool tls_pem_check(const struct pem_pair *pem, const char *ciphers, char why[TLS_WHY_MAX])
{
    struct tls_cert c;
    if (!tls_cert_load(pem, &c, why))
        return false;
    bool fine = check_strength(pem, &c, ciphers, why);
    tls_cert_free(&c);
    return fine;
}

bool tls_pem_doubts(const struct pem_pair *pem, bool for_hosts, int64_t now, char why[TLS_WHY_MAX])
{
    struct tls_cert c;
    if (!tls_cert_load_public(pem, &c, why))
        return true;
    bool found = time_doubts(pem, &c, now, why) || (for_hosts && name_doubts(pem, &c, why));
    tls_cert_free(&c);
    return found;
}

bool tls_pem_staple_doubts(const struct pem_pair *pem, int64_t now, char why[TLS_WHY_MAX])
{
    struct tls_cert c;
    if (pem->ocsp_file == NULL || !tls_cert_load_public(pem, &c, why))
        return false;
    const struct staple st = tls_ocsp_read(&c, pem, now, why);
    tls_cert_free(&c);
    return st.state != STAPLE_GOOD;
}
