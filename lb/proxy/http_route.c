// SPDX-License-Identifier: MIT
// From a request head to its route and its hash key. Runs in workers, called by http_proxy.c in
// state ROUTE. Host and path are brought into their normal form only when some route looks at them,
// and what is forwarded is never changed by it.
#include "proxy/http_route.h"

#include "io/tls.h"
#include "proto/cookie.h"
#include "proto/uri.h"
#include "proxy/tls_route.h"

void http_hash_key(struct exchange *x, const struct http_head *h)
{
    struct attempt *a = &x->attempt;
    const struct backend *b = a->backend;
    struct str v = STR_NONE;
    const void *bytes;
    switch (b->hash_on) {
    case HASH_CLIENT:
        v.len = ip_bytes(&x->s->peer, &bytes);
        v.p = bytes;
        break;
    case HASH_PATH:
        v = (struct str){h->path.p, str_find(h->path, '?')};
        break;
    case HASH_URI:
        v = h->path;
        break;
    case HASH_HEADER:
    case HASH_COOKIE:
        for (uint32_t i = 0; i < h->n_fields && v.len == 0; i++) {
            const struct http_field *f = &h->fields[i];
            if (b->hash_on == HASH_HEADER && str_caseeq(f->name, b->hash_name))
                v = f->value;
            else if (b->hash_on == HASH_COOKIE && f->id == FIELD_COOKIE &&
                     !cookie_find(f->value, b->hash_name, &v))
                v = STR_NONE;
        }
        break;
    }
    a->has_key = v.len > 0;
    a->key = hash_bytes(v.p, v.len, 0);
}

// What the client spoke: with a trusted proxy in between, that is what the proxy says.
static void ask_trusted_proxy(struct exchange *x, const struct http_head *h)
{
    const struct http_field *f = NULL;
    if (x->frontend->n_trusted > 0 && session_trusts_peer(x->s, x->frontend))
        f = http_field_find(h, FIELD_X_FORWARDED_PROTO);
    if (f != NULL)
        x->secure = http_proto_is_secure(f->value);
}

// A connection that asked for this host would have been passed through: whoever serves there is to
// be asked on one that did. Clients come here with another name's connection when one certificate
// names both.
static bool is_misdirected(const struct frontend *f, const struct route_facts *facts)
{
    if (!facts->tls || !route_has_passthrough(f))
        return false;
    const struct route *r = route_of_hello(f, facts);
    return r != NULL && r->tls == ROUTE_PASSTHROUGH;
}

enum http_routed http_find_route(struct exchange *x, const struct http_head *h)
{
    const struct frontend *f = x->frontend;
    char host[256], path[HTTP_PATH_MAX];
    size_t host_len = 0, path_len = 0;
    ask_trusted_proxy(x, h);
    if (route_needs_host(f) && h->authority.len > 0 &&
        !uri_host(h->authority, host, sizeof(host), &host_len))
        return HTTP_ROUTED_BAD;
    bool everything = str_eq(h->path, STR("*")); // OPTIONS *: no path, only "/" holds it
    if (everything)
        path[path_len++] = '/';
    else if (route_needs_path(f) && !uri_normalise(h->path, path, sizeof(path), &path_len))
        return HTTP_ROUTED_BAD;
    struct tls_route texts;
    struct route_facts facts = {
        .host = {host, host_len},
        .path = {path, path_len},
        .tls = conn_is_tls(&x->s->client),
        .secure = x->secure,
    };
    if (route_needs_tls(f))
        tls_route_facts(&x->s->client, &texts, &facts);
    if (is_misdirected(f, &facts))
        return HTTP_ROUTED_MISDIRECTED;
    x->route = route_find(f, &facts);
    return x->route != NULL ? HTTP_ROUTED : HTTP_ROUTED_NOWHERE;
}
