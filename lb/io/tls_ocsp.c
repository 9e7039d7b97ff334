// SPDX-License-Identifier: MIT
// Whether an OCSP answer may be shown to clients: it is an answer, about this certificate, says
// "good", is of now, and its issuer has signed it. Run in whoever loads a configuration (to warn),
// in the supervisor (to list) and in workers (to use it). Pure but for OpenSSL.
//
// A file that may not be shown is no fault of the certificate: it is served without.
// Invariant: OpenSSL's queue of errors is empty when a function returns.
// OpenSSL first: its headers use names that base/base.h bans
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "io/tls_ocsp.h"

#define CLOCK_SKEW_S 300 // an answer may come from a clock that is ahead of ours

const char *const staple_words[] = {"none", "good", "revoked", "expired", "unusable"};

// The answer being looked at; freed by close_answer().
struct answer {
    OCSP_RESPONSE *response;
    OCSP_BASICRESP *basic;
    int status; // of the certificate
    ASN1_GENERALIZEDTIME *from, *until;
};

static void close_answer(struct answer *a)
{
    OCSP_BASICRESP_free(a->basic);
    OCSP_RESPONSE_free(a->response);
    ERR_clear_error();
}

// NULL, or why it is not one.
static const char *open_answer(struct answer *a, struct str der)
{
    const unsigned char *at = (const unsigned char *)der.p;
    a->response = d2i_OCSP_RESPONSE(NULL, &at, (long)MIN_OF(der.len, (size_t)INT32_MAX));
    if (a->response == NULL || at != (const unsigned char *)der.p + der.len)
        return "it is no OCSP answer in DER format";
    if (OCSP_response_status(a->response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return "the responder has refused to answer";
    a->basic = OCSP_response_get1_basic(a->response);
    return a->basic != NULL ? NULL : "it is no basic OCSP answer";
}

// By issuer's name and serial number; the issuer's key follows from the signature.
static bool is_about(const OCSP_SINGLERESP *single, X509 *leaf)
{
    ASN1_OCTET_STRING *name;
    ASN1_OBJECT *digest;
    ASN1_INTEGER *serial;
    OCSP_CERTID *id = (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single);
    unsigned char mine[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (OCSP_id_get0_info(&name, &digest, NULL, &serial, id) != 1)
        return false;
    const EVP_MD *md = EVP_get_digestbyobj(digest);
    return md != NULL && ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0 &&
           X509_NAME_digest(X509_get_issuer_name(leaf), md, mine, &n) == 1 &&
           n == (unsigned)ASN1_STRING_length(name) &&
           memcmp(ASN1_STRING_get0_data(name), mine, n) == 0;
}

static bool find_single(struct answer *a, X509 *leaf)
{
    for (int i = 0; i < OCSP_resp_count(a->basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(a->basic, i);
        if (!is_about(single, leaf))
            continue;
        a->status = OCSP_single_get0_status(single, NULL, NULL, &a->from, &a->until);
        return true;
    }
    return false;
}

// By the issuer, or by one whom it has named for that. Not known without the issuer.
static bool is_signed(const struct answer *a, const struct tls_cert *c)
{
    if (sk_X509_num(c->chain) <= 0)
        return true;
    X509_STORE *store = X509_STORE_new();
    bool fine =
        store != NULL &&
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME) &&
        X509_STORE_add_cert(store, sk_X509_value(c->chain, 0)) == 1 &&
        OCSP_basic_verify(a->basic, c->chain, store, 0) == 1;
    X509_STORE_free(store);
    return fine;
}

static int64_t seconds(const ASN1_GENERALIZEDTIME *when, int64_t otherwise)
{
    struct tm tm;
    return when != NULL && ASN1_TIME_to_tm(when, &tm) == 1 ? (int64_t)timegm(&tm) : otherwise;
}

// NULL: it is good, or st->state says what else; otherwise why it cannot be used.
static const char *judge(struct answer *a, const struct tls_cert *c, int64_t now, struct staple *st)
{
    if (!find_single(a, c->leaf))
        return "it is about another certificate";
    if (!is_signed(a, c))
        return "it is not signed by the issuer of the certificate";
    if (seconds(a->from, 0) > now + CLOCK_SKEW_S)
        return "it is not valid yet";
    if (a->status == V_OCSP_CERTSTATUS_UNKNOWN)
        return "the responder does not know the certificate";
    st->until = seconds(a->until, INT64_MAX);
    st->state = a->status == V_OCSP_CERTSTATUS_REVOKED ? STAPLE_REVOKED
                : st->until <= now                     ? STAPLE_EXPIRED
                                                       : STAPLE_GOOD;
    return NULL;
}

struct staple tls_ocsp_read(const struct tls_cert *c, const struct pem_pair *pem, int64_t now,
                            char why[TLS_WHY_MAX])
{
    static const char *const says[] = {[STAPLE_REVOKED] = "it says that the certificate is revoked",
                                       [STAPLE_EXPIRED] = "it has expired; a newer one is needed"};
    struct staple st = {.state = STAPLE_NONE};
    struct answer a = {0};
    if (pem->ocsp_file == NULL)
        return st;
    st.state = STAPLE_UNUSABLE;
    ERR_clear_error();
    const char *fault = open_answer(&a, pem->ocsp);
    if (fault == NULL)
        fault = judge(&a, c, now, &st);
    if (fault == NULL && st.state != STAPLE_GOOD)
        fault = says[st.state];
    close_answer(&a);
    if (fault != NULL)
        (void)snprintf(why, TLS_WHY_MAX, "the OCSP answer '%s' is not given to clients: %s",
                       pem->ocsp_file, fault);
    return st;
}
