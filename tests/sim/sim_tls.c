// SPDX-License-Identifier: MIT
// Peers that speak TLS: OpenSSL at their end, as a real client's or server's. What a test sends and
// looks at is what is said inside; the worker sees records.
//
//   sim_send() -> said -> SSL -> in --> worker       worker -> wire -> SSL -> out -> sim_expect()
//
// A peer takes an end for one only behind close_notify: without it its connection counts as reset.
// Invariant: what a peer says is sealed as soon as there are keys.
// OpenSSL first: its headers use names that base/base.h bans
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "sim.h"

#include "io/tls.h"
#include "io/tls_tickets.h"

#define NAME "sim.test"

struct sim_tls {
    SSL *ssl;
    struct sim_bytes wire, said;
    size_t wire_taken, said_taken;
    bool wants_fin, wants_close;
    bool noticed; // close_notify has come
};

static struct {
    SSL_CTX *client, *server;
    struct tls_tickets tickets;
    char *pem; // certificate and key
    size_t n;
} own;

// ---- keys

static void make_pem(BIO *out)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509V3_CTX v;
    X509V3_set_ctx_nodb(&v);
    X509V3_set_ctx(&v, x, x, NULL, NULL, 0);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, &v, NID_subject_alt_name, "DNS:" NAME);
    assert_true(key != NULL && x != NULL && names != NULL);
    assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 90L * 24 * 3600);
    assert_int_equal(X509_add_ext(x, names, -1), 1);
    assert_int_equal(X509_set_pubkey(x, key), 1);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(out, x), 1);
    assert_int_equal(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(SSL_CTX_use_certificate(own.server, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(own.server, key), 1);
    X509_EXTENSION_free(names);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void set_up(void)
{
    char *text;
    tls_init();
    BIO *out = BIO_new(BIO_s_mem());
    own.client = SSL_CTX_new(TLS_client_method());
    own.server = SSL_CTX_new(TLS_server_method());
    make_pem(out);
    own.n = (size_t)BIO_get_mem_data(out, &text);
    own.pem = xcalloc(1, own.n + 1);
    memcpy(own.pem, text, own.n);
    BIO_free(out);
    assert_true(tls_tickets_init(&own.tickets));
}

// Any file is the certificate ("x.pem", with its key) or the authority ("x.crt", without).
static int read_pem(void *ctx, const char *path, enum live_kind kind, struct arena *a,
                    struct str *content)
{
    (void)ctx, (void)kind;
    bool pem = str_ends(str_of(path), STR(".pem"));
    if (!pem && !str_ends(str_of(path), STR(".crt")))
        return -ENOENT;
    size_t n = pem ? own.n : (size_t)(strstr(own.pem, "-----BEGIN PRIV") - own.pem);
    *content = arena_str(a, (struct str){own.pem, n});
    return 0;
}

void sim_tls_source(struct config_source *s)
{
    if (own.pem == NULL)
        set_up();
    s->read_live = read_pem;
}

const struct tls_tickets *sim_tls_tickets(void)
{
    return &own.tickets;
}

// ---- a peer

static struct sim_tls *begin(struct sim_peer *p, SSL_CTX *ctx)
{
    struct sim_tls *tls = p->tls = xcalloc(1, sizeof(*tls));
    tls->ssl = SSL_new(ctx);
    assert_non_null(tls->ssl);
    SSL_set_bio(tls->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return tls;
}

void sim_tls_client(struct sim *t, struct sim_peer *p)
{
    uint64_t mallocs = sim_mallocs(0);
    struct sim_tls *tls = begin(p, own.client);
    SSL_set_connect_state(tls->ssl);
    assert_int_equal(SSL_set_max_proto_version(tls->ssl, t->tls12 ? TLS1_2_VERSION : 0), 1);
    (void)sim_mallocs(mallocs);
    (void)sim_tls_pump(p);
}

void sim_tls_server(struct sim *t, struct sim_peer *p)
{
    uint64_t mallocs = sim_mallocs(0);
    struct sim_tls *tls = begin(p, own.server);
    SSL_set_accept_state(tls->ssl);
    assert_int_equal(SSL_set_max_proto_version(tls->ssl, t->tls12 ? TLS1_2_VERSION : 0), 1);
    (void)sim_mallocs(mallocs);
}

void sim_tls_free(struct sim_peer *p)
{
    if (p->tls == NULL)
        return;
    SSL_free(p->tls->ssl);
    free(p->tls->wire.p);
    free(p->tls->said.p);
    free(p->tls);
}

// A PROXY header comes before TLS.
static void take_proxy_header(struct sim_peer *p)
{
    struct sim_tls *tls = p->tls;
    char *end = tls->wire.n > 0 && tls->wire.p[0] == 'P' ? strstr(tls->wire.p, "\r\n") : NULL;
    if (tls->wire_taken > 0 || end == NULL)
        return;
    tls->wire_taken = (size_t)(end + 2 - tls->wire.p);
    sim_bytes_add(&p->out, tls->wire.p, tls->wire_taken);
}

static void take_records(struct sim_peer *p)
{
    struct sim_tls *tls = p->tls;
    char bytes[16384];
    size_t n;
    take_proxy_header(p);
    bool header = tls->wire_taken == 0 && tls->wire.n > 0 && tls->wire.p[0] == 'P';
    if (tls->wire.n > tls->wire_taken && !header) {
        int more = (int)(tls->wire.n - tls->wire_taken);
        assert_int_equal(BIO_write(SSL_get_rbio(tls->ssl), tls->wire.p + tls->wire_taken, more),
                         more);
        tls->wire_taken = tls->wire.n;
    }
    ERR_clear_error();
    int r;
    while ((r = SSL_read_ex(tls->ssl, bytes, sizeof(bytes), &n)) == 1)
        sim_bytes_add(&p->out, bytes, n);
    tls->noticed |= SSL_get_error(tls->ssl, r) == SSL_ERROR_ZERO_RETURN;
}

// New keys before each message. Clients ask for the worker's, too; a server that did and then
// closes would take its own last words back: the answer to that cannot be sent.
static void seal(struct sim_peer *p)
{
    struct sim_tls *tls = p->tls;
    size_t n = tls->said.n - tls->said_taken, sent;
    if (!SSL_is_init_finished(tls->ssl))
        return;
    ERR_clear_error();
    if (n > 0) {
        bool asks = SSL_is_server(tls->ssl) == 0;
        if (SSL_version(tls->ssl) == TLS1_3_VERSION)
            (void)SSL_key_update(tls->ssl,
                                 asks ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
        if (SSL_write_ex(tls->ssl, tls->said.p + tls->said_taken, n, &sent) == 1)
            tls->said_taken += sent;
    }
    if (tls->wants_fin && tls->said_taken == tls->said.n)
        (void)SSL_shutdown(tls->ssl);
}

static void send_records(struct sim_peer *p)
{
    char *bytes;
    BIO *out = SSL_get_wbio(p->tls->ssl);
    long n = BIO_get_mem_data(out, &bytes);
    if (n > 0 && p->state != SIM_RST && !p->in_fin)
        sim_bytes_add(&p->in, bytes, (size_t)n);
    (void)BIO_reset(out);
}

static void converse(struct sim_peer *p)
{
    struct sim_tls *tls = p->tls;
    uint64_t mallocs = sim_mallocs(0); // only the worker runs out of memory
    take_records(p);
    seal(p);
    send_records(p);
    (void)sim_mallocs(mallocs);
    bool waits = SSL_is_init_finished(tls->ssl) && tls->said_taken < tls->said.n;
    p->in_fin |= tls->wants_fin && !waits;
    p->gone |= tls->wants_close && p->in_fin;
}

bool sim_tls_pump(struct sim_peer *p)
{
    size_t before = p->in.n + p->out.n;
    if (p->connecting)
        return false;
    if (!p->gone)
        converse(p);
    if (p->state == SIM_FIN && !p->tls->noticed && SSL_is_init_finished(p->tls->ssl))
        p->state = SIM_RST; // cut off, as far as this peer can tell
    return before != p->in.n + p->out.n;
}

void sim_tls_say(struct sim_peer *p, const void *bytes, size_t n)
{
    sim_bytes_add(&p->tls->said, bytes, n);
    (void)sim_tls_pump(p);
}

void sim_tls_end(struct sim_peer *p, bool close)
{
    p->tls->wants_fin = true;
    p->tls->wants_close |= close;
    (void)sim_tls_pump(p);
}

void sim_tls_got(struct sim_peer *p, const void *bytes, size_t n)
{
    sim_bytes_add(&p->tls->wire, bytes, n);
}
