// SPDX-License-Identifier: MIT
// Challenges of type HTTP-01 (RFC 8555 section 8.3): where they are asked for. Pure.
#ifndef EVLB_ACME_H
#define EVLB_ACME_H

#include "base/str.h"

#define ACME_PATH "/.well-known/acme-challenge/"
#define ACME_TOKEN_MAX 128         // authorities send some 43
#define ACME_ANSWER_MAX (4 * 1024) // "TOKEN.THUMBPRINT", 87 of theirs

// Letters, digits, "-" and "_" (base64url), not too many: fit to be the name of a file.
bool acme_is_token(struct str s);
// The token that a request target asks for; empty when it is for something else.
struct str acme_token(struct str target);

#endif
