// SPDX-License-Identifier: MIT
// The parties of a dialogue, and what is checked when it is over. Called by test_dialogues.c and
// test_faults.c. The server and the client read what they get with a parser of their own: nothing
// of proto/ is used, so that a mistake there cannot hide itself.
// Invariant: everything a client takes for a complete answer is the answer to that very request.
#include "sim_http.h"

#include <signal.h>
#include <unistd.h>

#define BIG_BYTES 70000
#define TURNS_OF_INTEREST 60

static char context[256];
static char big[BIG_BYTES + 1];

int dialogue_teardown(void **state)
{
    (void)state;
    if (context[0] != '\0')
        print_message("while playing: %s\n", context);
    return 0;
}

// ---- reading messages

struct http_message {
    const char *head, *body; // body: as received, framing included
    size_t head_len, body_len;
    bool complete;
    int status;
};

static bool has(const struct http_message *m, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= m->head_len; i++) {
        if (memcmp(m->head + i, text, n) == 0)
            return true;
    }
    return false;
}

static size_t number_after(const struct http_message *m, const char *name, size_t otherwise)
{
    size_t n = strlen(name);
    for (size_t i = 0; i + n <= m->head_len; i++) {
        if (memcmp(m->head + i, name, n) == 0)
            return strtoul(m->head + i + n, NULL, 10);
    }
    return otherwise;
}

// The length of a whole chunked body with its trailers, 0 when it is not whole yet.
static size_t chunked_len(const char *p, size_t n)
{
    for (size_t at = 0;;) {
        const char *nl = n > at ? memchr(p + at, '\n', n - at) : NULL;
        if (nl == NULL)
            return 0;
        size_t size = strtoul(p + at, NULL, 16);
        at = (size_t)(nl + 1 - p);
        if (size == 0) {
            const char *end = n - at >= 2 && memcmp(p + at, "\r\n", 2) == 0
                                  ? p + at - 2
                                  : memmem(p + at, n - at, "\r\n\r\n", 4);
            return end == NULL ? 0 : (size_t)(end + 4 - p);
        }
        at += size + 2;
        if (at > n)
            return 0;
    }
}

// A message at the front of p[0..n). False: its head is not there yet.
static bool read_message(const char *p, size_t n, bool no_body, bool to_the_end,
                         struct http_message *m)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    *m = (struct http_message){.head = p};
    if (end == NULL)
        return false;
    m->head_len = (size_t)(end + 4 - p);
    m->body = end + 4;
    size_t left = n - m->head_len;
    if (memcmp(p, "HTTP/", 5) == 0)
        m->status = (int)strtol(p + 9, NULL, 10);
    if (no_body || (m->status >= 100 && m->status < 200) || m->status == 204) {
        m->complete = true;
    } else if (has(m, "Transfer-Encoding: chunked")) {
        m->body_len = chunked_len(m->body, left);
        m->complete = m->body_len > 0;
    } else if (has(m, "Content-Length: ")) {
        m->body_len = number_after(m, "Content-Length: ", 0);
        m->complete = m->body_len <= left;
    } else {
        m->complete = !to_the_end;
    }
    if (!m->complete || (to_the_end && m->body_len == 0))
        m->body_len = no_body || m->complete ? m->body_len : left;
    return true;
}

// ---- the server

static const struct dialogue *playing;
static const struct run *running;
static struct {
    size_t at[SIM_PEERS]; // read so far, by peer
    bool continued[SIM_PEERS], tunnel[SIM_PEERS];
    int heads[DIALOGUE_REQUESTS]; // of this request that reached any server
    bool head_seen[SIM_PEERS], closes[SIM_PEERS];
    size_t sent; // pieces of the client
    int turn;
    bool elsewhere; // the configuration in force names another server
} party;

static bool may_speak(const struct sim_peer *p)
{
    return p->used && !p->in_fin && !p->gone && !p->connecting && p->error == 0 && p->conn != NULL;
}

static bool path_is(const char *path, const char *begin)
{
    return strncmp(path, begin, strlen(begin)) == 0;
}

// The body that belongs to a path, without framing.
static const char *body_for(const char *path)
{
    static char text[64];
    if (path_is(path, "/big")) {
        if (big[0] == '\0')
            memset(big, 'b', BIG_BYTES);
        return big;
    }
    snprintf(text, sizeof(text), "this is %s", path);
    return text;
}

static void answer(struct sim *t, int peer, const char *path, bool head_only)
{
    const char *body = body_for(path);
    char head[256];
    if (path_is(path, "/204")) {
        sim_send(t, peer, "HTTP/1.1 204 No Content\r\nX-From: sim\r\n\r\n");
        return;
    }
    if (path_is(path, "/chunked")) {
        snprintf(head, sizeof(head),
                 "HTTP/1.1 200 OK\r\nX-From: sim\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "4;ext=1\r\n%.4s\r\n%zx\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n",
                 body, strlen(body) - 4, body + 4);
        sim_send(t, peer, head);
        return;
    }
    if (path_is(path, "/close")) {
        sim_send(t, peer, "HTTP/1.1 200 OK\r\nX-From: sim\r\n\r\n");
        sim_send(t, peer, body);
        sim_close(t, peer);
        return;
    }
    snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nX-From: sim\r\nContent-Length: %zu\r\n%s\r\n",
             path_is(path, "/early") ? "413 Content Too Large" : "200 OK", strlen(body),
             path_is(path, "/early") || path_is(path, "/last") ? "Connection: close\r\n" : "");
    sim_send(t, peer, head);
    if (!head_only)
        sim_send(t, peer, body);
    if (path_is(path, "/early") || path_is(path, "/last"))
        sim_close(t, peer);
}

static int request_index(const char *head)
{
    const char *path = strchr(head, ' ') + 1;
    for (int i = 0; i < DIALOGUE_REQUESTS && playing->request[i].path != NULL; i++) {
        size_t n = strlen(playing->request[i].path);
        if (strncmp(path, playing->request[i].path, n) == 0 && path[n] == ' ')
            return i;
    }
    fail_msg("a server got what nobody asked for: %s", head);
    return -1;
}

static void serve_tunnel(struct sim *t, int peer)
{
    struct sim_peer *p = &t->peers[peer];
    if (p->out.n > party.at[peer])
        sim_send_bytes(t, peer, p->out.p + party.at[peer], p->out.n - party.at[peer]);
    party.at[peer] = p->out.n;
    if (p->state == SIM_FIN)
        sim_fin(t, peer);
}

static void serve(struct sim *t, int peer)
{
    struct sim_peer *p = &t->peers[peer];
    struct http_message m;
    while (may_speak(p)) {
        if (party.tunnel[peer]) {
            serve_tunnel(t, peer);
            return;
        }
        if (party.at[peer] == 0 && p->out.n > 0 && p->out.p[0] == 'P' && p->out.n < 6)
            return;
        if (party.at[peer] == 0 && strncmp(p->out.p, "PROXY ", 6) == 0) {
            char *end = strstr(p->out.p, "\r\n");
            if (end == NULL)
                return;
            party.at[peer] = (size_t)(end + 2 - p->out.p);
        }
        if (!read_message(p->out.p + party.at[peer], p->out.n - party.at[peer], false, false, &m))
            return;
        int i = request_index(m.head);
        const char *path = playing->request[i].path;
        if (!party.head_seen[peer]) {
            party.head_seen[peer] = true;
            party.heads[i]++;
        }
        if (path_is(path, "/100") && has(&m, "Expect: 100-continue") && !party.continued[peer]) {
            party.continued[peer] = true;
            sim_send(t, peer, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        if (path_is(path, "/early")) {
            answer(t, peer, path, false);
            return;
        }
        if (!m.complete)
            return;
        party.at[peer] += m.head_len + m.body_len;
        party.head_seen[peer] = false;
        if (path_is(path, "/tunnel")) {
            sim_send(t, peer,
                     "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                     "Upgrade: echo\r\nX-From: sim\r\n\r\n");
            party.tunnel[peer] = true;
            continue;
        }
        party.closes[peer] = path_is(path, "/idle");
        answer(t, peer, path, memcmp(m.head, "HEAD ", 5) == 0);
    }
}

// ---- the client

// Reads all answers. Returns how many came whole, interim ones included; *finals of them final.
static int read_answers(struct sim *t, int *finals,
                        void (*each)(struct sim *, int, struct http_message *))
{
    struct sim_peer *p = &t->peers[CLIENT];
    size_t at = 0;
    int whole = 0;
    *finals = 0;
    while (at < p->out.n && *finals < DIALOGUE_REQUESTS) {
        struct http_message m;
        const char *method = playing->request[*finals].method;
        if (method == NULL)
            fail_msg("more answers than requests: %s", p->out.p + at);
        if (!read_message(p->out.p + at, p->out.n - at, strcmp(method, "HEAD") == 0, true, &m))
            break;
        if (m.status == 101)
            return whole + 1;
        if (!m.complete && !has(&m, "Content-Length") && !has(&m, "Transfer-Encoding"))
            m.complete = p->state == SIM_FIN; // until close: only then is it whole
        if (each != NULL && m.status >= 200)
            each(t, *finals, &m);
        if (!m.complete)
            break;
        whole++;
        *finals += m.status >= 200;
        at += m.head_len + m.body_len;
    }
    return whole;
}

// The configuration of the dialogue; `elsewhere`: with another server in place of the first.
static const char *yaml_of(const struct dialogue *d, bool elsewhere)
{
    static char yaml[512];
    const char *own = d->yaml != NULL ? d->yaml : "";
    bool has_servers = strstr(own, "servers:") != NULL;
    snprintf(yaml, sizeof(yaml), "%s%s%s%s", own, has_servers ? "" : "servers: [10.0.0.1:80]\n",
             running->tls_client ? "tls: sim.pem\n" : "",
             running->tls_server ? "server-defaults: {tls: {ca: sim.crt, server-name: sim.test}}\n"
                                 : "");
    if (elsewhere)
        strstr(yaml, "10.0.0.1:")[7] = '9';
    return yaml;
}

static void reload_when_due(struct sim *t)
{
    int late = ++party.turn - running->reload_turn; // from some turn on only timers are left
    bool due = running->reload_every == 0 ? late == 0 : late % running->reload_every == 0;
    if (running->reload_turn == 0 || late < 0 || !due || party.turn > TURNS_OF_INTEREST)
        return;
    party.elsewhere = !party.elsewhere;
    assert_int_equal(sim_reload(t, yaml_of(playing, party.elsewhere)), 0);
}

static void drive(struct sim *t)
{
    struct sim_peer *p = &t->peers[CLIENT];
    int finals;
    reload_when_due(t);
    if (p->in_fin || p->error != 0)
        return;
    if (p->state != SIM_OPEN) {
        sim_close(t, CLIENT);
        return;
    }
    int whole = read_answers(t, &finals, NULL);
    while (party.sent < DIALOGUE_PIECES && playing->piece[party.sent].text != NULL &&
           playing->piece[party.sent].after <= whole) {
        sim_send(t, CLIENT, playing->piece[party.sent++].text);
        for (int i = 0; i < t->n_dials; i++) {
            if (party.closes[SERVER_N(i)])
                sim_close(t, SERVER_N(i));
        }
    }
}

// ---- the promises

static size_t dechunk(const char *p, size_t n, char *out)
{
    size_t used = 0;
    for (size_t at = 0; at < n;) {
        char *nl;
        size_t size = strtoul(p + at, &nl, 16);
        at = (size_t)((const char *)memchr(p + at, '\n', n - at) + 1 - p);
        if (size == 0)
            break;
        memcpy(out + used, p + at, size);
        used += size;
        at += size + 2;
    }
    return used;
}

// One answer as the client got it.
static void check_answer(struct sim *t, int i, struct http_message *m)
{
    static char body[2 * BIG_BYTES];
    const char *path = playing->request[i].path;
    bool server_died = t->fault == FAULT_EOF && t->fault_peer >= SERVER &&
                       t->peers[t->fault_peer].tls == NULL; // else it has not said so
    size_t n = m->body_len;
    if (!has(m, "X-From: sim")) { // our own
        assert_true(m->status >= 300 && m->status < 600);
        return;
    }
    if (!m->complete) { // then the connection must be over
        assert_true(t->peers[CLIENT].state != SIM_OPEN || t->peers[CLIENT].gone ||
                    t->w.n_sessions > 0);
        return;
    }
    if (strcmp(playing->request[i].method, "HEAD") == 0 || m->status == 204) {
        assert_int_equal(n, 0);
        return;
    }
    assert_int_equal(m->status, path_is(path, "/early") ? 413 : 200);
    bool chunked = has(m, "Transfer-Encoding: chunked");
    assert_false(chunked && playing->http10);
    n = chunked ? dechunk(m->body, n, body) : n;
    const char *want = body_for(path), *got = chunked ? body : m->body;
    // a server that ends in order has ended its answer, as far as anybody can tell
    bool until_close = !chunked && !has(m, "Content-Length");
    if (until_close && server_died && n < strlen(want)) {
        assert_memory_equal(got, want, n);
        return;
    }
    assert_int_equal(n, strlen(want));
    assert_memory_equal(got, want, n);
}

static bool has_tunnel(const struct dialogue *d)
{
    return path_is(d->request[0].path, "/tunnel");
}

static void check_promises(struct sim *t, const struct dialogue *d)
{
    int finals;
    int whole = read_answers(t, &finals, check_answer);
    for (int i = 0; i < DIALOGUE_REQUESTS && d->request[i].path != NULL; i++) {
        if (strcmp(d->request[i].method, "POST") == 0)
            assert_in_range(party.heads[i], 0, 1);
        assert_in_range(party.heads[i], 0, 5);
    }
    assert_true(sim_ends(t) >= (uint64_t)finals);
    bool harmless = t->fault == FAULT_AGAIN || t->fault == FAULT_SHORT;
    if (t->faulted && (d->racy || !harmless))
        return;
    assert_int_equal(whole, d->answers);
    if (!d->local && !has_tunnel(d))
        sim_expect_ends(t, END_OK, sim_ends(t));
}

static void on_abort(int signo)
{
    ssize_t n = write(STDERR_FILENO, context, strlen(context));
    n += write(STDERR_FILENO, "\n", 1);
    (void)n;
    signal(signo, SIG_DFL);
}

bool dialogue_run(const struct dialogue *d, const struct run *r)
{
    static const char *const names[FAULT_COUNT] = {"none",  "again", "short",
                                                   "reset", "eof",   "no memory"};
    snprintf(
        context, sizeof(context),
        "%s, fault %s at call %llu, reads of %zu, writes of %zu, reload in turn %d, every %d%s%s%s",
        d->name, names[r->fault], (unsigned long long)r->fault_at, r->read_most, r->write_most,
        r->reload_turn, r->reload_every, r->tls_client ? ", TLS with the client" : "",
        r->tls_server ? ", TLS with servers" : "", r->tls12 ? ", version 1.2" : "");
    signal(SIGABRT, on_abort);
    if (getenv("SIM_TRACE") != NULL)
        print_message("%s\n", context);
    memset(&party, 0, sizeof(party));
    playing = d;
    running = r;
    struct sim *t = sim_new(yaml_of(d, false));
    t->read_most = r->read_most;
    t->write_most = r->write_most;
    t->refill = r->refill;
    t->tls12 = r->tls12;
    if (r->refill > 0)
        t->window = r->refill;
    if (d->setup != NULL)
        d->setup(t);
    sim_fault_at(t, r->fault_at, r->fault);
    t->serve = serve;
    t->drive = drive;
    (void)sim_connect(t);
    sim_run(t);
    if (d->finish != NULL && !t->faulted)
        d->finish(t);
    sim_advance(t, has_tunnel(d) ? 100 : 130000);
    if (!has_tunnel(d))
        assert_int_equal(t->w.exchanges, 0);
    t->drive = NULL;
    check_promises(t, d);
    bool reached = r->fault_at == 0 || t->faulted;
    if (has_tunnel(d))
        sim_advance(t, 3700000);
    sim_free(t);
    context[0] = '\0';
    return reached;
}
