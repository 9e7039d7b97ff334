// SPDX-License-Identifier: MIT
// TLS to servers over a socket pair, with OpenSSL's own server at the other end, fed byte by byte:
// whom a client believes, what it goes on with, and when it is another client.
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/tls.h"

struct origin {
    EVP_PKEY *key;
    X509 *cert;
    SSL_CTX *ctx;
    char pem[4096];
};

static void on_ready(struct conn *c)
{
    (void)c;
}

// A certificate that has signed itself, for that name (which may hold a NUL).
static void make_origin(struct origin *o, const char *name, size_t n)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *one = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    BIO *out = BIO_new(BIO_s_mem());
    *o = (struct origin){.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    assert_int_equal(ASN1_STRING_set(text, name, (int)n), 1);
    GENERAL_NAME_set0_value(one, GEN_DNS, text);
    sk_GENERAL_NAME_push(names, one);
    assert_int_equal(X509_set_version(o->cert, 2), 1);
    X509_gmtime_adj(X509_getm_notBefore(o->cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(o->cert), 3600);
    assert_int_equal(X509_add1_ext_i2d(o->cert, NID_subject_alt_name, names, 0, 0), 1);
    assert_int_equal(X509_set_pubkey(o->cert, o->key), 1);
    assert_true(X509_sign(o->cert, o->key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(out, o->cert), 1);
    assert_true(BIO_read(out, o->pem, sizeof(o->pem) - 1) > 0);
    o->ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(o->ctx, o->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(o->ctx, o->key), 1);
    GENERAL_NAMES_free(names);
    BIO_free(out);
}

static void free_origin(struct origin *o)
{
    SSL_CTX_free(o->ctx);
    X509_free(o->cert);
    EVP_PKEY_free(o->key);
}

static struct tls_terms terms_for(const struct origin *o, const char *name)
{
    return (struct tls_terms){.name = str_of(name),
                              .verify = true,
                              .resume = true,
                              .ca_file = "x.pem",
                              .ca = str_of(o->pem)};
}

// What the server has to say goes over byte by byte.
static void carry(SSL *server, int fd)
{
    char byte;
    while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1) {
        assert_int_equal(BIO_write(SSL_get_rbio(server), &byte, 1), 1);
        if (!SSL_is_init_finished(server))
            (void)SSL_do_handshake(server);
    }
}

static enum io converse(struct conn *c, SSL *server, int fd)
{
    enum io r = tls_handshake(c);
    for (int turns = 0; r == IO_AGAIN && turns < 20000; turns++) {
        char byte;
        carry(server, fd);
        if (BIO_read(SSL_get_wbio(server), &byte, 1) == 1)
            assert_int_equal(send(fd, &byte, 1, 0), 1);
        c->ready |= CONN_READ;
        r = tls_handshake(c);
    }
    return r;
}

// One connection; returns how its handshake ended. `why` gets the words (or NULL).
static enum io try(struct origin *o, struct tls_client *t, bool *resumed, char why[TLS_WHY_MAX])
{
    struct conn c;
    struct loop loop;
    int fds[2];
    char bytes[1024];
    size_t got;
    SSL *server = SSL_new(o->ctx);
    SSL_set_bio(server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(server);
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    loop_init(&loop, NULL);
    conn_init(&c, &transport_plain, fds[0], on_ready);
    assert_true(tls_attach_client(&c, &loop, t));
    enum io r = converse(&c, server, fds[1]);
    why[0] = '\0';
    if (r == IO_OK) { // tickets come behind it
        carry(server, fds[1]);
        int n = BIO_read(SSL_get_wbio(server), bytes, sizeof(bytes));
        assert_true(n <= 0 || send(fds[1], bytes, (size_t)n, 0) == n);
        assert_int_equal(conn_recv(&c, bytes, sizeof(bytes), &got), IO_AGAIN);
    } else {
        assert_true(str_copy(str_of(tls_failure(&c)), why, TLS_WHY_MAX));
    }
    *resumed = tls_facts(&c).resumed;
    conn_close(&c, &loop, false);
    SSL_free(server);
    (void)close(fds[1]);
    return r;
}

static void test_resumed_byte_by_byte(void **state)
{
    struct origin o;
    char why[TLS_WHY_MAX];
    bool resumed;
    (void)state;
    make_origin(&o, "a.test", 6);
    const struct tls_terms terms = terms_for(&o, "a.test");
    struct tls_clients *s = tls_clients_new();
    assert_true(tls_clients_add(s, NULL, 3, &terms, why));
    assert_null(tls_clients_at(s, 0));
    assert_null(tls_clients_at(s, 1000));
    assert_int_equal(try(&o, tls_clients_at(s, 3), &resumed, why), IO_OK);
    assert_false(resumed);
    assert_int_equal(try(&o, tls_clients_at(s, 3), &resumed, why), IO_OK);
    assert_true(resumed);
    tls_clients_free(s);
    free_origin(&o);
}

static void test_names_that_do_not_match(void **state)
{
    static const struct {
        const char *certificate;
        size_t n;
    } names[] = {{"a.test\0.evil.test", 17},
                 {"a.test\0", 7},
                 {"*test", 5},
                 {"a*.test", 7},
                 {"*.test.", 7},
                 {"b.test", 6},
                 {".test", 5}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct origin o;
        char why[TLS_WHY_MAX];
        bool resumed;
        make_origin(&o, names[i].certificate, names[i].n);
        const struct tls_terms terms = terms_for(&o, "a.test");
        struct tls_clients *s = tls_clients_new();
        assert_true(tls_clients_add(s, NULL, 0, &terms, why));
        assert_int_equal(try(&o, tls_clients_at(s, 0), &resumed, why), IO_ERR);
        assert_non_null(strstr(why, "not for a.test"));
        tls_clients_free(s);
        free_origin(&o);
    }
}

// The same server on the same terms is the same client, whatever else has changed.
static void test_what_is_taken_over(void **state)
{
    struct origin o, other;
    char why[TLS_WHY_MAX], copy[sizeof(o.pem)];
    (void)state;
    make_origin(&o, "a.test", 6);
    make_origin(&other, "a.test", 6);
    struct tls_terms terms = terms_for(&o, "a.test"), again = terms;
    struct tls_clients *before = tls_clients_new(), *s = tls_clients_new();
    assert_true(tls_clients_add(before, NULL, 0, &terms, why));
    memcpy(copy, o.pem, sizeof(copy));
    again.ca.p = copy; // read anew
    assert_true(tls_clients_add(s, before, 0, &again, why));
    assert_ptr_equal(tls_clients_at(s, 0), tls_clients_at(before, 0));
    assert_true(tls_clients_add(s, before, 1, &again, why)); // another server
    assert_ptr_not_equal(tls_clients_at(s, 1), tls_clients_at(before, 0));
    tls_clients_free(s);
    struct tls_terms changed[] = {terms, terms, terms, terms};
    changed[0].name = STR("b.test");
    changed[1].verify = false;
    changed[2].min = TLS_MIN_1_3;
    changed[3].ca = str_of(other.pem);
    for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
        s = tls_clients_new();
        assert_true(tls_clients_add(s, before, 0, &changed[i], why));
        assert_ptr_not_equal(tls_clients_at(s, 0), tls_clients_at(before, 0));
        tls_clients_free(s);
    }
    tls_clients_free(before);
    free_origin(&o);
    free_origin(&other);
}

static void test_faults_are_named(void **state)
{
    struct origin o;
    char why[TLS_WHY_MAX];
    (void)state;
    make_origin(&o, "a.test", 6);
    struct tls_terms terms = terms_for(&o, "a.test");
    struct tls_clients *s = tls_clients_new();
    terms.ca = STR("nothing");
    assert_false(tls_clients_add(s, NULL, 0, &terms, why));
    assert_string_equal(why, "'x.pem' holds no certificate in PEM format; such a "
                             "file begins with -----BEGIN CERTIFICATE-----");
    assert_null(tls_clients_at(s, 0));
    tls_clients_free(s);
    free_origin(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resumed_byte_by_byte),
        cmocka_unit_test(test_names_that_do_not_match),
        cmocka_unit_test(test_what_is_taken_over),
        cmocka_unit_test(test_faults_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
