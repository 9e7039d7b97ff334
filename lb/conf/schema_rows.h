// SPDX-License-Identifier: MIT
// How rows are written: the macros that schema.c and schema_back.c share. Internal to these two.
#ifndef EVLB_CONF_SCHEMA_ROWS_H
#define EVLB_CONF_SCHEMA_ROWS_H

#include "conf/schema.h"
#include "conf/words.h"

#define SLOT(T, member, want)                                                                      \
    .offset = _Generic(((T *)0)->member, want : (uint32_t)offsetof(T, member))
#define COUNT(T, member)                                                                           \
    .count_offset = _Generic(((T *)0)->member, uint32_t : (uint32_t)offsetof(T, member))

#define BOOL(T, m) .type = VALUE_BOOL, SLOT(T, m, bool)
#define U32(T, m) .type = VALUE_U32, SLOT(T, m, uint32_t)
#define U16(T, m) .type = VALUE_U16, SLOT(T, m, uint16_t)
#define DURATION(T, m) .type = VALUE_DURATION, SLOT(T, m, uint32_t)
#define SIZE(T, m) .type = VALUE_SIZE, SLOT(T, m, uint32_t)
#define ENUM(T, m, E, w) .type = VALUE_ENUM, SLOT(T, m, enum E), .words = w
#define TEXT(T, m) .type = VALUE_TEXT, SLOT(T, m, struct str)
#define PATH(T, m) .type = VALUE_PATH, SLOT(T, m, struct str)
#define ACCOUNT(T, m) .type = VALUE_ACCOUNT, SLOT(T, m, struct str)
#define OBJECT(o, at) .type = VALUE_OBJECT, .object = &(o), .offset = (uint32_t)(at)
#define NETS(T, m, n) .type = VALUE_NETS, SLOT(T, m, const struct cidr *), COUNT(T, n)
#define LIMITS(lo, hi) .min = (lo), .max = (hi)
#define SINCE .since = "0.1"
#define PLANNED(k, text)                                                                           \
    {                                                                                              \
        .key = k, .type = VALUE_PLANNED, .doc = text                                               \
    }

#define DAY_MS 86400000u
#define ROWS(r) .rows = r, .n_rows = ARRAY_LEN(r)

// clang-format off
// ---- keys that stand in several objects ----

#define ROW_MODE(T, m, def, more) \
    {"mode", ENUM(T, m, mode, mode_words), .fallback = def, .flags = more, SINCE, .example = "tcp", \
     .doc = "http reads requests and balances each of them; tcp passes bytes on and balances " \
            "connections. A backend has the mode of the frontends that use it; it may say so."}
#define ROW_TRUSTED(T, more) \
    {"trusted-proxies", NETS(T, trusted, n_trusted), .flags = more, SINCE, \
     .example = "[10.0.0.0/8, \"fd00::/8\"]", \
     .doc = "Peers whose X-Forwarded-* fields and PROXY headers are believed. Those of all others " \
            "are dropped."}
#define ROW_LIMITS(T, more) \
    {"limits", OBJECT(object_limits, offsetof(T, limits)), .flags = (more) | ROW_HTTP, SINCE, \
     .example = "{head: 64KiB}", .doc = "The largest request head that is accepted."}
#define ROW_HEADERS(T) \
    {"headers", .type = VALUE_HEADERS, SLOT(T, headers, struct header_ops), \
     .object = &object_headers, .flags = ROW_HTTP, SINCE, \
     .example = "{request: {set: {X-Env: prod}}, response: {remove: [Server]}}", \
     .doc = "Changes to header fields, in the order written. Those of the frontend come before " \
            "those of the backend."}

#define ROW_TLS(T, m) \
    {"tls", OBJECT(object_tls, offsetof(T, m)), .flags = ROW_ABSENT, SINCE, .example = "/etc/evlb/certs/", \
     .doc = "Clients speak TLS here. A path or a list in place of the map is its `certs`."}

#define ROW_ACME(T, more) \
    {"acme", OBJECT(object_acme, offsetof(T, acme)), .flags = (more) | ROW_HTTP, SINCE, \
     .example = "/var/lib/evlb/acme", \
     .doc = "Answers the challenges of a certificate authority (ACME, HTTP-01), so that it can find " \
            "out whom a name belongs to: before all routes, redirects included, in plain text and " \
            "over TLS. A path in place of the map is its `webroot`."}

#define INHERITED (ROW_DEFAULTS | ROW_GLOBAL)
#define TIMEOUT(k, m, def, more, text) \
    {k, DURATION(struct timeouts, m), .fallback = def, LIMITS(1, 24 * DAY_MS), \
     .flags = INHERITED | (more), SINCE, .example = def, .doc = text}
#define TIMEOUT_CONNECT TIMEOUT("connect", connect, "5s", 0, \
    "To establish a connection to a server, each try by itself.")
#define TIMEOUT_CLIENT TIMEOUT("client", client, "30s", 0, \
    "How long a client may be silent while it is its turn.")
#define TIMEOUT_SERVER TIMEOUT("server", server, "30s", 0, \
    "How long a server may be silent while it is its turn: before the response and within it.")
#define TIMEOUT_REQUEST TIMEOUT("request", request, "10s", ROW_HTTP, \
    "From the first byte of a request to the end of its head.")
#define TIMEOUT_KEEP_ALIVE TIMEOUT("keep-alive", keep_alive, "60s", ROW_HTTP, \
    "How long an idle client connection is kept for its next request.")
#define TIMEOUT_TUNNEL TIMEOUT("tunnel", tunnel, "1h", 0, \
    "Silence in both directions: of a connection in mode tcp, of a WebSocket.")
#define TIMEOUT_CLIENT_FIN TIMEOUT("client-fin", client_fin, "5s", 0, \
    "How long a client may take to close after its half-close or ours.")
#define TIMEOUT_SERVER_FIN TIMEOUT("server-fin", server_fin, "5s", 0, \
    "How long a server may take to close after its half-close or ours.")
#define TIMEOUT_IDLE TIMEOUT("idle", idle, "50s", ROW_HTTP, \
    "How long an idle server connection is kept for reuse.")
#define TIMEOUT_QUEUE TIMEOUT("queue", queue, "10s", 0, \
    "How long a request (a connection in mode tcp) may wait for a free server.")
#define TIMEOUT_CHECK TIMEOUT("check", check, "2s", 0, \
    "To complete a health check, when the check does not say it.")
#define TIMEOUT_TLS_HANDSHAKE TIMEOUT("tls-handshake", tls_handshake, "10s", 0, \
    "From the connection to the end of the client's TLS handshake.")
// clang-format on

#endif
