// SPDX-License-Identifier: MIT
// Certificates, authorities and revocation lists in words. Run by the supervisor, for `evlb ctl
// certs`. Pure but for OpenSSL. Invariant: OpenSSL's queue of errors is empty when a function
// returns. OpenSSL first: its headers use names that base/base.h bans
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "io/tls_cert_facts.h"

#include "io/tls_client_auth.h"
#include "io/tls_ocsp.h"

struct name_list {
    struct arena *arena;
    struct str *items;
    size_t n, cap;
};

static void add_name(void *ctx, struct str name)
{
    struct name_list *l = ctx;
    l->items = arena_grow(l->arena, l->items, l->n, &l->cap, sizeof(*l->items));
    l->items[l->n++] = arena_str(l->arena, name);
}

static const char *name_text(struct arena *a, X509_NAME *name)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *p;
    unsigned long flags =
        (XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ) & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    if (out == NULL || X509_NAME_print_ex(out, name, 0, flags) < 0) {
        BIO_free(out);
        return "";
    }
    long n = BIO_get_mem_data(out, &p);
    const char *text = arena_strdup(a, (struct str){p, n > 0 ? (size_t)n : 0});
    BIO_free(out);
    return text;
}

static const char *serial_text(struct arena *a, const X509 *leaf)
{
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL);
    char *hex = n != NULL ? BN_bn2hex(n) : NULL;
    const char *text = arena_strdup(a, str_of(hex != NULL ? hex : ""));
    OPENSSL_free(hex);
    BN_free(n);
    return text;
}

static const char *key_text(struct arena *a, X509 *leaf)
{
    EVP_PKEY *key = X509_get0_pubkey(leaf);
    char group[64];
    if (key == NULL)
        return "unknown";
    int kind = EVP_PKEY_get_base_id(key);
    if (kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS)
        return arena_printf(a, "RSA %d", EVP_PKEY_get_bits(key));
    if (kind != EVP_PKEY_EC)
        return arena_strdup(a, str_of(OBJ_nid2sn(kind)));
    if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1)
        return "ECDSA";
    const char *usual = EC_curve_nid2nist(OBJ_txt2nid(group));
    return arena_printf(a, "ECDSA %s", usual != NULL ? usual : group);
}

static int64_t seconds(const ASN1_TIME *when)
{
    struct tm tm;
    return ASN1_TIME_to_tm(when, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void put_staple(const struct tls_cert *c, const struct pem_pair *pem, int64_t now,
                       struct arena *a, struct tls_cert_facts *out)
{
    char why[TLS_WHY_MAX];
    const struct staple st = tls_ocsp_read(c, pem, now, why);
    out->ocsp = staple_words[st.state];
    out->ocsp_until = st.until < INT64_MAX ? st.until : 0;
    if (st.state != STAPLE_GOOD && st.state != STAPLE_NONE)
        out->ocsp_why = arena_strdup(a, str_of(why));
}

bool tls_cert_facts(const struct pem_pair *pem, int64_t now, struct arena *a,
                    struct tls_cert_facts *out)
{
    struct tls_cert c;
    struct name_list names = {.arena = a};
    char why[TLS_WHY_MAX];
    *out = (struct tls_cert_facts){0};
    if (!tls_cert_load_public(pem, &c, why))
        return false;
    tls_cert_names(&c, add_name, &names);
    out->subject = name_text(a, X509_get_subject_name(c.leaf));
    out->issuer = name_text(a, X509_get_issuer_name(c.leaf));
    out->serial = serial_text(a, c.leaf);
    out->key = key_text(a, c.leaf);
    out->names = names.items;
    out->n_names = (uint32_t)names.n;
    out->from = seconds(X509_get0_notBefore(c.leaf));
    out->until = seconds(X509_get0_notAfter(c.leaf));
    put_staple(&c, pem, now, a, out);
    tls_cert_free(&c);
    ERR_clear_error();
    return true;
}

// ---- whom to believe --------------------------------------------------------------------------

static void add_end(struct tls_trust_facts *out, const ASN1_TIME *end)
{
    int64_t at = end != NULL ? seconds(end) : 0;
    if (at != 0 && (out->until == 0 || at < out->until))
        out->until = at;
}

static void add_object(X509_OBJECT *o, bool lists, struct name_list *names,
                       struct tls_trust_facts *out)
{
    X509 *authority = lists ? NULL : X509_OBJECT_get0_X509(o);
    X509_CRL *list = lists ? X509_OBJECT_get0_X509_CRL(o) : NULL;
    if (authority != NULL) {
        add_name(names, str_of(name_text(names->arena, X509_get_subject_name(authority))));
        add_end(out, X509_get0_notAfter(authority));
    } else if (list != NULL) {
        add_name(names, str_of(name_text(names->arena, X509_CRL_get_issuer(list))));
        add_end(out, X509_CRL_get0_nextUpdate(list));
    }
}

bool tls_trust_facts(const struct tls_client_auth *t, bool lists, struct arena *a,
                     struct tls_trust_facts *out)
{
    char why[TLS_WHY_MAX];
    struct name_list names = {.arena = a};
    X509_STORE *store = client_auth_store(t, why);
    *out = (struct tls_trust_facts){0};
    if (store == NULL)
        return false;
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++)
        add_object(sk_X509_OBJECT_value(objects, i), lists, &names, out);
    X509_STORE_free(store);
    out->names = names.items;
    out->n_names = (uint32_t)names.n;
    ERR_clear_error();
    return true;
}
