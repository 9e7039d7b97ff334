// SPDX-License-Identifier: MIT
// The rows of backends, their servers and what hangs on them, and of `defaults`; the others are in
// schema.c, and so is what holds for all.
#include "conf/schema_rows.h"

// clang-format off
static const char *const hash_methods[] = {"consistent", NULL};

#define ROW_BALANCE(T) \
    {"balance", ENUM(T, balance, balance, balance_words), .fallback = "round-robin", \
     .flags = ROW_DEFAULTS, SINCE, .example = "least-conn", \
     .doc = "How a server is chosen: round-robin in turn by weight; least-conn the one with the " \
            "fewest requests (connections in mode tcp) for its weight; random the better of two " \
            "draws; first the first in the list; hash by a key of the request (see hash)."}
#define ROW_HASH(more) \
    {"hash", OBJECT(object_hash, 0), .flags = ROW_DEFAULTS | (more), SINCE, .example = "{on: header X-User}", \
     .doc = "What balance: hash looks at. Equal keys go to the same server; when a server comes or " \
            "goes only its share moves."}
#define ROW_RETRIES(T) \
    {"retries", U32(T, retries), .fallback = "3", LIMITS(0, 100), .flags = ROW_DEFAULTS, SINCE, \
     .example = "1", \
     .doc = "How often a request is tried again, on another server when there is one: when its " \
            "connection failed before it was sent; or when the server closed without a byte of an " \
            "answer to a whole GET, HEAD, PUT, DELETE, OPTIONS or TRACE, which may be sent twice."}
#define ROW_REUSE(T) \
    {"reuse", ENUM(T, reuse, reuse, reuse_words), .fallback = "safe", .flags = ROW_DEFAULTS | ROW_HTTP, \
     SINCE, .example = "always", \
     .doc = "Whether idle server connections serve requests of other clients: safe only when the " \
            "request can be repeated should the connection turn out dead; always; never."}
#define ROW_SEND_PROXY(T) \
    {"send-proxy", ENUM(T, send_proxy, proxy_version, proxy_version_words), .fallback = "none", \
     .flags = ROW_DEFAULTS, SINCE, .example = "v2", \
     .doc = "Tells the server the client's address by a PROXY protocol header of that version. " \
            "v2-ssl adds what is known of the client's TLS: version, cipher, protocol (ALPN), the name " \
            "asked for (SNI), and the name in its certificate; of TLS that is passed through, the name " \
            "asked for. The server must expect it. Health checks send one too, unless they go to a port " \
            "or address of their own."}
#define ROW_FAILOVER(T) \
    {"failover", ENUM(T, failover, failover, failover_words), .fallback = "active-active", \
     .flags = ROW_DEFAULTS, SINCE, .example = "active-passive", \
     .doc = "active-active: all usable servers of the best tier share the work. active-passive: one " \
            "server works, the first usable in the order of tiers and of the list; the others stand by."}
#define ROW_FAILBACK(T) \
    {"failback", ENUM(T, failback, failback, failback_words), .fallback = "auto", .flags = ROW_DEFAULTS, \
     SINCE, .example = "manual", \
     .doc = "What happens when a better server or tier has recovered: auto returns to it; manual " \
            "stays until the working one fails or `evlb ctl backend switch` is used."}
#define ROW_FAILBACK_AFTER(T) \
    {"failback-after", DURATION(T, failback_after_ms), .fallback = "0s", LIMITS(0, DAY_MS), \
     .flags = ROW_DEFAULTS, SINCE, .example = "30s", \
     .doc = "How long a better server must have been up before failback: auto returns to it."}
#define ROW_ON_SERVER_DOWN(T) \
    {"on-server-down", ENUM(T, on_server_down, on_server_down, server_down_words), .fallback = "keep", \
     .flags = ROW_DEFAULTS, SINCE, .example = "close", \
     .doc = "What happens to the connections of a server that goes down: keep lets them go on, " \
            "close cuts them at once."}
#define ROW_MAX_QUEUE(T) \
    {"max-queue", U32(T, max_queue), .fallback = "1024", LIMITS(0, 1000000), .flags = ROW_DEFAULTS, \
     SINCE, .example = "100", \
     .doc = "How many requests (connections in mode tcp) may wait for a free server when all have " \
            "max-connections; beyond it they are refused at once, with 503. 0: none waits."}
#define ROW_RETRY_ON(T) \
    {"retry-on", .type = VALUE_RETRY_ON, SLOT(T, retry_on, uint32_t), .words = retry_on_words, .fallback = "connect-failure", \
     .flags = ROW_DEFAULTS | ROW_HTTP, SINCE, .example = "[connect-failure, empty-response, 503]", \
     .doc = "What makes a request be tried again (see retries), when it may be sent twice and is " \
            "still whole in memory: empty-response (closed without an answer), the statuses 502, " \
            "503, 504, and timeout (of the response). connect-failure is part of every list but " \
            "the empty one: [] retries nothing."}
#define ROW_MIN_IDLE(T) \
    {"min-idle", U32(T, min_idle), .fallback = "0", LIMITS(0, 1000), \
     .flags = ROW_DEFAULTS | ROW_HTTP, SINCE, .example = "2", \
     .doc = "Connections that each worker keeps open to each usable server, ready for requests."}
#define ROW_RESOLVE(T) \
    {"resolve", ENUM(T, resolve, resolve, resolve_words), .fallback = "first", .flags = ROW_DEFAULTS, \
     SINCE, .example = "all", \
     .doc = "What the addresses of a server's name are: first uses one of them; all makes each a " \
            "server of its own (at most 8: NAME.1 to NAME.8). srv:NAME always means all."}
#define ROW_PASSIVE(T) \
    {"passive", OBJECT(object_passive, offsetof(T, passive)), .flags = ROW_DEFAULTS, SINCE, \
     .example = "{errors: 5, eject: 30s}", \
     .doc = "Health judged by real traffic: failures in a row make a server suspect, and a check " \
            "decides at once; without checks it is left out for a while."}
#define ROW_HEALTH(T) \
    {"health", OBJECT(object_health, offsetof(T, health)), .flags = ROW_DEFAULTS, SINCE, \
     .example = "GET /healthz", \
     .doc = "How each server is checked. Left out: in mode http with two servers or more tls where " \
            "all of them have tls, else tcp; off otherwise."}

static const struct row hash_rows[] = {
    {"on", .type = VALUE_HASH_ON, SLOT(struct backend, hash_on, enum hash_on), .fallback = "client",
     .flags = ROW_DEFAULTS, SINCE, .example = "header X-User",
     .doc = "The key: client (its address), path (without query), uri (path and query), header NAME, "
            "cookie NAME. A request without the header or cookie is balanced round robin. In mode "
            "tcp only client."},
    {"method", .type = VALUE_FIXED, .words = hash_methods, .fallback = "consistent",
     .flags = ROW_DEFAULTS, SINCE, .example = "consistent",
     .doc = "How the key selects a server. consistent: a server that comes or goes moves only its "
            "own share."},
};

static const struct row passive_rows[] = {
    {"enabled", BOOL(struct passive, on), .fallback = "true", .flags = ROW_DEFAULTS, SINCE,
     .example = "false", .doc = "Whether real traffic is looked at."},
    {"errors", U32(struct passive, errors), .fallback = "3", LIMITS(1, 1000), .flags = ROW_DEFAULTS,
     SINCE, .example = "5",
     .doc = "So many failures in a row (no connection, no answer) make a server suspect."},
    {"eject", DURATION(struct passive, eject_ms), .fallback = "10s", LIMITS(100, 3600000),
     .flags = ROW_DEFAULTS, SINCE, .example = "30s",
     .doc = "With health: off, how long a suspect server is left out the first time; each further "
            "time in a row adds as much, up to 5m."},
};

#define OF_HEALTH .flags = ROW_DEFAULTS, SINCE
static const struct row health_rows[] = {
    {"type", ENUM(struct health, type, health_type, health_type_words), OF_HEALTH, .example = "http",
     .doc = "tcp connects; http sends a request; send-expect exchanges texts; mysql, postgres and "
            "redis log in and may ask for the role; smtp greets; tls makes a TLS handshake. off: no checks. Left out: what the "
            "other keys belong to, tls with tls: true, else as without `health`."},
    {"every", DURATION(struct health, every_ms), .fallback = "2s", LIMITS(10, DAY_MS), OF_HEALTH,
     .example = "5s", .doc = "From one check of a server to the next. A quarter of it while results "
     "speak against the server's state."},
    {"every-down", DURATION(struct health, every_down_ms), LIMITS(10, DAY_MS), OF_HEALTH,
     .example = "10s", .doc = "The same while the server is down. Left out: as every."},
    {"fall", U32(struct health, fall), .fallback = "3", LIMITS(1, 255), OF_HEALTH, .example = "2",
     .doc = "So many failed checks in a row take a server down. The first check after a start needs "
            "to fail only once."},
    {"rise", U32(struct health, rise), .fallback = "2", LIMITS(1, 255), OF_HEALTH, .example = "3",
     .doc = "So many passed checks in a row bring a server back."},
    {"timeout", DURATION(struct health, timeout_ms), LIMITS(1, 3600000), OF_HEALTH, .example = "1s",
     .doc = "How long a check may take. Left out: timeout.check."},
    {"port", U16(struct health, port), LIMITS(1, 65535), OF_HEALTH, .example = "8081",
     .doc = "The port to check, when it is not the server's."},
    {"address", .type = VALUE_IP, SLOT(struct health, address, struct addr), OF_HEALTH,
     .example = "10.0.0.5", .doc = "The address to check, when it is not the server's."},
    {"method", .type = VALUE_METHOD, SLOT(struct health, method, struct str), .fallback = "GET",
     OF_HEALTH, .example = "HEAD", .doc = "http: of the request."},
    {"path", .type = VALUE_TARGET, SLOT(struct health, path, struct str), .fallback = "/", OF_HEALTH,
     .example = "/healthz", .doc = "http: of the request; may hold a query."},
    {"host", .type = VALUE_LINE, SLOT(struct health, host, struct str), OF_HEALTH,
     .example = "www.example.com",
     .doc = "http: the Host of the request. Left out: the server's name or address."},
    {"headers", .type = VALUE_FIELDS, SLOT(struct health, headers, const struct field_pair *),
     COUNT(struct health, n_headers), OF_HEALTH, .example = "{X-Check: evlb}",
     .doc = "http: further fields of the request."},
    {"expect", .type = VALUE_EXPECT, SLOT(struct health, expect, struct str), OF_HEALTH,
     .example = "[200, 204]",
     .doc = "What passes. http: statuses and ranges of them (200-399 when left out). send-expect: a "
            "text that must come in the answer. mysql, postgres, redis: the role writable, replica "
            "or any (any when left out)."},
    {"expect-body", .type = VALUE_TEXT, SLOT(struct health, body, struct str), OF_HEALTH,
     .example = "ready", .doc = "http: a text that the body must hold, within its first 32 KiB."},
    {"expect-header", .type = VALUE_FIELD, SLOT(struct health, header, struct field_pair), OF_HEALTH,
     .example = "\"X-State: ready\"",
     .doc = "http: a field that the answer must have; without a value any value will do."},
    {"send", .type = VALUE_TEXT, SLOT(struct health, send, struct str), OF_HEALTH,
     .example = "\"PING\\r\\n\"", .doc = "send-expect: what is sent once connected."},
    {"user", .type = VALUE_LINE, SLOT(struct health, user, struct str), OF_HEALTH,
     .example = "evlbcheck", .doc = "mysql, postgres, redis: the account to log in with."},
    {"password", .type = VALUE_LINE, SLOT(struct health, password, struct str),
     .flags = ROW_DEFAULTS | ROW_SECRET, SINCE, .example = "\"${file:/etc/evlb/check.password}\"",
     .doc = "mysql, postgres, redis: its password."},
    {"database", .type = VALUE_LINE, SLOT(struct health, database, struct str), OF_HEALTH,
     .example = "postgres", .doc = "postgres: the database. Left out: named like the user."},
    {"max-lag", DURATION(struct health, max_lag_ms), .fallback = "0s", LIMITS(0, 30 * DAY_MS),
     .flags = ROW_DEFAULTS | ROW_SAID_IN_SECONDS, SINCE, .example = "10s",
     .doc = "mysql with expect: replica: how far the replica may be behind. 0: any lag."},
    {"tls", ENUM(struct health, tls, health_tls, health_tls_words), OF_HEALTH, .example = "true",
     .doc = "Whether the check goes over TLS, as the server's `tls` says. Left out (auto): as the traffic, "
            "but in plain text to a port or address of its own, and without a handshake where the type is "
            "tcp. true for a server without `tls`: its certificate is not verified."},
    {"client-cert", .type = VALUE_CHECK_CERT, SLOT(struct health, client_cert, const struct certificate *),
     OF_HEALTH, .example = "/etc/evlb/check.pem",
     .doc = "What is shown to a server that asks for a certificate. Unlike all other keys this one is known "
            "to the process that answers on the admin socket: use one that may do nothing else."},
    {"helo", .type = VALUE_LINE, SLOT(struct health, helo, struct str), .fallback = "localhost",
     OF_HEALTH, .example = "lb.example.com", .doc = "smtp: the name to greet with."},
};

static const struct row defaults_rows[] = {
    ROW_MODE(struct settings, mode, "http", 0),
    ROW_BALANCE(struct settings),
    ROW_HASH(ROW_SCRATCH),
    ROW_RETRIES(struct settings),
    ROW_REUSE(struct settings),
    ROW_SEND_PROXY(struct settings),
    ROW_TRUSTED(struct settings, 0),
    {"timeout", OBJECT(object_timeouts_defaults, offsetof(struct settings, timeout)), SINCE,
     .example = "{connect: 2s}", .doc = "Timeouts of frontends and backends."},
    ROW_LIMITS(struct settings, 0),
    ROW_ACME(struct settings, 0),
    ROW_FAILOVER(struct settings),
    ROW_FAILBACK(struct settings),
    ROW_FAILBACK_AFTER(struct settings),
    ROW_ON_SERVER_DOWN(struct settings),
    ROW_HEALTH(struct settings),
    ROW_PASSIVE(struct settings),
    ROW_MAX_QUEUE(struct settings),
    ROW_RETRY_ON(struct settings),
    ROW_MIN_IDLE(struct settings),
    ROW_RESOLVE(struct settings),
    {"server-defaults", OBJECT(object_server_defaults, 0), .flags = ROW_SCRATCH, SINCE, .example = "{slow-start: 30s}",
     .doc = "What the servers of all backends use when neither they nor their backend say otherwise."},
    PLANNED("stick", "Keeps a client on its server."),
};

#define TLS_DOC \
    "TLS to the servers. true: their certificates are verified with the system's authorities and must " \
    "be for the host that the server is configured with. Said at a server, in server-defaults or for " \
    "the whole backend; a key that the nearest does not have is taken from the next. In the short form " \
    "of a file `tls` is that of the clients: there write server-defaults: {tls: true}."

static const struct row server_tls_rows[] = {
    {"enabled", BOOL(struct server_tls, enabled), .fallback = "true", SINCE, .example = "false",
     .doc = "false: this server is spoken to in plain text, whatever its backend says."},
    {"ca", .type = VALUE_PEM_FILE, SLOT(struct server_tls, ca, struct pem_file), SINCE,
     .example = "/etc/evlb/internal-ca.pem",
     .doc = "Certificates of those who may have signed the server's: authorities, or its own. Left out: "
            "the system's ($SSL_CERT_FILE, /etc/ssl/certs/ca-certificates.crt and the like)."},
    {"verify", BOOL(struct server_tls, terms.verify), .fallback = "true", SINCE, .example = "false",
     .doc = "false: whatever certificate is shown is taken. Whoever can come in between can then read "
            "and change everything."},
    {"server-name", .type = VALUE_SERVER_NAME, SLOT(struct server_tls, terms.name, struct str), SINCE,
     .example = "app.internal",
     .doc = "The name that the certificate must be for, and that is sent (SNI); or the IP address, which "
            "is not sent. Left out: the server's host."},
    {"client-cert", .type = VALUE_CLIENT_CERT, SLOT(struct server_tls, client_cert, const struct certificate *),
     SINCE, .example = "/etc/evlb/client.pem",
     .doc = "What is shown to a server that asks: certificate, chain and key in PEM format, as in `certs` "
            "of a frontend. Health checks do not have it: they only connect (tcp) unless `health` "
            "says otherwise or has a client-cert of its own."},
    {"alpn", .type = VALUE_ALPN, SLOT(struct server_tls, terms.alpn, const struct str *),
     COUNT(struct server_tls, terms.n_alpn), SINCE, .example = "http/1.1",
     .doc = "The protocols that are offered, best first. Left out: none. In mode http only http/1.1."},
    {"min", ENUM(struct server_tls, terms.min, tls_min, tls_min_words), .fallback = "1.2", SINCE,
     .example = "1.3", .doc = "The oldest version of TLS."},
};

static const struct row backend_rows[] = {
    {"servers", .type = VALUE_SERVERS, .object = &object_server,
     SINCE, .example = "[10.0.0.11:8080, 10.0.0.12:8080]", .flags = ROW_REQUIRED,
     .doc = "The servers. A list names them s1, s2, ...; a map gives them names."},
    ROW_BALANCE(struct backend),
    ROW_HASH(0),
    ROW_MODE(struct backend, mode, NULL, 0),
    {"server-defaults", OBJECT(object_server_defaults, 0), .flags = ROW_SCRATCH, SINCE, .example = "{weight: 10}",
     .doc = "What the servers of this backend use when they do not say otherwise."},
    ROW_RETRIES(struct backend),
    ROW_REUSE(struct backend),
    ROW_SEND_PROXY(struct backend),
    {"timeout", OBJECT(object_timeouts_backend, offsetof(struct backend, timeout)),
     .flags = INHERITED, SINCE, .example = "{connect: 1s, server: 2m}",
     .doc = "How long servers may take."},
    ROW_HEADERS(struct backend),
    ROW_FAILOVER(struct backend),
    ROW_FAILBACK(struct backend),
    ROW_FAILBACK_AFTER(struct backend),
    ROW_ON_SERVER_DOWN(struct backend),
    ROW_HEALTH(struct backend),
    ROW_PASSIVE(struct backend),
    ROW_MAX_QUEUE(struct backend),
    ROW_RETRY_ON(struct backend),
    ROW_MIN_IDLE(struct backend),
    ROW_RESOLVE(struct backend),
    PLANNED("stick", "Keeps a client on its server."),
    {"tls", OBJECT(object_server_tls, 0), .flags = ROW_SCRATCH, SINCE, .example = "true", .doc = TLS_DOC},
};

#define ROWS_OF_SERVERS \
    {"weight", U16(struct server, weight), .fallback = "1", LIMITS(0, 256), .flags = INHERITED, \
     SINCE, .example = "2", \
     .doc = "The server's share of the work compared with the others. 0: no new work."}, \
    {"tier", U32(struct server, tier), .fallback = "1", LIMITS(1, 255), .flags = INHERITED, SINCE, \
     .example = "2", \
     .doc = "1 is used first; servers of a higher tier work only while none of a lower one is " \
            "usable."}, \
    {"max-connections", U32(struct server, max_connections), .fallback = "unlimited", \
     .zero_word = "unlimited", LIMITS(1, 10000000), .flags = INHERITED, SINCE, .example = "100", \
     .doc = "Requests (connections in mode tcp) at a time, over all workers; more wait (see " \
            "max-queue)."}, \
    {"slow-start", DURATION(struct server, slow_start_ms), .fallback = "0s", LIMITS(0, DAY_MS), \
     .flags = INHERITED, SINCE, .example = "30s", \
     .doc = "A recovered server gets its share little by little over this time."}, \
    {"tls", OBJECT(object_server_tls, offsetof(struct server, tls)), .flags = ROW_POINTER, SINCE, \
     .example = "{ca: /etc/evlb/internal-ca.pem}", .doc = TLS_DOC}, \
    PLANNED("health", "A health check of its own.")

static const struct row server_rows[] = {
    {"address", .type = VALUE_SERVER_ADDRESS, SLOT(struct server, addr, struct addr), SINCE,
     .example = "10.0.0.11:8080", .flags = ROW_REQUIRED,
     .doc = "Where the server is. A name is resolved while evlb runs; srv:_http._tcp.example.com asks DNS "
            "for names, ports and weights."},
    ROWS_OF_SERVERS,
};
static const struct row server_defaults_rows[] = {ROWS_OF_SERVERS};

const struct object object_defaults = {"defaults", "'defaults'", "defaults", ROWS(defaults_rows), .size = sizeof(struct settings),
    .doc = "What frontends and backends use when they do not say otherwise."};
const struct object object_backend = {"backends.*", "a backend", "backends", ROWS(backend_rows), .size = sizeof(struct backend),
    .short_key = "servers", .doc = "A group of servers that do the same work. A list in place of the map is its `servers`."};
const struct object object_server = {"backends.*.servers.*", "a server", "server", ROWS(server_rows), .size = sizeof(struct server),
    .short_key = "address", .doc = "An address in place of the map is its `address`."};
const struct object object_server_defaults = {"backends.*.server-defaults", "'server-defaults'", "server_defaults", ROWS(server_defaults_rows),
    .size = sizeof(struct server), .doc = "What the servers of the backend use when they do not say otherwise."};
const struct object object_server_tls = {"backends.*.servers.*.tls", "'tls' of a server", "server_tls", ROWS(server_tls_rows),
    .size = sizeof(struct server_tls), .short_key = "enabled", .doc = "Of a server, in `server-defaults`, or of a backend. true or false in place of the map is its `enabled`."};
const struct object object_hash = {"backends.*.hash", "'hash'", "hash", ROWS(hash_rows), .size = sizeof(struct backend),
    .short_key = "on", .doc = "A word in place of the map is its `on`."};
const struct object object_passive = {"backends.*.passive", "'passive'", "passive", ROWS(passive_rows), .size = sizeof(struct passive),
    .short_key = "enabled", .doc = "true or false in place of the map is its `enabled`."};
const struct object object_health = {"backends.*.health", "'health'", "health", ROWS(health_rows), .size = sizeof(struct health),
    .short_key = "type", .doc = "A word in place of the map is its `type`; a method and a path (`GET /healthz`) are an http check."};
// clang-format on
