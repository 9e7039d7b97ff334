// SPDX-License-Identifier: MIT
// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding. Passwords are
// taken as they are: SASLprep changes no printable ASCII.
#ifndef EVLB_SCRAM_H
#define EVLB_SCRAM_H

#include "base/str.h"

#define SCRAM_TEXT 512 // of one message, ours or the server's
#define SCRAM_SIGNATURE 32

struct scram {
    struct str user, password;
    struct str nonce; // random, printable, no comma
};

// The first message without its header ("n,,"). False: too long.
bool scram_first(const struct scram *s, char out[SCRAM_TEXT]) MUST_CHECK;

enum scram_result {
    SCRAM_OK,
    SCRAM_MALFORMED,  // what the server said, or too long
    SCRAM_TOO_COSTLY, // more rounds than a check may spend
    SCRAM_NO_DIGEST,  // libcrypto refuses
};
// The last message in answer to the server's first one, and the signature that a server which knows
// the password ends with.
enum scram_result scram_final(const struct scram *s, struct str server_first, char out[SCRAM_TEXT],
                              uint8_t signature[SCRAM_SIGNATURE]) MUST_CHECK;
// Whether the server's last message holds that signature.
bool scram_verified(struct str server_final, const uint8_t signature[SCRAM_SIGNATURE]) MUST_CHECK;

#endif
