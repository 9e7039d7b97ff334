// SPDX-License-Identifier: MIT
// Waiting. Runs in workers, called by the steps of http_proxy.c. A client whose answer comes
// quickly is never registered with the loop (that would be two system calls); one that has waited
// for WATCH_CLIENT_MS is, so that its leaving is noticed; where its bytes wait unread, so that they
// would wake us again and again, a look every CLIENT_LOOK_MS finds out whether it has broken off.
#include "proxy/http_wait.h"

#define WATCH_CLIENT_MS 100u // an answer that takes longer: notice it when the client leaves
#define CLIENT_GRACE_MS 800u // what a client that has ended its direction is still waited for

void http_set_deadline(struct exchange *x, uint64_t due_ms)
{
    struct session *s = x->s;
    if (x->client_fin && !x->head_sent) // an abort, or "printf ... | nc"
        due_ms = MIN_OF(due_ms, x->client_fin_ms + CLIENT_GRACE_MS);
    x->deadline_ms = due_ms;
    if (x->look_ms == 0)
        x->look_ms = x->w->loop.now_ms + WATCH_CLIENT_MS;
    int told = s->client.watched & (x->watch_client ? CONN_READ | CONN_WRITE : CONN_READ);
    timer_set(&x->w->loop.wheel, &s->timer, told ? due_ms : MIN_OF(due_ms, x->look_ms));
}

// True while the client is watched for its end alone. One that is still to send more of this
// request, or has sent the next one, would wake us all the time.
static bool watches_client(const struct exchange *x)
{
    return x->watch_client && x->up.done && !x->client_waits && !x->client_fin;
}

enum step http_wait_on(struct exchange *x)
{
    struct conn *c = &x->s->client;
    if (!watches_client(x))
        conn_want(c, &x->w->loop, c->wanted & ~CONN_READ);
    return STEP_WAIT;
}

bool http_look_at_client(struct exchange *x)
{
    struct conn *c = &x->s->client;
    x->watch_client = true;
    x->look_ms = x->w->loop.now_ms + CLIENT_LOOK_MS;
    if (watches_client(x))
        conn_want(c, &x->w->loop, c->wanted | CONN_READ);
    if (c->watched == 0 && conn_is_broken(c))
        return false;
    http_set_deadline(x, x->deadline_ms);
    return true;
}

enum step http_wait_for(struct exchange *x, int client, int server, uint32_t ms)
{
    struct loop *l = &x->w->loop;
    if (watches_client(x))
        client |= CONN_READ;
    conn_want(&x->s->client, l, client);
    if (x->server != NULL)
        conn_want(&x->server->conn, l, server);
    http_set_deadline(x, l->now_ms + ms);
    return STEP_WAIT;
}

bool http_client_is_there(struct exchange *x)
{
    struct conn *c = &x->s->client;
    if (!x->up.done || x->client_waits || x->client_fin || !(c->ready & CONN_READ))
        return true;
    switch (conn_peek(c)) {
    case IO_OK:
        x->client_waits = true;
        return true;
    case IO_EOF: // a quick answer gets the chance to come
        x->client_fin = true;
        x->client_fin_ms = x->w->loop.now_ms;
        if (x->deadline_ms > x->client_fin_ms) // a wait goes on that began before
            http_set_deadline(x, x->deadline_ms);
        return true;
    case IO_AGAIN:
        return true;
    case IO_ERR:
        break;
    }
    return false;
}
