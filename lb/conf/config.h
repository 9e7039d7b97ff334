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
enum proxy_version { PROXY_NONE, PROXY_V1, PROXY_V2 };

// Where in the files a thing was said; line and column count from 1, 0: nowhere (a default).
struct conf_mark {
    const char *file;
    uint32_t line, column;
    uint32_t end_column; // behind the last character, same line
};

struct timeouts {
    uint32_t connect, client, server, request, keep_alive, tunnel, client_fin, server_fin, idle;
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

struct server {
    struct str name;
    struct str host;  // as written: numeric, or a name still to be resolved; empty for unix
    struct addr addr; // len 0 while a name is unresolved
    uint16_t port;
    uint16_t weight; // 0..256
    uint32_t index;  // over all servers of the config: its slot on the board
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
    struct timeouts timeout; // connect, server, server_fin, tunnel, idle are read from here
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

// First match wins. A condition that is not given matches everything.
struct route {
    const struct host_pattern *hosts; // any of them
    const struct str *paths;          // any of them: prefixes that end at a segment border
    uint32_t n_hosts, n_paths;
    enum route_action action;
    struct backend *backend; // ROUTE_BACKEND
    struct str redirect;     // ROUTE_REDIRECT: "https" or an absolute or local URL; one
                             // that ends in "/" gets the rest of the path appended
    uint16_t status;         // of a redirect or denial
    struct conf_mark mark;
};

struct http_limits {
    uint32_t head_bytes; // request line and fields together; also of a response head
    uint32_t fields;
    uint32_t uri_bytes;
};

struct listen {
    struct addr addr;
    bool v6_only;      // false for "[::]:80" written as bare "80": both families
    bool accept_proxy; // a PROXY header is mandatory
    struct conf_mark mark;
};

struct frontend {
    struct str name;
    uint32_t index;
    enum mode mode;
    const struct listen *listens;
    uint32_t n_listens;
    const struct route *routes; // at least one; the last of mode tcp is a plain backend
    uint32_t n_routes;
    struct timeouts timeout; // client, request, keep_alive, client_fin, tunnel are read from here
    struct http_limits limits;
    uint32_t max_connections;   // 0: no limit of its own
    const struct cidr *trusted; // peers whose X-Forwarded-* and PROXY headers are believed
    uint32_t n_trusted;
    struct header_ops headers;
    struct conf_mark mark;
};

struct config {
    struct arena *arena; // owns everything here
    struct frontend *frontends;
    struct backend *backends;
    struct server *servers; // all of them; backends point into this array
    uint32_t n_frontends, n_backends, n_servers;
    uint32_t workers;         // 0: as many as there are cores
    uint32_t max_connections; // of the whole process tree; 0: derived from RLIMIT_NOFILE
    uint32_t shutdown_ms;     // how long a graceful stop may take
    struct str user, group;   // empty: stay who we are
    struct str admin_socket;  // unix socket path; empty: the default
    enum log_level log_level;
    bool access_log;
    struct str access_log_path; // empty: standard error
    struct map frontend_by_name, backend_by_name;
};

#endif
