// SPDX-License-Identifier: MIT
// The keys of the configuration as tables: one row per key. The parser, the defaults, did-you-mean,
// the JSON Schema, the reference, the man page and `explain` all read these rows and nothing else.
#ifndef EVLB_CONF_SCHEMA_H
#define EVLB_CONF_SCHEMA_H

#include "conf/config.h"

// The kinds of values. Each has a line in value_kinds[] and a binder in bind.c.
enum value_type {
    VALUE_BOOL,
    VALUE_U32,
    VALUE_U16,
    VALUE_DURATION, // uint32_t, ms
    VALUE_SIZE,     // uint32_t, bytes
    VALUE_ENUM,     // an enum, by the position in words
    VALUE_FIXED,    // one of words; nothing is stored
    VALUE_TEXT,
    VALUE_PATH,      // absolute, of a socket
    VALUE_DIRECTORY, // absolute
    VALUE_ACCOUNT,   // user or group
    VALUE_NETS,      // list of prefixes
    VALUE_OBJECT,    // a map with the keys of row->object
    VALUE_LISTENS,
    VALUE_LISTEN_ADDRESS,
    VALUE_SERVERS,
    VALUE_SERVER_ADDRESS,
    VALUE_ROUTES,
    VALUE_HOSTS,
    VALUE_PATHS,
    VALUE_ALPN, // list of names of protocols
    VALUE_REDIRECT,
    VALUE_BACKEND_NAME,
    VALUE_HASH_ON,
    VALUE_HEADERS,
    VALUE_FIELDS,      // map of header name -> value
    VALUE_FIELD_NAMES, // list of header names
    VALUE_ACCESS_LOG,
    VALUE_RETRY_ON,
    VALUE_IP,          // an address without a port
    VALUE_DNS_SERVERS, // list of addresses
    VALUE_METHOD,      // of a request
    VALUE_TARGET,      // path and query
    VALUE_LINE,        // a text without control characters
    VALUE_FIELD,       // "NAME: VALUE"
    VALUE_EXPECT,      // statuses, a text or a role: bind_health.c
    VALUE_CERTS,       // list of files and directories
    VALUE_TICKET_KEYS, // a file
    VALUE_CLIENT_CERT, // one file
    VALUE_CHECK_CERT,  // the same, for control as well
    VALUE_PEM_FILE,    // a file that is no secret
    VALUE_SERVER_NAME, // host or IP address
    VALUE_INCLUDE,
    VALUE_FRONTENDS,
    VALUE_BACKENDS,
    VALUE_PLANNED, // known, refused: comes in a later version
    VALUE_TYPES
};

enum row_flags {
    ROW_DEFAULTS = 1, // taken from `defaults` when an object does not say it
    ROW_GLOBAL = 2,   // ... or from the top level of the file
    ROW_HTTP = 4,     // has no meaning in mode tcp
    ROW_RESTART = 8,  // a reload does not change it
    ROW_REQUIRED = 16,
    ROW_SECRET = 64,   // never shown
    ROW_ABSENT = 128,  // a VALUE_OBJECT that is left as it is, zero, unless it is said
    ROW_SECONDS = 256, // a VALUE_DURATION that is kept in seconds
    ROW_SCRATCH = 32,  // a VALUE_OBJECT that is bound only to be checked: others inherit from it
    ROW_POINTER = 512, // a VALUE_OBJECT behind a pointer in the target; NULL: none
    ROW_SAID_IN_SECONDS = 1024, // a VALUE_DURATION that other programs take in seconds
};

struct object;

struct row {
    const char *key;
    enum value_type type;
    uint32_t offset, count_offset; // into the target; the latter for lists
    uint32_t flags;
    const char *fallback;     // the default, as it would be written; NULL: none
    const char *zero_word;    // a word that stands for 0 ("auto"); 0 itself may be out of range
    uint64_t min, max;        // of numbers, durations and sizes
    const char *const *words; // of enums, NULL at the end
    const struct object *object;
    const char *needs; // a key of the same map without which this one says nothing; NULL: none
    const char *since, *doc, *example;
};

struct object {
    const char *path;  // "backends.*"; empty: the top level
    const char *title; // "a backend"
    const char *id;    // "backends": its name in the JSON Schema
    const struct row *rows;
    size_t n_rows;
    size_t size;           // of the target
    const char *short_key; // what a scalar or list in place of the map means, or NULL
    const char *doc;
};

struct value_kind {
    const char *name; // "duration"
    const char *how;  // "a number with a unit: 500ms, 5s, 2m, 1h, 1d"
    const char *json; // JSON Schema of it; NULL: made from the row
};
extern const struct value_kind value_kinds[VALUE_TYPES];

// What `defaults` says is bound here only to be checked; objects take it from the tree.
struct settings {
    enum mode mode;
    enum balance balance;
    enum reuse reuse;
    enum proxy_version send_proxy;
    uint32_t retries, retry_on, failback_after_ms, max_queue, min_idle;
    enum failover failover;
    enum failback failback;
    enum on_server_down on_server_down;
    enum resolve resolve;
    struct health health;
    struct passive passive;
    struct timeouts timeout;
    struct http_limits limits;
    struct acme acme;
    const struct cidr *trusted;
    uint32_t n_trusted;
};

struct root_timeouts {
    struct timeouts all; // only checked, as above
    uint32_t shutdown;
};

struct root {
    struct config config;
    struct root_timeouts timeout;
    struct http_limits limits;  // only checked
    struct acme acme;           // only checked
    const struct cidr *trusted; // only checked
    uint32_t n_trusted;
};

struct route_draft {
    struct route route;
    struct str backend_name;
    uint16_t deny;
};

struct listen_draft {
    struct listen listen;
    bool bare; // a port alone
};

struct frontend_draft {
    struct frontend frontend;
    struct route_draft shortcut; // `backend` or `redirect` of the frontend itself
    bool accept_proxy;
};

extern const struct object object_root, object_defaults, object_frontend, object_backend;
extern const struct object object_server, object_server_defaults, object_route, object_listen;
extern const struct object object_hash, object_headers, object_header_ops, object_log;
extern const struct object object_access, object_admin, object_limits, object_frontend_limit;
extern const struct object object_timeouts, object_timeouts_defaults, object_timeouts_frontend;
extern const struct object object_timeouts_backend, object_health, object_passive, object_dns,
    object_tls, object_server_tls, object_hsts, object_acme, object_tickets;

// All of them, the top level first; NULL at the end.
extern const struct object *const schema_objects[];

#define REDIRECT_HTTPS_STATUS "308" // the default of `status` when the redirect is "https"
#define NAME_MAX_BYTES 64

const struct row *schema_row(const struct object *o, struct str key);
// Walks the whole path of a row: "backends.*.balance" into `out`.
void schema_path(const struct object *o, const struct row *row, char *out, size_t size);
// Whether `asked` names `path` ("frontends.*.timeout.client"): the whole or a tail of it; any word
// stands for a "*".
bool schema_path_is(const char *path, struct str asked);

#endif
