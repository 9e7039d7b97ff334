// SPDX-License-Identifier: MIT
// Forwarding heads. Runs in workers, called by http_proxy.c. Lines that do not change are slices of
// the receive buffer; neighbours become one vector entry (h1_out.h).
//
// Away go: Connection and every field it names (but never one that frames, routes or identifies),
// Keep-Alive, Proxy-Connection, TE (but for trailers), Upgrade unless tunnelled, and, when the peer
// is not trusted, what it says about who it is. Added: X-Forwarded-*, X-Client-Cert-*,
// X-Request-ID, traceparent.
#include "proxy/http_fwd.h"

#include "base/addr.h"
#include "io/tls.h"

// ---- rules of the configuration

static bool op_hides(const struct header_op *ops, uint32_t n, struct str name)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ops[i].action != HEADER_ADD && str_caseeq(ops[i].name, name))
            return true;
    }
    return false;
}

static void add_ops(struct h1_out *o, const struct header_op *ops, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ops[i].action != HEADER_REMOVE)
            h1_out_field(o, ops[i].name, ops[i].value);
    }
}

// Passes a field; of several equal Content-Lengths (in one line or in many) one is written.
static void add_line(struct h1_out *o, const struct http_head *h, const struct http_field *f,
                     bool *length_written)
{
    if (f->id != FIELD_CONTENT_LENGTH) {
        h1_out_line(o, f);
        return;
    }
    if (*length_written)
        return;
    *length_written = true;
    if (str_find(f->value, ',') == f->value.len) {
        h1_out_line(o, f);
        return;
    }
    h1_out_copy(o, STR("Content-Length: "));
    h1_out_number(o, h->content_length);
    h1_out_copy(o, STR("\r\n"));
}

// ---- requests

bool http_fwd_may_upgrade(const struct http_head *h)
{
    if (!h->upgrade || h->minor == 0 || h->framing != BODY_NONE)
        return false;
    for (uint32_t i = 0; i < h->n_fields; i++) {
        struct str v = h->fields[i].value;
        if (h->fields[i].id != FIELD_UPGRADE)
            continue;
        while (v.p != NULL) {
            struct str one = str_trim(str_cut(&v, ','));
            bool http = one.len >= 3 && (str_caseeq((struct str){one.p, 3}, STR("h2c")) ||
                                         str_caseeq((struct str){one.p, 3}, STR("TLS")));
            if (http || (one.len >= 4 && str_caseeq((struct str){one.p, 4}, STR("HTTP"))))
                return false;
        }
    }
    return true;
}

// Fields that Connection may not take away (RFC 9110 section 7.6.1: those meant for all
// recipients); a client could otherwise hide them from the server.
static bool is_protected(enum http_field_id id)
{
    switch ((int)id) {
    case FIELD_HOST:
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_X_FORWARDED_FOR:
    case FIELD_X_FORWARDED_HOST:
    case FIELD_X_FORWARDED_PROTO:
    case FIELD_X_REAL_IP:
    case FIELD_FORWARDED:
    case FIELD_X_CLIENT_CERT:
    case FIELD_AUTHORIZATION:
    case FIELD_COOKIE:
        return true;
    default:
        return false;
    }
}

static bool named_by_connection(const struct http_head *h, const struct http_field *f)
{
    return h->connection_names_fields && !is_protected(f->id) && http_connection_names(h, f->name);
}

// NTLM and Negotiate prove who is there for a whole connection (RFC 4559 section 6): the next
// client must never get it. `value` is credentials or a challenge.
static bool authenticates_connection(struct str value)
{
    while (value.p != NULL) {
        struct str one = str_trim(str_cut(&value, ','));
        struct str scheme = str_cut(&one, ' ');
        if (str_caseeq(scheme, STR("NTLM")) || str_caseeq(scheme, STR("Negotiate")))
            return true;
    }
    return false;
}

bool http_fwd_logs_in_connection(const struct http_head *h)
{
    if (h->status != 401 && h->status != 407)
        return false;
    for (uint32_t i = 0; i < h->n_fields; i++) {
        const struct http_field *f = &h->fields[i];
        if ((str_caseeq(f->name, STR("WWW-Authenticate")) ||
             str_caseeq(f->name, STR("Proxy-Authenticate"))) &&
            authenticates_connection(f->value))
            return true;
    }
    return false;
}

static bool hidden_by_rules(const struct exchange *x, struct str name)
{
    const struct header_ops *f = &x->frontend->headers;
    const struct header_ops *b = &x->attempt.backend->headers;
    return op_hides(f->request, f->n_request, name) || op_hides(b->request, b->n_request, name);
}

struct request_writer {
    struct exchange *x;
    const struct http_head *h;
    struct h1_out *o;
    bool trusted;
    bool has_request_id, has_trace, has_proto, has_host, has_client_cert;
    bool absolute; // the target carries the authority that replaces Host
    bool rules;    // the configuration sets or removes fields
};

// False when a rule of the configuration sets or removes this field: then that is its only word.
static bool ours_to_write(const struct request_writer *r, struct str name)
{
    return !r->rules || !hidden_by_rules(r->x, name);
}

// Notes what the field says; true when its line goes to the server as it came.
static bool take_request_field(struct request_writer *r, const struct http_field *f)
{
    switch (f->id) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_UPGRADE:
        return false;
    case FIELD_TE:
        if (http_list_has(f->value, STR("trailers")))
            h1_out_copy(r->o, STR("TE: trailers\r\n"));
        return false;
    case FIELD_EXPECT:
        return r->h->minor > 0;
    case FIELD_CONTENT_LENGTH:
        return r->h->framing == BODY_LENGTH;
    case FIELD_HOST:
        return !r->absolute && f->value.len > 0;
    case FIELD_X_FORWARDED_FOR:
        return false; // written once, at the end
    case FIELD_X_FORWARDED_PROTO:
        r->has_proto = r->trusted;
        return r->trusted;
    case FIELD_X_FORWARDED_HOST:
        r->has_host = r->trusted;
        return r->trusted;
    case FIELD_X_CLIENT_CERT:
        r->has_client_cert |= r->trusted;
        return r->trusted;
    case FIELD_X_REAL_IP:
    case FIELD_FORWARDED:
        return r->trusted;
    case FIELD_X_REQUEST_ID:
        r->has_request_id = r->trusted;
        return r->trusted;
    case FIELD_TRACEPARENT:
        r->has_trace = true;
        return true;
    case FIELD_AUTHORIZATION:
        r->x->pin |= authenticates_connection(f->value);
        return true;
    case FIELD_OTHER:
    case FIELD_COOKIE:
    case FIELD_TRAILER:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_ACCEPT:
    case FIELD_REFERER:
    case FIELD_USER_AGENT:
    case FIELD_TRACESTATE:
    case FIELD_SERVER:
    case FIELD_DATE:
    case FIELD_SET_COOKIE:
    case FIELD_ID_COUNT:
        break;
    }
    return true;
}

// Where no Host passes: the authority of an absolute target, which replaces it (RFC 9112 section
// 3.2.2); or, for HTTP/1.0, the server's own address, since HTTP/1.1 must have one.
static void add_host(struct request_writer *r)
{
    char text[ADDR_TEXT];
    struct addr a;
    struct str host = r->h->authority;
    if ((host.len > 0 && !r->absolute) || !ours_to_write(r, STR("Host")))
        return;
    if (host.len == 0) {
        sched_address(r->x->w->board, r->x->attempt.server, &a);
        host = a.sa.sa_family == AF_UNIX ? STR("localhost")
                                         : (struct str){text, addr_format(&a, text)};
    }
    h1_out_field(r->o, STR("Host"), host);
}

static void add_forwarded_for(struct request_writer *r)
{
    char ip[ADDR_TEXT];
    if (r->x->s->peer.sa.sa_family == AF_UNSPEC || !ours_to_write(r, STR("X-Forwarded-For")))
        return; // over a unix socket there is nobody to name
    size_t n = ip_format(&r->x->s->peer, ip);
    h1_out_copy(r->o, STR("X-Forwarded-For: "));
    for (uint32_t i = 0; r->trusted && i < r->h->n_fields; i++) {
        if (r->h->fields[i].id != FIELD_X_FORWARDED_FOR || r->h->fields[i].value.len == 0)
            continue;
        h1_out_slice(r->o, r->h->fields[i].value);
        h1_out_copy(r->o, STR(", "));
    }
    h1_out_copy(r->o, (struct str){ip, n});
    h1_out_copy(r->o, STR("\r\n"));
}

static void add_own(struct request_writer *r, struct str name, struct str value)
{
    if (ours_to_write(r, name))
        h1_out_field(r->o, name, value);
}

// Where clients are asked for certificates. What a trusted proxy says of its client is about
// another certificate: then it says all.
static void add_client_cert(struct request_writer *r)
{
    const struct conn *client = &r->x->s->client;
    if (r->has_client_cert || !tls_asks_client(client))
        return;
    const struct tls_peer *peer = tls_facts(client).peer;
    add_own(r, STR("X-Client-Cert-Verified"), peer != NULL ? STR("success") : STR("none"));
    if (peer == NULL)
        return;
    add_own(r, STR("X-Client-Cert-Subject"), peer->subject);
    add_own(r, STR("X-Client-Cert-Issuer"), peer->issuer);
    add_own(r, STR("X-Client-Cert-Serial"), peer->serial);
    add_own(r, STR("X-Client-Cert-Fingerprint"), peer->fingerprint);
    add_own(r, STR("X-Client-Cert-Not-After"), peer->not_after);
}

static size_t hex(uint64_t v, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++)
        out[i] = digits[(v >> (60 - 4 * i)) & 15];
    return 16;
}

// 128 random bits name the request, in X-Request-ID and as the trace id (W3C Trace Context,
// section 3.2.2) alike.
static void add_ids(struct request_writer *r)
{
    struct rng *rng = &r->x->w->rng;
    char id[32], parent[16];
    (void)hex(rng_next(rng), id);
    (void)hex(rng_next(rng), id + 16);
    (void)hex(rng_next(rng), parent);
    bool write_id = !r->has_request_id && ours_to_write(r, STR("X-Request-ID"));
    if (write_id)
        h1_out_field(r->o, STR("X-Request-ID"), (struct str){id, sizeof(id)});
    if (r->x->text != NULL && write_id &&
        r->x->text->used + sizeof(id) <= sizeof(r->x->text->bytes)) {
        char *copy = r->x->text->bytes + r->x->text->used;
        memcpy(copy, id, sizeof(id));
        r->x->text->request_id = (struct str){copy, sizeof(id)};
    }
    if (r->has_trace || !ours_to_write(r, STR("traceparent")))
        return;
    h1_out_copy(r->o, STR("traceparent: 00-"));
    h1_out_copy(r->o, (struct str){id, sizeof(id)});
    h1_out_copy(r->o, STR("-"));
    h1_out_copy(r->o, (struct str){parent, sizeof(parent)});
    h1_out_copy(r->o, STR("-00\r\n"));
}

static void add_request_line(struct request_writer *r, bool as_it_came)
{
    const struct http_head *h = r->h;
    if (as_it_came) {
        const char *line = h->method_text.p; // up to the CRLF of "METHOD target HTTP/1.1"
        h1_out_slice(r->o, (struct str){line, h->method_text.len + h->target.len + 12});
        return;
    }
    h1_out_slice(r->o, h->method_text);
    h1_out_copy(r->o, STR(" "));
    h1_out_slice(r->o, h->path);
    h1_out_copy(r->o, STR(" HTTP/1.1\r\n"));
}

static void add_connection(struct request_writer *r)
{
    if (!r->x->upgrade) {
        if (r->x->attempt.backend->reuse == REUSE_NEVER)
            h1_out_copy(r->o, STR("Connection: close\r\n"));
        return;
    }
    h1_out_copy(r->o, STR("Connection: upgrade\r\n"));
    for (uint32_t i = 0; i < r->h->n_fields; i++) {
        if (r->h->fields[i].id == FIELD_UPGRADE)
            h1_out_line(r->o, &r->h->fields[i]);
    }
}

bool http_fwd_request(struct exchange *x, const struct http_head *h)
{
    const struct header_ops *f = &x->frontend->headers;
    const struct header_ops *b = &x->attempt.backend->headers;
    bool length_written = false;
    struct request_writer r = {.x = x,
                               .h = h,
                               .o = &x->w->out,
                               .rules = f->n_request + b->n_request > 0,
                               .trusted = x->frontend->n_trusted > 0 &&
                                          session_trusts_peer(x->s, x->frontend),
                               .absolute = h->path.p != h->target.p && h->authority.len > 0};
    h1_out_reset(r.o);
    add_request_line(&r, h->minor == 1 && h->path.p == h->target.p);
    add_host(&r);
    for (uint32_t i = 0; i < h->n_fields; i++) {
        const struct http_field *field = &h->fields[i];
        if (named_by_connection(h, field) || !ours_to_write(&r, field->name))
            continue;
        if (take_request_field(&r, field))
            add_line(r.o, h, field, &length_written);
    }
    add_forwarded_for(&r);
    if (!r.has_proto && ours_to_write(&r, STR("X-Forwarded-Proto")))
        h1_out_copy(r.o, conn_is_tls(&x->s->client) ? STR("X-Forwarded-Proto: https\r\n")
                                                    : STR("X-Forwarded-Proto: http\r\n"));
    if (!r.has_host && h->authority.len > 0 && ours_to_write(&r, STR("X-Forwarded-Host")))
        h1_out_field(r.o, STR("X-Forwarded-Host"), h->authority);
    add_client_cert(&r);
    add_ids(&r);
    add_ops(r.o, f->request, f->n_request);
    add_ops(r.o, b->request, b->n_request);
    add_connection(&r);
    h1_out_copy(r.o, STR("\r\n"));
    return !r.o->overflow;
}

// ---- responses

static bool response_field_passes(const struct exchange *x, const struct http_head *h,
                                  const struct http_field *f)
{
    switch ((int)f->id) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TE:
        return false;
    case FIELD_UPGRADE:
        return h->status == 101 || h->status == 426;
    case FIELD_TRANSFER_ENCODING:
        // a client of HTTP/1.0 gets the data without chunks; what has no body has no framing
        return (h->framing == BODY_CHUNKED || h->framing == BODY_UNTIL_CLOSE) && x->minor > 0;
    case FIELD_TRAILER:
        return x->minor > 0;
    case FIELD_CONTENT_LENGTH:
        return !h->has_length_and_te && h->framing != BODY_CHUNKED && h->status != 204 &&
               h->status >= 200 && h->framing != BODY_UNTIL_CLOSE;
    default:
        return true;
    }
}

bool http_fwd_coding_passes(const struct exchange *x, const struct http_head *h)
{
    for (uint32_t i = 0; h->framing == BODY_UNTIL_CLOSE && i < h->n_fields; i++) {
        const struct http_field *f = &h->fields[i];
        if (f->id == FIELD_TRANSFER_ENCODING &&
            (x->minor == 0 || http_list_has(f->value, STR("chunked"))))
            return false;
    }
    return true;
}

static void add_response_line(struct exchange *x, const struct http_head *h, const char *raw)
{
    struct h1_out *o = &x->w->out;
    const char *end = h->n_fields > 0 ? h->fields[0].line.p : raw + h->bytes - 2;
    if (h->minor == 1) {
        h1_out_slice(o, str_from(raw, end));
        return;
    }
    h1_out_copy(o, STR("HTTP/1.1 "));
    h1_out_slice(o, str_from(raw + sizeof("HTTP/1.0 ") - 1, end));
}

#define HSTS STR("Strict-Transport-Security")

// Over TLS only (RFC 6797 section 7.2), and where the headers of the configuration do not say it.
static bool sends_hsts(const struct exchange *x, const struct http_head *h)
{
    const struct header_ops *f = &x->frontend->headers;
    const struct header_ops *b = &x->attempt.backend->headers;
    return x->frontend->hsts.value.len > 0 && x->secure && h->status >= 200 &&
           !op_hides(f->response, f->n_response, HSTS) &&
           !op_hides(b->response, b->n_response, HSTS);
}

bool http_fwd_response(struct exchange *x, const struct http_head *h, const char *raw)
{
    const struct header_ops *f = &x->frontend->headers;
    const struct header_ops *b = &x->attempt.backend->headers;
    bool rules = f->n_response + b->n_response > 0 && h->status >= 200;
    bool hsts = sends_hsts(x, h), length_written = false;
    struct h1_out *o = &x->w->out;
    h1_out_reset(o);
    add_response_line(x, h, raw);
    for (uint32_t i = 0; i < h->n_fields; i++) {
        const struct http_field *field = &h->fields[i];
        if (!response_field_passes(x, h, field) || named_by_connection(h, field))
            continue;
        if (rules && (op_hides(f->response, f->n_response, field->name) ||
                      op_hides(b->response, b->n_response, field->name)))
            continue;
        hsts = hsts && !str_caseeq(field->name, HSTS);
        add_line(o, h, field, &length_written);
    }
    if (hsts)
        h1_out_field(o, HSTS, x->frontend->hsts.value);
    if (rules) {
        add_ops(o, b->response, b->n_response);
        add_ops(o, f->response, f->n_response);
    }
    if (h->status == 101)
        h1_out_copy(o, STR("Connection: upgrade\r\n"));
    else if (h->status >= 200 && !x->client_keeps)
        h1_out_copy(o, STR("Connection: close\r\n"));
    else if (h->status >= 200 && x->minor == 0)
        h1_out_copy(o, STR("Connection: keep-alive\r\n"));
    h1_out_copy(o, STR("\r\n"));
    return !o->overflow;
}

uint32_t http_fwd_keep_alive_ms(const struct http_head *h)
{
    const struct http_field *f = http_field_find(h, FIELD_KEEP_ALIVE);
    struct str v = f != NULL ? f->value : STR_NONE;
    uint64_t seconds;
    while (v.p != NULL) {
        struct str one = str_trim(str_cut(&v, ','));
        struct str name = str_trim(str_cut(&one, '='));
        if (!str_caseeq(name, STR("timeout")) || !str_to_u64(str_trim(one), &seconds))
            continue;
        // a second earlier than the server, so that it does not close under our next request
        return seconds == 0 ? 0 : (uint32_t)(MIN_OF(seconds, 86400u) - 1) * 1000;
    }
    return UINT32_MAX;
}
