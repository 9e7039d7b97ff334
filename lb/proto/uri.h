// SPDX-License-Identifier: MIT
// Paths and hosts as routes see them. The bytes that are forwarded are never changed; what is
// matched is their normal form, so that "/a/../secret" or "/%73ecret" cannot pass by a rule.
#ifndef EVLB_URI_H
#define EVLB_URI_H

#include "base/base.h"
#include "base/str.h"

// Writes the normal form of the path of `target` (no query): percent-encoded unreserved characters
// decoded, other escapes in upper case, "." and ".." resolved, "//" folded, parameters (";x=1")
// left out. "%2F" counts as "/" and "%3B" as ";": some servers decode them, some read "/a;x" as
// "/a", and a denied path must be denied for them too. False when it is not usable for matching: an
// invalid escape, an encoded NUL, more than size bytes, not a path, or one of which servers make
// different paths: ".." with parameters or behind "//", "%2F" or a segment of nothing but
// parameters, an encoded slash in parameters. Answer 400. "*" counts as "/". `out` gets no NUL;
// *len its length (>= 1, begins with '/').
bool uri_normalise(struct str target, char *out, size_t size, size_t *len) MUST_CHECK;

// The host of an authority in lower case, without port, trailing dot or zone; an IPv6 address keeps
// its brackets ("[::1]"). False when malformed (RFC 3986 3.2.2): user info, comma, space, empty,
// bad port. Percent-encoding, which the RFC allows in a host, is refused: no name in DNS needs it,
// and two readers could differ about it.
bool uri_host(struct str authority, char *out, size_t size, size_t *len) MUST_CHECK;
// The same without writing: the parts as they stand. `host` of an IPv6 address ends before its zone
// or bracket; `port` begins with its colon or is empty.
bool uri_authority_split(struct str authority, struct str *host, struct str *port) MUST_CHECK;

#endif
