// SPDX-License-Identifier: MIT
// A network address (IPv4, IPv6 or unix socket) and a network prefix. Numeric only: names are
// resolved elsewhere.
#ifndef EVLB_ADDR_H
#define EVLB_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/base.h"
#include "base/str.h"

// An IP address with port: small enough to sit in every session (28 bytes).
union ip_addr {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

// Any address that can be bound or connected to.
struct addr {
    socklen_t len; // 0: none
    union {
        union ip_addr ip;
        struct sockaddr sa;
        struct sockaddr_un un;
    };
};

#define ADDR_TEXT 128 // room for any address as text, with NUL

// "10.0.0.1" or "::1" (no brackets) plus port. False when it is no numeric address.
bool addr_parse_ip(struct str host, uint16_t port, struct addr *out) MUST_CHECK;
// "unix:/path" without its prefix. False when too long or empty.
bool addr_parse_unix(struct str path, struct addr *out) MUST_CHECK;
// "10.0.0.1:80", "[::1]:80", "unix:/path". Returns the number of characters (out is
// NUL-terminated).
size_t addr_format(const struct addr *a, char out[ADDR_TEXT]);
// The same without port and brackets: "10.0.0.1", "::1", "unix". IPv4-mapped IPv6 as IPv4.
size_t ip_format(const union ip_addr *ip, char out[ADDR_TEXT]);
uint16_t ip_port(const union ip_addr *ip);
socklen_t ip_len(const union ip_addr *ip);
bool addr_eq(const struct addr *a, const struct addr *b);
// The bytes that identify a host (4 or 16; IPv4-mapped IPv6 counts as IPv4), for hashing. 0 for
// unix.
size_t ip_bytes(const union ip_addr *ip, const void **bytes);

// 10.0.0.0/8, ::1, fe80::/10.
struct cidr {
    union ip_addr ip;
    uint8_t bits; // of prefix
};
// False when malformed (bad address, prefix too long).
bool cidr_parse(struct str text, struct cidr *out) MUST_CHECK;
// IPv4-mapped IPv6 addresses match IPv4 prefixes. Never true for a unix peer.
bool cidr_contains(const struct cidr *net, const union ip_addr *ip);

#endif
