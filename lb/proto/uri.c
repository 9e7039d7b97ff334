// SPDX-License-Identifier: MIT
// Normal forms of paths and hosts, for matching only (RFC 3986 3.2.2, 3.3, 5.2.4, 6.2.2). Runs in
// workers for frontends whose routes look at host or path, and in the configuration check of their
// patterns. One pass over the input; what is written never exceeds `size`.
#include "proto/uri.h"

#include <arpa/inet.h>

#include "proto/chars.h"

// Cursor over the normal form. Invariant: out[0] is '/'; `segment` is where the one being written
// begins, just behind the last '/'.
struct path_out {
    char *out;
    size_t len, size, segment;
    bool parameters; // behind the ';' of this segment: not written
    bool doubtful;   // servers differ about how many segments there are so far
};

static bool put(struct path_out *o, char c)
{
    if (o->parameters)
        return true;
    if (o->len == o->size)
        return false;
    o->out[o->len++] = c;
    return true;
}

// Takes back the segment before a "..".
static void drop_last(struct path_out *o)
{
    if (o->len > 1)
        o->len--; // the '/' in front of the ".."
    while (o->out[o->len - 1] != '/')
        o->len--;
}

// A segment is complete (the caller begins the next one, if any): takes it back when it is "." and
// the one before it too when it is "..". False: to some servers that is another one.
static bool end_segment(struct path_out *o, bool encoded_slash)
{
    struct str s = {o->out + o->segment, o->len - o->segment};
    bool parameters = o->parameters, dot = str_eq(s, STR(".")), dots = str_eq(s, STR(".."));
    o->parameters = false;
    o->doubtful |= s.len == 0 || (dot && parameters) || encoded_slash;
    if (parameters && encoded_slash)
        return false;
    if (dots && (parameters || o->doubtful))
        return false;
    if (dot || dots)
        o->len = o->segment;
    if (dots)
        drop_last(o);
    return true;
}

static bool put_slash(struct path_out *o, bool encoded)
{
    if (!end_segment(o, encoded))
        return false;
    if (o->out[o->len - 1] != '/' && !put(o, '/'))
        return false;
    o->segment = o->len;
    return true;
}

static bool take(struct path_out *o, char c, bool encoded)
{
    if (c == '/')
        return put_slash(o, encoded);
    if (c != ';')
        return put(o, c);
    o->parameters = true;
    return true;
}

// "%41" at `p`: decoded when unreserved, a slash or a semicolon, else in upper case. False:
// malformed, or NUL.
static bool take_escape(struct path_out *o, const char *p, const char *end)
{
    static const char digits[] = "0123456789ABCDEF";
    if (end - p < 3)
        return false;
    int high = hex_value(p[1]), low = hex_value(p[2]);
    if (high < 0 || low < 0 || (high | low) == 0)
        return false;
    char c = (char)(high << 4 | low);
    if (c == '/' || c == ';' || char_is(c, CH_UNRESERVED))
        return take(o, c, true);
    return put(o, '%') && put(o, digits[high]) && put(o, digits[low]);
}

bool uri_normalise(struct str target, char *out, size_t size, size_t *len)
{
    struct path_out o = {.out = out, .size = size};
    if (str_eq(target, STR("*")))
        target = STR("/");
    if (target.len == 0 || target.p[0] != '/' || !put(&o, '/'))
        return false;
    o.segment = 1;
    const char *end = target.p + target.len;
    for (const char *p = target.p + 1; p < end && *p != '?'; p++) {
        bool escape = *p == '%';
        if (escape ? !take_escape(&o, p, end) : !char_is(*p, CH_TARGET) || !take(&o, *p, false))
            return false;
        p += escape ? 2 : 0;
    }
    if (!end_segment(&o, false))
        return false;
    *len = o.len;
    return true;
}

// The port behind a host: nothing, or ':' and up to five digits (RFC 3986 allows none).
static bool port_is_valid(struct str s)
{
    uint64_t port;
    if (s.len == 0)
        return true;
    if (s.p[0] != ':' || s.len > 6)
        return false;
    s = (struct str){s.p + 1, s.len - 1};
    return s.len == 0 || (str_to_u64(s, &port) && port <= 65535);
}

// "[fe80::1%25eth0]" at the start of `a`: its end, and where the address ends, or 0.
static size_t literal_end(struct str a, size_t *address_end)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct in6_addr ip;
    size_t close = str_find(a, ']');
    if (close == a.len)
        return 0;
    struct str inside = {a.p + 1, close - 1}, zone = inside;
    struct str address = str_cut(&zone, '%');
    if (zone.p != NULL && !str_starts(zone, STR("25")))
        return 0;
    for (size_t i = 0; i < zone.len; i++) {
        if (!char_is(zone.p[i], CH_UNRESERVED))
            return 0;
    }
    if (zone.p != NULL && zone.len < 3)
        return 0;
    if (memchr(address.p, '\0', address.len) != NULL || !str_copy(address, text, sizeof(text)) ||
        inet_pton(AF_INET6, text, &ip) != 1)
        return 0;
    *address_end = 1 + address.len;
    return close + 1;
}

bool uri_authority_split(struct str a, struct str *host, struct str *port)
{
    size_t n = 0, host_len;
    if (a.len > 0 && a.p[0] == '[') {
        n = literal_end(a, &host_len);
    } else {
        while (n < a.len && char_is(a.p[n], CH_REGNAME))
            n++;
        host_len = n;
    }
    if (n == 0)
        return false;
    *host = (struct str){a.p, host_len};
    *port = (struct str){a.p + n, a.len - n};
    return port_is_valid(*port);
}

bool uri_host(struct str authority, char *out, size_t size, size_t *len)
{
    struct str host, port;
    if (!uri_authority_split(authority, &host, &port))
        return false;
    bool literal = host.p[0] == '[';
    if (!literal && host.len > 1 && host.p[host.len - 1] == '.')
        host.len--;
    if (host.len + literal > size)
        return false;
    for (size_t i = 0; i < host.len; i++)
        out[i] = ascii_lower(host.p[i]);
    if (literal)
        out[host.len] = ']';
    *len = host.len + literal;
    return true;
}
