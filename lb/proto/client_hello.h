// SPDX-License-Identifier: MIT
// The first words of a TLS client (RFC 8446 section 4.1.2, RFC 6066 section 3, RFC 7301 section
// 3.1): which name and which protocols it asks for, whether TLS ends here or not. Pure.
#ifndef EVLB_CLIENT_HELLO_H
#define EVLB_CLIENT_HELLO_H

#include "base/str.h"

#define CLIENT_HELLO_MAX 16384u   // of its records together; a longer one is refused
#define CLIENT_HELLO_NAME_MAX 253 // bytes of a name
#define CLIENT_HELLO_ALPNS 8      // of the protocols offered; further ones are not looked at

enum hello_result {
    HELLO_DONE,
    HELLO_MORE,    // so far it may become one
    HELLO_NOT_TLS, // its first bytes are no handshake record: something else is spoken
    HELLO_BAD,     // TLS, but broken or too long
};

struct client_hello {
    uint32_t bytes; // of its records, from the first byte on
    // Slices of `scratch`. A name that no host can have (empty labels, bytes that are not printable
    // ASCII, too long) makes the hello HELLO_BAD.
    struct str sni; // lower case, without a dot at its end; empty: none
    struct str alpn[CLIENT_HELLO_ALPNS];
    uint32_t n_alpn;
    bool tls13; // offered
};

// `in` is what has come from the connection's first byte on. The hello may be cut into records, and
// these into reads, anywhere; what is wrong is refused at the first byte that shows it. What comes
// behind its last record is not looked at. `scratch`, of CLIENT_HELLO_MAX bytes, gets its message.
// `out` means something with HELLO_DONE only.
enum hello_result client_hello_parse(struct str in, char *scratch,
                                     struct client_hello *out) MUST_CHECK;

#endif
