// SPDX-License-Identifier: MIT
// Requests to the supervisor and who waits for their answers. Runs in control; the admin API sends,
// control.c hands in what comes over the channel.
// Invariants: a waiter is in the list exactly while an answer to it may come; an answer that nobody
// waits for any more (its client has gone) is closed and forgotten.
#include "control/asks.h"

#include <unistd.h>

#include "base/log.h"

#define TEXT_MAX_BYTES (16u << 20) // of one worker or of the supervisor

struct asks {
    int channel_fd;
    uint32_t last_request;
    struct list waiting;
};

struct asks *asks_new(int channel_fd)
{
    struct asks *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->channel_fd = channel_fd;
    list_init(&a->waiting);
    return a;
}

void asks_free(struct asks *a)
{
    if (a == NULL)
        return;
    while (list_pop_first(&a->waiting) != NULL)
        continue;
    free(a);
}

// ---- asking -------------------------------------------------------------------------------------

static int send_and_wait(struct asks *a, struct asks_waiter *w, struct message *m, const int *fds)
{
    m->request = ++a->last_request;
    int result = channel_send(a->channel_fd, m, fds);
    if (result != 0)
        return result;
    w->request = m->request;
    list_append(&a->waiting, &w->node);
    return 0;
}

int asks_ask(struct asks *a, struct asks_waiter *w, enum ask what, uint32_t value, struct str text)
{
    struct message m = {.type = MSG_ASK, .arg = (uint32_t)what, .value = value};
    if (text.len == 0)
        return send_and_wait(a, w, &m, NULL);
    int fd = channel_text(text);
    if (fd < 0)
        return fd;
    m.n_fds = 1;
    int result = send_and_wait(a, w, &m, &fd);
    (void)close(fd);
    return result;
}

int asks_query(struct asks *a, struct asks_waiter *w, enum query what, uint32_t value)
{
    struct message m = {.type = MSG_QUERY, .arg = (uint32_t)what, .value = value};
    return send_and_wait(a, w, &m, NULL);
}

void asks_forget(struct asks_waiter *w)
{
    if (w->node.next != NULL)
        list_remove(&w->node);
}

// ---- answers ------------------------------------------------------------------------------------

static struct asks_waiter *find(struct asks *a, uint32_t request)
{
    LIST_EACH(node, &a->waiting)
    {
        struct asks_waiter *w = list_entry(node, struct asks_waiter, node);
        if (w->request == request)
            return w;
    }
    return NULL;
}

// Descriptors beyond the one that is expected are closed; returns that one, or -1.
static int only_fd(const struct message *m, const int *fds)
{
    for (uint32_t i = 1; i < m->n_fds; i++)
        (void)close(fds[i]);
    return m->n_fds > 0 ? fds[0] : -1;
}

void asks_answer(struct asks *a, const struct message *m, int *fds)
{
    struct ask_answer answer = {
        .status = m->status, .worker = m->arg, .value = m->value, .last = m->n_more == 0};
    int fd = only_fd(m, fds);
    if (fd >= 0 && !channel_text_map_most(fd, TEXT_MAX_BYTES, &answer.text)) {
        log_error("an answer is no text of at most %u MiB: it is left out", TEXT_MAX_BYTES >> 20);
        answer.text = STR_NONE;
        answer.status = answer.status != 0 ? answer.status : 1;
    }
    struct str text = answer.text;
    struct asks_waiter *w = find(a, m->request);
    if (w != NULL && answer.last)
        list_remove(&w->node);
    if (w != NULL)
        w->answered(w, &answer);
    channel_text_done(text);
}
