// SPDX-License-Identifier: MIT
// The TLS transport of a connection. Runs in workers and, for checks, in control.
//
// OpenSSL reads and writes the socket by itself, so what the owner waits for and what the socket
// must be watched for are two things: a read may have to write first, a write to read. And it
// reads ahead: bytes (or the end) may wait inside of it that no event will ever announce; then
// conn->pending is set, and a watch for reading is answered in the next turn of the loop: once per
// turn, so that a fast sender does not keep all others waiting.
//
// Small records at the beginning of an answer let the client use its first bytes early; bulk goes
// in records of 16 KiB.
// Invariants: OpenSSL's queue of errors is cleared before each of its calls that may fail; a record
// that the socket did not take whole counts as not sent until it did: owners keep it and offer it
// again, and we know by `held` that it has been written; `ssl` is not looked at while it is folded:
// wake() comes first.
// OpenSSL first: its headers use names that base/base.h bans
#include <errno.h>
#include <openssl/err.h>

#include "io/tls_client.h"
#include "io/tls_client_auth.h"
#include "io/tls_server.h"

#include "base/pool.h"
#include "io/tls_memory.h"
#include "io/tls_wire.h"

#define RECORD_BYTES 16384u
#define EARLY_RECORD_BYTES 4096u
#define EARLY_BYTES 65536u // so much of an answer goes in small records
#define TALK_MAX 100u      // messages of TLS itself in a second, once the handshake is over

struct tls_conn {
    struct conn *conn; // above it
    SSL *ssl;
    struct folded *folded; // where `ssl` is meanwhile; NULL: where it belongs
    struct tls_wire wire;
    struct tls_server *server; // with a client at the other end; else NULL
    struct tls_client *client; // with a server
    struct loop *loop;         // that watches
    struct chore announcement; // of what the loop cannot see
    struct tls_peer *peer;     // the client's certificate; NULL: none
    const char *failure;       // why it is broken; NULL: it is not, or by the socket
    char *unbelieved;          // what is wrong with the client's certificate; NULL: nothing
    uint64_t talk_ms;          // since when
    uint32_t talk;             // so many such messages
    uint32_t burst;            // sent since the client was last heard
    uint32_t held;             // bytes of the owner's in a record that the wire holds; 0: none
    enum io end;               // how its direction has ended; IO_OK: it has not
    uint8_t raw;               // what the loop reports
    bool established;          // the handshake is over
    bool refused;              // it failed for lack of a certificate that is accepted
    bool foldable;             // tls_memory.h
    bool read_wants_write;     // in the way of reading: the socket takes nothing
    bool write_wants_read;     // in the way of writing: something must come first
};

static struct pool tls_conns = POOL("tls connections", struct tls_conn, 64);

// ---- rest -------------------------------------------------------------------------------------

static void wake(struct tls_conn *t)
{
    if (t->folded == NULL)
        return;
    tls_unfold(t->ssl, t->folded);
    t->folded = NULL;
}

void tls_rest(struct conn *c)
{
    struct tls_conn *t = c->tls;
    if (t->foldable && t->established && t->folded == NULL)
        t->folded = tls_fold(t->ssl);
}

static void free_ssl(SSL *ssl, bool foldable)
{
    if (foldable)
        tls_memory_free(ssl);
    else
        SSL_free(ssl);
}

// ---- the end ----------------------------------------------------------------------------------

bool tls_goodbye(struct conn *c)
{
    struct tls_conn *t = c->tls;
    wake(t);
    if (!t->established || t->held > 0 || t->end == IO_ERR)
        return true; // there is none to send
    ERR_clear_error();
    t->wire.more = true; // the FIN
    t->wire.reading = false;
    if (!(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN))
        (void)SSL_shutdown(t->ssl);
    return tls_wire_flush(&t->wire) != IO_AGAIN;
}

static void finish(struct conn *c)
{
    c->unfinished = !tls_goodbye(c);
    if (!c->unfinished)
        transport_plain.finish(c);
}

// ---- events -----------------------------------------------------------------------------------

// What the socket is to be watched for, so that the owner learns of `events`.
static int raw_events(const struct conn *c, int events)
{
    const struct tls_conn *t = c->tls;
    int raw = c->unfinished ? EV_WRITE : 0;
    if (events & CONN_READ)
        raw |= t->read_wants_write ? EV_WRITE : EV_READ;
    if (events & CONN_WRITE)
        raw |= t->write_wants_read ? EV_READ : EV_WRITE;
    return raw;
}

static void watch_raw(struct conn *c, int raw)
{
    struct tls_conn *t = c->tls;
    if (raw == t->raw)
        return;
    if (t->raw != 0)
        ev_io_stop(t->loop->ev, &c->watcher);
    t->raw = (uint8_t)raw;
    if (raw == 0)
        return;
    ev_io_set(&c->watcher, c->watcher.fd, raw);
    ev_io_start(t->loop->ev, &c->watcher);
}

static void tls_finish(struct conn *c)
{
    finish(c);
    watch_raw(c, raw_events(c, c->watched));
}

static void on_event(struct ev_loop *ev, ev_io *watcher, int raw)
{
    struct conn *c = container_of(watcher, struct conn, watcher);
    struct tls_conn *t = c->tls;
    int events = raw & (EV_READ | EV_WRITE);
    if (raw & EV_READ)
        t->wire.drained = false;
    if ((raw & EV_WRITE) && t->read_wants_write)
        events |= CONN_READ;
    if ((raw & EV_READ) && t->write_wants_read)
        events |= CONN_WRITE;
    if ((raw & EV_WRITE) && c->unfinished)
        tls_finish(c);
    conn_event(c, ev_userdata(ev), events);
}

static void tls_watch(struct conn *c, struct loop *l, int events)
{
    (void)l;
    c->watched = (uint8_t)events;
    watch_raw(c, raw_events(c, events));
}

// With the socket's own event, if there is one.
static void announce(struct chore *announcement)
{
    struct tls_conn *t = container_of(announcement, struct tls_conn, announcement);
    if (t->conn->pending && (t->conn->wanted & CONN_READ))
        ev_feed_event(t->loop->ev, &t->conn->watcher, EV_READ);
}

static void tls_announce(struct conn *c, struct loop *l)
{
    loop_next_turn(l, &c->tls->announcement);
}

// ---- calls of OpenSSL -------------------------------------------------------------------------

// What a call that moved nothing means.
static enum io failed(struct conn *c, int result, bool writing)
{
    struct tls_conn *t = c->tls;
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        t->write_wants_read |= writing;
        break;
    case SSL_ERROR_WANT_WRITE:
        t->read_wants_write |= !writing;
        break;
    case SSL_ERROR_ZERO_RETURN:
        return IO_EOF;
    case SSL_ERROR_SYSCALL:
        c->error = t->wire.error != 0 ? t->wire.error : ECONNRESET;
        return IO_ERR;
    default:
        c->error = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
                       ? TLS_ERROR_TRUNCATED
                       : TLS_ERROR_PROTOCOL;
        if (t->established && c->error == TLS_ERROR_PROTOCOL)
            t->failure = t->client != NULL ? tls_client_explain(t->client, t->ssl, c->error)
                                           : ERR_reason_error_string(ERR_peek_last_error());
        return IO_ERR;
    }
    watch_raw(c, raw_events(c, c->watched));
    return IO_AGAIN;
}

static void begin_call(struct conn *c, bool writing)
{
    struct tls_conn *t = c->tls;
    wake(t);
    ERR_clear_error();
    t->wire.error = 0;
    t->wire.more = false;
    t->wire.reading = !writing;
    if (writing)
        t->write_wants_read = false;
    else
        t->read_wants_write = false;
}

// There is nothing from the client: it gets what was to go with an answer. Whether it does is seen
// at the next write.
static void send_waiting(struct tls_conn *t)
{
    if (!t->wire.blocked)
        (void)!tls_wire_flush(&t->wire);
}

// Reads until `size` bytes are there or nothing is left: a short read then means what it does with
// a bare socket.
static enum io tls_recv(struct conn *c, void *to, size_t size, size_t *got)
{
    struct tls_conn *t = c->tls;
    enum io r = t->end;
    if (r == IO_ERR && !t->established) // no TLS any more: for who throws away what still comes
        return transport_plain.recv(c, to, size, got);
    *got = 0;
    c->pending = false;
    begin_call(c, false);
    if (!SSL_has_pending(t->ssl)) // else the loop tells what comes behind it
        t->wire.drained = false;
    while (r == IO_OK && *got < size) {
        size_t n = 0;
        int result = SSL_read_ex(t->ssl, (char *)to + *got, size - *got, &n);
        if (result == 1)
            *got += n;
        else
            r = failed(c, result, false);
    }
    if (r == IO_AGAIN && *got == 0)
        send_waiting(t);
    if (r == IO_EOF || r == IO_ERR)
        t->end = r;
    if (*got == 0)
        return r;
    t->burst = 0;
    c->pending = r == IO_OK ? SSL_has_pending(t->ssl) != 0 : r != IO_AGAIN;
    return IO_OK;
}

static enum io tls_peek(struct conn *c)
{
    struct tls_conn *t = c->tls;
    char byte;
    size_t n;
    if (t->end != IO_OK)
        return t->end;
    begin_call(c, false);
    t->wire.drained = false;
    int result = SSL_peek_ex(t->ssl, &byte, 1, &n);
    enum io r = result == 1 ? IO_OK : failed(c, result, false);
    if (r == IO_AGAIN)
        send_waiting(t);
    if (r == IO_EOF || r == IO_ERR)
        t->end = r;
    c->pending = r != IO_AGAIN;
    return r;
}

// `n` bytes from `offset` on in one piece, copied together when they are not.
static const char *gather(const struct iovec *iov, size_t offset, size_t n, char *joined)
{
    while (offset >= iov->iov_len)
        offset -= iov++->iov_len;
    const char *at = (const char *)iov->iov_base + offset;
    if (iov->iov_len - offset >= n)
        return at;
    for (size_t used = 0; used < n; iov++, offset = 0) {
        size_t part = MIN_OF(iov->iov_len - offset, n - used);
        memcpy(joined + used, (const char *)iov->iov_base + offset, part);
        used += part;
    }
    return joined;
}

static size_t record_bytes(const struct tls_conn *t, size_t left)
{
    return MIN_OF(left, (size_t)(t->burst < EARLY_BYTES ? EARLY_RECORD_BYTES : RECORD_BYTES));
}

// What the socket had no room for comes first; then it counts as sent.
static enum io send_held(struct conn *c, size_t total, size_t *sent)
{
    struct tls_conn *t = c->tls;
    *sent = 0;
    begin_call(c, true);
    enum io r = t->wire.blocked ? tls_wire_flush(&t->wire) : IO_OK;
    if (r == IO_ERR)
        c->error = t->wire.error;
    if (r != IO_OK)
        return r;
    lb_assert(t->held <= total);
    *sent = t->held;
    t->held = 0;
    return IO_OK;
}

static enum io tls_sendv(struct conn *c, const struct iovec *iov, int n, size_t total, size_t *sent)
{
    struct tls_conn *t = c->tls;
    char joined[RECORD_BYTES];
    (void)n;
    enum io r = send_held(c, total, sent);
    while (*sent < total && r == IO_OK) {
        size_t size = record_bytes(t, total - *sent), written = 0;
        t->wire.more = c->ending || *sent + size < total;
        int result = SSL_write_ex(t->ssl, gather(iov, *sent, size, joined), size, &written);
        if (result != 1)
            r = failed(c, result, true);
        else if (t->wire.blocked)
            r = IO_AGAIN;
        t->held = r == IO_AGAIN ? (uint32_t)written : 0;
        *sent += written - t->held;
        t->burst += (uint32_t)MIN_OF(written, (size_t)EARLY_BYTES);
    }
    t->burst = MIN_OF(t->burst, EARLY_BYTES);
    return *sent > 0 ? IO_OK : r;
}

static int tls_pending_error(struct conn *c)
{
    return transport_plain.pending_error(c);
}

static bool tls_broken(struct conn *c)
{
    return transport_plain.broken(c);
}

static void tls_close(struct conn *c, struct loop *l, bool reset)
{
    struct tls_conn *t = c->tls;
    if (l->ev != NULL)
        ev_io_stop(l->ev, &c->watcher); // an announcement that was fed, too
    list_remove(&t->announcement.node);
    c->watched = 0;
    if (!reset && !c->finished)
        (void)tls_goodbye(c);
    wake(t);
    free_ssl(t->ssl, t->foldable);
    tls_wire_drop(&t->wire);
    if (t->server != NULL)
        tls_server_drop(t->server);
    if (t->client != NULL)
        tls_client_drop(t->client);
    free(t->peer);
    free(t->unbelieved);
    pool_put(&tls_conns, t);
    c->tls = NULL;
    transport_plain.close(c, l, reset);
}

// ---- the beginning ----------------------------------------------------------------------------

// Called by OpenSSL for each of its messages, in both directions. New keys may be asked for at any
// time, and cost us as much as a request: who does nothing else is cut off.
static void on_message(const SSL *ssl, int where, int value)
{
    struct tls_wire *w = BIO_get_data(SSL_get_rbio(ssl));
    struct tls_conn *t = container_of(w, struct tls_conn, wire);
    (void)value;
    if (!t->established || !(where & SSL_CB_LOOP))
        return;
    if (t->loop->now_ms - t->talk_ms >= 1000) {
        t->talk_ms = t->loop->now_ms;
        t->talk = 0;
    }
    if (++t->talk <= TALK_MAX)
        return;
    t->failure = "new keys, and nothing else, without end";
    w->cut = true;
}

// Takes `ssl`, also when it fails.
static struct tls_conn *attach(struct conn *c, struct loop *l, SSL *ssl, bool foldable,
                               struct str first)
{
    struct tls_conn *t = ssl != NULL ? pool_get_zeroed(&tls_conns) : NULL;
    BIO *wire = t != NULL ? tls_wire_bio(&t->wire) : NULL;
    if (wire == NULL) {
        free_ssl(ssl, foldable);
        if (t != NULL)
            pool_put(&tls_conns, t);
        ERR_clear_error();
        return NULL;
    }
    chore_init(&t->announcement, announce);
    t->conn = c;
    t->loop = l;
    t->ssl = ssl;
    t->foldable = foldable;
    t->wire = (struct tls_wire){.fd = c->watcher.fd, .first = first};
    SSL_set_bio(ssl, wire, wire);
    SSL_set_info_callback(ssl, on_message);
    t->raw = c->watched;
    c->tls = t;
    c->transport = &transport_tls;
    ev_set_cb(&c->watcher, on_event);
    return t;
}

bool tls_attach(struct conn *c, struct loop *l, struct tls_server *server, struct str first)
{
    bool foldable = false;
    SSL *ssl = tls_server_ssl(server, &foldable);
    struct tls_conn *t = attach(c, l, ssl, foldable, first);
    if (t == NULL)
        return false;
    SSL_set_accept_state(t->ssl);
    t->wire.ticket_of = t->ssl;
    client_auth_note_into(t->ssl, &t->unbelieved);
    t->server = tls_server_hold(server);
    return true;
}

bool tls_attach_client(struct conn *c, struct loop *l, struct tls_client *client)
{
    struct tls_conn *t = attach(c, l, tls_client_ssl(client), false, STR_NONE);
    if (t == NULL)
        return false;
    t->client = tls_client_hold(client);
    return true;
}

struct tls_client *tls_client_of(const struct conn *c)
{
    return c->tls != NULL ? c->tls->client : NULL;
}

static enum io give_up(struct tls_conn *t, const char *failure)
{
    t->failure = failure;
    t->end = IO_ERR;
    return IO_ERR;
}

// A client that has shown a certificate without our being able to say which one is none of ours.
static enum io established(struct conn *c)
{
    struct tls_conn *t = c->tls;
    X509 *x = tls_asks_client(c) ? SSL_get0_peer_certificate(t->ssl) : NULL;
    if (x != NULL && (t->peer = tls_peer_new(x)) == NULL)
        return give_up(t, "out of memory");
    t->established = t->wire.holds = true;
    t->wire.ticket_of = NULL;
    c->ready = t->wire.drained && !SSL_has_pending(t->ssl) ? CONN_WRITE : CONN_READ | CONN_WRITE;
    if (!(c->ready & CONN_READ))
        send_waiting(t);
    return IO_OK;
}

// As the log says it. A callback of ours that fails is the one that looks for the name.
static const char *reason_of(unsigned long error)
{
    return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_CALLBACK_FAILED
               ? "no certificate for the name that the client asks for"
               : ERR_reason_error_string(error);
}

enum io tls_handshake(struct conn *c)
{
    struct tls_conn *t = c->tls;
    begin_call(c, false);
    t->wire.drained = !(c->ready & CONN_READ);
    int result = SSL_do_handshake(t->ssl);
    if (result == 1)
        return established(c);
    enum io r = failed(c, result, false);
    if (r == IO_AGAIN) {
        lb_assert(t->wire.first.len == 0); // it reads all there is before it waits
        c->ready &= (uint8_t)~CONN_READ;
        return r;
    }
    const char *reason = reason_of(ERR_peek_error());
    if (t->client != NULL)
        reason = tls_client_explain(t->client, t->ssl, r == IO_EOF ? 0 : c->error);
    t->refused = client_auth_refused();
    return give_up(t, t->unbelieved != NULL ? t->unbelieved
                      : reason != NULL      ? reason
                                            : "the connection broke");
}

uint64_t tls_bytes_received(const struct conn *c)
{
    return c->tls->wire.received;
}

const char *tls_failure(const struct conn *c)
{
    return c->tls != NULL ? c->tls->failure : NULL;
}

bool tls_client_refused(const struct conn *c)
{
    return c->tls->refused;
}

bool tls_asks_client(const struct conn *c)
{
    if (c->tls == NULL || c->tls->server == NULL)
        return false;
    wake(c->tls);
    return SSL_get_verify_mode(c->tls->ssl) != SSL_VERIFY_NONE;
}

struct tls_facts tls_facts(const struct conn *c)
{
    if (c->tls == NULL)
        return (struct tls_facts){0};
    wake(c->tls);
    const SSL *ssl = c->tls->ssl;
    const unsigned char *alpn;
    unsigned n;
    const SSL_CIPHER *agreed = SSL_get_current_cipher(ssl);
    const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_get0_alpn_selected(ssl, &alpn, &n);
    return (struct tls_facts){
        .version = SSL_get_version(ssl),
        .cipher = agreed != NULL ? SSL_CIPHER_get_name(agreed) : "",
        .sni = sni != NULL ? str_of(sni) : STR_NONE,
        .alpn = {(const char *)alpn, n},
        .peer = c->tls->peer,
        .failure = c->tls->failure,
        .resumed = SSL_session_reused(ssl) == 1,
    };
}

const struct transport transport_tls = {
    .name = "tls",
    .recv = tls_recv,
    .sendv = tls_sendv,
    .peek = tls_peek,
    .pending_error = tls_pending_error,
    .broken = tls_broken,
    .finish = tls_finish,
    .watch = tls_watch,
    .announce = tls_announce,
    .close = tls_close,
};
