// SPDX-License-Identifier: MIT
// TLS: what a listener needs for it, and the transport of a connection.
//
//   tls_server   certificates, versions, ciphers: built once per configuration, shared by its
//                connections, freed with the last of them
//   tls_clients  the same towards servers: one tls_client each, which also keeps the session to
//                go on with
//   conn         conn_init() with the plain transport, tls_attach() or tls_attach_client(),
//                tls_handshake() until IO_OK; from then on like any other
#ifndef EVLB_TLS_H
#define EVLB_TLS_H

#include <errno.h>

#include "base/tls_terms.h"
#include "io/conn.h"

#define TLS_WHY_MAX 512  // of texts that say what is wrong
#define TLS_SHOWN_MAX 2  // certificates for one name: an ECDSA and an RSA one
#define TLS_WHY_FIX "; " // and behind this, if it is there, what to do about it

struct tls_tickets;
struct tls_server;

// Clients that have to show who they are.
struct tls_client_auth {
    const char *ca_file, *crl_file; // for messages; NULL: none
    struct str ca;                  // PEM: who may have signed their certificates
    struct str crl;                 // PEM: revocation lists
    bool optional;                  // one without a certificate gets in, too
};

struct tls_settings {
    const struct pem_pair *certs; // at least one; the first is the default
    uint32_t n_certs;
    bool min_1_3;           // the same by itself
    bool strict_sni;        // no name, or an unknown one, is refused
    bool http;              // ALPN is answered: http/1.1 or 1.0, or the client is refused
    const struct str *alpn; // without `http`: what is agreed on with clients that
    uint32_t n_alpn;        // offer it, best first; others go on without
    const char *ciphers;    // OpenSSL's lists; empty: those of the profile
    const char *groups;     //
    const struct tls_client_auth *clients; // NULL: they are not asked
    struct str context;                    // sessions are resumed where this is the same
    const struct tls_tickets *tickets;     // NULL: no resumption
};

// Before the first fork, and before anything else here: reads OpenSSL's own files, which workers
// cannot. Only the first call acts.
void tls_init(void);
// Whether a certificate and its key can be used; if not, `why` says what is wrong, with the file.
// `ciphers`: as in tls_settings: they may ask less of keys than the system does ("@SECLEVEL=0").
bool tls_pem_check(const struct pem_pair *pem, const char *ciphers,
                   char why[TLS_WHY_MAX]) MUST_CHECK;
// What is suspicious about one that can, at `now` (seconds since 1970): it has ended, ends soon,
// or, where it is to be one of hosts, names none. False: nothing.
bool tls_pem_doubts(const struct pem_pair *pem, bool for_hosts, int64_t now,
                    char why[TLS_WHY_MAX]) MUST_CHECK;
// Whether there is an OCSP answer beside it that is not given to clients, and why.
bool tls_pem_staple_doubts(const struct pem_pair *pem, int64_t now,
                           char why[TLS_WHY_MAX]) MUST_CHECK;
// Whether authorities can be used.
bool tls_authorities_check(const char *file, struct str pem, char why[TLS_WHY_MAX]) MUST_CHECK;
// Whether some of those of servers have expired at `now`.
bool tls_authorities_doubts(const char *file, struct str pem, int64_t now,
                            char why[TLS_WHY_MAX]) MUST_CHECK;
// Whether authorities and revocation lists can be used; if not, `why` names file and reason.
bool tls_client_auth_check(const struct tls_client_auth *a, char why[TLS_WHY_MAX]) MUST_CHECK;
// What is suspicious about those that can, at `now`: calls `each` with every such thing. `crl`: it
// is about a revocation list.
void tls_client_auth_doubts(const struct tls_client_auth *a, int64_t now,
                            void (*each)(void *ctx, bool crl, const char *why), void *ctx);
// Whether OpenSSL knows every word of such a list.
bool tls_ciphers_check(const char *list, char why[TLS_WHY_MAX]) MUST_CHECK;
// Whether its ciphers of TLS 1.2 leave out the keys of all these certificates.
bool tls_ciphers_doubts(const struct pem_pair *certs, uint32_t n, const char *list,
                        char why[TLS_WHY_MAX]) MUST_CHECK;
bool tls_groups_check(const char *list, char why[TLS_WHY_MAX]) MUST_CHECK;
// NULL: `why` (TLS_WHY_MAX bytes) says what is wrong. Has one holder.
struct tls_server *tls_server_new(const struct tls_settings *s, char *why) MUST_CHECK;
// Certificate `i`, or, where others are shown for all of its names, the one for the first of these.
uint32_t tls_server_preferred(const struct tls_server *t, uint32_t i) MUST_CHECK;
struct tls_server *tls_server_hold(struct tls_server *t);
void tls_server_drop(struct tls_server *t);
// Which of its certificates (their indexes) a client is shown that asks for `name`, or for none:
// returns how many, of which it gets the one that it can check. 0: it is refused. `known`: the name
// is that of a certificate.
uint32_t tls_server_shown(const struct tls_server *t, struct str name, uint32_t out[TLS_SHOWN_MAX],
                          bool *known);

// ---- to servers

struct tls_client;
struct tls_clients;

struct tls_clients *tls_clients_new(void) MUST_CHECK;
// One more, for the server of that slot. What is the same in `before` (NULL: nothing) is taken over
// from there with its session. All terms of a set are there unchanged until the last was added.
// False: `why` says what is wrong.
bool tls_clients_add(struct tls_clients *s, const struct tls_clients *before, uint32_t slot,
                     const struct tls_terms *terms, char why[TLS_WHY_MAX]) MUST_CHECK;
// NULL: that server is spoken to in plain text. So it is when `s` is NULL.
struct tls_client *tls_clients_at(const struct tls_clients *s, uint32_t slot);
// Connections keep theirs as long as they need it.
void tls_clients_free(struct tls_clients *s);
// How the last handshake went. True: otherwise than the one before.
bool tls_client_note(struct tls_client *t, bool failed) MUST_CHECK;

// ---- connections

// What c->error says of an IO_ERR beside the errors of sockets.
enum {
    TLS_ERROR_TRUNCATED =
        ENODATA,                 // ended without close_notify: what came may be less than was sent
    TLS_ERROR_PROTOCOL = EPROTO, // what came is not TLS as agreed
};

// The connection, of that loop, is TLS from here on. `first` (at most CLIENT_HELLO_MAX bytes) has
// been read from it already, and lives until the first tls_handshake() has returned. False: out of
// memory, it is still what it was.
bool tls_attach(struct conn *c, struct loop *l, struct tls_server *t, struct str first) MUST_CHECK;
// The same for one of ours to a server.
bool tls_attach_client(struct conn *c, struct loop *l, struct tls_client *t) MUST_CHECK;
// NULL: the connection is none of these.
struct tls_client *tls_client_of(const struct conn *c);
// Goes on with the handshake; reads the socket only while CONN_READ is ready. IO_AGAIN: when the
// loop reports something. IO_ERR: it has failed; the peer has been told by an alert.
enum io tls_handshake(struct conn *c) MUST_CHECK;
// Nothing is going on and nothing may be for a while: gives back memory until the connection is
// used again, which needs no further word.
void tls_rest(struct conn *c);
// Sends close_notify, where conn_finish() or conn_close() is to follow at once. False: the socket
// has no room for it now.
bool tls_goodbye(struct conn *c);
// Bytes that the client has sent so far, as they were on the wire.
uint64_t tls_bytes_received(const struct conn *c);
// Why it is broken, in words that live as long as the connection, or the tls_client: the handshake,
// or what came behind it (of a server: its alert). NULL: it is not, or the socket broke.
const char *tls_failure(const struct conn *c);
// Whether it failed because the client has shown no certificate, or none that is accepted.
bool tls_client_refused(const struct conn *c);
// Whether clients are asked for certificates here.
bool tls_asks_client(const struct conn *c);

// The certificate of a client, verified: printable ASCII that lives as long as the connection.
struct tls_peer {
    struct str subject, issuer; // RFC 2253: "CN=ops,O=Example"; long ones are cut and end in "..."
    struct str common_name;     // UTF-8 without control characters; empty: none, or several
    struct str serial;          // hexadecimal
    struct str fingerprint;     // SHA-256 of the whole, hexadecimal
    struct str not_after;       // RFC 3339
};

// What was agreed, for the log and for routes. Texts are empty when there is nothing to say.
struct tls_facts {
    const char *version, *cipher;
    struct str sni, alpn;
    const struct tls_peer *peer; // NULL: the client has shown no certificate
    const char *failure;         // as tls_failure() says it
    bool resumed;
};
// version NULL: the connection is not TLS.
struct tls_facts tls_facts(const struct conn *c);

extern const struct transport transport_tls;

static inline bool conn_is_tls(const struct conn *c)
{
    return c->tls != NULL;
}

#endif
