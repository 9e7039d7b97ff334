// SPDX-License-Identifier: MIT
// Addresses: numeric parsing, printing, prefixes. Pure (inet_pton and inet_ntop only); used by the
// configuration, by listeners, by the access log and by every rule that looks at the client.
#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

bool addr_parse_ip(struct str host, uint16_t port, struct addr *out)
{
    char text[INET6_ADDRSTRLEN + 1];
    memset(out, 0, sizeof(*out));
    if (host.len == 0 || !str_copy(host, text, sizeof(text)))
        return false;
    if (inet_pton(AF_INET, text, &out->ip.v4.sin_addr) == 1) {
        out->ip.v4.sin_family = AF_INET;
        out->ip.v4.sin_port = htons(port);
        out->len = sizeof(out->ip.v4);
        return true;
    }
    if (inet_pton(AF_INET6, text, &out->ip.v6.sin6_addr) == 1) {
        out->ip.v6.sin6_family = AF_INET6;
        out->ip.v6.sin6_port = htons(port);
        out->len = sizeof(out->ip.v6);
        return true;
    }
    return false;
}

bool addr_parse_unix(struct str path, struct addr *out)
{
    memset(out, 0, sizeof(*out));
    if (path.len == 0 || !str_copy(path, out->un.sun_path, sizeof(out->un.sun_path)))
        return false;
    out->un.sun_family = AF_UNIX;
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    return true;
}

size_t addr_format(const struct addr *a, char out[ADDR_TEXT])
{
    char host[ADDR_TEXT];
    int n;
    if (a->sa.sa_family == AF_UNIX) {
        n = snprintf(out, ADDR_TEXT, "unix:%s", a->un.sun_path);
    } else {
        const char *form = a->sa.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u";
        (void)ip_format(&a->ip, host);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        n = snprintf(out, ADDR_TEXT, form, host, ip_port(&a->ip));
#pragma GCC diagnostic pop
    }
    return n > 0 ? MIN_OF((size_t)n, (size_t)ADDR_TEXT - 1) : 0;
}

static const unsigned char *mapped_v4(const union ip_addr *ip)
{
    const struct in6_addr *a = &ip->v6.sin6_addr;
    return ip->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(a) ? a->s6_addr + 12 : NULL;
}

// By hand: it is done for every request, and inet_ntop() goes through sprintf().
static size_t v4_format(const unsigned char bytes[4], char *out)
{
    char *at = out;
    for (int i = 0; i < 4; i++) {
        unsigned b = bytes[i];
        if (b >= 100)
            *at++ = (char)('0' + b / 100);
        if (b >= 10)
            *at++ = (char)('0' + b / 10 % 10);
        *at++ = (char)('0' + b % 10);
        *at++ = i < 3 ? '.' : '\0';
    }
    return (size_t)(at - out) - 1;
}

size_t ip_format(const union ip_addr *ip, char out[ADDR_TEXT])
{
    const unsigned char *v4 = mapped_v4(ip);
    if (ip->sa.sa_family == AF_INET)
        v4 = (const unsigned char *)&ip->v4.sin_addr;
    if (v4 != NULL)
        return v4_format(v4, out);
    if (ip->sa.sa_family != AF_INET6 ||
        inet_ntop(AF_INET6, &ip->v6.sin6_addr, out, ADDR_TEXT) == NULL)
        (void)str_copy(STR("unix"), out, ADDR_TEXT);
    return strlen(out);
}

uint16_t ip_port(const union ip_addr *ip)
{
    if (ip->sa.sa_family == AF_INET)
        return ntohs(ip->v4.sin_port);
    if (ip->sa.sa_family == AF_INET6)
        return ntohs(ip->v6.sin6_port);
    return 0;
}

socklen_t ip_len(const union ip_addr *ip)
{
    return ip->sa.sa_family == AF_INET6 ? sizeof(ip->v6) : sizeof(ip->v4);
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    if (a->len != b->len || a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_UNIX)
        return strcmp(a->un.sun_path, b->un.sun_path) == 0;
    const void *x, *y;
    size_t n = ip_bytes(&a->ip, &x);
    return ip_port(&a->ip) == ip_port(&b->ip) && n == ip_bytes(&b->ip, &y) && memcmp(x, y, n) == 0;
}

size_t ip_bytes(const union ip_addr *ip, const void **bytes)
{
    const unsigned char *v4 = mapped_v4(ip);
    if (v4 != NULL) {
        *bytes = v4;
        return 4;
    }
    if (ip->sa.sa_family == AF_INET) {
        *bytes = &ip->v4.sin_addr;
        return 4;
    }
    *bytes = &ip->v6.sin6_addr;
    return ip->sa.sa_family == AF_INET6 ? 16 : 0;
}

bool cidr_parse(struct str text, struct cidr *out)
{
    struct addr a;
    uint64_t bits;
    struct str rest = text, host = str_cut(&rest, '/');
    if (!addr_parse_ip(host, 0, &a))
        return false;
    out->ip = a.ip;
    bool v6 = a.sa.sa_family == AF_INET6;
    uint64_t most = v6 ? 128 : 32;
    if (rest.p == NULL)
        bits = most;
    else if (!str_to_u64(rest, &bits) || bits > most)
        return false;
    out->bits = (uint8_t)bits;
    return true;
}

bool cidr_contains(const struct cidr *net, const union ip_addr *ip)
{
    const void *a, *b;
    size_t n = ip_bytes(&net->ip, &a);
    if (n == 0 || n != ip_bytes(ip, &b))
        return false;
    // a prefix written over a mapped address ("::ffff:10.0.0.0/104") counts from the v6 start
    unsigned bits = net->bits;
    if (n == 4 && net->ip.sa.sa_family == AF_INET6)
        bits = bits > 96 ? bits - 96 : 0;
    const unsigned char *x = a, *y = b;
    if (memcmp(x, y, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((x[bits / 8] ^ y[bits / 8]) >> (8 - rest)) == 0;
}
