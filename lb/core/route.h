// SPDX-License-Identifier: MIT
// Which route of a frontend a request takes.
#ifndef EVLB_ROUTE_H
#define EVLB_ROUTE_H

#include "conf/config.h"

// True when some route of `f` looks at the host or at the path, so that the caller must bring these
// in normal form (proto/uri.h).
bool route_needs_host(const struct frontend *f);
bool route_needs_path(const struct frontend *f);
// True when some route of `f`, of mode tcp, looks at what a TLS client asks for.
bool route_needs_hello(const struct frontend *f);
// True when some route of `f` passes TLS through.
bool route_has_passthrough(const struct frontend *f);

// True when some route of `f` looks at how TLS was agreed on, or at alpn.
bool route_needs_tls(const struct frontend *f);

// Of a connection whose TLS ends here.
struct route_tls_facts {
    enum route_version version;
    struct str sni;    // lower case
    struct str cipher; // OpenSSL's name
    struct str subject;
    bool client_cert, resumed;
};

// What routes look at.
struct route_facts {
    struct str host;        // lower case without port; empty when the request (the hello) has none
    struct str path;        // normalised without query
    const struct str *alpn; // offered (route_of_hello) or agreed on
    uint32_t n_alpn;
    struct route_tls_facts over; // only when some route needs it
    bool tls;                    // came over TLS that ends here
    bool secure; // the client sent it over TLS: to here, or to a trusted proxy that says so
};

// The first route that matches, NULL when none does. One with ROUTE_PASSTHROUGH takes no request,
// and no connection whose TLS has ended here.
const struct route *route_find(const struct frontend *f, const struct route_facts *facts);
// The first route that takes a connection for what its TLS client asks for: one that looks at the
// host and at ALPN alone. Its `tls` says whether TLS ends here. NULL when none does (TLS that ends
// here may still have requests that some route takes). `facts->tls`: the address has TLS, so what
// other routes look at may still be agreed on; without, it never will.
const struct route *route_of_hello(const struct frontend *f, const struct route_facts *facts);

// Where ROUTE_REDIRECT sends: writes the Location into `out` (no NUL) and returns its length.
// `target` is the path and query as the client sent them (empty counts as "/"), `host` as above.
//
//   redirect               Location
//   https                  "https://" + host + target
//   https:8443             "https://" + host + ":8443" + target
//   URL that ends in "/"   URL + what follows the matched path prefix in target, query included
//   any other URL          URL
//
// So {path: /old/, redirect: "https://www.example.com/new/"} answers /old/a?b=1 with
// https://www.example.com/new/a?b=1. Without `path` the whole target follows. Slashes in front of
// what is appended are dropped, so that the URL "/" never becomes "//elsewhere". When the target
// itself does not begin with the prefix (only its normal form does: "//old/a"), the URL is sent as
// it stands. Bytes of the target that no URI may hold are percent-encoded.
// 0 when it does not fit or must not be made: https without a host, a host or target that holds
// control characters or spaces, a target that does not begin with "/".
size_t route_location(const struct route *r, struct str host, struct str target, char *out,
                      size_t size) MUST_CHECK;

#endif
