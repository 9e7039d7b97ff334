// SPDX-License-Identifier: MIT
// TLS to servers: contexts, whom they believe, and the sessions to go on with. Built by workers and
// by control for each configuration, and by whoever loads one to find out whether it can be.
//
//   tls_clients  of a configuration, by the server's slot
//   tls_client   one server: its name, the session that was agreed on last
//   context      one SSL_CTX for all servers with equal terms; a store of authorities is shared by
//                all contexts that name the same file (the system's has some 140)
//
// A client that has not changed is the same object in the next configuration. So whether a
// connection may still be used for its server is a comparison of pointers, and a session can only
// be resumed with the server, under the name and on the terms that it was made with.
// Invariants: what a set was built from is not looked at any more when it is built; OpenSSL's queue
// of errors is empty when a function returns.
// OpenSSL first: its headers use names that base/base.h bans
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "io/tls_client.h"

#include "base/digest.h"
#include "base/map.h"
#include "io/tls_cert.h"

#define NAME_BYTES_MAX 254u
#define WHOM_MAX 96 // of the names in a certificate that is for somebody else

struct context {
    uint32_t refs;
    bool verify;
    SSL_CTX *ctx;
    uint8_t digest[SHA256_BYTES]; // of its terms
};

struct tls_client {
    uint32_t refs;
    struct context *context;
    SSL_SESSION *session; // NULL: none to go on with
    bool is_ip;
    bool failing; // the last handshake did
    char name[NAME_BYTES_MAX];
    char failure[TLS_WHY_MAX];
};

struct made {
    struct tls_terms terms; // only while the set is built
    struct context *context;
};

struct tls_clients {
    struct tls_client **at; // by slot
    uint32_t n_slots;
    struct made *made;
    uint32_t n_made;
};

// ---- contexts ---------------------------------------------------------------------------------

static struct context *hold_context(struct context *c)
{
    c->refs++;
    return c;
}

static void drop_context(struct context *c)
{
    lb_assert(c->refs > 0);
    if (--c->refs > 0)
        return;
    SSL_CTX_free(c->ctx);
    free(c);
}

// What came of a handshake, or behind it, to go on with the next time.
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_client *t = SSL_get_app_data(ssl);
    SSL_SESSION_free(t->session);
    t->session = session;
    return 1; // it is ours
}

static void set_behaviour(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

static bool set_alpn(SSL_CTX *ctx, const struct tls_terms *terms)
{
    unsigned char wire[1024];
    unsigned n = 0;
    for (uint32_t i = 0; i < terms->n_alpn; i++) {
        const struct str *name = &terms->alpn[i];
        if (name->len == 0 || name->len > 255 || n + 1 + name->len > sizeof(wire))
            return false;
        wire[n++] = (unsigned char)name->len;
        memcpy(wire + n, name->p, name->len);
        n += (unsigned)name->len;
    }
    return n == 0 || SSL_CTX_set_alpn_protos(ctx, wire, n) == 0;
}

// An authority that is named counts whether it is a root or not.
static bool set_trust(const struct tls_clients *s, SSL_CTX *ctx, const struct tls_terms *terms,
                      char *why)
{
    X509_STORE *store = NULL;
    for (uint32_t i = 0; i < s->n_made && store == NULL; i++) {
        const struct made *m = &s->made[i];
        if (m->terms.verify && m->terms.ca.p == terms->ca.p)
            store = SSL_CTX_get_cert_store(m->context->ctx);
    }
    if (store != NULL) {
        SSL_CTX_set1_cert_store(ctx, store);
    } else {
        store = tls_authorities_load(terms->ca_file, terms->ca, why);
        if (store == NULL)
            return false;
        SSL_CTX_set_cert_store(ctx, store);
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    return true;
}

static bool set_own(SSL_CTX *ctx, const struct tls_terms *terms, char *why)
{
    struct tls_cert cert;
    if (terms->own == NULL)
        return true;
    if (!tls_cert_load(terms->own, &cert, why))
        return false;
    bool fine = SSL_CTX_use_cert_and_key(ctx, cert.leaf, cert.key, cert.chain, 1) == 1;
    tls_cert_free(&cert);
    if (!fine)
        (void)snprintf(why, TLS_WHY_MAX, "OpenSSL refuses the certificate in '%s'",
                       terms->own->file);
    return fine;
}

static bool set_up(const struct tls_clients *s, SSL_CTX *ctx, const struct tls_terms *terms,
                   char *why)
{
    int min = terms->min == TLS_MIN_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (ctx == NULL) {
        (void)snprintf(why, TLS_WHY_MAX, "out of memory");
        return false;
    }
    set_behaviour(ctx);
    if (terms->resume) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, on_session);
    }
    if (SSL_CTX_set_min_proto_version(ctx, min) != 1) {
        (void)snprintf(why, TLS_WHY_MAX, "this OpenSSL does not speak the version");
        return false;
    }
    if (!set_alpn(ctx, terms)) {
        (void)snprintf(why, TLS_WHY_MAX, "'alpn' is too long");
        return false;
    }
    return (!terms->verify || set_trust(s, ctx, terms, why)) && set_own(ctx, terms, why);
}

// ---- equal terms ------------------------------------------------------------------------------

static void digest_text(EVP_MD_CTX *md, struct str s)
{
    uint64_t n = s.len;
    (void)EVP_DigestUpdate(md, &n, sizeof(n));
    (void)EVP_DigestUpdate(md, s.p, s.len);
}

static bool digest_terms(const struct tls_terms *t, uint8_t out[SHA256_BYTES])
{
    const uint8_t plain[] = {t->verify, t->resume, (uint8_t)t->min, t->own != NULL};
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool fine = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    if (fine) {
        digest_text(md, (struct str){(const char *)plain, sizeof(plain)});
        digest_text(md, t->verify ? t->ca : STR_NONE);
        digest_text(md, t->own != NULL ? t->own->chain : STR_NONE);
        digest_text(md, t->own != NULL ? t->own->key : STR_NONE);
        for (uint32_t i = 0; i < t->n_alpn; i++)
            digest_text(md, t->alpn[i]);
        fine = EVP_DigestFinal_ex(md, out, NULL) == 1;
    }
    EVP_MD_CTX_free(md);
    return fine;
}

// Of one configuration: the same file is the same bytes at the same place.
static bool same_terms(const struct tls_terms *a, const struct tls_terms *b)
{
    bool same = a->verify == b->verify && (!a->verify || a->ca.p == b->ca.p) && a->own == b->own &&
                a->resume == b->resume && a->min == b->min && a->n_alpn == b->n_alpn;
    for (uint32_t i = 0; same && i < a->n_alpn; i++)
        same = str_eq(a->alpn[i], b->alpn[i]);
    return same;
}

static struct context *context_before(const struct tls_clients *before, const uint8_t *digest)
{
    for (uint32_t i = 0; before != NULL && i < before->n_made; i++) {
        struct context *c = before->made[i].context;
        if (memcmp(c->digest, digest, sizeof(c->digest)) == 0)
            return hold_context(c);
    }
    return NULL;
}

static struct context *new_context(const struct tls_clients *s, const struct tls_terms *terms,
                                   const uint8_t *digest, char *why)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!set_up(s, ctx, terms, why)) {
        SSL_CTX_free(ctx);
        ERR_clear_error();
        return NULL;
    }
    struct context *c = xcalloc(1, sizeof(*c));
    c->refs = 1;
    c->verify = terms->verify;
    c->ctx = ctx;
    memcpy(c->digest, digest, sizeof(c->digest));
    return c;
}

// The context for these terms, which the set holds; NULL: why.
static struct context *find_context(struct tls_clients *s, const struct tls_clients *before,
                                    const struct tls_terms *terms, char *why)
{
    uint8_t digest[SHA256_BYTES];
    for (uint32_t i = s->n_made; i > 0; i--) {
        if (same_terms(&s->made[i - 1].terms, terms))
            return s->made[i - 1].context;
    }
    if (!digest_terms(terms, digest)) {
        (void)snprintf(why, TLS_WHY_MAX, "out of memory");
        return NULL;
    }
    struct context *c = context_before(before, digest);
    if (c == NULL)
        c = new_context(s, terms, digest, why);
    if (c == NULL)
        return NULL;
    s->made = xrealloc(s->made, (s->n_made + 1) * sizeof(*s->made));
    s->made[s->n_made++] = (struct made){*terms, c};
    return c;
}

// ---- clients ----------------------------------------------------------------------------------

static bool is_ip(const char *name)
{
    struct in6_addr any;
    return inet_pton(AF_INET, name, &any) == 1 || inet_pton(AF_INET6, name, &any) == 1;
}

static struct tls_client *new_client(struct context *context, const char *name)
{
    struct tls_client *t = xcalloc(1, sizeof(*t));
    t->refs = 1;
    t->context = hold_context(context);
    t->is_ip = is_ip(name);
    (void)str_copy(str_of(name), t->name, sizeof(t->name));
    return t;
}

struct tls_clients *tls_clients_new(void)
{
    return xcalloc(1, sizeof(struct tls_clients));
}

static void make_room(struct tls_clients *s, uint32_t slot)
{
    uint32_t n = MAX_OF(slot + 1, s->n_slots * 2);
    if (slot < s->n_slots)
        return;
    s->at = xrealloc(s->at, n * sizeof(struct tls_client *));
    memset(s->at + s->n_slots, 0, (n - s->n_slots) * sizeof(struct tls_client *));
    s->n_slots = n;
}

bool tls_clients_add(struct tls_clients *s, const struct tls_clients *before, uint32_t slot,
                     const struct tls_terms *terms, char why[TLS_WHY_MAX])
{
    char name[NAME_BYTES_MAX];
    struct tls_client *old = tls_clients_at(before, slot);
    if (!str_copy(terms->name, name, sizeof(name))) {
        (void)snprintf(why, TLS_WHY_MAX, "'server-name' is too long");
        return false;
    }
    struct context *context = find_context(s, before, terms, why);
    if (context == NULL)
        return false;
    make_room(s, slot);
    lb_assert(s->at[slot] == NULL);
    bool same = old != NULL && old->context == context && strcmp(old->name, name) == 0;
    s->at[slot] = same ? tls_client_hold(old) : new_client(context, name);
    return true;
}

struct tls_client *tls_clients_at(const struct tls_clients *s, uint32_t slot)
{
    return s != NULL && slot < s->n_slots ? s->at[slot] : NULL;
}

void tls_clients_free(struct tls_clients *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->n_slots; i++) {
        if (s->at[i] != NULL)
            tls_client_drop(s->at[i]);
    }
    for (uint32_t i = 0; i < s->n_made; i++)
        drop_context(s->made[i].context);
    free(s->at);
    free(s->made);
    free(s);
}

struct tls_client *tls_client_hold(struct tls_client *t)
{
    t->refs++;
    return t;
}

void tls_client_drop(struct tls_client *t)
{
    lb_assert(t->refs > 0);
    if (--t->refs > 0)
        return;
    SSL_SESSION_free(t->session);
    drop_context(t->context);
    free(t);
}

// ---- connections ------------------------------------------------------------------------------

// Whom the certificate must be for. An address is looked for among the addresses in it, and is not
// sent (RFC 6066 section 3).
static bool expect(SSL *ssl, struct tls_client *t)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (t->name[0] == '\0')
        return true;
    if (t->is_ip)
        return X509_VERIFY_PARAM_set1_ip_asc(param, t->name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, t->name, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, t->name) == 1;
}

SSL *tls_client_ssl(struct tls_client *t)
{
    ERR_clear_error();
    SSL *ssl = SSL_new(t->context->ctx);
    if (ssl == NULL || !expect(ssl, t)) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_connect_state(ssl);
    SSL_set_app_data(ssl, t);
    if (t->session != NULL)
        (void)SSL_set_session(ssl, t->session);
    return ssl;
}

bool tls_client_note(struct tls_client *t, bool failed)
{
    bool news = failed != t->failing;
    t->failing = failed;
    return news;
}

// ---- what went wrong --------------------------------------------------------------------------

struct whom {
    char text[WHOM_MAX];
    size_t used;
};

static void add_whom(void *ctx, struct str name)
{
    struct whom *w = ctx;
    size_t room = sizeof(w->text) - w->used;
    int n = snprintf(w->text + w->used, room, "%s%.*s", w->used > 0 ? ", " : "", STR_FMT(name));
    if (n > 0 && (size_t)n < room)
        w->used += (size_t)n;
    else
        w->text[w->used] = '\0';
}

static void explain_mismatch(struct tls_client *t, X509 *leaf)
{
    struct whom whom = {.text = ""};
    const struct tls_cert cert = {.leaf = leaf};
    if (leaf != NULL)
        tls_cert_names(&cert, add_whom, &whom);
    (void)snprintf(t->failure, sizeof(t->failure), "its certificate is for %s, not for %s",
                   whom.used > 0 ? whom.text : "no host", t->name);
}

static void explain_issuer(struct tls_client *t, X509 *leaf)
{
    char issuer[WHOM_MAX] = "nobody";
    BIO *out = BIO_new(BIO_s_mem());
    if (out != NULL && leaf != NULL &&
        X509_NAME_print_ex(out, X509_get_issuer_name(leaf), 0, XN_FLAG_RFC2253) > 0) {
        char *text;
        long n = BIO_get_mem_data(out, &text);
        (void)str_copy((struct str){text, MIN_OF((size_t)n, sizeof(issuer) - 1)}, issuer,
                       sizeof(issuer));
    }
    BIO_free(out);
    (void)snprintf(t->failure, sizeof(t->failure),
                   "unknown authority: its certificate is signed by %s", issuer);
}

// False: its certificate was not the reason.
static bool explain_certificate(struct tls_client *t, const SSL *ssl)
{
    long result = SSL_get_verify_result(ssl);
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    X509 *leaf = chain != NULL && sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL;
    if (!t->context->verify || result == X509_V_OK || leaf == NULL)
        return false;
    switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        explain_mismatch(t, leaf);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        explain_issuer(t, leaf);
        break;
    default:
        (void)snprintf(t->failure, sizeof(t->failure), "its certificate: %s",
                       X509_verify_cert_error_string(result));
        break;
    }
    return true;
}

const char *tls_client_explain(struct tls_client *t, SSL *ssl, int error)
{
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code);
    SSL_SESSION_free(t->session); // it may be what the server does not like
    t->session = NULL;
    if (explain_certificate(t, ssl)) {
        ERR_clear_error();
        return t->failure;
    }
    if (error == 0 || error == TLS_ERROR_TRUNCATED)
        reason = "it closed the connection in the TLS handshake";
    else if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
        reason = "it does not speak TLS";
    else if (error != TLS_ERROR_PROTOCOL)
        reason = strerror(error);
    (void)snprintf(t->failure, sizeof(t->failure), "%s",
                   reason != NULL ? reason : "the TLS handshake failed");
    ERR_clear_error();
    return t->failure;
}
