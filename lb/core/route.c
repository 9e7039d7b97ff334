// SPDX-License-Identifier: MIT
// Routes: the first whose conditions hold takes the request, and where a redirecting one sends.
// Pure; called by workers once per request and by `evlb explain route`.
// Invariants: hosts and paths are compared in normal form only, which the caller makes
// (proto/uri.h); nothing reaches a Location but printable ASCII without spaces; what a client sends
// can choose the path and the query of a Location, never its host. (For "https" the host is the one
// that the client asked for.)
#include "core/route.h"

bool route_needs_host(const struct frontend *f)
{
    for (uint32_t i = 0; i < f->n_routes; i++) {
        const struct route *r = &f->routes[i];
        if (r->n_hosts > 0 || route_is_to_https(r))
            return true;
    }
    return false;
}

bool route_needs_path(const struct frontend *f)
{
    for (uint32_t i = 0; i < f->n_routes; i++)
        if (f->routes[i].n_paths > 0)
            return true;
    return false;
}

bool route_needs_hello(const struct frontend *f)
{
    for (uint32_t i = 0; i < f->n_routes; i++)
        if (f->routes[i].n_hosts + f->routes[i].n_alpns > 0)
            return true;
    return false;
}

bool route_needs_tls(const struct frontend *f)
{
    for (uint32_t i = 0; i < f->n_routes; i++)
        if (f->routes[i].n_alpns > 0 || route_looks_at_tls(&f->routes[i]))
            return true;
    return false;
}

bool route_has_passthrough(const struct frontend *f)
{
    for (uint32_t i = 0; i < f->n_routes; i++)
        if (f->routes[i].tls == ROUTE_PASSTHROUGH)
            return true;
    return false;
}

static bool host_matches(const struct host_pattern *pattern, struct str host)
{
    if (!pattern->wildcard)
        return str_eq(host, pattern->name);
    return host.len > pattern->name.len && host.p[0] != '.' && str_ends(host, pattern->name);
}

static bool any_host_matches(const struct host_pattern *hosts, uint32_t n, struct str host)
{
    for (uint32_t i = 0; i < n; i++)
        if (host_matches(&hosts[i], host))
            return true;
    return n == 0;
}

// A prefix ends at a segment border, its own last slash included.
static bool path_under(struct str path, struct str prefix)
{
    if (!str_starts(path, prefix))
        return false;
    return path.len == prefix.len || prefix.len == 0 || prefix.p[prefix.len - 1] == '/' ||
           path.p[prefix.len] == '/';
}

// The first prefix of `r` that `path` lies under, or NULL.
static const struct str *matching_prefix(const struct route *r, struct str path)
{
    for (uint32_t i = 0; i < r->n_paths; i++)
        if (path_under(path, r->paths[i]))
            return &r->paths[i];
    return NULL;
}

static bool any_alpn_matches(const struct route *r, const struct route_facts *facts)
{
    for (uint32_t i = 0; i < r->n_alpns; i++)
        for (uint32_t k = 0; k < facts->n_alpn; k++)
            if (str_eq(r->alpns[i], facts->alpn[k]))
                return true;
    return r->n_alpns == 0;
}

static bool subject_matches(struct str pattern, const struct route_tls_facts *over)
{
    if (pattern.len == 0)
        return true;
    if (!over->client_cert)
        return false;
    if (pattern.p[pattern.len - 1] == '*')
        return str_starts(over->subject, (struct str){pattern.p, pattern.len - 1});
    if (pattern.p[0] == '*')
        return str_ends(over->subject, (struct str){pattern.p + 1, pattern.len - 1});
    return str_eq(over->subject, pattern);
}

static bool tls_matches(const struct tls_conditions *c, const struct route_facts *facts)
{
    const struct route_tls_facts *over = &facts->over;
    if (c->cert != ROUTE_CERT_ANY && (c->cert == ROUTE_CERT_VERIFIED) != over->client_cert)
        return false;
    bool more = c->n_snis > 0 || c->subject.len > 0 || c->cipher.len > 0 ||
                c->version != ROUTE_TLS_ANY || c->resumed != ROUTE_RESUMED_ANY;
    if (!more)
        return true;
    return facts->tls && any_host_matches(c->snis, c->n_snis, over->sni) &&
           subject_matches(c->subject, over) &&
           (c->cipher.len == 0 || str_eq(c->cipher, over->cipher)) &&
           (c->version == ROUTE_TLS_ANY || c->version == over->version) &&
           (c->resumed == ROUTE_RESUMED_ANY || (c->resumed == ROUTE_RESUMED_TRUE) == over->resumed);
}

static bool matches(const struct route *r, const struct route_facts *facts)
{
    return r->tls == ROUTE_TERMINATE && !(facts->secure && route_is_to_https(r)) &&
           any_host_matches(r->hosts, r->n_hosts, facts->host) && any_alpn_matches(r, facts) &&
           tls_matches(&r->over, facts) &&
           (r->n_paths == 0 || matching_prefix(r, facts->path) != NULL);
}

const struct route *route_of_hello(const struct frontend *f, const struct route_facts *facts)
{
    for (uint32_t i = 0; i < f->n_routes; i++) {
        const struct route *r = &f->routes[i];
        bool needs_more = r->n_paths > 0 || route_is_to_https(r) ||
                          (facts->tls ? route_looks_at_tls(r) : !tls_matches(&r->over, facts));
        if (!needs_more && any_host_matches(r->hosts, r->n_hosts, facts->host) &&
            any_alpn_matches(r, facts))
            return r;
    }
    return NULL;
}

const struct route *route_find(const struct frontend *f, const struct route_facts *facts)
{
    for (uint32_t i = 0; i < f->n_routes; i++) {
        if (matches(&f->routes[i], facts))
            return &f->routes[i];
    }
    return NULL;
}

// ---- Location ---------------------------------------------------------------------------------

struct writer {
    char *out;
    size_t size, len;
    bool failed;
};

static void put(struct writer *w, char c)
{
    if (w->len == w->size)
        w->failed = true;
    else
        w->out[w->len++] = c;
}

static void put_escaped(struct writer *w, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";
    put(w, '%');
    put(w, hex[c >> 4]);
    put(w, hex[c & 15]);
}

// Every byte of `text`, but nothing that could end the header line, and those that are not ASCII or
// stand in `escape` percent-encoded.
static void put_uri(struct writer *w, struct str text, const char *escape)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c <= ' ' || c == 0x7f)
            w->failed = true;
        else if (c >= 0x80 || strchr(escape, c) != NULL)
            put_escaped(w, c);
        else
            put(w, (char)c);
    }
}

// What the configuration says: otherwise as it stands.
static void put_url(struct writer *w, struct str url)
{
    put_uri(w, url, "");
}

// What a client sent: RFC 3986 section 2; browsers read "\" as "/" and cut at "#".
static void put_target(struct writer *w, struct str target)
{
    put_uri(w, target, "\"#<>\\^`{|}");
}

static void put_host(struct writer *w, struct str host)
{
    bool bare_ipv6 = host.len > 0 && host.p[0] != '[' && str_find(host, ':') < host.len;
    if (bare_ipv6)
        put(w, '[');
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"#/<>?@\\^`{|}", c) != NULL)
            w->failed = true;
        put(w, (char)c);
    }
    if (bare_ipv6)
        put(w, ']');
}

// That of "https:8443"; 443 needs no saying.
static void put_port(struct writer *w, struct str redirect)
{
    if (!str_ends(redirect, STR(":443")))
        put_url(w, str_from(redirect.p + strlen("https"), redirect.p + redirect.len));
}

// What follows the matched prefix in the target as sent; nothing when it does not begin with it.
static struct str behind_prefix(const struct route *r, struct str target)
{
    struct str path = {target.p, str_find(target, '?')}, rest = target;
    if (r->n_paths > 0) {
        const struct str *prefix = matching_prefix(r, path);
        if (prefix == NULL)
            return STR_NONE;
        rest = (struct str){target.p + prefix->len, target.len - prefix->len};
    }
    while (rest.len > 0 && rest.p[0] == '/')
        rest = (struct str){rest.p + 1, rest.len - 1};
    return rest;
}

size_t route_location(const struct route *r, struct str host, struct str target, char *out,
                      size_t size)
{
    struct writer w = {.out = out, .size = size};
    if (target.len == 0)
        target = STR("/");
    if (target.p[0] != '/')
        return 0;
    if (route_is_to_https(r)) {
        w.failed = host.len == 0;
        put_url(&w, STR("https://"));
        put_host(&w, host);
        put_port(&w, r->redirect);
        put_target(&w, target);
    } else {
        put_url(&w, r->redirect);
        if (str_ends(r->redirect, STR("/")))
            put_target(&w, behind_prefix(r, target));
    }
    return w.failed ? 0 : w.len;
}
