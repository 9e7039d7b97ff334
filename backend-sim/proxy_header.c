/* SPDX-License-Identifier: MIT */
/*
 * Reads the PROXY protocol header, versions 1 and 2, for --accept-proxy.
 * Source: the PROXY protocol document of HAProxy, sections 2.1 and 2.2.
 *
 * The reader is strict on purpose: version 1 lines have one space between the words, decimal ports
 * without leading zeros and addresses that inet_pton accepts; in version 2 the TLVs have to fill
 * the announced length exactly. A header that is wrong makes the caller reset the connection, so a
 * balancer that writes a bad one cannot pass its tests.
 */
#include "proxy_header.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define V1_MAX 107
#define V2_HEAD 16

static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static bool read_port(struct slice s, uint16_t *port)
{
    uint64_t value = 0;
    if (!parse_number(s, &value) || value > 65535 || (s.len > 1 && s.ptr[0] == '0'))
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool read_address(struct slice s, int family, char *out, size_t out_size)
{
    unsigned char ignored[16];
    if (s.len == 0 || s.len >= out_size)
        return false;
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return inet_pton(family, out, ignored) == 1;
}

static bool v1_line(struct slice line, struct proxy_info *info)
{
    slice_cut(&line, ' ');
    struct slice family = slice_cut(&line, ' ');
    snprintf(info->family, sizeof(info->family), "%.*s", (int)(family.len & 15), family.ptr);
    if (slice_is(family, "UNKNOWN"))
        return true;
    if (!slice_is(family, "TCP4") && !slice_is(family, "TCP6"))
        return false;
    int af = slice_is(family, "TCP4") ? AF_INET : AF_INET6;
    struct slice src = slice_cut(&line, ' '), dst = slice_cut(&line, ' ');
    struct slice src_port = slice_cut(&line, ' ');
    return read_address(src, af, info->src, sizeof(info->src)) &&
           read_address(dst, af, info->dst, sizeof(info->dst)) &&
           read_port(src_port, &info->src_port) && read_port(line, &info->dst_port);
}

static enum proxy_result read_v1(struct slice in, struct proxy_info *info, size_t *used)
{
    size_t look = in.len < V1_MAX ? in.len : V1_MAX;
    const char *end = memmem(in.ptr, look, "\r\n", 2);
    if (!end)
        return look == V1_MAX ? PROXY_WRONG : PROXY_MORE;
    info->version = 1;
    *used = (size_t)(end - in.ptr) + 2;
    return v1_line((struct slice){in.ptr, *used - 2}, info) ? PROXY_DONE : PROXY_WRONG;
}

static bool tlvs_fill(const unsigned char *p, size_t len)
{
    while (len >= 3) {
        size_t one = 3U + (size_t)(p[1] << 8 | p[2]);
        if (one > len)
            return false;
        p += one;
        len -= one;
    }
    return len == 0;
}

static uint16_t port_at(const unsigned char *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* Bytes that the addresses take, or -1 when the announced length is too short for them. */
static int v2_addresses(const unsigned char *p, size_t len, int family, struct proxy_info *info)
{
    int af = family == 1 ? AF_INET : AF_INET6;
    size_t one = family == 1 ? 4 : 16;
    if (family == 3) {
        if (len < 216)
            return -1;
        snprintf(info->src, sizeof(info->src), "%.108s", (const char *)p);
        snprintf(info->dst, sizeof(info->dst), "%.108s", (const char *)p + 108);
        return 216;
    }
    if (len < 2 * one + 4)
        return -1;
    inet_ntop(af, p, info->src, sizeof(info->src));
    inet_ntop(af, p + one, info->dst, sizeof(info->dst));
    info->src_port = port_at(p + 2 * one);
    info->dst_port = port_at(p + 2 * one + 2);
    return (int)(2 * one + 4);
}

static enum proxy_result read_v2(struct slice in, struct proxy_info *info, size_t *used)
{
    if (in.len < V2_HEAD)
        return PROXY_MORE;
    const unsigned char *p = (const unsigned char *)in.ptr;
    size_t len = port_at(p + 14);
    int family = p[13] >> 4, transport = p[13] & 15;
    if (p[12] >> 4 != 2 || (p[12] & 15) > 1 || family > 3 || transport > 2)
        return PROXY_WRONG;
    if (in.len < V2_HEAD + len)
        return PROXY_MORE;
    info->version = 2;
    snprintf(info->command, sizeof(info->command), "%s", p[12] & 1 ? "PROXY" : "LOCAL");
    int taken = 0;
    if (family && transport) {
        static const char *const names[4][3] = {
            {"", "", ""}, {"", "TCP4", "UDP4"}, {"", "TCP6", "UDP6"}, {"", "UNIX", "UNIX"}};
        snprintf(info->family, sizeof(info->family), "%s", names[family][transport]);
        taken = v2_addresses(p + V2_HEAD, len, family, info);
    }
    *used = V2_HEAD + len;
    /* Without addresses a LOCAL header may carry any bytes: "must be skipped". */
    bool skipped = !(family && transport);
    if (taken < 0 || (!skipped && !tlvs_fill(p + V2_HEAD + taken, len - (size_t)taken)))
        return PROXY_WRONG;
    info->tlv_bytes = (uint16_t)(len - (size_t)taken);
    return PROXY_DONE;
}

enum proxy_result proxy_header_read(struct slice in, struct proxy_info *info, size_t *used)
{
    *info = (struct proxy_info){.command = "PROXY", .family = "UNKNOWN", .src = "-", .dst = "-"};
    if (in.len == 0)
        return PROXY_MORE;
    size_t v1 = in.len < 6 ? in.len : 6, v2 = in.len < 12 ? in.len : 12;
    if (memcmp(in.ptr, "PROXY ", v1) == 0)
        return v1 < 6 ? PROXY_MORE : read_v1(in, info, used);
    if (memcmp(in.ptr, v2_signature, v2) == 0)
        return v2 < 12 ? PROXY_MORE : read_v2(in, info, used);
    return PROXY_WRONG;
}

void proxy_info_text(const struct proxy_info *info, struct buf *out)
{
    if (info->version == 0) {
        buf_add_text(out, "version=none\n");
        return;
    }
    buf_addf(out, "version=%d\ncommand=%s\nfamily=%s\n", info->version, info->command,
             info->family);
    buf_addf(out, "src=%s\nsrc_port=%u\n", info->src, (unsigned)info->src_port);
    buf_addf(out, "dst=%s\ndst_port=%u\n", info->dst, (unsigned)info->dst_port);
    buf_addf(out, "tlv_bytes=%u\n", (unsigned)info->tlv_bytes);
}
