// SPDX-License-Identifier: MIT
// How an exchange goes on when its server has failed it, and how it ends. Runs in workers; called
// by the steps of http_proxy.c and http_response.c, and by session.c when all is to end.
//
//   server failed --may be sent again--> PICK
//        '--else--> refuse: an answer of our own (REPLY) --> finish
//   all is passed on --> finish: the connections live on where they may
//   something broke  --> cut: so are both connections
//
// Invariant: every exchange comes to http_finish(), http_cut() or http_abort() once, with one
// cause.
#include "proxy/http_steps.h"

#include "base/panic.h"
#include "proxy/http_proxy.h"
#include "proxy/http_reply.h"
#include "proxy/http_upstream.h"
#include "proxy/http_wait.h"

// ---- a server that failed

enum step http_retry_or_refuse(struct exchange *x, enum end_cause cause)
{
    if (attempt_may_retry(&x->attempt, x->w, cause))
        return x->state == HS_PICK ? STEP_GO : http_go(x, HS_PICK);
    return http_refuse(x, end_info(cause)->status, cause, end_info(cause)->sentence);
}

enum step http_server_failed(struct exchange *x, enum end_cause cause)
{
    struct worker *w = x->w;
    bool replay = x->up.passed == 0 || http_may_replay(x);
    bool reset = x->down.src_broken; // nobody was there to read it: as good as refused
    uint64_t *counters = w->count->servers[x->server->server->index];
    x->detail = upstream_tls_failure(x->server);
    panic_note("server closed before its answer", x->server->server->index, x->reused);
    if (!x->reused)
        attempt_unanswered(&x->attempt, w);
    counters[x->reused ? SERVER_REUSE_RACES : SERVER_RESPONSE_FAILURES]++;
    if (!replay) {
        x->client_keeps = x->client_keeps && x->up.done;
        return http_refuse(x, end_info(cause)->status, cause, end_info(cause)->sentence);
    }
    http_rewind(x);
    if (x->reused && cause != END_SERVER_DOWN) { // closed while idle: no fault of the server
        x->fresh_only = true;
        return http_go(x, HS_PICK);
    }
    attempt_leave(&x->attempt, w);
    if (reset && attempt_may_retry(&x->attempt, w, END_SERVER_REFUSED))
        return http_go(x, HS_PICK);
    return http_retry_or_refuse(x, cause);
}

// ---- REPLY

enum step http_refuse(struct exchange *x, uint16_t status, enum end_cause cause,
                      const char *sentence)
{
    if (x->server != NULL)
        upstream_close(x->server, true);
    x->server = NULL;
    attempt_end(&x->attempt, x->w);
    x->client_keeps = x->client_keeps && x->up.done && !session_is_last(x->s);
    if (http_reply_error(x, status, cause, sentence) != REPLY_READY)
        return http_cut(x, END_OUT_OF_MEMORY);
    return http_go(x, HS_REPLY);
}

enum step http_step_reply(struct exchange *x)
{
    switch (flow_flush(&x->down, &x->s->client)) {
    case IO_OK:
        return http_finish(x, x->end);
    case IO_AGAIN:
        if (!http_client_is_there(x))
            break;
        x->client_slow = true;
        return http_wait_for(x, CONN_WRITE, 0, x->frontend->timeout.client);
    case IO_EOF:
    case IO_ERR:
        break;
    }
    return http_finish(x, x->end); // the cause was there before the client left
}

// ---- the end of an exchange

// The client connection may serve another request, and goes on with it or waits for it.
static enum step begin_next(struct exchange *x)
{
    struct session *s = x->s;
    if (x->up.buf.base != NULL) {
        buf_consume(&x->up.buf, x->up.ready);
        if (buf_len(&x->up.buf) == 0)
            buf_release(&x->up.buf);
    }
    if (buf_len(&x->up.buf) > 0 || x->client_waits || x->client_fin) { // it is here
        bool look = x->client_fin || x->client_waits;
        s->since_ms = x->w->loop.now_ms;
        exchange_reset(x);
        s->client.ready |= look ? CONN_READ : 0;
        x->state = HS_HEAD;
        return STEP_GO;
    }
    exchange_free(x);
    session_idle(s);
    return STEP_END;
}

enum step http_finish(struct exchange *x, enum end_cause cause)
{
    struct session *s = x->s;
    exchange_account(x, cause);
    bool whole = x->up.done && flow_unsent(&x->up) == 0;
    whole = whole && buf_len(&x->down.buf) == 0; // a server that says more is not to be trusted
    http_release_server(
        x, x->server_keeps && whole && cause == END_OK && x->attempt.backend->reuse != REUSE_NEVER,
        !whole && x->state != HS_TUNNEL);
    if (x->client_keeps && x->up.done && !x->up.src_broken)
        return begin_next(x);
    bool unread = !x->up.done || x->client_waits || buf_len(&x->up.buf) > x->up.ready;
    bool tunnel = x->state == HS_TUNNEL;
    exchange_free(x);
    if (unread && !tunnel)
        session_linger(s);
    else
        session_close(s, false);
    return STEP_END;
}

enum step http_cut(struct exchange *x, enum end_cause cause)
{
    struct session *s = x->s;
    bool reset = x->head_sent && (x->down_body.framing == BODY_UNTIL_CLOSE ||
                                  x->down_body.mode == H1_BODY_DECODE || x->state == HS_TUNNEL);
    panic_note("exchange cut", (uint64_t)x->state, cause);
    http_abort(s, cause);
    session_close(s, reset);
    return STEP_END;
}

void http_abort(struct session *s, enum end_cause cause)
{
    struct exchange *x = s->work;
    exchange_account(x, cause);
    http_release_server(x, false, true);
    exchange_free(x);
}
