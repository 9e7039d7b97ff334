// SPDX-License-Identifier: MIT
// A configuration as the rest of evlb reads it: built by conf/, immutable once published, freed as
// a whole. All durations are milliseconds, all sizes bytes; every default is already filled in, so
// that no reader knows a default. Strings are slices of the arena and end with a NUL behind len.
#ifndef EVLB_CONFIG_H
#define EVLB_CONFIG_H

#include "base/addr.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "base/tls_terms.h"

enum mode { MODE_HTTP, MODE_TCP };
enum balance {
    BALANCE_ROUND_ROBIN,
    BALANCE_LEAST_CONN,
    BALANCE_RANDOM,
    BALANCE_FIRST,
    BALANCE_HASH
};
enum hash_on { HASH_CLIENT, HASH_PATH, HASH_URI, HASH_HEADER, HASH_COOKIE };
enum reuse { REUSE_SAFE, REUSE_ALWAYS, REUSE_NEVER };
enum proxy_version { PROXY_NONE, PROXY_V1, PROXY_V2, PROXY_V2_SSL };
enum failover { FAILOVER_ACTIVE_ACTIVE, FAILOVER_ACTIVE_PASSIVE };
enum failback { FAILBACK_AUTO, FAILBACK_MANUAL };
enum on_server_down { SERVER_DOWN_KEEP, SERVER_DOWN_CLOSE };
enum resolve { RESOLVE_FIRST, RESOLVE_ALL };
enum tls_profile { TLS_INTERMEDIATE, TLS_MODERN };
enum client_verify { CLIENT_VERIFY_REQUIRED, CLIENT_VERIFY_OPTIONAL };
enum route_tls { ROUTE_TERMINATE, ROUTE_PASSTHROUGH };

// What else than a failed connection is tried again, beside what is always safe: bits.
enum retry_on {
    RETRY_ON_CONNECT_FAILURE = 1, // always set unless the list is empty (`retry-on: []`)
    RETRY_ON_EMPTY_RESPONSE = 2,
    RETRY_ON_502 = 4,
    RETRY_ON_503 = 8,
    RETRY_ON_504 = 16,
    RETRY_ON_TIMEOUT = 32,
};

enum health_type {
    HEALTH_OFF,
    HEALTH_TCP,
    HEALTH_HTTP,
    HEALTH_SEND_EXPECT,
    HEALTH_MYSQL,
    HEALTH_POSTGRES,
    HEALTH_REDIS,
    HEALTH_SMTP,
    HEALTH_TLS,
    HEALTH_TYPES
};
// Which role a database server must have to count as up.
enum role { ROLE_ANY, ROLE_WRITABLE, ROLE_REPLICA };

struct status_range {
    uint16_t from, to; // both included
};

struct field_pair {
    struct str name, value;
};

// Whether checks speak TLS. AS_TRAFFIC: as requests do, but not to a port or address of its own.
enum health_tls { HEALTH_TLS_AS_TRAFFIC, HEALTH_TLS_ON, HEALTH_TLS_OFF };

// How the servers of a backend are checked. Strings that a type does not use are empty.
struct health {
    enum health_type type;
    uint32_t every_ms, every_down_ms, timeout_ms;
    uint32_t fall, rise;
    uint16_t port;       // 0: the server's own
    struct addr address; // len 0: the server's own; its port is not used
    // http
    struct str method, path, host; // host empty: the server's host or address
    const struct field_pair *headers;
    uint32_t n_headers;
    const struct status_range *statuses; // the expected ones; at least one
    uint32_t n_statuses;
    struct str body;          // text that the body must hold; empty: any
    struct field_pair header; // field that the answer must have; name empty: none
    struct str send, expect;  // send-expect: bytes; `expect` must come anywhere in the answer
    struct str user, password, database; // mysql, postgres, redis
    enum role role;                      // mysql, postgres, redis
    uint32_t max_lag_ms;                 // mysql replica; 0: any lag
    struct str helo;                     // smtp
    enum health_tls tls;
    const struct certificate *client_cert; // shown by checks; NULL: none. Control has its key
};

// Health judged by real traffic.
struct passive {
    bool on;
    uint32_t errors;   // so many in a row make a server suspect
    uint32_t eject_ms; // with `health: off`: how long it is left out the first time
};

// Where in the files a thing was said; line and column count from 1, 0: nowhere (a default).
struct conf_mark {
    const char *file;
    uint32_t line, column;
    uint32_t end_column; // behind the last character, same line
};

struct timeouts {
    uint32_t connect, client, server, request, keep_alive, tunnel, client_fin, server_fin, idle,
        queue;
    uint32_t tls_handshake;
    uint32_t check; // the default of health.timeout_ms, which is the one to read
};

enum header_action { HEADER_SET, HEADER_ADD, HEADER_REMOVE };

struct header_op {
    enum header_action action;
    struct str name, value; // value is empty for HEADER_REMOVE
    bool secret;            // the value came from a file or credential: never shown
};

// What is done to the fields of messages on their way: in order.
struct header_ops {
    const struct header_op *request, *response;
    uint32_t n_request, n_response;
};

#define SERVER_PLACES 8 // most addresses of one name

struct server {
    struct str name;
    struct str host;  // as written: numeric, or a name still to be resolved; empty for unix
    struct addr addr; // len 0 while a name is unresolved
    uint16_t port;
    uint16_t weight;          // 0..256
    uint32_t tier;            // 1 is used first
    uint32_t max_connections; // requests (http) or sessions (tcp) at a time; 0: no limit
    uint32_t slow_start_ms;   // 0: a recovered server gets its whole share at once
    // A name with several addresses (`resolve: all`) is several servers, one per place: they share
    // host, port and settings, are named NAME.1, NAME.2, ... and differ in the address that DNS
    // gives them. place 0 of 1 for all others.
    uint16_t place, n_places;
    bool srv;                     // `host` is an SRV name: ports and weights come from DNS, too
    bool added;                   // at run time (conf/overlay.h): not in the file
    const struct server_tls *tls; // NULL: spoken to in plain text
    uint32_t index; // its slot on the board: kept over reloads while backend, name and address
                    // stay the same (process/slots.h)
    struct conf_mark mark;
    struct backend *backend;
};

struct backend {
    struct str name;
    uint32_t index;
    enum mode mode; // as the frontends use it; verify.c refuses both at once
    enum balance balance;
    enum hash_on hash_on;
    struct str hash_name; // of the header or cookie
    enum reuse reuse;
    enum proxy_version send_proxy;
    uint32_t retries;
    uint32_t retry_on; // of enum retry_on
    enum failover failover;
    enum failback failback;
    uint32_t failback_after_ms;
    enum on_server_down on_server_down;
    struct health health;
    struct passive passive;
    enum resolve resolve;
    uint32_t max_queue;      // requests that may wait for a free server, over all workers
    uint32_t min_idle;       // connections kept open to each usable server, per worker
    struct timeouts timeout; // connect, server, server_fin, tunnel, idle, queue are read from here
    struct header_ops headers;
    struct server *servers; // in the order of the file; their indexes are consecutive
    uint32_t n_servers;
    struct conf_mark mark;
};

struct host_pattern {
    struct str name; // lower case, no port; without its "*" when wildcard (".example.com")
    bool wildcard;   // one or more labels in front
};

enum route_action { ROUTE_BACKEND, ROUTE_REDIRECT, ROUTE_DENY };

enum route_cert { ROUTE_CERT_ANY, ROUTE_CERT_VERIFIED, ROUTE_CERT_NONE };
enum route_version { ROUTE_TLS_ANY, ROUTE_TLS_1_2, ROUTE_TLS_1_3 };
enum route_resumed { ROUTE_RESUMED_ANY, ROUTE_RESUMED_TRUE, ROUTE_RESUMED_FALSE };

// Of a connection whose TLS ends here. All but ROUTE_CERT_NONE fail without TLS.
struct tls_conditions {
    const struct host_pattern *snis; // any of them
    uint32_t n_snis;
    struct str subject; // of the client's certificate; a "*" at one end stands for anything
    struct str cipher;
    enum route_cert cert;
    enum route_version version;
    enum route_resumed resumed;
};

// First match wins. A condition that is not given matches everything.
struct route {
    const struct host_pattern *hosts; // any of them: of the request; of the ClientHello (SNI) where
                                      // no request is read: mode tcp, ROUTE_PASSTHROUGH
    const struct str *paths;          // any of them: prefixes that end at a segment border
    const struct str *alpns;          // any of them: offered by a client whose TLS does not end
                                      // here, or agreed on with one whose does
    uint32_t n_hosts, n_paths, n_alpns;
    struct tls_conditions over; // looked at together with the request
    enum route_tls tls; // ROUTE_PASSTHROUGH: TLS goes to the backend (of mode tcp) as it comes
    enum route_action action;
    struct backend *backend; // ROUTE_BACKEND
    struct str redirect;     // ROUTE_REDIRECT: "https", "https:8443" or an absolute or local URL;
                             // one that ends in "/" gets the rest of the path appended
    uint16_t status;         // of a redirect or denial
    struct conf_mark mark;
};

static inline bool route_looks_at_tls(const struct route *r)
{
    const struct tls_conditions *c = &r->over;
    return c->n_snis > 0 || c->subject.len > 0 || c->cipher.len > 0 || c->cert != ROUTE_CERT_ANY ||
           c->version != ROUTE_TLS_ANY || c->resumed != ROUTE_RESUMED_ANY;
}

// "https" or "https:8443": to the same URL over TLS.
static inline bool redirect_is_to_https(struct str to)
{
    return str_eq(to, STR("https")) ||
           (str_starts(to, STR("https:")) && !str_starts(to, STR("https:/")));
}

// `redirect: https`: takes only what did not come over TLS, so that it never leads to itself.
static inline bool route_is_to_https(const struct route *r)
{
    return r->action == ROUTE_REDIRECT && redirect_is_to_https(r->redirect);
}

struct http_limits {
    uint32_t head_bytes; // request line and fields together; also of a response head
    uint32_t fields;
    uint32_t uri_bytes;
};

struct certificate {
    struct pem_pair pem; // without bytes in control, which is not to have keys
    struct conf_mark mark;
    // Of a listener's, found out by certificates_check():
    bool is_default; // shown to clients that ask for no name, or an unknown one
    uint32_t shown;  // the index of the one that is shown for its names: itself, or a better one
};

// What was read of a file with keys, or with certificates beside which keys may be.
struct secret {
    struct str bytes;
    const struct secret *next;
};

// A file in PEM format without keys: authorities, revocations.
struct pem_file {
    const char *file; // NULL: none
    struct str bytes;
    struct conf_mark mark;
};

// TLS with clients; n_certs 0: none.
struct tls {
    struct certificate *certs; // the first is the default
    uint32_t n_certs;
    enum tls_min min;
    enum tls_profile profile;
    bool strict_sni;            // clients that name no host of a certificate are refused
    struct str ciphers, groups; // of OpenSSL; empty: those of the profile
    struct conf_mark ciphers_mark, groups_mark;
    bool watch;                 // certificates are read anew when their files change
    struct pem_file client_ca;  // who may have signed clients' certificates; none: not asked for
    struct pem_file client_crl; // those that were taken back
    enum client_verify client_verify; // where client_ca is given
    struct conf_mark mark;
};

// TLS to a server.
struct server_tls {
    struct tls_terms terms;                // complete: what is left out of the file is filled in
    bool enabled;                          // true
    struct pem_file ca;                    // of `terms`, as named in the file; none: the system's
    const struct certificate *client_cert; // of `terms`; NULL: none
    struct conf_mark mark;
};

struct listen {
    struct addr addr;
    bool v6_only;      // false for "[::]:80" written as bare "80": both families
    bool accept_proxy; // a PROXY header is mandatory
    struct tls tls;    // its own, or the frontend's
    uint32_t number;   // of its socket: kept over reloads while the address stays (process/)
    struct conf_mark mark;
};

struct frontend;
// Whether an address before the k-th has the same `tls`: the frontend's.
bool listen_shares_tls(const struct frontend *f, uint32_t k) MUST_CHECK;

// Strict-Transport-Security on answers over TLS.
struct hsts {
    uint32_t max_age_s;
    bool subdomains, preload;
    struct str value; // of the field; empty: none
};

// Challenges of a certificate authority (RFC 8555 section 8.3) are answered from files.
struct acme {
    struct str webroot; // what an ACME client calls so; empty: none
};

struct frontend {
    struct str name;
    uint32_t index;
    enum mode mode;
    struct listen *listens;
    uint32_t n_listens;
    const struct route *routes; // at least one
    uint32_t n_routes;
    struct timeouts timeout; // client, request, keep_alive, client_fin, tunnel, tls_handshake are
                             // read from here
    struct tls tls;          // of listens without their own; listens are what to read
    struct http_limits limits;
    uint32_t max_connections; // 0: no limit of its own
    uint32_t max_handshakes;  // TLS handshakes in progress per listen and worker; 0: no limit
    struct hsts hsts;
    struct acme acme;
    const struct cidr *trusted; // peers whose X-Forwarded-* and PROXY headers are believed
    uint32_t n_trusted;
    struct header_ops headers;
    struct conf_mark mark;
};

// How server names are resolved.
struct dns {
    const struct addr *servers; // none: those of /etc/resolv.conf
    uint32_t n_servers;
    uint32_t min_ttl_ms, max_ttl_ms; // bounds of what an answer says of itself
    uint32_t timeout_ms;
};

// Keys of TLS session tickets: one set for all frontends.
struct tickets {
    uint32_t rotate_ms;   // a key of our own is in use so long; the two before it are still taken
    struct str keys_file; // where they come from; empty: our own
    struct str keys;      // its content; empty in control
    struct conf_mark mark;
};

struct conf_file;

struct config {
    struct arena *arena;           // owns everything here
    const struct conf_file *files; // what was read: where a conf_mark points (conf/diag.h)
    struct frontend *frontends;
    struct backend *backends;
    struct server *servers; // all of them; backends point into this array
    uint32_t n_frontends, n_backends, n_servers;
    uint32_t workers;         // 0: as many as there are cores
    uint32_t max_connections; // of the whole process tree; 0: derived from RLIMIT_NOFILE
    uint32_t shutdown_ms;     // how long a graceful stop may take
    struct dns dns;
    struct tickets tickets;
    const struct secret *secrets; // all that were read, used or not, but those of health checks
    struct str user, group;       // empty: stay who we are
    struct str admin_socket;      // unix socket path; empty: the default
    enum log_level log_level;
    bool access_log;
    struct str access_log_path; // empty: standard error
    struct str overlay;         // the lines of the source's that still act (conf/overlay.h)
    struct map frontend_by_name, backend_by_name;
};

#endif
