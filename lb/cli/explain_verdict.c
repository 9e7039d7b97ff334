// SPDX-License-Identifier: MIT
// Shows what `evlb explain route` has found, as text or as JSON. Called by explain_route.c; only
// reads. Invariant: as text it fits into 80 columns unless a name of the configuration is long.
#include "cli/explain_verdict.h"

#include "cli/json_out.h"
#include "cli/source.h"
#include "conf/words.h"
#include "core/route.h"
#include "proto/acme.h"

#define LOCATION_BYTES 4096

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
    struct str given = verdict_header(v, field);
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

// The certificates that it is shown; it gets the one that it can check.
static void print_cert(const struct verdict *v)
{
    for (uint32_t i = 0; i < v->cert.n; i++) {
        const char *names = "no name";
        for (uint32_t k = 0; k < v->cert.certs[i].n_names; k++)
            names = arena_printf(v->arena, "%s%s%.*s", k > 0 ? names : "", k > 0 ? ", " : "",
                                 STR_FMT(v->cert.certs[i].names[k]));
        printf("%-9s %s (%s): %s\n", i == 0 ? "cert" : "", v->cert.certs[i].file,
               v->cert.certs[i].key, names);
    }
    if (v->cert.n > 0 && v->cert.is_default)
        printf("          the default: %s\n",
               v->sni.len > 0 ? "none is for this name" : "the client asks for no name");
    if (v->cert_fault != NULL)
        printf("cert      cannot be used: %s\n", v->cert_fault);
}

// What the request does not tell and a route asks.
static void print_assumed(const struct verdict *v)
{
    const char *texts[] = {
        [FLAG_TLS_VERSION] = "TLS 1.3",
        [FLAG_TLS_CIPHER] = "another cipher",
        [FLAG_TLS_RESUMED] = "a new session",
        [FLAG_CLIENT_SUBJECT] = "no client certificate",
    };
    bool asked[ARRAY_LEN(texts)] = {false};
    const char *before = "assumed   ";
    for (uint32_t i = 0; i < v->frontend->n_routes; i++) {
        const struct tls_conditions *c = &v->frontend->routes[i].over;
        asked[FLAG_TLS_VERSION] |= c->version != ROUTE_TLS_ANY;
        asked[FLAG_TLS_CIPHER] |= c->cipher.len > 0;
        asked[FLAG_TLS_RESUMED] |= c->resumed != ROUTE_RESUMED_ANY;
        asked[FLAG_CLIENT_SUBJECT] |= c->cert != ROUTE_CERT_ANY || c->subject.len > 0;
    }
    if (verdict_needs_cert(v)) {
        texts[FLAG_CLIENT_SUBJECT] =
            asked[FLAG_CLIENT_SUBJECT] ? "another client certificate" : "a client certificate";
        asked[FLAG_CLIENT_SUBJECT] = true;
    }
    for (int id = FLAG_TLS_VERSION; id <= FLAG_CLIENT_SUBJECT && verdict_ends_tls(v); id++) {
        if (!asked[id] || v->cli->given[id] > 0)
            continue;
        printf("%s%s", before, texts[id]);
        before = ", ";
    }
    printf("%s", before[0] == ',' ? "\n" : "");
}

static int print_text(const struct verdict *v)
{
    const struct frontend *f = v->frontend;
    printf("frontend  %.*s (%s): mode %s, listens on %s\n", STR_FMT(f->name),
           cli_mark(v->arena, f->mark), mode_words[f->mode], verdict_listens(v->arena, f));
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
    if (v->refused == NULL)
        print_cert(v);
    if (f->mode == MODE_HTTP) {
        printf("host      %s\n", v->host.len > 0 ? arena_strdup(v->arena, v->host) : "(none)");
        printf("path      %.*s\n", STR_FMT(v->path));
    }
    if (v->refused != NULL) {
        printf("refused   %s\n", v->refused);
        return EXIT_OK;
    }
    print_assumed(v);
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

static void put_certs(struct json *j, const struct verdict *v)
{
    json_array(j, "certificates");
    for (uint32_t i = 0; i < v->cert.n; i++) {
        json_object(j, NULL);
        json_text(j, "file", str_of(v->cert.certs[i].file));
        json_text(j, "key", str_of(v->cert.certs[i].key));
        json_array(j, "names");
        for (uint32_t k = 0; k < v->cert.certs[i].n_names; k++)
            json_text(j, NULL, v->cert.certs[i].names[k]);
        json_array_end(j);
        json_bool(j, "default", v->cert.is_default);
        json_object_end(j);
    }
    json_array_end(j);
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
    put_certs(&j, v);
    if (v->refused != NULL)
        json_text(&j, "refused", str_of(v->refused));
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

int verdict_print(const struct verdict *v)
{
    return cli_wants_json(v->cli) ? print_json(v) : print_text(v);
}
