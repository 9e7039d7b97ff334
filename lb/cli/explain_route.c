// SPDX-License-Identifier: MIT
// `evlb explain route URL`: which frontend a request arrives at, which of its routes takes it and
// which servers may serve it, by the same functions that the data path uses (core/route.h,
// proto/uri.h), without sending anything. Looks at the file, not at a running evlb: what a server's
// health says now is in `evlb ctl status`.
#include "cli/explain.h"

#include <stdarg.h>

#include "cli/json_out.h"
#include "cli/source.h"
#include "conf/words.h"
#include "core/route.h"
#include "proto/acme.h"
#include "proto/http.h"
#include "proto/uri.h"

#define HOST_BYTES 256
#define LOCATION_BYTES 4096
#define ALPNS_MAX 8

// One request and what becomes of it.
struct verdict {
    const struct cli *cli;
    const struct config *config;
    struct arena *arena;
    struct explained_url url;
    const struct frontend *frontend;
    uint32_t frontends_matching; // by name or port; 0: taken because there is only one
    struct str sni;              // what a TLS client asks for; empty: no TLS, or no name
    struct str alpn[ALPNS_MAX];  // and offers
    uint32_t n_alpn;
    struct str host, path;     // in normal form
    const struct route *route; // NULL: none matches
    bool misdirected;          // the host is one whose TLS does not end here
};

PRINTF_LIKE(1, 2)
static int complain(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "evlb: ");
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    va_end(args);
    return EXIT_FAILED;
}

// ---- the frontend -------------------------------------------------------------------------------

static uint16_t listen_port(const struct listen *l)
{
    return l->addr.sa.sa_family == AF_UNIX ? 0 : ip_port(&l->addr.ip);
}

// NULL: not there.
static const struct listen *listen_on(const struct frontend *f, uint16_t port)
{
    for (uint32_t i = 0; i < f->n_listens && port != 0; i++) {
        if (listen_port(&f->listens[i]) == port)
            return &f->listens[i];
    }
    return NULL;
}

// Where it arrives: TLS ends there.
static bool tls_ends_here(const struct verdict *v)
{
    const struct listen *l = listen_on(v->frontend, v->url.port);
    return (l != NULL ? l : &v->frontend->listens[0])->tls.n_certs > 0;
}

// As the URL says, else as the port is.
static bool comes_over_tls(const struct verdict *v)
{
    if (v->url.scheme.len > 0 && !str_eq(v->url.scheme, STR("tcp")))
        return !str_eq(v->url.scheme, STR("http"));
    return tls_ends_here(v);
}

static const char *listens_text(struct arena *a, const struct frontend *f)
{
    const char *text = "";
    for (uint32_t i = 0; i < f->n_listens; i++) {
        char address[ADDR_TEXT];
        (void)addr_format(&f->listens[i].addr, address);
        text = arena_printf(a, "%s%s%s", text, i > 0 ? ", " : "", address);
    }
    return text;
}

static int no_frontend(const struct verdict *v)
{
    fprintf(stderr, "evlb: no frontend listens on port %u; there are:\n", v->url.port);
    for (uint32_t i = 0; i < v->config->n_frontends; i++) {
        const struct frontend *f = &v->config->frontends[i];
        fprintf(stderr, "  %.*s (%s)\n", STR_FMT(f->name), listens_text(v->arena, f));
    }
    fprintf(stderr, "Give the port in the URL, or --frontend NAME.\n");
    return EXIT_FAILED;
}

// By name, else by port; a URL without a port fits when there is only one frontend.
static int find_frontend(struct verdict *v)
{
    const char *name = v->cli->value[FLAG_FRONTEND];
    if (name != NULL) {
        v->frontend = map_get(&v->config->frontend_by_name, str_of(name));
        v->frontends_matching = 1;
        return v->frontend != NULL ? EXIT_OK : complain("no frontend is named '%s'", name);
    }
    for (uint32_t i = 0; i < v->config->n_frontends; i++) {
        const struct frontend *f = &v->config->frontends[i];
        if (listen_on(f, v->url.port) == NULL)
            continue;
        if (v->frontends_matching++ == 0)
            v->frontend = f;
    }
    if (v->frontend == NULL && !v->url.explicit_port && v->config->n_frontends == 1)
        v->frontend = &v->config->frontends[0];
    return v->frontend != NULL ? EXIT_OK : no_frontend(v);
}

// ---- the request --------------------------------------------------------------------------------

// The value of the last -H of that name, or an empty text.
static struct str header_given(const struct verdict *v, const char *name)
{
    for (uint32_t i = v->cli->n_headers; i > 0; i--) {
        struct str value = str_of(v->cli->headers[i - 1]);
        struct str field = str_cut(&value, ':');
        if (value.p != NULL && str_caseeq(str_trim(field), str_of(name)))
            return str_trim(value);
    }
    return STR_NONE;
}

static int check_headers(const struct verdict *v)
{
    for (uint32_t i = 0; i < v->cli->n_headers; i++) {
        if (strchr(v->cli->headers[i], ':') == NULL)
            return complain("a header is 'NAME: VALUE', not '%s'", v->cli->headers[i]);
    }
    return EXIT_OK;
}

static int normal_host(const struct verdict *v, struct str host, struct str *out)
{
    char *buffer = arena_alloc(v->arena, HOST_BYTES);
    size_t len = 0;
    if (host.len > 0 && !uri_host(host, buffer, HOST_BYTES, &len))
        return complain("'%s' is no host: evlb would answer 400", arena_strdup(v->arena, host));
    *out = (struct str){buffer, len};
    return EXIT_OK;
}

// What a client of this URL says in its ClientHello: no address is a name.
static int read_hello(struct verdict *v)
{
    struct addr a;
    struct str rest = str_of(v->cli->value[FLAG_ALPN]);
    while (rest.len > 0 && v->n_alpn < ALPNS_MAX)
        v->alpn[v->n_alpn++] = str_trim(str_cut(&rest, ','));
    int status = normal_host(v, v->url.authority, &v->sni);
    if (status == EXIT_OK && v->sni.len > 0 && addr_parse_ip(v->sni, 0, &a))
        v->sni = STR_NONE;
    return status;
}

// Host and path as the data path sees them.
static int normalise(struct verdict *v)
{
    size_t len = 0;
    char *buffer;
    struct str host = header_given(v, "Host");
    int status = normal_host(v, host.p != NULL ? host : v->url.authority, &v->host);
    if (status != EXIT_OK)
        return status;
    struct str target = v->url.target;
    buffer = arena_alloc(v->arena, target.len + 1);
    if (!uri_normalise(target, buffer, target.len + 1, &len))
        return complain("'%s' is no path: evlb would answer 400", arena_strdup(v->arena, target));
    v->path = (struct str){buffer, len};
    return EXIT_OK;
}

// What routes look at. With trusted-proxies the headers given count as from one of these.
static struct route_facts request_facts(const struct verdict *v)
{
    struct route_facts facts = {.host = v->host,
                                .path = v->path,
                                .alpn = v->alpn,
                                .n_alpn = v->n_alpn,
                                .tls = comes_over_tls(v)};
    if (facts.tls)
        facts.over =
            (struct route_tls_facts){.version = ROUTE_TLS_1_3, .sni = v->host}; // print_assumed()
    struct str proto = STR_NONE;
    if (v->frontend->n_trusted > 0)
        proto = header_given(v, "X-Forwarded-Proto");
    facts.secure = proto.p != NULL ? http_proto_is_secure(proto) : facts.tls;
    return facts;
}

// In mode tcp the name in the URL is what the client asks for, unless the URL says that it speaks
// no TLS.
static bool is_by_name(const struct verdict *v)
{
    return v->frontend->mode == MODE_TCP && !str_eq(v->url.scheme, STR("http"));
}

// The route that takes the connection of a client that asks for this host; NULL: no TLS, or none.
static const struct route *hello_route(const struct verdict *v, struct str host)
{
    const struct route_facts facts = {
        .host = host, .alpn = v->alpn, .n_alpn = v->n_alpn, .tls = tls_ends_here(v)};
    return comes_over_tls(v) || v->frontend->mode == MODE_TCP ? route_of_hello(v->frontend, &facts)
                                                              : NULL;
}

static int decide(struct verdict *v)
{
    int status = check_headers(v);
    if (status == EXIT_OK)
        status = find_frontend(v);
    if (status != EXIT_OK)
        return status;
    status = comes_over_tls(v) || is_by_name(v) ? read_hello(v) : EXIT_OK;
    if (status == EXIT_OK && v->frontend->mode == MODE_HTTP)
        status = normalise(v);
    if (status != EXIT_OK)
        return status;
    const struct route *r = hello_route(v, v->sni);
    if (r != NULL && (v->frontend->mode == MODE_TCP || r->tls == ROUTE_PASSTHROUGH)) {
        v->route = r;
    } else if (v->frontend->mode == MODE_HTTP) {
        const struct route_facts facts = request_facts(v);
        r = hello_route(v, v->host);
        v->misdirected = r != NULL && r->tls == ROUTE_PASSTHROUGH;
        v->route = v->misdirected ? NULL : route_find(v->frontend, &facts);
    }
    return EXIT_OK;
}

static const char *location(const struct verdict *v)
{
    char *out = arena_alloc(v->arena, LOCATION_BYTES);
    size_t len = route_location(v->route, v->host, v->url.target, out, LOCATION_BYTES - 1);
    return len > 0 ? out : "nowhere: the request names no host";
}

// ---- as text ------------------------------------------------------------------------------------

static const char *add_condition(const struct verdict *v, const char *text, const char *key,
                                 const struct str *values, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const char *before = i > 0 ? ", " : text[0] != '\0' ? "; " : "";
        text = arena_printf(v->arena, "%s%s%s%s%.*s", text, before, i == 0 ? key : "",
                            i == 0 ? " " : "", STR_FMT(values[i]));
    }
    return text;
}

static const char *tls_conditions(const struct verdict *v, const char *text)
{
    const struct tls_conditions *c = &v->route->over;
    const struct str cert = str_of(route_cert_words[c->cert]);
    const struct str version = str_of(route_version_words[c->version]);
    const struct str resumed = str_of(route_resumed_words[c->resumed]);
    for (uint32_t i = 0; i < c->n_snis; i++)
        text = arena_printf(v->arena, "%s%s%s%s%.*s", text,
                            i > 0             ? ", "
                            : text[0] != '\0' ? "; "
                                              : "",
                            i > 0 ? "" : "sni ", c->snis[i].wildcard ? "*" : "",
                            STR_FMT(c->snis[i].name));
    text = add_condition(v, text, "client-cert", &cert, c->cert != ROUTE_CERT_ANY);
    text = add_condition(v, text, "client-subject", &c->subject, c->subject.len > 0);
    text = add_condition(v, text, "tls-version", &version, c->version != ROUTE_TLS_ANY);
    text = add_condition(v, text, "tls-cipher", &c->cipher, c->cipher.len > 0);
    return add_condition(v, text, "tls-resumed", &resumed, c->resumed != ROUTE_RESUMED_ANY);
}

static const char *conditions(const struct verdict *v)
{
    const struct route *r = v->route;
    const char *text = "";
    for (uint32_t i = 0; i < r->n_hosts; i++)
        text = arena_printf(v->arena, "%s%s%s%.*s", text, i == 0 ? "host " : ", ",
                            r->hosts[i].wildcard ? "*" : "", STR_FMT(r->hosts[i].name));
    text = add_condition(v, text, "path", r->paths, r->n_paths);
    text = add_condition(v, text, "alpn", r->alpns, r->n_alpns);
    text = tls_conditions(v, text);
    return arena_printf(v->arena, "%s%s%s", text[0] != '\0' ? text : "everything",
                        route_is_to_https(r) ? " that is not over TLS" : "",
                        r->tls == ROUTE_PASSTHROUGH ? "; TLS is passed through" : "");
}

static const char *hash_key(const struct verdict *v, const struct backend *b)
{
    struct str name = b->hash_name;
    const char *field = arena_strdup(v->arena, name);
    struct str given = header_given(v, field);
    switch (b->hash_on) {
    case HASH_CLIENT:
        return " on the client's address";
    case HASH_PATH:
        return " on the path";
    case HASH_URI:
        return " on the path with its query";
    case HASH_COOKIE:
        return arena_printf(v->arena, " on the cookie %s", field);
    case HASH_HEADER:
        if (given.p == NULL)
            return arena_printf(v->arena, " on the header %s, which this request lacks", field);
        return arena_printf(v->arena, " on the header %s: '%.*s'", field, STR_FMT(given));
    }
    return "";
}

static void print_backend(const struct verdict *v, const struct backend *b)
{
    printf("backend   %.*s (%s): %s%s\n", STR_FMT(b->name), cli_mark(v->arena, b->mark),
           balance_words[b->balance], b->balance == BALANCE_HASH ? hash_key(v, b) : "");
    for (uint32_t i = 0; i < b->n_servers; i++) {
        const struct server *s = &b->servers[i];
        if (s->place > 0)
            continue;
        struct str name = server_base_name(s);
        const char *tier = s->tier > 1 ? arena_printf(v->arena, ", tier %u", s->tier) : "";
        printf("%-9s %.*s %s, weight %u%s%s\n", i == 0 ? "servers" : "", STR_FMT(name),
               server_address_text(v->arena, s), s->weight, tier,
               s->weight == 0 ? ": gets nothing new" : "");
    }
}

static void print_no_route(const struct verdict *v)
{
    if (v->misdirected)
        printf("route     none: TLS of this host is passed through; answered with 421\n");
    else
        printf("route     none of %u matches: %s\n", v->frontend->n_routes,
               v->frontend->mode == MODE_TCP ? "the connection is closed" : "answered with 404");
}

// The file that answers before all routes when it is there; NULL: none could.
static const char *challenge_file(const struct verdict *v)
{
    struct str root = v->frontend->acme.webroot, token = acme_token(v->url.target);
    if (v->frontend->mode == MODE_TCP || root.len == 0 || token.len == 0)
        return NULL;
    return arena_printf(v->arena, "%.*s" ACME_PATH "%.*s", STR_FMT(root), STR_FMT(token));
}

static void print_route(const struct verdict *v)
{
    const struct route *r = v->route;
    const char *file = challenge_file(v);
    if (file != NULL)
        printf("acme      %s, if it is there; else:\n", file);
    if (r == NULL) {
        print_no_route(v);
        return;
    }
    printf("route     %u of %u (%s): %s\n", (uint32_t)(r - v->frontend->routes) + 1,
           v->frontend->n_routes, cli_mark(v->arena, r->mark), conditions(v));
    if (r->action == ROUTE_REDIRECT)
        printf("answer    %u to %s\n", r->status, location(v));
    else if (r->action == ROUTE_DENY && v->frontend->mode == MODE_TCP)
        printf("answer    none: denied, the connection is closed\n");
    else if (r->action == ROUTE_DENY)
        printf("answer    %u: denied\n", r->status);
    else
        print_backend(v, r->backend);
}

// A client would not get as far as to a route.
static void print_mismatch(const struct verdict *v)
{
    const struct listen *l = listen_on(v->frontend, v->url.port);
    bool tls = comes_over_tls(v);
    if (l != NULL && tls != (l->tls.n_certs > 0))
        printf("          port %u speaks %s\n", v->url.port, tls ? "no TLS" : "TLS only");
}

// What the request does not tell and a route may ask.
static void print_assumed(const struct verdict *v)
{
    bool asks = false;
    for (uint32_t i = 0; i < v->frontend->n_routes; i++)
        asks = asks || route_looks_at_tls(&v->frontend->routes[i]);
    if (asks && comes_over_tls(v))
        printf("assumed   TLS 1.3, the host as SNI, a new session, no client certificate\n");
}

static int print_text(const struct verdict *v)
{
    const struct frontend *f = v->frontend;
    printf("frontend  %.*s (%s): mode %s, listens on %s\n", STR_FMT(f->name),
           cli_mark(v->arena, f->mark), mode_words[f->mode], listens_text(v->arena, f));
    if (v->frontends_matching == 0 && v->url.port != 0)
        printf("          not on port %u, but there is no other frontend\n", v->url.port);
    if (v->frontends_matching > 1)
        printf("          the first of %u on that port; --frontend NAME for another\n",
               v->frontends_matching);
    bool by_name = f->mode == MODE_TCP ? route_needs_hello(f) : route_has_passthrough(f);
    if (by_name && (v->sni.len > 0 || v->n_alpn > 0)) {
        printf("name      %s\n", v->sni.len > 0 ? arena_strdup(v->arena, v->sni) : "(none)");
        if (v->n_alpn > 0)
            printf("alpn      %s\n", v->cli->value[FLAG_ALPN]);
    }
    if (f->mode == MODE_HTTP) {
        print_mismatch(v);
        printf("host      %s\n", v->host.len > 0 ? arena_strdup(v->arena, v->host) : "(none)");
        printf("path      %.*s\n", STR_FMT(v->path));
        print_assumed(v);
    }
    print_route(v);
    return EXIT_OK;
}

// ---- as JSON ------------------------------------------------------------------------------------

static void put_servers(struct json *j, const struct backend *b)
{
    json_array(j, "servers");
    for (uint32_t i = 0; i < b->n_servers; i++) {
        const struct server *s = &b->servers[i];
        if (s->place > 0)
            continue;
        json_object(j, NULL);
        json_text(j, "name", server_base_name(s));
        json_text(j, "host", s->host);
        json_u64(j, "port", s->port);
        json_u64(j, "weight", s->weight);
        json_u64(j, "tier", s->tier);
        json_object_end(j);
    }
    json_array_end(j);
}

static void put_route(struct json *j, const struct verdict *v)
{
    static const char *const actions[] = {
        [ROUTE_BACKEND] = "backend", [ROUTE_REDIRECT] = "redirect", [ROUTE_DENY] = "deny"};
    const struct route *r = v->route;
    json_u64(j, "route", (uint64_t)(r - v->frontend->routes) + 1);
    json_text(j, "action", str_of(actions[r->action]));
    if (r->action == ROUTE_BACKEND) {
        json_text(j, "backend", r->backend->name);
        json_text(j, "balance", str_of(balance_words[r->backend->balance]));
        put_servers(j, r->backend);
        return;
    }
    json_u64(j, "status", r->status);
    if (r->action == ROUTE_REDIRECT)
        json_text(j, "location", str_of(location(v)));
}

static int print_json(const struct verdict *v)
{
    struct buf out = {0};
    struct json j = {.out = &out};
    json_object(&j, NULL);
    json_text(&j, "frontend", v->frontend->name);
    json_text(&j, "mode", str_of(mode_words[v->frontend->mode]));
    json_text(&j, "sni", v->sni);
    json_text(&j, "host", v->host);
    json_text(&j, "path", v->path);
    const char *file = challenge_file(v);
    if (file != NULL)
        json_text(&j, "challenge_file", str_of(file));
    if (v->route != NULL)
        put_route(&j, v);
    else
        json_null(&j, "route");
    json_object_end(&j);
    return json_print(&j);
}

// ---- the whole ----------------------------------------------------------------------------------

static int explain(const struct cli *cli, const struct config *config, struct arena *arena,
                   const char *url)
{
    struct verdict v = {.cli = cli, .config = config, .arena = arena};
    if (!explain_url_parse(str_of(url), &v.url)) {
        complain("'%s' is no URL: http://host/path, tls://host:port or /path", url);
        return EXIT_USAGE;
    }
    int status = decide(&v);
    if (status != EXIT_OK)
        return status;
    return cli_wants_json(cli) ? print_json(&v) : print_text(&v);
}

int explain_route(const struct cli *cli, const char *url)
{
    struct config_source source = config_source_files(cli_config_path(cli));
    struct findings findings;
    findings_init(&findings);
    struct config *config = config_load(&source, &findings);
    int status = EXIT_FAILED;
    if (config == NULL)
        findings_print(&findings, stderr, FINDINGS_TEXT, cli_colour(stderr));
    else
        status = explain(cli, config, config->arena, url);
    findings_free(&findings);
    if (config != NULL)
        arena_free(config->arena);
    return status;
}
