// SPDX-License-Identifier: MIT
// Contexts of TLS servers. Built by the supervisor (to find out whether they can be) and by
// workers, once per configuration and listener; the callbacks run in workers during handshakes.
//
//   names   "www.example.com", ".example.com" (a wildcard) -> identity
//   identity = an ECDSA certificate, an RSA one, or both under one SSL_CTX: OpenSSL takes the one
//              that the client can check
//
// Every connection begins with the context of the default identity; on_hello() changes it, before
// OpenSSL looks at a session: so that one of another identity is not resumed (with TLS 1.3 the
// callback for the name comes too late for that: nginx CVE-2025-23419).
// Sessions are kept by clients alone, in tickets (tls_tickets.h).
// Invariant: all contexts of a server differ in their certificates and in the context of their
// sessions only.
// OpenSSL first: its headers use names that base/base.h bans
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "io/tls_server.h"

#include "base/digest.h"
#include "base/map.h"
#include "io/loop.h"
#include "io/tls_cert.h"
#include "io/tls_client_auth.h"
#include "io/tls_memory.h"
#include "io/tls_tickets.h"

#define CIPHERS                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"
#define TICKETS_PER_HANDSHAKE 1 // of TLS 1.3

_Static_assert(KEY_KINDS == TLS_SHOWN_MAX, "one certificate of each kind");

struct identity {
    const struct tls_cert *certs[KEY_KINDS]; // NULL: none of that kind
    SSL_CTX *ctx;
    struct identity *next; // of the server
};

struct tls_server {
    struct arena *arena;
    uint32_t refs;
    bool strict_sni;
    bool alpn_needed;
    struct str alpn; // as it is written on the wire; empty: not answered
    struct tls_cert *certs;
    uint32_t n_certs;
    struct map names; // wildcards without their "*"
    struct identity *identities, *first;
    const struct tls_tickets *tickets;
    X509_STORE *clients;                 // who may sign their certificates; NULL: nobody is asked
    uint8_t auth_digest[SHA256_BYTES];   // of all that decides which client gets in
    const struct tls_settings *settings; // only while it is built
};

static EVP_CIPHER *ticket_cipher; // fetched once, kept

void tls_init(void)
{
    tls_memory_init();
    (void)OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
                               OPENSSL_INIT_LOAD_CONFIG,
                           NULL);
    if (ticket_cipher == NULL)
        ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    ERR_clear_error();
}

// ---- names ------------------------------------------------------------------------------------

static struct identity *find_name(const struct tls_server *t, struct str name)
{
    char lower[256];
    size_t n = name.len;
    if (n > 0 && name.p[n - 1] == '.')
        n--;
    if (n == 0 || n >= sizeof(lower))
        return NULL;
    for (size_t i = 0; i < n; i++)
        lower[i] = ascii_lower(name.p[i]);
    struct identity *found = map_get(&t->names, (struct str){lower, n});
    const char *dot = memchr(lower, '.', n);
    if (found != NULL || dot == NULL || dot == lower)
        return found;
    return map_get(&t->names, str_from(dot, lower + n));
}

// The host name of a server_name extension (RFC 6066 section 3); empty when it is not of that form:
// then OpenSSL refuses it.
static struct str name_in(const unsigned char *p, size_t n)
{
    if (n < 5 || p[2] != TLSEXT_NAMETYPE_host_name || (size_t)(p[3] << 8 | p[4]) > n - 5)
        return STR_NONE;
    return (struct str){(const char *)p + 5, (size_t)(p[3] << 8 | p[4])};
}

// Chooses the certificate. Called by OpenSSL when it has read a ClientHello.
static int on_hello(SSL *ssl, int *alert, void *arg)
{
    const struct tls_server *t = arg;
    const unsigned char *bytes;
    size_t n;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &n) != 1)
        return SSL_CLIENT_HELLO_SUCCESS;
    const struct identity *found = find_name(t, name_in(bytes, n));
    if (found == NULL || found->ctx == SSL_get_SSL_CTX(ssl) ||
        SSL_set_SSL_CTX(ssl, found->ctx) != NULL)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

// Whether the name is one of ours. Called once per ClientHello, with or without a name.
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_server *t = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (find_name(t, str_of(name)) != NULL)
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return t->strict_sni ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

// RFC 7301 section 3.2: a client that speaks nothing of ours is refused, where we know what is
// spoken behind TLS.
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    const struct tls_server *t = arg;
    unsigned char *chosen;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, (const unsigned char *)t->alpn.p,
                              (unsigned)t->alpn.len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return t->alpn_needed ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

// ---- tickets ----------------------------------------------------------------------------------

static bool begin_ticket(const struct ticket_key *key, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, bool writing)
{
    char digest[] = "SHA256";
    unsigned char secret[sizeof(key->mac)];
    memcpy(secret, key->mac, sizeof(secret));
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof(secret)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    bool fine = EVP_CipherInit_ex(cipher, ticket_cipher, NULL, key->secret, iv, writing) == 1 &&
                EVP_MAC_CTX_set_params(mac, params) == 1;
    OPENSSL_cleanse(secret, sizeof(secret));
    return fine;
}

// As OpenSSL wants it: 1 good, 2 good but give the client a new one, 0 no such key, -1 failed.
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int writing)
{
    const struct tls_server *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct ticket_key key;
    int age = tls_tickets_find(t->tickets, writing ? NULL : name, &key);
    bool used_up = age > 0 || SSL_version(ssl) == TLS1_3_VERSION; // RFC 8446 C.4: taken once
    int result = age < 0 ? 0 : used_up ? 2 : 1;
    if (writing) {
        memcpy(name, key.name, sizeof(key.name));
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(ticket_cipher)) != 1)
            result = -1;
    }
    if (result > 0 && !begin_ticket(&key, iv, cipher, mac, writing != 0))
        result = -1;
    OPENSSL_cleanse(&key, sizeof(key));
    return result;
}

// ---- OCSP -------------------------------------------------------------------------------------

static const struct tls_cert *shown(const struct identity *i, const X509 *leaf)
{
    for (int k = 0; k < KEY_KINDS; k++) {
        if (i->certs[k] != NULL && i->certs[k]->leaf == leaf)
            return i->certs[k];
    }
    return NULL;
}

// The client asks for the issuer's word. OpenSSL frees what it is given.
static int on_status(SSL *ssl, void *arg)
{
    const struct tls_cert *c = shown(arg, SSL_get_certificate(ssl));
    if (c == NULL || c->staple.len == 0 || (int64_t)(clock_wall_ms() / 1000) >= c->staple_until)
        return SSL_TLSEXT_ERR_NOACK;
    void *copy = OPENSSL_memdup(c->staple.p, c->staple.len);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    (void)SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)c->staple.len);
    return SSL_TLSEXT_ERR_OK;
}

// ---- contexts ---------------------------------------------------------------------------------

// The names of TLS 1.3 (TLS_...) and the others are two lists to OpenSSL.
static bool set_ciphers(SSL_CTX *ctx, struct arena *a, const char *list)
{
    const char *old = "", *tls13 = "";
    for (const char *at = list; *at != '\0';) {
        size_t n = strcspn(at, ":, ");
        const char **to = n > 4 && strncmp(at, "TLS_", 4) == 0 ? &tls13 : &old;
        if (n > 0)
            *to = arena_printf(a, "%s%s%.*s", *to, **to != '\0' ? ":" : "", (int)n, at);
        at += n + (at[n] != '\0');
    }
    return (*old == '\0' || SSL_CTX_set_cipher_list(ctx, old) == 1) &&
           (*tls13 == '\0' || SSL_CTX_set_ciphersuites(ctx, tls13) == 1);
}

static void set_behaviour(SSL_CTX *ctx, struct tls_server *t)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_app_data(ctx, t);
    SSL_CTX_set_client_hello_cb(ctx, on_hello, t);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, t);
    if (t->alpn.len > 0)
        SSL_CTX_set_alpn_select_cb(ctx, on_alpn, t);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ctx, TICKETS_PER_HANDSHAKE);
    if (t->tickets != NULL)
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    else
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
}

static void hash_text(void *ctx, struct str text)
{
    (void)EVP_DigestUpdate(ctx, text.p, text.len);
    (void)EVP_DigestUpdate(ctx, "", 1); // none of them has a NUL
}

// A session is resumed where the same server (the frontend's name, the names of the certificates,
// not the certificates: these are renewed) asks its clients the same.
static bool set_context(const struct identity *i, const struct tls_server *t)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool fine = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    if (fine) {
        hash_text(md, t->settings->context);
        for (int k = 0; k < KEY_KINDS; k++) {
            hash_text(md, STR("certificate"));
            if (i->certs[k] != NULL)
                tls_cert_names(i->certs[k], hash_text, md);
        }
        (void)EVP_DigestUpdate(md, t->auth_digest, sizeof(t->auth_digest));
        fine = EVP_DigestFinal_ex(md, id, NULL) == 1;
    }
    EVP_MD_CTX_free(md);
    return fine && SSL_CTX_set_session_id_context(i->ctx, id, SSL_MAX_SID_CTX_LENGTH) == 1;
}

static bool use_cert(SSL_CTX *ctx, const struct tls_cert *c)
{
    return c == NULL || SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 1) == 1;
}

static const char *set_up(struct identity *i, struct tls_server *t)
{
    const struct tls_settings *s = t->settings;
    i->ctx = SSL_CTX_new(TLS_server_method());
    if (i->ctx == NULL)
        return "out of memory";
    set_behaviour(i->ctx, t);
    (void)SSL_CTX_set_tlsext_status_cb(i->ctx, on_status);
    (void)SSL_CTX_set_tlsext_status_arg(i->ctx, i);
    int min = s->min_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (SSL_CTX_set_min_proto_version(i->ctx, min) != 1 || !set_context(i, t))
        return "this OpenSSL does not serve the version";
    if (t->clients != NULL && !client_auth_use(i->ctx, t->clients, s->clients->optional))
        return "out of memory";
    if (!set_ciphers(i->ctx, t->arena, CIPHERS) ||
        (s->ciphers[0] != '\0' && !set_ciphers(i->ctx, t->arena, s->ciphers)))
        return "'ciphers' names none that OpenSSL knows";
    char *groups = arena_strdup(t->arena, str_of(s->groups[0] != '\0' ? s->groups : GROUPS));
    if (SSL_CTX_set1_groups_list(i->ctx, groups) != 1)
        return "'groups' names one that OpenSSL does not know";
    return use_cert(i->ctx, i->certs[KEY_ECDSA]) && use_cert(i->ctx, i->certs[KEY_RSA])
               ? NULL
               : "OpenSSL refuses the certificate";
}

// ---- identities -------------------------------------------------------------------------------

// While names are collected each has an identity of its own; equal ones become one afterwards.
struct collecting {
    struct tls_server *server;
    const struct tls_cert *cert;
    struct identity *first; // of the certificate's names
    int64_t now;
};

static void add_name(void *ctx, struct str name)
{
    struct collecting *c = ctx;
    struct tls_server *t = c->server;
    if (name.p[0] == '*')
        name = (struct str){name.p + 1, name.len - 1};
    struct identity *i = map_get(&t->names, name);
    if (i == NULL) {
        i = arena_alloc(t->arena, sizeof(*i));
        map_put(&t->names, arena_str(t->arena, name), i);
    }
    const struct tls_cert **slot = &i->certs[tls_cert_kind(c->cert)];
    if (*slot == NULL || tls_cert_is_better(c->cert, *slot, c->now))
        *slot = c->cert;
    if (c->first == NULL)
        c->first = i;
}

static struct identity *same_identity(const struct tls_server *t, const struct identity *like)
{
    for (struct identity *i = t->identities; i != NULL; i = i->next) {
        if (memcmp(i->certs, like->certs, sizeof(i->certs)) == 0)
            return i;
    }
    return NULL;
}

// The one identity with these certificates. NULL: `why`.
static struct identity *settle(struct tls_server *t, struct identity *i, const char **why)
{
    struct identity *same = same_identity(t, i);
    if (same != NULL)
        return same;
    i->next = t->identities;
    t->identities = i;
    *why = set_up(i, t);
    return *why == NULL ? i : NULL;
}

static const char *settle_all(struct tls_server *t, struct identity *first)
{
    const char *why = NULL;
    t->first = settle(t, first, &why);
    for (size_t k = 0; k < t->names.cap && why == NULL; k++) {
        struct map_slot *slot = &t->names.slots[k];
        if (slot->value != NULL)
            slot->value = settle(t, slot->value, &why);
    }
    return why;
}

static bool ask_clients(struct tls_server *t, char *why)
{
    const struct tls_client_auth *a = t->settings->clients;
    uint8_t files[SHA256_BYTES];
    if (a == NULL)
        return true;
    t->clients = client_auth_store(a, why);
    if (t->clients == NULL)
        return false;
    const uint64_t form[] = {a->ca.len, a->optional};
    (void)snprintf(why, TLS_WHY_MAX, "out of memory");
    return digest_sha256(a->ca, a->crl, files) &&
           digest_sha256((struct str){(const char *)files, sizeof(files)},
                         (struct str){(const char *)form, sizeof(form)}, t->auth_digest);
}

// NULL, or why not.
static const char *build(struct tls_server *t, char *why)
{
    const struct tls_settings *s = t->settings;
    struct identity *first = NULL;
    const int64_t now = clock_wall_ms() / 1000;
    if (!ask_clients(t, why))
        return why;
    for (; t->n_certs < s->n_certs; t->n_certs++) {
        struct collecting c = {t, &t->certs[t->n_certs], NULL, now};
        if (!tls_cert_load(&s->certs[t->n_certs], &t->certs[t->n_certs], why))
            return why;
        tls_cert_staple(&t->certs[t->n_certs], &s->certs[t->n_certs], now);
        tls_cert_names(c.cert, add_name, &c);
        if (t->n_certs == 0)
            first = c.first;
    }
    if (first == NULL) { // the default names no host
        first = arena_alloc(t->arena, sizeof(*first));
        first->certs[tls_cert_kind(&t->certs[0])] = &t->certs[0];
    }
    return settle_all(t, first);
}

// As ALPN writes it: each name behind its length.
static struct str alpn_list(struct arena *a, const struct tls_settings *s)
{
    size_t n = 0;
    if (s->http)
        return STR("\x8http/1.1\x8http/1.0");
    for (uint32_t i = 0; i < s->n_alpn; i++)
        n += 1 + s->alpn[i].len;
    char *list = arena_alloc(a, n + 1), *at = list;
    for (uint32_t i = 0; i < s->n_alpn; i++) {
        *at++ = (char)s->alpn[i].len;
        memcpy(at, s->alpn[i].p, s->alpn[i].len);
        at += s->alpn[i].len;
    }
    return (struct str){list, n};
}

struct tls_server *tls_server_new(const struct tls_settings *s, char *why)
{
    struct arena *a = arena_new();
    struct tls_server *t = arena_alloc(a, sizeof(*t));
    t->arena = t->names.arena = a;
    t->refs = 1;
    t->strict_sni = s->strict_sni;
    t->alpn_needed = s->http;
    t->alpn = alpn_list(a, s);
    t->tickets = s->tickets;
    t->settings = s;
    t->certs = arena_alloc(a, s->n_certs * sizeof(*t->certs));
    ERR_clear_error();
    const char *fault = build(t, why);
    t->settings = NULL;
    if (fault == NULL)
        return t;
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (fault != why)
        (void)snprintf(why, TLS_WHY_MAX, "%s%s%s%s", fault, reason != NULL ? " (" : "",
                       reason != NULL ? reason : "", reason != NULL ? ")" : "");
    ERR_clear_error();
    tls_server_drop(t);
    return NULL;
}

struct looking {
    const struct tls_server *server;
    const struct tls_cert *cert, *shown;
};

static void look_up(void *ctx, struct str name)
{
    struct looking *l = ctx;
    size_t star = name.p[0] == '*' ? 1 : 0;
    const struct identity *i =
        map_get(&l->server->names, (struct str){name.p + star, name.len - star});
    const struct tls_cert *shown = i->certs[tls_cert_kind(l->cert)];
    if (l->shown == NULL || shown == l->cert)
        l->shown = shown;
}

uint32_t tls_server_preferred(const struct tls_server *t, uint32_t i)
{
    struct looking l = {t, &t->certs[i], NULL};
    tls_cert_names(l.cert, look_up, &l);
    return l.shown != NULL ? (uint32_t)(l.shown - t->certs) : i;
}

struct tls_server *tls_server_hold(struct tls_server *t)
{
    t->refs++;
    return t;
}

void tls_server_drop(struct tls_server *t)
{
    lb_assert(t->refs > 0);
    if (--t->refs > 0)
        return;
    for (struct identity *i = t->identities; i != NULL; i = i->next)
        SSL_CTX_free(i->ctx);
    for (uint32_t i = 0; i < t->n_certs; i++)
        tls_cert_free(&t->certs[i]);
    X509_STORE_free(t->clients);
    arena_free(t->arena);
}

uint32_t tls_server_shown(const struct tls_server *t, struct str name, uint32_t out[TLS_SHOWN_MAX],
                          bool *known)
{
    const struct identity *i = find_name(t, name);
    uint32_t n = 0;
    *known = i != NULL;
    if (i == NULL && !t->strict_sni)
        i = t->first;
    for (int k = 0; i != NULL && k < KEY_KINDS; k++) {
        if (i->certs[k] != NULL)
            out[n++] = (uint32_t)(i->certs[k] - t->certs);
    }
    return n;
}

SSL *tls_server_ssl(struct tls_server *t, bool *foldable)
{
    return tls_memory_new(t->first->ctx, foldable);
}
