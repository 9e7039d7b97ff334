// SPDX-License-Identifier: MIT
// Requests of control. Runs in the supervisor, called when a child has said something.
//
//   control --ASK--> done here -----------------------------ANSWER--> control
//   worker --CHALLENGE--> done here (challenges.c) ----------ANSWER--> that worker
//   control --QUERY--> to each worker --ANSWER of each--> passed on, counted down
//
// Invariants: every request is answered exactly once, or, a QUERY, once per worker that was asked;
// the last answer of a QUERY has n_more 0; a worker that dies or is silent for QUERY_MS counts as
// answered. Numbers of requests are control's own: nothing is answered to a control process that
// did not ask it.
#include "process/requests.h"

#include <unistd.h>

#include "base/log.h"
#include "io/loop.h"
#include "process/access_file.h"
#include "process/certs_json.h"
#include "process/challenges.h"
#include "process/handover.h"
#include "process/reload.h"

#define QUERIES_MAX 32 // in progress
#define QUERY_MS 2000u
#define LINE_MAX_BYTES 4096u // of the overlay

// One question that was passed on.
struct relay {
    uint32_t request;
    uint64_t deadline_ms; // 0: this place is free
    uint32_t left;        // answers to come
    bool *asked;          // [children]: this one has not answered yet
};

struct requests {
    struct tree *tree;
    uint64_t challenges_quiet_ms; // for challenges_hear()
    struct relay relays[QUERIES_MAX];
};

struct requests *requests_new(struct tree *t)
{
    struct requests *r = xcalloc(1, sizeof(*r));
    r->tree = t;
    return r;
}

void requests_free(struct requests *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < QUERIES_MAX; i++)
        free(r->relays[i].asked);
    free(r);
}

// ---- questions to the workers -----------------------------------------------------------------

static void end_relay(struct relay *relay)
{
    free(relay->asked);
    *relay = (struct relay){0};
}

// Passes on what the worker `c` said; without a text: that it says nothing.
static void pass_answer(struct requests *r, struct relay *relay, uint32_t child,
                        const struct message *said, const int *fds)
{
    struct tree *t = r->tree;
    struct message m = {.type = MSG_ANSWER, .request = relay->request, .status = 1};
    if (said != NULL)
        m = *said;
    relay->asked[child] = false;
    m.arg = t->children[child].id;
    m.n_more = --relay->left;
    for (uint32_t i = 0; i < t->n_children; i++) {
        if (t->children[i].kind == CHILD_CONTROL)
            (void)child_tell(&t->children[i], &m, fds);
    }
    if (relay->left == 0)
        end_relay(relay);
}

static void ask_workers(struct requests *r, struct relay *relay, const struct message *m)
{
    struct tree *t = r->tree;
    relay->asked = xcalloc(t->n_children, sizeof(*relay->asked));
    for (uint32_t i = 0; i < t->n_children; i++) {
        struct child *c = &t->children[i];
        if (c->kind == CHILD_WORKER && c->pid != 0 && child_tell(c, m, NULL)) {
            relay->asked[i] = true;
            relay->left++;
        }
    }
}

static void query(struct requests *r, const struct message *m)
{
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        struct relay *relay = &r->relays[i];
        if (relay->deadline_ms != 0)
            continue;
        relay->request = m->request;
        relay->deadline_ms = clock_monotonic_ms() + QUERY_MS;
        ask_workers(r, relay, m);
        if (relay->left > 0)
            return;
        end_relay(relay);
        break;
    }
    control_answer(r->tree, m->request, 1, "");
}

static void answer(struct requests *r, const struct child *c, const struct message *m,
                   const int *fds)
{
    uint32_t child = (uint32_t)(c - r->tree->children);
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        struct relay *relay = &r->relays[i];
        if (relay->deadline_ms == 0 || relay->request != m->request || !relay->asked[child])
            continue;
        pass_answer(r, relay, child, m, fds);
        return;
    }
}

// This child says nothing any more.
static void count_as_answered(struct requests *r, struct relay *relay, uint32_t child)
{
    if (relay->deadline_ms != 0 && relay->asked[child])
        pass_answer(r, relay, child, NULL, NULL);
}

void requests_forget(struct requests *r, const struct child *c)
{
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        if (c->kind == CHILD_CONTROL)
            end_relay(&r->relays[i]);
        else
            count_as_answered(r, &r->relays[i], (uint32_t)(c - r->tree->children));
    }
    if (c->kind != CHILD_CONTROL)
        return;
    reload_forget(r->tree->reload);
    handover_forget(r->tree->handover);
    replace_forget(r->tree);
}

void requests_turn(struct requests *r, uint64_t now_ms)
{
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        if (r->relays[i].deadline_ms > now_ms)
            continue;
        for (uint32_t k = 0; k < r->tree->n_children; k++)
            count_as_answered(r, &r->relays[i], k);
    }
}

uint64_t requests_next_ms(const struct requests *r)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        if (r->relays[i].deadline_ms != 0)
            next = MIN_OF(next, r->relays[i].deadline_ms);
    }
    return next;
}

// ---- what is done here ------------------------------------------------------------------------

void requests_log_level(struct tree *t, enum log_level level)
{
    log_set_level(level);
    children_tell(t, CHILD_LOGGER, MSG_LOG_LEVEL, (uint32_t)level);
    children_tell(t, CHILD_CONTROL, MSG_LOG_LEVEL, (uint32_t)level);
    children_tell(t, CHILD_WORKER, MSG_LOG_LEVEL, (uint32_t)level);
}

static void ask_overlay(struct requests *r, const struct message *m, const int *fds)
{
    struct str text;
    int copy = m->n_fds > 0 ? dup(fds[0]) : -1; // mapping closes it
    if (copy < 0 || !channel_text_map_most(copy, LINE_MAX_BYTES, &text)) {
        control_answer(r->tree, m->request, 1, "no line came, or one of more than 4096 bytes\n");
        return;
    }
    char *line = xmalloc(text.len + 1);
    memcpy(line, text.p, text.len);
    line[text.len] = '\0';
    channel_text_done(text);
    reload_ask(r->tree->reload, m->request, RELOAD_FILES, line);
    free(line);
}

static const char *set_level(struct tree *t, uint32_t level)
{
    if (level > LOG_DEBUG)
        return "no such level";
    requests_log_level(t, (enum log_level)level);
    return NULL;
}

// What is done at once. NULL, or why not.
static const char *do_now(struct tree *t, const struct message *m)
{
    switch (m->arg) {
    case ASK_LOG_LEVEL:
        return set_level(t, m->value);
    case ASK_LOG_REOPEN:
        return access_file_reopen(t);
    default:
        return "this version cannot do that";
    }
}

static void list_certificates(const struct requests *r, uint32_t request)
{
    struct buf out = {0};
    bool fine = certs_json(r->tree->config, &out);
    control_answer(r->tree, request, !fine, fine ? buf_head(&out) : "out of memory\n");
    buf_release(&out);
}

// `why` NULL: it is answered later.
static void refuse(struct tree *t, uint32_t request, const char *why)
{
    if (why != NULL)
        control_answer(t, request, 1, why);
}

static void ask(struct requests *r, const struct message *m, const int *fds)
{
    if (m->arg == ASK_RELOAD) {
        reload_ask(r->tree->reload, m->request, RELOAD_FILES, NULL);
    } else if (m->arg == ASK_CERTS_RELOAD) {
        reload_ask(r->tree->reload, m->request, RELOAD_CERTIFICATES, NULL);
    } else if (m->arg == ASK_CERTS) {
        list_certificates(r, m->request);
    } else if (m->arg == ASK_OVERLAY) {
        ask_overlay(r, m, fds);
    } else if (m->arg == ASK_UPGRADE) {
        refuse(r->tree, m->request, handover_begin(r->tree->handover, m->request));
    } else if (m->arg == ASK_RESTART_WORKER) {
        refuse(r->tree, m->request, replace_worker(r->tree, m->value, m->request));
    } else {
        const char *why = do_now(r->tree, m);
        control_answer(r->tree, m->request, why != NULL, why != NULL ? why : "");
    }
}

void requests_hear(struct requests *r, struct child *c, const struct message *m, const int *fds)
{
    if (c->kind == CHILD_CONTROL && m->type == MSG_ASK)
        ask(r, m, fds);
    else if (c->kind == CHILD_CONTROL && m->type == MSG_QUERY)
        query(r, m);
    else if (c->kind == CHILD_WORKER && m->type == MSG_ANSWER)
        answer(r, c, m, fds);
    else if (c->kind == CHILD_WORKER && m->type == MSG_CHALLENGE)
        challenges_hear(r->tree, c, m, fds, &r->challenges_quiet_ms);
}
