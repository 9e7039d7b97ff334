// SPDX-License-Identifier: MIT
// Addresses as the configuration writes them.
#ifndef EVLB_CONF_ADDRESS_H
#define EVLB_CONF_ADDRESS_H

#include "base/addr.h"

enum address_result {
    ADDRESS_OK,
    ADDRESS_NO_PORT,
    ADDRESS_BAD_PORT,  // not 1..65535
    ADDRESS_BARE_IPV6, // without brackets
    ADDRESS_BAD_UNIX,  // empty, relative or too long
    ADDRESS_URL,       // http://...
    ADDRESS_WORDS,     // something behind a space
    ADDRESS_NAME,      // listen: a name, where a number is needed
    ADDRESS_BAD_HOST,
    ADDRESS_PORT_ONLY, // server: where?
    ADDRESS_BAD_SRV,   // srv: without a name, or with a port
};

struct address {
    struct addr addr; // len 0: a name
    struct str host;  // without brackets; empty: any (a bare port) or unix
    uint16_t port;    // 0 for unix
    bool bare;        // a port alone
    bool srv;         // host is the name of an SRV record; no port
};

// "80", ":80", "*:80", "10.0.0.1:80", "[::1]:80", "unix:/run/x.sock". A bare port is [::].
enum address_result address_parse_listen(struct str text, struct address *out) MUST_CHECK;
// "10.0.0.1:80", "[::1]:80", "name:80", "unix:/run/x.sock", "srv:_http._tcp.example.com".
enum address_result address_parse_server(struct str text, struct address *out) MUST_CHECK;
// Letters, digits, '-', '_' and dots, as DNS allows: at most 253 bytes, labels of 1..63.
bool address_is_host_name(struct str s);

#endif
