// SPDX-License-Identifier: MIT
// A client's certificate as texts, for headers, routes and the log. Runs in workers, once per
// connection whose client has shown one.
//
// Whatever a certificate holds, its texts are printable ASCII: what a name has beyond that is
// escaped (RFC 2253: \0A, \C3\A4). Nothing of a name can end a line, or become another field.
// OpenSSL first: its headers use names that base/base.h bans
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "io/tls_client_auth.h"

#define NAME_BYTES_MAX 1024u // longer ones are cut
#define COMMON_NAME_MAX 256  // RFC 5280 has 64 characters
#define SERIAL_BYTES_MAX 64  // RFC 5280 has 20
#define SERIAL_TEXT_MAX (1 + 2 * SERIAL_BYTES_MAX)
#define TIME_BYTES 21 // "2026-11-21T10:00:00Z" and a NUL

static BIO *print_name(const X509_NAME *name)
{
    BIO *to = BIO_new(BIO_s_mem());
    if (to != NULL && X509_NAME_print_ex(to, name, 0, XN_FLAG_RFC2253) >= 0)
        return to;
    BIO_free(to);
    return NULL;
}

// Copies to *at and moves it; longer names end in "...".
static struct str put_name(char **at, BIO *printed)
{
    char *text;
    size_t n = (size_t)BIO_get_mem_data(printed, &text);
    bool cut = n > NAME_BYTES_MAX;
    struct str put = {*at, cut ? NAME_BYTES_MAX : n};
    for (size_t i = 0; i < put.len; i++)
        (*at)[i] = text[i];
    if (cut)
        memcpy(*at + put.len - 3, "...", 3);
    for (size_t i = 0; i < put.len; i++) // OpenSSL's word is not all there is
        (*at)[i] = (*at)[i] >= ' ' && (*at)[i] < 0x7f ? (*at)[i] : '?';
    *at += put.len;
    return put;
}

static struct str put_hex(char **at, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789ABCDEF";
    struct str put = {*at, 2 * n};
    for (size_t i = 0; i < n; i++) {
        *(*at)++ = digits[bytes[i] >> 4];
        *(*at)++ = digits[bytes[i] & 15];
    }
    return put;
}

static struct str put_serial(char **at, const X509 *x)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
    size_t n = (size_t)ASN1_STRING_length(serial);
    const char *begin = *at;
    if (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER) // against the rules, and seen
        *(*at)++ = '-';
    (void)put_hex(at, ASN1_STRING_get0_data(serial), MIN_OF(n, (size_t)SERIAL_BYTES_MAX));
    return str_from(begin, *at);
}

static struct str put_fingerprint(char **at, const X509 *x)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n;
    return X509_digest(x, EVP_sha256(), digest, &n) == 1 ? put_hex(at, digest, n) : STR_NONE;
}

// RFC 3339.
static struct str put_time(char **at, const ASN1_TIME *when)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(when, &tm) != 1)
        return STR_NONE;
    struct str put = {*at, strftime(*at, TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm)};
    *at += put.len;
    return put;
}

// The only one: of several it would be unclear which one is meant.
static struct str put_common_name(char **at, const X509_NAME *name)
{
    unsigned char *text = NULL;
    int i = X509_NAME_get_index_by_NID(name, NID_commonName, -1), n = -1;
    if (i >= 0 && X509_NAME_get_index_by_NID(name, NID_commonName, i) < 0)
        n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
    bool fine = n > 0 && n <= COMMON_NAME_MAX;
    for (int k = 0; fine && k < n; k++)
        fine = text[k] >= ' ' && text[k] != 0x7f;
    struct str put = {*at, fine ? (size_t)n : 0};
    for (size_t k = 0; k < put.len; k++)
        *(*at)++ = (char)text[k];
    OPENSSL_free(text);
    return put;
}

static struct tls_peer *fill(struct tls_peer *p, const X509 *x, BIO *subject, BIO *issuer)
{
    char *at = (char *)(p + 1);
    p->subject = put_name(&at, subject);
    p->issuer = put_name(&at, issuer);
    p->common_name = put_common_name(&at, X509_get_subject_name(x));
    p->serial = put_serial(&at, x);
    p->fingerprint = put_fingerprint(&at, x);
    p->not_after = put_time(&at, X509_get0_notAfter(x));
    return p;
}

struct tls_peer *tls_peer_new(X509 *x)
{
    BIO *subject = print_name(X509_get_subject_name(x));
    BIO *issuer = print_name(X509_get_issuer_name(x));
    struct tls_peer *p = NULL;
    if (subject != NULL && issuer != NULL) {
        size_t names = MIN_OF((size_t)BIO_pending(subject), (size_t)NAME_BYTES_MAX) +
                       MIN_OF((size_t)BIO_pending(issuer), (size_t)NAME_BYTES_MAX);
        p = malloc(sizeof(*p) + names + COMMON_NAME_MAX + SERIAL_TEXT_MAX + 2 * EVP_MAX_MD_SIZE +
                   TIME_BYTES);
    }
    if (p != NULL)
        (void)fill(p, x, subject, issuer);
    BIO_free(subject);
    BIO_free(issuer);
    ERR_clear_error();
    return p;
}
