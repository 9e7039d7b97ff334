// SPDX-License-Identifier: MIT
// TLS handshakes. Run in workers; called by session.c for listeners with `tls`.
//
// A client that says nothing holds a session and OpenSSL's side of a connection, no buffer and no
// exchange, until timeout.tls-handshake is over. What fails is counted and has a line in the access
// log; a client that closes without a word (a port scan, a check of another balancer) has not.
// Invariant: s->work is NULL while s->handshaking.
#include "proxy/handshake.h"

#include "base/log.h"
#include "io/tls.h"
#include "proxy/access_log.h"

static struct frontend_counters *counters(const struct session *s)
{
    return &s->w->count->frontends[s->listener->frontend->index];
}

static void write_line(const struct session *s, enum end_cause cause, const char *why)
{
    struct worker *w = s->w;
    struct access_record r = {
        .ended_ms = clock_wall_ms(),
        .client = &s->peer,
        .frontend = s->listener->frontend->name,
        .proto = "tls",
        .bytes_in = tls_bytes_received(&s->client),
        .t_idle_ms = -1,
        .t_request_ms = -1,
        .t_queue_ms = -1,
        .t_connect_ms = -1,
        .t_response_ms = -1,
        .t_data_ms = -1,
        .t_total_ms = access_span(s->since_ms, w->loop.now_ms),
        .tls = tls_facts(&s->client),
        .end = cause,
        .detail = why,
    };
    if (!access_log_write(w->access_log, &r))
        w->count->worker[WORKER_LOG_DROPPED]++;
}

static void fail(struct session *s, enum end_cause cause)
{
    const char *why = tls_failure(&s->client);
    s->handshaking = false;
    if (cause == END_TLS_TIMEOUT || tls_bytes_received(&s->client) > 0) {
        counters(s)->n[FRONTEND_TLS_FAILURES]++;
        counters(s)->ends[cause]++;
        log_debug("frontend '%s': %s: %s", s->listener->frontend->name.p, end_info(cause)->sentence,
                  why != NULL ? why : "it took too long");
        if (s->w->access_log != NULL)
            write_line(s, cause, why);
    }
    session_close(s, false);
}

static void done(struct session *s)
{
    struct frontend_counters *c = counters(s);
    s->handshaking = false;
    s->since_ms = s->w->loop.now_ms;
    c->n[FRONTEND_TLS_HANDSHAKES]++;
    c->n[FRONTEND_TLS_RESUMED] += tls_facts(&s->client).resumed;
    session_serve(s);
}

void handshake_ready(struct session *s)
{
    switch (tls_handshake(&s->client)) {
    case IO_OK:
        done(s);
        return;
    case IO_AGAIN:
        conn_want(&s->client, &s->w->loop, CONN_READ);
        return;
    case IO_EOF:
    case IO_ERR:
        break;
    }
    fail(s, END_TLS_FAILED);
}

void handshake_timeout(struct session *s)
{
    fail(s, END_TLS_TIMEOUT);
}

void handshake_begin(struct session *s)
{
    if (!tls_attach(&s->client, s->listener->tls)) {
        s->w->count->worker[WORKER_REFUSED_SESSIONS]++;
        session_close(s, true);
        return;
    }
    s->handshaking = true;
    timer_set(&s->w->loop.wheel, &s->timer,
              s->since_ms + s->listener->frontend->timeout.tls_handshake);
    handshake_ready(s);
}
