// SPDX-License-Identifier: MIT
// `evlb explain route URL`: which frontend a request arrives at, which of its routes takes it and
// which servers may serve it, by the same functions that the data path uses (core/route.h,
// proto/uri.h), without sending anything. Whether TLS can be agreed on is for explain_tls.c. Looks
// at the file, not at a running evlb: what a server's health says now is in `evlb ctl status`. What
// was found is shown by explain_verdict.c.
#include "cli/explain.h"

#include <stdarg.h>

#include "cli/explain_verdict.h"
#include "cli/source.h"
#include "core/route.h"
#include "proto/http.h"
#include "proto/uri.h"

#define HOST_BYTES 256

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

static const struct listen *listen_on(const struct frontend *f, uint16_t port)
{
    for (uint32_t i = 0; i < f->n_listens && port != 0; i++) {
        if (listen_port(&f->listens[i]) == port)
            return &f->listens[i];
    }
    return NULL;
}

// What the scheme of the URL says; -1: nothing.
static int scheme_says_tls(const struct verdict *v)
{
    if (v->url.scheme.len == 0 || str_eq(v->url.scheme, STR("tcp")))
        return -1;
    return !str_eq(v->url.scheme, STR("http"));
}

// On the port of the URL; else on the first that speaks what its scheme says.
static void find_listen(struct verdict *v)
{
    const struct frontend *f = v->frontend;
    v->listen = listen_on(f, v->url.port);
    v->guessed = v->listen == NULL;
    for (uint32_t i = 0; v->listen == NULL && i < f->n_listens; i++) {
        if ((f->listens[i].tls.n_certs > 0) == scheme_says_tls(v))
            v->listen = &f->listens[i];
    }
    if (v->listen == NULL)
        v->listen = &f->listens[0];
}

static bool address_has_tls(const struct verdict *v)
{
    return v->listen->tls.n_certs > 0;
}

bool verdict_over_tls(const struct verdict *v)
{
    int said = scheme_says_tls(v);
    return said >= 0 ? said == 1 : address_has_tls(v);
}

bool verdict_ends_tls(const struct verdict *v)
{
    return verdict_over_tls(v) && (v->frontend->mode == MODE_HTTP || address_has_tls(v));
}

const char *verdict_listens(struct arena *a, const struct frontend *f)
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
        fprintf(stderr, "  %.*s (%s)\n", STR_FMT(f->name), verdict_listens(v->arena, f));
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

struct str verdict_header(const struct verdict *v, const char *name)
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
    struct str host = verdict_header(v, "Host");
    int status = normal_host(v, host.p != NULL ? host : v->url.authority, &v->host);
    if (status != EXIT_OK)
        return status;
    struct str target = v->url.target;
    buffer = arena_alloc(v->arena, target.len + 1);
    v->path = (struct str){target.p, str_find(target, '?')};
    if (uri_normalise(target, buffer, target.len + 1, &len))
        v->path = (struct str){buffer, len};
    else if (route_needs_path(v->frontend))
        return complain("'%s' is no path that all servers read alike: evlb would answer 400",
                        arena_strdup(v->arena, target));
    return EXIT_OK;
}

// What can be told of TLS that ends here alone.
static int check_tls_flags(const struct verdict *v)
{
    if (verdict_ends_tls(v) && v->cli->given[FLAG_CLIENT_SUBJECT] > 0 &&
        v->listen->tls.client_ca.file == NULL)
        return complain("--client-subject: clients are not asked for certificates there");
    for (int id = FLAG_TLS_VERSION; id <= FLAG_CLIENT_SUBJECT && !verdict_ends_tls(v); id++) {
        if (v->cli->given[id] > 0)
            return complain("--%s: no TLS ends here, so nobody looks at that", cli_flags[id].name);
    }
    return EXIT_OK;
}

static bool offers(const struct verdict *v, struct str protocol)
{
    for (uint32_t i = 0; i < v->n_alpn; i++)
        if (str_eq(v->alpn[i], protocol))
            return true;
    return false;
}

static struct str agree_http(const struct verdict *v)
{
    if (offers(v, STR("http/1.1")))
        return STR("http/1.1");
    return offers(v, STR("http/1.0")) ? STR("http/1.0") : STR_NONE;
}

// As the data path chooses: HTTP's own, or the first that a route names.
static struct str agree(const struct verdict *v)
{
    const struct frontend *f = v->frontend;
    if (f->mode == MODE_HTTP)
        return agree_http(v);
    for (uint32_t i = 0; i < f->n_routes; i++)
        for (uint32_t k = 0; k < f->routes[i].n_alpns; k++)
            if (f->routes[i].tls == ROUTE_TERMINATE && offers(v, f->routes[i].alpns[k]))
                return f->routes[i].alpns[k];
    return STR_NONE;
}

static struct route_tls_facts agreed_tls(const struct verdict *v)
{
    const char *const *value = v->cli->value, *version = value[FLAG_TLS_VERSION];
    return (struct route_tls_facts){
        .version = version != NULL && strcmp(version, "1.2") == 0 ? ROUTE_TLS_1_2 : ROUTE_TLS_1_3,
        .sni = v->sni,
        .cipher = str_of(value[FLAG_TLS_CIPHER]),
        .subject = str_of(value[FLAG_CLIENT_SUBJECT]),
        .client_cert = value[FLAG_CLIENT_SUBJECT] != NULL || verdict_needs_cert(v),
        .resumed = v->cli->given[FLAG_TLS_RESUMED] > 0,
    };
}

// What routes look at. With trusted-proxies the headers given count as from one of these.
static struct route_facts request_facts(const struct verdict *v)
{
    struct route_facts facts = {.host = v->frontend->mode == MODE_TCP ? v->sni : v->host,
                                .path = v->path,
                                .alpn = &v->agreed,
                                .n_alpn = v->agreed.len > 0,
                                .tls = verdict_over_tls(v)};
    if (facts.tls)
        facts.over = agreed_tls(v);
    struct str proto = STR_NONE;
    if (v->frontend->n_trusted > 0)
        proto = verdict_header(v, "X-Forwarded-Proto");
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
        .host = host, .alpn = v->alpn, .n_alpn = v->n_alpn, .tls = verdict_ends_tls(v)};
    return verdict_over_tls(v) || v->frontend->mode == MODE_TCP
               ? route_of_hello(v->frontend, &facts)
               : NULL;
}

static bool passes(const struct route *r)
{
    return r != NULL && r->tls == ROUTE_PASSTHROUGH;
}

static int decide(struct verdict *v)
{
    int status = check_headers(v);
    if (status == EXIT_OK)
        status = find_frontend(v);
    if (status != EXIT_OK)
        return status;
    find_listen(v);
    status = check_tls_flags(v);
    if (status == EXIT_OK && (verdict_over_tls(v) || is_by_name(v)))
        status = read_hello(v);
    if (status == EXIT_OK && v->frontend->mode == MODE_HTTP)
        status = normalise(v);
    if (status != EXIT_OK)
        return status;
    verdict_look_at_address(v);
    if (v->refused != NULL)
        return EXIT_OK;
    bool plain_tcp = v->frontend->mode == MODE_TCP && !verdict_ends_tls(v);
    v->route = hello_route(v, v->sni);
    if (plain_tcp || passes(v->route))
        return EXIT_OK;
    v->agreed = agree(v);
    verdict_look_at_hello(v);
    if (v->refused != NULL) {
        v->route = NULL;
        return EXIT_OK;
    }
    v->misdirected = v->frontend->mode == MODE_HTTP && passes(hello_route(v, v->host));
    const struct route_facts facts = request_facts(v);
    v->route = v->misdirected ? NULL : route_find(v->frontend, &facts);
    return EXIT_OK;
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
    return verdict_print(&v);
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
