// SPDX-License-Identifier: MIT
// Keys of session tickets in the supervisor: made here and renewed every `tickets.rotate`, or read
// from the file of `tickets.keys`. Called by supervisor.c and reload.c.
//
// Invariant: while a new binary starts nothing is renewed: it was told the keys, and both serve.
#include "process/tickets.h"

#include "base/log.h"
#include "conf/diag.h"
#include "io/loop.h"
#include "io/tls_tickets.h"
#include "process/handover.h"
#include "process/inherited.h"

bool tickets_check(const struct config *c, struct findings *f)
{
    const struct tickets *k = &c->tickets;
    struct ticket_key keys[TICKET_KEYS];
    char why[TICKET_WHY_MAX];
    if (k->keys_file.len == 0)
        return true;
    bool fine = tls_tickets_read(k->keys, keys, why);
    tls_ticket_keys_forget(keys);
    if (fine)
        return true;
    struct finding *x =
        diag_error(f, diag_span(c, &k->mark), "tls.tickets", "'%s': %s", k->keys_file.p, why);
    x->topic = "tickets.keys";
    diag_fix(f, x, "a line for each key: openssl rand 80 | openssl base64 -A; echo");
    return false;
}

// The file was looked into when it was loaded.
static void use_file(struct tree *t)
{
    struct ticket_key keys[TICKET_KEYS];
    char why[TICKET_WHY_MAX];
    if (tls_tickets_read(t->config->tickets.keys, keys, why))
        tls_tickets_set(t->shared->tickets, keys);
    else
        log_warning("'%s': %s; the old ticket keys stay", t->config->tickets.keys_file.p, why);
    tls_ticket_keys_forget(keys);
}

static void renew(struct tree *t, uint64_t now_ms)
{
    if (!tls_tickets_rotate(t->shared->tickets))
        log_warning("no random bytes for a new ticket key: the old one stays");
    t->ticket_ms = now_ms;
}

void tickets_begin(struct tree *t, struct str inherited)
{
    struct ticket_key keys[TICKET_KEYS];
    t->ticket_ms = clock_monotonic_ms();
    if (t->shared->tickets == NULL)
        return;
    if (t->config->tickets.keys_file.len > 0)
        use_file(t);
    else if (inherited_tickets(inherited, keys))
        tls_tickets_set(t->shared->tickets, keys);
    tls_ticket_keys_forget(keys);
}

void tickets_changed(struct tree *t, const struct config *old)
{
    const struct tickets *now = &t->config->tickets, *before = &old->tickets;
    if (t->shared->tickets == NULL)
        return;
    if (now->keys_file.len > 0 && !str_eq(now->keys, before->keys))
        use_file(t);
    else if (now->keys_file.len == 0 && before->keys_file.len > 0)
        renew(t, clock_monotonic_ms());
}

uint64_t tickets_next_ms(const struct tree *t)
{
    bool fixed = t->shared->tickets == NULL || t->config->tickets.keys_file.len > 0 ||
                 handover_fd(t->handover) >= 0;
    return fixed ? UINT64_MAX : t->ticket_ms + t->config->tickets.rotate_ms;
}

void tickets_turn(struct tree *t, uint64_t now_ms)
{
    if (now_ms >= tickets_next_ms(t))
        renew(t, now_ms);
}
