// SPDX-License-Identifier: MIT
// The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt). Pure.
#ifndef EVLB_PROXY_HDR_H
#define EVLB_PROXY_HDR_H

#include "base/addr.h"

#define PROXY_V1_MAX 107           // the longest version-1 line, CRLF included
#define PROXY_HDR_MAX (16 + 65535) // the longest version-2 header
#define PROXY_TEXT_MAX 255         // the longest text of struct proxy_tls that is written
#define PROXY_OUT_MAX 1408         // the longest that proxy_hdr_format() writes

enum proxy_result { PROXY_DONE, PROXY_MORE, PROXY_BAD };

struct proxy_hdr {
    uint32_t bytes;         // length of the header
    bool local;             // v2 LOCAL, v1 UNKNOWN, or a family that we cannot represent: keep the
                            // real peer's addresses
    union ip_addr src, dst; // when !local
};

// PROXY_MORE: not complete. PROXY_BAD as soon as the bytes cannot become a header: the connection
// is dropped, nothing is ever guessed.
enum proxy_result proxy_hdr_parse(const char *bytes, size_t n, struct proxy_hdr *out) MUST_CHECK;

// What a version-2 header says of the client's TLS (protocol text 2.2). Texts that are
// empty are left out, and those that are too long: cut off they would name somebody else.
struct proxy_tls {
    struct str version, cipher; // "TLSv1.3", "TLS_AES_128_GCM_SHA256"; no version: it is passed
                                // through, of which there is `authority` alone
    struct str alpn, authority; // as agreed, and as the client asked for (SNI)
    bool has_certificate;       // the client has shown one, and it was found valid
    struct str client_name;     // the common name in it
};

// Writes a header of `version` 1 or 2 and returns its length. An IPv4-mapped address counts as
// IPv4. Families that differ or are not IP: version 1 UNKNOWN, version 2 PROXY with family UNSPEC
// and no addresses (protocol text 2.2: for relayed connections of an unsupported family). `src` or
// `dst` NULL, for connections of our own such as health checks: version 1 UNKNOWN, version 2 LOCAL.
// `tls` NULL: nothing is said of it; it goes with version 2 and addresses only.
size_t proxy_hdr_format(int version, const union ip_addr *src, const union ip_addr *dst,
                        const struct proxy_tls *tls, char out[PROXY_OUT_MAX]);

#endif
