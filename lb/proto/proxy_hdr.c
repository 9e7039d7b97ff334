// SPDX-License-Identifier: MIT
// PROXY protocol headers, read and written. Runs in workers (listeners with accept-proxy, backends
// with send-proxy) and in the control process (checks). Strict: what is not exactly a header is
// refused at the first byte that cannot belong to one; which version it is follows from the first
// byte, and nothing else is ever tried.
//
//      v2:  | signature 12 | ver+cmd | family+proto | length 16 bit | addresses | TLVs |
//      TLV: | type | length 16 bit | value |; that of TLS holds | client | verify 32 bit | TLVs |
#include "proto/proxy_hdr.h"

#include <arpa/inet.h>

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum {
    V2_HEAD = 16,
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    V2_INET_BYTES = 12,
    V2_INET6_BYTES = 36,
    V2_UNIX_BYTES = 216,

    TLV_HEAD = 3,
    TLV_ALPN = 0x01,
    TLV_AUTHORITY = 0x02,
    TLV_SSL = 0x20,
    TLV_SSL_VERSION = 0x21,
    TLV_SSL_CN = 0x22,
    TLV_SSL_CIPHER = 0x23,
    CLIENT_SSL = 1,           // over TLS
    CLIENT_CERT_CONN = 2 | 4, // ... with a certificate: on this connection, in this session
};

// ------------------------------------------------------------------ version 1

static bool read_port(struct str text, uint16_t *port)
{
    uint64_t value;
    if (text.len > 5 || !str_to_u64(text, &value) || value > 65535)
        return false;
    if (text.len > 1 && text.p[0] == '0')
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool read_ip(struct str text, sa_family_t family, uint16_t port, union ip_addr *out)
{
    struct addr a;
    if (text.len == 0 || memchr(text.p, '\0', text.len) != NULL || !addr_parse_ip(text, port, &a) ||
        a.sa.sa_family != family)
        return false;
    *out = a.ip;
    return true;
}

// "TCP4 1.2.3.4 5.6.7.8 1 2", without PROXY and the line's end.
static bool read_v1_fields(struct str line, struct proxy_hdr *out)
{
    struct str protocol = str_cut(&line, ' ');
    if (str_eq(protocol, STR("UNKNOWN"))) {
        out->local = true; // whatever follows is to be ignored
        return true;
    }
    bool v6 = str_eq(protocol, STR("TCP6"));
    if (!v6 && !str_eq(protocol, STR("TCP4")))
        return false;
    sa_family_t family = v6 ? AF_INET6 : AF_INET;
    struct str src = str_cut(&line, ' '), dst = str_cut(&line, ' '), sport = str_cut(&line, ' ');
    uint16_t from, to;
    return read_port(sport, &from) && read_port(line, &to) &&
           read_ip(src, family, from, &out->src) && read_ip(dst, family, to, &out->dst);
}

static enum proxy_result parse_v1(const char *bytes, size_t n, struct proxy_hdr *out)
{
    static const char start[] = "PROXY ";
    size_t fixed = sizeof(start) - 1;
    if (memcmp(bytes, start, MIN_OF(n, fixed)) != 0)
        return PROXY_BAD;
    size_t seen = MIN_OF(n, (size_t)PROXY_V1_MAX), end = fixed;
    while (end < seen && (unsigned char)bytes[end] >= 0x20)
        end++;
    if (end >= seen)
        return n >= PROXY_V1_MAX ? PROXY_BAD : PROXY_MORE;
    if (bytes[end] != '\r' || end + 1 == PROXY_V1_MAX)
        return PROXY_BAD;
    if (end + 1 == n)
        return PROXY_MORE;
    if (bytes[end + 1] != '\n' || !read_v1_fields(str_from(bytes + fixed, bytes + end), out))
        return PROXY_BAD;
    out->bytes = (uint32_t)end + 2;
    return PROXY_DONE;
}

// ------------------------------------------------------------------ version 2

static unsigned read16(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

// Type-length-value entries are not used, but must fill the rest of the header exactly.
static bool tlvs_fit(const unsigned char *p, size_t n)
{
    while (n > 0) {
        if (n < 3)
            return false;
        size_t entry = 3 + (size_t)read16(p + 1);
        if (entry > n)
            return false;
        p += entry;
        n -= entry;
    }
    return true;
}

static void read_inet(const unsigned char *p, struct proxy_hdr *out)
{
    out->src.v4.sin_family = out->dst.v4.sin_family = AF_INET;
    memcpy(&out->src.v4.sin_addr, p, 4);
    memcpy(&out->dst.v4.sin_addr, p + 4, 4);
    memcpy(&out->src.v4.sin_port, p + 8, 2);
    memcpy(&out->dst.v4.sin_port, p + 10, 2);
}

static void read_inet6(const unsigned char *p, struct proxy_hdr *out)
{
    out->src.v6.sin6_family = out->dst.v6.sin6_family = AF_INET6;
    memcpy(&out->src.v6.sin6_addr, p, 16);
    memcpy(&out->dst.v6.sin6_addr, p + 16, 16);
    memcpy(&out->src.v6.sin6_port, p + 32, 2);
    memcpy(&out->dst.v6.sin6_port, p + 34, 2);
}

// Bytes of addresses that this family has, or -1 when the family or the protocol does not exist.
// Only streams over IP are taken over; the rest keeps the real peer.
static int address_bytes(unsigned family, bool *usable)
{
    static const int sizes[] = {0, V2_INET_BYTES, V2_INET6_BYTES, V2_UNIX_BYTES};
    unsigned kind = family >> 4, protocol = family & 15;
    if (kind >= ARRAY_LEN(sizes) || protocol > 2)
        return -1;
    *usable = family == V2_TCP4 || family == V2_TCP6;
    return sizes[kind];
}

static enum proxy_result read_v2_block(unsigned family, const unsigned char *p, size_t n,
                                       struct proxy_hdr *out)
{
    bool usable;
    int need = address_bytes(family, &usable);
    if (need < 0 || (size_t)need > n)
        return PROXY_BAD;
    // without a family nothing says where addresses end: the block has no meaning
    if (need > 0 && !tlvs_fit(p + need, n - (size_t)need))
        return PROXY_BAD;
    out->local = !usable;
    if (family == V2_TCP4)
        read_inet(p, out);
    else if (family == V2_TCP6)
        read_inet6(p, out);
    return PROXY_DONE;
}

static enum proxy_result parse_v2(const unsigned char *p, size_t n, struct proxy_hdr *out)
{
    bool usable;
    if (memcmp(p, signature, MIN_OF(n, sizeof(signature))) != 0)
        return PROXY_BAD;
    if (n > 12 && p[12] != V2_LOCAL && p[12] != V2_PROXY)
        return PROXY_BAD;
    bool local = n > 12 && p[12] == V2_LOCAL;
    if (n > 13 && !local && address_bytes(p[13], &usable) < 0)
        return PROXY_BAD;
    if (n < V2_HEAD)
        return PROXY_MORE;
    size_t len = read16(p + 14);
    if (!local && len < (size_t)address_bytes(p[13], &usable))
        return PROXY_BAD;
    if (n < V2_HEAD + len)
        return PROXY_MORE;
    out->bytes = (uint32_t)(V2_HEAD + len);
    out->local = local; // its block is to be skipped unread
    return local ? PROXY_DONE : read_v2_block(p[13], p + V2_HEAD, len, out);
}

enum proxy_result proxy_hdr_parse(const char *bytes, size_t n, struct proxy_hdr *out)
{
    memset(out, 0, sizeof(*out));
    if (n == 0)
        return PROXY_MORE;
    if (bytes[0] == 'P')
        return parse_v1(bytes, n, out);
    return parse_v2((const unsigned char *)bytes, n, out);
}

// ------------------------------------------------------------------ writing

// 4, 16, or 0 when the two cannot stand in one header. `from` and `to` are the addresses' bytes.
static size_t common_family(const union ip_addr *src, const union ip_addr *dst, const void **from,
                            const void **to)
{
    if (src == NULL || dst == NULL)
        return 0;
    size_t n = ip_bytes(src, from);
    return n == ip_bytes(dst, to) ? n : 0;
}

static size_t format_v1(const union ip_addr *src, const union ip_addr *dst, char out[PROXY_OUT_MAX])
{
    const void *from, *to;
    char source[ADDR_TEXT], target[ADDR_TEXT];
    size_t n = common_family(src, dst, &from, &to);
    int len;
    if (n == 0) {
        len = snprintf(out, PROXY_OUT_MAX, "PROXY UNKNOWN\r\n");
    } else {
        (void)ip_format(src, source);
        (void)ip_format(dst, target);
        len = snprintf(out, PROXY_OUT_MAX, "PROXY TCP%c %.45s %.45s %u %u\r\n", n == 4 ? '4' : '6',
                       source, target, ip_port(src), ip_port(dst));
    }
    lb_assert(len > 0 && len <= PROXY_V1_MAX);
    return (size_t)len;
}

static void write16(char *out, size_t value)
{
    out[0] = (char)(value >> 8);
    out[1] = (char)(value & 255);
}

// Returns where the next one goes.
static char *put_text(char *out, int type, struct str text)
{
    if (text.len == 0 || text.len > PROXY_TEXT_MAX)
        return out;
    out[0] = (char)type;
    write16(out + 1, text.len);
    memcpy(out + TLV_HEAD, text.p, text.len);
    return out + TLV_HEAD + text.len;
}

static char *put_ssl(char *out, const struct proxy_tls *t)
{
    char *p = out + TLV_HEAD;
    *p++ = (char)(CLIENT_SSL | (t->has_certificate ? CLIENT_CERT_CONN : 0));
    memset(p, 0, 4);
    p[3] = t->has_certificate ? 0 : 1;
    p = put_text(p + 4, TLV_SSL_VERSION, t->version);
    p = put_text(p, TLV_SSL_CN, t->client_name);
    p = put_text(p, TLV_SSL_CIPHER, t->cipher);
    out[0] = TLV_SSL;
    write16(out + 1, (size_t)(p - out) - TLV_HEAD);
    return p;
}

static char *put_tls(char *out, const struct proxy_tls *t)
{
    out = put_text(out, TLV_ALPN, t->alpn);
    out = put_text(out, TLV_AUTHORITY, t->authority);
    return t->version.len > 0 ? put_ssl(out, t) : out;
}

static size_t format_v2(const union ip_addr *src, const union ip_addr *dst,
                        const struct proxy_tls *tls, char out[PROXY_OUT_MAX])
{
    const void *from = NULL, *to = NULL;
    size_t n = common_family(src, dst, &from, &to);
    char *end = out + V2_HEAD + (n > 0 ? 2 * n + 4 : 0);
    memcpy(out, signature, sizeof(signature));
    out[12] = src == NULL || dst == NULL ? V2_LOCAL : V2_PROXY;
    out[13] = n == 0 ? 0 : n == 4 ? V2_TCP4 : V2_TCP6;
    if (n > 0) {
        uint16_t ports[2] = {htons(ip_port(src)), htons(ip_port(dst))};
        memcpy(out + V2_HEAD, from, n);
        memcpy(out + V2_HEAD + n, to, n);
        memcpy(out + V2_HEAD + 2 * n, ports, sizeof(ports));
    }
    if (n > 0 && tls != NULL) // without a family not all readers know where these begin
        end = put_tls(end, tls);
    size_t len = (size_t)(end - out);
    lb_assert(len <= PROXY_OUT_MAX);
    write16(out + 14, len - V2_HEAD);
    return len;
}

size_t proxy_hdr_format(int version, const union ip_addr *src, const union ip_addr *dst,
                        const struct proxy_tls *tls, char out[PROXY_OUT_MAX])
{
    lb_assert(version == 1 || version == 2);
    return version == 1 ? format_v1(src, dst, out) : format_v2(src, dst, tls, out);
}
