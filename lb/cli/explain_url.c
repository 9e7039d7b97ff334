// SPDX-License-Identifier: MIT
// Takes the URL of `evlb explain route` apart. Forgiving where a person types ("shop.example.com/x"
// is fine), strict about what a balancer would have to refuse. Pure.
#include "cli/explain.h"

#include "proto/uri.h"

static uint16_t default_port(struct str scheme)
{
    if (str_eq(scheme, STR("http")))
        return 80;
    return str_eq(scheme, STR("https")) || str_eq(scheme, STR("tls")) ? 443 : 0;
}

// "http://..." leaves what follows the "//". A "://" further on belongs to the query.
static bool take_scheme(struct str *rest, struct str *scheme)
{
    *scheme = STR_NONE;
    size_t slash = str_find(*rest, '/');
    if (slash == 0 || slash == rest->len || rest->p[slash - 1] != ':')
        return true;
    if (slash + 1 == rest->len || rest->p[slash + 1] != '/')
        return false;
    *scheme = (struct str){rest->p, slash - 1};
    *rest = str_from(rest->p + slash + 2, rest->p + rest->len);
    return default_port(*scheme) != 0 || str_eq(*scheme, STR("tcp"));
}

// The port of "host:80" in out->port; false when the authority is malformed.
static bool read_port(struct explained_url *out)
{
    struct str host, port;
    uint64_t number;
    if (!uri_authority_split(out->authority, &host, &port))
        return false;
    if (port.len <= 1)
        return true;
    if (!str_to_u64((struct str){port.p + 1, port.len - 1}, &number) || number > UINT16_MAX)
        return false;
    out->port = (uint16_t)number;
    out->explicit_port = true;
    return true;
}

bool explain_url_parse(struct str url, struct explained_url *out)
{
    *out = (struct explained_url){0};
    struct str rest = url;
    if (url.len == 0 || !take_scheme(&rest, &out->scheme))
        return false;
    out->port = default_port(out->scheme);
    size_t fragment = str_find(rest, '#');
    rest.len = fragment;
    size_t slash = str_find(rest, '/'), query = str_find(rest, '?');
    size_t end = MIN_OF(slash, query);
    out->authority = (struct str){rest.p, end};
    out->target = (struct str){rest.p + end, rest.len - end};
    if (out->target.len == 0)
        out->target = STR("/");
    if (out->target.p[0] == '?') // a query needs a path in front: nobody would guess another
        return false;
    if (out->authority.len == 0)
        return out->scheme.len == 0;
    return read_port(out);
}
