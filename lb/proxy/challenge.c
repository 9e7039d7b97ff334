// SPDX-License-Identifier: MIT
// Questions about ACME challenges. Run in workers: http_proxy.c asks in state CHALLENGE, worker.c
// brings the answers. Workers open no files, and their supervisor does so in a moment; while it is
// busy (a slow disk), the requests that asked wait, and nothing else does.
//
//   challenge_ask() --CHALLENGE--> supervisor --ANSWER--> challenge_answered() --> on_answer
//
// Invariants: a challenge is in w->challenges from challenge_ask() to challenge_forget(); an answer
// that nobody waits for any more is dropped.
#include "proxy/challenge.h"

#include <stdio.h>
#include <unistd.h>

#include "proto/acme.h"

struct challenge {
    struct list node; // in w->challenges
    struct worker *w;
    uint32_t request;
    enum challenge_state state;
    struct str text; // of the answer: mapped
    void *holder;
    void (*on_answer)(void *holder);
};

// 0 or -errno.
static int send_question(struct worker *w, uint32_t request, const struct frontend *f,
                         struct str token)
{
    char text[256]; // names have at most 64 bytes
    int n = snprintf(text, sizeof(text), "%.*s %.*s", STR_FMT(f->name), STR_FMT(token));
    lb_assert(n > 0 && (size_t)n < sizeof(text));
    const struct message m = {.type = MSG_CHALLENGE, .request = request, .n_fds = 1};
    int fd = channel_text((struct str){text, (size_t)n});
    if (fd < 0)
        return fd;
    int result = channel_send(w->channel.fd, &m, &fd);
    (void)close(fd);
    return result;
}

struct challenge *challenge_ask(struct worker *w, const struct frontend *f, struct str token,
                                void *holder, void (*on_answer)(void *holder))
{
    struct challenge *c = w->n_challenges < CHALLENGES_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL)
        return NULL;
    if (send_question(w, ++w->last_challenge, f, token) < 0) {
        free(c);
        return NULL;
    }
    c->w = w;
    c->request = w->last_challenge;
    c->holder = holder;
    c->on_answer = on_answer;
    list_append(&w->challenges, &c->node);
    w->n_challenges++;
    return c;
}

enum challenge_state challenge_state(const struct challenge *c, struct str *text)
{
    *text = c->text;
    return c->state;
}

void challenge_forget(struct challenge *c)
{
    if (c == NULL)
        return;
    channel_text_done(c->text);
    list_remove(&c->node);
    c->w->n_challenges--;
    free(c);
}

static struct challenge *find(struct worker *w, uint32_t request)
{
    LIST_EACH(node, &w->challenges)
    {
        struct challenge *c = list_entry(node, struct challenge, node);
        if (c->request == request)
            return c;
    }
    return NULL;
}

void challenge_answered(struct worker *w, const struct message *m, const int *fds)
{
    struct challenge *c = find(w, m->request);
    bool first = c != NULL && c->state == CHALLENGE_WAITS;
    for (uint32_t i = first ? 1 : 0; i < m->n_fds; i++)
        (void)close(fds[i]);
    if (!first)
        return;
    bool found = m->n_fds > 0 && channel_text_map(fds[0], &c->text);
    c->state = found && c->text.len > 0 ? CHALLENGE_FOUND : CHALLENGE_MISSING;
    c->on_answer(c->holder);
}
