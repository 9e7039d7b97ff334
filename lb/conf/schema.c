// SPDX-License-Identifier: MIT
// The rows. A key is added here, with its documentation, and exists everywhere; a key that is not
// ready has type VALUE_PLANNED and is refused by name. Read by bind.c and the emitters.
//
// Invariants: the member that an offset names has the type of the row (_Generic in the macros does
// not compile otherwise); every default is text that the row's own binder accepts (a test binds
// all of them); rows of the same key in several objects come from one macro.
#include "conf/schema_rows.h"

#include <stdio.h>

// clang-format off
static const char *const versions[] = {"1", NULL};

#define RETRY_WORDS \
    "\"connect-failure\", \"empty-response\", \"timeout\", 502, 503, 504, \"502\", \"503\", \"504\""

const struct value_kind value_kinds[VALUE_TYPES] = {
    [VALUE_BOOL] = {"boolean", "true or false", "{\"type\": \"boolean\"}"},
    [VALUE_U32] = {"number", "a whole number", NULL},
    [VALUE_U16] = {"number", "a whole number", NULL},
    [VALUE_DURATION] = {"duration", "a number with a unit: 500ms, 5s, 2m, 1h, 1d, 1w, 1y, 1h30m",
        "{\"type\": \"string\", \"pattern\": \"^([0-9]+(ms|s|m|h|d|w|y))+$\"}"},
    [VALUE_SIZE] = {"size", "a number with a unit: 512B, 16KiB, 1MiB (16k = 16KiB, 16kB = 16000B)",
        "{\"type\": \"string\", \"pattern\": \"^[0-9]+(B|[kKmMgG]|[KMG]iB|kB|MB|GB)$\"}"},
    [VALUE_ENUM] = {"word", "one of the listed words", NULL},
    [VALUE_FIXED] = {"word", "one of the listed words", NULL},
    [VALUE_TEXT] = {"text", "a text", "{\"type\": \"string\"}"},
    [VALUE_PATH] = {"path", "an absolute path", "{\"type\": \"string\", \"pattern\": \"^(/|.*\\\\$\\\\{)\"}"},
    [VALUE_DIRECTORY] = {"directory", "the absolute path of a directory", "{\"type\": \"string\", \"pattern\": \"^(/|.*\\\\$\\\\{)\"}"},
    [VALUE_ACCOUNT] = {"account", "a name or a number", "{\"type\": [\"string\", \"integer\"], \"minimum\": 0}"},
    [VALUE_NETS] = {"networks", "addresses or networks: 10.0.0.1, 10.0.0.0/8, \"fd00::/8\" (one or a list)",
        "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", \"items\": {\"type\": \"string\"}}]}"},
    [VALUE_OBJECT] = {"map", "a map with the keys below", NULL},
    [VALUE_LISTENS] = {"listen", "an address, a map {address, accept-proxy, tls}, or a list of these",
        "{\"anyOf\": [{\"$ref\": \"#/$defs/listen\"}, {\"type\": \"array\", \"minItems\": 1, \"items\": {\"$ref\": \"#/$defs/listen\"}}]}"},
    [VALUE_LISTEN_ADDRESS] = {"listen address", "80, :80, 10.0.0.1:80, \"[::1]:80\" or unix:/run/x.sock",
        "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 65535}, {\"type\": \"string\", \"minLength\": 1}]}"},
    [VALUE_SERVERS] = {"servers", "a list of servers (named s1, s2, ...) or a map of names to servers",
        "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", \"minItems\": 1, \"items\": {\"$ref\": \"#/$defs/server\"}}, {\"type\": \"object\", \"minProperties\": 1, \"patternProperties\": {\"^x-\": true}, \"additionalProperties\": {\"$ref\": \"#/$defs/server\"}}]}"},
    [VALUE_SERVER_ADDRESS] = {"server address", "10.0.0.1:80, \"[::1]:80\", name:80 or unix:/run/x.sock",
        "{\"type\": \"string\", \"pattern\": \":\"}"},
    [VALUE_ROUTES] = {"routes", "a route or a list of routes; the first that matches wins",
        "{\"anyOf\": [{\"$ref\": \"#/$defs/route\"}, {\"type\": \"array\", \"minItems\": 1, \"items\": {\"$ref\": \"#/$defs/route\"}}]}"},
    [VALUE_HOSTS] = {"hosts", "a host name, \"*.example.com\" for all names below it, or a list of these",
        "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", \"minItems\": 1, \"items\": {\"type\": \"string\"}}]}"},
    [VALUE_PATHS] = {"paths", "the begin of a path, up to a segment border, or a list of these",
        "{\"anyOf\": [{\"type\": \"string\", \"pattern\": \"^(/|.*\\\\$\\\\{)\"}, {\"type\": \"array\", \"minItems\": 1, \"items\": {\"type\": \"string\", \"pattern\": \"^(/|.*\\\\$\\\\{)\"}}]}"},
    [VALUE_ALPN] = {"protocols", "names of protocols: h2, http/1.1 (one or a list)",
        "{\"anyOf\": [{\"type\": \"string\", \"minLength\": 1}, {\"type\": \"array\", \"minItems\": 1, \"items\": {\"type\": \"string\", \"minLength\": 1}}]}"},
    [VALUE_REDIRECT] = {"redirect", "the word https (with a port: https:8443), a URL, or a path that begins with /", "{\"type\": \"string\", \"pattern\": \"^(https(:[1-9][0-9]{0,4})?$|https?://.|/|.*\\\\$\\\\{)\"}"},
    [VALUE_BACKEND_NAME] = {"name", "the name of a backend", "{\"$ref\": \"#/$defs/name\"}"},
    [VALUE_HASH_ON] = {"hash key", "client, path, uri, header NAME or cookie NAME",
        "{\"type\": \"string\", \"pattern\": \"^(client|path|uri|header [^ ]+|cookie [^ ]+|.*\\\\$\\\\{.*)$\"}"},
    [VALUE_HEADERS] = {"headers", "a map with the keys below", "{\"$ref\": \"#/$defs/headers\"}"},
    [VALUE_FIELDS] = {"fields", "a map of header names to values (a value or a list)",
        "{\"type\": \"object\", \"additionalProperties\": {\"anyOf\": [{\"type\": [\"string\", \"number\", \"boolean\"]}, {\"type\": \"array\", \"items\": {\"type\": [\"string\", \"number\", \"boolean\"]}}]}}"},
    [VALUE_FIELD_NAMES] = {"names", "a header name or a list of header names",
        "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", \"items\": {\"type\": \"string\"}}]}"},
    [VALUE_ACCESS_LOG] = {"access log", "true, false, the path of a file, or {to: stderr} / {to: PATH}",
        "{\"anyOf\": [{\"type\": \"boolean\"}, {\"type\": \"string\"}, {\"$ref\": \"#/$defs/log_access\"}]}"},
    [VALUE_RETRY_ON] = {"retry-on", "connect-failure, empty-response, 502, 503, 504, timeout (one or a list)",
        "{\"anyOf\": [{\"enum\": [" RETRY_WORDS "]}, {\"type\": \"array\", \"items\": {\"enum\": [" RETRY_WORDS "]}}]}"},
    [VALUE_IP] = {"IP address", "an address without a port: 10.0.0.1, ::1", "{\"type\": \"string\", \"pattern\": \"^([0-9a-fA-F.:]+|\\\\[.*\\\\]|.*\\\\$\\\\{.*)$\"}"},
    [VALUE_DNS_SERVERS] = {"name servers", "addresses, with a port unless it is 53: 10.0.0.53, \"[::1]:5353\" (one or a list)",
        "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", \"items\": {\"type\": \"string\"}}]}"},
    [VALUE_METHOD] = {"method", "a request method: GET, HEAD, OPTIONS", "{\"type\": \"string\", \"pattern\": \"^([A-Z]+$|.*\\\\$\\\\{)\"}"},
    [VALUE_TARGET] = {"request path", "a path, with a query if need be: /healthz?full=1", "{\"type\": \"string\", \"pattern\": \"^(/|.*\\\\$\\\\{)\"}"},
    [VALUE_LINE] = {"text", "a text on one line", "{\"type\": [\"string\", \"integer\"]}"},
    [VALUE_FIELD] = {"field", "\"NAME: VALUE\", or NAME alone", "{\"type\": \"string\", \"minLength\": 1}"},
    [VALUE_EXPECT] = {"expectation", "statuses (200, 200-399, [200, 204]), a text, or a role (writable, replica, any): as the type of check needs it",
        "{\"anyOf\": [{\"type\": [\"string\", \"integer\"]}, {\"type\": \"array\", \"minItems\": 1, \"items\": {\"type\": [\"string\", \"integer\"]}}]}"},
    [VALUE_TICKET_KEYS] = {"path", "the path of a file", "{\"type\": \"string\", \"minLength\": 1}"},
    [VALUE_CERTS] = {"certificates", "a file, a directory, or a list of these",
        "{\"anyOf\": [{\"type\": \"string\", \"minLength\": 1}, {\"type\": \"array\", \"minItems\": 1, \"items\": {\"type\": \"string\", \"minLength\": 1}}]}"},
    [VALUE_CLIENT_CERT] = {"certificate", "a PEM file with a certificate, its chain and its key", "{\"type\": \"string\", \"minLength\": 1}"},
    [VALUE_CHECK_CERT] = {"certificate", "a PEM file with a certificate, its chain and its key", "{\"type\": \"string\", \"minLength\": 1}"},
    [VALUE_PEM_FILE] = {"file", "a PEM file", "{\"type\": \"string\", \"minLength\": 1}"},
    [VALUE_SERVER_NAME] = {"name", "a host name or an IP address", "{\"type\": \"string\", \"minLength\": 1}"},
    [VALUE_INCLUDE] = {"files", "a path or pattern relative to this file, or a list of these",
        "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", \"items\": {\"type\": \"string\"}}]}"},
    [VALUE_FRONTENDS] = {"frontends", "a map of names to frontends",
        "{\"type\": \"object\", \"propertyNames\": {\"$ref\": \"#/$defs/name\"}, \"patternProperties\": {\"^x-\": true}, \"additionalProperties\": {\"$ref\": \"#/$defs/frontends\"}}"},
    [VALUE_BACKENDS] = {"backends", "a map of names to backends",
        "{\"type\": \"object\", \"propertyNames\": {\"$ref\": \"#/$defs/name\"}, \"patternProperties\": {\"^x-\": true}, \"additionalProperties\": {\"$ref\": \"#/$defs/backends\"}}"},
    [VALUE_PLANNED] = {"planned", "nothing yet", NULL},
};

static const struct row timeout_rows[] = {
    TIMEOUT_CONNECT, TIMEOUT_CLIENT, TIMEOUT_SERVER, TIMEOUT_REQUEST, TIMEOUT_KEEP_ALIVE,
    TIMEOUT_TUNNEL, TIMEOUT_CLIENT_FIN, TIMEOUT_SERVER_FIN, TIMEOUT_IDLE,
    TIMEOUT_QUEUE, TIMEOUT_CHECK, TIMEOUT_TLS_HANDSHAKE,
    {"shutdown", DURATION(struct root_timeouts, shutdown), .fallback = "30s", LIMITS(0, DAY_MS),
     SINCE, .example = "2m",
     .doc = "How long a graceful stop waits for requests in progress. Only at the top level."},
};
static const struct row timeout_default_rows[] = {
    TIMEOUT_CONNECT, TIMEOUT_CLIENT, TIMEOUT_SERVER, TIMEOUT_REQUEST, TIMEOUT_KEEP_ALIVE,
    TIMEOUT_TUNNEL, TIMEOUT_CLIENT_FIN, TIMEOUT_SERVER_FIN, TIMEOUT_IDLE, TIMEOUT_QUEUE,
    TIMEOUT_CHECK, TIMEOUT_TLS_HANDSHAKE,
};
static const struct row timeout_frontend_rows[] = {
    TIMEOUT_CLIENT, TIMEOUT_REQUEST, TIMEOUT_KEEP_ALIVE, TIMEOUT_TUNNEL, TIMEOUT_CLIENT_FIN,
    TIMEOUT_TLS_HANDSHAKE,
};
static const struct row timeout_backend_rows[] = {
    TIMEOUT_CONNECT, TIMEOUT_SERVER, TIMEOUT_TUNNEL, TIMEOUT_SERVER_FIN, TIMEOUT_IDLE,
    TIMEOUT_QUEUE, TIMEOUT_CHECK,
};

static const struct row limit_rows[] = {
    {"head", SIZE(struct http_limits, head_bytes), .fallback = "32KiB", LIMITS(1024, 1 << 20),
     .flags = INHERITED, SINCE, .example = "64KiB",
     .doc = "Request line and header fields together; also of a response head. Beyond it: 431."},
    {"fields", U32(struct http_limits, fields), .fallback = "100", LIMITS(8, 1024),
     .flags = INHERITED, SINCE, .example = "200", .doc = "Number of header fields. Beyond it: 431."},
    {"uri", SIZE(struct http_limits, uri_bytes), .fallback = "8KiB", LIMITS(64, 1 << 20),
     .flags = INHERITED, SINCE, .example = "16KiB", .doc = "Length of the target. Beyond it: 414."},
};

static const struct row header_op_rows[] = {
    {"set", .type = VALUE_FIELDS, SINCE, .example = "{X-Env: prod}",
     .doc = "Writes the field, replacing any of that name."},
    {"add", .type = VALUE_FIELDS, SINCE, .example = "{Via: evlb}",
     .doc = "Appends a field, leaving those of the same name."},
    {"remove", .type = VALUE_FIELD_NAMES, SINCE, .example = "[X-Debug]",
     .doc = "Removes all fields of that name."},
};
static const struct row header_rows[] = {
    {"request", OBJECT(object_header_ops, 0), SINCE, .example = "{set: {X-Env: prod}}",
     .doc = "On the way to the server."},
    {"response", OBJECT(object_header_ops, 0), SINCE, .example = "{remove: [Server]}",
     .doc = "On the way to the client. Answers of evlb's own (redirects, denials, errors) do not "
            "pass these rules."},
    {"set", .type = VALUE_FIELDS, SINCE, .example = "{X-Env: prod}",
     .doc = "Short for request.set."},
    {"add", .type = VALUE_FIELDS, SINCE, .example = "{Via: evlb}", .doc = "Short for request.add."},
    {"remove", .type = VALUE_FIELD_NAMES, SINCE, .example = "[X-Debug]",
     .doc = "Short for request.remove."},
};

// ---- the objects ----

static const struct row root_rows[] = {
    {"version", .type = VALUE_FIXED, .words = versions, .fallback = "1", SINCE, .example = "1",
     .doc = "The version of this format. May be left out."},
    {"include", .type = VALUE_INCLUDE, SINCE, .example = "[conf.d/*.yaml]",
     .doc = "Further files, read in sorted order. Their frontends and backends are added; a name "
            "that is given twice is an error."},
    {"frontends", .type = VALUE_FRONTENDS, .object = &object_frontend, SINCE,
     .example = "{web: {listen: 80, backend: app}}", .doc = "Where clients arrive, by name."},
    {"backends", .type = VALUE_BACKENDS, .object = &object_backend, SINCE,
     .example = "{app: [10.0.0.11:8080, 10.0.0.12:8080]}", .doc = "Where requests go, by name."},
    {"defaults", OBJECT(object_defaults, 0), .flags = ROW_SCRATCH, SINCE,
     .example = "{timeout: {server: 20s}}",
     .doc = "What frontends and backends use when they do not say otherwise."},
    {"timeout", OBJECT(object_timeouts, offsetof(struct root, timeout)), SINCE, .example = "{server: 20s, shutdown: 1m}",
     .doc = "Timeouts of all frontends and backends that do not say otherwise, and of the stop."},
    ROW_LIMITS(struct root, 0),
    ROW_ACME(struct root, 0),
    ROW_TRUSTED(struct root, 0),
    {"max-connections", U32(struct root, config.max_connections), .fallback = "auto",
     .zero_word = "auto", LIMITS(1, 10000000), SINCE, .example = "50000",
     .doc = "Client connections of all frontends together; more wait in the kernel. auto: from the "
            "limit of open files."},
    {"workers", U32(struct root, config.workers), .fallback = "auto", .zero_word = "auto",
     LIMITS(1, 256), .flags = ROW_RESTART, SINCE, .example = "4",
     .doc = "Processes that carry traffic. auto: one per core."},
    {"user", ACCOUNT(struct root, config.user), .flags = ROW_RESTART, SINCE, .example = "evlb",
     .doc = "The account that workers run as when evlb is started as root."},
    {"group", ACCOUNT(struct root, config.group), .flags = ROW_RESTART, SINCE, .example = "evlb",
     .doc = "The group that workers run as. Left out: the main group of user."},
    {"log", OBJECT(object_log, 0), SINCE, .example = "{level: info, access: true}",
     .doc = "What is logged, and where to."},
    {"admin", OBJECT(object_admin, 0), SINCE, .example = "{socket: /run/evlb/ctl.sock}",
     .doc = "The control socket."},
    {"dns", OBJECT(object_dns, offsetof(struct root, config.dns)), SINCE, .example = "{servers: [10.0.0.53]}",
     .doc = "How the names of servers are resolved."},
    {"tickets", OBJECT(object_tickets, offsetof(struct root, config.tickets)), SINCE, .example = "{rotate: 6h}",
     .doc = "The keys of TLS session tickets, by which clients resume sessions: one set for all frontends."},
    PLANNED("metrics", "Metrics over HTTP."),
    PLANNED("cluster", "Several balancers that stand in for each other."),
};

static const struct row frontend_rows[] = {
    {"listen", .type = VALUE_LISTENS, SLOT(struct frontend_draft, frontend.listens, struct listen *),
     COUNT(struct frontend_draft, frontend.n_listens), .object = &object_listen,
     .flags = ROW_REQUIRED, SINCE, .example = "[80, \"[::1]:8080\"]",
     .doc = "Where clients connect to. A bare port is all addresses, IPv4 and IPv6."},
    ROW_MODE(struct frontend_draft, frontend.mode, "http", ROW_DEFAULTS),
    {"backend", .type = VALUE_BACKEND_NAME,
     SLOT(struct frontend_draft, shortcut.backend_name, struct str), SINCE, .example = "app",
     .doc = "Where everything goes that no route has taken."},
    {"redirect", .type = VALUE_REDIRECT, SLOT(struct frontend_draft, shortcut.route.redirect, struct str),
     .flags = ROW_HTTP, SINCE, .example = "https",
     .doc = "https: everything that did not come over TLS is sent to the same address over TLS, "
            "before any route; it may stand beside a backend. https:8443 when clients find TLS on "
            "another port than 443. Any other: everything that no route "
            "has taken is sent there, instead of to a backend."},
    {"routes", .type = VALUE_ROUTES, SLOT(struct frontend_draft, frontend.routes, const struct route *),
     COUNT(struct frontend_draft, frontend.n_routes), .object = &object_route,
     SINCE, .example = "[{path: /api/, backend: api}, {backend: app}]",
     .doc = "Where requests go, by host and path: the first route that matches wins. A request that "
            "no route matches gets 404. In mode tcp: where connections go, by what their TLS clients "
            "ask for (`host`, `alpn`); one that no route matches is closed."},
    {"max-connections", U32(struct frontend_draft, frontend.max_connections), .fallback = "unlimited",
     .zero_word = "unlimited", LIMITS(1, 10000000), SINCE, .example = "20000",
     .doc = "Client connections at a time; more wait in the kernel."},
    ROW_TRUSTED(struct frontend, INHERITED),
    {"accept-proxy", BOOL(struct frontend_draft, accept_proxy), .fallback = "false", SINCE,
     .example = "true",
     .doc = "Every connection must begin with a PROXY protocol header and come from one of "
            "trusted-proxies."},
    {"timeout", OBJECT(object_timeouts_frontend, offsetof(struct frontend, timeout)),
     .flags = INHERITED, SINCE, .example = "{client: 1m}",
     .doc = "How long clients may take."},
    ROW_LIMITS(struct frontend, INHERITED),
    ROW_ACME(struct frontend, INHERITED),
    ROW_HEADERS(struct frontend),
    ROW_TLS(struct frontend_draft, frontend.tls),
    {"hsts", OBJECT(object_hsts, offsetof(struct frontend_draft, frontend.hsts)),
     .flags = ROW_ABSENT | ROW_HTTP, SINCE, .example = "1y",
     .doc = "Tells browsers to speak nothing but TLS with this host for so long "
            "(Strict-Transport-Security). A duration in place of the map is its `max-age`."},
    PLANNED("http2", "HTTP/2 with clients."),
    {"limit", OBJECT(object_frontend_limit, 0), SINCE, .example = "{handshakes: 1000}",
     .doc = "How much is taken on at a time."},
};

static const struct row frontend_limit_rows[] = {
    {"handshakes", U32(struct frontend_draft, frontend.max_handshakes), .fallback = "4000",
     .zero_word = "unlimited", LIMITS(1, 1000000), SINCE, .example = "1000",
     .doc = "TLS handshakes in progress, of each address in each worker. Further clients wait behind "
            "their ClientHello until one is over; timeout.tls-handshake goes on. Each of them takes "
            "about 40 kB. A core begins about as many per second, so no honest load reaches the "
            "default."},
    PLANNED("connections", "Connections per client."),
    PLANNED("rate", "Requests per client."),
};

static const struct row listen_rows[] = {
    {"address", .type = VALUE_LISTEN_ADDRESS, SLOT(struct listen_draft, listen.addr, struct addr),
     SINCE, .example = "80", .flags = ROW_REQUIRED, .doc = "The address to listen on."},
    {"accept-proxy", BOOL(struct listen_draft, listen.accept_proxy), .fallback = "false", SINCE,
     .example = "true", .doc = "As on the frontend, for this address alone."},
    ROW_TLS(struct listen_draft, listen.tls),
};

static const struct row tls_rows[] = {
    {"certs", .type = VALUE_CERTS, SLOT(struct tls, certs, struct certificate *),
     COUNT(struct tls, n_certs), .flags = ROW_REQUIRED, SINCE, .example = "[/etc/evlb/site.pem, certs/]",
     .doc = "PEM files with a certificate, its chain and its key, or directories of such files "
            "(*.pem, *.crt). A key may stand in a file of its own beside it: site.key beside "
            "site.pem or site.crt, privkey.pem beside fullchain.pem. Which one a client gets follows "
            "from the name it asks for (SNI) and from the keys it knows (ECDSA, RSA); for a name "
            "that none has, as for the first name of the first one. Paths are relative to this file."},
    {"profile", ENUM(struct tls, profile, tls_profile, tls_profile_words), .fallback = "intermediate",
     SINCE, .example = "modern",
     .doc = "Mozilla's recommendations: intermediate for all clients of the last years, modern for "
            "TLS 1.3 alone."},
    {"min", ENUM(struct tls, min, tls_min, tls_min_words), .fallback = "1.2", SINCE,
     .example = "1.3", .doc = "The lowest version of TLS. With profile: modern it is 1.3, and nothing else is allowed."},
    {"strict-sni", BOOL(struct tls, strict_sni), .fallback = "false", SINCE, .example = "true",
     .doc = "Refuses clients that ask for a name of no certificate, or for none, instead of "
            "showing them the default."},
    {"watch", BOOL(struct tls, watch), .fallback = "false", SINCE, .example = "true",
     .doc = "Certificates, authorities and revocation lists are read again when their files change, as "
            "`evlb ctl certs reload` does: all of them, where one `tls` says it."},
    {"ciphers", .type = VALUE_LINE, SLOT(struct tls, ciphers, struct str), SINCE,
     .example = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
     .doc = "A list of OpenSSL's names in place of the profile's. Those of TLS 1.3 begin with TLS_. "
            "@SECLEVEL=0 in it lets certificates in that OpenSSL finds too weak."},
    {"groups", .type = VALUE_LINE, SLOT(struct tls, groups, struct str), SINCE,
     .example = "X25519:P-256", .doc = "The groups of key exchange, in place of the profile's."},
    {"client-ca", .type = VALUE_PEM_FILE, SLOT(struct tls, client_ca, struct pem_file), SINCE,
     .example = "/etc/evlb/clients-ca.pem",
     .doc = "Clients show a certificate, signed by one of the authorities in this PEM file (or by "
            "one that these have signed)."},
    {"client-verify", ENUM(struct tls, client_verify, client_verify, client_verify_words),
     .fallback = "required", .needs = "client-ca", SINCE, .example = "optional",
     .doc = "required: who shows no certificate is refused. optional: gets in without; one that is "
            "not valid is refused all the same. Belongs to client-ca."},
    {"client-crl", .type = VALUE_PEM_FILE, SLOT(struct tls, client_crl, struct pem_file),
     .needs = "client-ca", SINCE, .example = "/etc/evlb/clients.crl",
     .doc = "Revocation lists in PEM format. The one of who signed the client's certificate must be "
            "there and in force, or the client is refused. Belongs to client-ca."},
};

static const struct row hsts_rows[] = {
    {"max-age", DURATION(struct hsts, max_age_s), .flags = ROW_SECONDS | ROW_SAID_IN_SECONDS, .fallback = "1y",
     LIMITS(0, 10 * 365 * (uint64_t)DAY_MS), SINCE, .example = "1y",
     .doc = "For how long, from each answer on. 0 makes browsers forget it."},
    {"subdomains", BOOL(struct hsts, subdomains), .fallback = "false", SINCE, .example = "true",
     .doc = "Also for all names below the host."},
    {"preload", BOOL(struct hsts, preload), .fallback = "false", SINCE, .example = "true",
     .doc = "The host may be put on the lists that browsers come with. That is hard to undo."},
};

static const struct row acme_rows[] = {
    {"webroot", .type = VALUE_DIRECTORY, SLOT(struct acme, webroot, struct str), .flags = INHERITED,
     SINCE, .example = "/var/lib/evlb/acme",
     .doc = "Where the ACME client puts the answers, in .well-known/acme-challenge/ below it (certbot's "
            "--webroot-path, for one). They are read at each challenge; what is not there goes to the "
            "routes like any other request."},
};

static const struct row route_rows[] = {
    {"host", .type = VALUE_HOSTS, SLOT(struct route_draft, route.hosts, const struct host_pattern *),
     COUNT(struct route_draft, route.n_hosts), SINCE, .example = "[shop.example.com, \"*.shop.example.com\"]",
     .doc = "Matches requests for these hosts, whatever the port. In mode tcp, and with tls: "
            "passthrough: TLS clients that ask for these names (SNI)."},
    {"path", .type = VALUE_PATHS, SLOT(struct route_draft, route.paths, const struct str *),
     COUNT(struct route_draft, route.n_paths), SINCE, .example = "/api/",
     .doc = "Matches this path and all below it: /api matches /api and /api/x, not /apix; "
            "/api/ does not match /api itself. Spellings of it match, too: //api, /x/../api, /%61pi, "
            "/api;x=1. What servers read differently (/x/..;/api) is answered with 400.",
     .flags = ROW_HTTP},
    {"alpn", .type = VALUE_ALPN, SLOT(struct route_draft, route.alpns, const struct str *),
     COUNT(struct route_draft, route.n_alpns), SINCE, .example = "[h2, http/1.1]",
     .doc = "Matches TLS clients that offer one of these protocols; where TLS ends here, connections "
            "on which it was agreed on."},
    {"tls", ENUM(struct route_draft, route.tls, route_tls, route_tls_words), .fallback = "terminate",
     SINCE, .example = "passthrough",
     .doc = "passthrough: TLS is not ended here. The connection goes to the backend as it comes, which is "
            "then one of mode tcp; this is decided by `host` (SNI) and `alpn` alone, before there is a "
            "request. Needs `tls` on the frontend; without it mode tcp passes on everything as it comes."},
    {"sni", .type = VALUE_HOSTS, SLOT(struct route_draft, route.over.snis, const struct host_pattern *),
     COUNT(struct route_draft, route.over.n_snis), SINCE, .example = "\"*.example.com\"",
     .doc = "Matches connections whose TLS ends here and whose client asked for this name; `host` is the "
            "one of the request."},
    {"client-cert", ENUM(struct route_draft, route.over.cert, route_cert, route_cert_words),
     .fallback = "any", SINCE, .example = "verified",
     .doc = "verified: clients that have shown a certificate (client-ca of `tls`). none: those that have "
            "not, with or without TLS."},
    {"client-subject", .type = VALUE_LINE, SLOT(struct route_draft, route.over.subject, struct str), SINCE,
     .example = "\"CN=ops,O=Example\"",
     .doc = "Matches clients by whom their certificate is for, as in X-Client-Cert-Subject (RFC 2253): "
            "the whole of it. A * at the begin or at the end stands for anything: \"CN=ops,*\" has something "
            "behind CN=ops, and does not match CN=ops alone."},
    {"tls-version", ENUM(struct route_draft, route.over.version, route_version, route_version_words),
     .fallback = "any", SINCE, .example = "1.2", .doc = "Matches connections with this version of TLS."},
    {"tls-cipher", .type = VALUE_LINE, SLOT(struct route_draft, route.over.cipher, struct str), SINCE,
     .example = "TLS_AES_128_GCM_SHA256", .doc = "Matches connections with this cipher (OpenSSL's name)."},
    {"tls-resumed", ENUM(struct route_draft, route.over.resumed, route_resumed, route_resumed_words),
     .fallback = "any", SINCE, .example = "true",
     .doc = "Whether the TLS connection went on with an earlier session."},
    {"backend", .type = VALUE_BACKEND_NAME, SLOT(struct route_draft, backend_name, struct str),
     SINCE, .example = "app", .doc = "Sends the request there."},
    {"redirect", .type = VALUE_REDIRECT, SLOT(struct route_draft, route.redirect, struct str), SINCE,
     .example = "https://www.example.com/new/",
     .doc = "Answers with a redirect: https (same URL over TLS; takes only what did not come over "
            "TLS), https:PORT (the same on another port than 443), a URL or a path. One that ends in / gets what follows the matched path appended.", .flags = ROW_HTTP},
    {"status", U16(struct route_draft, route.status), .fallback = "302", LIMITS(301, 308), SINCE,
     .example = "301", .doc = "Of the redirect: 301, 302, 303, 307 or 308. With redirect: https the "
     "default is " REDIRECT_HTTPS_STATUS ".", .flags = ROW_HTTP},
    {"deny", U16(struct route_draft, deny), LIMITS(400, 599), SINCE, .example = "403",
     .doc = "Refuses the request with this status. In mode tcp the connection is closed."},
    PLANNED("split", "Shares of the requests for several backends."),
    PLANNED("header", "Matches requests with this header field."),
    PLANNED("client", "Matches clients by address."),
    PLANNED("method", "Matches requests by method."),
    PLANNED("query", "Matches requests by query parameter."),
    PLANNED("unless", "Conditions that must not match."),
    PLANNED("stick", "Keeps a client on its choice."),
    PLANNED("limit", "Requests per client."),
};

static const struct row log_rows[] = {
    {"level", ENUM(struct root, config.log_level, log_level, log_level_words), .fallback = "info", SINCE,
     .example = "debug", .doc = "The least important events that are still logged."},
    {"access", .type = VALUE_ACCESS_LOG, SLOT(struct root, config.access_log, bool),
     .object = &object_access, .fallback = "false", SINCE, .example = "/var/log/evlb/access.log",
     .doc = "A line for every request or connection: true to standard error, or to a file."},
};
static const struct row access_rows[] = {
    {"to", .type = VALUE_TEXT, .fallback = "stderr", SINCE, .example = "/var/log/evlb/access.log",
     .doc = "stderr, or the path of a file."},
    PLANNED("format", "json, haproxy or combined."),
    PLANNED("skip", "Requests that are not logged."),
    PLANNED("sample", "A share of the requests."),
    PLANNED("redact", "Parts that are not logged."),
};
static const struct row admin_rows[] = {
    {"socket", PATH(struct root, config.admin_socket), .flags = ROW_RESTART, SINCE,
     .example = "/run/evlb/ctl.sock",
     .doc = "The unix socket of `evlb ctl`. Left out: /run/evlb/ctl.sock for root, "
            "$XDG_RUNTIME_DIR/evlb/ctl.sock otherwise."},
    PLANNED("listen", "The control interface over TCP."),
    PLANNED("users", "Who may write over TCP."),
    PLANNED("token", "A token that may write over TCP."),
};
static const struct row ticket_rows[] = {
    {"rotate", DURATION(struct tickets, rotate_ms), .fallback = "12h", LIMITS(1000, 7 * DAY_MS),
     .flags = ROW_SAID_IN_SECONDS, SINCE,
     .example = "6h", .doc = "How long a key is in use; tickets of the two keys before it are still taken. "
            "Without meaning where the keys come from a file."},
    {"keys", .type = VALUE_TICKET_KEYS, SLOT(struct tickets, keys_file, struct str), SINCE,
     .example = "/run/evlb/tickets.keys",
     .doc = "A file with keys that several balancers share, in the format of HAProxy's tls-ticket-keys: 80 "
            "bytes in base64 per line. The last three are taken; the last but one is in use, so that a new "
            "one can be added everywhere before any balancer uses it. Left out: evlb makes its own. A path "
            "is relative to this file."},
};
static const struct row dns_rows[] = {
    {"servers", .type = VALUE_DNS_SERVERS, SLOT(struct dns, servers, const struct addr *),
     COUNT(struct dns, n_servers), SINCE, .example = "[10.0.0.53, \"[::1]:5353\"]",
     .doc = "Name servers, port 53 unless said. Left out: those of /etc/resolv.conf."},
    {"min-ttl", DURATION(struct dns, min_ttl_ms), .fallback = "1s", LIMITS(100, DAY_MS),
     .flags = ROW_SAID_IN_SECONDS, SINCE,
     .example = "5s", .doc = "An answer is used at least for so long, whatever it says of itself."},
    {"max-ttl", DURATION(struct dns, max_ttl_ms), .fallback = "5m", LIMITS(100, DAY_MS),
     .flags = ROW_SAID_IN_SECONDS, SINCE,
     .example = "1m", .doc = "A name is asked for again at least so often."},
    {"timeout", DURATION(struct dns, timeout_ms), .fallback = "2s", LIMITS(10, 60000), SINCE,
     .example = "1s", .doc = "How long a name server may take. The last answer is used meanwhile."},
};

const struct object object_root = {"", "the top level", "root", ROWS(root_rows), .size = sizeof(struct root),
    .doc = "A file that has `listen` or `servers` at its top level is the short form for one frontend "
           "and one backend, both named `default`: then all keys of a frontend and of a backend may "
           "stand there too."};
const struct object object_frontend = {"frontends.*", "a frontend", "frontends", ROWS(frontend_rows), .size = sizeof(struct frontend_draft),
    .doc = "Where clients arrive."};
const struct object object_route = {"frontends.*.routes.*", "a route", "route", ROWS(route_rows), .size = sizeof(struct route_draft),
    .doc = "Conditions (`host`, `path`, `alpn`; all that are given must match) and one of `backend`, `redirect`, `deny`."};
const struct object object_listen = {"frontends.*.listen.*", "'listen'", "listen", ROWS(listen_rows), .size = sizeof(struct listen_draft),
    .short_key = "address", .doc = "An address in place of the map is its `address`."};
const struct object object_tls = {"frontends.*.tls", "'tls' of a frontend", "tls", ROWS(tls_rows), .size = sizeof(struct tls),
    .short_key = "certs", .doc = "Of a frontend: all its addresses; in the long form of `listen`: that address alone."};
const struct object object_hsts = {"frontends.*.hsts", "'hsts'", "hsts", ROWS(hsts_rows), .size = sizeof(struct hsts),
    .short_key = "max-age",
    .doc = "Goes with every answer over TLS but those of servers that say it themselves, and with none "
           "in plain text."};
const struct object object_frontend_limit = {"frontends.*.limit", "'limit'", "frontend_limit", ROWS(frontend_limit_rows),
    .size = sizeof(struct frontend_draft), .doc = "Of a frontend."};
const struct object object_acme = {"acme", "'acme'", "acme", ROWS(acme_rows), .size = sizeof(struct acme),
    .short_key = "webroot", .doc = "At the top level, in `defaults` or in a frontend."};
const struct object object_headers = {"headers", "'headers'", "headers", ROWS(header_rows), .size = sizeof(struct header_ops),
    .doc = "Of a frontend or a backend. Values may not hold line breaks. Fields that frame the message "
           "(Content-Length, Transfer-Encoding, Connection, ...) belong to evlb."};
const struct object object_header_ops = {"headers.*", "'headers'", "header_ops", ROWS(header_op_rows), .size = sizeof(struct header_ops),
    .doc = "Under `headers.request` and `headers.response`."};
const struct object object_log = {"log", "'log'", "log", ROWS(log_rows), .size = sizeof(struct root),
    .short_key = "level", .doc = "A word in place of the map is its `level`."};
const struct object object_access = {"log.access", "'access'", "log_access", ROWS(access_rows), .size = sizeof(struct root),
    .doc = "The long form of the access log."};
const struct object object_admin = {"admin", "'admin'", "admin", ROWS(admin_rows), .size = sizeof(struct root),
    .doc = "The control socket."};
const struct object object_dns = {"dns", "'dns'", "dns", ROWS(dns_rows), .size = sizeof(struct dns),
    .doc = "How the names of servers are resolved."};
const struct object object_tickets = {"tickets", "'tickets'", "tickets", ROWS(ticket_rows), .size = sizeof(struct tickets),
    .doc = "Session tickets of TLS."};
const struct object object_limits = {"limits", "'limits'", "limits", ROWS(limit_rows), .size = sizeof(struct http_limits),
    .doc = "At the top level, in `defaults` or in a frontend."};
const struct object object_timeouts = {"timeout", "'timeout'", "timeout", ROWS(timeout_rows), .size = sizeof(struct root_timeouts),
    .doc = "At the top level: for all frontends and backends."};
const struct object object_timeouts_defaults = {"defaults.timeout", "'timeout' in defaults", "defaults_timeout", ROWS(timeout_default_rows),
    .size = sizeof(struct timeouts), .doc = "The same for all frontends and backends."};
const struct object object_timeouts_frontend = {"frontends.*.timeout", "'timeout' of a frontend", "frontend_timeout", ROWS(timeout_frontend_rows),
    .size = sizeof(struct timeouts), .doc = "The client side."};
const struct object object_timeouts_backend = {"backends.*.timeout", "'timeout' of a backend", "backend_timeout", ROWS(timeout_backend_rows),
    .size = sizeof(struct timeouts), .doc = "The server side."};

const struct object *const schema_objects[] = {
    &object_root, &object_timeouts, &object_limits, &object_defaults, &object_timeouts_defaults,
    &object_frontend, &object_listen, &object_tls, &object_hsts, &object_acme, &object_frontend_limit,
    &object_route, &object_timeouts_frontend, &object_backend,
    &object_server, &object_server_defaults, &object_server_tls, &object_hash, &object_health,
    &object_passive, &object_timeouts_backend, &object_headers, &object_header_ops, &object_log,
    &object_access, &object_admin, &object_dns, &object_tickets, NULL,
};
// clang-format on

const struct row *schema_row(const struct object *o, struct str key)
{
    for (size_t i = 0; i < o->n_rows; i++) {
        if (str_eq(str_of(o->rows[i].key), key))
            return &o->rows[i];
    }
    return NULL;
}

void schema_path(const struct object *o, const struct row *row, char *out, size_t size)
{
    snprintf(out, size, "%s%s%s", o->path, o->path[0] != '\0' ? "." : "", row->key);
}

static uint32_t count_segments(struct str s)
{
    uint32_t n = 0;
    for (struct str rest = s; rest.p != NULL; n++)
        (void)str_cut(&rest, '.');
    return n;
}

bool schema_path_is(const char *path, struct str asked)
{
    struct str mine = str_of(path);
    uint32_t have = count_segments(mine), want = count_segments(asked);
    if (want > have || asked.len == 0)
        return false;
    for (; have > want; have--)
        (void)str_cut(&mine, '.');
    while (mine.p != NULL) {
        struct str a = str_cut(&mine, '.'), b = str_cut(&asked, '.');
        if (!str_eq(a, b) && (!str_eq(a, STR("*")) || b.len == 0))
            return false;
    }
    return true;
}
