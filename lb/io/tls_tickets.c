// SPDX-License-Identifier: MIT
// Ticket keys. The supervisor rotates them, workers read copies (io/tls_server.c).
//
// One writer, many readers, no lock: `version` is odd while the keys move, and a reader that has
// seen it change reads again. The writer needs microseconds every twelve hours.
// Invariant: all keys are random from the start; one that was never used opens no ticket.
// OpenSSL first: its headers use names that base/base.h bans
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "io/tls_tickets.h"

bool tls_tickets_rotate(struct tls_tickets *t)
{
    struct ticket_key fresh;
    if (RAND_priv_bytes((unsigned char *)&fresh, sizeof(fresh)) != 1)
        return false;
    atomic_fetch_add(&t->version, 1);
    memmove(&t->keys[1], &t->keys[0], sizeof(t->keys) - sizeof(t->keys[0]));
    t->keys[0] = fresh;
    atomic_fetch_add(&t->version, 1);
    OPENSSL_cleanse(&fresh, sizeof(fresh));
    return true;
}

bool tls_tickets_init(struct tls_tickets *t)
{
    bool fine = true;
    for (int i = 0; i < TICKET_KEYS; i++)
        fine = fine && tls_tickets_rotate(t);
    return fine;
}

static int find(const struct tls_tickets *t, const unsigned char *name, struct ticket_key *out)
{
    for (int i = 0; i < TICKET_KEYS; i++) {
        *out = t->keys[i];
        if (name == NULL || memcmp(out->name, name, sizeof(out->name)) == 0)
            return i;
    }
    return -1;
}

int tls_tickets_find(const struct tls_tickets *t, const unsigned char *name, struct ticket_key *out)
{
    for (;;) {
        unsigned before = atomic_load(&t->version);
        int age = find(t, name, out);
        atomic_thread_fence(memory_order_acquire);
        if ((before & 1) == 0 && atomic_load(&t->version) == before)
            return age;
    }
}
