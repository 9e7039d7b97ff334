// SPDX-License-Identifier: MIT
// Before and while TLS is agreed on, top to bottom. Runs in workers; session.c calls it.
//
//   WAIT --> PROXY --> HELLO --> TURN --> SHAKE --> (session_serve)
//      '-----------------^ |
//                          '--> (passthrough_take)
//
// A client that says nothing costs its session and no more. What it says is read into `in`; what is
// not complete goes into an `early` of its own size, so that many clients who stop half way cost
// little. Only for a whole ClientHello there is an SSL, which is given what was read. All of it has
// timeout.tls-handshake. On an address in plain text whose routes look at names it ends with HELLO:
// all goes on as it came, what is no TLS, too.
//
// What fails is counted and has a line in the access log; a client that closes without a word (a
// port scan, a check of another balancer, with its PROXY header or without) has not.
// Invariants: s->work is NULL while s->handshake is not 0; `in` is empty between two calls from
// outside; a session in SHAKE, and no other, holds a place (handshake_queue.h).
#include "proxy/handshake.h"

#include "base/log.h"
#include "io/tls.h"
#include "proto/client_hello.h"
#include "proto/proxy_hdr.h"
#include "proxy/access_log.h"
#include "proxy/handshake_queue.h"
#include "proxy/hello.h"
#include "proxy/passthrough.h"
#include "proxy/reply.h"

struct early {
    struct list node; // in listener->waiting, in TURN
    struct session *s;
    uint32_t n;
    char bytes[];
};

// What the client at hand has sent and nobody has taken.
static struct {
    char bytes[PROXY_HDR_MAX + CLIENT_HELLO_MAX];
    uint32_t begin, end;
    char message[CLIENT_HELLO_MAX]; // of client_hello_parse()
} in;

enum handshake_state { ST_NONE, ST_WAIT, ST_PROXY, ST_HELLO, ST_TURN, ST_SHAKE, ST_COUNT };

static enum step st_wait(struct session *s);
static enum step st_proxy(struct session *s);
static enum step st_hello(struct session *s);
static enum step st_turn(struct session *s);
static enum step st_shake(struct session *s);

#define TO(state) (1u << ST_##state)

// clang-format off
static const struct handshake_step {
    const char *doing;
    enum step (*step)(struct session *s);
    unsigned next;    // states that may follow
    const char *late; // its time is over
    const char *left; // the client has closed
} steps[ST_COUNT] = {
    [ST_WAIT]  = {"waiting for a first byte", st_wait, TO(PROXY) | TO(HELLO),
                  "the client has sent nothing", NULL},
    [ST_PROXY] = {"reading the PROXY header", st_proxy, TO(HELLO),
                  "the PROXY header did not end", "the client left in its PROXY header"},
    [ST_HELLO] = {"reading the ClientHello", st_hello, TO(TURN),
                  "the ClientHello did not end", "the client left in its ClientHello"},
    [ST_TURN]  = {"waiting for other handshakes", st_turn, TO(SHAKE),
                  "other handshakes came first", "the client left while other handshakes came first"},
    [ST_SHAKE] = {"agreeing on TLS", st_shake, 0,
                  "the client did not go on", NULL},
};
// clang-format on

static enum step go(struct session *s, enum handshake_state next)
{
    lb_assert(steps[s->handshake].next & (1u << next));
    s->handshake = (uint8_t)next;
    return STEP_GO;
}

static uint32_t in_len(void)
{
    return in.end - in.begin;
}

static struct str in_bytes(void)
{
    return (struct str){in.bytes + in.begin, in_len()};
}

// ---- what came so far

static void drop_early(struct session *s)
{
    if (s->early != NULL)
        handshakes_forget(s->listener, &s->early->node);
    free(s->early);
    s->early = NULL;
}

// From `early` to `in`; it stays, too.
static void load(struct session *s)
{
    in.begin = in.end = 0;
    if (s->early == NULL)
        return;
    memcpy(in.bytes, s->early->bytes, s->early->n);
    in.end = s->early->n;
}

// From `in` to `early`. False: out of memory.
static bool keep(struct session *s)
{
    struct early *e = NULL;
    if (in_len() > 0) {
        e = malloc(sizeof(*e) + in_len());
        if (e == NULL)
            return false;
        list_init(&e->node);
        e->s = s;
        e->n = in_len();
        memcpy(e->bytes, in.bytes + in.begin, in_len());
    }
    drop_early(s);
    s->early = e;
    return true;
}

static void drive(struct session *s)
{
    while (steps[s->handshake].step(s) == STEP_GO)
        continue;
    in.begin = in.end = 0;
}

// ---- the end

static struct frontend_counters *counters(const struct session *s)
{
    return &s->w->count->frontends[s->listener->frontend->index];
}

// On an address that only passes TLS on nothing but layer 4 can fail.
static bool ends_tls(const struct session *s)
{
    return s->listener->tls != NULL || conn_is_tls(&s->client);
}

static uint64_t bytes_received(const struct session *s)
{
    return conn_is_tls(&s->client) ? tls_bytes_received(&s->client) : in_len();
}

// OpenSSL does not look at the name when it refuses the version.
static struct tls_facts facts_of(const struct session *s)
{
    struct client_hello hello;
    struct tls_facts facts = tls_facts(&s->client);
    if (facts.sni.len == 0 && in_len() > 0 &&
        client_hello_parse(in_bytes(), in.message, &hello) == HELLO_DONE)
        facts.sni = hello.sni;
    return facts;
}

static void write_line(const struct session *s, enum end_cause cause, uint16_t status, size_t sent,
                       const char *why)
{
    struct worker *w = s->w;
    struct access_record r = {
        .ended_ms = clock_wall_ms(),
        .client = &s->peer,
        .frontend = s->listener->frontend->name,
        .proto = ends_tls(s) ? "tls" : "tcp",
        .status = status,
        .bytes_in = bytes_received(s),
        .bytes_out = sent,
        .t_idle_ms = -1,
        .t_request_ms = -1,
        .t_queue_ms = -1,
        .t_connect_ms = -1,
        .t_response_ms = -1,
        .t_data_ms = -1,
        .t_total_ms = access_span(s->since_ms, w->loop.now_ms),
        .tls = facts_of(s),
        .end = cause,
        .detail = why,
    };
    if (!access_log_write(w->access_log, &r))
        w->count->worker[WORKER_LOG_DROPPED]++;
}

static void account(struct session *s, enum end_cause cause, uint16_t status, size_t sent,
                    const char *why)
{
    struct frontend_counters *c = counters(s);
    bool failure = cause == END_TLS_FAILED || cause == END_TLS_TIMEOUT || cause == END_CLIENT_CERT;
    c->n[FRONTEND_TLS_FAILURES] += failure && ends_tls(s);
    c->ends[cause]++;
    log_debug("frontend '%s': %s: %s", s->listener->frontend->name.p, end_info(cause)->sentence,
              why != NULL ? why : "");
    if (s->w->access_log != NULL)
        write_line(s, cause, status, sent, why);
}

static enum step fail(struct session *s, enum end_cause cause, const char *why)
{
    account(s, cause, 0, 0, why);
    session_close(s, false);
    return STEP_END;
}

// The client has closed.
static enum step left(struct session *s)
{
    if (bytes_received(s) > 0)
        return fail(s, ends_tls(s) ? END_TLS_FAILED : END_CLIENT_CLOSED_REQUEST,
                    steps[s->handshake].left);
    session_close(s, false);
    return STEP_END;
}

// After the last words to the client (`sent` bytes of an answer): what it has sent meanwhile must
// not turn them into a reset.
static enum step refuse(struct session *s, enum end_cause cause, uint16_t status, size_t sent,
                        const char *why)
{
    account(s, cause, status, sent, why);
    handshake_leave(s);
    session_linger(s);
    return STEP_END;
}

void handshake_leave(struct session *s)
{
    if (s->handshake == ST_SHAKE)
        handshakes_exit(s->listener);
    drop_early(s);
    s->handshake = ST_NONE;
}

void handshake_timeout(struct session *s)
{
    load(s);
    (void)fail(s, END_TLS_TIMEOUT, steps[s->handshake].late);
    in.begin = in.end = 0;
}

bool handshake_is_silent(const struct session *s)
{
    return s->handshake == ST_WAIT;
}

const char *handshake_doing(const struct session *s)
{
    return steps[s->handshake].doing;
}

// ---- WAIT

// Reads on, up to `most` bytes: STEP_GO when some came.
static enum step more(struct session *s, uint32_t most)
{
    size_t got;
    enum io r = IO_AGAIN;
    if (s->client.ready & CONN_READ)
        r = conn_recv(&s->client, in.bytes + in.end, most, &got);
    switch (r) {
    case IO_OK:
        in.end += (uint32_t)got;
        return STEP_GO;
    case IO_AGAIN:
        break;
    case IO_EOF:
    case IO_ERR:
        return left(s);
    }
    if (!keep(s))
        return fail(s, END_OUT_OF_MEMORY, NULL);
    conn_want(&s->client, &s->w->loop, CONN_READ);
    return STEP_WAIT;
}

void handshake_begin(struct session *s)
{
    s->handshake = ST_WAIT;
    timer_set(&s->w->loop.wheel, &s->timer,
              s->since_ms + s->listener->frontend->timeout.tls_handshake);
    drive(s);
}

void handshake_ready(struct session *s)
{
    if (s->handshake == ST_TURN) // it is looked at when it has it
        return;
    load(s);
    drive(s);
}

static enum step st_wait(struct session *s)
{
    enum step r = more(s, CLIENT_HELLO_MAX);
    return r == STEP_GO ? go(s, s->proxied ? ST_HELLO : ST_PROXY) : r;
}

// ---- PROXY

static enum step st_proxy(struct session *s)
{
    struct proxy_hdr hdr;
    if (!session_trusts_peer(s, s->listener->frontend))
        return fail(s, END_BAD_PROXY_HEADER, "the peer is not one of trusted-proxies");
    switch (proxy_hdr_parse(in.bytes + in.begin, in_len(), &hdr)) {
    case PROXY_DONE:
        in.begin += hdr.bytes;
        return session_introduce(s, &hdr) ? go(s, ST_HELLO) : fail(s, END_OUT_OF_MEMORY, NULL);
    case PROXY_MORE: // what is read with its end is no more than a ClientHello may be
        return more(s, MIN_OF(CLIENT_HELLO_MAX, PROXY_HDR_MAX - in_len()));
    case PROXY_BAD:
        break;
    }
    return fail(s, END_BAD_PROXY_HEADER, "it begins with something else");
}

// ---- HELLO

static enum step speaks_http(struct session *s)
{
    const struct reply r = {.status = 400,
                            .sentence = "this port speaks HTTPS: the URL must begin with https://",
                            .close = true};
    struct buf out = {0};
    if (!reply_write(&r, &out))
        return fail(s, END_OUT_OF_MEMORY, NULL);
    struct iovec text = {buf_head(&out), buf_len(&out)};
    size_t sent = 0;
    bool told = conn_sendv(&s->client, &text, 1, &sent) == IO_OK;
    buf_release(&out);
    return refuse(s, END_TLS_FAILED, told ? r.status : 0, told ? sent : 0, "plain HTTP, not TLS");
}

// As OpenSSL does: no alert for who speaks something else altogether.
static enum step not_tls(struct session *s)
{
    char first = in.bytes[in.begin];
    if (s->listener->frontend->mode == MODE_HTTP && first >= 'A' && first <= 'Z')
        return speaks_http(s);
    return fail(s, END_TLS_FAILED, "not TLS");
}

static enum step bad_hello(struct session *s)
{
    hello_answer(&s->client, ALERT_DECODE_ERROR);
    return refuse(s, END_TLS_FAILED, 0, 0, "the ClientHello is broken or too long");
}

static enum step st_hello(struct session *s)
{
    struct client_hello hello, none = {0};
    enum hello_result r = HELLO_MORE;
    if (in_len() > 0)
        r = client_hello_parse(in_bytes(), in.message, &hello);
    switch (r) {
    case HELLO_DONE:
        return passthrough_take(s, &hello, in_bytes()) ? STEP_END : go(s, ST_TURN);
    case HELLO_MORE:
        return in_len() < CLIENT_HELLO_MAX ? more(s, CLIENT_HELLO_MAX - in_len()) : bad_hello(s);
    case HELLO_NOT_TLS:
        return passthrough_take(s, &none, in_bytes()) ? STEP_END : not_tls(s);
    case HELLO_BAD:
        break;
    }
    return bad_hello(s);
}

// ---- TURN

// With a place.
static enum step begin(struct session *s)
{
    (void)go(s, ST_SHAKE);
    if (s->listener->tls == NULL)
        return fail(s, END_TLS_FAILED, "a reload has taken TLS off this address");
    if (tls_attach(&s->client, &s->w->loop, s->listener->tls, in_bytes()))
        return STEP_GO;
    s->w->count->worker[WORKER_REFUSED_SESSIONS]++;
    return fail(s, END_OUT_OF_MEMORY, NULL);
}

static enum step st_turn(struct session *s)
{
    if (handshakes_enter(s->listener))
        return begin(s);
    if (!keep(s))
        return fail(s, END_OUT_OF_MEMORY, NULL);
    handshakes_wait(s->listener, &s->early->node);
    conn_want(&s->client, &s->w->loop, 0);
    return STEP_WAIT;
}

// Who was kept waiting may have given up: the work would be for nobody.
void handshake_turn(struct list *node)
{
    struct session *s = list_entry(node, struct early, node)->s;
    enum io r = conn_peek(&s->client);
    load(s);
    if (r == IO_OK || r == IO_AGAIN) {
        if (begin(s) == STEP_GO)
            drive(s);
    } else {
        handshakes_exit(s->listener);
        (void)left(s);
    }
    in.begin = in.end = 0;
}

// ---- SHAKE

static enum step done(struct session *s)
{
    struct frontend_counters *c = counters(s);
    handshake_leave(s);
    s->since_ms = s->w->loop.now_ms;
    c->n[FRONTEND_TLS_HANDSHAKES]++;
    c->n[FRONTEND_TLS_RESUMED] += tls_facts(&s->client).resumed;
    session_serve(s);
    return STEP_END;
}

static enum step st_shake(struct session *s)
{
    switch (tls_handshake(&s->client)) {
    case IO_OK:
        return done(s);
    case IO_AGAIN:
        drop_early(s);
        conn_want(&s->client, &s->w->loop, CONN_READ);
        return STEP_WAIT;
    case IO_EOF:
    case IO_ERR:
        break;
    }
    if (tls_client_refused(&s->client)) // its request may be on the way already
        return refuse(s, END_CLIENT_CERT, 0, 0, tls_failure(&s->client));
    return fail(s, END_TLS_FAILED, tls_failure(&s->client));
}
