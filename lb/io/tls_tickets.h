// SPDX-License-Identifier: MIT
// The keys of session tickets (RFC 5077; RFC 8446 section 4.6.1): in memory that the supervisor and
// all workers share, so that a session begun with one worker is resumed with any other, and after a
// reload.
#ifndef EVLB_TLS_TICKETS_H
#define EVLB_TLS_TICKETS_H

#include <stdatomic.h>

#include "base/str.h"

#define TICKET_WHY_MAX 160
#define TICKET_KEYS 3 // the one in use, and the two before it, whose tickets are still taken

struct ticket_key {
    unsigned char name[16], secret[32], mac[32];
};

// Written by the supervisor alone.
struct tls_tickets {
    atomic_uint version; // odd: being written
    struct ticket_key keys[TICKET_KEYS];
};

// A new key in front of the others. False: no random bytes; nothing has changed.
bool tls_tickets_rotate(struct tls_tickets *t) MUST_CHECK;
// Reads the lines of a key file: 80 bytes in base64 each, name, AES key, HMAC key (as HAProxy's
// tls-ticket-keys). Of the last three the middle one becomes the one in use; of two the first. Gaps
// are filled with random keys. False: `why`.
bool tls_tickets_read(struct str lines, struct ticket_key out[TICKET_KEYS],
                      char why[TICKET_WHY_MAX]) MUST_CHECK;
// Puts these in place of all.
void tls_tickets_set(struct tls_tickets *t, const struct ticket_key keys[TICKET_KEYS]);
void tls_ticket_keys_forget(struct ticket_key keys[TICKET_KEYS]);
// Fills all of them. False: as above.
bool tls_tickets_init(struct tls_tickets *t) MUST_CHECK;
// A copy of the key in use (`name` NULL) or of the one with that name. Returns its age: 0, 1 or 2;
// -1: there is none.
int tls_tickets_find(const struct tls_tickets *t, const unsigned char *name,
                     struct ticket_key *out) MUST_CHECK;

#endif
