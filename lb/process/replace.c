// SPDX-License-Identifier: MIT
// Replacing a worker without a gap: another one takes the free seat and the same listening sockets;
// when it is ready the old one drains. Runs in the supervisor, called by its loop; wanted by an
// administrator (requests.c) or by a reload that a worker could not take (reload.c).
//
//   serving --renew--> waits for the seat --> leaving, still serves --> drains --> its seat is free
//                                              (the other starts)      (the other is ready)
//
// Invariants: one worker of a row is wanted at any time; there is one free seat, so one worker
// leaves at a time and the others wait for it.
#include "base/log.h"
#include "process/tree.h"

#define LEAVE_GRACE_MS 2000u // beyond timeout.shutdown: it ends by itself

static struct child *free_seat(struct tree *t)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        struct child *c = &t->children[i];
        if (c->kind == CHILD_WORKER && !c->wanted && c->pid == 0)
            return c;
    }
    return NULL;
}

// The one that serves the row, or will.
static const struct child *owner_of(const struct tree *t, uint32_t row)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        const struct child *c = &t->children[i];
        if (c->kind == CHILD_WORKER && c->wanted && c->row == row)
            return c;
    }
    return NULL;
}

static void answer(struct tree *t, struct child *c, const char *text)
{
    if (c->renew_request != 0)
        control_answer(t, c->renew_request, 0, text);
    c->renew_request = 0;
}

const char *replace_worker(struct tree *t, uint32_t id, uint32_t request)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        struct child *c = &t->children[i];
        if (c->kind != CHILD_WORKER || c->id != id)
            continue;
        if (c->leaving || c->renew)
            return "it is being replaced already";
        if (!c->wanted || c->pid == 0)
            break;
        c->renew = true;
        c->renew_request = request;
        return NULL;
    }
    return "no such worker is running";
}

void replace_ended(struct tree *t, struct child *c)
{
    answer(t, c, "it has ended before it was replaced; another one is in its place\n");
}

void replace_forget(struct tree *t)
{
    for (uint32_t i = 0; i < t->n_children; i++)
        t->children[i].renew_request = 0;
}

static void begin(struct tree *t, struct child *old, struct child *seat)
{
    old->renew = old->wanted = false;
    old->leaving = true;
    old->leave_ms = 0;
    seat->row = old->row;
    seat->wanted = true;
    seat->quick_deaths = 0;
    seat->start_ms = 1; // at once
    t->shared->table->workers = t->shared->seats;
    log_info("%s takes over from %s", seat->name, old->name);
}

static void say_drain(struct tree *t, struct child *c, const struct child *other, uint64_t now_ms)
{
    char text[96];
    uint32_t ms = MAX_OF(t->config->shutdown_ms, 1); // 0 would mean no limit
    const struct message m = {.type = MSG_DRAIN, .arg = ms};
    (void)child_tell(c, &m, NULL);
    c->leave_ms = now_ms + ms + LEAVE_GRACE_MS;
    (void)snprintf(text, sizeof(text), "%s has taken over; %s finishes its connections\n",
                   other->name, c->name);
    answer(t, c, text);
}

static void turn(struct tree *t, struct child *c, uint64_t now_ms)
{
    struct child *seat = c->renew ? free_seat(t) : NULL;
    if (seat != NULL)
        begin(t, c, seat);
    if (!c->leaving)
        return;
    const struct child *other = owner_of(t, c->row);
    if (c->leave_ms == 0 && other != NULL && other->ready)
        say_drain(t, c, other, now_ms);
    if (c->leave_ms != 0 && c->leave_ms <= now_ms) {
        log_warning("%s does not end; it is killed", c->name);
        child_cut(c);
        c->leave_ms = UINT64_MAX;
    }
}

void replace_turn(struct tree *t, uint64_t now_ms)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        struct child *c = &t->children[i];
        if (c->kind == CHILD_WORKER && c->pid != 0)
            turn(t, c, now_ms);
    }
}

uint64_t replace_next_ms(const struct tree *t)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < t->n_children; i++) {
        const struct child *c = &t->children[i];
        if (c->leaving && c->leave_ms != 0)
            next = MIN_OF(next, c->leave_ms);
    }
    return next;
}
