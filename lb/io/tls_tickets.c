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

#include "base/base64.h"

_Static_assert(sizeof(struct ticket_key) == 80, "the bytes of a line are the key");

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

void tls_tickets_set(struct tls_tickets *t, const struct ticket_key keys[TICKET_KEYS])
{
    atomic_fetch_add(&t->version, 1);
    memcpy(t->keys, keys, sizeof(t->keys));
    atomic_fetch_add(&t->version, 1);
}

void tls_ticket_keys_forget(struct ticket_key keys[TICKET_KEYS])
{
    OPENSSL_cleanse(keys, TICKET_KEYS * sizeof(*keys));
}

// ---- files ------------------------------------------------------------------------------------

static bool read_key(struct str line, struct ticket_key *out, size_t *n)
{
    uint8_t bytes[2 * sizeof(*out)] = {0};
    bool fine = base64_decode(line, bytes, sizeof(bytes), n) && *n == sizeof(*out);
    memcpy(out, bytes, sizeof(*out));
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return fine;
}

// The last TICKET_KEYS, in the order of the file. Returns how many there are; -1: `why`.
static int read_lines(struct str rest, struct ticket_key last[TICKET_KEYS], char *why)
{
    int n = 0;
    for (unsigned number = 1; rest.p != NULL; number++) {
        struct str line = str_cut(&rest, '\n');
        size_t bytes = 0;
        line = str_trim(line.len > 0 && line.p[line.len - 1] == '\r'
                            ? (struct str){line.p, line.len - 1}
                            : line);
        if (line.len == 0 || line.p[0] == '#')
            continue;
        memmove(&last[0], &last[1], (TICKET_KEYS - 1) * sizeof(*last));
        if (!read_key(line, &last[TICKET_KEYS - 1], &bytes)) {
            (void)snprintf(why, TICKET_WHY_MAX,
                           bytes > 0 ? "line %u is a key of %zu bytes; 80 are needed"
                                     : "line %u is not base64 of 80 bytes",
                           number, bytes);
            return -1;
        }
        n += n < TICKET_KEYS;
    }
    return n;
}

// Memory that is zero would be a key that everybody knows.
static bool fill(struct ticket_key *keys, int n)
{
    return n == 0 || RAND_priv_bytes((unsigned char *)keys, n * (int)sizeof(*keys)) == 1;
}

bool tls_tickets_read(struct str lines, struct ticket_key out[TICKET_KEYS],
                      char why[TICKET_WHY_MAX])
{
    struct ticket_key last[TICKET_KEYS] = {0};
    int n = read_lines(lines, last, why);
    if (n == 0)
        (void)snprintf(why, TICKET_WHY_MAX, "it holds no key");
    bool fine = n > 0 && fill(last, TICKET_KEYS - n);
    if (n > 0 && !fine)
        (void)snprintf(why, TICKET_WHY_MAX, "no random bytes");
    int used = n == 1 ? 2 : 1; // the last but one, or the only one
    out[0] = last[used];
    out[1] = last[used == 1 ? 2 : 1];
    out[2] = last[0];
    tls_ticket_keys_forget(last);
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
