// SPDX-License-Identifier: MIT
// The admin socket's clients. Runs in control. One request per connection: read it, answer, close;
// the API is asked a few times a second at most, so nothing here is tuned.
//
//   accept -> READ -> WRITE -> closed
//              |--> ASK --^     waits for the supervisor
//              '--> FEED        sends events until the client goes
//
// Invariants: at most CLIENTS_MAX clients (further ones wait in the backlog), of which FEEDS_MAX
// may stay for long; bodies together hold at most BODIES_MAX bytes; no call blocks, and a client
// that stalls is dropped at its deadline. A feed takes from the ring of events what its socket
// takes; one that falls behind the ring is dropped, too. Who may connect is decided by the mode of
// the socket file; who did is known from SO_PEERCRED.
#include "control/admin.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "io/sock.h"
#include "proto/h1_head.h"

#define CLIENTS_MAX 32
#define FEEDS_MAX 16
#define HEAD_BYTES 8192
#define BODIES_MAX (48u << 20)
#define FEED_BYTES 65536u // formatted ahead of what the socket takes
#define READ_MS 5000
#define WRITE_MS 10000
#define ASK_MS 60000
#define FEED_PULSE_MS 15000 // between two signs of life

enum client_state { CLIENT_READ, CLIENT_ASK, CLIENT_WRITE, CLIENT_FEED };

struct client {
    struct admin *admin;
    struct list node; // in admin->clients
    struct ev_io io;
    struct timer deadline;
    enum client_state state;
    bool head_only; // HEAD: no body in the answer
    bool continued; // "100 Continue" was sent
    bool fed;       // at least one event
    struct ucred peer;
    struct h1_scan scan;
    struct buf in, out, body; // received; to be sent; the body of the answer while it is made
    uint32_t reserved;        // bytes of admin->bodies
    struct admin_call call;
};

struct admin {
    struct loop *loop;
    struct admin_view *view;
    struct ev_io listener;
    struct timer rest; // listener is off because accept() found no descriptor
    struct list clients;
    uint32_t n_clients, n_feeds;
    uint32_t bodies;       // bytes promised to request bodies
    struct http_head head; // of the request being read
};

static void on_acceptable(struct ev_loop *ev, ev_io *watcher, int events);
static void on_client(struct ev_loop *ev, ev_io *watcher, int events);
static void on_answered(struct asks_waiter *w, const struct ask_answer *answer);
static bool proceed(struct client *c, uint16_t result);

// ---- clients ------------------------------------------------------------------------------------

static void client_close(struct client *c)
{
    struct admin *a = c->admin;
    asks_forget(&c->call.waiter);
    ev_io_stop(a->loop->ev, &c->io);
    timer_clear(&c->deadline);
    (void)close(c->io.fd);
    buf_release(&c->in);
    buf_release(&c->out);
    buf_release(&c->body);
    a->bodies -= c->reserved;
    a->n_feeds -= c->state == CLIENT_FEED;
    list_remove(&c->node);
    free(c);
    if (a->n_clients-- == CLIENTS_MAX)
        ev_io_start(a->loop->ev, &a->listener);
}

// Which events are waited for; 0: none.
static void watch(struct client *c, int events)
{
    ev_io_stop(c->admin->loop->ev, &c->io);
    ev_io_set(&c->io, c->io.fd, events);
    if (events != 0)
        ev_io_start(c->admin->loop->ev, &c->io);
}

static void wait_until(struct client *c, uint32_t ms)
{
    timer_set(&c->admin->loop->wheel, &c->deadline, c->admin->loop->now_ms + ms);
}

// ---- answering ----------------------------------------------------------------------------------

static bool put_head(struct client *c, uint16_t status)
{
    char head[320];
    const char *allow = c->call.allow;
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %u\r\n"
                     "Cache-Control: no-store\r\n%s%s%sConnection: close\r\n\r\n",
                     status, status < 300 ? "OK" : "Refused", buf_len(&c->body),
                     allow[0] != '\0' ? "Allow: " : "", allow, allow[0] != '\0' ? "\r\n" : "");
    lb_assert(n > 0 && (size_t)n < sizeof(head));
    return buf_append(&c->out, head, (size_t)n);
}

static bool begin_answer(struct client *c, uint16_t status)
{
    if (!put_head(c, status) ||
        (!c->head_only && !buf_append(&c->out, buf_head(&c->body), buf_len(&c->body))))
        return false;
    buf_release(&c->body);
    c->state = CLIENT_WRITE;
    watch(c, EV_WRITE);
    wait_until(c, WRITE_MS);
    return true;
}

static bool refuse(struct client *c, uint16_t status, const char *id, const char *why)
{
    return proceed(c, admin_refuse(&c->call, status, id, "%s", why));
}

// ---- the feed -----------------------------------------------------------------------------------

// Puts what is new behind what is still to be sent. False: this client has lost events, or there is
// no memory.
static bool feed_fill(struct client *c)
{
    const struct event *e;
    while (buf_len(&c->out) < FEED_BYTES &&
           (e = events_after(c->admin->view->events, c->call.since)) != NULL) {
        if ((c->fed && e->id != c->call.since + 1) || !admin_event_message(e, &c->out))
            return false;
        c->call.since = e->id;
        c->fed = true;
    }
    return true;
}

// Sends until all is sent or the socket is full. False: this client is done with.
static bool feed_send(struct client *c)
{
    for (;;) {
        if (!feed_fill(c))
            return false;
        if (buf_len(&c->out) == 0)
            break;
        ssize_t n = send(c->io.fd, buf_head(&c->out), buf_len(&c->out), MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n < 0)
            break;
        buf_consume(&c->out, (uint32_t)n);
        wait_until(c, FEED_PULSE_MS);
    }
    watch(c, buf_len(&c->out) > 0 ? EV_READ | EV_WRITE : EV_READ);
    return true;
}

static bool begin_feed(struct client *c)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Cache-Control: no-store\r\nConnection: close\r\n\r\n";
    if (c->admin->n_feeds == FEEDS_MAX)
        return refuse(c, 503, "too-many-feeds", "others follow the events already");
    if (!buf_append(&c->out, head, sizeof(head) - 1))
        return false;
    buf_release(&c->in);
    c->state = c->head_only ? CLIENT_WRITE : CLIENT_FEED;
    wait_until(c, c->head_only ? WRITE_MS : FEED_PULSE_MS);
    if (c->head_only) {
        watch(c, EV_WRITE);
        return true;
    }
    c->admin->n_feeds++;
    return feed_send(c);
}

// Nothing was to be sent for a while: a comment shows whether the client is still there. Something
// was, and the client has not taken it: it is dropped.
static bool feed_pulse(struct client *c)
{
    if (buf_len(&c->out) > 0 || !buf_append(&c->out, ":\n\n", 3))
        return false;
    wait_until(c, FEED_PULSE_MS);
    return feed_send(c);
}

// What a client says while it is fed means nothing; that it has gone does.
static bool feed_listen(struct client *c)
{
    char waste[512];
    ssize_t n = recv(c->io.fd, waste, sizeof(waste), 0);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void on_event(void *ctx)
{
    struct admin *a = ctx;
    LIST_EACH(node, &a->clients)
    {
        struct client *c = list_entry(node, struct client, node);
        if (c->state == CLIENT_FEED && !feed_send(c))
            client_close(c);
    }
}

// ---- one request --------------------------------------------------------------------------------

// What a call has come to. False: this client is done with.
static bool proceed(struct client *c, uint16_t result)
{
    if (result == ADMIN_NO_MEMORY)
        return false;
    if (result == ADMIN_FEED)
        return begin_feed(c);
    if (result != ADMIN_LATER)
        return begin_answer(c, result);
    if (c->state != CLIENT_ASK)
        wait_until(c, ASK_MS);
    c->state = CLIENT_ASK;
    watch(c, 0); // a client that goes meanwhile is seen when it is written to
    return true;
}

static void on_answered(struct asks_waiter *w, const struct ask_answer *answer)
{
    struct client *c = container_of(w, struct client, call.waiter);
    c->admin->view->now_ms = clock_monotonic_ms();
    if (!proceed(c, admin_api_resume(c->admin->view, &c->call, answer)))
        client_close(c);
}

static bool answer_request(struct client *c, struct str body)
{
    struct admin *a = c->admin;
    const struct http_head *h = &a->head;
    struct admin_call *call = &c->call;
    call->method = h->method_text;
    call->query = h->path;
    call->path = str_cut(&call->query, '?');
    call->body = body;
    c->head_only = h->method == HTTP_HEAD;
    log_debug("admin: %.*s %.*s by pid %d, uid %d", STR_FMT(call->method), STR_FMT(call->path),
              (int)c->peer.pid, (int)c->peer.uid);
    a->view->now_ms = clock_monotonic_ms();
    return proceed(c, admin_api_answer(a->view, call));
}

// Makes room for the rest of a request of `bytes`.
static bool await_rest(struct client *c, uint32_t bytes)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct admin *a = c->admin;
    if (c->reserved == 0) {
        if (a->bodies + bytes > BODIES_MAX)
            return refuse(c, 503, "busy", "too many large requests at a time");
        a->bodies += c->reserved = bytes;
        wait_until(c, READ_MS);
    }
    if (a->head.expect_continue && !c->continued)
        (void)!send(c->io.fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL);
    c->continued = true;
    return buf_grow(&c->in, bytes);
}

// The head is complete; the body follows, or is there.
static bool take_body(struct client *c)
{
    const struct http_head *h = &c->admin->head;
    struct str path = h->path, query = path;
    path = str_cut(&query, '?');
    uint64_t length = h->framing == BODY_LENGTH ? h->content_length : 0;
    if (h->framing == BODY_CHUNKED)
        return refuse(c, 411, "length-required", "say Content-Length");
    if (length > admin_api_body_max(path))
        return refuse(c, 413, "too-large", "the body is larger than this resource takes");
    uint32_t bytes = h->bytes + (uint32_t)length;
    if (buf_len(&c->in) < bytes)
        return await_rest(c, bytes);
    return answer_request(c, (struct str){buf_head(&c->in) + h->bytes, (size_t)length});
}

// False: this client is done with.
static bool client_read(struct client *c)
{
    static const struct h1_limits limits = {
        .head_bytes = HEAD_BYTES, .fields = 64, .uri_bytes = 1024};
    enum http_error error = HTTP_OK;
    if (!buf_attach(&c->in))
        return false;
    ssize_t n = recv(c->io.fd, buf_tail(&c->in), buf_room(&c->in), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        return false;
    c->in.tail += (uint32_t)n;
    enum h1_result result = h1_parse_request(&c->scan, buf_head(&c->in), buf_len(&c->in), &limits,
                                             &c->admin->head, &error);
    if (result == H1_MORE)
        return true;
    c->scan.pos = 0; // read again with each part of the body: the bytes may have moved
    if (result == H1_DONE)
        return take_body(c);
    const struct http_error_info *info = http_error_info(error);
    return refuse(c, 400, info->name, info->sentence);
}

static bool client_write(struct client *c)
{
    ssize_t n = send(c->io.fd, buf_head(&c->out), buf_len(&c->out), MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    buf_consume(&c->out, (uint32_t)n);
    return buf_len(&c->out) > 0;
}

static bool client_feed(struct client *c, int events)
{
    if ((events & EV_READ) && !feed_listen(c))
        return false;
    return !(events & EV_WRITE) || feed_send(c);
}

static void on_client(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    struct client *c = watcher->data;
    bool stays = c->state == CLIENT_FEED    ? client_feed(c, events)
                 : c->state == CLIENT_WRITE ? client_write(c)
                                            : client_read(c);
    if (!stays)
        client_close(c);
}

static void on_deadline(struct timer *t)
{
    struct client *c = container_of(t, struct client, deadline);
    bool stays = false;
    if (c->state == CLIENT_ASK) {
        asks_forget(&c->call.waiter);
        stays = proceed(c, admin_api_resume(c->admin->view, &c->call, NULL));
    } else if (c->state == CLIENT_FEED) {
        stays = feed_pulse(c);
    }
    if (stays)
        return;
    log_debug("an admin client was too slow: pid %d", (int)c->peer.pid);
    client_close(c);
}

// ---- the listener -------------------------------------------------------------------------------

static bool client_open(struct admin *a, int fd)
{
    struct client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return false;
    socklen_t len = sizeof(c->peer);
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->peer, &len);
    c->admin = a;
    c->call.out = &c->body;
    c->call.pid = (uint32_t)c->peer.pid;
    c->call.uid = c->peer.uid;
    c->call.waiter.answered = on_answered;
    list_append(&a->clients, &c->node);
    a->n_clients++;
    timer_init(&c->deadline, on_deadline);
    wait_until(c, READ_MS);
    ev_io_init(&c->io, on_client, fd, EV_READ);
    c->io.data = c;
    ev_io_start(a->loop->ev, &c->io);
    return true;
}

static void on_rested(struct timer *t)
{
    struct admin *a = container_of(t, struct admin, rest);
    ev_io_start(a->loop->ev, &a->listener);
}

static void on_acceptable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)events;
    struct admin *a = watcher->data;
    union ip_addr peer;
    int fd = sock_accept(watcher->fd, &peer);
    if (fd < 0) {
        if (sock_failure(-fd) == SOCK_EXHAUSTED) {
            ev_io_stop(ev, watcher);
            timer_set(&a->loop->wheel, &a->rest, a->loop->now_ms + 100);
        }
        return;
    }
    if (!client_open(a, fd))
        (void)close(fd);
    else if (a->n_clients == CLIENTS_MAX)
        ev_io_stop(ev, watcher);
}

struct admin *admin_start(struct loop *loop, int listen_fd, struct admin_view *view)
{
    struct admin *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->loop = loop;
    a->view = view;
    list_init(&a->clients);
    timer_init(&a->rest, on_rested);
    ev_io_init(&a->listener, on_acceptable, listen_fd, EV_READ);
    a->listener.data = a;
    ev_io_start(loop->ev, &a->listener);
    events_listen(view->events, on_event, a);
    return a;
}

void admin_stop(struct admin *a)
{
    if (a == NULL)
        return;
    events_listen(a->view->events, NULL, NULL);
    LIST_EACH(node, &a->clients)
    client_close(list_entry(node, struct client, node));
    ev_io_stop(a->loop->ev, &a->listener);
    timer_clear(&a->rest);
    free(a);
}
