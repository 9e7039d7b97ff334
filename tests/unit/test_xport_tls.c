// SPDX-License-Identifier: MIT
// The TLS transport over a socket pair, with OpenSSL's own client at the other end: what its owner
// relies on where the socket alone does not tell (conn.h, pending and unfinished).
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/tls.h"

struct fixture {
    struct loop loop;
    struct conn conn; // the server
    struct tls_server *server;
    SSL_CTX *ctx;
    SSL *client;
    int fd; // of the client
    int calls;
};

static struct fixture *current; // of the test that runs

static void on_ready(struct conn *c)
{
    (void)c;
    current->calls++;
}

// A fresh key and a certificate for it, in one PEM text.
static struct str make_pem(BIO *out)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(out, x), 1);
    assert_int_equal(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    X509_free(x);
    EVP_PKEY_free(key);
    char *text;
    long n = BIO_get_mem_data(out, &text);
    return (struct str){text, (size_t)n};
}

static int set_up(void **state)
{
    struct fixture *f = current = test_calloc(1, sizeof(*f));
    BIO *out = BIO_new(BIO_s_mem());
    char why[TLS_WHY_MAX];
    int fds[2];
    const struct str pem = make_pem(out);
    const struct pem_pair cert = {.file = "x", .key_file = "x", .chain = pem, .key = pem};
    const struct tls_settings settings = {
        .certs = &cert, .n_certs = 1, .ciphers = "", .groups = "", .context = STR("x")};
    f->server = tls_server_new(&settings, why);
    BIO_free(out);
    assert_non_null(f->server);
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    f->fd = fds[1];
    loop_init(&f->loop, ev_loop_new(EVFLAG_NOENV));
    conn_init(&f->conn, &transport_plain, fds[0], on_ready);
    assert_true(tls_attach(&f->conn, &f->loop, f->server, STR_NONE));
    f->ctx = SSL_CTX_new(TLS_client_method());
    f->client = SSL_new(f->ctx);
    SSL_set_fd(f->client, f->fd);
    enum io r;
    while ((r = tls_handshake(&f->conn)) == IO_AGAIN || !SSL_is_init_finished(f->client)) {
        (void)SSL_connect(f->client);
        f->conn.ready |= CONN_READ; // as the loop would say
    }
    assert_int_equal(r, IO_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    conn_close(&f->conn, &f->loop, false);
    tls_server_drop(f->server);
    SSL_free(f->client);
    SSL_CTX_free(f->ctx);
    (void)close(f->fd);
    ev_loop_destroy(f->loop.ev);
    test_free(f);
    return 0;
}

static void turn(struct fixture *f)
{
    ev_run(f->loop.ev, EVRUN_NOWAIT);
}

// Bytes that wait inside of OpenSSL are announced to whoever waits for them, though the socket is
// empty; and no more often than that.
static void test_pending_bytes_are_announced(void **state)
{
    struct fixture *f = *state;
    char bytes[100] = {0};
    size_t got;
    assert_int_equal(SSL_write(f->client, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(conn_recv(&f->conn, bytes, 60, &got), IO_OK);
    assert_int_equal(got, 60);
    conn_want(&f->conn, &f->loop, CONN_READ);
    turn(f);
    assert_int_equal(f->calls, 1);
    assert_int_equal(conn_recv(&f->conn, bytes, sizeof(bytes), &got), IO_OK);
    assert_int_equal(got, 40);
    assert_false(f->conn.ready & CONN_READ); // a short read: nothing is left
    conn_want(&f->conn, &f->loop, CONN_READ);
    turn(f);
    assert_int_equal(f->calls, 1);
}

static void on_alarm(struct ev_loop *ev, ev_timer *alarm, int events)
{
    (void)ev, (void)events;
    *(int *)alarm->data = current->calls;
}

static void read_one(struct conn *c)
{
    char byte;
    size_t got;
    current->calls++;
    if (conn_recv(c, &byte, 1, &got) == IO_OK)
        conn_want(c, &current->loop, CONN_READ);
}

// However much waits inside of OpenSSL: an announcement is no more than one event of a turn, with
// the socket's own.
static void test_others_get_their_turn(void **state)
{
    struct fixture *f = *state;
    char bytes[100] = {0};
    int before = -1;
    ev_timer alarm;
    ev_timer_init(&alarm, on_alarm, 0.0, 0.0);
    ev_set_priority(&alarm, EV_MINPRI);
    alarm.data = &before;
    ev_timer_start(f->loop.ev, &alarm);
    f->conn.on_ready = read_one;
    assert_int_equal(SSL_write(f->client, bytes, sizeof(bytes)), sizeof(bytes));
    conn_want(&f->conn, &f->loop, CONN_READ);
    for (int turns = 1; turns <= 100; turns++) {
        assert_int_equal(SSL_write(f->client, bytes, 1), 1); // also the socket has something to say
        turn(f);
        assert_int_equal(f->calls, turns);
        assert_int_equal(before, 1); // of the first turn
    }
}

// What the client says from here on goes out in one piece, with its end.
static void collect(struct fixture *f)
{
    BIO *out = BIO_push(BIO_new(BIO_f_buffer()), BIO_new_socket(f->fd, BIO_NOCLOSE));
    SSL_set0_wbio(f->client, out);
}

// The end that came with the last bytes is not lost, whether or not the socket ends, too.
static void test_an_end_behind_the_last_bytes(void **state)
{
    struct fixture *f = *state;
    char bytes[100] = {0};
    size_t got;
    collect(f);
    assert_int_equal(SSL_write(f->client, bytes, 10), 10);
    assert_true(SSL_shutdown(f->client) >= 0);
    f->conn.ready |= CONN_READ;
    assert_int_equal(conn_recv(&f->conn, bytes, sizeof(bytes), &got), IO_OK);
    assert_int_equal(got, 10);
    assert_true(f->conn.ready & CONN_READ);
    conn_want(&f->conn, &f->loop, CONN_READ);
    turn(f);
    assert_int_equal(f->calls, 1);
    assert_int_equal(conn_recv(&f->conn, bytes, sizeof(bytes), &got), IO_EOF);
}

static void test_a_truncated_end_is_an_error(void **state)
{
    struct fixture *f = *state;
    char byte;
    size_t got;
    assert_return_code(shutdown(f->fd, SHUT_WR), 0);
    assert_int_equal(conn_recv(&f->conn, &byte, 1, &got), IO_ERR);
    assert_int_equal(f->conn.error, TLS_ERROR_TRUNCATED);
}

// A socket without room: close_notify and the FIN behind it go when there is some.
static void test_the_end_waits_for_room(void **state)
{
    struct fixture *f = *state;
    static char junk[4096];
    char waste[65536];
    while (send(f->conn.watcher.fd, junk, sizeof(junk), MSG_NOSIGNAL) > 0 ||
           send(f->conn.watcher.fd, junk, 1, MSG_NOSIGNAL) > 0)
        continue;
    conn_finish(&f->conn);
    assert_true(f->conn.unfinished);
    conn_want(&f->conn, &f->loop, CONN_READ);
    turn(f);
    assert_true(f->conn.unfinished);
    while (recv(f->fd, waste, sizeof(waste), 0) > 0)
        continue;
    turn(f);
    assert_false(f->conn.unfinished);
    assert_true(recv(f->fd, waste, sizeof(waste), 0) > 0); // close_notify
    assert_int_equal(recv(f->fd, waste, sizeof(waste), 0), 0);
}

// Sends the pattern 0, 1, 2, ... from `from` on until the socket is full; how far it came.
static size_t send_pattern(struct fixture *f, size_t from, size_t to)
{
    static char bytes[1 << 20];
    size_t sent = 0;
    for (size_t i = from; i < to; i++)
        bytes[i] = (char)i;
    while (from < to) {
        struct iovec iov[] = {{bytes + from, (to - from) / 2},
                              {bytes + from + (to - from) / 2, (to - from) - (to - from) / 2}};
        f->conn.ready |= CONN_WRITE; // as the loop would say
        if (conn_sendv(&f->conn, iov, 2, &sent) != IO_OK)
            break;
        from += sent;
    }
    return from;
}

static size_t check_pattern(struct fixture *f, size_t from)
{
    char bytes[1000];
    int n;
    while ((n = SSL_read(f->client, bytes, sizeof(bytes))) > 0) {
        for (int i = 0; i < n; i++)
            assert_int_equal(bytes[i], (char)(from + (size_t)i));
        from += (size_t)n;
    }
    return from;
}

// A client asks for new keys while a record is half sent: the answer waits behind it, and nothing
// is lost, doubled or taken for sent too early.
static void test_key_updates_while_the_socket_is_full(void **state)
{
    struct fixture *f = *state;
    const size_t all = 1 << 20;
    char byte;
    size_t got, seen = 0, sent = send_pattern(f, 0, all);
    assert_true(sent < all);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SSL_key_update(f->client, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(f->client), 1);
        f->conn.ready |= CONN_READ;
        assert_int_equal(conn_recv(&f->conn, &byte, 1, &got), IO_AGAIN);
    }
    assert_int_equal(send_pattern(f, sent, all), sent); // still full
    while (seen < all) {
        seen = check_pattern(f, seen);
        assert_true(seen >= sent);
        sent = send_pattern(f, sent, all);
    }
    assert_int_equal(sent, all);
}

// New keys now and then are in order, and nothing but new keys is not.
static void test_a_flood_of_key_updates(void **state)
{
    struct fixture *f = *state;
    char byte;
    size_t n;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(SSL_key_update(f->client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_write(f->client, "a", 1), 1);
        f->conn.ready |= CONN_READ;
        assert_int_equal(conn_recv(&f->conn, &byte, 1, &n), IO_OK);
    }
    enum io r = IO_AGAIN;
    for (int i = 0; i < 2000 && r == IO_AGAIN; i++) {
        assert_int_equal(SSL_key_update(f->client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(f->client), 1);
        f->conn.ready |= CONN_READ;
        r = conn_recv(&f->conn, &byte, 1, &n);
    }
    assert_int_equal(r, IO_ERR);
    assert_string_equal(tls_failure(&f->conn), "new keys, and nothing else, without end");
    assert_int_equal(f->conn.error, TLS_ERROR_PROTOCOL);
}

// A client asks for new keys, sends more, and takes nothing any more: what it has sent is read.
static void test_key_update_of_a_client_that_leaves(void **state)
{
    struct fixture *f = *state;
    char byte = 'x';
    size_t n;
    const struct iovec iov = {&byte, 1};
    assert_int_equal(SSL_key_update(f->client, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_write(f->client, "ab", 2), 2);
    assert_return_code(shutdown(f->fd, SHUT_RD), 0);
    for (const char *want = "ab"; *want != '\0'; want++) {
        assert_int_equal(conn_recv(&f->conn, &byte, 1, &n), IO_OK);
        assert_int_equal(byte, *want);
    }
    assert_int_equal(conn_recv(&f->conn, &byte, 1, &n), IO_AGAIN);
    assert_int_equal(conn_sendv(&f->conn, &iov, 1, &n), IO_ERR);
    assert_int_equal(f->conn.error, EPIPE);
}

// A record that comes in two reads: after the first the socket is not asked again, and after the
// event that announces the second it is.
static void test_a_record_in_two_reads(void **state)
{
    struct fixture *f = *state;
    char bytes[100] = {0}, record[200];
    size_t got;
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set0_wbio(f->client, out);
    assert_int_equal(SSL_write(f->client, bytes, sizeof(bytes)), sizeof(bytes));
    int n = BIO_read(out, record, sizeof(record));
    for (int at = 1; at < n; at += n - 2) { // cut behind the first byte, before the last
        assert_int_equal(send(f->fd, record, (size_t)at, 0), at);
        f->conn.ready |= CONN_READ;
        assert_int_equal(conn_recv(&f->conn, bytes, sizeof(bytes), &got), IO_AGAIN);
        assert_false(f->conn.ready & CONN_READ);
        assert_int_equal(send(f->fd, record + at, (size_t)(n - at), 0), n - at);
        conn_want(&f->conn, &f->loop, CONN_READ);
        turn(f);
        assert_int_equal(conn_recv(&f->conn, bytes, sizeof(bytes), &got), IO_OK);
        assert_int_equal(got, sizeof(bytes));
        assert_int_equal(SSL_write(f->client, bytes, sizeof(bytes)), sizeof(bytes));
        n = BIO_read(out, record, sizeof(record));
    }
}

// The hello was read before TLS began, all of it or only a part; the rest comes over the socket.
static void test_a_hello_that_was_read_before(void **state)
{
    struct fixture *f = *state;
    char waste[4096];
    for (size_t at = 1; at < SIZE_MAX; at += 7) {
        char hello[2048];
        while (recv(f->fd, waste, sizeof(waste), 0) > 0) // of the connection before
            continue;
        SSL *client = SSL_new(f->ctx);
        BIO *out = BIO_new(BIO_s_mem());
        SSL_set_bio(client, BIO_new_socket(f->fd, BIO_NOCLOSE), out);
        assert_int_equal(SSL_connect(client), -1);
        int n = BIO_read(out, hello, sizeof(hello));
        assert_true(n > 100);
        struct conn c;
        conn_init(&c, &transport_plain, f->conn.watcher.fd, on_ready);
        const size_t first = MIN_OF(at, (size_t)n);
        assert_true(tls_attach(&c, &f->loop, f->server, (struct str){hello, first}));
        c.ready = CONN_WRITE; // the socket is not asked
        assert_int_equal(tls_handshake(&c), IO_AGAIN);
        assert_int_equal(tls_bytes_received(&c), first);
        assert_int_equal(send(f->fd, hello + first, (size_t)n - first, 0),
                         (ssize_t)n - (ssize_t)first);
        SSL_set0_wbio(client, BIO_new_socket(f->fd, BIO_NOCLOSE));
        enum io r;
        do {
            (void)SSL_connect(client);
            c.ready |= CONN_READ;
            r = tls_handshake(&c);
        } while (r == IO_AGAIN || !SSL_is_init_finished(client));
        assert_int_equal(r, IO_OK);
        assert_true(tls_bytes_received(&c) > (uint64_t)n);
        c.watcher.fd = dup(c.watcher.fd); // the fixture closes its own
        conn_close(&c, &f->loop, false);
        SSL_free(client);
        if (first == (size_t)n)
            break;
    }
}

// What a connection does after a rest is what it does without: each thing first.
static void receive(struct fixture *f)
{
    char bytes[100] = {0};
    size_t got;
    assert_int_equal(SSL_write(f->client, bytes, sizeof(bytes)), sizeof(bytes));
    f->conn.ready |= CONN_READ;
    assert_int_equal(conn_recv(&f->conn, bytes, sizeof(bytes), &got), IO_OK);
    assert_int_equal(got, sizeof(bytes));
}

static void transmit(struct fixture *f)
{
    char bytes[100] = {0};
    const struct iovec iov = {bytes, sizeof(bytes)};
    size_t sent;
    assert_int_equal(conn_sendv(&f->conn, &iov, 1, &sent), IO_OK);
    assert_int_equal(SSL_read(f->client, bytes, sizeof(bytes)), sizeof(bytes));
}

static void look(struct fixture *f)
{
    f->conn.ready |= CONN_READ;
    assert_int_equal(conn_peek(&f->conn), IO_AGAIN);
    const struct tls_facts facts = tls_facts(&f->conn);
    assert_string_equal(facts.version, "TLSv1.3");
}

static void test_after_a_rest(void **state)
{
    struct fixture *f = *state;
    void (*const deeds[])(struct fixture *) = {receive, transmit, look};
    for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
        tls_rest(&f->conn);
        tls_rest(&f->conn); // once is enough
        deeds[i](f);
        transmit(f);
        receive(f);
    }
    char byte;
    tls_rest(&f->conn);
    conn_finish(&f->conn);
    assert_int_equal(SSL_read(f->client, &byte, 1), 0);
    assert_int_equal(SSL_get_error(f->client, 0), SSL_ERROR_ZERO_RETURN); // close_notify
    tls_rest(&f->conn);                                                   // and closed asleep
}

int main(void)
{
    tls_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_after_a_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_key_updates_while_the_socket_is_full, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_flood_of_key_updates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_key_update_of_a_client_that_leaves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_record_in_two_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_hello_that_was_read_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pending_bytes_are_announced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_others_get_their_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_end_behind_the_last_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_truncated_end_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_end_waits_for_room, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
